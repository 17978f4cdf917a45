"""A sidecar's inbound side: virtualInbound on 15006, and main_internal behind tunnels on 15008 [pure].

Each port of the application has its chains: mutual TLS, told by the ALPN of the mesh, and plaintext where
PeerAuthentication lets it in. What came by a tunnel was authenticated there and meets the same chains without TLS.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from istiod_py.envoy import names, rbac
from istiod_py.envoy.connection_manager import HTTP_ALPN, connection_manager, routed_inline, tcp_proxy
from istiod_py.envoy.extension import Json, address_prefix, socket_address
from istiod_py.envoy.inspectors import HTTP_INSPECTOR, PATIENCE, TLS_INSPECTOR, not_on
from istiod_py.envoy.mesh import HTTP, PLAIN
from istiod_py.envoy.outbound import capture_filters
from istiod_py.envoy.policies import policies_of_sidecar
from istiod_py.envoy.rbac_rules import Judge
from istiod_py.envoy.route_actions import default_route
from istiod_py.envoy.routes import virtual_host
from istiod_py.envoy.tls import MESH_ALPN, SERVER_ALPN_HTTP, SERVER_ALPN_TCP, sidecar_server
from mesh_py.manifests.security import MutualTls
from mesh_py.model.workload import AppProtocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from istiod_py.envoy.form import Form
    from istiod_py.envoy.mesh import EnvoyMesh
    from istiod_py.envoy.node import EnvoyNode
    from mesh_py.manifests.security import AuthorizationPolicy


def application_ports(mesh: EnvoyMesh, node: EnvoyNode) -> Mapping[int, AppProtocol]:
    """The ports of the application that services lead to, and what they speak; services that disagree are sniffed."""
    workload = mesh.workload_at(node.ip)
    found: dict[int, AppProtocol] = {}
    for service in mesh.services_of(workload) if workload is not None else ():
        for port in service.ports:
            for place in mesh.places(service, port):
                if workload is not None and place.workload.uid == workload.uid:
                    protocol = mesh.protocol(service, port)
                    same = found.setdefault(place.port, protocol) is protocol
                    found[place.port] = protocol if same else AppProtocol.UNKNOWN
    return dict(sorted(found.items()))


def virtual_inbound(mesh: EnvoyMesh, node: EnvoyNode) -> Json:
    """The listener on 15006, for what redirection brings."""
    chains: list[Json] = [
        {
            "name": "virtualInbound-blackhole",
            "filter_chain_match": {"destination_port": names.INBOUND_PORT},
            "filters": [tcp_proxy(names.BLACK_HOLE, names.BLACK_HOLE)],
        }
    ]
    peers = mesh.peer_modes.levels(node.namespace, mesh.labels_of_proxy(node)).resolve()
    ports = list(_ports(mesh, node, peers.ports))
    for port in ports:
        chains += _captured_chains(mesh, port, peers.mode if port.number is None else peers.at(port.number))
    never_tls = [port.number for port in ports if port.number and peers.at(port.number) is MutualTls.DISABLE]
    return {
        "name": names.VIRTUAL_INBOUND,
        "address": socket_address(node.wildcard, names.INBOUND_PORT),
        "traffic_direction": "INBOUND",
        "listener_filters": [
            *capture_filters(node),
            not_on(TLS_INSPECTOR, never_tls),
            not_on(HTTP_INSPECTOR, _never_http(ports)),
        ],
        **PATIENCE,
        "filter_chains": chains,
    }


def main_internal(mesh: EnvoyMesh, node: EnvoyNode, form: Form) -> Json:
    """The internal listener for what came by a tunnel, and was meant for this pod."""
    judge = Judge(by_tunnel=True)
    own = {"prefix_ranges": [address_prefix(node.ip)]}
    ports = list(_ports(mesh, node, ()))
    chains = [chain for port in ports for chain in _plaintext(port, judge, own)]
    return {
        "name": names.MAIN_INTERNAL,
        "internal_listener": {},
        "traffic_direction": "INBOUND",
        "listener_filters": [form.destination_filter(), not_on(HTTP_INSPECTOR, _never_http(ports))],
        **PATIENCE,
        "filter_chains": chains,
    }


@dataclass(frozen=True, slots=True)
class _Port:
    """A port of the application; None is every other port."""

    number: int | None
    protocol: AppProtocol
    policies: Sequence[AuthorizationPolicy]
    is_of_service: bool = False

    @property
    def cluster(self) -> str:
        if self.number is None or not self.is_of_service:
            return names.INBOUND_PASSTHROUGH
        return names.inbound(self.number)

    @property
    def name(self) -> str:
        return "virtualInbound" if self.number is None else names.virtual_listener("0.0.0.0", self.number)

    @property
    def match(self) -> Json:
        return {} if self.number is None else {"destination_port": self.number}

    def http(self, judge: Judge) -> list[Json]:
        """The filters of connections that are HTTP."""
        route = virtual_host(f"inbound|http|{self.number or 0}", ["*"], [default_route(self.cluster)])
        route["routes"][0]["route"].pop("retry_policy")  # the client has its own
        configuration = {"name": self.cluster, "virtual_hosts": [route], "validate_clusters": False}
        return [
            connection_manager(
                f"inbound_{self.name}",
                routed_inline(configuration),
                rbac.http_filters(self.policies, judge),
                forward_client_cert_details="APPEND_FORWARD",
                set_current_client_cert_details={"subject": True, "uri": True, "dns": True},
            )
        ]

    def tcp(self, judge: Judge) -> list[Json]:
        """The filters of connections that are not."""
        return [*rbac.network_filters(self.policies, judge), tcp_proxy(self.cluster, self.cluster)]


def _ports(mesh: EnvoyMesh, node: EnvoyNode, extra: Iterable[int]) -> Iterator[_Port]:
    """The ports of services, those that `extra` names beside them, and one for all others."""
    policies = policies_of_sidecar(mesh, node)
    of_services = application_ports(mesh, node)
    for number, protocol in of_services.items():
        yield _Port(number, protocol, policies, is_of_service=True)
    for number in sorted(set(extra) - of_services.keys()):
        yield _Port(number, AppProtocol.UNKNOWN, policies)
    yield _Port(None, AppProtocol.UNKNOWN, policies)


def _never_http(ports: Iterable[_Port]) -> list[int]:
    return [port.number for port in ports if port.number and port.protocol in PLAIN]


def _captured_chains(mesh: EnvoyMesh, port: _Port, mode: MutualTls) -> list[Json]:
    found = []
    judge = Judge()
    if mode is not MutualTls.DISABLE:
        found += _mutual_tls(mesh, port, judge)
    if mode is not MutualTls.STRICT:
        found += _plaintext(port, judge, {"transport_protocol": "raw_buffer"})
        # TLS of the application's own, which the mesh does not look into.
        own_tls = port.match | {"transport_protocol": "tls"}
        found.append({"name": f"{port.name}-tls", "filter_chain_match": own_tls, "filters": port.tcp(judge)})
    return found


def _mutual_tls(mesh: EnvoyMesh, port: _Port, judge: Judge) -> list[Json]:
    http_words = [word for word in MESH_ALPN if "http" in word or word == "istio-h2"]
    tcp_words = [word for word in MESH_ALPN if word not in http_words]
    if port.protocol in HTTP:
        return [_tls_chain(mesh, port, port.http(judge), MESH_ALPN, SERVER_ALPN_HTTP)]
    if port.protocol is not AppProtocol.UNKNOWN:
        return [_tls_chain(mesh, port, port.tcp(judge), MESH_ALPN, SERVER_ALPN_TCP)]
    return [
        _tls_chain(mesh, port, port.http(judge), http_words, SERVER_ALPN_HTTP, "-http"),
        _tls_chain(mesh, port, port.tcp(judge), tcp_words, SERVER_ALPN_TCP),
    ]


def _tls_chain(
    mesh: EnvoyMesh, port: _Port, filters: list[Json], offered: Sequence[str], alpn: Sequence[str], suffix: str = ""
) -> Json:
    match = port.match | {"transport_protocol": "tls", "application_protocols": list(offered)}
    return {
        "name": f"{port.name}-mtls{suffix}",
        "filter_chain_match": match,
        "transport_socket": sidecar_server(alpn, mesh.trust_domains),
        "filters": filters,
    }


def _plaintext(port: _Port, judge: Judge, match: Json) -> list[Json]:
    plain = port.match | match
    if port.protocol in HTTP:
        return [{"name": port.name, "filter_chain_match": plain, "filters": port.http(judge)}]
    rest = {"name": port.name, "filter_chain_match": plain, "filters": port.tcp(judge)}
    if port.protocol is not AppProtocol.UNKNOWN:
        return [rest]
    sniffed = plain | {"application_protocols": list(HTTP_ALPN)}
    return [{"name": f"{port.name}-http", "filter_chain_match": sniffed, "filters": port.http(judge)}, rest]
