"""The ports on which a workload serves a service."""

from __future__ import annotations

from istiod_py.ambient.port_maps import of_entry, of_pod
from istiod_py.ambient.services import ServiceFacts, ServicePort
from mesh_py.model.workload import Service
from tests.istiod_py.ambient.folder import meta

NUMBERS, NAMED = ServicePort(80, "http", 8080), ServicePort(81, "rpc", "grpc")


def facts(kind: str, *ports: ServicePort) -> ServiceFacts:
    return ServiceFacts(Service("web", "shop", "web.shop"), kind, meta("web"), ports, {})


def test_a_pod_resolves_names_of_target_ports() -> None:
    assert of_pod(facts("Service", NUMBERS, NAMED), {"grpc": 9090}.get) == {80: 8080, 81: 9090}


def test_a_port_whose_name_the_pod_does_not_have_is_left_out() -> None:
    assert of_pod(facts("Service", NUMBERS, NAMED), {"http": 1}.get) == {80: 8080}


def test_a_port_of_an_entry_may_be_a_named_port_of_the_pod() -> None:
    service = facts("ServiceEntry", NUMBERS)
    assert of_pod(service, {"http": 8888}.get) == {80: 8888}
    assert of_pod(service, {"other": 1}.get) == {80: 8080}
    assert of_pod(facts("ServiceEntry", ServicePort(80, "", 80)), {"": 1}.get) == {80: 80}


def test_an_endpoint_names_ports_as_the_service_does() -> None:
    assert of_entry(facts("ServiceEntry", NUMBERS), {"http": 8888}) == {80: 8888}
    assert of_entry(facts("ServiceEntry", NUMBERS), {"other": 8888}) == {80: 8080}


def test_an_endpoint_behind_a_kubernetes_service_names_its_target_ports() -> None:
    service = facts("Service", NUMBERS, NAMED)
    assert of_entry(service, {"grpc": 9090, "http": 8888}) == {80: 8888, 81: 9090}
    assert of_entry(service, {"rpc": 9090}) == {80: 8080}
