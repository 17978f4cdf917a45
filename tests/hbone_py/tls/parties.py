"""Two ends of TLS in memory, and what they say to each other: ours on either engine, and the standard library's."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from hbone_py.errors import TlsError
from hbone_py.tls.buffers import SharedBuffer
from hbone_py.tls.context import TlsContext, TlsSettings, client_context, server_context
from hbone_py.tls.direct import DirectEngine
from hbone_py.tls.public import PublicEngine

if TYPE_CHECKING:
    from pathlib import Path

    from hbone_py.tls.credentials import Credentials

Engine = DirectEngine | PublicEngine
EngineType = Callable[[TlsContext], Engine]
ENGINES = [DirectEngine, PublicEngine]

CIPHERTEXT = SharedBuffer(64 * 1024)
PLAINTEXT = SharedBuffer(64 * 1024)


class Party(Protocol):
    """One end: steps as far as it can, keeps what it read and what went wrong."""

    received: bytearray
    error: Exception | None

    @property
    def is_up(self) -> bool: ...

    def feed(self, data: bytes) -> None: ...

    def step(self) -> None:
        """Shake hands, or read; errors are kept, not raised."""

    def output(self) -> bytes:
        """The ciphertext that is pending."""

    def write(self, data: bytes) -> None: ...


class Ours:
    """An engine as a party."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.received = bytearray()
        self.error: Exception | None = None

    @property
    def is_up(self) -> bool:
        return self.engine.handshake_done and self.error is None

    def feed(self, data: bytes) -> None:
        self.engine.feed(data)

    def step(self) -> None:
        try:
            if self.error is None and self.engine.handshake():
                while count := self.engine.read_into(PLAINTEXT):
                    self.received += PLAINTEXT.view[:count]
        except TlsError as error:
            self.error = error

    def output(self) -> bytes:
        return take(self.engine)

    def write(self, data: bytes) -> None:
        self.engine.write(data)


class Stdlib:
    """The standard library's `ssl` as a party: an independent judge on the system's OpenSSL."""

    def __init__(self, context: ssl.SSLContext, *, is_server: bool) -> None:
        self._input, self._output = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._input, self._output, server_side=is_server)
        self.received = bytearray()
        self.error: Exception | None = None
        self._is_shaken = False

    @property
    def is_up(self) -> bool:
        return self._is_shaken and self.error is None

    def feed(self, data: bytes) -> None:
        self._input.write(data)

    def step(self) -> None:
        try:
            if not self._is_shaken and self.error is None:
                self.tls.do_handshake()
                self._is_shaken = True
            while self.error is None and (data := self.tls.read(65536)):
                self.received += data
        except ssl.SSLWantReadError:
            return
        except ssl.SSLError as error:
            self.error = error

    def output(self) -> bytes:
        return self._output.read()

    def write(self, data: bytes) -> None:
        self.tls.write(data)


def take(engine: Engine) -> bytes:
    """All ciphertext that is pending."""
    out = bytearray()
    while count := engine.take_ciphertext(CIPHERTEXT):
        out += CIPHERTEXT.view[:count]
    return bytes(out)


def talk(one: Party, other: Party) -> None:
    """Carry bytes between the two until neither has anything to say."""
    quiet = 0
    while quiet < 2:
        one.step()
        data = one.output()
        other.feed(data)
        quiet = 0 if data else quiet + 1
        one, other = other, one


def connected(client: Party, server: Party) -> None:
    """Shake hands; both must succeed."""
    talk(client, server)
    assert (client.error, server.error) == (None, None)
    assert client.is_up
    assert server.is_up


def client(credentials: Credentials, engine: EngineType = DirectEngine, settings: TlsSettings | None = None) -> Ours:
    return Ours(engine(client_context(credentials, settings or TlsSettings())))


def server(credentials: Credentials, engine: EngineType = DirectEngine, settings: TlsSettings | None = None) -> Ours:
    return Ours(engine(server_context(credentials, settings or TlsSettings())))


def stdlib_context(
    purpose: int, credentials: Credentials, folder: Path, *, show_certificate: bool = True
) -> ssl.SSLContext:
    """A context of the standard library that trusts and, if told, shows these credentials."""
    context = ssl.SSLContext(purpose)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=credentials.roots_pem.decode())
    if show_certificate:
        chain, key = folder / "stdlib-chain.pem", folder / "stdlib-key.pem"
        chain.write_bytes(credentials.cert_chain_pem)
        key.touch(mode=0o600)
        key.write_bytes(credentials.key_pem)
        context.load_cert_chain(chain, key)
    return context


def stdlib_client(context: ssl.SSLContext) -> Stdlib:
    return Stdlib(context, is_server=False)


def stdlib_server(context: ssl.SSLContext) -> Stdlib:
    return Stdlib(context, is_server=True)
