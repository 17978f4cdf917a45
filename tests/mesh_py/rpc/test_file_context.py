"""A server whose certificate lies in files, as openssl's client sees it before and after a change."""

from __future__ import annotations

import shutil
import socket

import pytest

from hbone_py.errors import TlsConfigError
from hbone_py.tls import TlsSettings
from mesh_py.rpc.file_context import FileContext
from mesh_py.rpc.server import RpcServer
from tests.support.processes import run_tool
from tests.support.rpc import Talk

pytestmark = pytest.mark.interop


@pytest.fixture
def place(tmp_path, root):
    """Where the files lie, and how to put a server of another name there."""

    def put(name: str) -> None:
        files = root.issue_server(f"{name}-{tmp_path.name}", name, common_name=name)
        for source, target in ((files.key, "key.pem"), (files.roots, "roots.pem"), (files.chain, "chain.pem")):
            shutil.copy(source, tmp_path / f"{target}.new")
            (tmp_path / f"{target}.new").replace(tmp_path / target)

    put("one.example")
    return put


def context_in(folder) -> FileContext:
    return FileContext(folder / "chain.pem", folder / "key.pem", folder / "roots.pem", TlsSettings())


async def test_a_change_is_seen_by_the_next_client(tmp_path, place, address, root, caplog):
    server = RpcServer([Talk()])
    sock = socket.socket()
    sock.bind((address, 0))
    where = f"{address}:{sock.getsockname()[1]}"
    await server.listen(sock, context_in(tmp_path))

    async def shown() -> str:
        done = await run_tool("openssl", "s_client", "-connect", where, "-CAfile", str(root.roots), "-alpn", "h2")
        return next(line for line in done.stdout.decode().splitlines() if line.startswith("subject="))

    assert "one.example" in await shown()
    place("two.example")
    assert "two.example" in await shown()
    (tmp_path / "chain.pem").write_text("half a certificate")
    for _ in range(2):
        assert "two.example" in await shown()
    assert caplog.text.count("our server keeps its certificate, the new one cannot be used") == 1
    await server.aclose()


def test_it_does_not_begin_with_what_cannot_be_used(tmp_path, place):
    (tmp_path / "key.pem").unlink()
    with pytest.raises(TlsConfigError, match=f"{tmp_path}/key.pem: No such file or directory"):
        context_in(tmp_path)
