"""AuthorizationPolicies and requests for tests, written as people write them."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from hbone_py.identity import SpiffeId
from mesh_py.http.rbac_facts import RequestFacts
from mesh_py.manifests.reader import read_manifests
from mesh_py.manifests.security import AuthorizationPolicy
from tests.mesh_py.http.routes import request
from tests.support.world import ip

if TYPE_CHECKING:
    from mesh_py.http.messages import HttpRequest

SLEEP = SpiffeId("cluster.local", "default", "sleep")
STRANGER = SpiffeId("cluster.local", "other", "stranger")


def policy(spec: str, name: str = "p", annotations: str = "") -> AuthorizationPolicy:
    """A policy of namespace `default` with this `spec`."""
    text = (
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n"
        f"metadata: {{name: {name}{annotations}}}\nspec:\n{textwrap.indent(textwrap.dedent(spec), '  ')}"
    )
    [one] = read_manifests(text, "policy.yaml").objects
    assert isinstance(one, AuthorizationPolicy)
    return one


def facts(asked: HttpRequest | None = None, identity: SpiffeId | None = SLEEP, **more: Any) -> RequestFacts:
    """A request of `default/sleep` at 10.0.0.1 to 10.0.1.1:8080."""
    more.setdefault("source_ip", ip("10.0.0.1"))
    more |= {"destination_ip": ip("10.0.1.1"), "destination_port": 8080, "identity": identity}
    return RequestFacts(asked or request(), **more)
