"""gRPC with the control plane: grpclib's protocols over the project's own TLS (docs/decisions/0008-grpc.md)."""
