"""The TLS engine on pyOpenSSL's public calls: slower, for versions whose inner names have changed [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from OpenSSL import SSL

from hbone_py.errors import TlsError
from hbone_py.tls.reasons import CUT_OFF, describe, reason_texts
from hbone_py.tls.session import TlsSession

if TYPE_CHECKING:
    from hbone_py.tls.buffers import SharedBuffer


class PublicEngine(TlsSession):
    """As `DirectEngine`, word for word; the contract tests run on both."""

    __slots__ = ()

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """See `DirectEngine.feed`."""
        if data:
            self._connection.bio_write(data)

    def feed_shared(self, buffer: SharedBuffer, count: int) -> None:
        """See `DirectEngine.feed_shared`."""
        self.feed(buffer.view[:count])

    def feed_eof(self) -> None:
        """See `DirectEngine.feed_eof`."""
        self._connection.bio_shutdown()

    def read_into(self, buffer: SharedBuffer, offset: int = 0) -> int:
        """See `DirectEngine.read_into`."""
        position = offset
        try:
            while position < buffer.size:
                position += self._connection.recv_into(buffer.view[position:])
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            self.peer_closed = True
        except SSL.Error as error:
            failure = self._remember(error)
            if position == offset:
                raise failure from error
        return position - offset

    def receive(self, ciphertext: SharedBuffer, count: int, plaintext: SharedBuffer) -> int:
        """See `DirectEngine.receive`."""
        self.feed_shared(ciphertext, count)
        return self.read_into(plaintext)

    def release_memory(self) -> None:
        """See `DirectEngine.release_memory`; the public calls have nothing of the kind."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """See `DirectEngine.write`."""
        if not data:
            return
        try:
            self._connection.sendall(data)
        except SSL.Error as error:
            raise self._remember(error) from error

    def write_shared(self, buffer: SharedBuffer, count: int) -> None:
        """See `DirectEngine.write_shared`."""
        self.write(buffer.view[:count])

    def take_ciphertext(self, buffer: SharedBuffer) -> int:
        """See `DirectEngine.take_ciphertext`."""
        try:
            data = self._connection.bio_read(buffer.size)
        except SSL.WantReadError:
            return 0
        buffer.view[: len(data)] = data
        return len(data)

    def _remember(self, error: SSL.Error) -> TlsError:
        if self._failure is None:
            cut_off = isinstance(error, SSL.SysCallError)
            self._failure = TlsError(f"TLS failed: {CUT_OFF if cut_off else describe(reason_texts(error))}")
        return self._failure
