"""One authority for all tests of TLS, and two workloads it has signed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.hbone_py.tls.authority import CLIENT, SERVER, Authority
from tests.hbone_py.tls.parties import ENGINES, EngineType

if TYPE_CHECKING:
    from hbone_py.tls.credentials import Credentials


@pytest.fixture(scope="session")
def root() -> Authority:
    return Authority.root()


@pytest.fixture(scope="session")
def client_credentials(root: Authority) -> Credentials:
    return root.issue(CLIENT)


@pytest.fixture(scope="session")
def server_credentials(root: Authority) -> Credentials:
    return root.issue(SERVER)


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> EngineType:
    """Both engines must keep the same contract."""
    chosen: EngineType = request.param
    return chosen
