"""PeerAuthentication for layer 4: STRICT is a DENY of whoever has no identity (hbone-controlplane 4.7) [pure].

Most workloads share one static policy. Where ports differ from the rest, the workload lists a policy of its own that
says both, because a DENY cannot be excepted from by another policy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from istiod_py.ambient.notices import notice
from mesh_py.manifests.security import MutualTls
from mesh_py.model.authorization import Action, Match, MatchKind, Policy, Scope, StringMatch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from istiod_py.ambient.notices import Notice
    from mesh_py.manifests.peer_modes import PeerLevels, PeerModes
    from mesh_py.manifests.security import PeerAuthentication
    from mesh_py.model.authorization import Rule

# Kubernetes allows no underscore in names: these can never be anybody's own.
STATIC_STRICT = "istio_converted_static_strict"
_CONVERTED = "converted_peer_authentication_"
_ANYBODY = (StringMatch(MatchKind.PRESENCE),)
_EXEMPT = (MutualTls.PERMISSIVE, MutualTls.DISABLE)


def static_strict(root_namespace: str) -> Policy:
    """Denies whatever comes without an identity."""
    return _deny(STATIC_STRICT, root_namespace, (((Match(not_principals=_ANYBODY),),),))


def policies(objects: Sequence[PeerAuthentication], modes: PeerModes) -> Iterator[Policy]:
    """The static policy, as soon as there is any object, and one for each object whose ports need it."""
    if objects:
        yield static_strict(modes.root_namespace)
    for namespace in sorted({one.metadata.namespace for one in objects}):
        for one in modes.of_workloads(namespace):
            converted = convert(one, modes.above(namespace).parent_mode)
            if converted is not None:
                yield converted


def names_listed_by(levels: PeerLevels, root_namespace: str) -> tuple[str, ...]:
    """The policies that a workload lists, given what is in force for it."""
    if levels.workload is not None:
        own = convert(levels.workload, levels.parent_mode)
        if own is not None:
            return (own.key,)
    return (f"{root_namespace}/{STATIC_STRICT}",) if levels.resolve().mode is MutualTls.STRICT else ()


def convert(one: PeerAuthentication, parent: MutualTls) -> Policy | None:
    """The policy of an object with a selector; None where the static one, or none, says the same."""
    mode = parent if one.mtls is MutualTls.UNSET else one.mtls
    rules = _strict_with_exceptions(one) if mode is MutualTls.STRICT else _strict_ports(one)
    return _deny(f"{_CONVERTED}{one.metadata.name}", one.metadata.namespace, rules) if rules else None


def _strict_with_exceptions(one: PeerAuthentication) -> tuple[Rule, ...]:
    """One rule: without identity, and to none of the exempt ports.

    As in Istio, where STRICT is inherited, ports that are only DISABLEd stay strict.
    """
    modes = one.port_level_mtls
    inherited = one.mtls is MutualTls.UNSET
    if not any(mode is MutualTls.PERMISSIVE or (mode in _EXEMPT and not inherited) for mode in modes.values()):
        return ()
    exempt = [port for port, mode in sorted(modes.items()) if mode in _EXEMPT]
    return (((Match(not_principals=_ANYBODY),), *((Match(not_destination_ports=(port,)),) for port in exempt)),)


def _strict_ports(one: PeerAuthentication) -> tuple[Rule, ...]:
    """A rule for each strict port: without identity, and to this port."""
    strict = [port for port, mode in sorted(one.port_level_mtls.items()) if mode is MutualTls.STRICT]
    return tuple(((Match(not_principals=_ANYBODY, destination_ports=(port,)),),) for port in strict)


def _deny(name: str, namespace: str, rules: tuple[Rule, ...]) -> Policy:
    return Policy(name, namespace, Scope.WORKLOAD_SELECTOR, Action.DENY, rules)


def notices(objects: Iterable[PeerAuthentication], modes: PeerModes) -> Iterator[Notice]:
    """What has no effect as it is written."""
    for one, why in modes.without_effect(objects):
        yield notice(one.kind, one.metadata, "peer-authentication-without-effect", why)
