"""TCP: listeners, options and addresses."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from typing import TYPE_CHECKING, Any

import pytest

from hbone_py.aio import tcp
from hbone_py.aio.tcp import (
    SO_MARK,
    Listener,
    SocketOptions,
    backlog,
    canonical,
    family_of,
    listening_socket,
    outgoing_socket,
    reset,
    show,
)
from tests.support.peers import clock_of, own_reactor
from tests.support.processes import loopback_address
from tests.support.require import require_root
from tests.support.sockets import tcp_pair, turns, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from hbone_py.aio.reactor import Reactor
    from hbone_py.aio.tcp import SocketAddress

IPPROTO_TCP, SOL_SOCKET = socket.IPPROTO_TCP, socket.SOL_SOCKET


# Addresses ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (("10.0.0.1", 80), ("10.0.0.1", 80)),
        (("::ffff:10.0.0.1", 80, 0, 0), ("10.0.0.1", 80)),
        (("2001:db8::1", 80, 0, 0), ("2001:db8::1", 80)),
        (("::ffff", 80, 0, 0), ("::ffff", 80)),
    ],
)
def test_an_ipv4_address_is_told_as_one(address: Any, expected: SocketAddress) -> None:
    assert canonical(address) == expected


@pytest.mark.parametrize(
    ("address", "text", "family"),
    [
        (("10.0.0.1", 80), "10.0.0.1:80", socket.AF_INET),
        (("2001:db8::1", 443), "[2001:db8::1]:443", socket.AF_INET6),
    ],
)
def test_addresses_in_words(address: SocketAddress, text: str, family: socket.AddressFamily) -> None:
    assert show(address) == text
    assert family_of(address[0]) == family


# Options ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (SocketOptions(), {"alive": 1, "idle": 180, "interval": 180, "retries": 9, "user": 0}),
        (SocketOptions(user_timeout=True), {"alive": 1, "user": (180 + 9 * 180) * 1000}),
        (
            SocketOptions(keepalive_idle=7, keepalive_interval=8, keepalive_retries=3, user_timeout=True),
            {"idle": 7, "interval": 8, "retries": 3, "user": 31_000},
        ),
        (SocketOptions(keepalive=False), {"alive": 0, "user": 0}),
    ],
)
def test_options_reach_the_kernel(options: SocketOptions, expected: dict[str, int]) -> None:
    with outgoing_socket(("127.0.0.1", 1), options) as sock:
        assert sock.getsockopt(IPPROTO_TCP, socket.TCP_NODELAY) == 1
        assert not sock.getblocking()
        found = options_of(sock)
    assert {name: found[name] for name in expected} == expected


def options_of(sock: socket.socket) -> dict[str, int]:
    return {
        "alive": sock.getsockopt(SOL_SOCKET, socket.SO_KEEPALIVE),
        "idle": sock.getsockopt(IPPROTO_TCP, socket.TCP_KEEPIDLE),
        "interval": sock.getsockopt(IPPROTO_TCP, socket.TCP_KEEPINTVL),
        "retries": sock.getsockopt(IPPROTO_TCP, socket.TCP_KEEPCNT),
        "user": sock.getsockopt(IPPROTO_TCP, socket.TCP_USER_TIMEOUT),
        "nodelay": sock.getsockopt(IPPROTO_TCP, socket.TCP_NODELAY),
    }


@pytest.mark.privileged
def test_a_mark_is_set() -> None:
    require_root()
    with outgoing_socket(("127.0.0.1", 1), SocketOptions(mark=1337)) as sock:
        assert sock.getsockopt(SOL_SOCKET, SO_MARK) == 1337


def test_a_socket_that_cannot_be_made_ready_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """No right to a mark, say. A socket left open would be a warning, and so a failure, of this test."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(SocketOptions, "apply", refuse)
    with pytest.raises(PermissionError):
        outgoing_socket(("127.0.0.1", 1), SocketOptions(mark=1337))
    with pytest.raises(PermissionError):
        listening_socket("127.0.0.1", 0)


def test_a_connection_may_come_from_another_loopback_address() -> None:
    source = loopback_address()
    with outgoing_socket(("127.0.0.1", 1), SocketOptions(), source) as sock:
        assert sock.getsockname()[0] == source


@pytest.mark.parametrize("source", ["127.0.0.1", "::1", None])
def test_a_source_that_says_nothing_is_left_out(source: str | None) -> None:
    """The destination's own address, and one of the other family."""
    with outgoing_socket(("127.0.0.1", 1), SocketOptions(), source) as sock:
        assert sock.getsockname() == ("0.0.0.0", 0)


def test_one_source_address_and_port_may_serve_many_destinations() -> None:
    """The port is chosen when the destination is known: 28,000 ports are not used up by one busy application."""
    source, one, other = loopback_address(), listening_socket("127.0.0.1", 0), listening_socket("127.0.0.2", 0)
    with one, other:
        ports = set()
        for target in (one, other):
            with outgoing_socket(target.getsockname(), SocketOptions(), source) as sock:
                assert sock.getsockname()[1] == 0
                sock.connect_ex(target.getsockname())
                ports.add(sock.getsockname()[1])
        assert 0 not in ports


def test_a_reset_is_read_as_one() -> None:
    near, far = tcp_pair()
    reset(near)
    reset(near)
    far.setblocking(True)
    with pytest.raises(ConnectionResetError):
        far.recv(1)


# Listeners ----------------------------------------------------------------------------------------------------------


@pytest.fixture(name="listen")
async def _listen(reactor: Reactor) -> AsyncIterator[Callable[..., tuple[Listener, list[socket.socket]]]]:
    listeners: list[Listener] = []
    accepted: list[socket.socket] = []

    def listen(**how: Any) -> tuple[Listener, list[socket.socket]]:
        sock = listening_socket(how.pop("host", loopback_address()), 0, **how)
        listener = Listener(reactor, sock, lambda sock, _: accepted.append(sock))
        listeners.append(listener)
        return listener, accepted

    yield listen
    for listener in listeners:
        listener.close()
    for sock in accepted:
        sock.close()


Listen = Any


async def test_accepted_sockets_have_the_listeners_options(listen: Listen) -> None:
    listener, accepted = listen(options=SocketOptions(keepalive_idle=7))
    with socket.create_connection(listener.address):
        await until(lambda: accepted, "accepted")
        assert not accepted[0].getblocking()
        assert options_of(accepted[0])["idle"] == 7
        assert options_of(accepted[0])["alive"] == options_of(accepted[0])["nodelay"] == 1


async def test_tunnels_need_no_tcp_keepalive(listen: Listen) -> None:
    """PINGs do more (hbone-dataplane 8.1)."""
    listener, accepted = listen(keepalive=False)
    with socket.create_connection(listener.address):
        await until(lambda: accepted, "accepted")
        assert options_of(accepted[0])["alive"] == 0


async def test_a_crowd_is_let_in(listen: Listen) -> None:
    listener, accepted = listen()
    crowd = [socket.create_connection(listener.address) for _ in range(300)]
    await until(lambda: len(accepted) == 300, "all accepted")
    for sock in crowd:
        sock.close()


def test_the_kernel_tells_how_many_wait() -> None:
    """Connected callers are in the backlog: `connect` of a neighbour returns when that is so."""
    with listening_socket(loopback_address(), 0) as listener:
        assert backlog(listener) == 0
        callers = [socket.create_connection(listener.getsockname()) for _ in range(3)]
        assert backlog(listener) == 3
        listener.accept()[0].close()
        assert backlog(listener) == 2
        for caller in callers:
            caller.close()


async def test_where_it_does_not_tell_a_crowd_is_let_in_all_the_same(
    listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tcp, "backlog", lambda _: 0)
    await test_a_crowd_is_let_in(listen)


async def test_who_left_while_it_waited_is_no_trouble(listen: Listen) -> None:
    listener, accepted = listen()
    for _ in range(3):
        reset(socket.create_connection(listener.address))
    with socket.create_connection(listener.address) as last:
        await until(lambda: last.getsockname() in [peer_of(sock) for sock in accepted], "the last one accepted")


def peer_of(sock: socket.socket) -> tuple[str, int] | None:
    try:
        address: tuple[str, int] = sock.getpeername()
    except OSError:
        return None
    return address


async def test_a_closed_listener_accepts_nobody(listen: Listen) -> None:
    listener, _ = listen()
    listener.close()
    listener.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(listener.address)


async def test_a_listener_may_be_closed_by_what_it_accepts(reactor: Reactor) -> None:
    accepted: list[socket.socket] = []

    def once(sock: socket.socket, _: SocketAddress) -> None:
        accepted.append(sock)
        listener.close()

    listener = Listener(reactor, listening_socket(loopback_address(), 0), once)
    crowd = [socket.create_connection(listener.address) for _ in range(3)]
    await until(lambda: accepted, "one accepted")
    await turns()
    assert len(accepted) == 1
    for sock in (*crowd, *accepted):
        sock.close()


async def test_one_that_cannot_be_served_does_not_stop_the_next(
    reactor: Reactor, problems: list[dict[str, Any]]
) -> None:
    served: list[socket.socket] = []

    def serve(sock: socket.socket, _: SocketAddress) -> None:
        served.append(sock)
        if len(served) == 1:
            raise RuntimeError("not this one")

    listener = Listener(reactor, listening_socket(loopback_address(), 0), serve)
    crowd = [socket.create_connection(listener.address) for _ in range(3)]
    await until(lambda: len(served) == 3, "all tried")
    assert len(problems) == 1
    listener.close()
    for sock in (*crowd, *served):
        sock.close()


async def test_out_of_files_it_waits_and_goes_on(problems: list[dict[str, Any]]) -> None:
    class Starving(socket.socket):
        """A listening socket of a process that has too many files open, for a while."""

        has_files = False
        tried = 0

        def _accept(self) -> Any:
            if not self.has_files:
                self.tried += 1
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            return super()._accept()  # type: ignore[misc]

    with own_reactor() as reactor:
        accepted: list[socket.socket] = []
        plain = listening_socket(loopback_address(), 0)
        sock = Starving(plain.family, plain.type, plain.proto, plain.detach())
        listener = Listener(reactor, sock, lambda sock, _: accepted.append(sock))
        with contextlib.ExitStack() as clients:
            clients.enter_context(socket.create_connection(listener.address))
            await until(lambda: problems, "the shortage told")
            for _ in range(3):  # whoever comes meanwhile makes no noise, and no haste
                clients.enter_context(socket.create_connection(listener.address))
                clock_of(reactor).advance(1)
                await turns()
            assert sock.tried <= 8
            [told] = problems
            assert "cannot accept: Too many open files: who connects waits" in told["message"]
            sock.has_files = True
            clock_of(reactor).advance(1)
            await until(lambda: len(accepted) == 4, "all accepted after all")
        listener.close()
        for one in accepted:
            one.close()


@pytest.mark.parametrize(("dual_stack", "is_reachable"), [(True, True), (False, False)])
async def test_both_families_on_one_port(listen: Listen, dual_stack: bool, is_reachable: bool) -> None:
    listener, accepted = listen(host="::", dual_stack=dual_stack)
    with socket.create_connection(("::1", listener.address[1])):
        await until(lambda: accepted, "accepted over IPv6")
    if not is_reachable:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", listener.address[1]))
        return
    with socket.create_connection(("127.0.0.1", listener.address[1])):
        await until(lambda: len(accepted) == 2, "accepted over IPv4")
        assert canonical(accepted[1].getpeername())[0] == "127.0.0.1"


async def test_two_listeners_may_share_a_port_if_both_say_so() -> None:
    with listening_socket("127.0.0.1", 0, reuse_port=True) as one:
        port = one.getsockname()[1]
        with listening_socket("127.0.0.1", port, reuse_port=True):
            pass
        with pytest.raises(OSError, match="in use"):
            listening_socket("127.0.0.1", port)
