"""Who we say we are (hbone-controlplane 2.2)."""

from __future__ import annotations

import pytest

from mesh_py.xds.node import Node, metadata_from


def test_a_pod_has_an_id_of_four_parts() -> None:
    node = Node.of("ztunnel", name="ztunnel-x", namespace="istio-system", ip="10.0.0.7")
    assert node.id == "ztunnel~10.0.0.7~ztunnel-x.istio-system~istio-system.svc.cluster.local"
    assert node.metadata == {"NAME": "ztunnel-x", "NAMESPACE": "istio-system", "INSTANCE_IPS": "10.0.0.7"}


def test_what_is_not_known_leaves_its_place_empty_but_for_the_address() -> None:
    assert Node.of("ztunnel").id == "ztunnel~1.1.1.1~.~.svc.cluster.local"


def test_more_facts_win() -> None:
    node = Node.of("ztunnel", name="a", metadata={"NAME": "b", "NODE_NAME": "n"})
    assert node.metadata == {"NAME": "b", "NAMESPACE": "", "INSTANCE_IPS": "1.1.1.1", "NODE_NAME": "n"}


def test_metadata_of_the_environment() -> None:
    environ = {
        "ISTIO_META_CLUSTER_ID": "c1",
        "ISTIO_META_LABELS": "text",
        "ISTIO_METAJSON_LABELS": '{"app": "z", "n": [1, null]}',
        "ISTIO_META_": "nameless",
        "PATH": "/bin",
    }
    assert metadata_from(environ) == {"CLUSTER_ID": "c1", "LABELS": {"app": "z", "n": [1, None]}}


@pytest.mark.parametrize("text", ["{", "", "NaN", "Infinity"])
def test_broken_json_is_refused_by_its_name(text: str) -> None:
    with pytest.raises(ValueError, match=r"^ISTIO_METAJSON_LABELS: .*: write JSON"):
        metadata_from({"ISTIO_METAJSON_LABELS": text})
