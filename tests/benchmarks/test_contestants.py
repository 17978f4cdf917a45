"""Who takes part in what."""

import pytest

from benchmarks.contestants import available_peers, contestants_for, takes_part
from benchmarks.plan import Contestant, Form, Logging, choose_scenarios


def test_each_form_of_logging_has_its_own_contestants() -> None:
    scenarios = choose_scenarios(["connect-1"])
    assert [(c.name, c.logging) for c in contestants_for(["envoy"], scenarios)] == [
        ("envoy", Logging.TUNNEL),
        ("envoy", Logging.NONE),
    ]


def test_without_a_quiet_scenario_nobody_is_started_without_a_log() -> None:
    assert {c.logging for c in contestants_for(["ours"], choose_scenarios(["rr"]))} == {Logging.TUNNEL}


def test_no_proxy_runs_once_and_takes_part_in_all_but_idle_tunnels() -> None:
    (direct,) = contestants_for(["direct"], choose_scenarios([]))
    assert [s.name for s in choose_scenarios([]) if not takes_part(direct, s)] == ["idle-1000"]


def test_a_contestant_takes_part_where_the_logging_is_its_own() -> None:
    loud, quiet = choose_scenarios(["connect-16"])
    ours = Contestant("ours", "", Logging.NONE)
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
    assert {c.form for c in contestants_for(["ours", "envoy"], scenarios[-1:])} == {Form.WAYPOINT}


def test_an_unknown_peer_is_named() -> None:
    with pytest.raises(ValueError, match="no peer nginx; there are: ours"):
        contestants_for(["nginx"], [])


def test_a_foreign_proxy_is_there_when_its_command_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_PEER_CMD", "proxy --flag")
    assert "foreign" in available_peers()
    monkeypatch.delenv("BENCH_PEER_CMD")
    assert "foreign" not in available_peers()
