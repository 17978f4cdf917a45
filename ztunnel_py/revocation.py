"""Peers whose certificate was taken back: refused when they come, ended when it happens later (hbone-dataplane 3.9)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple

from hbone_py.errors import TlsError

if TYPE_CHECKING:
    from cryptography import x509

    from hbone_py.aio.peer import Peer
    from mesh_py.identity.revocation import RevocationFile
    from mesh_py.telemetry.facts import Reporter
    from mesh_py.telemetry.metrics import Metrics

log = logging.getLogger("tls")

_FEWEST_LOOKED_THROUGH = 64


class CertificateRevoked(TlsError):
    """The peer's certificate, or one that vouches for it, is on a revocation list."""

    flag = "CERT_REVOKED"

    def __init__(self) -> None:
        super().__init__("connection closed: peer certificate revoked by CRL")


class _Admitted(NamedTuple):
    """What a peer showed, and by whose roots it was judged."""

    chain: tuple[x509.Certificate, ...]
    roots: tuple[x509.Certificate, ...]
    reporter: Reporter


class RevocationGuard:
    """Judges every peer at its handshake, and again whenever the file changes."""

    def __init__(self, file: RevocationFile, metrics: Metrics) -> None:
        self.file = file
        self._metrics = metrics
        self._admitted: dict[Peer, _Admitted] = {}
        self._sweep_at = _FEWEST_LOOKED_THROUGH

    def admit(self, peer: Peer, roots: tuple[x509.Certificate, ...], reporter: Reporter) -> None:
        """Let a peer in whose chain was verified, and remember it. Raises CertificateRevoked."""
        shown = _Admitted(tuple(peer.tls.peer_chain()), roots, reporter)
        if self._is_revoked(shown):
            raise CertificateRevoked
        if len(self._admitted) >= self._sweep_at:
            self._forget_closed()
        self._admitted[peer] = shown

    def _forget_closed(self) -> None:
        """Nobody tells us when a peer goes. Looking through all of them whenever they have doubled costs little."""
        self._admitted = {peer: shown for peer, shown in self._admitted.items() if not peer.is_closed}
        self._sweep_at = max(_FEWEST_LOOKED_THROUGH, 2 * len(self._admitted))

    def recheck(self) -> None:
        """The lists have changed: whoever is on them now is ended, tunnels and all."""
        self._forget_closed()
        for peer, shown in list(self._admitted.items()):
            if self._is_revoked(shown):
                log.info("%s closed: its certificate is revoked", peer)
                peer.close(CertificateRevoked())

    def _is_revoked(self, shown: _Admitted) -> bool:
        if self.file.now.revoked(shown.chain, shown.roots) is None:
            return False
        self._metrics.crl_rejections.increase((shown.reporter,))
        return True
