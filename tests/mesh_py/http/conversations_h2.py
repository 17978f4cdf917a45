"""Conversations of HTTP/2: plain h2 at the other end of a codec."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from h2.config import H2Configuration
from h2.connection import H2Connection

from mesh_py.http.codec_h2 import H2Client, H2Server
from mesh_py.http.headers import Headers
from mesh_py.http.limits import Limits
from mesh_py.http.messages import HttpRequest, HttpResponse

if TYPE_CHECKING:
    import h2.events

    from mesh_py.http.events import Event

GET = [(":method", "GET"), (":scheme", "http"), (":path", "/hello"), (":authority", "web")]
POST = [(":method", "POST"), *GET[1:]]
WEBSOCKET = [(":method", "CONNECT"), (":protocol", "websocket"), *GET[1:]]


class Peer:
    """Plain h2 at the other end of a codec."""

    def __init__(self, codec: H2Server | H2Client) -> None:
        self.codec = codec
        config = H2Configuration(
            client_side=isinstance(codec, H2Server),
            header_encoding="latin-1",
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
        )
        self.h2 = H2Connection(config)
        self.h2.initiate_connection()
        self.seen: list[h2.events.Event] = []
        self.pump()

    def pump(self) -> list[Event]:
        """Carry bytes both ways until none are left; what the codec reported."""
        events: list[Event] = []
        while True:
            ours, theirs = b"".join(self.codec.data_to_send()), self.h2.data_to_send()
            if not ours and not theirs:
                return events
            self.seen += self.h2.receive_data(ours)
            self.codec.receive_data(theirs)
            while self.codec.has_rest:
                self.codec.go_on()
            events += self.codec.events()

    def take(self, *kinds: type[h2.events.Event]) -> list[h2.events.Event]:
        """Events of these kinds that the peer has seen since the last call."""
        seen, self.seen = self.seen, []
        return [event for event in seen if isinstance(event, kinds)]


def texts(event: h2.events.RequestReceived | h2.events.ResponseReceived | h2.events.TrailersReceived) -> list[Any]:
    """The fields as the peer's h2 gives them, which is text whatever its types say."""
    return [tuple(field) for field in event.headers]


def served(limits: Limits | None = None) -> tuple[H2Server, Peer]:
    server = H2Server(limits or Limits())
    return server, Peer(server)


def asked(limits: Limits | None = None) -> tuple[H2Client, Peer]:
    client = H2Client(limits or Limits())
    return client, Peer(client)


def get(path: str = "/", method: str = "GET") -> HttpRequest:
    return HttpRequest(method, path, "web", Headers([("x-a", "1")]))


def ok(*fields: tuple[str, str], status: int = 200) -> HttpResponse:
    return HttpResponse(status, Headers(fields))
