"""Where a pair of proxies lives: addresses, network namespaces, and the rule that captures traffic.

Two topologies. `loopback`: client, server and both proxies share one namespace of their own and its lo.
`veth`: two namespaces joined by a virtual cable, as two nodes are, for proxies that bind all addresses.
Without the right to make a namespace, `loopback` uses the machine's own lo and addresses at random.

A namespace is held by a descriptor and has no name: when the run ends, however it ends, nothing is left.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import ipaddress
import os
import random
import shutil
import subprocess
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.certificates import CLIENT, WAYPOINT
from benchmarks.processes import BenchmarkError

if TYPE_CHECKING:
    from collections.abc import Iterator

APPLICATION_GROUP = 65031
"""Group id of captured applications; no proxy has it, so that a proxy's own connections are not captured."""
CAPTURE_PORT = 15001
WEB_PORT, WEB_HOST = 9200, "server.default.svc.cluster.local"
"""The HTTP application: its port, which is also the pod's and the service's, and its name."""
HBONE_PORT = 15008
POD_COUNT = 4000
_PODS = "10.78.0.0/16"

_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000
_THREAD_NAMESPACE = "/proc/thread-self/ns/net"


class Topology(StrEnum):
    """How client and server are joined."""

    LOOPBACK = "loopback"
    VETH = "veth"


class Capture(StrEnum):
    """How a proxy learns the destination of a connection that was not made to it."""

    REDIRECT = "redirect"
    """A netfilter rule brings it; the kernel knows the original destination."""
    PROXY = "proxy"
    """The client connects to the proxy, and a PROXY protocol header names the destination."""


@dataclass(frozen=True, slots=True)
class World:
    """One pair's surroundings. The namespaces are descriptors, None for the machine's own."""

    client_ip: str
    server_ip: str
    application_ip: str
    """Where the application behind a sidecar listens, which has the server's own address."""
    waypoint_ip: str
    service_ip: str
    """The address of the service behind the waypoint; nobody listens there."""
    pods: str
    """The first of `POD_COUNT` addresses that all are the server's, where the two are apart; else its own."""
    client_namespace: int | None
    server_namespace: int | None
    capture: Capture

    def place_of(self, account: str) -> tuple[str, int | None]:
        """The address and the namespace of an account's workload. The waypoint is on the server's side."""
        if account == CLIENT:
            return self.client_ip, self.client_namespace
        return self.waypoint_ip if account == WAYPOINT else self.server_ip, self.server_namespace


def pod_addresses(world: World) -> list[str]:
    """The addresses of `POD_COUNT` pods of one server, for a pool that never has a connection ready."""
    first = ipaddress.IPv4Address(world.pods)
    return [str(first + number) for number in range(POD_COUNT)]


@contextlib.contextmanager
def inside(namespace: int | None) -> Iterator[None]:
    """Moves this thread into a namespace for a while: what is started or opened meanwhile belongs to it."""
    if namespace is None:
        yield
        return
    home = os.open(_THREAD_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _check(_libc.setns(namespace, _CLONE_NEWNET), "setns")
        try:
            yield
        finally:
            _check(_libc.setns(home, _CLONE_NEWNET), "setns")
    finally:
        os.close(home)


@functools.cache
def can_isolate() -> bool:
    """Whether namespaces and capture rules can be made here: the rights, `ip` and `iptables`.

    Root in a container may lack the rights, so it is tried.
    """
    if not all(shutil.which(tool) for tool in ("unshare", "ip", "iptables")):
        return False
    return subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False).returncode == 0


@contextlib.contextmanager
def open_world(topology: Topology, capture: Capture, congestion: str = "") -> Iterator[World]:
    """Makes the surroundings of one pair; `congestion` is its TCP congestion control, the machine's if empty.

    Raises BenchmarkError when a command of the system fails.
    """
    if not can_isolate():
        a, b, c = (random.randrange(1, 255) for _ in range(3))
        one, two, three, four, five = (f"127.{a}.{b}.{(c + n) % 255}" for n in range(5))
        yield World(one, two, three, four, five, two, None, None, capture)
        return
    with contextlib.ExitStack() as held:
        client = held.enter_context(_new_namespace(congestion))
        if topology is Topology.LOOPBACK:
            addresses = ("127.0.21.1", "127.0.22.1", "127.0.23.1", "127.0.24.1", "127.0.25.1")
            world = World(*addresses, "127.0.22.1", client, client, capture)
        else:
            server = held.enter_context(_new_namespace(congestion))
            addresses = ("10.77.0.1", "10.77.0.2", "127.0.0.1", "10.77.0.3", "10.77.0.4")
            world = World(*addresses, "10.78.0.1", client, server, capture)
            _join(world)
        if capture is Capture.REDIRECT:
            _capture(world)
        yield world


@contextlib.contextmanager
def _new_namespace(congestion: str) -> Iterator[int]:
    home = os.open(_THREAD_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _check(_libc.unshare(_CLONE_NEWNET), "unshare")
        try:
            namespace = os.open(_THREAD_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
            _settle(congestion)
        finally:
            _check(_libc.setns(home, _CLONE_NEWNET), "setns")
    finally:
        os.close(home)
    try:
        yield namespace
    finally:
        os.close(namespace)


def _settle(congestion: str) -> None:
    """Brings a new namespace to life. Ports: new connections by the ten thousand, none kept long in TIME_WAIT,
    whose table would otherwise measure the kernel's port search instead of the proxies."""
    _run("ip", "link", "set", "lo", "up")
    _sysctl("net/ipv4/ip_local_port_range", "20000 64999")
    _sysctl("net/ipv4/tcp_max_tw_buckets", "4000")
    if congestion:
        _sysctl("net/ipv4/tcp_congestion_control", congestion)


def _sysctl(name: str, value: str) -> None:
    with contextlib.suppress(OSError):  # a kernel without the knob is measured without it
        Path("/proc/sys", name).write_text(value)


def _join(world: World) -> None:
    with inside(world.client_namespace):
        far = f"/proc/{os.getpid()}/fd/{world.server_namespace}"
        _run("ip", "link", "add", "bench0", "type", "veth", "peer", "name", "bench1", "netns", far)
    for namespace, device, addresses in (
        (world.client_namespace, "bench0", [world.client_ip]),
        (world.server_namespace, "bench1", [world.server_ip, world.waypoint_ip]),
    ):
        with inside(namespace):
            for address in addresses:
                _run("ip", "address", "add", f"{address}/24", "dev", device)
            _run("ip", "link", "set", device, "up")
    with inside(world.server_namespace):
        _run("ip", "route", "add", "local", _PODS, "dev", "lo")
    with inside(world.client_namespace):
        _run("ip", "route", "add", _PODS, "via", world.server_ip)


def _capture(world: World) -> None:
    """DNAT rather than REDIRECT: the latter would bring all to 127.0.0.1, and the proxies bind their own address.
    Both leave the original destination with the kernel."""
    with inside(world.client_namespace):
        for destination in (world.server_ip, world.service_ip, _PODS):
            _run(
                *("iptables", "-w", "-t", "nat", "-A", "OUTPUT", "-p", "tcp", "-d", destination),
                *("-m", "owner", "--gid-owner", str(APPLICATION_GROUP)),
                *("-j", "DNAT", "--to-destination", f"{world.client_ip}:{CAPTURE_PORT}"),
            )
        _sysctl("net/netfilter/nf_conntrack_tcp_timeout_time_wait", "1")


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchmarkError(f"{' '.join(command)}: {done.stderr.strip()}")


def _check(result: int, call: str) -> None:
    if result != 0:
        error = ctypes.get_errno()
        raise BenchmarkError(f"{call}: {os.strerror(error)}")
