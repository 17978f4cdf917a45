"""Taking pieces of a lab that is up away, and putting them back."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lab_py.errors import Unusable
from lab_py.fabric import MTU, port_of
from lab_py.faults.base import (
    Denied,
    DeviceDown,
    ForeignCertificate,
    Pieces,
    ProcessGone,
    Settings,
    SmallLink,
    TunnelsStopped,
)
from lab_py.faults.in_the_mesh import deny, proxy_of, with_foreign_certificate
from lab_py.faults.redirection_rows import SMALL_MTU
from lab_py.peers.running import start, wait_until_ready
from lab_py.redirect.base import rule_lines, rule_lines_undone
from lab_py.redirect.plan import redirections
from lab_py.topology import CONTROL_PLANE_IP, FABRIC

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lab_py.faults.base import Act, Fault
    from lab_py.lab import Lab
    from lab_py.peers.base import Peer
    from lab_py.redirect.base import Redirection

_MANY, _ONE = 65535, 1
"""Packets that a device may be handed at once: as it comes, and where each is to be judged by its own size."""


class Breaking:
    """The faults of one lab."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self.broken: dict[str, Fault] = {}
        """By name, the oldest first."""
        self._undo: dict[str, Callable[[], None]] = {}

    def take_away(self, fault: Fault) -> None:
        """Without that piece from now on. Raises Unusable: it is gone already; LabError."""
        if fault.name in self.broken:
            raise Unusable(f"{fault.name} is broken already: `mend {fault.name}` puts it back")
        self._undo[fault.name] = self._do(fault.act)
        self.broken[fault.name] = fault
        self._forget_connections()

    def put_back(self, name: str) -> None:
        """As it was before. Raises Unusable: nothing of that name is gone; LabError."""
        if name not in self.broken:
            there = f": {', '.join(self.broken)}" if self.broken else ": nothing is"
            raise Unusable(f"{name!r} is not broken{there}")
        del self.broken[name]
        self._undo.pop(name)()
        self._forget_connections()

    @contextmanager
    def without(self, fault: Fault) -> Iterator[None]:
        """Without that piece as long as the context lasts. Raises LabError."""
        self.take_away(fault)
        try:
            yield
        finally:
            self.put_back(fault.name)

    def _forget_connections(self) -> None:
        """What stands or hangs must not be taken for what comes next."""
        for namespace in self._lab.built.topology.namespaces:
            self._lab.built.namespaces.cut_connections(namespace, CONTROL_PLANE_IP)

    def _do(self, act: Act) -> Callable[[], None]:
        """Do it; what undoes it."""
        match act:
            case Pieces():
                return self._without_pieces(act)
            case Settings(namespace, values):
                return self._set(namespace, dict(values))
            case DeviceDown(namespace, device):
                self._ip(namespace, f"link set {device} down")
                return lambda: self._up(namespace, device)
            case SmallLink(node):
                self._limit(node, SMALL_MTU, _ONE)
                return lambda: self._limit(node, MTU, _MANY)
            case TunnelsStopped():
                return self._stop_tunnels()
            case ProcessGone(process):
                self._kill(process)
                return lambda: self._start(process, self._lab.running(process).peer)
            case ForeignCertificate(pod):
                return self._show_foreign_certificate(pod)
            case Denied(pod):
                return deny(self._lab, pod)

    def _without_pieces(self, act: Pieces) -> Callable[[], None]:
        """Rules go and come all at once, for their order matters; routes one by one."""
        gone = self._gone(act.namespace)
        self._replace(act.namespace, gone, gone | act.names)

        def undo() -> None:
            gone = self._gone(act.namespace)
            self._replace(act.namespace, gone | act.names, gone)

        return undo

    def _gone(self, namespace: str) -> frozenset[str]:
        """The pieces of a namespace that are not there: left out from the start, or taken away."""
        acts = [fault.act for fault in self.broken.values()]
        taken = [act.names for act in acts if isinstance(act, Pieces) and act.namespace == namespace]
        left_out = {name.removeprefix(f"{namespace}/") for name in self._lab.without}
        return frozenset(left_out).union(*taken)

    def _redirection(self, namespace: str) -> Redirection:
        everywhere = redirections(self._lab.built.topology, by_uid=self._lab.machine.has_sidecar_uid)
        return next(one for one in everywhere if one.namespace == namespace)

    def _replace(self, namespace: str, gone_before: frozenset[str], gone: frozenset[str]) -> None:
        whole = self._redirection(namespace)
        old, new = whole.without(gone_before), whole.without(gone)
        lines = [step.undone for step in old.steps if step not in new.steps]
        lines += [step.line for step in new.steps if step not in old.steps]
        self._ip(namespace, *lines)
        if old.rules != new.rules:
            self._lab.built.namespaces.restore(namespace, rule_lines_undone(old) + rule_lines(new))

    def _ip(self, namespace: str, *lines: str) -> None:
        self._lab.built.namespaces.ip(namespace, lines)

    def _set(self, namespace: str, values: dict[str, str]) -> Callable[[], None]:
        namespaces = self._lab.built.namespaces
        before = namespaces.inside(namespace, lambda: {name: _sysctl(name).read_text() for name in values})
        namespaces.sysctls(namespace, values)
        return lambda: namespaces.sysctls(namespace, before)

    def _up(self, namespace: str, device: str) -> None:
        steps = self._redirection(namespace).without(self._gone(namespace)).steps
        routes = [step.line for step in steps if f" dev {device}" in step.line]
        self._ip(namespace, f"link set {device} up", *routes)

    def _limit(self, node: str, mtu: int, at_once: int) -> None:
        self._ip(FABRIC, f"link set {port_of(node)} mtu {mtu}")
        self._ip(node, f"link set eth0 gso_max_segs {at_once}")

    def _stop_tunnels(self) -> Callable[[], None]:
        overlay = self._lab.built.overlay
        if not overlay.ends:
            raise Unusable("the kernel serves the tunnels here; `device` takes one down, or `up --tunnel packet`")
        overlay.is_stopped = True

        def undo() -> None:
            overlay.is_stopped = False

        return undo

    def _kill(self, process: str) -> None:
        running = self._lab.running(process).process
        os.killpg(running.pid, signal.SIGKILL)  # each is a session of its own
        running.wait()

    def _start(self, process: str, peer: Peer) -> None:
        lab, old = self._lab, self._lab.running(process)
        [new] = start(lab.built.namespaces, lab.files, [peer])
        lab.processes[lab.processes.index(old)] = new
        wait_until_ready(lab.built.namespaces, [new])

    def _show_foreign_certificate(self, name: str) -> Callable[[], None]:
        process = proxy_of(self._lab.built.topology.pod(name))
        good = self._lab.running(process).peer
        self._start_anew(process, with_foreign_certificate(self._lab, name))
        return lambda: self._start_anew(process, good)

    def _start_anew(self, process: str, peer: Peer) -> None:
        self._kill(process)
        self._start(process, peer)


def _sysctl(name: str) -> Path:
    return Path("/proc/sys", *name.split("."))
