"""The heart of the data path: edge-triggered sockets under the event loop (hot-path 1 to 4).

Every data socket is registered once, for what it brings; the first time it is full, for room too, and so it stays. We
take a whole batch, run each socket's handler directly, then let every connection that collected output write it once.
What stopped for fairness comes back through the ready list. Under a loop of ours (`loop.ReactorLoop`) we wait in the
loop's place; any other loop watches our epoll's descriptor and wakes us.

Edge-triggered means: a handler reads until a short read or a refusal, or it remembers that it stopped early and asks
for `again`, or for a place in line (`later`). Nobody else will tell it. A handler whose write was refused says so
(`await_room`), or nobody tells it of room.

Who moves bulk stands in line: one moves a piece, then we look for whoever has little to say, and serve all those first.
So a small message waits for a piece at most, however many streams of bulk there are.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import select
from time import monotonic
from typing import TYPE_CHECKING, Protocol
from weakref import WeakKeyDictionary

from hbone_py.aio import native
from hbone_py.aio.loop import ReactorLoop
from hbone_py.aio.outbox import Outbox
from hbone_py.aio.pieces import READ_SIZE, RECORDS, scattered
from hbone_py.aio.watch import Watch
from hbone_py.aio.wheel import TimerWheel
from hbone_py.errors import ErrorCode
from hbone_py.events import TunnelReset
from hbone_py.flow import UnreadLedger
from hbone_py.tls.buffers import SharedBuffer
from hbone_py.tls.records import FULL_RECORD, LARGEST_PLAINTEXT

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from hbone_py.aio.peer import Peer
    from hbone_py.aio.peer_output import PeerOutput

log = logging.getLogger(__name__)

SHORT_PIECES = 512
"""Somebody says little and often: a message was less than so many pieces of bulk ago. Then pieces are short, and we
look for more of them after each,"""
_PIECES_A_TURN = 2
"""else after so many."""

ARRIVAL = select.EPOLLIN
"""What an edge says of a socket that never was full when bytes have come and nothing else is to be told."""
READABLE = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
WRITABLE = select.EPOLLOUT | select.EPOLLHUP | select.EPOLLERR
CLOSING = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
BROKEN = select.EPOLLERR
_ARRIVALS = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET
_EVERYTHING = _ARRIVALS | select.EPOLLOUT
_GATHERED = 8
"""While a few sockets are ready at once, so many more looks are taken before connections write: what all of them have
to say goes in one record and one packet then. Who is alone never waits for that look,"""
_FEW = 32
"""nor does a batch of more than so many, whose record is large as it is.

In a crowd (`Watch.is_crowded`) a look that finds nothing is followed by one that lets others have our core first, once:
mostly those who talk to us, and what they say goes along (decision 0027)."""
_STEPS_A_TURN = 32
"""So many steps of handshakes, hundreds of microseconds each, before everybody else has a turn."""
_LONG_TURNS = 8
"""Turns with bulk from one look at another loop than ours to the next: its timers and tasks wait meanwhile."""


class Pollable(Protocol):
    """Whoever owns a registered socket."""

    def on_ready(self, mask: int) -> None:
        """The kernel reports an edge: READABLE, WRITABLE, CLOSING or BROKEN bits."""

    def on_again(self) -> None:
        """The turn that was asked for with `Reactor.again`."""

    def abort(self, error: Exception) -> None:
        """The handler raised: this socket is done for; others go on."""


class Reactor:
    """One per event loop (`Reactor.current()`). Not thread-safe: it lives in its loop's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.wheel = TimerWheel(loop)
        self.ledger = UnreadLedger()
        """Unread bytes of all connections here; the process sets its limit."""
        self.peers: set[Peer] = set()
        self.ciphertext_in = SharedBuffer(RECORDS * FULL_RECORD)
        self.plaintext_in = SharedBuffer(READ_SIZE + LARGEST_PLAINTEXT)  # and the rest of a record that was cut off
        self.plaintext_out = SharedBuffer(READ_SIZE)
        self.ciphertext_out = SharedBuffer(READ_SIZE + 64 * 1024)
        self.ways = native.ways(self.ciphertext_in, self.plaintext_in, self.ciphertext_out)
        """How messages come and go in C; None where plain Python does it."""
        self.outbox = Outbox()
        self.frames = native.frames(self.outbox.buffer)
        """How applications' bytes come and go in C; likewise."""
        self.scattered = scattered(self.plaintext_out.view)
        self._sockets: dict[int, Pollable] = {}
        self._fresh: set[int] = set()  # registered since the batch began: what it reports is of an older socket
        self._with_room: set[int] = set()  # room is reported of these
        self._handed_on: dict[int, tuple[socket.socket, int]] = {}
        self._ready: dict[Pollable, int] = {}
        """Whose turn comes next, with the edges that somebody else was told of in its place."""
        self._line: dict[Pollable, None] = {}
        """Who has bulk to move, in turn."""
        self.short_pieces = 0
        """How many more pieces of bulk are short ones; set to SHORT_PIECES by whoever says little."""
        self._steps_left = 0
        self._dirty: list[PeerOutput] = []
        self._afterwards: list[Callable[[], None]] = []
        self.streams_shed = 0
        """How many streams were reset because the process had no memory left for their unread bytes."""
        self.is_called = False
        """The loop has something to do, so that we may not wait in its place; the loop's to set."""
        self._running = False
        self._scheduled = False
        shared = loop.join(self) if isinstance(loop, ReactorLoop) else None
        self._is_waiting = shared is not None  # in the loop's place
        self._epoll = select.epoll() if shared is None else select.epoll.fromfd(os.dup(shared))
        if shared is None:
            loop.add_reader(self._epoll.fileno(), self._wake)
        self.watch = Watch(self._epoll)

    @staticmethod
    def current() -> Reactor:
        """The reactor of the running loop, made on first use."""
        loop = asyncio.get_running_loop()
        reactor = _reactors.get(loop)
        if reactor is None:
            for other in [reactor for old, reactor in _reactors.items() if old.is_closed()]:
                other.close()
            reactor = _reactors[loop] = Reactor(loop)
        return reactor

    def close(self) -> None:
        """Let go of the loop; sockets are their owners' business."""
        _reactors.pop(self.loop, None)
        self.wheel.close()
        self.is_called = True
        if isinstance(self.loop, ReactorLoop):
            self.loop.part(self)
        if not self._epoll.closed:
            if not self.loop.is_closed() and not self._is_waiting:
                self.loop.remove_reader(self._epoll.fileno())
            self._epoll.close()

    @property
    def open_sockets(self) -> int:
        """How many sockets are registered."""
        return len(self._sockets)

    # Sockets ---------------------------------------------------------------

    def register(self, fd: int, pollable: Pollable, *, with_room: bool = False) -> None:
        """Watch a non-blocking socket. What it has to read by now, or its end, is reported right away.

        `with_room`: it has none (it is connecting, say), and that there is some is reported too.
        """
        self._sockets[fd] = pollable
        if self._handed_on and self._takes_over(fd, pollable):
            return  # what this batch has yet to report of it is true
        self._fresh.add(fd)
        if with_room:
            self._with_room.add(fd)
        else:
            self._with_room.discard(fd)
        self._epoll.register(fd, _EVERYTHING if with_room else _ARRIVALS)

    def await_room(self, fd: int) -> None:
        """A registered socket took less than it was given: report when there is room, now and from now on.

        Most sockets are never full, and each would wake us once more when it is new. The kernel looks at the socket as
        it is told, so that room which has come since the refusal is reported as well.
        """
        if fd not in self._with_room:
            self._with_room.add(fd)
            self._epoll.modify(fd, _EVERYTHING)

    def _takes_over(self, fd: int, pollable: Pollable) -> bool:
        """Whether somebody has handed on this very socket."""
        sock, edges = self._handed_on.pop(fd, (None, 0))
        if sock is None or sock.fileno() != fd:  # it was closed, and its number is another's now
            return False
        if edges & READABLE:
            self._ready[pollable] = edges
            self._again()
        return True

    def hand_on(self, sock: socket.socket, edges: int) -> None:
        """Whoever registers this socket next takes it over as it is watched already; `edges` were reported so far."""
        self._handed_on[sock.fileno()] = sock, edges

    def take_back(self, fd: int) -> None:
        """Nobody took it over: watch it no more."""
        if self._handed_on.pop(fd, None) is not None:
            self.forget(fd)
            with contextlib.suppress(OSError):  # it may be closed already
                self._epoll.unregister(fd)

    def unregister(self, fd: int) -> None:
        """Stop watching; call it before the socket is closed."""
        self._handed_on.pop(fd, None)
        self._with_room.discard(fd)
        if self._sockets.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def forget(self, fd: int) -> None:
        """The socket is about to be closed, which ends the kernel's interest by itself: a system call saved."""
        self._sockets.pop(fd, None)

    # Turns ---------------------------------------------------------------

    def again(self, pollable: Pollable) -> None:
        """Give `pollable` another turn in this batch's end or the next batch."""
        self._ready.setdefault(pollable, 0)
        self._again()

    def later(self, pollable: Pollable) -> None:
        """Give `pollable`, which has bulk to move, a turn when those before it in line have had theirs."""
        self._line.setdefault(pollable, None)
        self._again()

    def has_time(self) -> bool:
        """Whether this batch has time for one more step of a handshake; who gets none waits in line (`later`)."""
        self._steps_left -= 1
        return self._steps_left >= 0

    def _again(self) -> None:
        if not self._running:
            self._schedule()

    def touch(self, peer: PeerOutput) -> None:
        """`peer` has output: let it write once, when the batch is over."""
        if not peer.is_dirty:
            peer.is_dirty = True
            self._dirty.append(peer)
            if not self._running:
                self._schedule()

    def at_batch_end(self, callback: Callable[[], None]) -> None:
        """Call `callback` once, when the batch is over and everybody has written; soon, if there is none."""
        self._afterwards.append(callback)
        if not self._running:
            self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled and not self._is_waiting:
            self._scheduled = True
            self.loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        self._scheduled = False
        self._wake()

    def _wake(self) -> None:
        """Another loop than ours has found our epoll ready, or it is time for what was put off."""
        if self._epoll.closed:
            return
        self._turn(0)
        for _ in range(_LONG_TURNS):
            if not self._line:
                break
            self._turn(0)
        if self._ready or self._line or self._afterwards:
            self._schedule()

    def wait(self, timeout: float) -> list[tuple[int, int]]:
        """Wait in the loop's place: see `loop.DataPath`.

        A turn follows the other as long as there is nothing for the loop. Time is looked at after each, or steady
        traffic would keep timers from being called.
        """
        self.is_called = False
        if self._dirty:
            self._flush_all()
        if self._afterwards:
            self._call_afterwards()
        until = monotonic() + timeout
        left = timeout
        while True:
            is_awaited = self._ready or self._line or self._afterwards or self.is_called
            others = self._turn(0 if is_awaited else left)
            if others or self.is_called or not timeout:
                return others
            if timeout > 0:
                left = until - monotonic()
                if left <= 0:
                    return others

    def _turn(self, timeout: float) -> list[tuple[int, int]]:
        """One batch: what the kernel reports, what asked for another turn, everybody's output, then a piece of bulk.

        Returns what the kernel reports of descriptors that are not registered here.
        """
        others: list[tuple[int, int]] = []
        events = self.watch.wait(timeout)
        self._running = True
        self._steps_left = _STEPS_A_TURN
        self._serve(events, others)
        served = len(events)
        if self._dirty and served <= _FEW and not others and (served > 1 or self.watch.is_crowded):
            served = self._gather(served, others)
        if self._dirty:
            self._flush_all()
        if served:
            self.watch.served(served)
        if self._line:  # now, not before the next wait: that one need not be in vain then
            self._move_bulk()
            self._flush_all()
        ledger = self.ledger
        if ledger.withheld or ledger.used > ledger.limit:
            self._watch_memory()
        if self._afterwards:
            self._call_afterwards()
        self._running = False
        return others

    def _gather(self, served: int, others: list[tuple[int, int]]) -> int:
        """Serve what becomes ready before connections write, beside `served` sockets; how many it is in all."""
        gives_way = self.watch.is_crowded
        for _ in range(_GATHERED):
            events = self.watch.wait(0)
            if events:
                self._serve(events, others)
                served += len(events)
                if others or served > _FEW:
                    break
            elif gives_way:
                gives_way = False
                os.sched_yield()
            else:
                break
        return served

    def _serve(self, events: list[tuple[int, int]], others: list[tuple[int, int]]) -> None:
        """Everybody whom the kernel or somebody here has called; what is not registered here goes to `others`."""
        sockets, fresh = self._sockets, self._fresh
        if fresh:
            fresh.clear()
        for fd, mask in events:
            pollable = sockets.get(fd)
            if pollable is None:
                others.append((fd, mask))
            elif fd not in fresh:
                try:
                    pollable.on_ready(mask)
                except Exception as error:
                    self._broken(pollable, error)
        if self._ready:
            self._give_turns()

    def _move_bulk(self) -> None:
        """The turns of the first in line."""
        line = self._line
        self.watch.moved_bulk()
        for _ in range(_PIECES_A_TURN):
            if not line:
                return
            pollable = next(iter(line))
            del line[pollable]
            try:
                pollable.on_again()
            except Exception as error:
                self._broken(pollable, error)
            if self.short_pieces:
                self.short_pieces -= 1
                os.sched_yield()  # or whoever talks waits on our core until the kernel's next tick
                return

    def _give_turns(self) -> None:
        """To those who asked for another."""
        ready, self._ready = self._ready, {}
        for pollable, edges in ready.items():
            try:
                if edges:
                    pollable.on_ready(edges)
                else:
                    pollable.on_again()
            except Exception as error:
                self._broken(pollable, error)

    def _call_afterwards(self) -> None:
        """What somebody has put off to the end of the batch."""
        afterwards, self._afterwards = self._afterwards, []
        for callback in afterwards:
            try:
                callback()
            except Exception as error:
                self.report(callback, error)

    def _flush_all(self) -> None:
        """Until nobody has output left: a flush may end a connection, and its streams may have something to say."""
        while self._dirty:
            dirty, self._dirty = self._dirty, []
            for peer in dirty:
                peer.is_dirty = False
                try:
                    peer.flush()
                except Exception as error:
                    self._broken(peer, error)

    def report(self, where: object, error: Exception) -> None:
        """A handler of ours has failed, which is a fault of ours: say so where the loop's faults are told."""
        self.loop.call_exception_handler({"message": f"{where}: unexpected error", "exception": error})

    def _broken(self, pollable: Pollable, error: Exception) -> None:
        self.report(pollable, error)
        try:
            pollable.abort(error)
        except Exception as another:
            self.report(pollable, another)

    def _watch_memory(self) -> None:
        """Return withheld credit once memory is free; over the budget reset whoever holds most."""
        ledger = self.ledger
        if ledger.used > ledger.limit:
            self._shed()
        for engine in ledger.relieved():
            engine.return_credit()
            for peer in self.peers:
                if peer.engine is engine:
                    self.touch(peer)
        self._flush_all()

    def _shed(self) -> None:
        ledger = self.ledger
        greedy = sorted(ledger.holding, key=lambda stream: stream.unread, reverse=True)
        peers = {peer.engine: peer for peer in self.peers}
        for stream in greedy:
            if ledger.used <= ledger.limit:
                return
            self.streams_shed += 1
            log.warning("out of memory for unread bytes: stream reset, %d bytes dropped", stream.unread)
            engine = ledger.holding[stream]
            engine.reset(stream, ErrorCode.ENHANCE_YOUR_CALM)
            if engine in peers:
                self.touch(peers[engine])
            if stream.owner is not None:
                reset = TunnelReset(stream.stream_id, ErrorCode.ENHANCE_YOUR_CALM, by_peer=False, stream=stream)
                try:
                    stream.owner.tunnel_reset(reset)
                except Exception as error:
                    self.report(stream.owner, error)


_reactors: WeakKeyDictionary[asyncio.AbstractEventLoop, Reactor] = WeakKeyDictionary()
