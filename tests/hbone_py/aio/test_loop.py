"""Our own loop: data sockets and everything that asyncio does share one wait, and neither keeps the other waiting."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from hbone_py.aio.loop import ReactorLoop
from hbone_py.aio.reactor import READABLE, Reactor
from tests.support.sockets import SECONDS, tcp_pair, until

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Coroutine


def run(main: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=ReactorLoop) as runner:
        runner.run(asyncio.wait_for(main, SECONDS))


class PingPong:
    """Two ends of a connection that send each other a byte for ever: there is always something ready."""

    def __init__(self, reactor: Reactor) -> None:
        self.trips = 0
        self.on_trip: Callable[[], object] = bool
        self._reactor = reactor
        self._ends = tcp_pair()
        for end in self._ends:
            end.setblocking(False)
            reactor.register(end.fileno(), _End(self, end))
        self._ends[0].send(b"x")

    def close(self) -> None:
        for end in self._ends:
            self._reactor.unregister(end.fileno())
            end.close()


class _End:
    def __init__(self, game: PingPong, sock: socket.socket) -> None:
        self._game, self._sock = game, sock

    def on_ready(self, mask: int) -> None:
        if mask & READABLE:
            self._sock.send(self._sock.recv(1))
            self._game.trips += 1
            self._game.on_trip()

    def on_again(self) -> None:
        raise AssertionError("nobody asked")

    def abort(self, error: Exception) -> None:
        raise error


@pytest.fixture
def traffic() -> Callable[[], PingPong]:
    return lambda: PingPong(Reactor.current())


def finish(game: PingPong) -> None:
    game.close()
    Reactor.current().close()


def test_a_timer_is_called_in_the_midst_of_traffic(traffic: Callable[[], PingPong]) -> None:
    async def main() -> None:
        game = traffic()
        await until(lambda: game.trips > 10, "traffic")
        began, before = time.monotonic(), game.trips
        await asyncio.sleep(0.05)
        assert time.monotonic() - began >= 0.05
        assert game.trips > before
        finish(game)

    run(main())


def test_a_socket_of_the_loops_own_is_served_in_the_midst_of_traffic(traffic: Callable[[], PingPong]) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(5))
        writer.close()

    async def main() -> None:
        game = traffic()
        async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
            writer.write(b"hello")
            assert await reader.read() == b"hello"
            writer.close()
        finish(game)

    run(main())


def test_another_thread_is_heard(traffic: Callable[[], PingPong]) -> None:
    async def main() -> None:
        game = traffic()
        heard = asyncio.Event()
        loop = asyncio.get_running_loop()
        thread = threading.Thread(target=lambda: loop.call_soon_threadsafe(heard.set))
        thread.start()
        await heard.wait()
        thread.join()
        finish(game)

    run(main())


@pytest.mark.parametrize("ask", ["call_soon", "call_later", "future"])
def test_what_a_handler_gives_the_loop_to_do_is_done_at_once(ask: str) -> None:
    """One byte arrives and nothing after it: whoever waited on for the next would never come to the loop."""

    async def main() -> None:
        loop, reactor = asyncio.get_running_loop(), Reactor.current()
        done: asyncio.Future[None] = loop.create_future()
        near, far = tcp_pair()
        near.setblocking(False)

        class Asking(_End):
            def __init__(self) -> None: ...

            def on_ready(self, mask: int) -> None:
                if not mask & READABLE or done.done():
                    return
                if ask == "call_soon":
                    loop.call_soon(done.set_result, None)
                elif ask == "call_later":
                    loop.call_later(0.001, done.set_result, None)
                else:
                    done.set_result(None)

        reactor.register(near.fileno(), Asking())
        loop.call_later(0.01, far.send, b"x")
        await done
        reactor.unregister(near.fileno())
        near.close()
        far.close()
        reactor.close()

    run(main())


def test_a_second_reactor_waits_as_on_any_loop() -> None:
    async def main() -> None:
        first, second = Reactor.current(), Reactor(asyncio.get_running_loop())
        games = [PingPong(first), PingPong(second)]
        reached = [asyncio.Event(), asyncio.Event()]
        for game, event in zip(games, reached, strict=True):
            game.on_trip = event.set
        for event in reached:
            await event.wait()
        for game in games:
            game.close()
        second.close()
        first.close()
        await asyncio.sleep(0)  # with nobody in its place the loop waits by itself

    run(main())


def test_a_reactor_closed_by_its_own_handler_leaves_the_loop_running(traffic: Callable[[], PingPong]) -> None:
    async def main() -> None:
        game = traffic()
        closed = asyncio.Event()

        def close() -> None:
            if not closed.is_set():
                closed.set()
                game.close()
                reactor.close()

        reactor = Reactor.current()
        game.on_trip = close
        await closed.wait()
        await asyncio.sleep(0)

    run(main())
