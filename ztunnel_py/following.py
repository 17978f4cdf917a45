"""The control plane that this proxy follows: its discovery, joined to the mesh we route by."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from mesh_py.rpc.channel import RpcChannel
from mesh_py.xds.client import DiscoveryClient
from mesh_py.xds.delta import Interest
from mesh_py.xds.intake import Intake
from mesh_py.xds.types import ADDRESS, AUTHORIZATION

if TYPE_CHECKING:
    from collections.abc import Callable

    from hbone_py import TlsSettings
    from mesh_py.discovery.state import MeshState
    from mesh_py.settings.discovery import DiscoverySettings
    from mesh_py.telemetry.metrics import Metrics
    from mesh_py.xds.on_demand import OnDemand

AWAITED = "those of the control plane, which has not told any yet"


class Following:
    """Feeds a mesh from discovery while `run` runs.

    Until policies have been told once nothing is judged: connections wait, then they are refused. What was told stays
    when the control plane is gone.
    """

    def __init__(
        self,
        settings: DiscoverySettings,
        tls: TlsSettings,
        state: MeshState,
        metrics: Metrics,
        wait_seconds: float,
    ) -> None:
        state.expect_policies(AWAITED)
        self._client = DiscoveryClient(
            partial(RpcChannel, settings.endpoint, tls),
            settings.node,
            [Interest(ADDRESS, settings.on_demand), Interest(AUTHORIZATION)],
            Intake(state),
            metrics,
            wait_seconds=wait_seconds,
        )
        self.names: OnDemand | None = self._client.names if settings.on_demand else None
        """Whom connections ask, where addresses are followed on demand."""

    async def run(self, known: Callable[[], None]) -> None:
        """Follow until cancelled; call `known` once every type that we follow whole has been told."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._client.run(), name="discovery")
            await self._client.ready.wait()
            known()
