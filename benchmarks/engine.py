"""The engine alone: two sides joined in memory, no sockets, no TLS; plain h2 beside it in the same run.

    python -m benchmarks.engine [--seconds 0.5] [--rounds 5]

Each figure is both sides' work together: what one tunnel, or one DATA frame, costs from sender to reader.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RequestReceived, ResponseReceived, StreamEnded

from hbone_py.connection import HboneConnection
from hbone_py.events import TunnelEnded, TunnelRequested
from hbone_py.header_blocks import connect_block, literals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hbone_py.streams import Stream

AUTHORITY = b"10.0.0.7:8080"
HEADERS = [
    (
        b"baggage",
        b"k8s.cluster.name=Kubernetes,k8s.namespace.name=default,k8s.deployment.name=sleep,service.name=sleep,"
        b"service.version=v1,cloud.region=r1,cloud.availability_zone=z1",
    ),
    (b"forwarded", b'for="10.0.0.3:51234";host=httpbin.default.svc.cluster.local'),
    (b"traceparent", b"00-0123456789abcdef0123456789abcdef-0123456789abcdef-00"),
]
BLOCK = connect_block(AUTHORITY, literals(HEADERS))
TUNNELS_PER_CONNECTION = 10_000


class Ours:
    """Two engines of ours, back to back."""

    def __init__(self) -> None:
        self.client = HboneConnection(client=True)
        self.server = HboneConnection(client=False)
        self.pump()

    def pump(self) -> None:
        """Carry bytes until both sides are silent."""
        while True:
            up, down = self.client.data_to_send(), self.server.data_to_send()
            if not up and not down:
                return
            if up:
                self.server.receive_data(b"".join(up))
            if down:
                self.client.receive_data(b"".join(down))

    def open(self) -> tuple[Stream, Stream]:
        """A tunnel, answered: the client's stream and the server's."""
        stream = self.client.open_tunnel(BLOCK)
        self.pump()
        accepted: Stream | None = None
        for event in self.server.events():
            if type(event) is TunnelRequested:
                accepted = event.stream
                self.server.accept_tunnel(event.stream)
        self.pump()
        self.client.events()
        assert accepted is not None
        return stream, accepted

    def tunnel(self) -> None:
        """CONNECT, 200, END_STREAM each way."""
        stream, accepted = self.open()
        self.client.end(stream)
        self.pump()
        for event in self.server.events():
            if type(event) is TunnelEnded:
                self.server.end(accepted)
        self.pump()
        self.client.events()

    def data(self, size: int) -> Callable[[], None]:
        """One DATA frame of `size` bytes, read at once."""
        payload = bytes(size)
        stream, accepted = self.open()
        accepted.sink = lambda pieces, count: count

        def once() -> None:
            self.client.send(stream, payload)
            self.server.receive_data(self.client.data_to_send()[0])
            if credit := self.server.data_to_send():
                self.client.receive_data(b"".join(credit))

        return once


class PlainH2:
    """Two h2 connections doing the same."""

    def __init__(self) -> None:
        self.client = H2Connection(H2Configuration(client_side=True, header_encoding=None))
        self.server = H2Connection(H2Configuration(client_side=False, header_encoding=None))
        self.client.initiate_connection()
        self.server.initiate_connection()
        self.pump()

    def pump(self) -> list[object]:
        """Carry bytes until both sides are silent; what happened."""
        happened: list[object] = []
        while True:
            up = self.client.data_to_send()
            if up:
                happened += self.server.receive_data(up)
            down = self.server.data_to_send()
            if down:
                happened += self.client.receive_data(down)
            if not up and not down:
                return happened

    def open(self) -> int:
        """A tunnel, answered: its stream's number."""
        number = self.client.get_next_available_stream_id()
        self.client.send_headers(number, [(b":method", b"CONNECT"), (b":authority", AUTHORITY), *HEADERS])
        for event in self.pump():
            if isinstance(event, RequestReceived):
                self.server.send_headers(number, [(b":status", b"200")])
        assert any(isinstance(event, ResponseReceived) for event in self.pump())
        return number

    def tunnel(self) -> None:
        """CONNECT, 200, END_STREAM each way."""
        number = self.open()
        self.client.end_stream(number)
        assert any(isinstance(event, StreamEnded) for event in self.pump())
        self.server.end_stream(number)
        self.pump()

    def data(self, size: int) -> Callable[[], None]:
        """One DATA frame of `size` bytes, read at once."""
        payload = bytes(size)
        number = self.open()

        def once() -> None:
            self.client.send_data(number, payload)
            for event in self.server.receive_data(self.client.data_to_send()):
                if isinstance(event, DataReceived):
                    self.server.acknowledge_received_data(size, number)
            if credit := self.server.data_to_send():
                self.client.receive_data(credit)

        return once


def microseconds(once: Callable[[], object], seconds: float, most: int = 1_000_000) -> float:
    """Mean CPU time of one call over about `seconds`: other processes must not count."""
    clock, done = time.process_time, 0
    started = clock()
    while done < most:
        for _ in range(50):
            once()
        done += 50
        if clock() - started > seconds:
            break
    return (clock() - started) / done * 1e6


def cases() -> Iterator[tuple[str, Callable[[], Callable[[], None]], Callable[[], Callable[[], None]]]]:
    """Name, ours, plain h2; each makes a fresh pair of connections."""
    yield "tunnel: CONNECT, 200, both ends", lambda: Ours().tunnel, lambda: PlainH2().tunnel
    yield "DATA frame, 64 bytes", lambda: Ours().data(64), lambda: PlainH2().data(64)
    yield "DATA frame, 16 KiB", lambda: Ours().data(16_384), lambda: PlainH2().data(16_384)


@click.command()
@click.option("--seconds", default=0.5, help="Measured time of each figure in a round.")
@click.option("--rounds", default=5, help="Rounds; the least disturbed one counts.")
def main(seconds: float, rounds: int) -> None:
    """Print microseconds per operation, both sides together: ours and plain h2."""
    click.echo(f"{'microseconds, both sides together':40}{'ours':>10}{'plain h2':>12}{'ratio':>8}")
    for name, ours, plain in cases():
        best = [
            min(microseconds(make(), seconds, TUNNELS_PER_CONNECTION) for _ in range(rounds)) for make in (ours, plain)
        ]
        click.echo(f"{name:40}{best[0]:10.2f}{best[1]:12.2f}{best[1] / best[0]:8.1f}")


if __name__ == "__main__":
    main()
