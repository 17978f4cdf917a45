"""Who takes part in what."""

import pytest

from benchmarks.contestants import available_peers, contestants_for, takes_part
from benchmarks.plan import Contestant, Form, Logging, Stage
from benchmarks.scenarios import choose_scenarios


def test_each_form_of_logging_has_its_own_contestants() -> None:
    scenarios = choose_scenarios(["connect-1"])
    assert [(c.name, c.stage.logging) for c in contestants_for(["envoy"], scenarios)] == [
        ("envoy", Logging.TUNNEL),
        ("envoy", Logging.NONE),
    ]


def test_without_a_quiet_scenario_nobody_is_started_without_a_log() -> None:
    assert {c.stage.logging for c in contestants_for(["ours"], choose_scenarios(["rr"]))} == {Logging.TUNNEL}


def test_no_proxy_runs_once_and_takes_part_where_the_machine_s_limit_matters() -> None:
    (direct,) = contestants_for(["direct"], choose_scenarios([]))
    left_out = {s.name.partition("-")[0] for s in choose_scenarios([]) if not takes_part(direct, s)}
    assert left_out == {"cold", "idle", "apart", "workers"}


def test_two_workers_stand_beside_one_of_the_same_proxy() -> None:
    scenarios = choose_scenarios(["rr-32", "workers-rr-32"])
    peers = ["ours", "ours compiled", "ours 2 workers", "ours compiled 2 workers", "envoy", "envoy 2 workers"]
    found = contestants_for(peers, scenarios)
    assert [[c.name for c in found if takes_part(c, s)] for s in scenarios] == [
        ["ours", "ours compiled", "envoy"],
        peers,
    ]


def test_rivals_beside_two_workers_run_with_default_windows_and_are_not_asked_how_connections_spread() -> None:
    bulk, split = choose_scenarios(["workers-bulk-8-down", "workers-split"])
    found = contestants_for(["ours", "envoy", "envoy 2 workers"], [bulk, split])
    assert [c.name for c in found if takes_part(c, bulk)] == ["ours", "envoy", "envoy 2 workers"]
    assert [c.name for c in found if takes_part(c, split)] == ["ours"]


def test_a_stage_of_its_own_has_contestants_of_its_own() -> None:
    scenarios = choose_scenarios(["connect-1", "cold-1", "apart-rr-32"])
    assert [str(c.stage) for c in contestants_for(["ours"], scenarios)] == [
        "node proxies, a line per tunnel, warm pool, loopback",
        "node proxies, no log, warm pool, loopback",
        "node proxies, a line per tunnel, cold pool, two namespaces",
        "node proxies, a line per tunnel, warm pool, two namespaces",
    ]


def test_a_contestant_takes_part_where_the_logging_is_its_own() -> None:
    loud, quiet = choose_scenarios(["connect-16"])
    ours = Contestant("ours", stage=Stage(logging=Logging.NONE))
    assert not takes_part(ours, loud)
    assert takes_part(ours, quiet)


def test_scenarios_meet_the_proxies_of_their_form_and_large_windows_bulk_alone() -> None:
    scenarios = choose_scenarios(["bulk-1-up", "rr-32", "http-32", "chain-32"])
    found = contestants_for(["ours", "envoy", "direct"], scenarios)
    assert {s.name: [c.name for c in found if takes_part(c, s)] for s in scenarios} == {
        "bulk-1-up": ["ours", "envoy", "envoy, large windows", "direct"],
        "rr-32": ["ours", "envoy", "direct"],
        "http-32": ["ours", "envoy", "direct"],
        "http-32-quiet": ["ours", "envoy", "direct"],
        "chain-32": ["ours", "envoy", "direct"],
        "chain-32-quiet": ["ours", "envoy", "direct"],
    }
    assert {c.stage.form for c in contestants_for(["ours", "envoy"], scenarios[-1:])} == {Form.WAYPOINT}


def test_an_unknown_peer_is_named() -> None:
    with pytest.raises(ValueError, match="no peer nginx; there are: ours"):
        contestants_for(["nginx"], [])


def test_a_foreign_proxy_is_there_when_its_command_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_PEER_CMD", "proxy --flag")
    assert "foreign" in available_peers()
    monkeypatch.delenv("BENCH_PEER_CMD")
    assert "foreign" not in available_peers()
