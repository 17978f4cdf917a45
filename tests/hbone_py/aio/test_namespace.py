"""Sockets in other network namespaces: made there, kept there, and we are home again."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hbone_py.aio.namespace import NetworkNamespace
from hbone_py.aio.tcp import SO_MARK, SocketOptions, outgoing_socket
from tests.support.processes import PeerProcess
from tests.support.require import require_netns, require_tool

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.lab, pytest.mark.privileged]

OURS = Path("/proc/self/ns/net")


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[NetworkNamespace]:
    """An empty namespace, in which not even loopback is up."""
    require_netns()
    holder = PeerProcess([require_tool("unshare"), "--net", require_tool("sleep"), "60"], tmp_path / "holder.log")
    path = Path(f"/proc/{holder.pid}/ns/net")
    holder.wait_until(lambda: path.readlink() != OURS.readlink(), "in a namespace of its own")
    namespace = NetworkNamespace.open(path)
    holder.kill()
    yield namespace
    namespace.close()


def test_what_is_made_inside_is_inside_and_we_are_home(elsewhere: NetworkNamespace) -> None:
    before = OURS.readlink()
    with elsewhere:
        assert OURS.readlink() != before
        there = socket.socket()
    assert OURS.readlink() == before
    with there, socket.socket() as here:
        here.bind(("127.0.0.1", 0))
        there.bind(here.getsockname())  # free there, whoever has it here
        there.listen()
        with socket.socket() as caller, pytest.raises(ConnectionRefusedError):
            caller.connect(here.getsockname())


def test_we_are_home_also_after_an_error(elsewhere: NetworkNamespace) -> None:
    before = OURS.readlink()
    with pytest.raises(ZeroDivisionError), elsewhere:
        raise ZeroDivisionError
    assert OURS.readlink() == before


def test_connections_are_made_there_with_their_mark(elsewhere: NetworkNamespace) -> None:
    options = SocketOptions(mark=1337, namespace=elsewhere)
    with outgoing_socket(("127.0.0.1", 9), options) as sock:
        assert sock.getsockopt(socket.SOL_SOCKET, SO_MARK) == 1337
        assert sock.connect_ex(("127.0.0.1", 9)) != 0
        assert sock.getsockname()[0] == "0.0.0.0"  # nothing is routed there


def test_namespaces_are_told_apart(elsewhere: NetworkNamespace) -> None:
    ours, again = NetworkNamespace.open(), NetworkNamespace.open()
    assert ours.id == again.id != elsewhere.id
    for one in (ours, again):
        one.close()
        one.close()
    assert ours.fileno() == -1


def test_what_is_no_namespace_cannot_be_entered(tmp_path: Path) -> None:
    require_netns()
    namespace = NetworkNamespace(os.open(tmp_path, os.O_RDONLY))
    with pytest.raises(OSError, match="Invalid argument"), namespace:
        pytest.fail("entered a folder")
    namespace.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        namespace.__enter__()
