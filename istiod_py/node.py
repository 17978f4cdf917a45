"""Who a proxy says it is: the node of its first xDS request, read strictly (hbone-controlplane 2.2) [pure]."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

NODE_TYPES = frozenset({"sidecar", "router", "waypoint", "ztunnel", "agentgateway"})
"""What the first part of an id may be."""

LONGEST_ID = 1024
_EACH = 64
"""Bytes of an object, and of its place in another."""
_NO_METADATA: Mapping[str, Any] = MappingProxyType({})


class InvalidNodeError(ValueError):
    """The node cannot be understood; the text says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class ProxyNode:
    """A proxy, by its own account until `tokens` has confirmed it."""

    id: str
    kind: str
    """One of NODE_TYPES."""
    ip: str
    name: str
    namespace: str
    domain: str
    metadata: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @property
    def node(self) -> str:
        """The name of the machine it runs on, "" if it did not say."""
        return self.text("NODE_NAME")

    @property
    def service_account(self) -> str:
        """ "" if it did not say."""
        return self.text("SERVICE_ACCOUNT")

    @property
    def cluster_id(self) -> str:
        """The cluster it belongs to, "" if it did not say."""
        return self.text("CLUSTER_ID")

    @property
    def cost(self) -> int:
        """About how many bytes it takes to keep: many small things cost more than they were sent in."""
        return len(self.id) + _cost(self.metadata)

    def text(self, key: str) -> str:
        """A metadata entry that is a string; "" for any other, or none."""
        value = self.metadata.get(key)
        return value if isinstance(value, str) else ""


def read_node(id: str, metadata: Mapping[str, Any] = _NO_METADATA) -> ProxyNode:
    """A node from its id, `kind~ip~name.namespace~domain`, and its metadata.

    Raises:
        InvalidNodeError: not four parts, an unknown kind, no valid address, or no namespace.
    """
    if len(id) > LONGEST_ID:
        raise InvalidNodeError(f"node id of {len(id)} characters: at most {LONGEST_ID} are read")
    parts = id.split("~")
    if len(parts) != 4:
        raise InvalidNodeError(f"node id {id!r} has {len(parts)} parts: expected kind~ip~name.namespace~domain")
    kind, ip, called, domain = parts
    if kind not in NODE_TYPES:
        raise InvalidNodeError(f"node id {id!r}: unknown kind {kind!r}: expected {', '.join(sorted(NODE_TYPES))}")
    name, dot, namespace = called.rpartition(".")
    if not dot:
        raise InvalidNodeError(f"node id {id!r}: {called!r} is not name.namespace")
    return ProxyNode(id, kind, _address(id, ip, metadata), name, _namespace(namespace, metadata), domain, metadata)


def _cost(value: object) -> int:
    if isinstance(value, Mapping):
        return _EACH + sum(_cost(key) + _cost(one) for key, one in value.items())
    if isinstance(value, list):
        return _EACH + sum(map(_cost, value))
    return _EACH + len(value) if isinstance(value, str) else _EACH


def _address(id: str, ip: str, metadata: Mapping[str, Any]) -> str:
    """The first valid address: of INSTANCE_IPS, which is the longer list, else of the id."""
    listed = metadata.get("INSTANCE_IPS")
    candidates = [*(listed.split(",") if isinstance(listed, str) else ()), ip]
    for candidate in candidates:
        try:
            return str(ipaddress.ip_address(candidate.strip()))
        except ValueError:
            continue
    raise InvalidNodeError(f"node id {id!r}: no valid IP address in it nor in INSTANCE_IPS")


def _namespace(namespace: str, metadata: Mapping[str, Any]) -> str:
    """Metadata wins over the id, as with istiod."""
    given = metadata.get("NAMESPACE")
    return given if isinstance(given, str) and given else namespace
