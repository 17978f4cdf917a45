"""A body read again for a further attempt, as far as it is short."""

from __future__ import annotations

from mesh_py.exchange.body import Body
from mesh_py.exchange.replay import Replay
from mesh_py.http.headers import Headers


def body_of(*pieces: bytes, is_whole: bool = True) -> Body:
    body = Body(lambda _: None)
    for piece in pieces:
        body.put(piece, len(piece))
    if is_whole:
        body.end(Headers([("t", "v")]))
    return body


async def read_all(replay: Replay) -> list[bytes]:
    found = []
    while piece := await replay.read():
        found.append(piece)
    return found


async def test_it_is_read_from_its_beginning_again() -> None:
    replay = Replay(body_of(b"one", b"two"))
    assert await replay.read() == b"one"
    replay.restart()
    assert await read_all(replay) == [b"one", b"two"]
    replay.restart()
    assert await read_all(replay) == [b"one", b"two"]
    assert replay.trailers == Headers([("t", "v")])


async def test_a_long_one_is_not_kept() -> None:
    replay = Replay(body_of(b"12345", b"6"), kept=5)
    assert await replay.read() == b"12345"
    assert replay.can_restart
    assert await replay.read() == b"6"
    assert not replay.can_restart


async def test_once_settled_nothing_more_is_kept() -> None:
    body = body_of(b"one", is_whole=False)
    replay = Replay(body)
    assert (await replay.read(), replay.has_begun) == (b"one", True)
    replay.settle()
    assert not replay.can_restart
    body.put(b"two", 3)
    body.end()
    assert await read_all(replay) == [b"two"]
