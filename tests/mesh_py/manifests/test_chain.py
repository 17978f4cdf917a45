"""A waypoint's further keys, and what is said of mistakes in them."""

from __future__ import annotations

import pytest

from mesh_py.discovery.problems import ConfigError
from mesh_py.manifests.chain import Chain, Faults, Provider, RateLimit, UserFilter
from mesh_py.manifests.proxy_file import further_of, read_proxy_file, read_waypoint_file


def read(text: str) -> Chain:
    return further_of(read_waypoint_file(text, "mesh.yaml")).chain


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("workloads: []", Chain(), id="none"),
        pytest.param(
            "extensionProviders: [{name: a, envoyExtAuthzHttp: {service: b.c, port: 80, timeout: 1s, failOpen: true,"
            " headersToUpstreamOnAllow: [x-a], includeAdditionalHeadersInCheck: {x-b: '1'}}}]",
            Chain(
                providers=(
                    Provider(
                        "a",
                        "b.c",
                        80,
                        1.0,
                        fail_open=True,
                        include_additional_headers={"x-b": "1"},
                        headers_to_upstream_on_allow=("x-a",),
                    ),
                )
            ),
            id="authorizer",
        ),
        pytest.param(
            "filters: [{file: /a.py, name: A, settings: {limit: 5}}, {file: /b.py, name: B}]",
            Chain(filters=(UserFilter("/a.py", "A", {"limit": 5}), UserFilter("/b.py", "B", {}))),
            id="filters",
        ),
        pytest.param(
            "faults: [{service: a/b, delay: {fixedDelay: 2s, percentage: 10}, abort: {httpStatus: 418}}]",
            Chain(faults=(Faults("a/b", 2.0, 10.0, 418, 100.0),)),
            id="faults",
        ),
        pytest.param(
            "rateLimits: [{service: a/b, maxTokens: 5, fillInterval: 1s}]",
            Chain(rate_limits=(RateLimit("a/b", 5, 5, 1.0),)),
            id="rate limit",
        ),
        pytest.param("keySets: {me: /keys.json}", Chain(key_sets=(("me", "/keys.json"),)), id="keys"),
    ],
)
def test_what_a_file_adds(text: str, found: Chain) -> None:
    assert read(text) == found


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        pytest.param("filters: [{file: /a.py}]", "name", id="no class"),
        pytest.param("filters: [{file: /a.py, name: A, settings: [1]}]", "settings are a mapping", id="no settings"),
        pytest.param("faults: [{service: b}]", "not namespace/name of a service", id="no namespace"),
        pytest.param("faults: [{service: a/b, abort: {httpStatus: 999}}]", "999", id="no status"),
        pytest.param("faults: [{service: a/b, abort: {httpStatus: 500, percentage: 101}}]", "0 to 100", id="too much"),
        pytest.param("rateLimits: [{service: a/b, maxTokens: 5, fillInterval: 0s}]", "longer than", id="no time"),
        pytest.param("extensionProviders: [{name: a}]", "envoyExtAuthzHttp", id="nobody to ask"),
    ],
)
def test_a_mistake_is_told_with_its_place(text: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint) as caught:
        read(text)
    assert str(caught.value).startswith("mesh.yaml:1:")


def test_a_sidecar_does_not_take_them() -> None:
    with pytest.raises(ConfigError, match="unknown key 'filters'"):
        read_proxy_file("filters: []", "mesh.yaml")


def test_sources_are_joined_in_order() -> None:
    first, second = Chain(key_sets=(("a", "1"),)), Chain(key_sets=(("b", "2"),))
    assert first.joined(second).key_sets == (("a", "1"), ("b", "2"))
