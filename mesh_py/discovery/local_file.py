"""The mesh from a file: the LocalConfig YAML of `LOCAL_XDS_PATH`, or a proxy's config dump [pure].

The keys are ztunnel's own (hbone-controlplane 5). We are stricter in three places: an unknown key of a match is a
fault, two workloads of one uid are (the second would replace the first in silence), and so are two services or
policies of one name. We are kinder in two: a string matcher may be spelled `{Exact: x}`, and a workload's services
count for inbound traffic too.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from hbone_py.identity import InvalidSpiffeIdError, SpiffeId
from mesh_py.discovery.config_dump import is_config_dump, read_config_dump
from mesh_py.discovery.mesh_schema import MeshSchema
from mesh_py.discovery.yaml_reader import Fault, Field, Reader, Schema, compose, sequence, without_collection

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Mapping

    import yaml

    from mesh_py.model.authorization import Policy
    from mesh_py.model.workload import Service, Workload

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class LocalConfig:
    """What a file says about the mesh."""

    workloads: tuple[Workload, ...] = ()
    services: tuple[Service, ...] = ()
    policies: tuple[Policy, ...] = ()
    warnings: tuple[str, ...] = ()
    """What is allowed and probably not meant, one line each."""
    further: Mapping[str, Any] = field(default_factory=dict)
    """What a role's further keys say, by key, as their decoders gave it."""


def read_local_config(
    text: str,
    file: str,
    *,
    trust_domain: str = "",
    reader: Reader | None = None,
    further: Mapping[str, Callable[[yaml.Node], Any]] | None = None,
) -> LocalConfig:
    """Read the text of a file: LocalConfig, or a config dump if its keys are those of one.

    Args:
        file: its name, for messages.
        trust_domain: fills in for workloads that name none. ztunnel leaves those without (`spiffe:///ns/...`).
        reader: collects the faults; None: one of its own.
        further: decoders of keys that a role knows beside ztunnel's own.

    Raises:
        ConfigError: everything that is wrong with it, each with line, column and advice.
    """
    with without_collection():
        config = _read(text, reader or Reader(file), further or {})
    filled = (w if w.trust_domain else replace(w, trust_domain=trust_domain) for w in config.workloads)
    workloads = tuple(filled) if trust_domain else config.workloads
    return replace(config, workloads=workloads, warnings=tuple(_warnings(file, config)))


def _read(text: str, reader: Reader, further: Mapping[str, Callable[[yaml.Node], Any]]) -> LocalConfig:
    node = compose(text, reader.file)
    is_dump = is_config_dump(node)
    config = LocalConfig(*read_config_dump(reader, node)) if is_dump else _read_lists(reader, node, further)
    reader.finish()
    return config


def _read_lists(reader: Reader, node: yaml.Node, further: Mapping[str, Callable[[yaml.Node], Any]]) -> LocalConfig:
    mesh = MeshSchema(reader)
    lists = {
        "workloads": Field(_unique(reader, mesh.workload, lambda w: w.uid, "workload uid"), "workloads"),
        "services": Field(_unique(reader, mesh.service, lambda s: s.key, "service"), "services"),
        "policies": Field(_unique(reader, mesh.policy, lambda p: p.key, "policy"), "policies"),
    }
    own = {key: Field(decode, key) for key, decode in further.items()}
    found = reader.fields(node, Schema("the file", {**lists, **own}))
    more = {key: found.pop(key) for key in own if key in found}
    return LocalConfig(**found, further=more)


def _unique(
    reader: Reader,
    decode: Callable[[yaml.Node], Value | None],
    key: Callable[[Value], Hashable],
    thing: str,
) -> Callable[[yaml.Node], tuple[Value, ...]]:
    """A decoder for a list whose items differ by `key`."""

    def read(node: yaml.Node) -> tuple[Value, ...]:
        found: dict[Hashable, Value] = {}
        for item in sequence(node):
            value = reader.attempt(decode, item)
            if value is None:
                continue
            if key(value) in found:
                what = f"{thing} {str(key(value))!r} appears twice"
                reader.note(Fault(item, what, "give each one its own"))
            found[key(value)] = value
        return tuple(found.values())

    return read


def _warnings(file: str, config: LocalConfig) -> Iterator[str]:
    for service in config.services:
        for name in service.subject_alt_names:
            if not _is_identity(name):
                yield f"{file}: service {service.key}: subjectAltNames entry {name!r} is no SPIFFE identity; ignored"
    known = {policy.key for policy in config.policies}
    for workload in config.workloads:
        for name in workload.authorization_policies:
            if name not in known:
                yield (
                    f"{file}: workload {workload.uid or workload.name}: policy {name!r} is not in the file; "
                    "until it is known, connections to the workload are denied"
                )


def _is_identity(name: str) -> bool:
    try:
        SpiffeId.parse(name)
    except InvalidSpiffeIdError:
        return False
    return True
