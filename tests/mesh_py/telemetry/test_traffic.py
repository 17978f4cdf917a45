"""Traffic counters: found by facts, bounded in number, exact where a connection is open."""

from __future__ import annotations

from mesh_py.telemetry.facts import ConnectionFacts, Party
from mesh_py.telemetry.traffic import Traffic, TrafficSeries

SLEEP, WEB = Party(name="sleep-1", workload="sleep"), Party(name="web-1", workload="web")


def to_web(source: Party = SLEEP) -> ConnectionFacts:
    return ConnectionFacts("source", source, WEB)


def claimed(number: int) -> ConnectionFacts:
    return to_web(Party(workload=f"w{number}"))


def test_connections_of_one_kind_share_a_series():
    traffic = Traffic()
    assert traffic.open(to_web()) is traffic.open(to_web())
    assert len(traffic) == 1


def test_pods_of_one_deployment_share_a_series():
    traffic = Traffic()
    other_pod = Party(name="sleep-2", workload="sleep")
    assert traffic.open(to_web()) is traffic.open(to_web(other_pod))


def test_a_series_counts_what_the_data_path_tells_it():
    series = Traffic().open(to_web())
    series.received_bytes += 11
    series.sent_bytes += 22
    assert (series.opened, series.open_connections) == (1, 1)
    series.close()
    assert (series.closed, series.open_connections) == ({"-": 1}, 0)


def test_each_end_is_counted_under_its_flag():
    traffic = Traffic()
    for flag in ("-", "DENY", "CONNECT", "DENY"):
        traffic.open(to_web()).close(flag)
    assert traffic.open(to_web()).closed == {"-": 1, "DENY": 2, "CONNECT": 1}


def test_idle_series_make_room_for_new_ones():
    traffic = Traffic(limit=8)
    for number in range(100):
        traffic.open(claimed(number)).close()
    assert len(traffic) <= 8
    assert traffic.dropped_series == 100 - len(traffic)


def test_whoever_keeps_a_series_sees_that_another_counts_in_its_place():
    traffic = Traffic(limit=8)
    kept = traffic.find(to_web())
    for number in range(100):
        traffic.open(claimed(number)).close()
    assert kept.is_dropped
    assert traffic.find(to_web()) is not kept


def test_a_series_with_an_open_connection_stays():
    traffic = Traffic(limit=8)
    kept = traffic.open(to_web())
    for number in range(100):
        traffic.open(claimed(number)).close()
    assert kept in list(traffic)
    assert traffic.open(to_web()) is kept


def test_series_in_use_lately_outlive_older_ones():
    traffic = Traffic(limit=8)
    for number in range(8):
        traffic.open(claimed(number)).close()
    traffic.open(claimed(8)).close()  # sweeps: all were new, one goes, the rest is no longer new
    traffic.open(to_web()).close()
    favourite = traffic.open(to_web())
    favourite.close()
    for number in range(20, 26):
        traffic.open(claimed(number)).close()
    assert traffic.open(to_web()) is favourite


def test_open_connections_may_exceed_the_limit_and_are_all_counted():
    traffic = Traffic(limit=8)
    series: list[TrafficSeries] = [traffic.open(claimed(number)) for number in range(100)]
    assert len(traffic) == 100
    assert traffic.dropped_series == 0
    for one in series:
        one.close()
    for number in range(1000, 1050):
        traffic.open(claimed(number)).close()
    assert len(traffic) <= 8


def test_facts_are_not_remembered_without_bound():
    traffic = Traffic(limit=8)
    for _ in range(1000):
        traffic.open(to_web(Party(workload="sleep"))).close()  # a new party each time, as after updates
    assert len(traffic) == 1
    assert len(traffic._by_facts) <= 16


def test_sockets_are_counted_per_reporter():
    sockets = Traffic().sockets
    sockets.source += 2
    sockets.destination += 1
    assert dict(sockets.items()) == {"source": 2, "destination": 1}
