"""The TLS engine on OpenSSL's own functions, without the copies of pyOpenSSL's wrappers [pure].

Every method that moves bytes is a call or two into C with pointers to memory we keep (hot-path.md, "Traps").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from hbone_py.errors import TlsError
from hbone_py.tls import openssl
from hbone_py.tls.reasons import CUT_OFF, describe
from hbone_py.tls.records import LARGEST_PLAINTEXT, RecordCounter
from hbone_py.tls.session import TlsSession

if TYPE_CHECKING:
    from hbone_py.tls.buffers import SharedBuffer
    from hbone_py.tls.context import TlsContext

if openssl.IS_COMPLETE:
    from_buffer = openssl.ffi.from_buffer
    bio_get_mem_data = openssl.lib.BIO_get_mem_data
    bio_new = openssl.lib.BIO_new
    bio_new_mem_buf = openssl.lib.BIO_new_mem_buf
    bio_read = openssl.lib.BIO_read
    bio_s_mem = openssl.lib.BIO_s_mem
    bio_set_mem_eof_return = openssl.lib.BIO_set_mem_eof_return
    bio_write = openssl.lib.BIO_write
    ssl_do_handshake = openssl.lib.SSL_do_handshake
    ssl_get_error = openssl.lib.SSL_get_error
    ssl_read = openssl.lib.SSL_read
    ssl_set_bio = openssl.lib.SSL_set_bio
    ssl_write = openssl.lib.SSL_write
    WANT_READ: int = openssl.lib.SSL_ERROR_WANT_READ
    ZERO_RETURN: int = openssl.lib.SSL_ERROR_ZERO_RETURN
    _scratch = openssl.ffi.new("char **")

LENT_FROM = 48 * 1024
"""From this size on the copy that `receive` saves costs more than lending the memory does."""

MOST_UNSENT = 4 << 20
"""Bytes of ciphertext that may wait to be taken when a record asks TLS itself for an answer; several times what proxies
leave waiting for a full socket."""


class Ways(Protocol):
    """The ways of a message in C, to a socket and from it: `hbone_py/aio/_way.c`."""

    def receive(self, socket: Any, ssl: Any, bio: Any, most: int, is_between: bool, /) -> int:
        """See `hbone_py/aio/_way.pyi`."""

    def send(
        self, socket: Any, ssl: Any, bio: Any, buffer: memoryview, size: int, queued: bytes | memoryview, /
    ) -> bytes | None:
        """See `hbone_py/aio/_way.pyi`."""


class DirectEngine(TlsSession):
    """One TLS connection over memory: ciphertext and plaintext go in and come out, no socket anywhere."""

    __slots__ = ("_input", "_output", "_readable", "_records", "_ssl")

    def __init__(self, context: TlsContext) -> None:
        super().__init__(context)
        # The connection owns the three; they live as long as it does.
        self._ssl = self._connection._ssl
        self._input = self._connection._into_ssl
        self._output = self._connection._from_ssl
        self._records = RecordCounter()
        self._readable = 0
        """Whole records fed and not yet read."""

    def _shake(self) -> bool:
        """As `TlsSession._shake`: an exception, and the look at every callback's, only where it has failed."""
        result = ssl_do_handshake(self._ssl)
        if result > 0:
            return True
        if ssl_get_error(self._ssl, result) == WANT_READ:
            return False
        self._connection._raise_ssl_error(self._ssl, result)
        return False  # never: it has raised

    @property
    def peer_leaf_der(self) -> bytes:
        """See `TlsSession.peer_leaf_der`."""
        return openssl.leaf_der(self._ssl)

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Ciphertext in. `data` is copied."""
        if size := len(data):
            self._readable += self._records.count(data, size)
            bio_write(self._input, from_buffer(data), size)

    def feed_shared(self, buffer: SharedBuffer, count: int) -> None:
        """Ciphertext in: the first `count` bytes of `buffer`, which are copied."""
        if count:
            self._readable += self._records.count(buffer.view, count)
            bio_write(self._input, buffer.pointer, count)

    def feed_eof(self) -> None:
        """No more ciphertext will come; reading past what was fed then raises instead of waiting."""
        self._readable += 1  # the end is something to read
        bio_set_mem_eof_return(self._input, 0)

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
        readable = self._readable
        while readable and position < size:
            # The first read is mostly the only one: it needs no new pointer.
            count = ssl_read(self._ssl, pointer + position if position else pointer, size - position)
            if count <= 0:
                readable = self._stopped(count, got_some=position > offset)
                break
            position += count
            readable -= 1
        # A filled buffer may have left a part of the last record behind.
        self._readable = readable if position < size else readable + 1
        return position - offset

    def receive(self, ciphertext: SharedBuffer, count: int, plaintext: SharedBuffer) -> int:
        """`feed_shared` and `read_into` in one: OpenSSL reads large input where it lies instead of from a copy.

        If `plaintext` was filled, go on with `read_into`. The two buffers must not be the same. Raises as
        `read_into`.
        """
        if count < LENT_FROM:
            readable = self._readable + self._records.count(ciphertext.view, count)
            bio_write(self._input, ciphertext.pointer, count)
            self._readable = readable
            if readable != 1 or plaintext.size < LARGEST_PLAINTEXT:
                return self.read_into(plaintext)
            # A small message, mostly: one record, which one read empties.
            got: int = ssl_read(self._ssl, plaintext.pointer, plaintext.size)
            if got > 0:
                self._readable = 0
                return got
            self._readable = self._stopped(got, got_some=False)
            return 0
        self._readable += self._records.count(ciphertext.view, count)
        if self._records.is_inside:
            # One read more than there are records makes OpenSSL take in the beginning of the record that is cut off:
            # nothing then stands in the way of lending the next piece.
            self._readable += 1
        if bio_get_mem_data(self._input, _scratch) > 0:
            bio_write(self._input, ciphertext.pointer, count)
            return self.read_into(plaintext)
        return self._receive_lent(ciphertext, count, plaintext)

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

    def receive_by(self, ways: Ways, socket: Any, most: int) -> int:
        """One small message, in one call into C: read it from `socket`, and decrypt it, to the buffers of `ways`.

        Bytes of plaintext, or -1 where `receive` has to go on with what was read. Raises OSError, and as `read_into`.
        """
        is_between = self.handshake_done and not self._readable and not self._records.is_inside
        size = ways.receive(socket, self._ssl, self._input, most, is_between)
        if size == 0:
            self._readable = 1  # and stays so where the next line raises: what has failed fails again
            self._readable = self._stopped(-1, got_some=False)
        return size

    def send_by(self, ways: Ways, socket: Any, buffer: SharedBuffer, size: int, queued: bytes | memoryview) -> bytes:
        """`write_shared`, `write` and `take_ciphertext` in one call into C, and offer that to `socket`.

        The bytes it refused, with more behind them maybe. Raises OSError, and as `write`.
        """
        refused = ways.send(socket, self._ssl, self._output, buffer.view, size, queued)
        if refused is None:
            self._raise_failure()
        return refused

    def release_memory(self) -> None:
        """Give back what a burst made OpenSSL's buffer grow to; for a connection that has become idle."""
        if bio_get_mem_data(self._output, _scratch) == 0:
            self._output = bio_new(bio_s_mem())
            ssl_set_bio(self._ssl, self._input, self._output)

    def _receive_lent(self, ciphertext: SharedBuffer, count: int, plaintext: SharedBuffer) -> int:
        lent = bio_new_mem_buf(ciphertext.pointer, count)
        bio_set_mem_eof_return(lent, -1)
        ssl_set_bio(self._ssl, lent, self._output)
        try:
            return self.read_into(plaintext)
        finally:
            self._take_back(lent)

    def _take_back(self, lent: Any) -> None:
        """Put a buffer of OpenSSL's own in the place of a lent one, with what was not read from it."""
        left = bio_get_mem_data(lent, _scratch)
        self._input = bio_new(bio_s_mem())
        if left > 0:
            bio_write(self._input, _scratch[0], left)
        ssl_set_bio(self._ssl, self._input, self._output)  # frees the lent one

    def _stopped(self, result: int, *, got_some: bool) -> int:
        """How many records are worth a try after a read that gave nothing."""
        if self._failure is None:
            error = ssl_get_error(self._ssl, result)
            if error in (WANT_READ, ZERO_RETURN):
                self.peer_closed = error == ZERO_RETURN
                if bio_get_mem_data(self._output, _scratch) <= MOST_UNSENT:
                    return 0
                # A record without data may be a KeyUpdate that asks for ours: who reads none shall not pile them up.
                self._failure = TlsError("TLS failed: the peer asks for new keys and does not read ours")
            else:
                self._failure = self._take_failure()
        if not got_some:
            raise self._failure
        return 1  # the next read raises

    def _raise_failure(self) -> NoReturn:
        if self._failure is None:
            self._failure = self._take_failure()
        raise self._failure

    def _take_failure(self) -> TlsError:
        reasons = openssl.take_errors()
        if not reasons or any("unexpected eof" in reason for reason in reasons):
            return TlsError(f"TLS failed: {CUT_OFF}")
        return TlsError(f"TLS failed: {describe(reasons)}")
