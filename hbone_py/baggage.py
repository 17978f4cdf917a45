"""The `baggage` header: who a workload is, for telemetry (hbone-dataplane 1.4) [pure].

Written plain, as ztunnel reads it; read with more patience than ztunnel's: white space trimmed, percent-decoding,
a value cut at its first `=` only.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote

_TYPES = ("deployment", "cronjob", "pod", "job")


@dataclass(frozen=True, slots=True)
class Baggage:
    """The members of a baggage header; empty text where unknown."""

    cluster: str = ""
    namespace: str = ""
    workload: str = ""
    workload_type: str = "deployment"
    service: str = ""
    revision: str = ""
    region: str = ""
    zone: str = ""

    def __str__(self) -> str:
        members = (
            ("k8s.cluster.name", self.cluster),
            ("k8s.namespace.name", self.namespace),
            (f"k8s.{self.workload_type.lower()}.name", self.workload),
            ("service.name", self.service),
            ("service.version", self.revision),
            ("cloud.region", self.region),
            ("cloud.availability_zone", self.zone),
        )
        return ",".join(f"{key}={value}" for key, value in members if value)


_FIELDS = {
    "k8s.cluster.name": "cluster",
    "k8s.namespace.name": "namespace",
    "service.name": "service",
    "service.version": "revision",
    "cloud.region": "region",
    "cloud.availability_zone": "zone",
}


def parse_baggage(values: list[bytes]) -> Baggage | None:
    """All instances of the header, in order; the last member of a kind wins. None when nothing can be used."""
    found: dict[str, str] = {}
    for value in values:
        if not value.isascii() or not value.decode("latin-1").isprintable():
            return None
        for member in value.decode("ascii").split(","):
            _take_member(member, found)
    return Baggage(**found) if found else None


def _take_member(member: str, found: dict[str, str]) -> None:
    key, _, text = member.partition(";")[0].partition("=")
    key, text = key.strip(), unquote(text.strip())
    if not text or not text.isprintable():
        return
    if name := _FIELDS.get(key):
        found[name] = text
        return
    parts = key.split(".")
    if len(parts) == 3 and parts[0] == "k8s" and parts[2] == "name" and parts[1] in _TYPES:
        found["workload_type"], found["workload"] = parts[1], text
