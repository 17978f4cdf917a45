"""Who we are to the control plane (hbone-controlplane 2.2) [no I/O]."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

META, META_JSON = "ISTIO_META_", "ISTIO_METAJSON_"
NO_ADDRESS = "1.1.1.1"
"""Stands for an address that nobody told us: the control plane refuses a node without one."""


@dataclass(frozen=True, slots=True)
class Node:
    """An identity to be told at the start of each stream, and facts about us."""

    id: str
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @staticmethod
    def of(
        kind: str, *, name: str = "", namespace: str = "", ip: str = "", metadata: Mapping[str, Any] | None = None
    ) -> Node:
        """A proxy of a pod: `kind~ip~name.namespace~namespace.svc.cluster.local`, four parts whatever is known.

        Args:
            kind: `ztunnel`, `sidecar` or `waypoint`: decides what the control plane sends.
            name: of the pod.
            namespace: of the pod.
            ip: of the pod.
            metadata: more facts; they win over those derived here.
        """
        ip = ip or NO_ADDRESS
        told = {"NAME": name, "NAMESPACE": namespace, "INSTANCE_IPS": ip, **(metadata or {})}
        return Node(f"{kind}~{ip}~{name}.{namespace}~{namespace}.svc.cluster.local", told)


def metadata_from(environ: Mapping[str, str]) -> dict[str, Any]:
    """`ISTIO_META_<K>` as text, `ISTIO_METAJSON_<K>` as the JSON it holds, which wins.

    Raises:
        ValueError: one is no JSON; the text begins with its name.
    """
    texts = {name.removeprefix(META): text for name, text in environ.items() if name.startswith(META)}
    parsed = {
        name.removeprefix(META_JSON): _parsed(name, text)
        for name, text in environ.items()
        if name.startswith(META_JSON)
    }
    return {name: value for name, value in (texts | parsed).items() if name}


def _parsed(name: str, text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_number)
    except ValueError as error:
        raise ValueError(f'{name}: {error}: write JSON, such as {{}} or "text"') from None


def _no_number(word: str) -> Any:
    raise ValueError(f"{word} is no JSON number")
