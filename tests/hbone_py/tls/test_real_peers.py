"""The command-line OpenSSL as the other end, over real TCP: what two independent builds agree on and refuse."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from hbone_py.errors import TlsError, TlsHandshakeError
from hbone_py.tls import direct
from hbone_py.tls.buffers import SharedBuffer
from hbone_py.tls.context import TlsContext, TlsSettings, client_context, server_context
from hbone_py.tls.direct import DirectEngine
from hbone_py.tls.engine import TlsEngine
from hbone_py.tls.verify import peer_identities
from tests.hbone_py.tls.authority import CLIENT, SERVER
from tests.support.processes import PeerProcess, free_port, loopback_address, run_tool
from tests.support.require import require_tool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from hbone_py.tls.credentials import Credentials
    from tests.hbone_py.tls.authority import Authority

pytestmark = pytest.mark.interop

GREETING = b"hello from the engine\n"
LINE = b"hello from openssl\n"


@dataclass
class Conversation:
    """One connection of ours over TCP: greets, reads until the end or `last`, and keeps its error."""

    engine: TlsEngine
    last: bytes | None = None
    received: bytearray = field(default_factory=bytearray)
    error: TlsError | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._talk(reader, writer)
        except TlsError as error:
            self.error = error
        except OSError:
            pass  # the peer is gone; what it said is what counts
        finally:
            with contextlib.suppress(OSError):
                self._flush(writer)
                writer.close()
                await writer.wait_closed()
            self.ended.set()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not self._is_over():
            self._flush(writer)
            if data := await reader.read(65536):
                self.engine.feed(data)
            else:
                self.engine.feed_eof()
        self.engine.send_close_notify()

    def _is_over(self) -> bool:
        """Go on as far as the bytes allow; whether everything was said."""
        was_up = self.engine.handshake_done
        if not self.engine.handshake():
            return False
        if not was_up:
            self.engine.write(GREETING)
        plain = SharedBuffer(65536)
        while count := self.engine.read_into(plain):
            self.received += plain.view[:count]
        return self.engine.peer_closed or bytes(self.received) == self.last

    def _flush(self, writer: asyncio.StreamWriter) -> None:
        cipher = SharedBuffer(65536)
        while count := self.engine.take_ciphertext(cipher):
            writer.write(bytes(cipher.view[:count]))


@dataclass
class Listener:
    address: str
    port: int
    conversations: list[Conversation]


@contextlib.asynccontextmanager
async def listening(context: TlsContext) -> AsyncIterator[Listener]:
    conversations: list[Conversation] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        conversations.append(Conversation(TlsEngine(context), LINE))
        await conversations[-1].run(reader, writer)

    address = loopback_address()
    async with await asyncio.start_server(accept, address, 0) as listener:
        yield Listener(address, listener.sockets[0].getsockname()[1], conversations)


@dataclass
class Files:
    chain: Path
    key: Path
    roots: Path


def files_of(credentials: Credentials, folder: Path) -> Files:
    files = Files(folder / "peer-chain.pem", folder / "peer-key.pem", folder / "peer-roots.pem")
    files.chain.write_bytes(credentials.cert_chain_pem)
    files.key.touch(mode=0o600)
    files.key.write_bytes(credentials.key_pem)
    files.roots.write_bytes(credentials.roots_pem)
    return files


async def s_client(listener: Listener, files: Files, *arguments: str, show: bool = True) -> str:
    """Run `openssl s_client` against us; everything it prints. It ends when we do."""
    own = ["-cert", str(files.chain), "-key", str(files.key)] if show else []
    done = await run_tool(
        require_tool("openssl"), "s_client", "-connect", f"{listener.address}:{listener.port}",
        "-CAfile", str(files.roots), "-verify_return_error", "-servername", "ignored.example", "-ign_eof",
        *own, *arguments,
        stdin=LINE,
    )  # fmt: skip
    return (done.stdout + done.stderr).decode(errors="replace")


async def test_s_client_speaks_with_us(root: Authority, server_credentials: Credentials, tmp_path: Path):
    files = files_of(root.issue(CLIENT), tmp_path)
    async with listening(server_context(server_credentials, TlsSettings())) as listener:
        output = await s_client(listener, files, "-alpn", "h2")
        await listener.conversations[0].ended.wait()
    assert "New, TLSv1.3, Cipher is TLS_AES_256_GCM_SHA384" in output
    assert "ALPN protocol: h2" in output
    assert "Verification: OK" in output
    assert "Reused" not in output
    assert bytes(listener.conversations[0].received) == LINE


REFUSED = [
    pytest.param(["-tls1_2"], True, "unsupported protocol", "alert protocol version", id="TLS 1.2"),
    pytest.param(
        ["-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"],
        True,
        "no shared cipher",
        "alert handshake failure",
        id="ChaCha20 only",
    ),
    pytest.param(
        ["-alpn", "http/1.1"], True, "no_application_protocol", "alert no application protocol", id="ALPN http/1.1"
    ),
    pytest.param(["-groups", "P-521"], True, "no suitable key share", "alert handshake failure", id="P-521 only"),
    pytest.param([], False, "peer did not return a certificate", "alert certificate required", id="no certificate"),
]


@pytest.mark.parametrize(("arguments", "show", "ours", "theirs"), REFUSED)
async def test_s_client_is_refused(
    root: Authority, server_credentials: Credentials, tmp_path: Path, arguments, show, ours, theirs
):
    files = files_of(root.issue(CLIENT), tmp_path)
    async with listening(server_context(server_credentials, TlsSettings())) as listener:
        output = await s_client(listener, files, *arguments, show=show)
        await listener.conversations[0].ended.wait()
    assert isinstance(listener.conversations[0].error, TlsHandshakeError)
    assert ours in str(listener.conversations[0].error)
    assert theirs in output


async def test_s_client_finds_no_more_suites_than_allowed_with_tls_1_2(
    root: Authority, server_credentials: Credentials, tmp_path: Path
):
    files = files_of(root.issue(CLIENT), tmp_path)
    async with listening(server_context(server_credentials, TlsSettings(tls12=True))) as listener:
        good = await s_client(listener, files, "-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256")
        bad = await s_client(listener, files, "-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305")
        for conversation in listener.conversations:
            await conversation.ended.wait()
    assert "New, TLSv1.2, Cipher is ECDHE-ECDSA-AES128-GCM-SHA256" in good
    assert "Secure Renegotiation IS supported" in good
    assert "alert handshake failure" in bad


async def test_who_asks_for_new_keys_and_reads_none_is_ended(
    root: Authority, server_credentials: Credentials, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """`K` makes openssl's client send a KeyUpdate that asks for ours, which stay here as for a full socket."""
    monkeypatch.setattr(direct, "MOST_UNSENT", 500)
    files, engine = (
        files_of(root.issue(CLIENT), tmp_path),
        DirectEngine(server_context(server_credentials, TlsSettings())),
    )
    failures: list[TlsError] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        plain = SharedBuffer(65536)
        while not failures and (data := await reader.read(65536)):
            engine.feed(data)
            if not engine.handshake_done:
                engine.handshake()
                while count := engine.take_ciphertext(plain):
                    writer.write(bytes(plain.view[:count]))
                continue
            try:
                assert engine.read_into(plain) == 0
            except TlsError as error:
                failures.append(error)
        writer.transport.abort()

    async with await asyncio.start_server(accept, loopback_address(), 0) as listener:
        where = "{}:{}".format(*listener.sockets[0].getsockname())
        updates = await key_updates(where, files)
    assert [str(failure) for failure in failures] == ["TLS failed: the peer asks for new keys and does not read ours"]
    assert 500 // 27 <= updates <= 40  # an answer of ours has 27 bytes


async def key_updates(where: str, files: Files) -> int:
    """Let openssl's client ask for new keys until it is thrown out; how often it did."""
    command = [require_tool("openssl"), "s_client", "-connect", where, "-alpn", "h2", "-quiet", "-no_ign_eof"]
    own = ["-cert", str(files.chain), "-key", str(files.key), "-CAfile", str(files.roots)]
    pipe = asyncio.subprocess.PIPE
    client = await asyncio.create_subprocess_exec(*command, *own, stdin=pipe, stdout=pipe, stderr=pipe)
    assert client.stdin is not None
    assert client.stderr is not None
    count = 0
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        while count < 1000:
            client.stdin.write(b"K\n")
            await client.stdin.drain()
            await client.stderr.readuntil(b"KEYUPDATE\n")
            count += 1
    await client.communicate()
    return count


@dataclass
class Server:
    """A running `openssl s_server` that answers each line with its reverse."""

    address: str
    port: int
    process: PeerProcess


@contextlib.contextmanager
def s_server(credentials: Credentials, folder: Path, *arguments: str) -> Iterator[Server]:
    files, address = files_of(credentials, folder), loopback_address()
    port = free_port(address)
    command = [
        require_tool("openssl"), "s_server", "-accept", f"{address}:{port}", "-cert", str(files.chain),
        "-key", str(files.key), "-CAfile", str(files.roots), "-verify_return_error", "-Verify", "2", "-rev", *arguments,
    ]  # fmt: skip
    process = PeerProcess(command, folder / "s_server.log")
    try:
        process.wait_until(lambda: "ACCEPT" in process.output, "listening")
        yield Server(address, port, process)
    finally:
        process.kill()


async def dial(server: Server, context: TlsContext, last: bytes | None = None) -> Conversation:
    conversation = Conversation(TlsEngine(context), last)
    await conversation.run(*await asyncio.open_connection(server.address, server.port))
    return conversation


async def test_we_speak_with_s_server(client_credentials: Credentials, server_credentials: Credentials, tmp_path: Path):
    with s_server(server_credentials, tmp_path, "-alpn", "h2", "-tls1_3") as server:
        answer = GREETING.strip()[::-1] + b"\n"
        conversation = await dial(server, client_context(client_credentials, TlsSettings()), answer)
    assert conversation.error is None
    assert conversation.engine.version == "TLSv1.3"
    assert conversation.engine.suite == "TLS_AES_256_GCM_SHA384"
    assert conversation.engine.alpn == "h2"
    assert [str(who) for who in peer_identities(conversation.engine.peer_chain()[0])] == [SERVER]


SERVER_REFUSED = [
    pytest.param(["-tls1_2"], "the peer sent alert protocol_version", id="TLS 1.2"),
    pytest.param(
        ["-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"],
        "the peer sent alert handshake_failure",
        id="ChaCha20 only",
    ),
]


@pytest.mark.parametrize(("arguments", "reason"), SERVER_REFUSED)
async def test_s_server_is_refused(
    client_credentials: Credentials, server_credentials: Credentials, tmp_path: Path, arguments, reason
):
    with s_server(server_credentials, tmp_path, *arguments) as server:
        conversation = await dial(server, client_context(client_credentials, TlsSettings()))
    assert isinstance(conversation.error, TlsHandshakeError)
    assert reason in str(conversation.error)


async def test_s_server_refuses_a_foreign_client(root: Authority, server_credentials: Credentials, tmp_path: Path):
    """The client's handshake is over by then: its first read tells (hbone-dataplane 13)."""
    stranger = type(root).root("stranger").issue(CLIENT, roots=root.roots)
    with s_server(server_credentials, tmp_path) as server:
        conversation = await dial(server, client_context(stranger, TlsSettings()))
    assert conversation.engine.handshake_done
    assert str(conversation.error) == "TLS failed: the peer sent alert unknown_ca"
