"""Settings from YAML: our strict file, and Istio's forms of which we take what we know."""

from __future__ import annotations

import pytest

from mesh_py.settings.file import read_proxy_config, read_settings_file
from mesh_py.settings.source import Given, SettingsError, Values
from tests.mesh_py.settings.example import PROXY_CONFIG_KEYS, STREAM_WINDOW, TABLE


def test_a_file_sets_by_environment_names() -> None:
    found = read_settings_file(TABLE, "NODE_NAME: node-a\nFAKE_CA: true\nADMIN_PORT: 0\nNETWORK:\n", "s.yaml")
    assert found == {
        "NODE_NAME": Given("node-a", "s.yaml:1:12: NODE_NAME"),
        "FAKE_CA": Given("true", "s.yaml:2:10: FAKE_CA"),
        "ADMIN_PORT": Given("0", "s.yaml:3:13: ADMIN_PORT"),
    }


def test_a_wrong_value_in_a_file_is_told_with_its_place() -> None:
    values = Values([read_settings_file(TABLE, "NODE_NAME: a\nHTTP2_STREAM_WINDOW_SIZE: huge\n", "s.yaml")])
    with pytest.raises(SettingsError, match=r"^s\.yaml:2:27: HTTP2_STREAM_WINDOW_SIZE: 'huge' is not a size"):
        values[STREAM_WINDOW]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            "NODE_NAM: a", "s.yaml:1:1: unknown setting 'NODE_NAM'; did you mean NODE_NAME?", id="mistyped name"
        ),
        pytest.param("node_name: a", "unknown setting 'node_name'; did you mean NODE_NAME?", id="in lower case"),
        pytest.param(
            "zzz: a", "s.yaml:1:1: unknown setting 'zzz'; `config show` lists the names", id="name like no other"
        ),
        pytest.param("NODE_NAME: [a]", "s.yaml:1:12: expected a single value, found a list", id="list"),
        pytest.param(
            "CLUSTER_ID: a\nISTIO_META_CLUSTER_ID: b", "s.yaml:2:1: setting CLUSTER_ID appears twice", id="twice"
        ),
        pytest.param("- NODE_NAME", "s.yaml:1:1: expected a mapping, found a list", id="no mapping"),
        pytest.param("NODE_NAME: 'a", "s.yaml:1:14: not YAML: found unexpected end of stream", id="no YAML"),
    ],
)
def test_a_faulty_file_is_one_line_with_the_place(text: str, message: str) -> None:
    with pytest.raises(SettingsError) as failure:
        read_settings_file(TABLE, text, "s.yaml")
    assert message in str(failure.value)
    assert "\n" not in str(failure.value)


PROXY_CONFIG = """
discoveryAddress: istiod.istio-system.svc:15012
proxyAdminPort: 15100
concurrency: 2
proxyMetadata:
  ISTIO_META_NETWORK: west
  NODE_NAME: n1
  ISTIO_META_DNS_CAPTURE: "true"
  ISTIO_META_TEAM: blue
"""


def test_a_proxy_config_gives_what_we_know_of_it() -> None:
    found = read_proxy_config(TABLE, PROXY_CONFIG_KEYS, PROXY_CONFIG, "PROXY_CONFIG")
    assert {name: given.text for name, given in found.items()} == {
        "ADMIN_PORT": "15100",
        "WORKER_THREADS": "2",
        "NETWORK": "west",
        "NODE_NAME": "n1",
        "DNS_CAPTURE": "true",
        "ISTIO_META_NETWORK": "west",
        "ISTIO_META_DNS_CAPTURE": "true",
        "ISTIO_META_TEAM": "blue",
    }
    assert found["NETWORK"].origin == "PROXY_CONFIG: proxyMetadata ISTIO_META_NETWORK"


def test_a_mesh_configuration_holds_it_under_default_config() -> None:
    found = read_proxy_config(
        TABLE, PROXY_CONFIG_KEYS, "rootNamespace: istio-system\ndefaultConfig:\n  statsPort: 15120\n", "mesh"
    )
    assert found == {"STATS_PORT": Given("15120", "mesh: statsPort")}


def test_a_broken_proxy_config_is_one_line() -> None:
    with pytest.raises(SettingsError, match=r"^PROXY_CONFIG:2:1: not YAML"):
        read_proxy_config(TABLE, PROXY_CONFIG_KEYS, "{", "PROXY_CONFIG")
