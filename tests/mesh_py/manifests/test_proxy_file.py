"""The mesh file with its further keys: manifests and labels, and faults with their places."""

from __future__ import annotations

import pytest

from mesh_py.discovery.local_file import read_local_config
from mesh_py.discovery.problems import ConfigError
from mesh_py.manifests.proxy_file import further_of, read_proxy_file
from mesh_py.manifests.security import MutualTls

FILE = """\
workloads: []
labels:
  default/httpbin: {app: httpbin, version: v1}
manifests:
- apiVersion: security.istio.io/v1
  kind: PeerAuthentication
  metadata: {name: strict, namespace: default}
  spec: {mtls: {mode: STRICT}}
"""


def test_both_keys() -> None:
    further = further_of(read_proxy_file(FILE, "mesh.yaml"))
    [found] = further.manifests.peer_authentications
    assert (found.metadata.key, found.mtls) == ("default/strict", MutualTls.STRICT)
    assert found.metadata.place.line == 5
    assert further.labels_of("default", "httpbin") == {"app": "httpbin", "version": "v1"}
    assert further.labels_of("default", "sleep") == {}


def test_neither() -> None:
    further = further_of(read_proxy_file("workloads: []", "mesh.yaml"))
    assert list(further.manifests.all()) == []
    assert further.labels == {}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        pytest.param(FILE.replace("STRICT", "STRICKT"), "mesh.yaml:8:", id="a word in a manifest"),
        pytest.param(FILE.replace("default/httpbin", "httpbin"), "'httpbin' is not namespace/name", id="no namespace"),
        pytest.param("manifest: []", "unknown key 'manifest'", id="a slip of a key"),
        pytest.param("manifests: {}", "mesh.yaml:1:12", id="no list"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text: str, complaint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_proxy_file(text, "mesh.yaml")
    assert complaint in str(caught.value)


def test_what_has_no_effect_is_told_with_its_place() -> None:
    text = """\
manifests:
- {apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: a}, spec: {}}
- apiVersion: networking.istio.io/v1
  kind: DestinationRule
  metadata: {name: b}
  spec: {host: b, trafficPolicy: {tunnel: {}}}
"""
    told = read_proxy_file(text, "mesh.yaml").warnings
    assert [one.partition(": ")[0] for one in told] == ["mesh.yaml:2:46", "mesh.yaml:6:43"]
    assert "VirtualService is not supported" in told[0]
    assert "'tunnel' has no effect" in told[1]


def test_the_node_proxy_knows_neither() -> None:
    with pytest.raises(ConfigError, match="unknown key 'labels'"):
        read_local_config(FILE, "mesh.yaml")
