"""What `_way.c` offers: the ways of a message in C. `way.py` says what is done with TLS, `relay.py` what beside it."""

from socket import socket as KernelSocket
from typing import Any

from hbone_py.aio.way import Socket

class Ways:
    """Two ways over three shared buffers, for one thread. OpenSSL's objects come with each call and are not kept."""

    def __init__(self, *arguments: Any) -> None:
        """Four addresses and two types, as `native.addresses` and `types` give them, and three buffers' memory:
        `ciphertext_in`, `plaintext_in`, `ciphertext_out`."""

    @property
    def received(self) -> int:
        """Bytes of ciphertext that the last `receive` read; 0 at the end."""

    def receive(self, socket: Socket, ssl: Any, bio: Any, most: int, is_between: bool, /) -> int:
        """Read once, at most `most` bytes, and decrypt one whole record that follows a whole one (`is_between`).

        Bytes of plaintext; 0 where OpenSSL's read gave none; -1 where nothing was fed: go on with what is there.
        Raises OSError.
        """

    def send(
        self, socket: Socket, ssl: Any, bio: Any, buffer: memoryview, size: int, queued: bytes | memoryview, /
    ) -> bytes | None:
        """Encrypt the first `size` bytes of `buffer` and `queued`, offer the socket all that is encrypted.

        The bytes it refused; None where OpenSSL refused. Raises OSError.
        """

class Frames:
    """Applications' bytes: read as frames into one buffer, `outbox.Outbox`'s, and given to their sockets."""

    def __init__(self, buffer: memoryview) -> None: ...
    def read(self, socket: KernelSocket, at: int, most: int, stream_id: int, /) -> int:
        """Read once, at most `most` bytes, as the payload of a frame whose header comes to lie at `at`.

        How many bytes; 0 at the end. Raises OSError.
        """

    def give(self, socket: KernelSocket, data: bytes | memoryview, /) -> int:
        """As `socket.send`."""
