"""Blocks of virtual addresses: who is found (hbone-dataplane 2.6)."""

from __future__ import annotations

import pytest

from mesh_py.model.workload import Service, Visibility
from tests.support.world import block, ip, mesh, service

WIDE = service("wide", namespace="a", cidr_vips=(block("10.0.0.0/8"),))
NARROW = service("narrow", namespace="b", cidr_vips=(block("10.1.0.0/16"),))
NARROW_TOO = service("narrow-too", namespace="c", cidr_vips=(block("10.1.255.255/16"),), canonical=True)
HIDDEN = service("hidden", namespace="d", cidr_vips=(block("10.1.1.0/24"),), visibility=Visibility.NAMESPACE)
EXACT = service("exact", "10.1.2.3", namespace="e")
HOST_BLOCK = service("host-block", namespace="f", cidr_vips=(block("10.1.2.4/32"),))
V6 = service("v6", namespace="g", cidr_vips=(block("fd00::/16"),))
REMOTE = service("remote", namespace="h", cidr_vips=(block("10.0.0.0/8", "remote"),))
ALL = (WIDE, NARROW, NARROW_TOO, HIDDEN, EXACT, HOST_BLOCK, V6, REMOTE)


@pytest.mark.parametrize(
    ("address", "client", "expected"),
    [
        pytest.param("10.2.0.1", "x", "wide", id="the only block"),
        pytest.param("10.1.0.1", "x", "narrow-too", id="the longest prefix, of two the canonical one"),
        pytest.param("10.1.0.1", "b", "narrow", id="the client's namespace before canonical"),
        pytest.param("10.1.0.1", "a", "wide", id="the client's namespace before a longer prefix"),
        pytest.param("10.1.1.1", "x", "narrow-too", id="a hidden one is passed over"),
        pytest.param("10.1.1.1", "d", "hidden", id="and seen from its namespace"),
        pytest.param("10.1.2.3", "x", "exact", id="an exact address before any block"),
        pytest.param("10.1.2.4", "x", "host-block", id="a block of one counts as exact"),
        pytest.param("fd00::1", "x", "v6", id="ipv6"),
        pytest.param("fd01::1", "x", None, id="outside"),
        pytest.param("11.0.0.1", "x", None, id="outside, ipv4"),
    ],
)
def test_who_is_found(address: str, client: str, expected: str | None) -> None:
    record = mesh(*ALL).services.at("", ip(address), client)
    assert (record.service.hostname if record else None) == expected


def test_networks_are_apart() -> None:
    record = mesh(*ALL).services.at("remote", ip("10.1.0.1"), "x")
    assert record is not None
    assert record.service.hostname == "remote"
    assert mesh(*ALL).services.at("third", ip("10.1.0.1"), "x") is None


@pytest.mark.parametrize("gone", [WIDE, NARROW, NARROW_TOO, HIDDEN, EXACT, HOST_BLOCK, V6, REMOTE])
def test_what_is_removed_is_not_found(gone: Service) -> None:
    state = mesh(*ALL)
    state.remove_service(gone.key)
    for address in ("10.2.0.1", "10.1.0.1", "10.1.1.1", "10.1.2.3", "10.1.2.4", "fd00::1"):
        for network in ("", "remote"):
            record = state.services.at(network, ip(address), gone.namespace)
            assert record is None or record.service is not gone


def test_a_block_moves_with_its_service() -> None:
    state = mesh(WIDE)
    state.upsert_service(service("wide", namespace="a", cidr_vips=(block("11.0.0.0/8"),)))
    assert state.services.at("", ip("10.0.0.1")) is None
    assert state.services.at("", ip("11.0.0.1")) is not None
