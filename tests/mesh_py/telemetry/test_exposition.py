"""The text of /metrics, judged by prometheus_client: its parser reads it, and its own writer says the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.parser import text_string_to_metric_families as classic_families

from mesh_py.telemetry.exposition import as_classic, render, render_classic
from mesh_py.telemetry.facts import ConnectionFacts, Party, ServiceFacts
from mesh_py.telemetry.instruments import Family
from mesh_py.telemetry.labels import LOCALITY_LABELS, TRAFFIC_LABELS, traffic_label_values
from mesh_py.telemetry.snapshot import SeriesCounts, Snapshot

if TYPE_CHECKING:
    from prometheus_client.core import Metric

FACTS = ConnectionFacts("source", Party(workload="sleep"), None, ServiceFacts("web.svc", "ns", "web"), True)
SERIES = SeriesCounts(traffic_label_values(FACTS), 5, {"-": 3, "CONNECT": 1}, 1100, 2200)


def text_of(snapshot: Snapshot) -> str:
    return "".join(render(snapshot))


def parsed(text: str) -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(text)}


def values(metric: Metric) -> dict[str, float]:
    return {sample.labels["response_flags"]: sample.value for sample in metric.samples}


def test_nothing_counted_is_an_empty_exposition():
    assert text_of(Snapshot([], [Family("unused", "counter", "Unused")])) == "# EOF\n"


def test_a_line_letter_by_letter():
    assert text_of(Snapshot([SERIES], [])).splitlines()[:3] == [
        "# HELP istio_tcp_connections_opened Connections opened.",
        "# TYPE istio_tcp_connections_opened counter",
        'istio_tcp_connections_opened_total{reporter="source",source_workload="sleep",'
        'source_canonical_service="unknown",source_canonical_revision="unknown",'
        'source_workload_namespace="unknown",source_principal="unknown",source_app="unknown",'
        'source_version="unknown",source_cluster="unknown",destination_service="web.svc",'
        'destination_service_namespace="ns",destination_service_name="web",destination_workload="unknown",'
        'destination_canonical_service="unknown",destination_canonical_revision="unknown",'
        'destination_workload_namespace="unknown",destination_principal="unknown",destination_app="unknown",'
        'destination_version="unknown",destination_cluster="unknown",request_protocol="tcp",'
        'response_flags="-",connection_security_policy="mutual_tls",source_region="unknown",'
        'source_zone="unknown",destination_region="unknown",destination_zone="unknown"} 5',
    ]


def test_only_ends_carry_the_final_flag():
    families = parsed(text_of(Snapshot([SERIES], [])))
    assert values(families["istio_tcp_connections_opened"]) == {"-": 5}
    assert values(families["istio_tcp_connections_closed"]) == {"-": 3, "CONNECT": 1}
    assert values(families["istio_tcp_connections_failed"]) == {"CONNECT": 1}
    assert values(families["istio_tcp_received_bytes"]) == {"-": 1100}
    assert values(families["istio_tcp_sent_bytes"]) == {"-": 2200}


def test_without_a_failure_there_is_no_family_of_failures():
    calm = SeriesCounts(SERIES.labels, 1, {"-": 1}, 0, 0)
    assert "istio_tcp_connections_failed" not in text_of(Snapshot([calm], []))


def test_locality_labels_follow_only_where_they_are_known():
    bare = SeriesCounts(traffic_label_values(ConnectionFacts("source", None, None)), 1, {}, 0, 0)
    samples = parsed(text_of(Snapshot([SERIES, bare], [])))["istio_tcp_connections_opened"].samples
    assert list(samples[0].labels) == [*TRAFFIC_LABELS, *LOCALITY_LABELS]
    assert list(samples[1].labels) == list(TRAFFIC_LABELS)


def test_a_family_is_announced_once_however_many_series_it_has():
    many = [SeriesCounts((f"r{number}", *SERIES.labels[1:]), 1, {}, 0, 0) for number in range(1000)]
    text = text_of(Snapshot(many, []))
    assert text.count("# TYPE istio_tcp_connections_opened counter") == 1
    assert len(parsed(text)["istio_tcp_connections_opened"].samples) == 1000


def test_pieces_are_small_enough_to_give_way_in_between():
    many = [SeriesCounts((f"r{number}", *SERIES.labels[1:]), 1, {}, 0, 0) for number in range(1000)]
    assert max(piece.count("\n") for piece in render(Snapshot(many, []))) < 250


@pytest.mark.parametrize("nasty", ['qu"ote', "back\\slash", "new\nline", "comma,}{=", "ünïcode ☃", ""])
def test_any_label_value_comes_back_as_it_was(nasty: str):
    family = Family("c", "counter", "C", ("l",), {(nasty,): [1]})
    facts = ConnectionFacts("source", Party(workload=nasty or "unknown"), None)
    snapshot = Snapshot([SeriesCounts(traffic_label_values(facts), 1, {}, 0, 0)], [family])
    families = parsed(text_of(snapshot))
    assert families["c"].samples[0].labels == {"l": nasty}
    opened = families["istio_tcp_connections_opened"].samples[0]
    assert opened.labels["source_workload"] == (nasty or "unknown")


def test_the_library_writes_the_same_but_for_the_order_of_labels():
    families = [
        Family("c", "counter", "Counts", ("b", "a"), {("1", "2"): [3], ("x", "y"): [4]}),
        Family("g", "gauge", "Goes", (), {(): [2.5]}),
        Family("h", "histogram", "Has", ("b",), {("1",): [3, 0, 1, 12.5]}, (0.0005, 5.0)),
    ]
    ours = text_of(Snapshot([SERIES], families))

    class Theirs:
        def collect(self):
            yield from text_string_to_metric_families(ours)

    def sorted_samples(text: str) -> list[tuple[str, list[tuple[str, frozenset[tuple[str, str]], float]]]]:
        return [
            (name, [(sample.name, frozenset(sample.labels.items()), sample.value) for sample in metric.samples])
            for name, metric in parsed(text).items()
        ]

    assert sorted_samples(generate_latest(Theirs()).decode()) == sorted_samples(ours)
    assert generate_latest(Theirs()).decode().count("\n") == ours.count("\n")


def test_in_the_older_format_counters_have_the_name_they_were_given():
    pushes = Family("pilot_xds_pushes", "counter", "Pushes", ("type",), {("cds",): [3]})
    text = "".join(render_classic([pushes, Family("unused", "gauge", "Unused")]))
    assert text == '# HELP pilot_xds_pushes Pushes.\n# TYPE pilot_xds_pushes counter\npilot_xds_pushes{type="cds"} 3\n'
    [family] = classic_families(text)
    assert family.samples[0].value == 3


def test_what_was_rendered_in_the_older_format_is_read_with_its_kinds() -> None:
    bytes_ = Family("istio_request_bytes", "gauge", "Size")
    bytes_.samples[()] = [1]
    families = classic_families(as_classic(text_of(Snapshot([SERIES], [bytes_]))))
    assert {family.name: family.type for family in families} == {
        "istio_tcp_connections_opened": "counter",
        "istio_tcp_connections_closed": "counter",
        "istio_tcp_received_bytes": "counter",
        "istio_tcp_sent_bytes": "counter",
        "istio_tcp_connections_failed": "counter",
        "istio_request_bytes": "gauge",
    }
    assert all(sample.name.startswith(family.name) for family in families for sample in family.samples)
