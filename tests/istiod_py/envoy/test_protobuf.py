"""From JSON form to messages, strictly."""

from __future__ import annotations

import contextlib
import json

import pytest
from envoy.config.cluster.v3.cluster_pb2 import Cluster

from istiod_py.envoy.extension import extension
from istiod_py.envoy.protobuf import InvalidResourceError, pack
from mesh_py.xds import types


def test_a_resource_is_its_message() -> None:
    packed = pack(types.CLUSTER, "a", {"name": "a", "type": "EDS", "connect_timeout": "0.25s"})
    found = Cluster.FromString(packed.body)
    assert (packed.name, found.name, found.type) == ("a", "a", Cluster.EDS)
    assert found.connect_timeout.ToTimedelta().total_seconds() == 0.25


def test_equal_resources_have_equal_bytes() -> None:
    one = {"name": "a", "metadata": {"filter_metadata": {"x": {"b": 1, "a": 2}, "y": {}}}}
    two = {"metadata": {"filter_metadata": {"y": {}, "x": {"a": 2, "b": 1}}}, "name": "a"}
    assert pack(types.CLUSTER, "a", one) == pack(types.CLUSTER, "a", two)


@pytest.mark.parametrize(
    "resource",
    [
        pytest.param({"name": "a", "conect_timeout": "1s"}, id="a field that is none"),
        pytest.param({"name": ["a"]}, id="the wrong kind"),
        pytest.param({"name": "a", "type": "EDSS"}, id="a word that is none"),
        pytest.param({"name": "a", "transport_socket": extension("t", "envoy.no.such.Type")}, id="an unknown type"),
    ],
)
def test_what_is_wrong_is_named(resource: dict[str, object]) -> None:
    with pytest.raises(InvalidResourceError, match="Cluster 'a': "):
        pack(types.CLUSTER, "a", resource)


TCP_PROXY = "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"


@pytest.mark.parametrize("field", ["stat_prefix", "stat_prefiks"], ids=["whole", "with a fault"])
def test_a_resource_is_left_as_it_was(field: str) -> None:
    """Parts of it may be in other resources as well, and people read them in the order in which they were written."""
    filters = [extension("t", TCP_PROXY, {field: "a", "cluster": "a"})]
    resource = {"name": "a", "filter_chains": [{"filters": filters}]}
    before = json.dumps(resource)
    with contextlib.suppress(InvalidResourceError):
        pack(types.LISTENER, "a", resource)
    assert json.dumps(resource) == before
