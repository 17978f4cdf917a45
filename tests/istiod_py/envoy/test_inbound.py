"""A sidecar's inbound chains, by what PeerAuthentication asks and by what ports speak."""

from __future__ import annotations

from typing import Any

import pytest

from istiod_py.envoy.form_today import TODAY
from istiod_py.envoy.inbound import application_ports, main_internal, virtual_inbound
from mesh_py.manifests.security import MutualTls
from mesh_py.model.workload import AppProtocol
from tests.istiod_py.envoy.meshes import ECHO, echo_pod, echo_service, mesh, peer_authentication, sidecar
from tests.support import world

PROTOCOLS = {80: AppProtocol.HTTP11, 81: AppProtocol.TCP}
SERVICE = echo_service(ports={80: 8080, 81: 8081}, app_protocols=PROTOCOLS)
NODE = sidecar("10.1.0.2", "echo", labels={"app": "echo"})


def chains(*things: Any) -> list[str]:
    found = virtual_inbound(mesh(SERVICE, echo_pod(), *things), NODE)
    return [one["name"] for one in found["filter_chains"]]


def mode(mtls: MutualTls, **ports: MutualTls) -> Any:
    given = {int(name.removeprefix("p")): one for name, one in ports.items()}
    return peer_authentication("p", selector={"app": "echo"}, mtls=mtls, port_level_mtls=given)


BOTH = ["{}-mtls", "{}", "{}-tls"]
REST = ["virtualInbound-mtls-http", "virtualInbound-mtls"]
REST_PLAIN = ["virtualInbound-http", "virtualInbound", "virtualInbound-tls"]


def named(port: int, *patterns: str) -> list[str]:
    return [one.format(f"0.0.0.0_{port}") for one in patterns]


@pytest.mark.parametrize(
    ("things", "expected"),
    [
        pytest.param((), [*named(8080, *BOTH), *named(8081, *BOTH), *REST, *REST_PLAIN], id="nothing said: permissive"),
        pytest.param((mode(MutualTls.STRICT),), [*named(8080, BOTH[0]), *named(8081, BOTH[0]), *REST], id="strict"),
        pytest.param(
            (mode(MutualTls.DISABLE),),
            [*named(8080, *BOTH[1:]), *named(8081, *BOTH[1:]), *REST_PLAIN],
            id="switched off",
        ),
        pytest.param(
            (mode(MutualTls.STRICT, p8081=MutualTls.PERMISSIVE),),
            [*named(8080, BOTH[0]), *named(8081, *BOTH), *REST],
            id="one port of a service may be plain",
        ),
        pytest.param(
            (mode(MutualTls.STRICT, p9000=MutualTls.DISABLE),),
            [*named(8080, BOTH[0]), *named(8081, BOTH[0]), *named(9000, "{}-http", *BOTH[1:]), *REST],
            id="and a port of none",
        ),
    ],
)
def test_chains(things: tuple[Any, ...], expected: list[str]) -> None:
    assert chains(*things) == ["virtualInbound-blackhole", *expected]


def test_a_port_that_services_disagree_about_is_sniffed() -> None:
    told = mesh(echo_service(), echo_pod())
    assert application_ports(told, NODE) == {8080: AppProtocol.UNKNOWN}
    assert application_ports(mesh(SERVICE, echo_pod()), NODE) == {8080: AppProtocol.HTTP11, 8081: AppProtocol.TCP}


def test_ports_are_those_of_this_pod() -> None:
    other = echo_pod("10.1.0.3", "other", services={f"default/{ECHO}": {80: 9000}})
    assert 9000 not in application_ports(mesh(SERVICE, echo_pod(), other), NODE)
    assert application_ports(mesh(SERVICE, other), NODE) == {}


def test_what_came_by_a_tunnel_must_be_for_this_pod_and_is_plain_by_now() -> None:
    found = main_internal(mesh(SERVICE, echo_pod(), mode(MutualTls.STRICT)), NODE, TODAY)
    matches = [one["filter_chain_match"] for one in found["filter_chains"]]
    assert all(one["prefix_ranges"] == [{"address_prefix": "10.1.0.2", "prefix_len": 32}] for one in matches)
    assert [one.get("destination_port") for one in matches] == [8080, 8081, None, None]


def test_the_application_is_told_who_calls() -> None:
    found = virtual_inbound(mesh(SERVICE, echo_pod()), NODE)
    [chain] = [one for one in found["filter_chains"] if one["name"] == "0.0.0.0_8080-mtls"]
    manager = chain["filters"][-1]["typed_config"]
    assert manager["forward_client_cert_details"] == "APPEND_FORWARD"
    route = manager["route_config"]["virtual_hosts"][0]["routes"][0]["route"]
    assert (route["cluster"], "retry_policy" in route) == ("inbound|8080||", False)


def test_an_unknown_pod_has_its_passthrough() -> None:
    names = [one["name"] for one in virtual_inbound(mesh(world.workload("x", "10.1.0.9")), NODE)["filter_chains"]]
    assert names == ["virtualInbound-blackhole", *REST, *REST_PLAIN]
