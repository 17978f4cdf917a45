"""Gateways into other networks (hbone-controlplane 1.5, 1.6) [pure].

A Gateway of class `istio-remote` with the label `topology.istio.io/network` says how that network is entered: its
addresses, and the port of its HBONE listener. Workloads refer to it as `network_gateway`; it is a workload itself, so
that node proxies know whom to expect there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from istiod_py.ambient.vocabulary import GATEWAY_SERVICE_ACCOUNT, NETWORK
from mesh_py.manifests.gateway import HBONE_PROTOCOL
from mesh_py.model.address import GatewayAddress, IpAddress, NamespacedHostname, NetworkAddress, parse_ip
from mesh_py.model.workload import Workload

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mesh_py.manifests.gateway import Gateway
    from mesh_py.manifests.mesh_config import MeshConfig
    from mesh_py.manifests.objects import Manifests

REMOTE_CLASS = "istio-remote"


class NetworkGateway(NamedTuple):
    """One way into a network."""

    network: str
    address: str
    """An IP address or a host name."""
    port: int
    namespace: str
    service_account: str

    @property
    def uid(self) -> str:
        """Its name as a workload."""
        return f"NetworkGateway/{self.network}/{self.address}/{self.port}"

    @property
    def ip(self) -> IpAddress | None:
        """The address, if it is one."""
        try:
            return parse_ip(self.address)
        except ValueError:
            return None

    @property
    def reference(self) -> GatewayAddress:
        """How workloads behind it refer to it."""
        ip = self.ip
        destination: NetworkAddress | NamespacedHostname = (
            NetworkAddress(self.network, ip) if ip else NamespacedHostname(self.namespace, self.address)
        )
        return GatewayAddress(destination, self.port)

    def workload(self, mesh: MeshConfig) -> Workload:
        """Who is there."""
        return Workload(
            uid=self.uid,
            name=self.uid,
            namespace=self.namespace,
            workload_ips=(self.ip,) if self.ip else (),
            hostname="" if self.ip else self.address,
            network=self.network,
            trust_domain=mesh.trust_domain,
            service_account=self.service_account,
            cluster_id=mesh.cluster_id,
        )


def network_gateways(manifests: Manifests) -> tuple[NetworkGateway, ...]:
    """All ways into other networks, by network and name of the Gateway."""
    gateways = sorted(manifests.gateways, key=lambda gateway: gateway.metadata.key)
    return tuple(way for gateway in gateways for way in _ways(gateway))


def references(gateways: tuple[NetworkGateway, ...]) -> Mapping[str, GatewayAddress]:
    """The gateway of each network; the first of several."""
    return {one.network: one.reference for one in reversed(gateways)}


def _ways(gateway: Gateway) -> Iterator[NetworkGateway]:
    network = gateway.metadata.labels.get(NETWORK)
    port = next((one.port for one in gateway.listeners if one.protocol == HBONE_PROTOCOL), None)
    if gateway.gateway_class_name != REMOTE_CLASS or not network or port is None:
        return
    metadata = gateway.metadata
    account = metadata.annotations.get(GATEWAY_SERVICE_ACCOUNT, f"{metadata.name}-{REMOTE_CLASS}")
    for address in gateway.status_addresses or gateway.addresses:
        yield NetworkGateway(network, address.value, port, metadata.namespace, account)
