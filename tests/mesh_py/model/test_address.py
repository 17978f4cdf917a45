"""Addresses: canonical text, blocks, and the forms they are written in."""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_py.model.address import (
    Cidr,
    GatewayAddress,
    HostPort,
    NamespacedHostname,
    NetworkAddress,
    NetworkCidr,
    ip_from_packed,
    ip_number,
    is_ipv6,
    parse_ip,
)

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("10.0.0.1", "10.0.0.1", id="ipv4"),
        pytest.param("FD00:0:0::0001", "fd00::1", id="ipv6 is written shortest"),
        pytest.param("::ffff:10.0.0.1", "10.0.0.1", id="a mapped address is ipv4"),
        pytest.param("fe80::1%eth0", "fe80::1", id="a zone is dropped"),
    ],
)
def test_canonical_text(text: str, expected: str) -> None:
    assert parse_ip(text) == expected


@pytest.mark.parametrize("text", ["", "10.0.0", "10.0.0.256", "010.0.0.1", "10.0.0.1/32", "fd00", "example.com"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match="does not appear to be"):
        parse_ip(text)


@given(st.ip_addresses())
def test_packed_and_number_agree_with_text(address: object) -> None:
    given_address = ip_address(str(address))
    ip = ip_from_packed(given_address.packed)
    assert ip == parse_ip(str(given_address))
    assert is_ipv6(ip) is (ip_address(ip).version == 6)
    assert ip_number(ip) == int(ip_address(ip))


def test_packed_addresses_have_4_or_16_bytes() -> None:
    with pytest.raises(ValueError, match="4 or 16 bytes, not 5"):
        ip_from_packed(b"12345")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (NetworkAddress("", parse_ip("10.0.0.1")), "/10.0.0.1"),
        (NetworkAddress("net", parse_ip("fd00::1")), "net/fd00::1"),
        (NamespacedHostname("ns", "example.com"), "ns/example.com"),
        (NetworkCidr("net", Cidr.parse("10.0.0.0/8")), "net/10.0.0.0/8"),
        (HostPort("example.com", 80), "example.com:80"),
    ],
)
def test_text_forms(value: object, text: str) -> None:
    assert str(value) == text


@pytest.mark.parametrize(
    ("parse", "text", "complaint"),
    [
        (NetworkAddress.parse, "10.0.0.1", "is not network/ip (the default network gives /10.0.0.1)"),
        (NetworkAddress.parse, "net/x", "'x' does not appear to be"),
        (NetworkAddress.parse, "a/b/10.0.0.1", "'b/10.0.0.1' does not appear to be"),
        (NamespacedHostname.parse, "example.com", "is not namespace/hostname"),
        (NamespacedHostname.parse, "ns/", "is not namespace/hostname"),
        (NamespacedHostname.parse, "ns/a/b", "is not namespace/hostname"),
        (GatewayAddress.parse_destination, "x", "is not namespace/hostname"),
        (Cidr.parse, "10.0.0.0/33", "the prefix length must be 0 to 32"),
        (Cidr.parse, "10.0.0.0/", "is not ip/length"),
        (Cidr.parse, "10.0.0.0/-1", "is not ip/length"),
        (Cidr.parse, "10.0.0.0/²", "is not ip/length"),
        (Cidr.parse, "fd00::/129", "the prefix length must be 0 to 128"),
        (Cidr.parse, "x/8", "'x' does not appear to be"),
    ],
)
def test_what_does_not_parse(parse: Callable[[str], object], text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=re.escape(complaint)):
        parse(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("net/10.0.0.1", NetworkAddress("net", parse_ip("10.0.0.1"))),
        ("/fd00::1", NetworkAddress("", parse_ip("fd00::1"))),
        ("ns/example.com", NamespacedHostname("ns", "example.com")),
    ],
)
def test_gateways_are_addresses_or_names(text: str, expected: object) -> None:
    assert GatewayAddress.parse_destination(text) == expected


blocks = st.tuples(st.ip_addresses(v=4), st.integers(0, 32)) | st.tuples(st.ip_addresses(v=6), st.integers(0, 128))


@given(blocks, st.ip_addresses())
def test_blocks_hold_what_the_standard_library_says(block: tuple[object, int], other: object) -> None:
    base, length = parse_ip(str(block[0])), block[1]
    if is_ipv6(base) is not (ip_address(str(block[0])).version == 6):
        return  # a mapped address has become IPv4, and its length with it would mean another block
    cidr, network = Cidr(base, length), ip_network(f"{base}/{length}", strict=False)
    for ip in (parse_ip(str(other)), base, parse_ip(str(network[0])), parse_ip(str(network[-1]))):
        assert cidr.contains(ip) is (ip_address(ip) in network)


def test_a_block_keeps_its_host_bits_for_printing() -> None:
    cidr = Cidr.parse("10.1.2.3/8")
    assert str(cidr) == "10.1.2.3/8"
    assert cidr.contains(parse_ip("10.9.9.9"))


def test_a_bare_address_is_a_block_of_one() -> None:
    assert Cidr.parse("10.0.0.1") == Cidr.parse("10.0.0.1/32")
    assert Cidr.parse("fd00::1").is_host
    assert not Cidr.parse("fd00::/127").is_host
