"""What is printed at the start."""

from __future__ import annotations

from pathlib import Path

import pytest

from istiod_py.banner import lines, nodes_of
from mesh_py.model.address import parse_ip
from mesh_py.model.workload import Workload
from tests.istiod_py.test_config import settings

LOCAL = {"secure": ("127.0.9.1", 15012), "monitoring": ("127.0.0.1", 15014)}


def test_addresses_that_can_be_dialled_whatever_we_listen_on(tmp_path: Path) -> None:
    addresses = {"secure": ("::", 15012), "monitoring": ("127.0.0.1", 15014)}
    text = "\n".join(lines(settings(tmp_path), addresses, Path("/a folder/root.pem"), {}))
    assert "XDS_ADDRESS=https://localhost:15012 CA_ADDRESS=https://localhost:15012" in text
    assert "XDS_ROOT_CA='/a folder/root.pem'" in text
    assert "--node node-a --state-dir /state/hbone-mesh/istiod" in text
    assert "curl http://127.0.0.1:15014/debug" in text
    assert "plaintext" not in text


def test_ipv6_in_brackets(tmp_path: Path) -> None:
    addresses = {"secure": ("fd00::1", 15012), "monitoring": ("::1", 15014), "plaintext": ("::1", 15010)}
    text = "\n".join(lines(settings(tmp_path), addresses, Path("/r"), {}))
    assert "https://[fd00::1]:15012" in text
    assert "this machine alone: [::1]:15010" in text


def test_a_command_for_every_node_of_the_mesh(tmp_path: Path) -> None:
    text = "\n".join(lines(settings(tmp_path), LOCAL, Path("/r"), {"node-a": "127.0.1.1", "b": ""}))
    assert "NODE_NAME=node-a POD_NAME=ztunnel-node-a POD_NAMESPACE=istio-system PROXY_BIND_ADDRESS=127.0.1.1" in text
    assert "NODE_NAME=b POD_NAME=ztunnel-b POD_NAMESPACE=istio-system AUTH_TOKEN=" in text
    assert "more nodes" not in text


def test_of_many_nodes_a_few(tmp_path: Path) -> None:
    text = "\n".join(lines(settings(tmp_path), LOCAL, Path("/r"), {f"node-{number}": "" for number in range(5)}))
    assert text.count("python -m ztunnel_py") == 3
    assert "for 2 more nodes" in text


@pytest.mark.parametrize(
    ("workloads", "nodes"),
    [
        pytest.param([], {}, id="none"),
        pytest.param([("b", "127.0.2.1"), ("a", "127.0.1.1")], {"a": "127.0.1.1", "b": "127.0.2.1"}, id="in order"),
        pytest.param([("a", "127.0.1.1"), ("a", "127.0.1.2")], {"a": ""}, id="two pods"),
        pytest.param([("a", "10.0.0.1")], {"a": ""}, id="not of this machine"),
        pytest.param([("", "127.0.1.1")], {}, id="on no node"),
    ],
)
def test_where_a_node_s_proxy_can_stand(workloads: list[tuple[str, str]], nodes: dict[str, str]) -> None:
    found = [Workload(uid=ip, node=node, workload_ips=(parse_ip(ip),)) for node, ip in workloads]
    assert nodes_of(found) == nodes
