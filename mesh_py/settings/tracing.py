"""How proxies are told to export spans: OpenTelemetry's own names, as far as they have a meaning here [pure].

https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ and .../protocol/exporter/ have them.
Times are milliseconds there, so they are here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from mesh_py.settings.kinds import BOOLEAN, TEXT, Kind, choice, whole
from mesh_py.settings.setting import setting
from mesh_py.settings.source import SettingsError
from mesh_py.tracing.sampling import SAMPLERS, Sampler

if TYPE_CHECKING:
    from mesh_py.settings.source import Values


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_usable = False
    if text and (not is_usable or parts.query or parts.fragment):
        raise ValueError("is not an address such as http://collector:4318")
    return text


def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    """`name=value,name=value`, values percent-encoded (W3C baggage)."""
    found = []
    for member in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = (part.strip() for part in member.partition("="))
        if not name or not equals or not unquote(value).isprintable():
            raise ValueError("is not a list such as name=value,name=value")
        found.append((name, unquote(value)))
    return tuple(found)


def _ratio(text: str) -> float:
    try:
        ratio = float(text)
    except ValueError:
        ratio = math.nan
    if not 0 <= ratio <= 1:
        raise ValueError("is not a number from 0 to 1")
    return ratio


_URL = Kind(_url, "URL")
_MILLISECONDS = Kind(whole(1, 3_600_000), "MILLISECONDS")
_COUNT = Kind(whole(1, 1_000_000), "N")

# fmt: off

ENDPOINT = setting(
    "OTEL_EXPORTER_OTLP_ENDPOINT", _URL, "", "Where spans go, by OTLP over HTTP: http://host:4318, to which /v1/traces "
    "is added. Empty: nowhere. Needs the extra `otlp`.",
)
TRACES_ENDPOINT = setting(
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", _URL, "", "The same, taken as it is written; it wins.",
)
PROTOCOL = setting(
    "OTEL_EXPORTER_OTLP_PROTOCOL", Kind(choice("http/protobuf"), "http/protobuf"), "http/protobuf",
    "The only form there is.", also=("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",),
)
HEADERS = setting(
    "OTEL_EXPORTER_OTLP_HEADERS", Kind(_pairs, "NAME=VALUE,...", lambda found: "(not shown)" if found else ""), (),
    "Headers of each export, such as a token.", also=("OTEL_EXPORTER_OTLP_TRACES_HEADERS",),
)
TIMEOUT = setting(
    "OTEL_EXPORTER_OTLP_TIMEOUT", _MILLISECONDS, 10_000, "An export may take so long, all its tries together.",
    also=("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",),
)
SAMPLER = setting(
    "OTEL_TRACES_SAMPLER", Kind(choice(*SAMPLERS), "NAME"), "parentbased_always_on",
    "Which traces are recorded: " + ", ".join(SAMPLERS[:3]) + ", or parentbased_ and one of them. (Istio's choice: "
    "parentbased_traceidratio, 0.01.)",
)
SAMPLER_ARG = setting(
    "OTEL_TRACES_SAMPLER_ARG", Kind(_ratio, "RATIO"), 1.0, "The share of traces that traceidratio records, from 0 to 1."
)
SERVICE_NAME = setting(
    "OTEL_SERVICE_NAME", TEXT, "", "service.name of our spans.",
    note="canonical service and namespace; a node proxy: ztunnel",
)
RESOURCE = setting(
    "OTEL_RESOURCE_ATTRIBUTES", Kind(_pairs, "NAME=VALUE,...", lambda found: ",".join("=".join(one) for one in found)),
    (), "Further attributes of who records.",
)
QUEUE = setting("OTEL_BSP_MAX_QUEUE_SIZE", _COUNT, 2048, "Spans that may wait; further ones are dropped and counted.")
BATCH = setting("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", _COUNT, 512, "Spans of one export.")
DELAY = setting("OTEL_BSP_SCHEDULE_DELAY", _MILLISECONDS, 5_000, "Spans wait so long for others to go with.")
DISABLED = setting("OTEL_SDK_DISABLED", BOOLEAN, False, "No spans, whatever the others say.")

# fmt: on

TRACING = (
    ENDPOINT, TRACES_ENDPOINT, PROTOCOL, HEADERS, TIMEOUT, SAMPLER, SAMPLER_ARG, SERVICE_NAME, RESOURCE, QUEUE, BATCH,
    DELAY, DISABLED,
)  # fmt: skip
"""In the order help pages show them."""


@dataclass(frozen=True, slots=True)
class TracingSettings:
    """Where spans go, and which. Times are seconds."""

    url: str
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Nobody is shown them."""
    timeout: float = 10.0
    sampler: Sampler = field(default_factory=Sampler)
    service_name: str = ""
    """Empty: the workload's."""
    resource: tuple[tuple[str, str], ...] = ()
    most_waiting: int = 2048
    batch: int = 512
    delay: float = 5.0


def tracing(values: Values) -> TracingSettings | None:
    """What the settings say; None where spans go nowhere. Raises SettingsError."""
    url = values[TRACES_ENDPOINT]
    if not url and values[ENDPOINT]:
        url = values[ENDPOINT].rstrip("/") + "/v1/traces"
    if not url or values[DISABLED]:
        return None
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.proto") is None:
        where = values.origin(TRACES_ENDPOINT if values[TRACES_ENDPOINT] else ENDPOINT)
        raise SettingsError(f"{where}: exporting spans needs the extra otlp: pip install 'hbone-mesh[otlp]'")
    return TracingSettings(
        url,
        values[HEADERS],
        values[TIMEOUT] / 1000,
        Sampler(values[SAMPLER], values[SAMPLER_ARG]),
        values[SERVICE_NAME],
        values[RESOURCE],
        values[QUEUE],
        values[BATCH],
        values[DELAY] / 1000,
    )
