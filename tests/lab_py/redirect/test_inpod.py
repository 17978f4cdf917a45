"""Today's rules inside an enrolled pod (redirection c)."""

from __future__ import annotations

import pytest

from lab_py.redirect.base import ip_lines, set_lines
from lab_py.redirect.inpod import host_redirection, pod_redirection

FOUND = pod_redirection("sleep")


@pytest.mark.parametrize(
    ("table", "chain", "rules"),
    [
        ("mangle", "ISTIO_PRERT", ["-m mark --mark 0x539/0xfff -> CONNMARK --set-xmark 0x111/0xfff"]),
        (
            "mangle",
            "ISTIO_OUTPUT",
            ["-m connmark --mark 0x111/0xfff -> CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff"],
        ),
        (
            "nat",
            "ISTIO_PRERT",
            [
                "-s 169.254.7.127/32 -p tcp -> ACCEPT",
                "! -d 127.0.0.1/32 -p tcp ! --dport 15008 -m mark ! --mark 0x539/0xfff -> REDIRECT --to-ports 15006",
            ],
        ),
        (
            "nat",
            "ISTIO_OUTPUT",
            [
                "-d 169.254.7.127/32 -p tcp -> ACCEPT",
                "-p tcp -m mark --mark 0x111/0xfff -> ACCEPT",
                "! -d 127.0.0.1/32 -o lo -> ACCEPT",
                "! -d 127.0.0.1/32 -p tcp -m mark ! --mark 0x539/0xfff -> REDIRECT --to-ports 15001",
            ],
        ),
    ],
)
def test_a_chain_is_istios(table: str, chain: str, rules: list[str]) -> None:
    found = [f"{rule.match} -> {rule.target}" for rule in FOUND.rules if (rule.table, rule.chain) == (table, chain)]
    assert found == rules


def test_the_applications_answers_stay_in_the_pod() -> None:
    assert ip_lines(FOUND).splitlines() == [
        "rule add priority 32764 fwmark 0x111/0xfff lookup 100",
        "route add local 0.0.0.0/0 dev lo table 100",
    ]


def test_the_node_keeps_only_its_probes_address() -> None:
    host = host_redirection("node-a", {"10.244.1.10": "sleep"})
    assert set_lines(host).splitlines()[1] == 'add istio-inpod-probes-v4 10.244.1.10 comment "sleep"'
    assert host.rules[1].text == (
        '-m owner --socket-exists -p tcp -m set --match-set istio-inpod-probes-v4 dst -m comment --comment "C-PROBE" '
        "-j SNAT --to-source 169.254.7.127"
    )
