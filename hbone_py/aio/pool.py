"""The pool: peers shared by everybody who goes the same way (hbone-dataplane 5, with its faults mended).

A key says who we are, whom we accept, where we dial and for which application. Streams that end go back to the pool,
the peer's own MAX_CONCURRENT_STREAMS counts once it is known, and a failed connect fails exactly those who waited
for it. The common case is a plain call: `checkout` finds a peer with room, and no task is made.

Nobody is put beside bulk as long as another connection may be made (`placement`). If that fails, or takes long, those
who waited for it make do with what there is.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from hbone_py.errors import ConnectionClosing, HboneError, TooManyStreams
from hbone_py.placement import MAX_CONNECTIONS, choose

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from hbone_py import events as ev
    from hbone_py.aio.owners import PeerOwner
    from hbone_py.aio.peer import Peer
    from hbone_py.aio.reactor import Reactor
    from hbone_py.aio.wheel import Timer


class PeerMaker(Protocol):
    """Begins a connection; the peer (or the failure) is reported to `owner`."""

    def __call__(self, owner: PeerOwner) -> Attempt:
        """Start connecting."""


class Attempt(Protocol):
    """A connection that is being made."""

    def cancel(self) -> None:
        """Nobody wants it any more."""


_PATIENCE = 0.25
"""Seconds that a tunnel waits for a connection without bulk while it could have one with."""
_CONTENTMENT = 30.0
"""Seconds without another try where such a connection could not be had."""


@dataclass(slots=True)
class _Waiter:
    ready: Callable[[Peer], None]
    failed: Callable[[HboneError], None]


@dataclass(slots=True)
class _Place:
    """Everything the pool knows about one key."""

    peers: list[Peer] = field(default_factory=list)
    waiting: deque[_Waiter] = field(default_factory=deque)
    connecting: _PeerSlot | None = None
    content_until: float = 0.0
    """Until then no connection is made just to get away from bulk."""


class Pool:
    """Peers by key. `max_streams` bounds tunnels per connection, `idle` is seconds before an unused one closes."""

    def __init__(self, reactor: Reactor, *, max_streams: int = 100, idle: float = 300.0, capacity: int = 4096) -> None:
        self._reactor = reactor
        self._max_streams = max_streams
        self._idle = idle
        self._capacity = capacity
        self._places: dict[Hashable, _Place] = {}
        self._leaving: set[Peer] = set()
        self._count = 0
        self._is_closed = False

    def __len__(self) -> int:
        """Connections that are up."""
        return self._count

    @property
    def tunnels(self) -> int:
        """Tunnels that are open."""
        peers = [peer for place in self._places.values() for peer in place.peers]
        return sum(len(peer.engine.streams) for peer in (*peers, *self._leaving))

    def checkout(self, key: Hashable) -> Peer | None:
        """A peer with room for one more tunnel, now, or None."""
        place = self._places.get(key)
        if place is None:
            return None
        if place.peers:  # nearly always the first, and that without a look at the clock
            first = place.peers[0]
            if not first.meter.bulk_until and not first.is_stalled and self._has_room(first):
                return first
        return self._choose(place)

    def request(
        self,
        key: Hashable,
        make: PeerMaker,
        ready: Callable[[Peer], None],
        failed: Callable[[HboneError], None],
    ) -> None:
        """Call `ready` with a peer as soon as there is one, connecting if need be, or `failed`."""
        if self._is_closed:
            failed(ConnectionClosing("the pool is closed"))
            return
        place = self._places.setdefault(key, _Place())
        place.waiting.append(_Waiter(ready, failed))
        self._serve(key, place, make)

    def close(self) -> None:
        """Close every connection; whoever waits is told."""
        self._is_closed = True
        for place in list(self._places.values()):
            if place.connecting is not None:
                place.connecting.cancel()
            self._fail_waiting(place, ConnectionClosing("the pool is closed"))
            for peer in list(place.peers):
                peer.close(ConnectionClosing("connection closed due to connection drain"))
        for peer in list(self._leaving):
            peer.close()
        self._places.clear()

    def _has_room(self, peer: Peer) -> bool:
        engine = peer.engine
        return engine.room > 0 and len(engine.streams) < self._max_streams and not engine.is_crowded

    def _has_no_room_ever(self, peer: Peer) -> bool:
        """Nothing but other tunnels may be in the way of one; whoever was lent it has one now."""
        return not self._has_room(peer) and (not peer.engine.streams or peer.engine.peer_max_streams <= 0)

    def _choose(self, place: _Place) -> Peer | None:
        """A peer for one more tunnel, or None where connecting is better, or all there is."""
        now = self._reactor.wheel.now
        may_connect = len(place.peers) < MAX_CONNECTIONS and now >= place.content_until
        with_room = [peer for peer in place.peers if self._has_room(peer)]
        return choose(with_room, now, _tunnels, may_connect=may_connect)

    def _serve(self, key: Hashable, place: _Place, make: PeerMaker) -> None:
        """Give peers with room to those who wait; connect once more while somebody still does."""
        while place.waiting and (peer := self._choose(place)):
            self._hand_out(place.waiting.popleft(), peer)
        if place.waiting and place.connecting is None:
            place.connecting = _PeerSlot(self, key, place, make)
            place.connecting.start()

    def _lend(self, slot: _PeerSlot, peer: Peer) -> None:
        """One tunnel may be opened on faith; how many more, the peer's SETTINGS will say."""
        if slot.place.waiting:
            self._hand_out(slot.place.waiting.popleft(), peer)

    def make_do(self, slot: _PeerSlot) -> None:
        """There is no connection without bulk to be had now: those who wait for one take what there is."""
        place = slot.place
        place.content_until = self._reactor.wheel.now + _CONTENTMENT
        while place.waiting and (peer := self._choose(place)):
            self._hand_out(place.waiting.popleft(), peer)

    def _came_up(self, slot: _PeerSlot, peer: Peer) -> None:
        slot.place.connecting = None
        slot.place.peers.append(peer)
        self._count += 1
        if self._has_no_room_ever(peer):  # or we would connect again and again
            self._fail_waiting(slot.place, TooManyStreams("a new connection to the peer has no room for a tunnel"))
        self._serve(slot.key, slot.place, slot.make)
        if self._count > self._capacity:
            self._evict()

    def _went_down(self, slot: _PeerSlot, peer: Peer) -> None:
        self._take_out(slot.place, peer)
        self._leaving.discard(peer)
        self._tidy(slot)

    def _take_out(self, place: _Place, peer: Peer) -> None:
        if peer in place.peers:
            place.peers.remove(peer)
            self._count -= 1

    def _retire(self, place: _Place, peer: Peer) -> None:
        """Nobody uses it: it leaves, and takes no more tunnels meanwhile."""
        self._take_out(place, peer)
        self._leaving.add(peer)
        if peer.is_stalled:
            peer.farewell()
        else:  # it carries nothing that the peer's answer would have to be waited for
            peer.close()

    def _failed(self, slot: _PeerSlot, error: HboneError) -> None:
        slot.place.connecting = None
        self.make_do(slot)
        self._fail_waiting(slot.place, error)
        self._tidy(slot)

    def _tidy(self, slot: _PeerSlot) -> None:
        place = slot.place
        if not place.peers and not place.waiting and place.connecting is None and self._places.get(slot.key) is place:
            del self._places[slot.key]

    def _evict(self) -> None:
        """Over capacity: the connection that has been idle in the oldest place goes."""
        for place in self._places.values():
            for peer in place.peers:
                if not peer.engine.streams:
                    self._retire(place, peer)
                    return

    def _hand_out(self, waiter: _Waiter, peer: Peer) -> None:
        """One that fails must not keep the others waiting."""
        try:
            waiter.ready(peer)
        except Exception as error:
            self._reactor.report(self, error)

    def _fail_waiting(self, place: _Place, error: HboneError) -> None:
        waiting, place.waiting = place.waiting, deque()
        for waiter in waiting:
            try:
                waiter.failed(error)
            except Exception as another:
                self._reactor.report(self, another)


def _tunnels(peer: Peer) -> int:
    return len(peer.engine.streams)


def _made(owner: PeerOwner) -> Attempt:
    """In the place of what has made a peer, or tried to."""
    raise AssertionError("a slot makes one peer")


class _PeerSlot:
    """One connection of a place, from its first SYN to its end; owns the peer (PeerOwner)."""

    def __init__(self, pool: Pool, key: Hashable, place: _Place, make: PeerMaker) -> None:
        self.key, self.place, self.make = key, place, make
        self._pool = pool
        self._attempt: Attempt | None = None
        self._timer: Timer | None = None
        self._is_settled = False

    def start(self) -> None:
        try:
            attempt = self.make(self)
        except HboneError as error:
            self.connect_failed(error)
            return
        if not self._is_settled:
            self._attempt = attempt
            if self.place.peers:
                self._timer = self._pool._reactor.wheel.after(_PATIENCE, lambda: self._pool.make_do(self))

    def cancel(self) -> None:
        self._stop_timer()
        if self._attempt is not None:
            self._attempt.cancel()

    def peer_secured(self, peer: Peer) -> None:
        """Ready for one tunnel."""
        self._pool._lend(self, peer)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def peer_up(self, peer: Peer) -> None:
        """Ready for as many as it says."""
        self._is_settled = True
        self._pool._came_up(self, peer)
        self._let_go()
        self._watch_idle(peer)

    def peer_closed(self, peer: Peer, error: HboneError | None) -> None:
        """It ended, or never came up."""
        self._stop_timer()
        if self._is_settled:
            self._pool._went_down(self, peer)
        else:
            self.connect_failed(error or ConnectionClosing("connection closed"))

    def connect_failed(self, error: HboneError) -> None:
        """TCP never came up."""
        self._stop_timer()
        self._is_settled = True
        self._pool._failed(self, error)
        self._let_go()

    def peer_draining(self, peer: Peer) -> None:
        """GOAWAY: `engine.room` is 0 from now on; it closes when its last tunnel ends."""
        self._watch_idle(peer, soon=True)

    def tunnel_requested(self, peer: Peer, event: ev.TunnelRequested) -> None:
        """Servers open no tunnels."""

    def request_refused(self, peer: Peer, event: ev.RequestRefused) -> None:
        """Clients are asked for nothing."""

    def _let_go(self) -> None:
        """What made the peer may know us, or whoever asked first: none of them shall live as long as the peer."""
        self._attempt = None
        self.make = _made

    def _watch_idle(self, peer: Peer, *, soon: bool = False) -> None:
        """Look again after the idle time; a connection without tunnels since the last look closes."""
        self._stop_timer()
        opened = peer.engine.tunnels_opened

        def look() -> None:
            if not peer.engine.streams and (soon or peer.engine.tunnels_opened == opened):
                self._pool._retire(self.place, peer)
            else:
                self._watch_idle(peer, soon=soon or peer.engine.room == 0)

        self._timer = self._pool._reactor.wheel.after(1.0 if soon else self._pool._idle, look)
