"""Reading the Gateway API's Gateway and ReferenceGrant [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mesh_py.discovery.yaml_reader import Fault, Field, Schema, port, scalar, sequence
from mesh_py.manifests.decoders import (
    hostname,
    ignored,
    object_name,
    text_not_empty,
    word,
)
from mesh_py.manifests.gateway import AllowedRoutes, Gateway, GatewayAddressValue, Granted, Listener, ReferenceGrant
from mesh_py.manifests.kinds import Kind, KindName, Parts, part, required_part
from mesh_py.manifests.references import GATEWAY_GROUP
from mesh_py.model.address import parse_ip

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import yaml

    from mesh_py.manifests.decoders import ManifestReader
    from mesh_py.manifests.metadata import Metadata
    from mesh_py.manifests.selector import LabelSelector

KINDS: Mapping[str, KindName] = {
    "Gateway": KindName(GATEWAY_GROUP, ("v1", "v1beta1")),
    "ReferenceGrant": KindName(GATEWAY_GROUP, ("v1beta1", "v1")),
}


class GatewayKinds:
    """Decoders for the objects of one file."""

    def __init__(self, reader: ManifestReader) -> None:
        self._reader = reader

    def gateway(self) -> Kind:
        """A Gateway."""
        read = self._reader
        listener = read.placed(Listener, Schema("listener", self._listener_fields()))
        address = Schema("address", {"type": Field(scalar, "type"), "value": Field(text_not_empty, "value", True)})
        addresses = read.each(read.record(_address, address))
        infrastructure = Schema(
            "infrastructure",
            {
                "labels": Field(read.labels, "infrastructure_labels"),
                "annotations": Field(read.labels, "infrastructure_annotations"),
                **ignored("parametersRef"),
            },
        )
        spec = {
            "gatewayClassName": Field(object_name, "gateway_class_name", required=True),
            "listeners": Field(read.each(listener), "listeners", required=True),
            "addresses": Field(addresses, "addresses"),
            "infrastructure": Field(lambda node: read.fields(node, infrastructure), "infrastructure"),
            **ignored("allowedListeners", "backendTLS", "tls", "defaultScope"),
        }
        status = {"addresses": Field(addresses, "status_addresses")}
        return Kind(
            _gateway,
            {
                "spec": required_part(read, "the spec of a Gateway", spec),
                "status": part(read, "status", status, strict=False),
            },
        )

    def reference_grant(self) -> Kind:
        """A ReferenceGrant."""
        read = self._reader
        common = {"group": Field(scalar, "group"), "kind": Field(text_not_empty, "kind", required=True)}
        from_ = Schema("from", {**common, "namespace": Field(object_name, "namespace", required=True)})
        to = Schema("to", {**common, "name": Field(object_name, "name")})
        spec = {
            "from": Field(_some(read.each(read.record(Granted, from_))), "from_", required=True),
            "to": Field(_some(read.each(read.record(Granted, to))), "to", required=True),
        }
        return Kind(ReferenceGrant, {"spec": required_part(read, "the spec of a ReferenceGrant", spec)})

    def _listener_fields(self) -> dict[str, Field]:
        read = self._reader
        kinds = Schema("kind", {"group": Field(scalar, "group"), "kind": Field(text_not_empty, "kind", True)})
        namespaces = Schema(
            "namespaces",
            {
                "from": Field(word("Same", "All", "Selector", "None"), "namespaces_from"),
                "selector": Field(read.label_selector, "selector"),
            },
        )
        allowed = Schema(
            "allowedRoutes",
            {
                "namespaces": Field(lambda node: read.fields(node, namespaces), "namespaces"),
                "kinds": Field(read.each(read.record(_kind, kinds)), "kinds"),
            },
        )
        tls = Schema("tls", {"mode": Field(word("Terminate", "Passthrough"), "mode")}, strict=False)
        return {
            "name": Field(object_name, "name", required=True),
            "port": Field(port, "port", required=True),
            "protocol": Field(text_not_empty, "protocol", required=True),
            "hostname": Field(hostname, "hostname"),
            "tls": Field(lambda node: read.fields(node, tls).get("mode", "Terminate"), "tls_mode"),
            "allowedRoutes": Field(read.record(_allowed_routes, allowed), "allowed_routes"),
        }


def _some(decode: Callable[[yaml.Node], tuple[Any, ...]]) -> Callable[[yaml.Node], tuple[Any, ...]]:
    def decode_list(node: yaml.Node) -> tuple[Any, ...]:
        if not sequence(node):
            raise Fault(node, "an empty list grants nothing", "add an entry")
        return decode(node)

    return decode_list


def _address(value: str, type: str = "IPAddress") -> GatewayAddressValue:
    if type == "IPAddress":
        try:
            value = parse_ip(value)
        except ValueError:
            raise ValueError(f"{value!r} is no IP address", "write type: Hostname if it is a name") from None
    return GatewayAddressValue(type, value)


def _kind(kind: str, group: str = GATEWAY_GROUP) -> str:
    return kind


def _allowed_routes(namespaces: Parts | None = None, kinds: tuple[str, ...] = ()) -> AllowedRoutes:
    where: dict[str, Any] = dict(namespaces or {})
    selector: LabelSelector | None = where.get("selector")
    if (where.get("namespaces_from") == "Selector") is not (selector is not None):
        raise ValueError("a selector of namespaces goes with 'from: Selector'", "write both, or neither")
    return AllowedRoutes(kinds=kinds, **where)


def _gateway(metadata: Metadata, infrastructure: Parts | None = None, **fields: Any) -> Gateway:
    return Gateway(metadata, **fields, **(infrastructure or {}))
