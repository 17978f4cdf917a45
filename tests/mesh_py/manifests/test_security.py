"""Security kinds: which parts of a policy need layer 7."""

from __future__ import annotations

import pytest

from mesh_py.manifests.metadata import Metadata
from mesh_py.manifests.security import AuthorizationPolicy, Condition, Operation, Rule, Source
from mesh_py.model.address import Cidr

BLOCK = (Cidr.parse("10.0.0.0/8"),)


@pytest.mark.parametrize(
    ("rule", "is_layer_7"),
    [
        pytest.param(Rule(), False, id="nothing"),
        pytest.param(Rule((Source(principals=("a",), namespaces=("b",), service_accounts=("c",)),)), False, id="who"),
        pytest.param(Rule((Source(ip_blocks=BLOCK),)), False, id="the peer's address"),
        pytest.param(Rule((Source(remote_ip_blocks=BLOCK),)), True, id="the client's address"),
        pytest.param(Rule((Source(), Source(not_request_principals=("*",)))), True, id="tokens"),
        pytest.param(Rule((Source(trust_domains=("td",)),)), True, id="trust domains"),
        pytest.param(Rule(to=(Operation(ports=(80,), not_ports=(81,)),)), False, id="ports"),
        pytest.param(Rule(to=(Operation(not_hosts=("h",)),)), True, id="hosts"),
        pytest.param(Rule(to=(Operation(methods=("GET",)),)), True, id="methods"),
        pytest.param(Rule(to=(Operation(not_paths=("/",)),)), True, id="paths"),
        pytest.param(Rule(when=(Condition("source.ip", ("10.0.0.1",)),)), False, id="a condition of layer 4"),
        pytest.param(Rule(when=(Condition("request.headers[x]", ("1",)),)), True, id="a condition of layer 7"),
    ],
)
def test_what_needs_layer_7(rule: Rule, is_layer_7: bool) -> None:
    assert rule.is_layer_7 is is_layer_7


def test_the_fields_are_named() -> None:
    assert Operation(paths=("/",), hosts=("h",), ports=(1,)).layer_7 == ("hosts", "paths")
    assert Source(principals=("p",), not_remote_ip_blocks=BLOCK).layer_7 == ("not_remote_ip_blocks",)


@pytest.mark.parametrize(("text", "expected"), [("true", True), ("false", False), ("", False), ("True", True)])
def test_a_dry_run_is_asked_for_by_annotation(text: str, expected: bool) -> None:
    metadata = Metadata("p", "shop", annotations={"istio.io/dry-run": text})
    assert AuthorizationPolicy(metadata).is_dry_run is expected
    assert not AuthorizationPolicy(Metadata("p", "shop")).is_dry_run
