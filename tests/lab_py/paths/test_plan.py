"""The three paths: who stands on them, and that each tunnel is watched from both ends."""

from __future__ import annotations

from tests.lab_py.paths.seen import ONE, THREE, TWO, WORLD

PATHS = (ONE, TWO, THREE)


def test_the_post_s_arrows_are_all_there() -> None:
    numbers = [[hop.number for hop in path.hops(path.servers[0])] for path in PATHS]
    assert numbers == [
        ["(1)-(5)", "(6)(7)", "(8)"],
        ["(1)-(3)", "(4)-(8)", "(9)"],
        ["(1)-(3)", "(4)", "(5)-(9)", "(10)"],
    ]


def test_who_receives() -> None:
    hops = THREE.hops(WORLD.helloworld(2))
    assert [hop.receiver for hop in hops] == ["sidecar-sleep", "waypoint", "ztunnel-e", ""]


def test_a_tunnel_is_counted_by_both_its_ends() -> None:
    for path in PATHS:
        for hop in path.hops(path.servers[-1]):
            if (tunnel := hop.tunnel) is not None:
                assert (tunnel.sent.process, tunnel.received.process) == (tunnel.source.proxy, tunnel.destination.proxy)
                assert tunnel.source.identity != tunnel.destination.identity


def test_services_have_their_full_names_in_metrics() -> None:
    assert THREE.destination_service == "helloworld.ambient.svc.cluster.local"
