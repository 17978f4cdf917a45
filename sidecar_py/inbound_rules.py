"""What is asked of who calls the application: mutual TLS by port, and policies [pure]."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mesh_py.http.errors import AuthorizerDenied
from mesh_py.http.http_rbac import HttpPolicies
from mesh_py.http.jwt_auth import BadKeySet, FetchedKeys, Issuer, authenticate, read_keys, uri_of
from mesh_py.http.messages import HttpRequest
from mesh_py.http.rbac_facts import RequestFacts
from mesh_py.manifests.peer_modes import PeerMode, PeerModes
from mesh_py.manifests.security import MutualTls
from mesh_py.manifests.selector import has_labels
from mesh_py.model.errors import PolicyDenied
from mesh_py.policy.match import ConnectionFacts as PolicyFacts
from mesh_py.policy.rbac import authorize

if TYPE_CHECKING:
    from collections.abc import Callable

    from hbone_py.identity import SpiffeId
    from mesh_py.discovery.state import MeshState
    from mesh_py.manifests.proxy_file import Further
    from mesh_py.manifests.security import AuthorizationPolicy, JwtRule, RequestAuthentication
    from mesh_py.model.address import SocketAddress
    from mesh_py.model.workload import Workload
    from mesh_py.proxy.directory import Directory

_ALLOWED_KEPT = 1024

NO_REQUEST = HttpRequest("", "", "")
"""What a connection of bytes asks for."""


class InboundRules:
    """Those of one workload; worked out anew when the mesh or the manifests change."""

    def __init__(
        self,
        state: MeshState,
        directory: Directory,
        root_namespace: str,
        fallback: str,
        *,
        layer_4: bool = True,
        fetched: Callable[[JwtRule], FetchedKeys] = lambda _: FetchedKeys(),
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Those of one workload.

        Args:
            layer_4: also by the policies that our workload names. A control plane makes those of the very objects
                that it sends us, which judge once; what a file beside it says counts all the same.
            fetched: where the keys of a rule are that have to be fetched.
            report: told of each problem when it turns up.
        """
        self._state, self._directory, self._root, self._layer_4 = state, directory, root_namespace, layer_4
        self._fallback, self._fetched = MutualTls(fallback), fetched
        self._further: Further | None = None
        self._workload: Workload | None = None
        self._judged: Workload
        """The same with the policies that are judged."""
        self._mode = PeerMode(self._fallback)
        self._for_requests = HttpPolicies(())
        self._for_bytes = HttpPolicies((), http=False)
        self._issuers: tuple[Issuer, ...] = ()
        self._key_problems: list[str] = []
        self._report, self._reported = report, frozenset[str]()
        self._judged_by: tuple[int, Further, Workload] | None = None
        self._allowed: set[PolicyFacts] = set()
        """What policies of layer 4 have let in: whoever it is asks again with each request."""
        self._allowed_by = -1

    def problems(self, workload: Workload) -> list[str]:
        """What the policies ask that cannot be judged as written; it is judged so that nobody gets in by it."""
        self._refresh(workload)
        return sorted(self._reported)

    def mode(self, workload: Workload, port: int) -> MutualTls:
        """STRICT, PERMISSIVE or DISABLE, for a port of the workload."""
        self._refresh(workload)
        return self._mode.at(port)

    def is_changed(self, workload: Workload) -> bool:
        """Whether verdicts may be other than when this was last asked: most changes of a mesh are elsewhere."""
        version, further = self._state.policies.version, self._directory.further
        before, self._judged_by = self._judged_by, (version, further, workload)
        return before is None or version != before[0] or further is not before[1] or workload is not before[2]

    def are_about_requests(self, workload: Workload) -> bool:
        """Whether somebody asks what only requests can be asked."""
        self._refresh(workload)
        return not self._for_requests.is_empty or bool(self._issuers)

    def judge_connection(
        self, workload: Workload, client: SocketAddress, local: SocketAddress, identity: SpiffeId | None
    ) -> None:
        """What the policies of layer 4 say, and what AuthorizationPolicies say to a connection of bytes.

        Raises PolicyDenied, AuthorizerDenied.
        """
        self._refresh(workload)
        self.judge_layer_4(workload, client, local, identity)
        facts = RequestFacts(NO_REQUEST, client[0], local[0], local[1], identity)
        verdict = self._for_bytes.judge(facts)
        if not verdict.allowed:
            raise PolicyDenied(verdict.details)
        if verdict.ask:
            raise AuthorizerDenied(f"{verdict.ask[0]} is asked about requests only, and this is no HTTP")

    def judge_request(self, workload: Workload, facts: RequestFacts, now: float) -> tuple[str, ...]:
        """What tokens and all policies say to a request; `now` is seconds since the epoch. `facts` get its claims.

        Returns the authorizers who must agree before it may pass (CUSTOM). Raises BadToken, PolicyDenied, AccessDenied.
        """
        self._refresh(workload)
        if self._issuers:
            facts.claims = authenticate(facts.request, self._issuers, now)
        local = (facts.destination_ip, facts.destination_port)
        self._judge_layer_4((facts.source_ip, 0), local, facts.identity)
        verdict = self._for_requests.judge(facts)
        if not verdict.allowed:
            verdict.enforce()
        return verdict.ask

    def judge_layer_4(
        self, workload: Workload, client: SocketAddress, local: SocketAddress, identity: SpiffeId | None
    ) -> None:
        """What can be said of a connection before anybody knows what it carries. Raises PolicyDenied."""
        self._refresh(workload)
        self._judge_layer_4(client, local, identity)

    def _judge_layer_4(self, client: SocketAddress, local: SocketAddress, identity: SpiffeId | None) -> None:
        if not self._directory.is_complete:
            raise PolicyDenied("the control plane has not told any policies yet")
        if self._allowed_by != self._state.policies.version:
            self._allowed_by = self._state.policies.version
            self._allowed.clear()
        facts = PolicyFacts(client[0], local[0], local[1], identity)
        if facts in self._allowed:
            return
        verdict = authorize(self._state.policies.applicable(self._judged), facts)
        if not verdict.allowed:
            raise PolicyDenied(verdict.reason)
        if len(self._allowed) >= _ALLOWED_KEPT:
            self._allowed.clear()
        self._allowed.add(facts)

    def _refresh(self, workload: Workload) -> None:
        further = self._directory.further
        if further is self._further and workload is self._workload:
            return
        self._further, self._workload = further, workload
        self._allowed.clear()
        self._judged = workload if self._layer_4 else replace(workload, authorization_policies=())
        self._mode = self._resolve(further, workload)
        self._read_issuers(further, workload)
        policies = [one for one in further.manifests.authorization_policies if self._is_for(one, further, workload)]
        self._for_requests, self._for_bytes = HttpPolicies(policies), HttpPolicies(policies, http=False)
        found = self._for_requests.problems + self._key_problems
        for problem in found:
            if problem not in self._reported:
                self._report(problem)
        self._reported = frozenset(found)

    def _read_issuers(self, further: Further, workload: Workload) -> None:
        """Without keys an issuer's tokens are not believed."""
        self._key_problems = []
        issuers = []
        for one in further.manifests.request_authentications:
            for rule in one.jwt_rules if self._is_for(one, further, workload) else ():
                try:
                    issuers.append(self._issuer(rule))
                except BadKeySet as error:
                    issuers.append(Issuer(rule))
                    self._key_problems.append(f"{one.metadata.key}: keys of {rule.issuer}: {error}")
        self._issuers = tuple(issuers)

    def _issuer(self, rule: JwtRule) -> Issuer:
        if rule.jwks:
            return Issuer(rule, read_keys(rule.jwks))
        if not uri_of(rule):
            raise BadKeySet("there are none: write them as jwks, or name a jwksUri")
        return Issuer(rule, fetched=self._fetched(rule))

    def _resolve(self, further: Further, workload: Workload) -> PeerMode:
        modes = PeerModes(further.manifests.peer_authentications, further.root_namespace or self._root)
        levels = modes.levels(workload.namespace, further.labels_of(workload.namespace, workload.name))
        if levels.mesh is None and levels.namespace is None and levels.workload is None:
            return PeerMode(self._fallback)
        return levels.resolve()

    def _is_for(
        self, policy: AuthorizationPolicy | RequestAuthentication, further: Further, workload: Workload
    ) -> bool:
        """Its namespace's or the mesh's, and selecting it; those with targets are for waypoints and gateways."""
        roots = (self._root, further.root_namespace)
        if policy.target_refs or policy.metadata.namespace not in (workload.namespace, *roots):
            return False
        return has_labels(further.labels_of(workload.namespace, workload.name), policy.selector or {})
