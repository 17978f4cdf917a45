"""Conversations of HTTP/1: what is said in many of them, and both codecs at work."""

from __future__ import annotations

from mesh_py.http.codec_h1 import H1Client, H1Server
from mesh_py.http.events import AnswerReceived, ConnectionFailed, DataReceived, Event, PeerLeaving
from mesh_py.http.headers import Headers
from mesh_py.http.limits import Limits
from mesh_py.http.messages import HttpRequest, HttpResponse

GET = b"GET /hello?x=1 HTTP/1.1\r\nHost: web\r\nAccept: */*\r\n\r\n"
POST = b"POST /in HTTP/1.1\r\nHost: web\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"POST /in HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n6;ext=1\r\n world\r\n0\r\nX-Sum: 11\r\n\r\n"
)
WEBSOCKET = (
    b"GET /chat HTTP/1.1\r\nHost: web\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: x\r\n\r\n"
)


def sent(codec: H1Server | H1Client) -> bytes:
    return b"".join(codec.data_to_send())


def serve(*pieces: bytes, limits: Limits | None = None) -> tuple[H1Server, list[Event]]:
    server = H1Server(limits or Limits())
    for piece in pieces:
        server.receive_data(piece)
    return server, server.events()


def ask(request: HttpRequest, *, ended: bool = True) -> H1Client:
    client = H1Client()
    client.send_request(request, ended=ended)
    client.data_to_send()
    return client


def get(path: str = "/", method: str = "GET", **headers: str) -> HttpRequest:
    return HttpRequest(method, path, "web", Headers(headers.items()))


def ok(*fields: tuple[str, str], status: int = 200) -> HttpResponse:
    return HttpResponse(status, Headers(fields))


def body_of(events: list[Event]) -> bytes:
    return b"".join(event.data for event in events if isinstance(event, DataReceived | AnswerReceived))


def closes(codec: H1Server | H1Client) -> bool:
    return codec.is_closing


def takes_another(client: H1Client) -> bool:
    return client.can_open


def streams(events: list[Event]) -> set[int]:
    return {event.stream for event in events if not isinstance(event, PeerLeaving | ConnectionFailed)}
