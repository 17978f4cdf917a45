"""What the environment says of discovery, as an endpoint, a node, and a way of asking."""

from __future__ import annotations

import pytest

from mesh_py.rpc.endpoint import Address
from mesh_py.settings.control_plane import AUTH_TOKEN, XDS
from mesh_py.settings.discovery import NODE_SETTINGS, XDS_ON_DEMAND, DiscoverySettings, discovery
from mesh_py.settings.file import read_proxy_config
from mesh_py.settings.setting import SettingsTable
from mesh_py.settings.source import SettingsError, Values, from_environment

TABLE = SettingsTable({"Discovery": (AUTH_TOKEN, *XDS.all, XDS_ON_DEMAND, *NODE_SETTINGS)})


def told(environ: dict[str, str], node_name: str | None = "node-a") -> DiscoverySettings | None:
    values = Values([from_environment(TABLE, environ)])
    return discovery(values, environ, "ztunnel", node_name=node_name, cluster_id="c1")


@pytest.mark.parametrize("environ", [{}, {"XDS_ADDRESS": ""}, {"XDS_ADDRESS": "  ", "ISTIO_METAJSON_X": "{"}])
def test_without_an_address_there_is_no_discovery(environ: dict[str, str]) -> None:
    assert told(environ) is None


def test_everything_that_can_be_said() -> None:
    found = told(
        {
            "XDS_ADDRESS": "istiod.istio-system.svc:15012",
            "XDS_ON_DEMAND": "true",
            "POD_NAME": "ztunnel-x",
            "POD_NAMESPACE": "istio-system",
            "INSTANCE_IP": "10.0.0.7",
            "SERVICE_ACCOUNT": "ztunnel",
            "XDS_HEADER_Tenant": "blue",
            "ISTIO_META_VERSION": "1.2",
            "ISTIO_META_CLUSTER_ID": "theirs",
            "ISTIO_METAJSON_LABELS": '{"a": "b"}',
        }
    )
    assert found is not None
    assert found.endpoint.address == Address("istiod.istio-system.svc", 15012)
    assert found.endpoint.headers == {"tenant": "blue"}
    assert found.on_demand
    assert found.node.id == "ztunnel~10.0.0.7~ztunnel-x.istio-system~istio-system.svc.cluster.local"
    assert found.node.metadata == {
        "NAME": "ztunnel-x",
        "NAMESPACE": "istio-system",
        "INSTANCE_IPS": "10.0.0.7",
        "NODE_NAME": "node-a",
        "SERVICE_ACCOUNT": "ztunnel",
        "CLUSTER_ID": "theirs",
        "VERSION": "1.2",
        "LABELS": {"a": "b"},
    }


PROXY_CONFIG = """
discoveryAddress: istiod.west.svc:15012
proxyMetadata: {ISTIO_META_TEAM: blue, ISTIO_META_VERSION: file, POD_NAME: ztunnel-x, ISTIO_META_NODE_NAME: theirs}
"""


def configured(environ: dict[str, str]) -> DiscoverySettings | None:
    file = read_proxy_config(TABLE, {"discoveryAddress": XDS.address}, PROXY_CONFIG, "mesh")
    values = Values([from_environment(TABLE, environ), file])
    return discovery(values, environ, "ztunnel", node_name="node-a", cluster_id="c1")


def test_a_proxy_config_says_where_and_who() -> None:
    found = configured({"ISTIO_META_VERSION": "1.2"})
    assert found is not None
    assert found.endpoint.address == Address("istiod.west.svc", 15012)
    assert found.node.id.startswith("ztunnel~1.1.1.1~ztunnel-x.~")
    facts = ("TEAM", "VERSION", "NODE_NAME", "NAME")
    assert [found.node.metadata[fact] for fact in facts] == ["blue", "1.2", "node-a", "ztunnel-x"]


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        pytest.param("near:15012", Address("near", 15012), id="the environment wins"),
        pytest.param("", None, id="also by switching it off"),
    ],
)
def test_the_environment_wins_over_a_proxy_config(address: str, expected: Address | None) -> None:
    found = configured({"XDS_ADDRESS": address})
    assert (found.endpoint.address if found else None) == expected


def test_what_is_not_said() -> None:
    found = told({"XDS_ADDRESS": "istiod:15012"}, node_name=None)
    assert found is not None
    assert not found.on_demand
    assert found.node.id == "ztunnel~1.1.1.1~.~.svc.cluster.local"
    assert found.node.metadata == {"NAME": "", "NAMESPACE": "", "INSTANCE_IPS": "1.1.1.1", "CLUSTER_ID": "c1"}


def test_facts_that_are_no_json_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"^ISTIO_METAJSON_X: .*: write JSON"):
        told({"XDS_ADDRESS": "istiod:15012", "ISTIO_METAJSON_X": "{"})
