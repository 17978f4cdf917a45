"""The ztunnel pod's rules of Istio 1.18 (redirection a.4)."""

from __future__ import annotations

from lab_py.redirect.base import ip_lines, rule_lines
from lab_py.redirect.ztunnel_pod_1_18 import ztunnel_redirection
from lab_py.topology import Node

FOUND = ztunnel_redirection(Node("node-b", 2))


def test_from_the_tunnels_to_the_listeners() -> None:
    tproxy = "TPROXY --tproxy-mark 0x400/0xfff --on-port {} --on-ip 127.0.0.1"
    assert rule_lines(FOUND).splitlines() == [
        "*mangle",
        '-A PREROUTING -p tcp -i pistioin -m tcp --dport 15008 -m comment --comment "Z1" -j ' + tproxy.format(15008),
        '-A PREROUTING -p tcp -i pistioout -m comment --comment "Z2" -j ' + tproxy.format(15001),
        '-A PREROUTING -p tcp -i pistioin -m comment --comment "Z3" -j ' + tproxy.format(15006),
        '-A PREROUTING -p tcp -i eth0 ! -d 10.244.2.2/32 -m comment --comment "Z4" -j MARK --set-mark 0x4d3/0xfff',
        "COMMIT",
    ]


def test_what_is_marked_is_local_and_replies_leave_by_the_main_table() -> None:
    lines = ip_lines(FOUND).splitlines()
    assert lines[:3] == [
        "rule add priority 20000 fwmark 0x400/0xfff lookup 100",
        "rule add priority 20003 fwmark 0x4d3/0xfff lookup 100",
        "route add local 0.0.0.0/0 dev lo table 100",
    ]
    assert not [line for line in lines if line.startswith("rule") and line.endswith(("101", "102"))]


def test_no_reverse_path_is_checked() -> None:
    assert {name.split(".")[3] for name in FOUND.sysctls} == {"all", "default", "eth0", "pistioin", "pistioout"}
    assert set(FOUND.sysctls.values()) == {"0"}
