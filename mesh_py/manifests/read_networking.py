"""Reading ServiceEntry and WorkloadEntry [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mesh_py.discovery.yaml_reader import Fault, Field, Schema, choice, integer, map_of, port, port_or_zero, scalar
from mesh_py.manifests.decoders import (
    block,
    blocks,
    dns_name,
    hostname,
    ignored,
    object_name,
    text_not_empty,
    texts,
    word,
)
from mesh_py.manifests.kinds import STATUS, Kind, KindName, part, required_part
from mesh_py.manifests.networking import EntryEndpoint, EntryPort, Location, Resolution, ServiceEntry, WorkloadEntry
from mesh_py.model.address import Cidr, parse_ip
from mesh_py.model.workload import Locality

if TYPE_CHECKING:
    from collections.abc import Mapping

    import yaml

    from mesh_py.manifests.decoders import ManifestReader
    from mesh_py.manifests.metadata import Labels, Metadata

_VERSIONS = ("v1", "v1beta1", "v1alpha3")
_PROTOCOLS = ("HTTP", "HTTPS", "GRPC", "GRPC-WEB", "HTTP2", "MONGO", "MYSQL", "REDIS", "TCP", "TLS", "UDP")

KINDS: Mapping[str, KindName] = {
    "ServiceEntry": KindName("networking.istio.io", _VERSIONS),
    "WorkloadEntry": KindName("networking.istio.io", _VERSIONS),
}


class NetworkingKinds:
    """Decoders for the objects of one file."""

    def __init__(self, reader: ManifestReader) -> None:
        self._reader = reader
        self._endpoint_fields = {
            "address": Field(_address, "address"),
            "ports": Field(map_of(text_not_empty, port), "ports"),
            "labels": Field(reader.labels, "labels"),
            "network": Field(scalar, "network"),
            "locality": Field(_locality, "locality"),
            "weight": Field(integer(0, 2**32 - 1), "weight"),
            "serviceAccount": Field(object_name, "service_account"),
        }

    def workload_entry(self) -> Kind:
        """A WorkloadEntry."""
        spec = self._reader.placed(_endpoint, Schema("the spec of a WorkloadEntry", self._endpoint_fields))
        return Kind(WorkloadEntry, {"spec": Field(lambda node: {"spec": spec(node)}, "spec", True), **STATUS})

    def service_entry(self) -> Kind:
        """A ServiceEntry."""
        read = self._reader
        entry_port = read.placed(EntryPort, Schema("port of a ServiceEntry", _PORT))
        endpoint = read.placed(_endpoint, Schema("endpoint of a ServiceEntry", self._endpoint_fields))
        spec = {
            "hosts": Field(list_of_hosts, "hosts", required=True),
            "addresses": Field(blocks, "addresses"),
            "ports": Field(read.each(entry_port), "ports"),
            "location": Field(choice(Location), "location"),
            "resolution": Field(choice(Resolution), "resolution"),
            "endpoints": Field(read.each(endpoint), "endpoints"),
            "workloadSelector": Field(read.workload_selector("labels"), "workload_selector"),
            "exportTo": Field(texts, "export_to"),
            "subjectAltNames": Field(texts, "subject_alt_names"),
        }
        status_address = read.record(
            _host_address, Schema("address", {"value": Field(block, "value", True), "host": Field(scalar, "host")})
        )
        status = {"addresses": Field(read.each(status_address), "status_addresses")}
        return Kind(
            _service_entry,
            {
                "spec": required_part(read, "the spec of a ServiceEntry", spec),
                "status": part(read, "status", status, strict=False),
            },
        )


def list_of_hosts(node: yaml.Node) -> tuple[str, ...]:
    """One host name or more; a bare `*` is refused, as Istio does."""
    hosts = texts(node)
    if not hosts:
        raise Fault(node, "a ServiceEntry needs a host", "name one, such as api.example.com")
    return tuple(hostname(item) for item in node.value)


def _host_address(value: Cidr, host: str = "") -> tuple[str, Cidr]:
    return host, value


def _service_entry(
    metadata: Metadata,
    hosts: tuple[str, ...] = (),
    addresses: tuple[Cidr, ...] = (),
    endpoints: tuple[EntryEndpoint, ...] = (),
    workload_selector: Labels | None = None,
    status_addresses: tuple[tuple[str, Cidr], ...] = (),
    **fields: Any,
) -> ServiceEntry:
    if endpoints and workload_selector is not None:
        raise ValueError("a ServiceEntry has either endpoints or a workloadSelector", "remove one of them")
    assigned: dict[str, tuple[Cidr, ...]] = {}
    if not addresses:
        for host in hosts:
            assigned[host] = tuple(value for of_host, value in status_addresses if of_host in ("", host))
    return ServiceEntry(
        metadata,
        hosts=hosts,
        addresses=addresses,
        endpoints=endpoints,
        workload_selector=workload_selector,
        assigned_addresses={host: found for host, found in assigned.items() if found},
        **fields,
    )


def _endpoint(address: str = "", network: str = "", **fields: Any) -> EntryEndpoint:
    if not address and not network:
        raise ValueError("an endpoint needs an address", "add 'address', or 'network' for one behind a gateway")
    return EntryEndpoint(address, network=network, **fields)


def _address(node: yaml.Node) -> str:
    """An IP address in canonical form, a host name, or a Unix socket."""
    text = text_not_empty(node)
    if text.startswith("unix://"):
        return text
    try:
        return parse_ip(text)
    except ValueError:
        pass
    try:
        return dns_name(text.lower().removesuffix("."))
    except ValueError:
        raise Fault(node, f"{text!r} is neither an IP address nor a host name") from None


def _locality(node: yaml.Node) -> Locality:
    parts = scalar(node).split("/")
    if len(parts) > len(Locality()):
        raise Fault(node, f"{scalar(node)!r} is no locality", "write region/zone/subzone")
    return Locality(*parts)


_PORT = {
    "number": Field(port, "number", required=True),
    "name": Field(text_not_empty, "name", required=True),
    "protocol": Field(word(*_PROTOCOLS, folded=True), "protocol"),
    "targetPort": Field(port_or_zero, "target_port"),
    **ignored("nodePort"),
}
