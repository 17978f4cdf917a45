"""A sidecar's rules, in Istio's order (redirection b)."""

from __future__ import annotations

from lab_py.redirect.base import rule_lines
from lab_py.redirect.sidecar import sidecar_redirection

FOUND = sidecar_redirection("httpbin")


def chain(name: str, *, by_uid: bool = True) -> list[str]:
    """The rules of a chain without their names."""
    rules = sidecar_redirection("httpbin", by_uid=by_uid).rules
    return [f"{rule.match} -> {rule.target}".strip() for rule in rules if rule.chain == name]


def test_inbound() -> None:
    assert chain("PREROUTING") == ["-p tcp -> ISTIO_INBOUND"]
    assert chain("ISTIO_INBOUND") == [
        "-p tcp --dport 15008 -> RETURN",
        "-p tcp --dport 15090 -> RETURN",
        "-p tcp --dport 15021 -> RETURN",
        "-p tcp --dport 15020 -> RETURN",
        "-p tcp -> ISTIO_IN_REDIRECT",
    ]
    assert chain("ISTIO_IN_REDIRECT") == ["-p tcp -> REDIRECT --to-ports 15006"]
    assert chain("ISTIO_REDIRECT") == ["-p tcp -> REDIRECT --to-ports 15001"]


def test_outbound_by_uid() -> None:
    assert chain("OUTPUT") == ["-p tcp -> ISTIO_OUTPUT"]
    assert chain("ISTIO_OUTPUT") == [
        "-o lo -s 127.0.0.6/32 -> RETURN",
        "-o lo ! -d 127.0.0.1/32 -p tcp ! --dport 15008 -m owner --uid-owner 1337 -> ISTIO_IN_REDIRECT",
        "-o lo -m owner ! --uid-owner 1337 -> RETURN",
        "-m owner --uid-owner 1337 -> RETURN",
        "-o lo ! -d 127.0.0.1/32 -p tcp ! --dport 15008 -m owner --gid-owner 1337 -> ISTIO_IN_REDIRECT",
        "-o lo -m owner ! --gid-owner 1337 -> RETURN",
        "-m owner --gid-owner 1337 -> RETURN",
        "-d 127.0.0.1/32 -> RETURN",
        "-> ISTIO_REDIRECT",
    ]


def test_outbound_by_mark_where_no_such_uid_is_mapped() -> None:
    assert chain("ISTIO_OUTPUT", by_uid=False) == [
        "-o lo -s 127.0.0.6/32 -> RETURN",
        "-o lo ! -d 127.0.0.1/32 -p tcp ! --dport 15008 -m mark --mark 0x539/0xfff -> ISTIO_IN_REDIRECT",
        "-o lo -m mark ! --mark 0x539/0xfff -> RETURN",
        "-m mark --mark 0x539/0xfff -> RETURN",
        "-d 172.18.0.1/32 -> RETURN",
        "-d 127.0.0.1/32 -> RETURN",
        "-> ISTIO_REDIRECT",
    ]


def test_every_chain_is_declared() -> None:
    declared = [line for line in rule_lines(FOUND).splitlines() if line.startswith(":")]
    assert declared == [
        ":ISTIO_INBOUND - [0:0]",
        ":ISTIO_IN_REDIRECT - [0:0]",
        ":ISTIO_REDIRECT - [0:0]",
        ":ISTIO_OUTPUT - [0:0]",
    ]


def test_names_are_unique() -> None:
    assert len(FOUND.names) == len(FOUND.rules)
