"""One contestant at work: its world, its applications and its proxies, ready to be measured again and again."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from benchmarks import generator
from benchmarks.peers.base import Surroundings
from benchmarks.plan import Form
from benchmarks.processes import BenchmarkError, Processes, Usage, usage_of
from benchmarks.tls_facts import TlsFacts, Witness
from benchmarks.traffic import Traffic, start_applications
from benchmarks.world import Capture, Topology, open_world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

    from benchmarks.peers.base import Peer
    from benchmarks.plan import Contestant, Scenario

_SETTLE_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Measured:
    """What the generator said, and what each proxy used meanwhile, by its role."""

    generator: dict[str, Any]
    usage: dict[str, Usage]


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
        self.tls: dict[str, TlsFacts] = {}
        """What each leg agreed on, by its title."""
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
            self.running = self._peer.start(given)
            # Where a sidecar stands before the web server, the sidecar has the port at the pod's own address.
            behind_sidecar = self.contestant.form is Form.SIDECARS
            start_applications(
                self._processes, self.world, self.world.application_ip if behind_sidecar else self.world.server_ip
            )
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
        for role, process in self.running.proxies.items():
            if process.poll() is not None:
                raise BenchmarkError(f"the {role} proxy has ended with status {process.returncode}")
        with self._awake() if scenario.awake else contextlib.nullcontext():
            before = self._usage()
            with self.traffic.of(scenario, seconds) as result:
                time.sleep(_SETTLE_SECONDS)  # what the last bytes cause is still theirs
                after = self._usage()
        return Measured(result, {role: after[role].since(before[role]) for role in after})

    def _make_traffic(self) -> Traffic:
        through_proxies = bool(self.running.proxies)
        by_service = through_proxies and self.contestant.form is Form.WAYPOINT
        return Traffic(
            self.world,
            self._processes,
            self._folder / "generator.log",
            self._capture if through_proxies else None,
            self.running.proxy_protocol_port,
            self.world.service_ip if by_service else self.world.server_ip,
        )

    @contextlib.contextmanager
    def _awake(self) -> Iterator[None]:
        spinners = generator.start_server(self._processes, "awake", [])
        try:
            yield
        finally:
            self._processes.end(spinners)

    def _usage(self) -> dict[str, Usage]:
        return {role: usage_of(process.pid) for role, process in self.running.proxies.items()}

    def _check_path(self) -> None:
        """A first trip, watched: proxies whose traffic shows no TLS handshake on a leg are no contestant."""
        witness = Witness(self.world.server_namespace)
        try:
            self.traffic.first_trip(is_layer_7=self.contestant.form is not Form.NODES)
            legs = self.running.legs
            if not legs or not witness.may_listen:
                return
            for leg, facts in zip(legs, witness.handshakes([(leg.address, leg.port) for leg in legs]), strict=True):
                if facts is None:
                    raise BenchmarkError(f"no TLS handshake seen on the leg {leg.title}: traffic goes past the proxies")
                self.tls[leg.title] = facts
        finally:
            witness.close()
