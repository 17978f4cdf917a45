"""Contexts of mutual TLS: who is expected, which versions, by what name."""

from __future__ import annotations

from typing import Any

import pytest

from istiod_py.envoy.tls import (
    ALPN_OF_TCP,
    SERVER_ALPN_TCP,
    sidecar_client,
    sidecar_server,
    tunnel_client,
    tunnel_server,
)

DOMAINS = ("cluster.local", "old.example")


def common(socket: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = socket["typed_config"]["common_tls_context"]
    return found


def expected(socket: dict[str, Any]) -> list[dict[str, Any]]:
    context = common(socket)["combined_validation_context"]["default_validation_context"]
    names: list[dict[str, Any]] = context["match_typed_subject_alt_names"]
    assert all(one["san_type"] == "URI" for one in names)
    return [one["matcher"] for one in names]


ALL = [
    tunnel_client(DOMAINS),
    tunnel_server(DOMAINS),
    sidecar_client("sni", ALPN_OF_TCP, [], DOMAINS),
    sidecar_server(SERVER_ALPN_TCP, DOMAINS),
]


@pytest.mark.parametrize("socket", ALL)
def test_nobody_is_believed_for_the_roots_alone(socket: dict[str, Any]) -> None:
    assert expected(socket) == [{"prefix": "spiffe://cluster.local/"}, {"prefix": "spiffe://old.example/"}]
    assert "ROOTCA" in str(common(socket)["combined_validation_context"])


@pytest.mark.parametrize("socket", ALL)
def test_certificates_come_by_the_same_stream(socket: dict[str, Any]) -> None:
    [secret] = common(socket)["tls_certificate_sds_secret_configs"]
    assert (secret["name"], secret["sds_config"]["ads"]) == ("default", {})


@pytest.mark.parametrize(("socket", "least"), list(zip(ALL, ["TLSv1_3", "TLSv1_3", "TLSv1_2", "TLSv1_2"], strict=True)))
def test_versions(socket: dict[str, Any], least: str) -> None:
    assert common(socket)["tls_params"] == {
        "tls_minimum_protocol_version": least,
        "tls_maximum_protocol_version": "TLSv1_3",
    }


@pytest.mark.parametrize("socket", [ALL[1], ALL[3]])
def test_servers_want_a_certificate(socket: dict[str, Any]) -> None:
    assert socket["typed_config"]["require_client_certificate"] is True


def test_between_sidecars_accounts_are_expected_and_a_name_is_sent() -> None:
    socket = sidecar_client("outbound_.80_._.echo", ALPN_OF_TCP, ["spiffe://b", "spiffe://a", "spiffe://a"], DOMAINS)
    assert expected(socket) == [{"exact": "spiffe://a"}, {"exact": "spiffe://b"}]
    assert socket["typed_config"]["sni"] == "outbound_.80_._.echo"
    assert "sni" not in tunnel_client(DOMAINS)["typed_config"]
