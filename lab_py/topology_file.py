"""A topology from YAML, with a place for everything that is wrong with it; and the built-in scenarios by name [pure].

title: one line
nodes: [node-a, node-b]
pods:
- {name: sleep, node: node-a, kind: ambient}
- {name: httpbin, node: node-b, kind: sidecar, port: 8000}
services:
- {name: httpbin, port: 8000, pods: [httpbin]}
request: {from: sleep, to: httpbin}
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from lab_py.topology import (
    FABRIC,
    MAX_NAME,
    MAX_NODES,
    MAX_PODS,
    MAX_SERVICES,
    Design,
    Kind,
    Node,
    Pod,
    Request,
    Service,
    Topology,
    pod_address,
    service_address,
)
from mesh_py.discovery.problems import suggest
from mesh_py.discovery.yaml_reader import (
    Fault,
    Field,
    Reader,
    Schema,
    boolean,
    choice,
    compose,
    port,
    scalar,
    sequence,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    import yaml

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")


def read_topology(text: str, file: str, name: str) -> Topology:
    """The topology that a text describes.

    Args:
        file: the text's name, for messages.
        name: what the topology is called.

    Raises:
        ConfigError: everything that is wrong with it, each with line, column and advice.
    """
    node = compose(text, file)
    reader = Reader(file)
    found = _Reading(reader).topology(node, name)
    reader.finish()
    assert found is not None  # what is not there is a problem, and problems have been raised
    return found


@dataclass(slots=True)
class _Reading:
    """One file on its way to a topology: names are known from the section before the one that uses them."""

    reader: Reader
    nodes: dict[str, Node] = field(default_factory=dict)
    pods: dict[str, Pod] = field(default_factory=dict)
    services: dict[str, Service] = field(default_factory=dict)

    def topology(self, node: yaml.Node, name: str) -> Topology | None:
        """The whole file, section by section: what refers to a faulty one is not judged."""
        sections = self.reader.fields(node, _FILE)
        if {"nodes", "pods"} - sections.keys():
            return None
        self.nodes = self._named(sections["nodes"], "node", self._node, MAX_NODES)
        if not self.reader.problems:
            self.pods = self._named(sections["pods"], "pod", self._pod, MAX_PODS)
            self._check_waypoints(sections["pods"])
        if not self.reader.problems and "services" in sections:
            self.services = self._named(sections["services"], "service", self._service, MAX_SERVICES)
        request = None
        if not self.reader.problems and "request" in sections:
            request = self.reader.attempt(self._request, sections["request"])
        title, design = sections.get("title", name), sections.get("design", Design.TUNNELS)
        parts = (tuple(self.nodes.values()), tuple(self.pods.values()), tuple(self.services.values()))
        return Topology(name, title, *parts, request, design)

    def _named(self, node: yaml.Node, thing: str, decode: Callable[..., Any], most: int) -> dict[str, Any]:
        """The items of a section by name; two of one name are a fault."""
        found: dict[str, Any] = {}
        items = self.reader.attempt(sequence, node) or []
        if len(items) > most:
            self.reader.note(Fault(node, f"{len(items)} {thing}s; there is room for {most}"))
        for index, item in enumerate(items):
            one = self.reader.attempt(partial(decode, index), item)
            if one is None:
                continue
            if one.name in found:
                self.reader.note(Fault(item, f"two {thing}s are called {one.name!r}", "rename one"))
            found[one.name] = one
        return found

    def _node(self, index: int, item: yaml.Node) -> Node:
        return Node(_name(item), index + 1)

    def _pod(self, index: int, item: yaml.Node) -> Pod | None:
        known = self.nodes
        schema = Schema(
            "a pod",
            {
                "name": Field(_name, "name", required=True),
                "node": Field(_one_of(known, "node"), "node", required=True),
                "kind": Field(choice(Kind), "kind", required=True),
                "port": Field(port, "port"),
                "hbone": Field(boolean, "takes_hbone"),
                "waypoint": Field(scalar, "waypoint"),
            },
        )
        given = self._whole(item, schema)
        if given is None:
            return None
        if given["name"] in known:
            raise Fault(item, f"{given['name']!r} is a node", "give the pod another name")
        return Pod(ip=pod_address(given["node"], index), **given)

    def _check_waypoints(self, node: yaml.Node) -> None:
        for pod in self.pods.values():
            there = None if pod.waypoint is None else self.pods.get(pod.waypoint)
            if pod.waypoint is not None and (there is None or there.kind is not Kind.WAYPOINT):
                self.reader.note(Fault(node, f"pod {pod.name!r} has the waypoint {pod.waypoint!r}, which is none"))

    def _service(self, index: int, item: yaml.Node) -> Service | None:
        schema = Schema(
            "a service",
            {
                "name": Field(_name, "name", required=True),
                "port": Field(port, "port", required=True),
                "targetPort": Field(port, "target_port"),
                "pods": Field(self._pod_names, "pods", required=True),
            },
        )
        given = self._whole(item, schema)
        if given is None:
            return None
        return Service(vip=service_address(index), target_port=given.pop("target_port", given["port"]), **given)

    def _pod_names(self, node: yaml.Node) -> tuple[str, ...]:
        decode = _one_of(self.pods, "pod")
        return tuple(decode(item).name for item in sequence(node))

    def _request(self, node: yaml.Node) -> Request | None:
        schema = Schema(
            "the request",
            {
                "from": Field(_one_of(self.pods, "pod"), "source", required=True),
                "to": Field(_one_of(self.services, "service"), "service", required=True),
                "path": Field(scalar, "path"),
            },
        )
        given = self._whole(node, schema)
        if given is None:
            return None
        path = {"path": given["path"]} if "path" in given else {}
        return Request(given["source"].name, given["service"].name, **path)

    def _whole(self, node: yaml.Node, schema: Schema) -> dict[str, Any] | None:
        """The fields of a mapping; None, with problems kept, if any is faulty."""
        before = len(self.reader.problems)
        given = self.reader.fields(node, schema)
        return given if len(self.reader.problems) == before else None


def _name(node: yaml.Node) -> str:
    text = scalar(node)
    if not _NAME.fullmatch(text) or len(text) > MAX_NAME or text == FABRIC or text.startswith("zt-"):
        advice = f"up to {MAX_NAME} letters, digits and dashes; not {FABRIC!r}, not zt-..."
        raise Fault(node, f"{text!r} cannot be a name here", advice)
    return text


def _one_of(known: dict[str, Any], thing: str) -> Callable[[yaml.Node], Any]:
    """A decoder of a name that must be known; it gives what is called so."""

    def decode(node: yaml.Node) -> Any:
        text = scalar(node)
        if text not in known:
            raise Fault(node, f"there is no {thing} {text!r}", suggest(text, sorted(known)))
        return known[text]

    return decode


def _as_it_is(node: yaml.Node) -> yaml.Node:
    return node


_FILE = Schema(
    "the topology",
    {
        "title": Field(scalar, "title"),
        "design": Field(choice(Design), "design"),
        "nodes": Field(_as_it_is, "nodes", required=True),
        "pods": Field(_as_it_is, "pods", required=True),
        "services": Field(_as_it_is, "services"),
        "request": Field(_as_it_is, "request"),
    },
)
