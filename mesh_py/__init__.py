"""The mesh: what the proxies and the control plane share beside the tunnel itself.

Pure (no sockets, no clock, no environment): `model`, plain values; `policy`, who may connect; `discovery`, who is where
and where a connection goes; `manifests`, Kubernetes objects; `http`, layer 7.

With I/O: `exchange` carries requests, `proxy` is what sidecar and waypoint share, `capture` brings connections in;
`identity`, `xds`, `rpc` and `zds` speak with the control plane and the node's agent; `telemetry`, `tracing` and `admin`
show what happens; `settings` and `process` are the shell of every command.
"""
