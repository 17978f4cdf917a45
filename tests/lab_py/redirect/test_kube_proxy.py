"""Virtual addresses on a node."""

from __future__ import annotations

from lab_py.redirect.base import rule_lines
from lab_py.redirect.kube_proxy import service_redirection
from lab_py.topology_file import read_topology

TOPOLOGY = read_topology(
    """
nodes: [node-a]
pods:
- {name: one, node: node-a, kind: plain, port: 1}
- {name: two, node: node-a, kind: plain, port: 1}
services:
- {name: web, port: 80, targetPort: 8080, pods: [one, two]}
""",
    "t.yaml",
    "t",
)


def test_each_pod_takes_its_share_of_what_is_left() -> None:
    head = "-A PREROUTING -d 10.96.0.10/32 -p tcp -m tcp --dport 80"
    assert rule_lines(service_redirection(TOPOLOGY, "node-a")).splitlines() == [
        "*nat",
        f'{head} -m statistic --mode random --probability 0.50000000 -m comment --comment "K-web-one" '
        "-j DNAT --to-destination 10.244.1.10:8080",
        f'{head} -m comment --comment "K-web-two" -j DNAT --to-destination 10.244.1.20:8080',
        "COMMIT",
    ]
