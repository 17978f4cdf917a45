"""When the embedded world starts."""

from __future__ import annotations

import pytest

from mesh_py.settings.source import Given
from waypoint_py.embedded_default import EMBEDDED


def layers(flags: dict[str, str], environment: dict[str, str], *files: dict[str, str]) -> list[dict[str, Given]]:
    return [{name: Given(text, name) for name, text in one.items()} for one in (flags, environment, *files)]


@pytest.mark.parametrize(
    ("flags", "environment", "expected"),
    [
        pytest.param({}, {}, True, id="nothing"),
        pytest.param({"RUST_LOG": "debug"}, {}, True, id="how loudly"),
        pytest.param({"GATEWAY_NAME": "w"}, {}, False, id="a flag of a waypoint"),
        pytest.param({}, {"GATEWAY_NAME": "w"}, True, id="a variable that describes none"),
        pytest.param({}, {"LOCAL_XDS_PATH": "mesh.yaml"}, False, id="a mesh"),
        pytest.param({}, {"PROXY_WORKLOAD_INFO": "a/b/c"}, False, id="a workload"),
        pytest.param({}, {"POD_NAME": "a"}, False, id="a pod"),
        pytest.param({}, {"WORKLOAD_CERT_DIR": "certs"}, False, id="certificates"),
    ],
)
def test_what_starts(flags: dict[str, str], environment: dict[str, str], expected: bool) -> None:
    assert EMBEDDED.applies(layers(flags, environment), environment) is expected
