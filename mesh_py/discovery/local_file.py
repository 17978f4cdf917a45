"""The mesh from a file: the LocalConfig YAML of `LOCAL_XDS_PATH`, or a proxy's config dump [pure].

The keys are ztunnel's own (hbone-controlplane 5). We are stricter in three places: an unknown key of a match is a
fault, two workloads of one uid are (the second would replace the first in silence), and so are two services or
policies of one name. We are kinder in two: a string matcher may be spelled `{Exact: x}`, and a workload's services
count for inbound traffic too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from hbone_py.identity import InvalidSpiffeIdError, SpiffeId
from mesh_py.discovery.config_dump import is_config_dump, read_config_dump
from mesh_py.discovery.mesh_schema import MeshSchema
from mesh_py.discovery.yaml_reader import Fault, Field, Reader, Schema, compose, sequence, without_collection

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

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


def read_local_config(text: str, file: str, *, trust_domain: str = "") -> LocalConfig:
    """Read the text of a file: LocalConfig, or a config dump if its keys are those of one.

    Args:
        file: its name, for messages.
        trust_domain: fills in for workloads that name none. ztunnel leaves those without (`spiffe:///ns/...`).

    Raises:
        ConfigError: everything that is wrong with it, each with line, column and advice.
    """
    with without_collection():
        config = _read(text, file)
    filled = (w if w.trust_domain else replace(w, trust_domain=trust_domain) for w in config.workloads)
    workloads = tuple(filled) if trust_domain else config.workloads
    return replace(config, workloads=workloads, warnings=tuple(_warnings(file, config)))


def _read(text: str, file: str) -> LocalConfig:
    node = compose(text, file)
    reader = Reader(file)
    config = LocalConfig(*read_config_dump(reader, node)) if is_config_dump(node) else _read_lists(reader, node)
    reader.finish()
    return config


def _read_lists(reader: Reader, node: yaml.Node) -> LocalConfig:
    mesh = MeshSchema(reader)
    lists = {
        "workloads": Field(_unique(reader, mesh.workload, lambda w: w.uid, "workload uid"), "workloads"),
        "services": Field(_unique(reader, mesh.service, lambda s: s.key, "service"), "services"),
        "policies": Field(_unique(reader, mesh.policy, lambda p: p.key, "policy"), "policies"),
    }
    return LocalConfig(**reader.fields(node, Schema("the file", lists)))


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
