"""Which listeners a proxy has, and where they are."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ztunnel_py.config import from_env
from ztunnel_py.listening import (
    data_addresses,
    dns_addresses,
    pod_data_addresses,
    pod_dns_addresses,
    surface_addresses,
)

if TYPE_CHECKING:
    import pytest

BASE = {"PROXY_MODE": "node", "LOCAL_XDS": "{}", "XDS_ADDRESS": "", "FAKE_CA": "true", "HOME": "/nonexistent"}


def names_and_ports(addresses: object) -> list[tuple[str, str, int]]:
    return list(addresses)  # type: ignore[call-overload,no-any-return]


def test_the_data_listeners_and_where_they_are() -> None:
    settings = from_env(BASE | {"PROXY_BIND_ADDRESS": "127.0.0.9", "UNSTABLE_ENABLE_SOCKS5": "true"})
    assert names_and_ports(data_addresses(settings)) == [
        ("outbound", "127.0.0.9", 15001),
        ("inbound", "127.0.0.9", 15008),
        ("plaintext", "127.0.0.9", 15006),
        ("socks5", "127.0.0.9", 15080),
    ]


def test_shared_mode_listens_in_pods_on_all_addresses_whatever_ours_are() -> None:
    shared = BASE | {"PROXY_MODE": "shared", "PROXY_BIND_ADDRESS": "127.0.0.9", "UNSTABLE_ENABLE_SOCKS5": "true"}
    settings = from_env(shared)
    assert names_and_ports(data_addresses(settings)) == []
    assert names_and_ports(dns_addresses(settings)) == []
    assert names_and_ports(pod_data_addresses(settings)) == [
        ("inbound", "::", 15008),
        ("plaintext", "::", 15006),
        ("outbound", "::", 15001),
        ("socks5", "127.0.0.1", 15080),
    ]
    assert names_and_ports(pod_dns_addresses(settings))[0] == ("dns", "127.0.0.1", 15053)
    without_ipv6 = from_env(shared | {"IPV6_ENABLED": "false"})
    assert [host for _, host, _ in pod_data_addresses(without_ipv6)] == ["0.0.0.0", "0.0.0.0", "0.0.0.0", "127.0.0.1"]


def test_in_shared_mode_only_what_is_meant_for_ourselves_is_taken_outside_of_pods() -> None:
    ourselves = {"POD_NAME": "z", "POD_NAMESPACE": "istio-system", "SERVICE_ACCOUNT": "z"}
    settings = from_env(BASE | ourselves | {"PROXY_MODE": "shared", "PROXY_BIND_ADDRESS": "127.0.0.9"})
    assert names_and_ports(data_addresses(settings)) == [("inbound", "127.0.0.9", 15008)]


def test_without_the_proxy_names_alone_are_answered() -> None:
    settings = from_env(BASE | {"ENABLE_PROXY": "false", "UNSTABLE_ENABLE_SOCKS5": "true", "DNS_CAPTURE": "true"})
    assert names_and_ports(data_addresses(settings)) == names_and_ports(pod_data_addresses(settings)) == []
    assert names_and_ports(dns_addresses(settings))[0] == ("dns", "127.0.0.1", 15053)


def test_admin_is_on_both_loopback_addresses_unless_it_was_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    both = [("admin", "127.0.0.1", 15000), ("admin v6", "::1", 15000)]
    for more, has_ipv6, expected in (
        ({}, True, both),
        ({}, False, both[:1]),
        ({"IPV6_ENABLED": "false"}, True, both[:1]),
        ({"PROXY_LOCAL_ADDRESS": "127.0.0.1"}, True, both[:1]),
    ):
        monkeypatch.setattr("ztunnel_py.listening.has_ipv6_loopback", partial(bool, has_ipv6))
        found = names_and_ports(surface_addresses(from_env(BASE | more)))
        assert [one for one in found if one[2] == 15000] == expected, more


def test_surfaces_for_people_stay_on_this_machine() -> None:
    settings = from_env(BASE | {"PROXY_BIND_ADDRESS": "0.0.0.0"})
    assert names_and_ports(surface_addresses(settings)) == [
        ("admin", "127.0.0.1", 15000),
        ("stats", "0.0.0.0", 15020),
        ("readiness", "0.0.0.0", 15021),
    ]
