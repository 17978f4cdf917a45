"""A namespace beside its design: nothing is told of what is as it should be, and everything else is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab_py.builtin import load
from lab_py.explain.differences import differences
from lab_py.explain.survey import Device, Ground
from lab_py.redirect.plan import redirections

TOPOLOGY = load("ambient-to-sidecar")
PLAN = next(one for one in redirections(TOPOLOGY) if one.namespace == "node-a")
RULES = "".join(f'[1:60] -A {rule.chain} -m comment --comment "{rule.name}" -j X\n' for rule in PLAN.rules)
WHOLE = Ground(
    rules=RULES,
    policy_rules=(
        "0:\tfrom all lookup local\n100:\tfrom all fwmark 0x200/0x200 goto 32766\n"
        "101:\tfrom all fwmark 0x100/0x100 lookup 101\n102:\tfrom all fwmark 0x40/0x40 lookup 102\n"
        "103:\tfrom all lookup 100\n32766:\tfrom all lookup main\n"
    ),
    routes=(
        "10.244.1.2 dev v-zt table 100 scope link \n"
        "10.244.1.10 via 192.168.126.2 dev istioin table 100 src 10.244.1.1 \n"
        "default via 192.168.127.2 dev istioout table 101 \n10.244.1.2 dev v-zt table 101 scope link \n"
        "default via 10.244.1.2 dev v-zt table 102 onlink \n10.244.1.2 dev v-zt table 102 scope link \n"
        "10.244.2.0/24 via 172.18.0.3 dev eth0 \n10.244.1.2 dev v-zt scope link src 10.244.1.1 \n"
        "10.244.1.10 dev v-sleep scope link src 10.244.1.1 \n"
    ),
    sets='create ztunnel-pods-ips hash:ip family inet\nadd ztunnel-pods-ips 10.244.1.10 comment "sleep"\n',
    devices={
        "eth0": Device(True, 1500), "v-zt": Device(True, 1500), "v-sleep": Device(True, 1500),
        "istioin": Device(True, 1450), "istioout": Device(True, 1450),
    },
    settings={"net.ipv4.ip_forward": "1", "net.ipv4.conf.v-zt.rp_filter": "0"},
)  # fmt: skip


def told(ground: Ground) -> dict[str, str]:
    return {one.culprit: one.found for one in differences(TOPOLOGY, {"node-a": ground}, by_uid=True)}


def test_of_what_is_as_designed_nothing_is_told() -> None:
    assert told(WHOLE) == {}


def less(text: str, line: str) -> str:
    assert line in text
    return text.replace(line, "")


@pytest.mark.parametrize(
    ("ground", "culprit", "found"),
    [
        pytest.param(
            replace(WHOLE, policy_rules=less(WHOLE.policy_rules, "102:\tfrom all fwmark 0x40/0x40 lookup 102\n")),
            "node-a/rule-102", "ip rule in node-a: no `priority 102 fwmark 0x40/0x40 lookup 102`", id="policy rule",
        ),
        pytest.param(
            replace(WHOLE, routes=less(WHOLE.routes, "default via 10.244.1.2 dev v-zt table 102 onlink \n")),
            "node-a/table-102", "via 10.244.1.2 dev v-zt onlink`", id="route",
        ),
        pytest.param(
            replace(WHOLE, routes=less(WHOLE.routes, "10.244.2.0/24 via 172.18.0.3 dev eth0 \n")),
            "node-a/route 10.244.2.0/24", "nothing for 10.244.2.0/24", id="a way to another node",
        ),
        pytest.param(
            replace(WHOLE, rules=less(RULES, RULES.splitlines()[-1])), "node-a/K-httpbin-httpbin",
            "no rule K-httpbin-httpbin in nat PREROUTING", id="rule",
        ),
        pytest.param(
            replace(WHOLE, rules=f"{RULES}[0:0] -A INPUT -p udp -j DROP\n"), "node-a/-A INPUT -p udp -j DROP",
            "iptables-save in node-a", id="somebody's rule",
        ),
        pytest.param(
            replace(WHOLE, settings={"net.ipv4.conf.v-zt.rp_filter": "1"}), "node-a/v-zt.rp_filter",
            "sysctl in node-a: net.ipv4.conf.v-zt.rp_filter = 1", id="setting",
        ),
        pytest.param(
            replace(WHOLE, settings={"net.ipv4.conf.one.rp_filter": "2"}), "node-a/one.rp_filter", "= 2",
            id="setting of a device that nobody planned",
        ),
        pytest.param(replace(WHOLE, sets="create ztunnel-pods-ips hash:ip family inet\n"), "node-a/ztunnel-pods-ips",
                     "no 10.244.1.10", id="set"),
        pytest.param(replace(WHOLE, devices={**WHOLE.devices, "eth0": Device(True, 600)}), "node-a/eth0.mtu",
                     "eth0 mtu 600", id="small packets"),
    ],
)  # fmt: skip
def test_what_is_not_as_designed_is_told(ground: Ground, culprit: str, found: str) -> None:
    assert [*told(ground)] == [culprit]
    assert found in told(ground)[culprit]


def test_of_a_device_that_is_down_its_routes_are_not_told_too() -> None:
    gone = less(WHOLE.routes, "default via 192.168.127.2 dev istioout table 101 \n")
    down = {**WHOLE.devices, "istioout": Device(False, 1450)}
    assert [*told(replace(WHOLE, routes=gone, devices=down))] == ["node-a/istioout"]
