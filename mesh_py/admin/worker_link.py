"""How worker processes are asked: one question, one answer, over a UNIX socket only we may open.

A message is its length in 4 bytes, high byte first, then MessagePack.
"""

from __future__ import annotations

import asyncio
import logging
import os
import stat
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from pathlib import Path

    WorkerHandler = Callable[[bytes], Awaitable[bytes]]

log = logging.getLogger("workers")

MAX_QUESTION = 64 * 1024
MAX_ANSWER = 256 * 1024 * 1024
_QUESTION_SECONDS = 5.0


class WorkerLinkError(Exception):
    """A worker cannot be asked, or its answer cannot be had; the text says which and why."""


class Question(msgspec.Struct):
    """`kind` chooses the handler, which alone knows what `body` means."""

    kind: str
    body: bytes = b""


class Answer(msgspec.Struct):
    """The handler's bytes, or what went wrong."""

    body: bytes = b""
    error: str = ""


@asynccontextmanager
async def serve_questions(path: Path, handlers: Mapping[str, WorkerHandler]) -> AsyncIterator[None]:
    """Answer questions on a UNIX socket at `path` until the context is left.

    Raises:
        WorkerLinkError: others may enter the folder, or the socket cannot be made.
    """
    _check_private(path.parent)
    _remove(path)  # of a process that was killed

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _answer_one(reader, writer, handlers)
        finally:
            writer.close()

    try:
        server = await asyncio.start_unix_server(serve, path)
    except OSError as error:
        raise WorkerLinkError(f"{path}: cannot listen: {error.strerror}") from error
    try:
        async with server:
            yield
    finally:
        _remove(path)


async def ask(path: Path, kind: str, body: bytes = b"", *, deadline: float) -> bytes:
    """The answer of the worker at `path`. Raises WorkerLinkError, also when `deadline` seconds have passed."""
    try:
        async with asyncio.timeout(deadline):
            return await _exchange(path, Question(kind, body))
    except TimeoutError:
        raise WorkerLinkError(f"{path.name}: no answer to {kind} in {deadline} s") from None
    except (OSError, EOFError, msgspec.DecodeError) as error:
        raise WorkerLinkError(f"{path.name}: {error}") from error


async def _exchange(path: Path, question: Question) -> bytes:
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        await _send(writer, msgspec.msgpack.encode(question))
        answer = msgspec.msgpack.decode(await _receive(reader, MAX_ANSWER), type=Answer)
    finally:
        writer.close()
    if answer.error:
        raise WorkerLinkError(f"{path.name}: {answer.error}")
    return answer.body


async def _answer_one(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handlers: Mapping[str, WorkerHandler]
) -> None:
    try:
        async with asyncio.timeout(_QUESTION_SECONDS):
            data = await _receive(reader, MAX_QUESTION)
        question = msgspec.msgpack.decode(data, type=Question)
    except (TimeoutError, EOFError, OSError, msgspec.DecodeError) as error:
        log.warning("a question that cannot be read: %s", error)
        return
    try:
        answer = Answer(await handlers[question.kind](question.body))
    except KeyError:
        answer = Answer(error=f"unknown question {question.kind}")
    except Exception as error:
        log.exception("cannot answer %s", question.kind)
        answer = Answer(error=f"{question.kind}: {error}")
    try:
        await _send(writer, msgspec.msgpack.encode(answer))
    except OSError as error:
        log.debug("the answer to %s came too late: %s", question.kind, error)


async def _send(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(len(data).to_bytes(4, "big"))
    writer.write(data)
    await writer.drain()


async def _receive(reader: asyncio.StreamReader, limit: int) -> bytes:
    size = int.from_bytes(await reader.readexactly(4), "big")
    if size > limit:
        raise EOFError(f"a message of {size} bytes, the limit is {limit}")
    return await reader.readexactly(size)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


def _check_private(folder: Path) -> None:
    """The folder is the lock: a socket's own mode is not looked at on every system."""
    try:
        status = folder.stat()
    except OSError as error:
        raise WorkerLinkError(f"{folder}: {error.strerror}") from error
    if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077:
        raise WorkerLinkError(f"{folder}: must belong to us alone (mode 0700)")
