"""Which policies and tokens are for a destination: those that name it, or the waypoint, by `targetRef` [pure].

hbone-controlplane 9.6: a Service or ServiceEntry of the policy's own namespace, the waypoint's Gateway, or the class
`istio-waypoint` from the root namespace. Policies with a selector are for pods, and are not judged here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mesh_py.http.filters.rbac import Rbac
from mesh_py.http.filters.tokens import Tokens
from mesh_py.http.http_rbac import HttpPolicies
from mesh_py.http.jwt_auth import BadKeySet, Issuer, read_keys, uri_of
from mesh_py.manifests.gateway import WAYPOINT_CLASS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from mesh_py.http.jwt_auth import FetchedKeys
    from mesh_py.manifests.proxy_file import Further
    from mesh_py.manifests.references import TargetReference
    from mesh_py.manifests.security import AuthorizationPolicy, JwtRule, RequestAuthentication
    from mesh_py.model.workload import Service, Workload

    Policy = AuthorizationPolicy | RequestAuthentication

GATEWAY_NAME = "gateway.networking.k8s.io/gateway-name"


class Gate(NamedTuple):
    """What stands in front of one destination, ready to judge."""

    tokens: Tokens
    requests: Rbac
    connections: HttpPolicies
    """The same policies for what is no HTTP."""
    problems: tuple[str, ...] = ()
    """What cannot be judged as written; it is judged so that nobody gets in by it."""


def gateway_of(told: str, own: Workload, further: Further) -> str:
    """The name of the Gateway that `own` serves: as told, by its label, by its own name, or the only one there is."""
    if told:
        return told
    labelled = further.labels_of(own.namespace, own.name).get(GATEWAY_NAME)
    if labelled:
        return labelled
    named = [one.metadata.name for one in further.manifests.gateways if one.metadata.namespace == own.namespace]
    if own.workload_name in named or not named:
        return own.workload_name or own.name
    return named[0] if len(named) == 1 else own.name


class Gates:
    """Makes the gate of a destination.

    Args:
        root_namespace: where policies may be for all waypoints, beside what a control plane says.
        read: gives the text of a file with keys. Raises OSError.
        fetched: where the keys of a rule are that have to be fetched.
    """

    def __init__(
        self, root_namespace: str, read: Callable[[str], str], fetched: Callable[[JwtRule], FetchedKeys]
    ) -> None:
        self._root, self._read, self._fetched = root_namespace, read, fetched

    def of(self, further: Further, own: Workload, gateway: str, service: Service | None) -> Gate:
        """For a service; None: for a workload by its own address, which only the waypoint's own policies are for."""

        roots = (self._root, further.root_namespace)

        def concern(policy: Policy) -> bool:
            return any(_is_meant(policy, ref, own, gateway, service, roots) for ref in policy.target_refs)

        policies = [one for one in further.manifests.authorization_policies if concern(one)]
        problems: list[str] = []
        asked = (one for one in further.manifests.request_authentications if concern(one))
        files = dict(further.chain.key_sets)
        tokens = Tokens([issuer for one in asked for issuer in self._issuers(one, files, problems)])
        requests = HttpPolicies(policies)
        return Gate(
            tokens, Rbac(requests), HttpPolicies(policies, http=False), (*requests.problems, *dict.fromkeys(problems))
        )

    def _issuers(self, one: RequestAuthentication, files: Mapping[str, str], problems: list[str]) -> Iterable[Issuer]:
        for rule in one.jwt_rules:
            try:
                yield self._issuer(rule, files)
            except (BadKeySet, OSError) as error:
                problems.append(f"{one.metadata.key}: keys of {rule.issuer}: {error}")
                yield Issuer(rule)  # without keys none of its tokens can be believed

    def _issuer(self, rule: JwtRule, files: Mapping[str, str]) -> Issuer:
        if rule.jwks:
            return Issuer(rule, read_keys(rule.jwks))
        if rule.issuer in files:
            return Issuer(rule, read_keys(self._read(files[rule.issuer])))
        if not uri_of(rule):
            raise BadKeySet("there are none: write them as jwks, name a jwksUri, or a file in keySets")
        return Issuer(rule, fetched=self._fetched(rule))


def _is_meant(
    policy: Policy,
    ref: TargetReference,
    own: Workload,
    gateway: str,
    service: Service | None,
    roots: tuple[str, ...],
) -> bool:
    namespace = policy.metadata.namespace
    if ref.namespace not in ("", namespace):
        return False
    if ref.kind == "GatewayClass":
        return ref.name == WAYPOINT_CLASS and namespace in roots
    if ref.kind == "Gateway":
        return (namespace, ref.name) == (own.namespace, gateway)
    if ref.kind not in ("Service", "ServiceEntry") or service is None:
        return False
    return (namespace, ref.name) == (service.namespace, service.name)
