"""One contestant at work: its world, its applications and its proxies, ready to be measured again and again."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from benchmarks import generator
from benchmarks.peers.base import Surroundings
from benchmarks.plan import Form, Pool
from benchmarks.processes import BenchmarkError, Processes, Usage, sockets_of_children, total, usage_of
from benchmarks.tls_facts import TlsFacts, Witness
from benchmarks.traffic import Traffic, start_applications
from benchmarks.world import POD_COUNT, Capture, Topology, open_world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

    from benchmarks.peers.base import Peer
    from benchmarks.plan import Contestant, Scenario

_SETTLE_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Measured:
    """What the generator said, and what each process used meanwhile, by its role.

    Roles are those of the proxies; without proxies the one role is `application`: both ends together.
    """

    generator: dict[str, Any]
    usage: dict[str, Usage]
    rss_before_mb: float = 0
    """Resident memory of all proxies before."""
    sockets: tuple[int, ...] = ()
    """How many sockets each worker of the first proxy has taken meanwhile, where it has workers."""


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
        congestion: str = "",
    ) -> None:
        """`folder` is the arena's own, and is made; `congestion` as in `open_world`."""
        self.contestant = contestant
        self.tls: dict[str, TlsFacts] = {}
        """What each leg agreed on, by its title."""
        self._peer = peer
        self._certificates, self._folder = certificates, folder
        self._topology, self._capture, self._congestion = topology, capture, congestion
        self._held = contextlib.ExitStack()

    def __enter__(self) -> Self:
        try:
            self._folder.mkdir(parents=True)
            self._processes = self._held.enter_context(Processes())
            self.world = self._held.enter_context(open_world(self._topology, self._capture, self._congestion))
            stage = self.contestant.stage
            given = Surroundings(self.world, self._processes, self._certificates, self._folder, stage)
            self.running = self._peer.start(given)
            # Where a sidecar stands before the web server, the sidecar has the port at the pod's own address.
            web_ip = self.world.application_ip if stage.form is Form.SIDECARS else self.world.server_ip
            echo_ip = "0.0.0.0" if stage.pool is Pool.COLD else self.world.server_ip
            self._applications = start_applications(self._processes, self.world, echo_ip, web_ip)
            self.traffic = self._make_traffic()
            self._check_path()
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
        self._check_proxies()
        with self._awake() if scenario.awake else contextlib.nullcontext():
            sockets, before = self._sockets(), self._usage()
            with self.traffic.of(scenario, seconds) as result:
                time.sleep(_SETTLE_SECONDS)  # what the last bytes cause is still theirs
                after, sockets_after = self._usage(), self._sockets()
        self._check_proxies()
        usage = {role: after[role].since(before[role]) for role in after}
        if not self.running.proxies:
            usage["application"] = usage["application"].plus(result.get("cpu_user_s", 0), result.get("cpu_system_s", 0))
        taken = tuple(count - sockets.get(pid, 0) for pid, count in sockets_after.items())
        return Measured(result, usage, sum(one.rss_mb for one in before.values()), taken)

    @property
    def has_ended(self) -> bool:
        """Whether a proxy is gone, so that nothing more can be measured here."""
        return any(process.poll() is not None for process in self.running.proxies.values())

    def _check_proxies(self) -> None:
        for role, process in self.running.proxies.items():
            if process.poll() is not None:
                raise BenchmarkError(f"the {role} proxy has ended with status {process.returncode}")

    def _make_traffic(self) -> Traffic:
        stage, world, is_direct = self.contestant.stage, self.world, not self.running.proxies
        is_cold = stage.pool is Pool.COLD
        if stage.form is Form.WAYPOINT and not is_direct:
            destination = world.service_ip
        else:
            destination = world.pods if is_cold else world.server_ip
        return Traffic(
            world,
            self._processes,
            self._folder / "generator.log",
            None if is_direct else self._capture,
            self.running.proxy_protocol_port,
            destination,
            POD_COUNT if is_cold else 1,
        )

    @contextlib.contextmanager
    def _awake(self) -> Iterator[None]:
        spinners = generator.start_server(self._processes, "awake", [])
        try:
            yield
        finally:
            self._processes.end(spinners)

    def _usage(self) -> dict[str, Usage]:
        proxies = {role: usage_of(process.pid) for role, process in self.running.proxies.items()}
        return proxies or {"application": total(usage_of(pid) for pid in self._applications)}

    def _sockets(self) -> dict[int, int]:
        first = next(iter(self.running.proxies.values()), None)
        return {} if first is None else sockets_of_children(first.pid)

    def _check_path(self) -> None:
        """A first trip, watched: proxies whose traffic shows no TLS handshake on a leg are no contestant."""
        witness = Witness(self.world.server_namespace)
        try:
            self.traffic.first_trip(is_layer_7=self.contestant.stage.form is not Form.NODES)
            legs = self.running.legs
            if not legs or not witness.may_listen:
                return
            for leg, facts in zip(legs, witness.handshakes([(leg.address, leg.port) for leg in legs]), strict=True):
                if facts is None:
                    raise BenchmarkError(f"no TLS handshake seen on the leg {leg.title}: traffic goes past the proxies")
                self.tls[leg.title] = facts
        finally:
            witness.close()
