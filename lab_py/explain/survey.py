"""How namespaces are right now: rules, routes, devices, settings, sets, as the kernel tells them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from lab_py.netns import need_tool

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lab_py.netns import Namespaces

_CONF = Path("/proc/sys/net/ipv4/conf")
_WATCHED = ("rp_filter", "accept_local")
_REVERSE_PATH = "IPReversePathFilter"


@dataclass(frozen=True, slots=True)
class Device:
    """A device of a namespace."""

    is_up: bool
    mtu: int


@dataclass(frozen=True, slots=True)
class Ground:
    """One namespace as it is."""

    rules: str = ""
    """As `iptables-save -c` tells them."""
    policy_rules: str = ""
    """As `ip -o rule` does."""
    routes: str = ""
    """As `ip -o route show table all` does."""
    sets: str = ""
    """As `ipset save` does."""
    devices: Mapping[str, Device] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    """Of the kernel, by dotted name."""
    reverse_path_drops: int = 0
    """Packets whose source would not be reached by the device that they came from; since the namespace was made."""


def survey(namespaces: Namespaces, names: Iterable[str]) -> dict[str, Ground]:
    """All of it, by namespace. Raises LabError."""
    return {name: _ground(namespaces, name) for name in names}


def devices_of(namespaces: Namespaces, name: str) -> dict[str, Device]:
    """A namespace's devices by name. Raises LabError."""
    links = json.loads(namespaces.run(name, [need_tool("ip"), "-j", "link"]))
    return {link["ifname"]: Device("UP" in link["flags"], link["mtu"]) for link in links}


def _ground(namespaces: Namespaces, name: str) -> Ground:
    ip = need_tool("ip")
    return Ground(
        namespaces.rules(name),
        namespaces.run(name, [ip, "-o", "rule"]),
        namespaces.run(name, [ip, "-o", "route", "show", "table", "all"]),
        namespaces.run(name, [need_tool("ipset"), "save"]),
        devices_of(namespaces, name),
        namespaces.inside(name, _settings),
        namespaces.inside(name, reverse_path_drops),
    )


def _settings() -> dict[str, str]:
    found = {"net.ipv4.ip_forward": Path("/proc/sys/net/ipv4/ip_forward").read_text().strip()}
    for device in _CONF.iterdir():
        for setting in _WATCHED:
            found[f"net.ipv4.conf.{device.name}.{setting}"] = (device / setting).read_text().strip()
    return found


def reverse_path_drops() -> int:
    """Of the calling thread's namespace."""
    lines = Path("/proc/thread-self/net/netstat").read_text().splitlines()
    names, values = (line.split() for line in lines[:2])
    return int(dict(zip(names, values, strict=True)).get(_REVERSE_PATH, "0"))
