"""A redirection as text: installed, less a rule, taken back."""

from __future__ import annotations

from lab_py.redirect.base import (
    AddressSet,
    Redirection,
    Rule,
    Step,
    ip_lines,
    ip_lines_undone,
    rule_lines,
    rule_lines_undone,
    set_lines,
)

REDIRECTION = Redirection(
    "pod",
    {"net.ipv4.ip_forward": "1"},
    (
        Step("address", "addr add 10.0.0.1/32 dev eth0"),
        Step("route", "route add table 100 10.0.0.2 dev eth0"),
        Step("rule", "rule add priority 100 lookup 100"),
    ),
    (AddressSet("ours", {"10.0.0.2": "sleep"}),),
    (
        Rule("H", "nat", "PREROUTING", "-p tcp", "ISTIO_X", at_head=True),
        Rule("X1", "nat", "ISTIO_X", "", "ISTIO_Y"),
        Rule("Y1", "nat", "ISTIO_Y", "-p tcp", "REDIRECT --to-ports 1"),
        Rule("M", "mangle", "PREROUTING", "-i lo", "MARK --set-mark 1"),
    ),
)


def test_what_installs_it() -> None:
    assert ip_lines(REDIRECTION).splitlines() == [
        "addr add 10.0.0.1/32 dev eth0",
        "route add table 100 10.0.0.2 dev eth0",
        "rule add priority 100 lookup 100",
    ]
    assert set_lines(REDIRECTION).splitlines() == [
        "create ours hash:ip family inet comment",
        'add ours 10.0.0.2 comment "sleep"',
    ]
    assert rule_lines(REDIRECTION).splitlines() == [
        "*nat",
        ":ISTIO_X - [0:0]",
        ":ISTIO_Y - [0:0]",
        '-I PREROUTING -p tcp -m comment --comment "H" -j ISTIO_X',
        '-A ISTIO_X -m comment --comment "X1" -j ISTIO_Y',
        '-A ISTIO_Y -p tcp -m comment --comment "Y1" -j REDIRECT --to-ports 1',
        "COMMIT",
        "*mangle",
        '-A PREROUTING -i lo -m comment --comment "M" -j MARK --set-mark 1',
        "COMMIT",
    ]


def test_what_takes_it_back() -> None:
    assert ip_lines_undone(REDIRECTION).splitlines() == [
        "rule del priority 100 lookup 100",
        "route del table 100 10.0.0.2 dev eth0",
    ]
    assert rule_lines_undone(REDIRECTION).splitlines() == [
        "*nat",
        '-D PREROUTING -p tcp -m comment --comment "H" -j ISTIO_X',
        "-F ISTIO_X",
        "-F ISTIO_Y",
        "-X ISTIO_X",
        "-X ISTIO_Y",
        "COMMIT",
        "*mangle",
        '-D PREROUTING -i lo -m comment --comment "M" -j MARK --set-mark 1',
        "COMMIT",
    ]


def test_rules_and_steps_can_be_left_out_by_name() -> None:
    assert REDIRECTION.names == {"address", "route", "rule", "H", "X1", "Y1", "M"}
    assert REDIRECTION.without({"Y1", "rule"}).names == {"address", "route", "H", "X1", "M"}


def test_a_chain_without_rules_is_made_all_the_same() -> None:
    assert ":ISTIO_Y - [0:0]" in rule_lines(REDIRECTION.without({"Y1"}))


def test_two_of_one_namespace_are_one() -> None:
    other = Redirection("pod", {"net.a": "0"}, rules=(Rule("K", "nat", "PREROUTING", "", "ACCEPT"),))
    joined = REDIRECTION.joined(other)
    assert joined.names == REDIRECTION.names | {"K"}
    assert joined.sysctls == {"net.ipv4.ip_forward": "1", "net.a": "0"}
    assert rule_lines(joined).count("*nat") == 1
