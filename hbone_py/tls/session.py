"""The part of a TLS connection that is not hot: handshake, close, and who the peer is [pure].

What both engines share (direct.py, public.py): a pyOpenSSL connection between two memory buffers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL

from hbone_py.errors import TlsHandshakeError
from hbone_py.tls import openssl
from hbone_py.tls.context import NoCommonProtocol
from hbone_py.tls.reasons import describe, reason_texts

if TYPE_CHECKING:
    from cryptography import x509

    from hbone_py.errors import TlsError
    from hbone_py.tls.context import TlsContext


class TlsSession:
    """One TLS connection without its bytes: see `TlsEngine` for the whole."""

    __slots__ = ("_connection", "_failure", "handshake_done", "peer_closed")

    def __init__(self, context: TlsContext) -> None:
        self._connection = SSL.Connection(context.ssl, None)
        if context.is_server:
            self._connection.set_accept_state()
        else:
            self._connection.set_connect_state()
            if context.server_name:
                self._connection.set_tlsext_host_name(context.server_name.encode("ascii"))
            if context.alpn:
                self._connection.set_alpn_protos(list(context.alpn))
        self.handshake_done = False
        """Whether our handshake is over. In TLS 1.3 a server may still refuse us: our first read tells."""
        self.peer_closed = False
        """Whether the peer's close_notify was read: no more plaintext will come."""
        self._failure: TlsError | None = None

    def handshake(self) -> bool:
        """Go as far as the bytes fed so far allow; True once complete. Output may be pending either way.

        Raises:
            TlsHandshakeError: the peer refused us or we it; the text names the alert or the reason.
        """
        if not self.handshake_done:
            try:
                self.handshake_done = self._shake()
            except (SSL.Error, NoCommonProtocol) as error:
                raise TlsHandshakeError(f"TLS handshake failed: {self._handshake_reason(error)}") from error
        return self.handshake_done

    def _shake(self) -> bool:
        """Whether it is over. Raises what pyOpenSSL and its callbacks do."""
        try:
            self._connection.do_handshake()
        except SSL.WantReadError:
            return False
        return True

    def send_close_notify(self) -> None:
        """Tell the peer that we write no more; before the end of the handshake there is nothing to tell."""
        if not self.handshake_done:
            return
        try:
            self._connection.shutdown()
        except SSL.Error:
            # A connection that has failed needs no farewell.
            return

    def peer_chain(self) -> list[x509.Certificate]:
        """The certificates the peer showed, its leaf first; empty before the handshake."""
        leaf = self._connection.get_peer_certificate(as_cryptography=True)
        if leaf is None:
            return []
        # OpenSSL counts the leaf as part of the chain for a client only.
        shown = self._connection.get_peer_cert_chain(as_cryptography=True) or []
        return [leaf, *(one for one in shown if one != leaf)]

    @property
    def peer_leaf_der(self) -> bytes:
        """The peer's leaf in DER form; empty before the handshake."""
        leaf = self._connection.get_peer_certificate(as_cryptography=True)
        return b"" if leaf is None else leaf.public_bytes(Encoding.DER)

    @property
    def suite(self) -> str:
        """The negotiated suite, e.g. ``TLS_AES_256_GCM_SHA384``; empty before the handshake."""
        return self._connection.get_cipher_name() or ""

    @property
    def group(self) -> str:
        """The group keys were exchanged in, e.g. ``X25519MLKEM768``; empty if not known."""
        return self._connection.get_group_name() or ""

    @property
    def version(self) -> str:
        """``TLSv1.3`` or ``TLSv1.2``."""
        return self._connection.get_protocol_version_name()

    @property
    def server_name(self) -> str:
        """The server name that the client sent; empty if it sent none."""
        return (self._connection.get_servername() or b"").decode("ascii", "backslashreplace")

    @property
    def alpn(self) -> str:
        """The protocol agreed on by ALPN; empty if the peer does not know ALPN."""
        return self._connection.get_alpn_proto_negotiated().decode("ascii")

    def _handshake_reason(self, error: Exception) -> str:
        if isinstance(error, SSL.SysCallError):
            return "the peer ended the connection"
        if isinstance(error, SSL.ZeroReturnError):
            return "the peer sent close_notify"
        reasons = reason_texts(error) if isinstance(error, SSL.Error) else [str(error)]
        if "certificate verify failed" in reasons and (problem := openssl.verify_problem(self._connection)):
            return f"certificate verify failed: {problem}"
        return describe(reasons)
