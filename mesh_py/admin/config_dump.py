"""`/config_dump` in ztunnel's shape, which istioctl reads (hbone-controlplane 7.3, 7.4) [pure]."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Json = dict[str, Any]

ConnectionProtocol = Literal["TCP", "HBONE", "DOUBLEHBONE"]

NEVER_SHOWN = frozenset({"auth", "auth_token", "token", "local_xds", "local_xds_path"})
"""Settings left out of a dump: secrets, and the state's source, which is shown as state."""


@dataclass(frozen=True, slots=True)
class ConfigDumpParts:
    """What a dump is made of, every part already in dump shape."""

    workloads: Sequence[Json] = ()
    services: Sequence[Json] = ()
    policies: Sequence[Json] = ()
    staged_services: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)
    static: Mapping[str, Sequence[Json]] = field(default_factory=dict)
    """`workloads`, `policies`, `services` as the local file gives them."""
    version: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    """Effective settings by name, `snake_case`; groups of settings as dicts."""
    certificates: Sequence[Json] = ()
    workload_state: Mapping[str, Json] | None = None
    """By workload uid; None leaves the key out, as dedicated mode does."""


def assemble_config_dump(parts: ConfigDumpParts) -> Json:
    """The whole dump, its lists in the order readers expect."""
    static = {key: list(parts.static.get(key, ())) for key in ("workloads", "policies", "services")}
    dump: Json = {
        "workloads": _sorted(parts.workloads, "uid"),
        "services": _sorted(parts.services, "hostname"),
        "policies": _sorted(parts.policies, "namespace", "name"),
        "stagedServices": dict(parts.staged_services),
        "staticConfig": static,
        "version": dict(parts.version),
        "config": effective_config(parts.config),
        "certificates": _sorted(parts.certificates, "identity"),
    }
    if parts.workload_state is not None:
        dump["workloadState"] = dict(sorted(parts.workload_state.items()))
    return dump


def effective_config(settings: Mapping[str, Any]) -> Json:
    """Settings under camelCase names at every depth, without `NEVER_SHOWN`."""
    return {camel_case(name): _renamed(value) for name, value in settings.items() if name not in NEVER_SHOWN}


def version_info(version: str, *, git_revision: str, istio_version: str, language: str, form: str, crypto: str) -> Json:
    """The version part. Readers know ztunnel's keys, so the language's version goes under `rustVersion`.

    `form` is that of the hot modules, `plain` or `compiled`.
    """
    return {
        "version": version,
        "gitRevision": git_revision,
        "rustVersion": language,
        "buildProfile": form,
        "buildStatus": "Clean",
        "istioVersion": istio_version,
        "cryptoProvider": crypto,
    }


def connection_entry(src: str, original_dst: str | None, actual_dst: str, protocol: ConnectionProtocol) -> Json:
    """One live connection. Addresses are `ip:port`; inbound, `original_dst` is the forwarded host or None."""
    return {"src": src, "originalDst": original_dst, "actualDst": actual_dst, "protocol": protocol}


def workload_entry(
    name: str, namespace: str, service_account: str, *, inbound: Sequence[Json], outbound: Sequence[Json]
) -> Json:
    """A workload this proxy serves, with its live connections."""
    return {
        "state": "Up",
        "connections": {"inbound": list(inbound), "outbound": list(outbound)},
        "info": {"name": name, "namespace": namespace, "serviceAccount": service_account},
    }


def pending_workload_entry(name: str, namespace: str, service_account: str) -> Json:
    """A workload this proxy would serve if it could."""
    return {
        "state": "Pending",
        "info": {"name": name, "namespace": namespace, "serviceAccount": service_account},
    }


def merge_workload_states(states: Sequence[Mapping[str, Json]]) -> dict[str, Json]:
    """One view over several worker processes: each serves the same workloads with connections of its own."""
    merged: dict[str, Json] = {}
    for state in states:
        for uid, entry in state.items():
            merged[uid] = _joined(merged[uid], entry) if uid in merged else entry
    return merged


def camel_case(name: str) -> str:
    """`proxy_mode` as `proxyMode`."""
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def _renamed(value: Any) -> Any:
    if isinstance(value, dict):
        return effective_config(value)
    if isinstance(value, list | tuple):
        return [_renamed(one) for one in value]
    return value


def _joined(one: Json, other: Json) -> Json:
    connections = {
        direction: [*one["connections"][direction], *other["connections"][direction]]
        for direction in ("inbound", "outbound")
    }
    return {**one, "connections": connections}


def _sorted(entries: Sequence[Json], *keys: str) -> list[Json]:
    return sorted(entries, key=lambda entry: tuple(str(entry.get(key, "")) for key in keys))
