"""Settings of the control plane from the environment: what follows from what, and what is refused."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from istiod_py.config import NAMES, Settings, from_values
from istiod_py.settings_table import TABLE
from mesh_py.settings.source import SettingsError, from_environment


def settings(folder: Path, **given: str) -> Settings:
    environ = {"CONFIG_DIR": str(folder), "XDG_STATE_HOME": "/state", **given}
    return from_values([from_environment(TABLE, environ)], environ)


def test_a_folder_is_enough(tmp_path: Path) -> None:
    found = settings(tmp_path)
    assert found.folder == tmp_path
    assert found.state_folder == Path("/state/hbone-mesh/istiod")
    assert found.ca_folder == Path("/state/hbone-mesh/istiod/ca")
    assert found.node_accounts == {"istio-system/ztunnel"}
    assert found.lifetime == datetime.timedelta(days=1)
    assert found.longest == datetime.timedelta(days=90)
    assert found.names == NAMES


def test_by_default_only_what_is_authenticated_is_for_other_machines(tmp_path: Path) -> None:
    assert settings(tmp_path).addresses() == [
        ("secure", "::", 15012),
        ("plaintext", "127.0.0.1", 15010),
        ("monitoring", "127.0.0.1", 15014),
    ]


def test_one_loopback_address_for_all(tmp_path: Path) -> None:
    found = settings(tmp_path, PROXY_BIND_ADDRESS="127.0.9.1", DNS_NAMES="istiod.example")
    assert {host for _, host, _ in found.addresses()} == {"127.0.9.1"}
    assert found.names == (*NAMES, "127.0.9.1", "istiod.example")


def test_a_public_address_keeps_plaintext_at_home(tmp_path: Path) -> None:
    found = settings(tmp_path, PROXY_BIND_ADDRESS="192.0.2.1")
    assert [host for _, host, _ in found.addresses()] == ["192.0.2.1", "127.0.0.1", "127.0.0.1"]


def test_plaintext_can_be_left_out(tmp_path: Path) -> None:
    assert [name for name, _, _ in settings(tmp_path, PLAINTEXT_XDS="false").addresses()] == ["secure", "monitoring"]


def test_what_a_mode_promises_reaches_tls(tmp_path: Path) -> None:
    assert settings(tmp_path, COMPLIANCE_POLICY="pqc").tls.post_quantum_only
    assert settings(tmp_path, TLS12_ENABLED="true").tls.tls12


def test_names_of_the_mesh(tmp_path: Path) -> None:
    mesh = settings(tmp_path, TRUST_DOMAIN="td", CLUSTER_ID="east", CLUSTER_DOMAIN="c.d", ROOT_NAMESPACE="r").mesh
    assert (mesh.trust_domain, mesh.cluster_id, mesh.cluster_domain, mesh.root_namespace) == ("td", "east", "c.d", "r")


def test_addresses_may_come_from_elsewhere(tmp_path: Path) -> None:
    given = settings(tmp_path, POD_CIDR="127.64.0.0/10", SERVICE_CIDR="fd00::/64")
    assert (str(given.ranges.pods), str(given.ranges.services)) == ("127.64.0.0/10", "fd00::/64")


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        pytest.param({"CONFIG_DIR": ""}, "no mesh: .*--config DIR", id="no folder"),
        pytest.param({"CONFIG_DIR": "/none/there"}, "CONFIG_DIR: /none/there is no folder", id="no such folder"),
        pytest.param({"PROXY_LOCAL_ADDRESS": "192.0.2.1"}, "PROXY_LOCAL_ADDRESS: .* no loopback", id="debug for all"),
        pytest.param({"TOKEN_AUDIENCES": ","}, "TOKEN_AUDIENCES: name at least one", id="no audience"),
        pytest.param({"CA_TRUSTED_NODE_ACCOUNTS": "x"}, "CA_TRUSTED_NODE_ACCOUNTS: 'x' is not", id="no account"),
        pytest.param({"POD_CIDR": "10.0.0.0"}, "POD_CIDR: '10.0.0.0' is not a block", id="no block"),
        pytest.param({"POD_CIDR": "10.0.0.0/33"}, "POD_CIDR: '10.0.0.0/33' is not a block", id="no such block"),
        pytest.param({"MAX_WORKLOAD_CERT_TTL": "long"}, "MAX_WORKLOAD_CERT_TTL: 'long' is not", id="no time"),
    ],
)
def test_what_cannot_be_is_refused_with_its_origin(tmp_path: Path, given: dict[str, str], complaint: str) -> None:
    with pytest.raises(SettingsError, match=complaint):
        settings(tmp_path, **given)
