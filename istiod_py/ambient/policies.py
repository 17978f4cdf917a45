"""All policies that node proxies are told, and which of them each workload lists (hbone-controlplane 4.2, 4.7) [pure].

A policy with a selector does nothing by itself: the workloads it selects name it. Those of the root namespace select in
every namespace.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from istiod_py.ambient import authorization, peer_authentication
from istiod_py.ambient.selection import Likenesses, Selectors
from mesh_py.manifests.peer_modes import PeerModes
from mesh_py.model.authorization import Action, Match, MatchKind, Policy, Scope, StringMatch

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from istiod_py.ambient.context import Context
    from istiod_py.ambient.notices import Notice
    from istiod_py.ambient.selection import Likeness
    from istiod_py.ambient.waypoints import Waypoint
    from mesh_py.manifests.metadata import Labels
    from mesh_py.manifests.security import MutualTls

_ALLOW_WAYPOINT = "istio_allow_waypoint"


class Policies:
    """The policies of one state of the manifests."""

    def __init__(self, context: Context) -> None:
        manifests, options = context.manifests, context.options
        self._root = context.mesh.root_namespace
        peers = manifests.peer_authentications
        self._modes = PeerModes(peers, self._root)
        self._likenesses = Likenesses((one.metadata.namespace, one.selector or {}) for one in peers)
        self._peer_names: dict[Likeness, tuple[str, ...]] = {}
        written = [(one, authorization.convert(one, options)) for one in manifests.authorization_policies]
        self._selecting = Selectors(
            (one.metadata.namespace, one.selector or {}, converted.policy.key)
            for one, converted in written
            if converted.policy is not None
        )
        self._allowed = _allow_waypoints(context) if options.allow_waypoints else {}
        self.notices: list[Notice] = [remark for _, converted in written for remark in converted.notices]
        self.notices += peer_authentication.notices(peers, self._modes)
        found = [converted.policy for _, converted in written if converted.policy is not None]
        found += peer_authentication.policies(peers, self._modes)
        found += self._allowed.values()
        self.by_key: Mapping[str, Policy] = {policy.key: policy for policy in found}
        """Every policy by its resource name."""

    def listed_by(self, namespace: str, labels: Labels, waypoints: Sequence[Waypoint]) -> tuple[str, ...]:
        """Names of the policies that a workload lists; `waypoints` are those in front of it and its services."""
        selecting = {*self._selecting.selecting(namespace, labels), *self._selecting.selecting(self._root, labels)}
        return (*sorted(selecting), *self._peer(namespace, labels), *self._allowing(waypoints))

    def peer_mode(self, namespace: str, labels: Labels) -> MutualTls:
        """What a workload asks of its peers, on ports that have no mode of their own."""
        return self._modes.levels(namespace, labels).resolve().mode

    def _peer(self, namespace: str, labels: Labels) -> tuple[str, ...]:
        key = self._likenesses.of(namespace, labels)
        names = self._peer_names.get(key)
        if names is None:
            levels = self._modes.levels(namespace, labels)
            names = self._peer_names[key] = peer_authentication.names_listed_by(levels, self._root)
        return names

    def _allowing(self, waypoints: Iterable[Waypoint]) -> list[str]:
        if not self._allowed:
            return []
        return sorted({self._allowed[one.key].key for one in waypoints if one.key in self._allowed})


def _allow_waypoints(context: Context) -> dict[str, Policy]:
    """By waypoint: an ALLOW for the identities of its pods. A waypoint without pods allows nobody, and has none."""
    return {
        key: _allow(waypoint, context.mesh.trust_domain)
        for key, waypoint in context.waypoints.by_key.items()
        if waypoint.service_accounts
    }


def _allow(waypoint: Waypoint, trust_domain: str) -> Policy:
    principals = (f"{trust_domain}/ns/{waypoint.namespace}/sa/{account}" for account in waypoint.service_accounts)
    match = Match(principals=tuple(StringMatch(MatchKind.EXACT, principal) for principal in principals))
    name = f"{_ALLOW_WAYPOINT}_{waypoint.namespace}_{waypoint.name}"
    return Policy(name, waypoint.namespace, Scope.WORKLOAD_SELECTOR, Action.ALLOW, (((match,),),))
