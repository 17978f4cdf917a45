"""When there is a DNS proxy, where it listens, and whom it asks."""

from __future__ import annotations

import pytest

from ztunnel_py import listening
from ztunnel_py.config import Settings, SettingsError, from_env
from ztunnel_py.dns_settings import DnsSettings

NODE = {"PROXY_MODE": "node", "LOCAL_XDS": "{}", "HOME": "/nonexistent"}
DEDICATED = NODE | {"PROXY_MODE": "dedicated", "PROXY_WORKLOAD_INFO": "shop/cart-1/cart"}
DEFAULT = DnsSettings("127.0.0.1", 15053, both_families=True)


def settings(base: dict[str, str], **more: str) -> Settings:
    return from_env(base | more)


@pytest.mark.parametrize(
    ("base", "more", "expected"),
    [
        pytest.param(NODE, {}, None, id="a node's proxy: off"),
        pytest.param(NODE, {"DNS_CAPTURE": "true"}, DEFAULT, id="unless asked for"),
        pytest.param(DEDICATED, {}, DEFAULT, id="a dedicated proxy: on"),
        pytest.param(DEDICATED, {"ISTIO_META_DNS_CAPTURE": "false"}, None, id="unless asked not to"),
        pytest.param(
            NODE,
            {"DNS_CAPTURE": "false", "ISTIO_META_DNS_CAPTURE": "true"},
            DEFAULT,
            id="the longer name wins",
        ),
        pytest.param(
            DEDICATED,
            {"PROXY_BIND_ADDRESS": "127.9.0.1"},
            DnsSettings("127.9.0.1", 15053, both_families=False),
            id="beside the other listeners of a loopback world",
        ),
        pytest.param(
            DEDICATED,
            {"PROXY_BIND_ADDRESS": "10.0.0.1"},
            DnsSettings("127.0.0.1", 15053, both_families=False),
            id="never on an address others reach",
        ),
        pytest.param(
            DEDICATED,
            {"DNS_PROXY_ADDR": "[::1]:53"},
            DnsSettings("::1", 53, both_families=False),
            id="an address of its own",
        ),
        pytest.param(
            DEDICATED, {"IPV6_ENABLED": "false"}, DnsSettings("127.0.0.1", 15053, both_families=False), id="no IPv6"
        ),
        pytest.param(
            DEDICATED,
            {"DNS_UPSTREAM": "10.0.0.10, 127.0.0.1:5353 [fd00::10]:54", "PREFERED_SERVICE_NAMESPACE": "web"},
            DnsSettings(
                "127.0.0.1",
                15053,
                both_families=True,
                upstream=(("10.0.0.10", 53), ("127.0.0.1", 5353), ("fd00::10", 54)),
                preferred_namespace="web",
            ),
            id="name servers and a namespace",
        ),
    ],
)
def test_settings(base: dict[str, str], more: dict[str, str], expected: DnsSettings | None) -> None:
    assert settings(base, **more).dns == expected


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("DNS_CAPTURE", "yes", "'yes' is neither true nor false"),
        ("DNS_PROXY_ADDR", "15053", "'15053' is not localhost:port or ip:port"),
        ("DNS_PROXY_ADDR", "somewhere:53", "'somewhere:53' is not localhost:port or ip:port"),
        ("DNS_PROXY_ADDR", "127.0.0.1:x", "'127.0.0.1:x' is not localhost:port or ip:port"),
        ("DNS_PROXY_ADDR", "0.0.0.0:53", "'0.0.0.0': names are told on this machine only"),
        ("DNS_UPSTREAM", "8.8.8.8,dns.example", "is not a list of addresses"),
        ("DNS_UPSTREAM", "8.8.8.8:0", "is not a list of addresses"),
    ],
)
def test_what_cannot_be_used(name: str, value: str, complaint: str) -> None:
    with pytest.raises(SettingsError) as caught:
        settings(DEDICATED, **{name: value})
    assert str(caught.value).startswith(f"{name}: ")
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("has_ipv6", "expected"),
    [(True, [("dns", "127.0.0.1", 15053), ("dns v6", "::1", 15053)]), (False, [("dns", "127.0.0.1", 15053)])],
)
def test_both_families_where_the_machine_has_them(
    monkeypatch: pytest.MonkeyPatch, has_ipv6: bool, expected: list[tuple[str, str, int]]
) -> None:
    monkeypatch.setattr(listening, "has_ipv6_loopback", lambda: has_ipv6)
    assert list(listening.dns_addresses(settings(DEDICATED))) == expected
    assert list(listening.dns_addresses(settings(NODE))) == []
