"""When nothing is configured the embedded world starts; everything that describes a proxy prevents it."""

from __future__ import annotations

import pytest

from mesh_py.settings.source import Given, from_environment, from_flags
from ztunnel_py.embedded_default import EMBEDDED
from ztunnel_py.settings_table import TABLE


def asked(flags: dict[str, str], environ: dict[str, str], *files: dict[str, Given]) -> bool:
    return EMBEDDED.applies([from_flags(TABLE, flags), from_environment(TABLE, environ), *files], environ)


@pytest.mark.parametrize(
    ("flags", "environ"),
    [
        pytest.param({}, {}, id="nothing"),
        pytest.param({}, {"RUST_LOG": "debug", "LOG_FORMAT": "json"}, id="how it logs"),
        pytest.param({"RUST_LOG": "debug", "ZTUNNEL_WORKER_THREADS": "2"}, {}, id="how it logs, by flags, and workers"),
        pytest.param({}, {"FAKE_CA": "true", "NODE_NAME": "n"}, id="what describes no proxy by itself"),
        pytest.param({}, {"PROXY_MODE": ""}, id="an empty variable"),
    ],
)
def test_nothing_is_configured(flags: dict[str, str], environ: dict[str, str]) -> None:
    assert asked(flags, environ)


@pytest.mark.parametrize(
    ("flags", "environ"),
    [
        *(
            pytest.param({}, {name: "x"}, id=name)
            for name in (
                "LOCAL_XDS_PATH",
                "LOCAL_XDS",
                "XDS_ADDRESS",
                "CA_ADDRESS",
                "PROXY_MODE",
                "PROXY_WORKLOAD_INFO",
                "INPOD_UDS",
                "WORKLOAD_CERT_CHAIN",
                "WORKLOAD_KEY",
                "WORKLOAD_ROOT_CERT",
                "WORKLOAD_CERT_DIR",
            )
        ),
        pytest.param({}, {"XDS_ADDRESS": ""}, id="discovery said to be off"),
        pytest.param({"NODE_NAME": "n"}, {}, id="any flag of a proxy"),
    ],
)
def test_a_proxy_is_configured(flags: dict[str, str], environ: dict[str, str]) -> None:
    assert not asked(flags, environ)


def test_a_settings_file_configures_a_proxy() -> None:
    assert not asked({}, {}, {"NODE_NAME": Given("n", "s.yaml:1:1")})


def test_what_the_world_s_proxies_are_told_comes_from_the_strongest_source() -> None:
    environ = {"RUST_LOG": "warn", "LOG_FORMAT": "json", "NODE_NAME": "n"}
    layers = [from_flags(TABLE, {"RUST_LOG": "debug"}), from_environment(TABLE, environ)]
    assert EMBEDDED.environment(layers) == {"RUST_LOG": "debug", "LOG_FORMAT": "json"}
