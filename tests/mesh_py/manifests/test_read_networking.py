"""ServiceEntry and WorkloadEntry: what is read of them, and what is wrong."""

from __future__ import annotations

import pytest

from mesh_py.manifests.metadata import Metadata
from mesh_py.manifests.networking import EntryEndpoint, EntryPort, Location, Resolution, ServiceEntry, WorkloadEntry
from mesh_py.model.address import Cidr
from mesh_py.model.workload import Locality
from tests.support.manifests import faults, read

HEAD = "apiVersion: networking.istio.io/v1\nkind: {}\nmetadata: {{name: a, namespace: shop}}\nspec: {}"
SHOP = Metadata("a", "shop")


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param("{hosts: [api.example.com]}", ServiceEntry(SHOP, ("api.example.com",)), id="the least"),
        pytest.param(
            "{hosts: ['*.example.com'], addresses: [10.1.2.3, 10.2.0.0/16], location: MESH_INTERNAL, "
            "resolution: STATIC, exportTo: ['.'], subjectAltNames: [spiffe://td/ns/a/sa/b], "
            "ports: [{number: 80, name: http, protocol: http, targetPort: 8080}], "
            "endpoints: [{address: 10.0.0.1, ports: {http: 81}, labels: {v: a}, network: n, locality: eu/z/r, "
            "weight: 3, serviceAccount: sa}, {address: V.Example.Com}]}",
            ServiceEntry(
                SHOP,
                ("*.example.com",),
                (Cidr.parse("10.1.2.3"), Cidr.parse("10.2.0.0/16")),
                (EntryPort(80, "http", "HTTP", 8080),),
                Location.INTERNAL,
                Resolution.STATIC,
                (
                    EntryEndpoint("10.0.0.1", {"http": 81}, {"v": "a"}, "n", Locality("eu", "z", "r"), 3, "sa"),
                    EntryEndpoint("v.example.com"),
                ),
                export_to=(".",),
                subject_alt_names=("spiffe://td/ns/a/sa/b",),
            ),
            id="everything",
        ),
        pytest.param(
            "{hosts: [a.b], workloadSelector: {labels: {app: x}}}",
            ServiceEntry(SHOP, ("a.b",), workload_selector={"app": "x"}),
            id="a selector",
        ),
        pytest.param(
            "{hosts: [a.b, c.d]}\nstatus: {addresses: [{value: 240.240.0.1, host: a.b}, {value: 240.240.0.2}]}",
            ServiceEntry(
                SHOP,
                ("a.b", "c.d"),
                assigned_addresses={
                    "a.b": (Cidr.parse("240.240.0.1"), Cidr.parse("240.240.0.2")),
                    "c.d": (Cidr.parse("240.240.0.2"),),
                },
            ),
            id="addresses that were assigned",
        ),
    ],
)
def test_service_entries(spec: str, expected: ServiceEntry) -> None:
    assert read(ServiceEntry, HEAD.format("ServiceEntry", spec)) == expected


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param(
            "{hosts: []}", ["4:15: a ServiceEntry needs a host; name one, such as api.example.com"], id="hosts"
        ),
        pytest.param("{hosts: ['*']}", ["4:16: '*' is not a host name (or *. and one)"], id="every host"),
        pytest.param(
            "{hosts: [a.b], resolution: Static}",
            ["4:34: unknown value 'Static'; did you mean 'STATIC'?"],
            id="a resolution",
        ),
        pytest.param(
            "{hosts: [a.b], endpoints: [{address: a_b}, {}, {network: n, locality: a/b/c/d}]}",
            [
                "4:44: 'a_b' is neither an IP address nor a host name",
                "4:50: an endpoint needs an address; add 'address', or 'network' for one behind a gateway",
                "4:77: 'a/b/c/d' is no locality; write region/zone/subzone",
            ],
            id="endpoints",
        ),
        pytest.param(
            "{hosts: [a.b], endpoints: [{address: 10.0.0.1}], workloadSelector: {labels: {a: b}}}",
            ["4:7: a ServiceEntry has either endpoints or a workloadSelector; remove one of them"],
            id="endpoints and a selector",
        ),
        pytest.param(
            "{hosts: [a.b], workloadSelector: {matchLabels: {a: b}}}",
            ["4:41: unknown key 'matchLabels' in selector; did you mean 'labels'?"],
            id="another kind's selector",
        ),
        pytest.param(
            "{hosts: [a.b], ports: [{number: 80, protocol: HTPP}]}",
            [
                "4:30: port of a ServiceEntry has no 'name'; add it",
                "4:53: unknown value 'HTPP'; did you mean 'HTTP'?",
            ],
            id="a port",
        ),
    ],
)
def test_what_is_wrong_with_a_service_entry(spec: str, expected: list[str]) -> None:
    assert faults(HEAD.format("ServiceEntry", spec)) == expected


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param("{address: 10.0.0.1}", EntryEndpoint("10.0.0.1"), id="an IP address"),
        pytest.param("{address: unix:///run/x}", EntryEndpoint("unix:///run/x"), id="a socket"),
        pytest.param("{network: n, weight: 0}", EntryEndpoint(network="n", weight=0), id="behind a gateway"),
    ],
)
def test_workload_entries(spec: str, expected: EntryEndpoint) -> None:
    assert read(WorkloadEntry, HEAD.format("WorkloadEntry", spec)).spec == expected


def test_a_workload_entry_without_address_is_refused() -> None:
    text = HEAD.format("WorkloadEntry", "{labels: {app: x}}")
    assert faults(text) == ["4:7: an endpoint needs an address; add 'address', or 'network' for one behind a gateway"]
