"""One mesh's certificates a run, and a httpbin for whoever needs an application."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.certificates import CertificateFiles, TestRoot

if TYPE_CHECKING:
    from collections.abc import Mapping


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, CertificateFiles]:
    """By service account, and `alien` of another trust domain."""
    root = TestRoot(tmp_path_factory.mktemp("certificates") / "mesh")
    found = {name: root.issue(name, f"default/{name}") for name in ("sleep", "httpbin", "other", "waypoint")}
    return found | {"alien": root.issue("alien", "default/sleep", trust_domain="other.example")}
