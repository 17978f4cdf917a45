"""The control plane that a proxy follows: workloads and services, and the manifests that concern it."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from mesh_py.manifests.chain import told_by
from mesh_py.manifests.core import Pod
from mesh_py.manifests.networking import WorkloadEntry
from mesh_py.manifests.objects import Manifests, labels_of
from mesh_py.manifests.proxy_file import Further
from mesh_py.rpc.channel import RpcChannel
from mesh_py.xds.client import DiscoveryClient
from mesh_py.xds.delta import Interest
from mesh_py.xds.intake import Intake, Taken, decode_each
from mesh_py.xds.proxy_config import decode_proxy_config
from mesh_py.xds.types import ADDRESS, PROXY_CONFIG

if TYPE_CHECKING:
    from collections.abc import Callable

    from hbone_py import TlsSettings
    from mesh_py.discovery.state import MeshState
    from mesh_py.manifests.proxy_config import ProxyConfig
    from mesh_py.proxy.directory import Directory
    from mesh_py.settings.discovery import DiscoverySettings
    from mesh_py.telemetry.metrics import Metrics
    from mesh_py.xds.delta import Response


class Following:
    """Feeds a mesh from discovery while `run` runs.

    Until our own configuration has been told once nobody is let in. What was told stays when the control plane is gone.
    """

    def __init__(
        self,
        settings: DiscoverySettings,
        tls: TlsSettings,
        state: MeshState,
        directory: Directory,
        metrics: Metrics,
    ) -> None:
        directory.expect_configuration()
        self._directory = directory
        self._is_told = False
        self._client = DiscoveryClient(
            partial(RpcChannel, settings.endpoint, tls),
            settings.node,
            [Interest(ADDRESS), Interest(PROXY_CONFIG)],
            Intake(state, {PROXY_CONFIG: self._take}),
            metrics,
        )

    async def run(self, known: Callable[[], None]) -> None:
        """Follow until cancelled; call `known` once every type has been told."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._client.run(), name="discovery")
            await self._client.ready.wait()
            known()

    async def _take(self, response: Response) -> Taken:
        """There is one: ours. That there is none, at first or by name, means that nothing concerns us.

        An answer without anything means after a reconnect that what we hold is what there is.
        """
        taken = Taken()
        found: list[ProxyConfig] = []
        for resource in response.resources:
            decoded = await decode_each([resource], partial(decode_proxy_config, name=resource.name), taken.rejected)
            found += [config for _, config in decoded]
        if found:
            self._tell(_further(found[-1]))
        elif response.removed or not (self._is_told or response.resources):
            self._tell(Further())
        return taken

    def _tell(self, further: Further) -> None:
        self._directory.take(further, "control plane")
        self._is_told = True


def _further(config: ProxyConfig) -> Further:
    """Our own pod is among the objects, for its labels."""
    own = (one for one in config.objects if isinstance(one, Pod | WorkloadEntry))
    labels = {one.metadata.key: labels_of(one) for one in own}
    manifests, root = Manifests.of(config.objects), config.mesh.root_namespace
    return Further(manifests, labels, told_by(manifests.filter_configs, root), root)
