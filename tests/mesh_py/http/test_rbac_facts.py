"""What a request says of itself."""

from __future__ import annotations

from mesh_py.http.rbac_facts import any_path, any_text
from tests.mesh_py.http.policies import facts
from tests.mesh_py.http.routes import request
from tests.support.world import ip


def test_who_and_whence() -> None:
    seen = facts(request("/a?b"), claims={"iss": "i", "sub": "s"}, remote_ip=ip("1.1.1.1"))
    assert (seen.principal, seen.request_principal) == ("cluster.local/ns/default/sa/sleep", "i/s")
    assert (seen.client_ip, seen.path) == ("1.1.1.1", "/a")


def test_nobody() -> None:
    seen = facts(identity=None, claims={"iss": "i"})
    assert (seen.principal, seen.request_principal, seen.client_ip) == ("", "", "10.0.0.1")


def test_texts() -> None:
    holds = any_text(["a", "b*", "*c"])
    assert [holds(text) for text in ("a", "bx", "xc", "x", "")] == [True, True, True, False, False]
    assert any_text(["A*"], fold=True)("aB")


def test_paths_without_templates_are_texts() -> None:
    assert any_path(["/a*"])("/ab")
    assert any_path(["/a.b/{*}"])("/a.b/c")
    assert not any_path(["/a.b/{*}"])("/axb/c")
