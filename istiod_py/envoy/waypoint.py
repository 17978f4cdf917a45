"""A waypoint: tunnels end, requests are judged and routed, tunnels begin (hbone-controlplane 9.5) [pure].

    connect_terminate :15008 -> main_internal, matched by service address and port -> routes
        -> inbound-vip|port|http|host -> connect_originate -> the pod's ztunnel :15008

Only services and workloads that are attached to the waypoint are served; a CONNECT for anything else finds no filter
chain and is closed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from istiod_py.envoy import names, rbac
from istiod_py.envoy.connection_manager import (
    connection_manager,
    routed_by,
    routed_inline,
    tcp_proxy,
    to_clusters,
)
from istiod_py.envoy.inspectors import HTTP_INSPECTOR, PATIENCE, not_on
from istiod_py.envoy.matchers import by_destination, by_port, by_protocol, chain
from istiod_py.envoy.mesh import HTTP, Target
from istiod_py.envoy.policies import policies_of_waypoint
from istiod_py.envoy.rbac_rules import Judge
from istiod_py.envoy.route_actions import default_route
from istiod_py.envoy.routes import routes_of_service, virtual_host
from istiod_py.envoy.rules import Backends, Rules
from istiod_py.envoy.tcp_routes import clusters_of_service
from istiod_py.envoy.traffic_policy import of_tcp_proxy
from mesh_py.model.workload import AppProtocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from istiod_py.envoy.extension import Json
    from istiod_py.envoy.form import Form
    from istiod_py.envoy.mesh import EnvoyMesh
    from istiod_py.envoy.node import EnvoyNode
    from mesh_py.manifests.security import AuthorizationPolicy
    from mesh_py.model.address import IpAddress
    from mesh_py.model.workload import Service, Workload

JUDGE = Judge(by_tunnel=True)
DIRECT_HTTP, DIRECT_TCP = "direct-http", "direct-tcp"


@dataclass(frozen=True)
class Waypoint:
    """One waypoint and what is attached to it."""

    mesh: EnvoyMesh
    node: EnvoyNode
    form: Form
    services: Sequence[Service] = field(init=False)
    workloads: Sequence[Workload] = field(init=False)
    rules: Rules = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "services", self.mesh.attached(self.node))
        object.__setattr__(self, "workloads", self.mesh.attached_workloads(self.node))
        object.__setattr__(self, "rules", self.mesh.rules_of(self.node))

    def main_internal(self) -> Json:
        """The internal listener for what was inside the tunnels."""
        chains = [one for service in self.services for one in self._service_chains(service)]
        return {
            "name": names.MAIN_INTERNAL,
            "internal_listener": {},
            "traffic_direction": "INBOUND",
            "listener_filters": [self.form.destination_filter(), not_on(HTTP_INSPECTOR, self._declared_ports())],
            **PATIENCE,
            "filter_chains": [*chains, *self._direct_chains()],
            "filter_chain_matcher": self._matcher(),
        }

    def routes(self) -> dict[str, Json]:
        """The route configurations of the services' HTTP ports."""
        found = {}
        for service, port in self._ports():
            if self._speaks_http(service, port):
                name = names.inbound_vip(port, "http", service.hostname)
                found[name] = self._configuration(name, service, port)
        return found

    def owned_clusters(self) -> Iterator[tuple[str, Target]]:
        """The waypoint's own clusters: their names, each with what it is for."""
        for service, port in self._ports():
            for subset in (None, *self.rules.subsets(service)):
                target = Target(service, port, subset)
                if self._speaks_http(service, port):
                    yield names.inbound_vip(port, "http", service.hostname, target.subset_name), target
                if self._speaks_tcp(service, port):
                    yield names.inbound_vip(port, "tcp", service.hostname, target.subset_name), target

    def cluster_of(self, service: Service, port: int, subset: str = "") -> str:
        """The cluster that requests for a service's port go to: the waypoint's own, or that of any client."""
        if any(one.key == service.key for one in self.services) and self._speaks_http(service, port):
            return names.inbound_vip(port, "http", service.hostname, subset)
        return names.outbound(port, service.hostname, subset)

    def _chain(self, service: Service, port: int, protocol: str) -> str:
        return self.form.service_chain(port, protocol, service.hostname)

    def _tcp_cluster_of(self, service: Service, port: int) -> str:
        if any(one.key == service.key for one in self.services) and self._speaks_tcp(service, port):
            return names.inbound_vip(port, "tcp", service.hostname)
        return names.outbound(port, service.hostname)

    def _ports(self) -> Iterator[tuple[Service, int]]:
        for service in self.services:
            for port in service.ports:
                yield service, port

    def _declared_ports(self) -> Iterator[int]:
        """Ports of which every attached service says what they carry. A workload may have anything on any of them."""
        unknown = {port for service, port in self._ports() if self.mesh.protocol(service, port) is AppProtocol.UNKNOWN}
        for _, port in self._ports() if not self.workloads else ():
            if port not in unknown:
                yield port

    def _speaks_http(self, service: Service, port: int) -> bool:
        return self.mesh.protocol(service, port) in HTTP | {AppProtocol.UNKNOWN}

    def _speaks_tcp(self, service: Service, port: int) -> bool:
        return self.mesh.protocol(service, port) not in HTTP

    def _namespaces(self, service: Service) -> tuple[str, str]:
        return service.namespace, self.node.namespace

    def _service_chains(self, service: Service) -> Iterator[Json]:
        policies = policies_of_waypoint(self.mesh, self.node, service)
        for port in service.ports:
            if self._speaks_http(service, port):
                name = names.inbound_vip(port, "http", service.hostname)
                manager = connection_manager(name, routed_by(name), rbac.http_filters(policies, JUDGE))
                yield {"name": self._chain(service, port, "http"), "filters": [manager]}
            if self._speaks_tcp(service, port):
                name = names.inbound_vip(port, "tcp", service.hostname)
                filters = [*rbac.network_filters(policies, JUDGE), self._tcp(service, port, name)]
                yield {"name": self._chain(service, port, "tcp"), "filters": filters}

    def _tcp(self, service: Service, port: int, name: str) -> Json:
        clusters = clusters_of_service(self.mesh, service, port, self._tcp_cluster_of, self._namespaces(service))
        return to_clusters(name, clusters, **of_tcp_proxy(self.rules.policy(service, port)))

    def _configuration(self, name: str, service: Service, port: int) -> Json:
        backends = Backends(self.rules, self.cluster_of)
        routes = routes_of_service(self.mesh, service, port, backends, self._namespaces(service))
        host = virtual_host(f"inbound|http|{port}", ["*"], routes)
        return {"name": name, "virtual_hosts": [host], "validate_clusters": False}

    def _direct_chains(self) -> list[Json]:
        """For traffic that was addressed to a workload, not to a service."""
        policies = policies_of_waypoint(self.mesh, self.node, None)
        host = virtual_host("inbound|http|0", ["*"], [default_route(names.ENCAP)])
        routing = routed_inline({"name": names.ENCAP, "virtual_hosts": [host], "validate_clusters": False})
        return [
            {"name": DIRECT_TCP, "filters": self._direct_tcp(policies)},
            {
                "name": DIRECT_HTTP,
                "filters": [
                    self.form.keep_destination(),
                    connection_manager(DIRECT_HTTP, routing, rbac.http_filters(policies, JUDGE)),
                ],
            },
        ]

    def _direct_tcp(self, policies: Sequence[AuthorizationPolicy]) -> list[Json]:
        return [
            self.form.keep_destination(),
            *rbac.network_filters(policies, JUDGE),
            tcp_proxy(names.ENCAP, names.ENCAP),
        ]

    def _matcher(self) -> Json:
        rows: list[tuple[Sequence[IpAddress], Json]] = [
            ([vip.ip for vip in service.vips], by_port({port: self._match(service, port) for port in service.ports}))
            for service in self.services
            if service.ports
        ]
        direct = by_protocol(chain(DIRECT_HTTP), chain(DIRECT_TCP))
        rows.append(([ip for workload in self.workloads for ip in workload.workload_ips], direct))
        return by_destination(rows)

    def _match(self, service: Service, port: int) -> Json:
        http, tcp = (chain(self._chain(service, port, kind)) for kind in ("http", "tcp"))
        match self.mesh.protocol(service, port):
            case AppProtocol.UNKNOWN:
                return by_protocol(http, tcp)
            case protocol:
                return http if protocol in HTTP else tcp
