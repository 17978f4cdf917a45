"""The applications of a world, and the traffic between them: what a scenario means on the generator's command line."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from typing import TYPE_CHECKING, Any

from benchmarks import generator
from benchmarks.plan import Direction, Kind
from benchmarks.processes import BenchmarkError, last_line
from benchmarks.world import APPLICATION_GROUP, WEB_HOST, WEB_PORT, Capture, inside

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.plan import Scenario
    from benchmarks.processes import Processes
    from benchmarks.world import World

_ECHO_PORTS = 8  # several ports: each pair of addresses has only so many client ports
_ECHO_PORT = {100: 9000, 4096: 9010, 65_536: 9020}
"""By the size of requests and answers: an answer is sent when a request is whole."""
_SMALL = 100
_SINK_PORT, _SOURCE_PORT = 9100, 9101
_FIRST_TRIP_SECONDS = 0.3  # a first request waits for a handshake and fills caches
_BULK_HEAD_START = 0.3  # seconds, until bulk beside which something is measured has found its speed


def start_applications(processes: Processes, world: World, echo_ip: str, web_ip: str) -> list[int]:
    """Starts every application in the server's namespace and returns their process ids.

    The web server is at `web_ip`, which a sidecar may decide, the echoes at `echo_ip`, the rest at the server's.
    """
    servers: list[tuple[str, str, int, tuple[str, ...]]] = [
        ("sink", world.server_ip, _SINK_PORT, ()),
        ("source", world.server_ip, _SOURCE_PORT, ()),
    ]
    for size, port in _ECHO_PORT.items():
        sizes = ("--request", str(size), "--response", str(size), "--ports", str(_ECHO_PORTS))
        servers.append(("echo", echo_ip, port, sizes))
    servers.append(("web", web_ip, WEB_PORT, ()))
    with inside(world.server_namespace):
        return [
            generator.start_server(processes, mode, ["--target", f"{address}:{port}", *more]).pid
            for mode, address, port, more in servers
        ]


class Traffic:
    """The client application of one world."""

    def __init__(
        self,
        world: World,
        processes: Processes,
        log: Path,
        capture: Capture | None,
        proxy_protocol_port: int,
        destination: str,
        hosts: int = 1,
    ) -> None:
        """`capture` is how a proxy gets the connections, None if they go straight to `destination`.

        `hosts` is how many addresses from there on small traffic goes to in turn.
        """
        self._world, self._processes, self._log = world, processes, log
        self._capture, self._proxy_protocol_port = capture, proxy_protocol_port
        self._destination, self._hosts = destination, hosts

    def first_trip(self, *, is_layer_7: bool) -> None:
        """A little traffic, so that all connections between the proxies are there."""
        if is_layer_7:
            self._http(1, _SMALL, _FIRST_TRIP_SECONDS)
        else:
            self._client("rr", _ECHO_PORT[_SMALL], _FIRST_TRIP_SECONDS, *_sizes(_SMALL), "--connections", "1")

    @contextlib.contextmanager
    def of(self, scenario: Scenario, seconds: float) -> Iterator[dict[str, Any]]:
        """Runs one scenario and yields what the generator said; idle tunnels are held until the context is left."""
        if scenario.kind is Kind.IDLE:
            with self._held(scenario) as result:
                yield result
        elif scenario.kind is Kind.BESIDE:
            yield self._beside(scenario, seconds)
        else:
            yield self._measured(scenario, seconds)

    def _measured(self, scenario: Scenario, seconds: float) -> dict[str, Any]:
        if scenario.kind in (Kind.HTTP, Kind.DOWNLOAD):
            return self._http(scenario.connections, scenario.response, seconds, bulk=scenario.kind is Kind.DOWNLOAD)
        if scenario.kind is Kind.BULK:
            return self._bulk(scenario, seconds)
        count = ("--connections", str(scenario.connections), "--ports", str(_ECHO_PORTS), "--hosts", str(self._hosts))
        port = _ECHO_PORT[scenario.request]
        return self._client(scenario.kind.value, port, seconds, *count, *_sizes(scenario.request))

    def _http(self, connections: int, response: int, seconds: float, *, bulk: bool = False) -> dict[str, Any]:
        """GETs. Of bulk every byte counts: none before the measured time, and all that was asked for in it."""
        arguments = ["--connections", str(connections), "--response", str(response)]
        arguments += ["--host", f"{WEB_HOST}:{WEB_PORT}", *(["--warmup", "0", "--whole"] if bulk else [])]
        return self._client("http", WEB_PORT, seconds, *arguments)

    def _bulk(self, scenario: Scenario, seconds: float) -> dict[str, Any]:
        up = scenario.direction is Direction.UP
        count = ("--connections", str(scenario.connections))
        return self._client("send" if up else "receive", _SINK_PORT if up else _SOURCE_PORT, seconds, *count)

    def _beside(self, scenario: Scenario, seconds: float) -> dict[str, Any]:
        """Round trips alone, then beside bulk, as long."""
        quiet = self._client("rr", _ECHO_PORT[_SMALL], seconds, *_sizes(_SMALL))
        lasting = ("--seconds", str(seconds + _BULK_HEAD_START * 3))
        bulk = self._command("receive", _SOURCE_PORT, "--connections", str(scenario.connections), *lasting)
        with inside(self._world.client_namespace):
            busy = self._processes.start(bulk, group=self._group, log=self._log)
        try:
            time.sleep(_BULK_HEAD_START)
            said = self._client("rr", _ECHO_PORT[_SMALL], seconds, *_sizes(_SMALL))
            if busy.poll() is not None:
                raise BenchmarkError("the bulk beside which round trips were to be measured ended before them")
        finally:
            self._processes.end(busy)
        return {**said, "quiet_p99_us": quiet["p99_us"], "quiet_p50_us": quiet["p50_us"]}

    @contextlib.contextmanager
    def _held(self, scenario: Scenario) -> Iterator[dict[str, Any]]:
        """Opens the tunnels and holds them."""
        count = ("--connections", str(scenario.connections), "--ports", str(_ECHO_PORTS))
        command = self._command("hold", _ECHO_PORT[_SMALL], *count, *_sizes(_SMALL))
        with inside(self._world.client_namespace):
            held = self._processes.start(command, stdout=subprocess.PIPE, group=self._group, log=self._log)
        try:
            assert held.stdout is not None
            line = held.stdout.readline()
            if not line:
                raise BenchmarkError(f"{scenario.connections} tunnels could not be held{last_line(self._log)}")
            yield json.loads(line)
        finally:
            self._processes.end(held)

    def _client(self, mode: str, port: int, seconds: float, *more: str) -> dict[str, Any]:
        return self._run(self._command(mode, port, "--seconds", str(seconds), *more), seconds)

    def _command(self, mode: str, port: int, *more: str) -> list[str]:
        """Our generator as the captured application."""
        command = [str(generator.build()), mode, "--target", f"{self._destination}:{port}", *more]
        command += ["--source", self._world.client_ip]
        if self._capture is Capture.PROXY:
            command += ["--via", f"{self._world.client_ip}:{self._proxy_protocol_port}", "--proxy", "v2"]
        return command

    @property
    def _group(self) -> int | None:
        """The group id by which the capture rule knows an application; None where nothing is to be captured."""
        return APPLICATION_GROUP if self._capture is Capture.REDIRECT else None

    def _run(self, command: list[str], seconds: float) -> dict[str, Any]:
        with inside(self._world.client_namespace):
            return generator.run_client(
                self._processes, command, seconds=seconds * 2 + 15, group=self._group, log=self._log
            )


def _sizes(size: int) -> tuple[str, ...]:
    return "--request", str(size), "--response", str(size)
