"""What both layer 7 roles let people do; what each shows of itself is asked in the tests of the roles."""

from __future__ import annotations

import asyncio
import contextlib
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from mesh_py.admin.layer7_surfaces import Layer7Surfaces
from mesh_py.admin.readiness import Readiness
from mesh_py.telemetry.log_sink import LogSink
from mesh_py.telemetry.logs import Logs
from mesh_py.telemetry.metrics import Metrics
from tests.support.sockets import until

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from aiohttp import ClientSession


class Surfaces(Layer7Surfaces[Any, Any]):
    component = "test"


async def test_who_asks_for_the_end_hears_of_it_once_all_is_drained(
    free_socket: Callable[[], socket.socket], client: ClientSession
) -> None:
    stop, sockets = asyncio.Event(), {name: free_socket() for name in ("admin", "stats", "readiness")}
    plane = SimpleNamespace(listeners={}, clusters=SimpleNamespace(known=list))
    settings, logs = SimpleNamespace(drain_deadline=10.0), Logs(LogSink(1))
    surfaces = Surfaces(settings, plane, logs, Metrics("1.0"), Readiness("proxy"), stop)
    async with asyncio.timeout(10), contextlib.AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        await surfaces.serve(stack, sockets)
        host, port = sockets["admin"].getsockname()
        asked = group.create_task(client.post(f"http://{host}:{port}/quitquitquit"))
        await until(stop.is_set, "the process is told to stop")
        assert not asked.done()
        surfaces.drained.set()
        assert (await asked).status == 200
