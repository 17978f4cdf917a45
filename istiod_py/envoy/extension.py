"""Envoy's JSON form in two words: a dictionary, and a named extension with its type [pure]."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
"""A message of Envoy's in JSON form, with the field names of its proto files."""

TYPE_PREFIX = "type.googleapis.com/"


def extension(name: str, type_name: str, fields: Json | None = None) -> Json:
    """A filter, a transport socket or another extension: its name, and its configuration with the type."""
    return {"name": name, "typed_config": typed(type_name, fields)}


def typed(type_name: str, fields: Json | None = None) -> Json:
    """A message that is packed with its type, as `google.protobuf.Any` writes one in JSON."""
    return {"@type": TYPE_PREFIX + type_name, **(fields or {})}


def socket_address(address: str, port: int) -> Json:
    """An address and port in Envoy's form."""
    return {"socket_address": {"address": address, "port_value": port}}


def address_prefix(address: str) -> Json:
    """One address as a block of itself, as Envoy's address matchers want it."""
    return {"address_prefix": address, "prefix_len": 128 if ":" in address else 32}


def seconds(value: float) -> str:
    """A duration in protobuf's JSON form."""
    return f"{value:.9f}".rstrip("0").rstrip(".") + "s"


def percent_free(text: str) -> str:
    """`text` for a place where Envoy replaces %WORDS%: as it stands there, not replaced."""
    return text.replace("%", "%%")
