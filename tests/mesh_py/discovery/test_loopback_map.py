"""Places of addresses: readable, distinct, always the same; and blocks that hold exactly what they held."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_py.discovery.loopback_map import NOBODY, LoopbackMap, image_of
from mesh_py.model.address import Cidr, NetworkAddress


def at(text: str) -> NetworkAddress:
    return NetworkAddress.parse(text if "/" in text else f"/{text}")


def places_of(*addresses: str) -> list[str]:
    loopback = LoopbackMap()
    loopback.assign(map(at, addresses))
    return [loopback.place(at(address)) for address in addresses]


@pytest.mark.parametrize(
    ("addresses", "expected"),
    [
        pytest.param(["10.244.1.7"], ["127.244.1.7"], id="its own last three numbers"),
        pytest.param(["fd00::f4:107"], ["127.244.1.7"], id="IPv6: the last three bytes"),
        pytest.param(["10.0.1.7"], ["127.128.1.7"], id="the machine's own part is left alone"),
        pytest.param(["10.255.255.255"], ["127.127.255.255"], id="and the broadcast address"),
        pytest.param(["10.1.0.1", "172.1.0.1"], ["127.1.0.1", "127.2.0.1"], id="two that would meet"),
        pytest.param(["172.1.0.1", "10.1.0.1"], ["127.2.0.1", "127.1.0.1"], id="in whatever order they come"),
        pytest.param(["b/10.1.0.1", "a/10.1.0.1"], ["127.2.0.1", "127.1.0.1"], id="one address in two networks"),
        pytest.param(["fd00::1:1", "10.1.0.1"], ["127.2.0.1", "127.1.0.1"], id="IPv4 first"),
        pytest.param(["127.64.0.1"], ["127.64.0.1"], id="what is there already stays"),
    ],
)
def test_places(addresses: list[str], expected: list[str]) -> None:
    assert places_of(*addresses) == expected


def test_a_place_once_given_is_kept() -> None:
    loopback = LoopbackMap()
    loopback.assign([at("172.1.0.1")])
    loopback.assign([at("172.1.0.1"), at("10.1.0.1")])
    assert loopback.place(at("172.1.0.1")) == "127.1.0.1"
    assert loopback.place(at("10.1.0.1")) == "127.2.0.1"


def test_an_address_that_was_never_assigned() -> None:
    with pytest.raises(KeyError):
        LoopbackMap().place(at("10.1.0.1"))


def test_when_every_second_number_is_taken_the_third_and_fourth_move() -> None:
    addresses = [f"{first}.1.0.1" for first in range(1, 256)]
    found = places_of(*addresses)
    assert len(set(found)) == 255
    assert found[-1] == "127.1.0.2"


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ("10.244.0.0/16", "127.244.0.0/16"),
        ("10.244.1.7/32", "127.244.1.7/32"),
        ("10.0.0.0/16", "127.128.0.0/16"),
        ("10.0.0.0/8", "127.0.0.0/8"),
        ("0.0.0.0/0", "127.0.0.0/8"),
        ("172.16.0.0/12", "127.16.0.0/12"),
        ("fd00::f4:0/112", "127.244.0.0/16"),
        ("fd00::/64", "127.0.0.0/8"),
    ],
)
def test_images_of_blocks(block: str, expected: str) -> None:
    assert str(image_of(Cidr.parse(block))) == expected


def blocks(block: str, *addresses: str) -> list[str]:
    loopback = LoopbackMap()
    loopback.assign(map(at, addresses))
    return [str(found) for found in loopback.blocks(Cidr.parse(block))]


@pytest.mark.parametrize(
    ("block", "addresses", "expected"),
    [
        pytest.param("10.1.0.0/16", ["10.1.0.1", "10.2.0.1"], ["127.1.0.0/16"], id="the image"),
        pytest.param(
            "10.1.0.0/16",
            ["10.1.0.1", "10.1.0.2", "172.1.9.9"],
            ["127.1.0.1/32", "127.1.0.2/32"],
            id="a stranger in it",
        ),
        pytest.param("10.1.0.0/31", ["10.1.0.0", "10.1.0.1", "172.1.0.1"], ["127.1.0.0/31"], id="neighbours join"),
        pytest.param("172.1.0.0/16", ["10.1.0.1", "172.1.0.1"], ["127.2.0.1/32"], id="one that had to move"),
        pytest.param("203.0.113.0/24", ["10.1.0.1"], ["127.128.113.0/24"], id="nobody we know: the image"),
        pytest.param("203.1.0.0/24", ["10.1.0.1"], [str(NOBODY)], id="nobody we know, and the image is another's"),
        pytest.param("0.0.0.0/0", ["10.1.0.1", "172.2.0.1"], ["127.0.0.0/8"], id="everybody"),
        pytest.param("0.0.0.0/0", ["10.1.0.1", "fd00::1"], ["127.1.0.1/32"], id="everybody on IPv4"),
        pytest.param("::/0", ["10.1.0.1", "fd00::1"], ["127.128.0.1/32"], id="everybody on IPv6"),
    ],
)
def test_blocks(block: str, addresses: list[str], expected: list[str]) -> None:
    assert blocks(block, *addresses) == expected


def test_blocks_follow_new_addresses() -> None:
    loopback = LoopbackMap()
    loopback.assign([at("10.1.0.1")])
    assert loopback.blocks(Cidr.parse("172.1.0.0/16")) == (NOBODY,)
    loopback.assign([at("172.1.0.1")])
    assert loopback.blocks(Cidr.parse("172.1.0.0/16")) == (Cidr.parse("127.2.0.1/32"),)


IPS = st.one_of(
    st.integers(0, 2**32 - 1).map(lambda n: str(ipaddress.IPv4Address(n))),
    # Crowded, so that places are contended for.
    st.integers(0, 2**10).map(lambda n: str(ipaddress.IPv4Address(n * 0x01000001 & 0xFFFFFFFF))),
    st.integers(2**64, 2**64 + 2**26).map(lambda n: str(ipaddress.IPv6Address(n))),
)


@given(st.lists(IPS, max_size=30, unique=True), st.integers(0, 128), st.data())
def test_a_block_holds_the_places_of_what_it_held(ips: list[str], length: int, data: st.DataObject) -> None:
    loopback = LoopbackMap()
    loopback.assign(map(at, ips))
    assert len(set(loopback.places.values())) == len(ips)
    base = data.draw(st.sampled_from(ips) if ips else IPS)
    block = Cidr.parse(f"{base}/{length if ':' in base else length % 33}")
    found = loopback.blocks(block)
    assert found
    for ip in ips:
        address = at(ip)
        place = loopback.place(address)
        assert place.startswith("127.")
        assert not place.startswith("127.0.")
        assert any(one.contains(place) for one in found) is block.contains(address.ip)
