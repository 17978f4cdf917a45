"""Reading what manifests of all kinds have in common, with a place for every fault and warning [pure].

Built on `mesh_py.discovery.yaml_reader`. Where Kubernetes would refuse what we understand, such as a label whose value
is a number, the object is read and a warning kept.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, TypeVar

import yaml

from mesh_py.discovery.problems import FaultKind, suggest
from mesh_py.discovery.yaml_reader import (
    Fault,
    Field,
    Reader,
    Schema,
    boolean,
    choice,
    is_null,
    line_and_column,
    list_of,
    pairs,
    parsed,
    scalar,
    sequence,
)
from mesh_py.manifests.metadata import Labels, Metadata, Owner, Place
from mesh_py.manifests.selector import LabelSelector, Operator, Requirement
from mesh_py.model.address import Cidr, parse_ip

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from mesh_py.discovery.problems import Problem

Value = TypeVar("Value")

_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_NOT_TEXT = re.compile(r"true|false|[-+]?(\d[\d_]*)?\.?\d+(e[-+]?\d+)?|\d+\.|0x[0-9a-f]+|0o[0-7]+", re.IGNORECASE)
_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_DNS_LABEL = re.compile(_LABEL)
_DNS_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_SLIP = 0.85
MOST_OF_A_NAME = 253
MOST_OF_A_LABEL = 63


class ManifestReader(Reader):
    """Collects the faults and warnings of one file, and knows whose `spec` is being read."""

    def __init__(self, file: str) -> None:
        super().__init__(file)
        self.warnings: list[Problem] = []
        self.namespace = ""
        """Of the object that is being read: what references without a namespace mean."""

    def warn(self, fault: Fault) -> None:
        """Keep what is allowed and probably not meant."""
        self.warnings.append(self.problem(fault))

    def place(self, node: yaml.Node) -> Place:
        """Where a node begins."""
        return Place(self.file, *line_and_column(node))

    def record(self, make: Callable[..., Value], schema: Schema) -> Callable[[yaml.Node], Value | None]:
        """As Reader's; a ValueError (what, advice) that `make` raises is a fault of the mapping."""
        read = super().record(make, schema)

        def decode(node: yaml.Node) -> Value | None:
            try:
                return read(node)
            except ValueError as error:
                what, advice = (*error.args, "")[:2]
                raise Fault(node, what, advice) from None

        return decode

    def placed(self, make: Callable[..., Value], schema: Schema) -> Callable[[yaml.Node], Value | None]:
        """As `record`, for a class that keeps its place."""

        def decode(node: yaml.Node) -> Value | None:
            return self.record(lambda **fields: make(place=self.place(node), **fields), schema)(node)

        return decode

    def each(self, decode: Callable[[yaml.Node], Value | None]) -> Callable[[yaml.Node], tuple[Value, ...]]:
        """A decoder for a list; faulty items are noted and left out."""
        return lambda node: self.items(node, decode)

    def labels(self, node: yaml.Node) -> Labels:
        """Labels or annotations; a number or a boolean is taken as text, and warned of."""
        found: dict[str, str] = {}
        for key_node, value_node in pairs(node):
            key, value = scalar(key_node), scalar(value_node)
            if key in found:
                self.note(Fault(key_node, f"key {key!r} appears twice", "remove one", FaultKind.DOUBLED_KEY))
            if isinstance(value_node, yaml.ScalarNode) and not value_node.style and _NOT_TEXT.fullmatch(value):
                what = f"the value of {key!r} is no text: Kubernetes refuses it"
                self.warn(Fault(value_node, what, f'write "{value}"'))
            found[key] = value
        return found

    def label_selector(self, node: yaml.Node) -> LabelSelector | None:
        """Kubernetes' selector: `matchLabels` and `matchExpressions`."""
        expression = self.record(_requirement, Schema("requirement", _REQUIREMENT))
        fields = {
            "matchLabels": Field(self.labels, "match_labels"),
            "matchExpressions": Field(self.each(expression), "match_expressions"),
        }
        return self.record(LabelSelector, Schema("selector", fields))(node)

    def workload_selector(self, key: str = "matchLabels") -> Callable[[yaml.Node], Labels | None]:
        """Istio's selector, which has labels only, under `key`; without any it selects everything."""

        def labels(node: yaml.Node) -> Labels:
            for key_node, value_node in pairs(node):
                if "*" in f"{key_node.value}{value_node.value}":
                    raise Fault(key_node, "a selector has no wildcards", "leave the label out to select any value")
            return self.labels(node)

        def make(labels: Labels | None = None) -> Labels:
            return labels or {}

        return self.record(make, Schema("selector", {key: Field(labels, "labels")}))


def ignored(*keys: str) -> dict[str, Field]:
    """Keys that may be there and do not concern a mesh."""
    return dict.fromkeys(keys, Field(_nothing, ""))


def _nothing(node: yaml.Node) -> None:
    """The value is not looked at."""


def word(*words: str, folded: bool = False) -> Callable[[yaml.Node], str]:
    """One of a few words; `folded`: in any case, given in upper case."""

    def decode(node: yaml.Node) -> str:
        text = scalar(node)
        chosen = text.upper() if folded else text
        if chosen not in words:
            raise Fault(node, f"unknown value {text!r}", suggest(text, words))
        return chosen

    return decode


def text_not_empty(node: yaml.Node) -> str:
    """Some text."""
    text = scalar(node)
    if not text:
        raise Fault(node, "expected some text, found nothing", "write a value or remove the key")
    return text


def seconds(text: str) -> float:
    """A duration as Go and the Gateway API write it, `1h30m` or `250ms`, or a bare `0`, in seconds.

    Raises:
        ValueError: it is none.
    """
    if text == "0":
        return 0.0
    if not text or _DURATION_PART.sub("", text):
        raise ValueError(f"{text!r} is no duration")
    return sum(float(number) * _SECONDS[unit] for number, unit in _DURATION_PART.findall(text))


def dns_label(text: str) -> str:
    """Lower-case letters, digits and `-`, at most 63. Raises ValueError."""
    if len(text) > MOST_OF_A_LABEL or not _DNS_LABEL.fullmatch(text):
        raise ValueError(f"{text!r} is no name")
    return text


def dns_name(text: str) -> str:
    """Labels with dots between them, at most 253 characters. Raises ValueError."""
    if len(text) > MOST_OF_A_NAME or not _DNS_NAME.fullmatch(text):
        raise ValueError(f"{text!r} is no name")
    return text


def host_or_wildcard(text: str) -> str:
    """A host name, or `*.` and one. Case and a final dot are kept: the linter speaks of them. Raises ValueError."""
    bare = text.removeprefix("*.").removesuffix(".").lower()
    dns_name(bare)
    return text


duration = parsed(seconds, "a duration (such as 5s, 250ms or 1h30m)")
object_name = parsed(dns_name, "a name (lower-case letters, digits, '-' and '.', at most 253)")
namespace_name = parsed(dns_label, "a name (lower-case letters, digits and '-', at most 63)")
hostname = parsed(host_or_wildcard, "a host name (or *. and one)")
ip = parsed(parse_ip, "an IP address")
block = parsed(Cidr.parse, "an IP address or a block of them (such as 10.0.0.0/8)")
blocks = list_of(block)


def texts(node: yaml.Node) -> tuple[str, ...]:
    """A list of texts, none of them empty."""
    return tuple(text_not_empty(item) for item in sequence(node))


def _requirement(key: str, operator: Operator, values: tuple[str, ...] = ()) -> Requirement:
    wants_values = operator in (Operator.IN, Operator.NOT_IN)
    if wants_values is not bool(values):
        raise ValueError(f"operator {operator.value} takes {'values' if wants_values else 'no values'}")
    return Requirement(key, operator, values)


_REQUIREMENT = {
    "key": Field(text_not_empty, "key", required=True),
    "operator": Field(choice(Operator), "operator", required=True),
    "values": Field(texts, "values"),
}

_OWNER = {
    "kind": Field(scalar, "kind", required=True),
    "name": Field(scalar, "name", required=True),
    "controller": Field(boolean, "controller"),
    **ignored("apiVersion", "uid", "blockOwnerDeletion"),
}


def _timestamp(node: yaml.Node) -> str:
    text = scalar(node)
    if not _TIMESTAMP.fullmatch(text):
        raise Fault(node, f"{text!r} is no time in UTC", "write it like 2024-05-01T12:00:00Z, or leave it out")
    return text


class MetadataDecoder:
    """Decodes the `metadata` of an object."""

    def __init__(self, reader: ManifestReader) -> None:
        self._reader = reader
        fields = {
            "name": Field(object_name, "name", required=True),
            "namespace": Field(namespace_name, "namespace"),
            "labels": Field(reader.labels, "labels"),
            "annotations": Field(reader.labels, "annotations"),
            "creationTimestamp": Field(_timestamp, "creation_timestamp"),
            "deletionTimestamp": Field(_timestamp, "deletion_timestamp"),
            "ownerReferences": Field(reader.each(reader.record(_owner, Schema("owner", _OWNER))), "owners"),
            **ignored(
                "uid",
                "resourceVersion",
                "generation",
                "managedFields",
                "selfLink",
                "finalizers",
                "generateName",
                "deletionGracePeriodSeconds",
                "clusterName",
            ),
        }
        self._schema = Schema("metadata", fields)
        template = {key: field._replace(required=False) for key, field in fields.items()}
        self._template = Schema("metadata", template)

    def of_object(self, node: yaml.Node, *, namespaced: bool, place: Place, order: int) -> Metadata | None:
        """The metadata of an object that begins at `place`; None with faults noted."""
        before = len(self._reader.problems)
        found = self._reader.fields(node, self._schema)
        if len(self._reader.problems) > before:
            return None
        owners: tuple[tuple[Owner, bool], ...] = found.pop("owners", ())
        is_deleted = bool(found.pop("deletion_timestamp", ""))
        namespace = found.pop("namespace", "") or "default"
        owner = next((one for one, controls in owners if controls), owners[0][0] if owners else None)
        return Metadata(
            namespace=namespace if namespaced else "",
            is_deleted=is_deleted,
            owner=owner,
            order=order,
            place=place,
            **found,
        )

    def of_template(self, node: yaml.Node) -> Mapping[str, Any]:
        """Labels and annotations that pods are made with."""
        found = self._reader.fields(node, self._template)
        return {key: found[key] for key in ("labels", "annotations") if key in found}


def _owner(kind: str, name: str, controller: bool = False) -> tuple[Owner, bool]:
    return Owner(kind, name), controller


def entry(node: yaml.Node, key: str) -> yaml.Node | None:
    """The value of a key of a mapping, or None if it is not there or empty."""
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for name, value in node.value if name.value == key and not is_null(value)), None)


def near(word: str, known: Iterable[str]) -> str:
    """Advice if `word` is one of `known` but for a slip, else nothing: names of other things look similar too."""
    close = get_close_matches(word, list(known), n=1, cutoff=_SLIP)
    return f"did you mean {close[0]!r}?" if close else ""
