"""A fault: one piece of a lab that can be taken away while it runs, and what one will see then [pure]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Pieces:
    """Rules, routes and policy rules of one namespace, by name, are gone."""

    namespace: str
    names: frozenset[str]


@dataclass(frozen=True, slots=True)
class Settings:
    """Kernel settings of a namespace have other values."""

    namespace: str
    values: Mapping[str, str]
    """By dotted name."""


@dataclass(frozen=True, slots=True)
class DeviceDown:
    """A device is down; the kernel takes the routes that lead through it away."""

    namespace: str
    device: str


@dataclass(frozen=True, slots=True)
class SmallLink:
    """The link between a node and the fabric drops large packets without an ICMP message (a path MTU black hole)."""

    node: str


@dataclass(frozen=True, slots=True)
class TunnelsStopped:
    """The tunnels' ends in user space carry nothing."""


@dataclass(frozen=True, slots=True)
class ProcessGone:
    """A process has been killed; it comes back as a new one."""

    process: str


@dataclass(frozen=True, slots=True)
class ForeignCertificate:
    """A pod's certificate is signed by an authority that nobody else knows; its proxies show it from then on."""

    pod: str


@dataclass(frozen=True, slots=True)
class Denied:
    """A policy denies everybody a pod."""

    pod: str


Act = Pieces | Settings | DeviceDown | SmallLink | TunnelsStopped | ProcessGone | ForeignCertificate | Denied


@dataclass(frozen=True, slots=True)
class Fault:
    """One row of `break --list`."""

    name: str
    """As `break` takes it."""
    act: Act
    what: str
    """What is taken away, in a few words."""
    shows: str
    """What one will see."""
    culprit: str
    """What `explain` must name: `NAMESPACE/PIECE`, or a kind and a name."""
    is_harmless: bool = False
    """Whether the lab's own request does not need the piece: every hop is observed all the same."""
