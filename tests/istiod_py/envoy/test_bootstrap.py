"""What an Envoy starts with. That it joins is shown in test_joining.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from istiod_py.envoy.bootstrap import ClientCertificate, ControlPlane, TokenFile, bootstrap, node_metadata
from istiod_py.envoy.node import envoy_node
from istiod_py.node import read_node
from tests.istiod_py.envoy.meshes import router, sidecar, waypoint
from tests.support.certificates import TestRoot
from tests.support.envoy_static import validate

if TYPE_CHECKING:
    from pathlib import Path

    from istiod_py.envoy.node import EnvoyNode

TOKEN = TokenFile("/run/token")
CERTIFICATE = ClientCertificate("/run/chain.pem", "/run/key.pem")


def started(host: str, proof: TokenFile | ClientCertificate, node: EnvoyNode | None = None) -> dict[str, Any]:
    return bootstrap(node or sidecar(), ControlPlane(host, 15012, "/run/roots.pem", proof))


@pytest.mark.parametrize(
    "node",
    [
        sidecar(),
        sidecar(
            labels={"app": "sleep"},
            service_account="sleep",
            listens_on_hbone=True,
            sends_hbone=False,
            bind_address="127.0.9.1",
            takes_proxy_protocol=True,
            http_proxy_port=15007,
        ),
        waypoint(labels={"gateway.networking.k8s.io/gateway-name": "way"}),
        router(labels={"gateway.networking.k8s.io/gateway-name": "ingress"}),
    ],
)
def test_the_control_plane_reads_back_what_the_proxy_is(node: EnvoyNode) -> None:
    assert envoy_node(read_node(node.id, node_metadata(node))) == node


def test_a_waypoint_without_a_label_is_named_after_its_pod() -> None:
    assert node_metadata(waypoint())["LABELS"] == {"gateway.networking.k8s.io/gateway-name": "waypoint"}


def test_admin_is_on_localhost() -> None:
    assert started("h", TOKEN)["admin"]["address"]["socket_address"] == {"address": "127.0.0.1", "port_value": 15000}
    assert "127.0.9.1" in str(started("h", TOKEN, sidecar(bind_address="127.0.9.1"))["admin"])


def test_a_token_stays_in_its_file() -> None:
    found = started("istiod.example", TOKEN)
    [service] = found["dynamic_resources"]["ads_config"]["grpc_services"]
    [credential] = service["google_grpc"]["call_credentials"]
    assert credential["from_plugin"]["typed_config"]["secret_data"] == {"filename": "/run/token"}
    assert service["google_grpc"]["target_uri"] == "istiod.example:15012"
    assert "static_resources" not in found


@pytest.mark.parametrize(
    ("host", "kind", "expected", "sni"),
    [
        ("istiod.example", "STRICT_DNS", {"san_type": "DNS", "matcher": {"exact": "istiod.example"}}, "istiod.example"),
        ("10.0.0.1", "STATIC", {"san_type": "IP_ADDRESS", "matcher": {"exact": "10.0.0.1"}}, None),
        ("fd00::1", "STATIC", {"san_type": "IP_ADDRESS", "matcher": {"exact": "fd00::1"}}, None),
    ],
)
def test_by_certificate_the_control_plane_must_be_who_was_asked_for(
    host: str, kind: str, expected: dict[str, Any], sni: str | None
) -> None:
    [cluster] = started(host, CERTIFICATE)["static_resources"]["clusters"]
    tls = cluster["transport_socket"]["typed_config"]
    assert cluster["type"] == kind
    assert tls["common_tls_context"]["validation_context"]["match_typed_subject_alt_names"] == [expected]
    assert tls.get("sni") == sni


@pytest.mark.interop
@pytest.mark.parametrize("host", ["istiod.example", "127.0.0.1", "::1"])
@pytest.mark.parametrize("by_token", [True, False], ids=["token", "certificate"])
def test_the_real_envoy_finds_nothing_wrong_with_it(host: str, by_token: bool, tmp_path: Path) -> None:
    files = TestRoot(tmp_path / "root").issue("proxy", "default/proxy")
    token = tmp_path / "token"
    token.write_text("x")
    proof = TokenFile(str(token)) if by_token else ClientCertificate(str(files.chain), str(files.key))
    assert validate(bootstrap(sidecar(), ControlPlane(host, 15012, str(files.roots), proof)), tmp_path) == ""
