"""What a port is declared to speak: by `appProtocol`, else by its name (Istio's protocol selection) [pure]."""

from __future__ import annotations

from mesh_py.model.workload import AppProtocol

_WORDS = {
    "http": AppProtocol.HTTP11,
    "http2": AppProtocol.HTTP2,
    "grpc": AppProtocol.GRPC,
    "grpc-web": AppProtocol.HTTP11,
    "https": AppProtocol.TLS,
    "tls": AppProtocol.TLS,
    "tcp": AppProtocol.TCP,
    "mongo": AppProtocol.TCP,
    "mysql": AppProtocol.TCP,
    "redis": AppProtocol.TCP,
    "hbone": AppProtocol.HTTP2,
    # Kubernetes' own words for appProtocol.
    "kubernetes.io/h2c": AppProtocol.HTTP2,
    "kubernetes.io/ws": AppProtocol.HTTP11,
    "kubernetes.io/wss": AppProtocol.TLS,
}
# Ports that server-first protocols are known by; Istio never looks into their bytes.
_SERVER_FIRST = frozenset({25, 53, 3306})


def declared(port: int, name: str, word: str = "") -> AppProtocol:
    """The protocol of a port: its `appProtocol` (or a ServiceEntry's `protocol`), else the first part of its name."""
    known = _WORDS.get(word.lower())
    if known is not None:
        return known
    lowered = name.lower()
    start = "grpc-web" if lowered.startswith("grpc-web") else lowered.partition("-")[0]
    if start in _WORDS:
        return _WORDS[start]
    return AppProtocol.TCP if port in _SERVER_FIRST else AppProtocol.UNKNOWN
