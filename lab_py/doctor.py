"""What this machine can do for a lab, and what to install for the rest."""

from __future__ import annotations

import json
import socket
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lab_py.enter import Inside
from lab_py.errors import Missing
from lab_py.machine import can_tap, look_at
from lab_py.netns import find_tool
from lab_py.overlay import TUN
from lab_py.peers.envoy import INSTALL, find_envoy
from lab_py.redirect.names import PROXY_MARK, TPROXY

if TYPE_CHECKING:
    from collections.abc import Iterator

NEEDED, BETTER = "needed", "better"
_TOOLS = (
    ("ip", "iproute2", NEEDED, "devices, addresses, routes"),
    ("iptables-restore", "iptables", NEEDED, "rules"),
    ("iptables-save", "iptables", NEEDED, "their counters"),
    ("ipset", "ipset", NEEDED, "the set of ambient pods"),
    ("unshare", "util-linux", NEEDED, "namespaces of our own"),
    ("nsenter", "util-linux", NEEDED, "`exec`"),
    ("mount", "mount", NEEDED, "an empty /run"),
    ("ss", "iproute2", BETTER, "`break` and `mend`: open connections are cut"),
    ("setpriv", "util-linux", BETTER, "sidecars as uid 1337"),
    ("curl", "curl", BETTER, "`exec POD -- curl ...`"),
    ("tcpdump", "tcpdump", BETTER, "a second opinion on captures"),
    ("tshark", "tshark", BETTER, "reading captures"),
    ("conntrack", "conntrack", BETTER, "what the kernel remembers of connections"),
)
_LINKS = (
    ("pairs of devices", "link add lab-one type veth peer name lab-two"),
    ("bridges", "link add lab-bridge type bridge"),
    ("policy routing", "rule add priority 30000 fwmark 0x100/0x100 lookup 101"),
)
_RULES = (
    ("match by set", "mangle", "-m set --match-set lab-probe src -j RETURN"),
    ("connection marks", "mangle", "-m connmark --mark 0x220/0x220 -j CONNMARK --save-mark"),
    ("TPROXY", "mangle", f"-p tcp -j TPROXY --tproxy-mark {TPROXY} --on-port 15001 --on-ip 127.0.0.1"),
    ("REDIRECT", "nat", "-p tcp -j REDIRECT --to-ports 15006"),
    ("DNAT", "nat", "-p tcp -j DNAT --to-destination 192.0.2.1:80"),
    ("marks", "mangle", f"-m mark --mark {PROXY_MARK} -m comment --comment probe -j MARK --set-mark 1"),
)


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that was tried."""

    what: str
    is_so: bool
    weight: str
    """`needed`, or `better` where there is a way without."""
    detail: str
    advice: str = ""
    """What to do where it is not so."""
    package: str = ""
    """What has it, where it can be installed."""

    @property
    def is_lacking(self) -> bool:
        """Whether no lab can be had without it."""
        return self.weight == NEEDED and not self.is_so


def examine(*, rootless: bool, folder: Path) -> list[Fact]:
    """Try everything. `folder` may be written to."""
    facts = list(_tools())
    entered, inside = _look_inside(folder, rootless=rootless)
    return [*facts, entered, *inside]


def _tools() -> Iterator[Fact]:
    for name, package, weight, purpose in _TOOLS:
        path = find_tool(name)
        yield Fact(name, path is not None, weight, path or f"for {purpose}", f"apt-get install {package}", package)
    real = find_envoy()
    yield Fact("envoy", real is not None, BETTER, real or "`--peer sidecar=envoy`, `--peer waypoint=envoy`", INSTALL)


def _look_inside(folder: Path, *, rootless: bool) -> tuple[Fact, list[Fact]]:
    """What only shows in namespaces of our own."""
    how = "in a user namespace" if rootless else "as root"
    advice = (
        "sysctl -w user.max_user_namespaces=60000; kernel.unprivileged_userns_clone=1 on Debian, "
        "kernel.apparmor_restrict_unprivileged_userns=0 on Ubuntu"
        if rootless
        else "run it outside of a container, or give the container CAP_SYS_ADMIN and CAP_NET_ADMIN"
    )
    log = folder / "probe.log"
    try:
        inside = Inside(["probe"], rootless=rootless, log=log)
    except Missing as error:
        return Fact("namespaces", False, NEEDED, str(error).partition(";")[0], advice), []
    status = inside.wait()
    text = log.read_text(errors="replace")
    if status != 0:
        return Fact("namespaces", False, NEEDED, " ".join(text.split()) or f"status {status}", advice), []
    return Fact("namespaces", True, NEEDED, how), [Fact(**one) for one in json.loads(text)]


def probe() -> str:
    """The facts inside, as JSON; everything it makes is in the network namespace that ends with us."""
    facts = [*_devices(), *_rules(), *_settings(), *_choices()]
    return json.dumps([asdict(fact) for fact in facts])


def _devices() -> Iterator[Fact]:
    """What nodes and pods are made of."""
    ip = find_tool("ip")
    if ip is None:
        return
    advice = "a kernel with VETH, BRIDGE and IP_MULTIPLE_TABLES, as distributions have"
    for what, line in _LINKS:
        done = subprocess.run([ip, *line.split()], capture_output=True, text=True, check=False)
        yield Fact(what, done.returncode == 0, NEEDED, " ".join(done.stderr.split()) or "works", advice)
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()
        problem = ""
    except OSError as error:
        problem = error.strerror or str(error)
    advice = "CAP_NET_RAW in our own namespace: a security module takes it away"
    yield Fact("packet sockets", not problem, NEEDED, problem or "captures without tcpdump", advice)


def _settings() -> Iterator[Fact]:
    """Kernel settings that a lab writes, in a namespace that ends with us."""
    for name in ("net.ipv4.ip_forward", "net.ipv4.conf.all.rp_filter", "net.ipv4.conf.all.accept_local"):
        file = Path("/proc/sys", *name.split("."))
        try:
            file.write_text(file.read_text())
            problem = ""
        except OSError as error:
            problem = error.strerror or str(error)
        advice = "mount /proc/sys so that it can be written: containers have it read-only"
        yield Fact(f"setting {name.removeprefix('net.ipv4.')}", not problem, NEEDED, problem or "can be set", advice)


def _rules() -> Iterator[Fact]:
    restore, ipset = find_tool("iptables-restore"), find_tool("ipset")
    if restore is None or ipset is None:
        return
    subprocess.run([ipset, "create", "lab-probe", "hash:ip"], capture_output=True, check=False)
    for what, table, rule in _RULES:
        text = f"*{table}\n-A PREROUTING {rule}\nCOMMIT\n"
        done = subprocess.run([restore, "--noflush"], input=text, capture_output=True, text=True, check=False)
        said = " ".join(done.stderr.split())
        advice = "a kernel with NETFILTER_XTABLES, NF_CONNTRACK, NETFILTER_XT_* and IP_SET, as distributions have"
        yield Fact(f"rules: {what}", done.returncode == 0, NEEDED, said or "works", advice)


def _choices() -> Iterator[Fact]:
    machine = look_at()
    yield Fact(
        "Geneve in the kernel", machine.tunnel == "kernel", BETTER, f"tunnels by {machine.tunnel}",
        "none needed: we serve the tunnels ourselves",
    )  # fmt: skip
    yield Fact(
        "TAP devices", can_tap(), BETTER, "tunnels are as fast as they get" if can_tap() else f"{TUN} is not for us",
        "none needed: packet sockets serve the tunnels; or chmod 0666 /dev/net/tun, as distributions have it",
    )  # fmt: skip
    yield Fact(
        "uid 1337", machine.has_sidecar_uid, BETTER, "sidecars are known by their uid, else by a mark",
        "run it as root for the faithful form",
    )  # fmt: skip
