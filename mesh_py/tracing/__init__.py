"""Spans of requests and tunnels: joined with their callers' by `traceparent`, exported by OTLP (docs/tracing.md)."""
