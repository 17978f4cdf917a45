"""The form of Istio 1.18: filters of Istio's own Envoy, facts in `tunnel` (hbone-controlplane 9.4) [pure].

For comparison and for reading: a stock Envoy has none of these filters. They are given by name in a `TypedStruct`, as
istiod gave them. What a waypoint of 1.18 was for, a service account or a namespace, is not reproduced.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hbone_py.address import format_address
from istiod_py.envoy.extension import TYPE_PREFIX, Json, extension
from istiod_py.envoy.names import HBONE_PORT
from istiod_py.envoy.node import ProxyType

if TYPE_CHECKING:
    from istiod_py.envoy.mesh import EnvoyMesh, Place
    from istiod_py.envoy.node import EnvoyNode
    from mesh_py.model.workload import Workload

TUNNEL = "tunnel"
_CONNECT_AUTHORITY = "io.istio.http.connect_authority.Config"


def _of_istio(name: str, type_name: str, **fields: object) -> Json:
    """An extension that Istio's Envoy has and ours does not: its fields as a struct."""
    return extension(name, "xds.type.v3.TypedStruct", {"type_url": TYPE_PREFIX + type_name, "value": fields})


class Release118:
    """What `form.Form` asks."""

    name = "1.18"
    passed_on: tuple[str, ...] = (TUNNEL,)
    sends_to_waypoints = True

    def sends_hbone(self, node: EnvoyNode) -> bool:
        """`ENABLE_HBONE` was for both directions; waypoints needed no asking."""
        return node.listens_on_hbone or node.type is ProxyType.WAYPOINT

    def tunnel_metadata(self, place: Place, waypoint: Place | None) -> Json:
        dialled = place.ip if waypoint is None else waypoint.ip
        facts = {
            "address": format_address(dialled, HBONE_PORT if waypoint is None else waypoint.port),
            "destination": format_address(place.ip, place.port),
        }
        return {TUNNEL: facts}

    def destination_filter(self) -> Json:
        return _of_istio("set_dst_address", "istio.set_internal_dst_address.v1.Config")

    def keep_destination(self) -> Json:
        return _of_istio("connect_authority", _CONNECT_AUTHORITY, enabled=True, port=HBONE_PORT)

    def tunneling(self, mesh: EnvoyMesh, node: EnvoyNode) -> Json:
        asked: Json = {"hostname": "%DOWNSTREAM_LOCAL_ADDRESS%"}
        workload = mesh.workload_at(node.ip)
        if node.type is ProxyType.SIDECAR and workload is not None:
            asked["headers_to_add"] = [{"header": {"key": "baggage", "value": _baggage(workload)}}]
        return asked

    def originate_fields(self) -> Json:
        return {"cleanup_interval": "60s"}

    def originate_options(self) -> Json:
        return {}

    def terminate_network_filters(self) -> list[Json]:
        return [_of_istio("istio_authn", "io.istio.network.authn.Config", shared=True)]

    def terminate_http_filters(self) -> list[Json]:
        return [
            _of_istio("connect_baggage", "io.istio.http.connect_baggage.Config"),
            _of_istio("connect_authority", _CONNECT_AUTHORITY),
        ]

    def terminate_host_fields(self) -> Json:
        return {"typed_per_filter_config": {"connect_authority": self.keep_destination()["typed_config"]}}

    def service_chain(self, port: int, protocol: str, hostname: str) -> str:
        return f"inbound-vip|{port}||{hostname}-{protocol}"


def _baggage(workload: Workload) -> str:
    """Who the application is, for the telemetry of the other side."""
    facts = {
        "k8s.cluster.name": workload.cluster_id or "Kubernetes",
        "k8s.namespace.name": workload.namespace,
        "k8s.deployment.name": workload.workload_name or workload.name,
        "service.name": workload.canonical_name,
        "service.version": workload.canonical_revision,
    }
    return ",".join(f"{key}={value}" for key, value in facts.items())


RELEASE_1_18 = Release118()
