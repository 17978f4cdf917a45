"""Profiles as pprof reads them: the judge is protobuf's own reader, with pprof's schema."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from mesh_py.admin.pprof import encode_pprof

SCHEMA: dict[str, dict[str, Any]] = {
    "ValueType": {"type": 1, "unit": 2},
    "Sample": {"location_id": 1, "value": 2},
    "Line": {"function_id": 1, "line": 2},
    "Location": {"id": 1, "line": (4, "Line")},
    "Function": {"id": 1, "name": 2, "system_name": 3, "start_line": 5},
    "Profile": {
        "sample_type": (1, "ValueType"),
        "sample": (2, "Sample"),
        "location": (4, "Location"),
        "function": (5, "Function"),
        "string_table": 6,
    },
}
"""Of proto/profile.proto, what is used here; a pair is a repeated message."""


@pytest.fixture(scope="module")
def profile_class() -> Any:
    file = FileDescriptorProto(name="profile.proto", package="p", syntax="proto3")
    for message, fields in SCHEMA.items():
        made = file.message_type.add(name=message)
        for name, number in fields.items():
            made.field.append(_field(message, name, number))
    pool = DescriptorPool()
    pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName("p.Profile"))


def _field(message: str, name: str, number: Any) -> FieldDescriptorProto:
    many, one = FieldDescriptorProto.LABEL_REPEATED, FieldDescriptorProto.LABEL_OPTIONAL
    if isinstance(number, tuple):
        return FieldDescriptorProto(
            name=name, number=number[0], label=many, type=FieldDescriptorProto.TYPE_MESSAGE, type_name=f".p.{number[1]}"
        )
    kind = FieldDescriptorProto.TYPE_STRING if name == "string_table" else FieldDescriptorProto.TYPE_INT64
    label = many if message == "Sample" or name == "string_table" else one
    return FieldDescriptorProto(name=name, number=number, label=label, type=kind)


def stacks(profile: Any) -> dict[tuple[tuple[str, int], ...], list[int]]:
    """Innermost first, as pprof keeps them: function and line."""
    functions = {one.id: profile.string_table[one.name] for one in profile.function}
    places = {one.id: (functions[one.line[0].function_id], one.line[0].line) for one in profile.location}
    return {tuple(places[number] for number in one.location_id): list(one.value) for one in profile.sample}


def test_every_stack_with_its_time(profile_class: Any) -> None:
    taken = {("main:1", "a.b:20"): (300,), ("main:1", "a.c:7", "a.b:20"): (2**40,), ("(other threads)",): (0,)}
    profile = profile_class.FromString(encode_pprof(taken))
    assert profile.string_table[0] == ""
    [kind] = profile.sample_type
    assert [profile.string_table[kind.type], profile.string_table[kind.unit]] == ["cpu", "nanoseconds"]
    assert stacks(profile) == {
        (("a.b", 20), ("main", 1)): [300],
        (("a.b", 20), ("a.c", 7), ("main", 1)): [2**40],
        (("(other threads)", 0),): [0],
    }
    assert sorted(one.start_line for one in profile.function) == [0, 1, 7, 20]


def test_nothing_and_several_kinds(profile_class: Any) -> None:
    profile = profile_class.FromString(encode_pprof({}, [("inuse_objects", "count"), ("inuse_space", "bytes")]))
    assert (len(profile.sample), len(profile.sample_type)) == (0, 2)
