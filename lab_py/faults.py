"""Taking one piece of redirection away at a time, in a lab that is up, to see which hops notice."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from lab_py.redirect.base import rule_lines, rule_lines_undone
from lab_py.redirect.plan import redirections
from lab_py.topology import Design

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab_py.lab import Lab
    from lab_py.netns import Namespaces
    from lab_py.redirect.base import Redirection
    from lab_py.topology import Topology

TUNNEL = "tunnel"
"""The fault of a tunnel whose ends have stopped (user space only)."""


def faults_of(topology: Topology) -> list[str]:
    """Everything that can be taken away, as `namespace/name`."""
    tunnel = [TUNNEL] if topology.design is Design.TUNNELS else []
    return [*tunnel, *(f"{one.namespace}/{name}" for one in redirections(topology) for name in _in_order(one))]


def _in_order(redirection: Redirection) -> Iterator[str]:
    yield from (step.name for step in redirection.steps)
    yield from (rule.name for rule in redirection.rules)


@contextmanager
def fault(lab: Lab, name: str) -> Iterator[None]:
    """Without the piece of that name, as long as the context lasts. Raises LabError."""
    if name == TUNNEL:
        lab.built.overlay.is_stopped = True
        try:
            yield
        finally:
            lab.built.overlay.is_stopped = False
        return
    namespace, _, piece = name.partition("/")
    namespaces, whole = lab.built.namespaces, _redirection(lab, namespace)
    part = whole.without({piece})
    _replace(namespaces, whole, part)
    try:
        yield
    finally:
        _replace(namespaces, part, whole)


def _redirection(lab: Lab, namespace: str) -> Redirection:
    everywhere = redirections(lab.built.topology, by_uid=lab.machine.has_sidecar_uid)
    return next(one for one in everywhere if one.namespace == namespace)


def _replace(namespaces: Namespaces, old: Redirection, new: Redirection) -> None:
    """Routes one by one; rules all at once, for their order matters."""
    namespace = old.namespace
    gone = [step.undone for step in old.steps if step not in new.steps]
    come = [step.line for step in new.steps if step not in old.steps]
    namespaces.ip(namespace, [*gone, *come])
    if old.rules != new.rules:
        namespaces.restore(namespace, rule_lines_undone(old) + rule_lines(new))
