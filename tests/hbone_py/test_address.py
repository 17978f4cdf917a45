"""Addresses as text: this machine's own, and the form with a port."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hbone_py.address import format_address, is_loopback, is_loopback_host


@pytest.mark.parametrize(
    ("ip", "expected"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("10.0.0.1", False),
        ("0.0.0.0", False),
        ("::", False),
        ("::2", False),
    ],
)
def test_loopback(ip: str, expected: bool) -> None:
    assert is_loopback(ip) is expected


@given(st.ip_addresses(v=4) | st.ip_addresses(v=4, network="127.0.0.0/8") | st.ip_addresses(v=6, network="::/126"))
def test_python_has_the_same_idea_of_loopback(address: object) -> None:
    assert is_loopback(str(address)) is ip_address(str(address)).is_loopback


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("LocalHost.", True),
        ("127.1.2.3", True),
        ("0:0:0:0:0:0:0:1", True),
        ("10.0.0.1", False),
        ("localhost.example.com", False),
        ("127.0.0.1.example.com", False),
        ("", False),
    ],
)
def test_hosts_that_only_this_machine_answers_for(host: str, expected: bool) -> None:
    assert is_loopback_host(host) is expected


@pytest.mark.parametrize(
    ("host", "expected"),
    [("10.0.0.1", "10.0.0.1:80"), ("fd00::1", "[fd00::1]:80"), ("example.com", "example.com:80")],
)
def test_addresses_with_ports(host: str, expected: str) -> None:
    assert format_address(host, 80) == expected
