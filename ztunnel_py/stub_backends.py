"""`--stub-backends`: a mesh that lives elsewhere, such as in a real cluster's dump, tried on this machine.

Every address of the mesh gets a place on loopback, one process stands in for all applications, and this proxy serves
every workload, on both sides of each tunnel. What is routed, allowed, refused and logged is as the mesh says.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import signal
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mesh_py.discovery.loopback_map import LoopbackMap
from mesh_py.discovery.remap import home_network, remapped
from mesh_py.discovery.stub_places import HBONE_PORT, Place, Trial, places, trial
from mesh_py.process.children import start_child
from mesh_py.process.console import Console
from mesh_py.process.listening import StartError
from mesh_py.process.mesh_source import MeshSource
from mesh_py.process.port_holder import why_not
from mesh_py.process.waiting import any_of
from ztunnel_py.app import run
from ztunnel_py.listening import STUB_INBOUND
from ztunnel_py.stub_banner import banner

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from mesh_py.discovery.local_file import LocalConfig
    from mesh_py.process.children import Child
    from ztunnel_py.config import Settings

log = logging.getLogger("stubs")

READY_SECONDS, END_SECONDS = 30.0, 10.0
"""How long the stand-ins may take to listen, and to end."""
_READY = "stand-ins listening on"


class StubBackends:
    """The places of one mesh, made by `load`."""

    def __init__(self) -> None:
        self._loopback = LoopbackMap()
        self._ours: set[str] = set()
        self.config: LocalConfig
        """The mesh on loopback."""
        self.places: list[Place] = []
        """Its workloads, in the order of their uids."""
        self.settings: Settings
        """What was set, completed from the mesh."""
        self.source: MeshSource
        self.trial: Trial | None = None

    @staticmethod
    def load(settings: Settings) -> StubBackends:
        """Read the mesh and move it. Raises StartError and ConfigError, as `MeshSource.load`."""
        stubs = StubBackends()
        stubs.source = MeshSource.load(settings.mesh, stubs.move)
        network = settings.network or home_network(stubs.config)
        stubs.places = places(stubs.config, network)
        stubs._ours = {w.uid for w in stubs.config.workloads if w.network == network}
        stubs.trial = trial(stubs.config, network)
        somebody = stubs.trial.client if stubs.trial else None
        stubs.settings = replace(settings, network=network, socks_as=settings.socks_as or somebody)
        return stubs

    def move(self, config: LocalConfig) -> LocalConfig:
        """The mesh on loopback; after an edit, whoever was there is where it was."""
        self.config = remapped(config, self._loopback)
        if self.places and (new := self._ips() - {ip for place in self.places for ip in place.ips}):
            log.warning("%d addresses are new in the mesh: nobody serves them until the next start", len(new))
        return self.config

    def addresses(self) -> Iterator[tuple[str, str, int]]:
        """(name, host, port) of an HBONE listener for every workload of our network."""
        ips = dict.fromkeys(ip for place in self.places if place.uid in self._ours for ip in place.ips)
        return ((f"{STUB_INBOUND}{ip}", ip, HBONE_PORT) for ip in ips)

    @contextlib.asynccontextmanager
    async def standing_in(self) -> AsyncIterator[None]:
        """Run the applications' stand-ins. Raises StartError: they do not come up."""
        with tempfile.TemporaryDirectory(prefix="hbone-stubs-") as folder:
            file = Path(folder) / "places.json"
            file.write_text(json.dumps(self._applications()))
            async with _child(file):
                yield

    def describe(self) -> dict[str, Any]:
        """What stands where, for `/config_dump`."""
        originals = self._originals()
        backends = [
            {
                "uid": place.uid,
                "name": place.name,
                "namespace": place.namespace,
                "addresses": {originals[ip]: ip for ip in place.ips},
                "ports": list(place.ports),
            }
            for place in self.places
        ]
        addresses = {str(address): place for address, place in self._loopback.places.items()}
        return {"stubBackends": backends, "stubAddresses": addresses}

    def announce(self) -> None:
        """Say who stands where, to whoever watches; among JSON lines it would be in the way."""
        if not self.settings.log_json:
            console = Console()
            for line in banner(self.places, self._originals(), self.trial, self.settings):
                console.say(line)

    def _originals(self) -> dict[str, str]:
        """The mesh's own addresses by what stands for them."""
        return {place: str(address) for address, place in self._loopback.places.items()}

    def _applications(self) -> list[dict[str, Any]]:
        return [
            {"namespace": place.namespace, "workload": place.name, "ips": list(place.ips), "ports": list(place.ports)}
            for place in self.places
        ]

    def _ips(self) -> set[str]:
        return {ip for workload in self.config.workloads for ip in workload.workload_ips}


async def run_stubbed(settings: Settings) -> int:
    """Serve a mesh on loopback until told to stop; the exit status. Raises as `app.run`."""
    stubs = StubBackends.load(settings)
    for _, host, port in stubs.addresses():
        if (problem := why_not(host, port)) is not None:
            raise StartError(f"{problem}; is this mesh being tried already?")
    try:
        async with stubs.standing_in():
            return await run(stubs.settings, stubs=stubs)
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None


@contextlib.asynccontextmanager
async def _child(places_file: Path) -> AsyncIterator[None]:
    """The process of the stand-ins, from its being ready to its end."""
    ready, ended = asyncio.Event(), asyncio.Event()

    def heard(_: str, line: str) -> None:
        if line.startswith(_READY):
            ready.set()
        else:
            log.warning("stand-in %s", line.removeprefix("warning: "))

    child = await start_child("stand-ins", ["-m", "lab_py.apps.stand_in", "--places", str(places_file)], {}, heard)
    async with asyncio.TaskGroup() as group:
        group.create_task(_listen(child, ended), name="listen to stand-ins")
        try:
            if not await any_of(ready, ended, seconds=READY_SECONDS) or ended.is_set():
                raise StartError(f"the stand-ins for applications do not come up: {child.last_line or 'no word'}")
            yield
        finally:
            child.signal(signal.SIGTERM)
            if not await any_of(ended, seconds=END_SECONDS):
                child.signal(signal.SIGKILL)


async def _listen(child: Child, ended: asyncio.Event) -> None:
    status = await child.ended()
    if status:
        log.error("the stand-ins for applications have ended with status %d", status)
    ended.set()
