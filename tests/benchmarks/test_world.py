"""Namespaces are made, joined and left behind without a trace."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from benchmarks import world as world_module
from benchmarks.world import Capture, Topology, inside, open_world
from tests.support.require import require_netns, require_tool

SO_ORIGINAL_DST = 80


def here() -> str:
    return os.readlink("/proc/thread-self/ns/net")


@pytest.mark.privileged
def test_a_loopback_world_is_one_namespace_apart() -> None:
    require_netns()
    home = here()
    with open_world(Topology.LOOPBACK, Capture.PROXY) as world:
        assert world.client_namespace == world.server_namespace
        assert here() == home
        with inside(world.client_namespace):
            assert here() != home
            assert Path("/proc/sys/net/ipv4/tcp_max_tw_buckets").read_text() == "4000\n"
            socket.create_server((world.server_ip, 15008)).close()  # nobody else is here
        assert here() == home


@pytest.mark.privileged
def test_a_world_has_the_congestion_control_that_was_asked_for() -> None:
    require_netns()
    with (
        open_world(Topology.LOOPBACK, Capture.PROXY, "reno") as world,
        inside(world.client_namespace),
        socket.create_server((world.server_ip, 15008)) as listener,
    ):
        assert listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).rstrip(b"\0") == b"reno"


@pytest.mark.privileged
def test_veth_joins_two_namespaces() -> None:
    require_netns()
    with open_world(Topology.VETH, Capture.PROXY) as world:
        with inside(world.server_namespace):
            listener = socket.create_server((world.server_ip, 9000))
        with listener, inside(world.client_namespace), socket.create_connection((world.server_ip, 9000), 5):
            accepted, peer = listener.accept()
            accepted.close()
        assert peer[0] == world.client_ip


@pytest.mark.privileged
def test_an_error_inside_brings_us_home() -> None:
    require_netns()
    home = here()
    with (
        pytest.raises(ZeroDivisionError),
        open_world(Topology.LOOPBACK, Capture.PROXY) as world,
        inside(world.client_namespace),
    ):
        raise ZeroDivisionError
    assert here() == home


@pytest.mark.privileged
def test_only_the_application_s_group_is_captured() -> None:
    require_netns()
    require_tool("iptables")
    with (
        open_world(Topology.LOOPBACK, Capture.REDIRECT) as world,
        inside(world.client_namespace),
        socket.create_server((world.client_ip, 15001)) as proxy,
        socket.create_server((world.server_ip, 80)) as application,
    ):
        with socket.create_connection((world.server_ip, 80), 5):
            application.accept()[0].close()
        os.setegid(world_module.APPLICATION_GROUP)
        try:
            with socket.create_connection((world.server_ip, 80), 5):
                captured, _ = proxy.accept()
        finally:
            os.setegid(os.getgid())
        with captured:
            original = captured.getsockopt(socket.SOL_IP, SO_ORIGINAL_DST, 16)
    assert original[2:8] == b"\0\x50" + socket.inet_aton(world.server_ip)


def test_without_rights_addresses_are_random_and_no_namespace_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world_module, "can_isolate", lambda: False)
    with open_world(Topology.LOOPBACK, Capture.PROXY) as world:
        assert world.client_namespace is None
        assert world.client_ip.startswith("127.")
        assert world.client_ip != world.server_ip
        with inside(world.client_namespace):
            pass
