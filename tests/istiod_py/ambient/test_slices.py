"""Addresses of EndpointSlices that stand for no pod (hbone-controlplane 1.5)."""

from __future__ import annotations

from typing import Any

import pytest

from mesh_py.manifests.core import EndpointSlice, SliceEndpoint, SlicePort
from mesh_py.model.workload import HealthStatus, NetworkMode, Protocol
from tests.istiod_py.ambient.folder import authorization, entry, mesh, meta, service

UID = "Kubernetes/discovery.k8s.io/EndpointSlice/shop/web-x/10.5.0.1"


def listing(*endpoints: SliceEndpoint, of: str = "web", **fields: Any) -> EndpointSlice:
    labels = {"kubernetes.io/service-name": of} if of else {}
    given = {"ports": (SlicePort(8888, "http"), SlicePort(53, "dns", "UDP"), SlicePort(1, "unknown"))}
    return EndpointSlice(meta("web-x", labels=labels), endpoints=endpoints, **(given | fields))


OUTSIDE = SliceEndpoint(("10.5.0.1",))


def test_an_address_is_a_workload_that_nobody_knows() -> None:
    [one] = mesh(service(selector={}), listing(OUTSIDE), authorization("all", selector={"a": "b"})).workloads.values()
    assert (one.uid, one.workload_ips, one.network_mode) == (UID, ("10.5.0.1",), NetworkMode.HOST_NETWORK)
    assert (one.protocol, one.service_account, one.authorization_policies) == (Protocol.TCP, "", ())
    assert list(one.services.values()) == [{80: 8888}]


@pytest.mark.parametrize(("ready", "expected"), [(True, HealthStatus.HEALTHY), (False, HealthStatus.UNHEALTHY)])
def test_readiness(ready: bool, expected: HealthStatus) -> None:
    told = mesh(service(selector={}), listing(SliceEndpoint(("10.5.0.1",), ready=ready)))
    assert told.workloads[UID].status is expected


def test_an_address_counts_once() -> None:
    assert list(mesh(service(selector={}), listing(OUTSIDE, OUTSIDE)).workloads) == [UID]


@pytest.mark.parametrize(
    "objects",
    [
        pytest.param([service(), listing(SliceEndpoint(("10.1.0.1",), pod="web-1"))], id="a pod, which is told itself"),
        pytest.param([listing(OUTSIDE)], id="of no service"),
        pytest.param([service(), listing(OUTSIDE, of="")], id="that names no service"),
        pytest.param([entry("web", "web.shop.svc.cluster.local"), listing(OUTSIDE)], id="of a ServiceEntry"),
        pytest.param([service(), listing(SliceEndpoint(("x.y",)), address_type="FQDN")], id="by name"),
        pytest.param([service(), listing(SliceEndpoint(()))], id="without an address"),
    ],
)
def test_what_is_no_workload(objects: list[Any]) -> None:
    assert mesh(*objects).workloads == {}
