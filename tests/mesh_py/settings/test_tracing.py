"""OpenTelemetry's names, and what they make of a process."""

from __future__ import annotations

import pytest

from mesh_py.settings import tracing as names
from mesh_py.settings.setting import SettingsTable
from mesh_py.settings.source import Given, SettingsError, Values, from_environment
from mesh_py.settings.tracing import TRACING, TracingSettings, tracing
from mesh_py.tracing.sampling import Sampler

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}


def values(**environ: str) -> Values:
    return Values([from_environment(SettingsTable({"": TRACING}), environ)])


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({}, None),
        (ENDPOINT, "http://collector:4318/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "https://collector/otel/"}, "https://collector/otel/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://[::1]:99/t"}, "http://[::1]:99/t"),
        ({**ENDPOINT, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://other/t"}, "http://other/t"),
        ({**ENDPOINT, "OTEL_SDK_DISABLED": "true"}, None),
    ],
)
def test_where_spans_go(environ: dict[str, str], url: str | None) -> None:
    found = tracing(values(**environ))
    assert (None if found is None else found.url) == url


def test_everything_that_can_be_said() -> None:
    found = tracing(
        values(
            **ENDPOINT,
            OTEL_EXPORTER_OTLP_TRACES_HEADERS="authorization=Bearer%20abc, x-tenant = shop",
            OTEL_EXPORTER_OTLP_TIMEOUT="2500",
            OTEL_TRACES_SAMPLER="traceidratio",
            OTEL_TRACES_SAMPLER_ARG="0.25",
            OTEL_SERVICE_NAME="edge",
            OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=test",
            OTEL_BSP_MAX_QUEUE_SIZE="100",
            OTEL_BSP_MAX_EXPORT_BATCH_SIZE="10",
            OTEL_BSP_SCHEDULE_DELAY="50",
        )
    )
    headers = (("authorization", "Bearer abc"), ("x-tenant", "shop"))
    resource = (("deployment.environment.name", "test"),)
    url, sampler = "http://collector:4318/v1/traces", Sampler("traceidratio", 0.25)
    assert found == TracingSettings(url, headers, 2.5, sampler, "edge", resource, 100, 10, 0.05)
    assert "Bearer" not in repr(found)
    assert "Bearer" not in names.HEADERS.kind.write(headers)


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318", "is not an address such as http://collector:4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://collector", "is not an address"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:port", "is not an address"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector/?a=b", "is not an address"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "is none of http/protobuf"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "token", "is not a list such as name=value"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=b%0d%0ac:d", "is not a list such as name=value"),
        ("OTEL_TRACES_SAMPLER", "sometimes", "is none of always_on"),
        ("OTEL_TRACES_SAMPLER_ARG", "1.5", "is not a number from 0 to 1"),
        ("OTEL_TRACES_SAMPLER_ARG", "nan", "is not a number from 0 to 1"),
        ("OTEL_BSP_SCHEDULE_DELAY", "0", "is not a whole number from 1"),
    ],
)
def test_what_cannot_be_meant(name: str, text: str, complaint: str) -> None:
    setting = next(one for one in TRACING if one.name == name)
    with pytest.raises(SettingsError, match=complaint) as caught:
        values(**{name: text})[setting]
    assert str(caught.value).startswith(f"{name}: ")


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "find_spec", lambda name: None)
    told = Values([{"OTEL_EXPORTER_OTLP_ENDPOINT": Given("http://c:4318", "--otel-exporter-otlp-endpoint")}])
    with pytest.raises(SettingsError, match=r"^--otel-exporter-otlp-endpoint: .*pip install 'hbone-mesh\[otlp\]'$"):
        tracing(told)
