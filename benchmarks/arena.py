"""One contestant at work: its world, its applications and its proxies, ready to be measured again and again."""

from __future__ import annotations

import contextlib
import json
import math
import shutil
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from benchmarks import generator
from benchmarks.peers.base import Surroundings
from benchmarks.plan import Direction, Kind
from benchmarks.processes import BenchmarkError, Processes, Usage, usage_of
from benchmarks.tls_facts import TlsFacts, Witness
from benchmarks.world import APPLICATION_GROUP, WEB_HOST, WEB_PORT, Capture, Topology, inside, open_world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

    from benchmarks.peers.base import Peer
    from benchmarks.plan import Contestant, Scenario

_ECHO_PORT, _ECHO_PORTS = 9000, 8  # several ports: each pair of addresses has only so many client ports
_SINK_PORT, _SOURCE_PORT, _IPERF_PORT = 9100, 9101, 5201
_WEB_BYTES = 100
_FIRST_WEB_SECONDS = 0.5  # a first request waits for a handshake and fills caches
_SETTLE_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Measured:
    """What the generator said, and what each process used meanwhile."""

    generator: dict[str, Any]
    outbound: Usage | None
    inbound: Usage | None


class Arena(contextlib.AbstractContextManager["Arena"]):
    """Entered, everything runs; left, everything has ended."""

    def __init__(
        self,
        contestant: Contestant,
        peer: Peer,
        certificates: Path,
        folder: Path,
        topology: Topology,
        capture: Capture,
    ) -> None:
        self.contestant = contestant
        self.tls: TlsFacts | None = None
        self._peer = peer
        self._certificates, self._folder = certificates, folder
        self._topology, self._capture = topology, capture
        self._held = contextlib.ExitStack()

    def __enter__(self) -> Self:
        try:
            self._folder.mkdir(parents=True)
            self._processes = self._held.enter_context(Processes())
            self.world = self._held.enter_context(open_world(self._topology, self._capture))
            given = Surroundings(self.world, self._processes, self._certificates, self._folder, self.contestant.logging)
            self.pair = self._peer.start(given)
            self._start_applications()
            self.tls = self._check_path()
        except BaseException:
            self._held.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held.close()

    def measure(self, scenario: Scenario, seconds: float) -> Measured:
        """Runs one scenario. Raises BenchmarkError when the generator fails or a proxy has ended."""
        for side, process in (("outbound", self.pair.outbound), ("inbound", self.pair.inbound)):
            if process is not None and process.poll() is not None:
                raise BenchmarkError(f"the {side} proxy has ended with status {process.returncode}")
        if scenario.kind is Kind.IDLE:
            return self._hold(scenario)
        with self._awake() if scenario.awake else contextlib.nullcontext():
            before = self._usage()
            bulk = scenario.kind is Kind.BULK
            result = self._bulk(scenario, seconds) if bulk else self._small(scenario, seconds)
            time.sleep(_SETTLE_SECONDS)  # what the last bytes cause is still theirs
            after = self._usage()
        outbound, inbound = (now and then and now.since(then) for now, then in zip(after, before, strict=True))
        return Measured(result, outbound, inbound)

    @contextlib.contextmanager
    def _awake(self) -> Iterator[None]:
        spinners = generator.start_server(self._processes, "awake", [])
        try:
            yield
        finally:
            self._processes.end(spinners)

    def _usage(self) -> tuple[Usage | None, Usage | None]:
        pair = self.pair
        return (
            usage_of(pair.outbound.pid) if pair.outbound else None,
            usage_of(pair.inbound.pid) if pair.inbound else None,
        )

    @property
    def _through_proxies(self) -> bool:
        return self.pair.outbound is not None

    @property
    def _is_layer_7(self) -> bool:
        return self.pair.peer_port == WEB_PORT

    def _start_applications(self) -> None:
        ports = {"echo": (_ECHO_PORT, _ECHO_PORTS), "sink": (_SINK_PORT, 1), "source": (_SOURCE_PORT, 1)}
        with inside(self.world.server_namespace):
            for mode, (port, count) in ports.items():
                target = f"{self.world.server_ip}:{port}"
                generator.start_server(self._processes, mode, ["--target", target, "--ports", str(count)])
            # Where a sidecar stands before the web server, the sidecar has the port at the pod's own address.
            address = self.world.application_ip if self._is_layer_7 else self.world.server_ip
            generator.start_server(
                self._processes, "web", ["--target", f"{address}:{WEB_PORT}", "--response", str(_WEB_BYTES)]
            )

    def _check_path(self) -> TlsFacts | None:
        """One round trip, watched: a pair whose traffic shows no TLS handshake on its peer's port is no contestant."""
        witness = Witness(self.world.server_namespace, self.pair.peer_port)
        try:
            if self._is_layer_7:
                self._web(1, _FIRST_WEB_SECONDS)
            else:
                self._client("rr", _ECHO_PORT, 0.1, "--connections", "1")
            if not self._through_proxies:
                return None
            facts = witness.first_handshake()
            if witness.may_listen and facts is None:
                raise BenchmarkError("no TLS handshake seen on the peer's port: the traffic goes past the proxies")
            return facts
        finally:
            witness.close()

    def _web(self, connections: int, seconds: float) -> dict[str, Any]:
        count = ("--connections", str(connections), "--host", f"{WEB_HOST}:{WEB_PORT}")
        return self._client("http", WEB_PORT, seconds, *count)

    def _small(self, scenario: Scenario, seconds: float) -> dict[str, Any]:
        if scenario.kind is Kind.HTTP:
            return self._web(scenario.connections, seconds)
        sizes = ("--request", str(scenario.request), "--response", str(scenario.response))
        count = ("--connections", str(scenario.connections), "--ports", str(_ECHO_PORTS))
        return self._client(scenario.kind.value, _ECHO_PORT, seconds, *count, *sizes)

    def _bulk(self, scenario: Scenario, seconds: float) -> dict[str, Any]:
        if self._capture is Capture.REDIRECT and shutil.which("iperf3"):
            return self._iperf(scenario, seconds)
        up = scenario.direction is Direction.UP
        count = ("--connections", str(scenario.connections))
        return self._client("send" if up else "receive", _SINK_PORT if up else _SOURCE_PORT, seconds, *count)

    def _hold(self, scenario: Scenario) -> Measured:
        """Opens the tunnels and reads the proxies' memory while they are held."""
        count = ("--connections", str(scenario.connections), "--ports", str(_ECHO_PORTS))
        command = self._command("hold", _ECHO_PORT, *count)
        with inside(self.world.client_namespace):
            held = self._processes.start(command, stdout=subprocess.PIPE, group=self._group)
        try:
            assert held.stdout is not None
            line = held.stdout.readline()
            if not line:
                raise BenchmarkError(f"{scenario.connections} tunnels could not be held")
            return Measured(json.loads(line), *self._usage())
        finally:
            self._processes.end(held)

    def _client(self, mode: str, port: int, seconds: float, *more: str) -> dict[str, Any]:
        return self._run(self._command(mode, port, "--seconds", str(seconds), *more), seconds)

    def _command(self, mode: str, port: int, *more: str) -> list[str]:
        """Our generator as the captured application."""
        command = [str(generator.build()), mode, "--target", f"{self.world.server_ip}:{port}", *more]
        command += ["--source", self.world.client_ip]
        if self._through_proxies and self._capture is Capture.PROXY:
            via = f"{self.world.client_ip}:{self.pair.proxy_protocol_port}"
            command += ["--via", via, "--proxy", "v2"]
        return command

    @property
    def _group(self) -> int | None:
        """The group id by which the capture rule knows an application; None where nothing is to be captured."""
        return APPLICATION_GROUP if self._through_proxies and self._capture is Capture.REDIRECT else None

    def _iperf(self, scenario: Scenario, seconds: float) -> dict[str, Any]:
        """A server for one test, so that a failed one leaves nothing behind; then a client, captured."""
        address = ["-B", self.world.server_ip, "-p", str(_IPERF_PORT)]
        server = generator.start_iperf_server(self._processes, self.world.server_namespace, address)
        try:
            command = ["iperf3", "-c", self.world.server_ip, "-p", str(_IPERF_PORT), "-B", self.world.client_ip]
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
        with inside(self.world.client_namespace):
            return generator.run_client(
                self._processes,
                command,
                seconds=seconds * 2 + 15,
                group=self._group,
                log=self._folder / "generator.log",
            )


def metrics_of(measured: Measured, kind: Kind) -> dict[str, float]:
    """The figures of one measurement, by the keys of `metrics.py`; CPU and memory are of the proxies alone."""
    said = measured.generator
    if kind is Kind.IDLE:
        found = _memory(measured)
    elif kind is Kind.BULK:
        found = {"gbit_s": said["gbit_s"], **_used(measured, "s_per_gb", said["bytes"] / 1e9)}
    else:
        found = {key: said[key] for key in ("per_second", "p50_us", "p90_us", "p99_us", "p999_us", "errors")}
        found |= _used(measured, "us_per_op", said["with_warmup"] / 1e6)
    return {key: round(float(value), 4) for key, value in found.items()}


def _used(measured: Measured, unit: str, amount: float) -> dict[str, float]:
    outbound, inbound = measured.outbound, measured.inbound
    if outbound is None or inbound is None:
        return {}
    return {
        f"cpu_{unit}": (outbound.cpu_s + inbound.cpu_s) / amount,
        f"cpu_user_{unit}": (outbound.user_s + inbound.user_s) / amount,
        f"cpu_system_{unit}": (outbound.system_s + inbound.system_s) / amount,
        f"outbound_cpu_{unit}": outbound.cpu_s / amount,
        f"inbound_cpu_{unit}": inbound.cpu_s / amount,
        **_memory(measured),
    }


def _memory(measured: Measured) -> dict[str, float]:
    outbound, inbound = measured.outbound, measured.inbound
    if outbound is None or inbound is None:
        return {}
    rss = {"outbound_rss_mb": outbound.rss_mb, "inbound_rss_mb": inbound.rss_mb}
    return {**rss, "rss_mb": sum(rss.values())}
