"""The TLS engine on OpenSSL's own functions, without the copies of pyOpenSSL's wrappers [pure].

Every method that moves bytes is a call or two into C with pointers to memory we keep (hot-path.md, "Traps").
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hbone_py.errors import TlsError
from hbone_py.tls import openssl
from hbone_py.tls.session import CUT_OFF, TlsSession, describe

if TYPE_CHECKING:
    from hbone_py.tls.buffers import SharedBuffer
    from hbone_py.tls.context import TlsContext

if openssl.IS_COMPLETE:
    from_buffer = openssl.ffi.from_buffer
    bio_read = openssl.lib.BIO_read
    bio_write = openssl.lib.BIO_write
    ssl_get_error = openssl.lib.SSL_get_error
    ssl_read = openssl.lib.SSL_read
    ssl_write = openssl.lib.SSL_write
    WANT_READ: int = openssl.lib.SSL_ERROR_WANT_READ
    ZERO_RETURN: int = openssl.lib.SSL_ERROR_ZERO_RETURN


class DirectEngine(TlsSession):
    """One TLS connection over memory: ciphertext and plaintext go in and come out, no socket anywhere."""

    __slots__ = ("_input", "_output", "_ssl")

    def __init__(self, context: TlsContext) -> None:
        super().__init__(context)
        # The connection owns the three; they live as long as it does.
        self._ssl = self._connection._ssl
        self._input = self._connection._into_ssl
        self._output = self._connection._from_ssl

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Ciphertext in. `data` is copied."""
        if data:
            bio_write(self._input, from_buffer(data), len(data))

    def feed_shared(self, buffer: SharedBuffer, count: int) -> None:
        """Ciphertext in: the first `count` bytes of `buffer`, which are copied."""
        if count:
            bio_write(self._input, buffer.pointer, count)

    def feed_eof(self) -> None:
        """No more ciphertext will come; reading past what was fed then raises instead of waiting."""
        openssl.lib.BIO_set_mem_eof_return(self._input, 0)

    def read_into(self, buffer: SharedBuffer, offset: int = 0) -> int:
        """Plaintext out, to `buffer` from `offset` on, until it is full or nothing is left; how many bytes.

        0 means: nothing now; see `peer_closed`. If the buffer was filled, call again.

        Raises:
            TlsError: an alert, a broken record, or an end without close_notify; plaintext that came before it
                is handed out first.
        """
        position = offset
        size = buffer.size
        pointer = buffer.pointer
        ssl = self._ssl
        while position < size:
            count = ssl_read(ssl, pointer + position, size - position)
            if count <= 0:
                self._stopped(count, got_some=position > offset)
                break
            position += count
        return position - offset

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Plaintext in, all of it; its ciphertext is then pending.

        Raises:
            TlsError: the connection has failed, or its handshake is not done.
        """
        if data and ssl_write(self._ssl, from_buffer(data), len(data)) <= 0:
            self._raise_failure()

    def write_shared(self, buffer: SharedBuffer, count: int) -> None:
        """Plaintext in: the first `count` bytes of `buffer`. Raises as `write`."""
        if count and ssl_write(self._ssl, buffer.pointer, count) <= 0:
            self._raise_failure()

    def take_ciphertext(self, buffer: SharedBuffer) -> int:
        """Move pending ciphertext to `buffer`; how many bytes. Less than `buffer.size` means none is left."""
        count: int = bio_read(self._output, buffer.pointer, buffer.size)
        return count if count > 0 else 0

    def _stopped(self, result: int, *, got_some: bool) -> None:
        if self._failure is None:
            error = ssl_get_error(self._ssl, result)
            if error == WANT_READ:
                return
            if error == ZERO_RETURN:
                self.peer_closed = True
                return
            self._failure = self._take_failure()
        if not got_some:
            raise self._failure

    def _raise_failure(self) -> None:
        if self._failure is None:
            self._failure = self._take_failure()
        raise self._failure

    def _take_failure(self) -> TlsError:
        reasons = openssl.take_errors()
        if not reasons or any("unexpected eof" in reason for reason in reasons):
            return TlsError(f"TLS failed: {CUT_OFF}")
        return TlsError(f"TLS failed: {describe(reasons)}")
