"""A mesh of pods on loopback for the tests of the data plane."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.certificates import TestRoot
from tests.support.pods import Pods

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture(scope="session")
def mesh_root(tmp_path_factory: pytest.TempPathFactory) -> TestRoot:
    """The authority every pod trusts."""
    return TestRoot(tmp_path_factory.mktemp("authority") / "mesh")


@pytest.fixture
async def pods(mesh_root: TestRoot) -> AsyncIterator[Pods]:
    """An empty mesh; at the end each of its proxies must have let go of everything."""
    async with Pods(mesh_root) as mesh:
        yield mesh
