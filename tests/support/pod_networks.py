"""Pods with real network namespaces, redirected as today's ambient does it inside them (redirection c).

Two pods are two namespaces joined by one link. Their proxy is a process in neither, which enters both.
"""

from __future__ import annotations

import contextlib
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.processes import PeerProcess
from tests.support.require import has_ipv6, require_netns, require_tool

if TYPE_CHECKING:
    from collections.abc import Iterator

MARK = "0x539"
RULES = """*mangle
-A PREROUTING -m mark --mark 0x539/0xfff -j CONNMARK --set-xmark 0x111/0xfff
-A OUTPUT -m connmark --mark 0x111/0xfff -j CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff
COMMIT
*raw
-A PREROUTING -p udp -m mark --mark 0x539/0xfff -m udp --dport 53 -j CT --zone 1
-A PREROUTING -p udp -m mark ! --mark 0x539/0xfff -m udp --sport 53 -j CT --zone 1
-A OUTPUT -p udp -m mark --mark 0x539/0xfff -m udp --dport 53 -j CT --zone 1
-A OUTPUT -p udp -m mark ! --mark 0x539/0xfff -m udp --sport 53 -j CT --zone 1
COMMIT
*nat
-A PREROUTING ! -d 127.0.0.1/32 -p tcp ! --dport 15008 -m mark ! --mark 0x539/0xfff -j REDIRECT --to-ports 15006
-A OUTPUT ! -o lo -p udp -m udp --dport 53 -m mark ! --mark 0x539/0xfff -j REDIRECT --to-ports 15053
-A OUTPUT ! -d 127.0.0.1/32 -p tcp -m tcp --dport 53 -m mark ! --mark 0x539/0xfff -j REDIRECT --to-ports 15053
-A OUTPUT -p tcp -m mark --mark 0x111/0xfff -j ACCEPT
-A OUTPUT ! -d 127.0.0.1/32 -o lo -j ACCEPT
-A OUTPUT ! -d 127.0.0.1/32 -p tcp -m mark ! --mark 0x539/0xfff -j REDIRECT --to-ports 15001
COMMIT
"""
"""What captures, marks and brings home; without what concerns probes."""
RULES_V6 = RULES.replace("127.0.0.1/32", "::1/128")


@dataclass(frozen=True, slots=True)
class PodNetwork:
    """A pod's namespace, held by a process that does nothing else."""

    name: str
    ip: str
    ip6: str
    holder: PeerProcess

    @property
    def path(self) -> Path:
        """Where it can be opened."""
        return Path(f"/proc/{self.holder.pid}/ns/net")

    def inside(self, *command: str) -> list[str]:
        """The command line that runs a command in it."""
        program = command[0] if "/" in command[0] else require_tool(command[0])
        return [require_tool("nsenter"), f"--net={self.path}", program, *command[1:]]

    def run(self, *command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """A short command in it."""
        return subprocess.run(
            self.inside(*command), input=stdin, capture_output=True, text=True, timeout=20, check=False
        )

    def redirect(self) -> None:
        """Put the rules in."""
        self._redirect("-4", "0.0.0.0/0", "iptables-restore", RULES)
        if has_ipv6():
            self._redirect("-6", "::/0", "ip6tables-restore", RULES_V6)

    def _redirect(self, family: str, everything: str, restore: str, rules: str) -> None:
        self.configure(f"{family} rule add priority 32764 fwmark 0x111/0xfff lookup 100")
        self.configure(f"{family} route add local {everything} dev lo table 100")
        _checked(self.run(restore, stdin=rules))

    def forget_rules(self) -> None:
        """Nothing is captured any more, until `restore_rules`."""
        _checked(self.run("iptables", "-t", "nat", "-F"))

    def restore_rules(self) -> None:
        """Put those for IPv4 back."""
        _checked(self.run("iptables-restore", stdin=RULES))

    def configure(self, line: str) -> None:
        """One command of `ip` in it."""
        _checked(self.run("ip", *line.split()))

    def sockets(self, *filters: str) -> list[str]:
        """TCP sockets in it as `ss` tells them, with their marks."""
        return _checked(self.run("ss", "-Htneai", *filters)).stdout.replace("\n\t", " ").splitlines()

    def packets(self, table: str, target: str) -> int:
        """How many packets met the rules with a target."""
        listed = _checked(self.run("iptables-save", "-c", "-t", table)).stdout
        return sum(int(line[1 : line.index(":")]) for line in listed.splitlines() if target in line)


@contextlib.contextmanager
def two_pods(folder: Path) -> Iterator[tuple[PodNetwork, PodNetwork]]:
    """`a` and `b`, joined and redirected, until the block ends; with addresses of both families."""
    ip = require_netns()
    with contextlib.ExitStack() as stack:
        a, b = pods = [_held(folder, name, number, stack) for name, number in (("a", 1), ("b", 2))]
        link = f"link add eth0 netns {a.holder.pid} type veth peer name eth0 netns {b.holder.pid}"
        _checked(subprocess.run([ip, *link.split()], capture_output=True, text=True, check=False))
        for pod in pods:
            pod.configure("link set lo up")
            pod.configure(f"addr add {pod.ip}/24 dev eth0")
            if has_ipv6():
                pod.configure(f"addr add {pod.ip6}/64 dev eth0 nodad")
            pod.configure("link set eth0 up")
            pod.configure("route add default dev eth0")
            pod.redirect()
        yield a, b


def _held(folder: Path, name: str, number: int, stack: contextlib.ExitStack) -> PodNetwork:
    holder = PeerProcess([require_tool("unshare"), "--net", require_tool("sleep"), "300"], folder / f"{name}.log")
    stack.callback(holder.kill)
    pod = PodNetwork(name, f"10.77.0.{number}", f"fd77::{number}", holder)
    ours = Path("/proc/self/ns/net").readlink()
    # Until it has left ours, everything done "in it" would be done to this machine.
    holder.wait_until(lambda: pod.path.readlink() != ours, "in a namespace of its own")
    return pod


def _checked(done: subprocess.CompletedProcess[str]) -> subprocess.CompletedProcess[str]:
    assert done.returncode == 0, f"{done.args}: {done.stderr}"
    return done
