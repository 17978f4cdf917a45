"""What `--stub-backends` sets, and what it does not go together with."""

from __future__ import annotations

import pytest

from ztunnel_py.config import SettingsError, from_env

BASE = {"LOCAL_XDS": "{}", "STUB_BACKENDS": "true", "HOME": "/nonexistent"}


def test_what_it_sets() -> None:
    settings = from_env(BASE)
    assert settings.stub_backends
    assert (settings.bind, settings.local_bind) == ("127.0.0.1", "127.0.0.1")
    assert settings.socks5_enabled
    assert settings.dns is not None
    assert settings.dns.host == "127.0.0.1"
    assert not settings.localhost_app_tunnel


def test_what_was_given_stays() -> None:
    settings = from_env(
        BASE | {"PROXY_BIND_ADDRESS": "127.7.0.1", "UNSTABLE_ENABLE_SOCKS5": "false", "DNS_CAPTURE": "false"}
    )
    assert (settings.bind, settings.socks5_enabled, settings.dns) == ("127.7.0.1", False, None)


def test_without_it_nothing_is_set() -> None:
    settings = from_env(BASE | {"STUB_BACKENDS": "false"})
    assert (settings.stub_backends, settings.bind, settings.socks5_enabled, settings.dns) == (False, None, False, None)


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        ({"PROXY_MODE": "dedicated", "PROXY_WORKLOAD_INFO": "a/b/c"}, "it serves every workload of the mesh"),
        ({"NODE_NAME": "node-1"}, "it serves every node of the mesh: leave NODE_NAME out"),
        ({"ZTUNNEL_WORKER_THREADS": "2"}, "one process serves it all: leave ZTUNNEL_WORKER_THREADS out"),
        ({"INBOUND_PORT": "15009"}, "workloads are dialled at port 15008"),
        ({"PROXY_BIND_ADDRESS": "10.0.0.1"}, "its world is on loopback"),
    ],
)
def test_what_it_does_not_go_together_with(more: dict[str, str], complaint: str) -> None:
    with pytest.raises(SettingsError, match=rf"^STUB_BACKENDS: {complaint}"):
        from_env(BASE | more)
