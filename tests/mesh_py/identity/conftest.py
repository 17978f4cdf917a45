"""A control plane of grpcio's for the tests that ask an authority."""

from __future__ import annotations

import pytest

from tests.support.certificates import CertificateFiles, TestRoot
from tests.support.processes import loopback_address


@pytest.fixture(scope="session")
def ca_address() -> str:
    return loopback_address()


@pytest.fixture(scope="session")
def ca_files(tmp_path_factory: pytest.TempPathFactory, ca_address: str) -> CertificateFiles:
    """What the authority's server shows."""
    return TestRoot(tmp_path_factory.mktemp("ca")).issue_server("istiod", ca_address)
