"""Who a proxy says it is, read strictly (hbone-controlplane 2.2)."""

from __future__ import annotations

import contextlib
import ipaddress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from istiod_py.node import LONGEST_ID, NODE_TYPES, InvalidNodeError, read_node

ZTUNNEL = "ztunnel~10.0.0.9~ztunnel-x.istio-system~istio-system.svc.cluster.local"


def test_a_node_says_who_and_where_it_is() -> None:
    node = read_node(ZTUNNEL, {"NODE_NAME": "node-a", "SERVICE_ACCOUNT": "ztunnel", "CLUSTER_ID": "east"})
    assert (node.kind, node.ip, node.name, node.namespace) == ("ztunnel", "10.0.0.9", "ztunnel-x", "istio-system")
    assert (node.node, node.service_account, node.cluster_id) == ("node-a", "ztunnel", "east")
    assert node.domain == "istio-system.svc.cluster.local"


def test_a_pod_name_may_have_dots() -> None:
    assert read_node("sidecar~10.0.0.1~db-0.primary.shop~shop.svc").name == "db-0.primary"


def test_a_ztunnel_without_names_has_empty_ones() -> None:
    assert read_node("ztunnel~1.1.1.1~.~.svc.cluster.local").namespace == ""


@pytest.mark.parametrize(
    ("id", "metadata", "ip"),
    [
        pytest.param("sidecar~fd00::1~a.b~c", {}, "fd00::1", id="IPv6"),
        pytest.param(
            "sidecar~~a.b~c", {"INSTANCE_IPS": "nonsense, 10.0.0.7"}, "10.0.0.7", id="first valid of metadata"
        ),
        pytest.param("sidecar~10.0.0.1~a.b~c", {"INSTANCE_IPS": 7}, "10.0.0.1", id="metadata of another type"),
    ],
)
def test_one_valid_address_is_enough(id: str, metadata: dict[str, Any], ip: str) -> None:
    assert read_node(id, metadata).ip == ip


def test_metadata_wins_over_the_id() -> None:
    assert read_node(ZTUNNEL, {"NAMESPACE": "other"}).namespace == "other"
    assert read_node(ZTUNNEL, {"NAMESPACE": ""}).namespace == "istio-system"


@pytest.mark.parametrize(
    ("id", "complaint"),
    [
        pytest.param("", "has 1 parts", id="empty"),
        pytest.param("ztunnel~10.0.0.9~a.b", "has 3 parts", id="too few parts"),
        pytest.param(ZTUNNEL + "~", "has 5 parts", id="too many parts"),
        pytest.param("toaster~10.0.0.9~a.b~c", "unknown kind 'toaster'", id="unknown kind"),
        pytest.param("ztunnel~~a.b~c", "no valid IP address", id="no address"),
        pytest.param("ztunnel~10.0.0~a.b~c", "no valid IP address", id="half an address"),
        pytest.param("ztunnel~10.0.0.9~name~c", "'name' is not name.namespace", id="no namespace"),
        pytest.param("x" * (LONGEST_ID + 1), "at most 1024", id="endless"),
    ],
)
def test_what_cannot_be_understood_is_refused(id: str, complaint: str) -> None:
    with pytest.raises(InvalidNodeError, match=complaint):
        read_node(id)


@given(st.text(), st.dictionaries(st.sampled_from(("NAMESPACE", "INSTANCE_IPS", "NODE_NAME")), st.text() | st.floats()))
def test_any_text_is_a_node_or_is_refused(id: str, metadata: dict[str, Any]) -> None:
    for text in (id, f"ztunnel~{id}~{id}.{id}~{id}"):
        with contextlib.suppress(InvalidNodeError):
            node = read_node(text, metadata)
            assert node.kind in NODE_TYPES
            assert str(ipaddress.ip_address(node.ip)) == node.ip
