"""The applications of a world, and the traffic between them: what a scenario means on the generator's command line."""

from __future__ import annotations

import contextlib
import json
import math
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

from benchmarks import generator
from benchmarks.plan import Direction, Kind
from benchmarks.processes import BenchmarkError
from benchmarks.world import APPLICATION_GROUP, WEB_HOST, WEB_PORT, Capture, inside

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.plan import Scenario
    from benchmarks.processes import Processes
    from benchmarks.world import World

_ECHO_PORT, _ECHO_PORTS = 9000, 8  # several ports: each pair of addresses has only so many client ports
_SINK_PORT, _SOURCE_PORT, _IPERF_PORT = 9100, 9101, 5201
_FIRST_TRIP_SECONDS = 0.3  # a first request waits for a handshake and fills caches


def start_applications(processes: Processes, world: World, web_ip: str) -> None:
    """Starts every application at the server's address; the web server at `web_ip`, which a sidecar may decide."""
    ports = {"echo": (_ECHO_PORT, _ECHO_PORTS), "sink": (_SINK_PORT, 1), "source": (_SOURCE_PORT, 1)}
    with inside(world.server_namespace):
        for mode, (port, count) in ports.items():
            generator.start_server(processes, mode, ["--target", f"{world.server_ip}:{port}", "--ports", str(count)])
        generator.start_server(processes, "web", ["--target", f"{web_ip}:{WEB_PORT}"])


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
    ) -> None:
        """`capture` is how a proxy gets the connections, None if they go straight to `destination`."""
        self._world, self._processes, self._log = world, processes, log
        self._capture, self._proxy_protocol_port = capture, proxy_protocol_port
        self._destination = destination

    def first_trip(self, *, is_layer_7: bool) -> None:
        """A little traffic, so that all connections between the proxies are there."""
        if is_layer_7:
            self._http(1, 100, _FIRST_TRIP_SECONDS)
        else:
            self._client("rr", _ECHO_PORT, _FIRST_TRIP_SECONDS, "--connections", "1")

    @contextlib.contextmanager
    def of(self, scenario: Scenario, seconds: float) -> Iterator[dict[str, Any]]:
        """Runs one scenario and yields what the generator said; idle tunnels are held until the context is left."""
        if scenario.kind is Kind.IDLE:
            with self._held(scenario) as result:
                yield result
            return
        yield self._measured(scenario, seconds)

    def _measured(self, scenario: Scenario, seconds: float) -> dict[str, Any]:
        if scenario.kind in (Kind.HTTP, Kind.DOWNLOAD):
            return self._http(scenario.connections, scenario.response, seconds, bulk=scenario.kind is Kind.DOWNLOAD)
        if scenario.kind is Kind.BULK:
            return self._bulk(scenario, seconds)
        sizes = ("--request", str(scenario.request), "--response", str(scenario.response))
        count = ("--connections", str(scenario.connections), "--ports", str(_ECHO_PORTS))
        return self._client(scenario.kind.value, _ECHO_PORT, seconds, *count, *sizes)

    def _http(self, connections: int, response: int, seconds: float, *, bulk: bool = False) -> dict[str, Any]:
        """GETs. Of bulk every byte counts, so there is no time before that which is measured."""
        arguments = ["--connections", str(connections), "--response", str(response)]
        arguments += ["--host", f"{WEB_HOST}:{WEB_PORT}", *(["--warmup", "0"] if bulk else [])]
        return self._client("http", WEB_PORT, seconds, *arguments)

    def _bulk(self, scenario: Scenario, seconds: float) -> dict[str, Any]:
        if self._capture is not Capture.PROXY and shutil.which("iperf3"):
            return self._iperf(scenario, seconds)
        up = scenario.direction is Direction.UP
        count = ("--connections", str(scenario.connections))
        return self._client("send" if up else "receive", _SINK_PORT if up else _SOURCE_PORT, seconds, *count)

    @contextlib.contextmanager
    def _held(self, scenario: Scenario) -> Iterator[dict[str, Any]]:
        """Opens the tunnels and holds them."""
        count = ("--connections", str(scenario.connections), "--ports", str(_ECHO_PORTS))
        command = self._command("hold", _ECHO_PORT, *count)
        with inside(self._world.client_namespace):
            held = self._processes.start(command, stdout=subprocess.PIPE, group=self._group, log=self._log)
        try:
            assert held.stdout is not None
            line = held.stdout.readline()
            if not line:
                raise BenchmarkError(f"{scenario.connections} tunnels could not be held")
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

    def _iperf(self, scenario: Scenario, seconds: float) -> dict[str, Any]:
        """A server for one test, so that a failed one leaves nothing behind; then a client, captured."""
        address = ["-B", self._world.server_ip, "-p", str(_IPERF_PORT)]
        server = generator.start_iperf_server(self._processes, self._world.server_namespace, address)
        try:
            command = ["iperf3", "-c", self._world.server_ip, "-p", str(_IPERF_PORT), "-B", self._world.client_ip]
            command += ["-J", "-t", str(math.ceil(seconds)), "-P", str(scenario.connections)]
            command += [] if scenario.direction is Direction.UP else ["-R"]
            end = self._run(command, seconds)["end"]
        finally:
            self._processes.end(server)
        received = end["sum_received"]
        return {
            "mode": "iperf3",
            "bytes": received["bytes"],
            "seconds": received["seconds"],
            "gbit_s": received["bits_per_second"] / 1e9,
            "cpu_percent": end["cpu_utilization_percent"]["host_total"],
        }

    def _run(self, command: list[str], seconds: float) -> dict[str, Any]:
        with inside(self._world.client_namespace):
            return generator.run_client(
                self._processes, command, seconds=seconds * 2 + 15, group=self._group, log=self._log
            )
