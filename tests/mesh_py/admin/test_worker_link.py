"""Questions and answers over a UNIX socket, good and bad."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec
import pytest

from mesh_py.admin import worker_link
from mesh_py.admin.worker_link import Answer, Question, WorkerLinkError, ask, serve_questions

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / "w"
    folder.mkdir(mode=0o700)
    return folder / "1.sock"


async def echo(body: bytes) -> bytes:
    return body


async def broken(_: bytes) -> bytes:
    raise RuntimeError("no idea")


async def silent(_: bytes) -> bytes:
    await asyncio.Event().wait()
    return b""


HANDLERS = {"echo": echo, "broken": broken, "silent": silent}


@pytest.mark.parametrize("body", [b"", b"hello", bytes(60_000)], ids=len)
async def test_a_question_is_answered(path: Path, body: bytes):
    async with serve_questions(path, HANDLERS):
        assert await ask(path, "echo", body, deadline=5) == body


async def test_many_at_once(path: Path):
    async with serve_questions(path, HANDLERS), asyncio.TaskGroup() as group:
        tasks = [group.create_task(ask(path, "echo", bytes([n]), deadline=5)) for n in range(50)]
    assert [task.result() for task in tasks] == [bytes([n]) for n in range(50)]


async def test_a_large_answer(path: Path):
    async def large(_: bytes) -> bytes:
        return bytes(20_000_000)

    async with serve_questions(path, {"large": large}):
        assert len(await ask(path, "large", deadline=20)) == 20_000_000


async def test_a_failing_handler_says_so_and_the_next_question_is_answered(path: Path, caplog):
    async with serve_questions(path, HANDLERS):
        with pytest.raises(WorkerLinkError, match=r"^1\.sock: broken: no idea$"):
            await ask(path, "broken", deadline=5)
        assert await ask(path, "echo", b"x", deadline=5) == b"x"
    assert "no idea" in caplog.text


async def test_an_unknown_question(path: Path):
    async with serve_questions(path, HANDLERS):
        with pytest.raises(WorkerLinkError, match="unknown question sing"):
            await ask(path, "sing", deadline=5)


async def test_a_silent_worker_is_given_up(path: Path):
    async with serve_questions(path, HANDLERS):
        with pytest.raises(WorkerLinkError, match=r"no answer to silent in 0\.01 s"):
            await ask(path, "silent", deadline=0.01)


async def test_nobody_there(path: Path):
    with pytest.raises(WorkerLinkError, match=r"1\.sock: .*No such file"):
        await ask(path, "echo", deadline=5)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x00\x00", id="half a length"),
        pytest.param(b"\xff\xff\xff\xff", id="a length beyond the limit"),
        pytest.param(b"\x00\x00\x00\x05ab", id="cut short"),
        pytest.param(b"\x00\x00\x00\x02ab", id="not MessagePack of ours"),
    ],
)
async def test_a_malformed_question_harms_nobody(path: Path, data: bytes, caplog):
    async with serve_questions(path, HANDLERS):
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(data)
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
        assert await ask(path, "echo", b"x", deadline=5) == b"x"
    assert "cannot be read" in caplog.text


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\xff\xff\xff\xff", id="too long"),
        pytest.param(b"\x00\x00\x00\x02ab", id="not MessagePack of ours"),
        pytest.param(b"\x00\x00\x00\x09" + msgspec.msgpack.encode(Answer(b"x"))[:5], id="cut short"),
    ],
)
async def test_a_malformed_answer_is_an_error(path: Path, answer: bytes):
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(4 + len(msgspec.msgpack.encode(Question("echo"))))
        writer.write(answer)
        writer.close()

    async with await asyncio.start_unix_server(serve, path):
        with pytest.raises(WorkerLinkError, match=r"1\.sock"):
            await ask(path, "echo", deadline=5)


async def test_a_question_never_finished_is_given_up(path: Path, monkeypatch):
    monkeypatch.setattr(worker_link, "_QUESTION_SECONDS", 0.01)
    async with serve_questions(path, HANDLERS):
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"\x00")
        assert await reader.read() == b""
        writer.close()


async def test_a_socket_left_by_a_killed_process_is_replaced(path: Path):
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    async with serve_questions(path, HANDLERS):
        assert await ask(path, "echo", b"x", deadline=5) == b"x"
    assert os.listdir(path.parent) == []


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o701])
async def test_a_folder_that_others_may_enter_is_refused(path: Path, mode: int):
    os.chmod(path.parent, mode)
    with pytest.raises(WorkerLinkError, match="must belong to us alone"):
        async with serve_questions(path, HANDLERS):
            pass


async def test_a_folder_that_is_not_there(tmp_path: Path):
    with pytest.raises(WorkerLinkError, match="No such file"):
        async with serve_questions(tmp_path / "none" / "1.sock", HANDLERS):
            pass


async def test_an_asker_that_left_is_no_trouble(path: Path):
    asked, answered = asyncio.Event(), asyncio.Event()

    async def slow(_: bytes) -> bytes:
        asked.set()
        await answered.wait()
        return bytes(1_000_000)

    async with serve_questions(path, {**HANDLERS, "slow": slow}):
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(ask(path, "slow", deadline=5))
            await asked.wait()
            asking.cancel()
            with suppress(asyncio.CancelledError):
                await asking
        answered.set()
        assert await ask(path, "echo", b"x", deadline=5) == b"x"
