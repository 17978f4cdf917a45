"""Metrics under istiod's names, as prometheus_client reads them."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from istiod_py.metrics import IstiodMetrics, short_type
from mesh_py.xds import types


def samples(metrics: IstiodMetrics) -> dict[tuple[str, tuple[str, ...]], float]:
    families = text_string_to_metric_families("".join(metrics.text()))
    found = [sample for family in families for sample in family.samples]
    # The parser gives counters the suffix that the newer format wants.
    return {(sample.name.removesuffix("_total"), tuple(sample.labels.values())): sample.value for sample in found}


def test_names_and_labels_are_those_of_istiods_dashboards() -> None:
    metrics = IstiodMetrics("1.2.3")
    metrics.connected(1)
    metrics.pushes.increase(("wds",))
    metrics.rejects.increase(("cds",))
    metrics.csrs.increase()
    metrics.convergence.observe(0.05)
    shown = samples(metrics)
    assert shown[("pilot_xds", ("1.2.3",))] == 1
    assert shown[("pilot_info", ("1.2.3",))] == 1
    assert shown[("pilot_xds_pushes", ("wds",))] == 1
    assert shown[("pilot_total_xds_rejects", ("cds",))] == 1
    assert shown[("citadel_server_csr_count", ())] == 1
    assert shown[("pilot_proxy_convergence_time_bucket", ("0.1",))] == 1
    assert shown[("pilot_proxy_convergence_time_bucket", ("0.01",))] == 0
    assert any(name == "process_open_fds" for name, _ in shown)


def test_what_is_counted_elsewhere_is_copied_in_on_reading() -> None:
    metrics = IstiodMetrics("x")
    metrics.before_reading(lambda: metrics.workloads.set(7))
    assert samples(metrics)[("pilot_workloads", ())] == 7


@pytest.mark.parametrize(
    ("type_url", "short"),
    [
        (types.CLUSTER, "cds"),
        (types.ENDPOINTS, "eds"),
        (types.LISTENER, "lds"),
        (types.ROUTE, "rds"),
        (types.SECRET, "sds"),
        (types.ADDRESS, "wds"),
        (types.AUTHORIZATION, "wads"),
        (types.PROXY_CONFIG, "hbone"),
        ("type.googleapis.com/made.up.Type", "other"),
        ("", "other"),
    ],
)
def test_types_have_short_names_and_strangers_cannot_invent_labels(type_url: str, short: str) -> None:
    assert short_type(type_url) == short
