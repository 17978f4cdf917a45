"""What goes wrong before a gRPC status can tell: addresses, roots, tokens, dials.

Each text says what, where and what to do. A status that the server did give is grpclib's `GRPCError`.
"""

from __future__ import annotations


class RpcError(Exception):
    """Base of every error raised on purpose here."""


class EndpointError(RpcError, ValueError):
    """An address that cannot be dialled; worded to follow the quoted text: `'x'` `has no port`."""


class RootsError(RpcError):
    """The roots to believe the server by cannot be read."""


class TokenError(RpcError):
    """There is no usable bearer token to show."""


class DialFailed(RpcError):
    """No connection came up: name, TCP, TLS or the server's name on its certificate."""
