"""What this machine can do for a lab, and what to install for the rest."""

from __future__ import annotations

import json
import subprocess
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from lab_py.enter import Inside
from lab_py.errors import Missing
from lab_py.machine import look_at
from lab_py.netns import find_tool
from lab_py.peers.envoy import INSTALL, find_envoy
from lab_py.redirect.names import PROXY_MARK, TPROXY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NEEDED, BETTER = "needed", "better"
_TOOLS = (
    ("ip", "iproute2", NEEDED, "devices, addresses, routes"),
    ("iptables-restore", "iptables", NEEDED, "rules"),
    ("iptables-save", "iptables", NEEDED, "their counters"),
    ("ipset", "ipset", NEEDED, "the set of ambient pods"),
    ("unshare", "util-linux", NEEDED, "namespaces of our own"),
    ("nsenter", "util-linux", NEEDED, "`exec`"),
    ("mount", "mount", NEEDED, "an empty /run"),
    ("setpriv", "util-linux", BETTER, "sidecars as uid 1337"),
    ("curl", "curl", BETTER, "`exec POD -- curl ...`"),
    ("tcpdump", "tcpdump", BETTER, "a second opinion on captures"),
    ("tshark", "tshark", BETTER, "reading captures"),
    ("conntrack", "conntrack", BETTER, "what the kernel remembers of connections"),
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


def examine(*, rootless: bool, folder: Path) -> list[Fact]:
    """Try everything. `folder` may be written to."""
    facts = list(_tools())
    entered, inside = _look_inside(folder, rootless=rootless)
    return [*facts, entered, *inside]


def _tools() -> Iterator[Fact]:
    for name, package, weight, purpose in _TOOLS:
        path = find_tool(name)
        yield Fact(name, path is not None, weight, path or purpose, f"apt-get install {package}")
    real = find_envoy()
    yield Fact("envoy", real is not None, BETTER, real or "`--peer sidecar=envoy`, `--peer waypoint=envoy`", INSTALL)


def _look_inside(folder: Path, *, rootless: bool) -> tuple[Fact, list[Fact]]:
    """What only shows in namespaces of our own."""
    how = "in a user namespace" if rootless else "as root"
    advice = (
        "sysctl kernel.unprivileged_userns_clone=1 (Debian), or kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu)"
        if rootless
        else "run it outside of a container, or give the container CAP_SYS_ADMIN and CAP_NET_ADMIN"
    )
    log = folder / "probe.log"
    try:
        inside = Inside(["probe"], rootless=rootless, log=log)
    except Missing as error:
        return Fact("namespaces", False, NEEDED, str(error), advice), []
    status = inside.wait()
    text = log.read_text(errors="replace")
    if status != 0:
        return Fact("namespaces", False, NEEDED, " ".join(text.split()) or f"status {status}", advice), []
    return Fact("namespaces", True, NEEDED, how), [Fact(**one) for one in json.loads(text)]


def probe() -> str:
    """The facts inside, as JSON; everything it makes is in the network namespace that ends with us."""
    facts = [*_rules(), *_choices()]
    return json.dumps([asdict(fact) for fact in facts])


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
        "uid 1337", machine.has_sidecar_uid, BETTER, "sidecars are known by their uid, else by a mark",
        "run it as root for the faithful form",
    )  # fmt: skip
