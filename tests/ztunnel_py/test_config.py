"""Settings of a process: precedence, what goes together, and every bad value as one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from hbone_py import Deadlines, Http2Config, Keepalive, TlsSettings
from hbone_py.aio.tcp import SocketOptions
from mesh_py.process.memory_limit import memory_limit
from mesh_py.telemetry.log_filter import LogFilter
from ztunnel_py.config import Mode, Ports, Settings, SettingsError, WorkloadInfo, from_env

ENOUGH = {"LOCAL_XDS_PATH": "mesh.yaml", "WORKLOAD_CERT_DIR": "certs"}
"""The least a proxy must be told."""


def settings(**environ: str) -> Settings:
    """Settings from an environment with enough in it."""
    return from_env(ENOUGH | environ)


def test_what_is_not_said_has_its_default() -> None:
    got = settings()
    assert (got.mode, got.node, got.workload) == (Mode.NODE, None, None)
    assert (got.network, got.cluster_id, got.cluster_domain) == ("", "Kubernetes", "cluster.local")
    assert got.trust_domain == "cluster.local"
    assert (got.local_xds_path, got.local_xds, got.watch_file) == (Path("mesh.yaml"), None, True)
    assert (got.bind, got.local_bind, got.bind_address, got.ports) == (None, "127.0.0.1", "::", Ports())
    assert (got.socks5_enabled, got.socks_as, got.proxy_protocol_capture) == (False, None, False)
    assert (got.tls, got.http2) == (TlsSettings(), Http2Config())
    assert (got.deadlines, got.keepalive, got.socket_options) == (Deadlines(), Keepalive(), SocketOptions())
    assert (got.pool_max_streams, got.pool_idle) == (100, 300.0)
    assert got.unread_budget == memory_limit() // 4
    assert (got.lenient_resets, got.response_baggage, got.preserve_source) == (False, True, None)
    assert (got.state_wait, got.policy_wait, got.drain_deadline, got.workers) == (5.0, 5.0, 5.0, 1)
    assert (got.log_filter, got.log_json, got.authz_info_logging) == (LogFilter.parse("info"), False, False)


@pytest.mark.parametrize(
    ("environ", "field", "value"),
    [
        pytest.param({"NODE_NAME": "n1"}, "node", "n1", id="node"),
        pytest.param({"IPV6_ENABLED": "false"}, "bind_address", "0.0.0.0", id="without IPv6"),
        pytest.param({"PROXY_BIND_ADDRESS": "10.0.0.5"}, "bind_address", "10.0.0.5", id="bind"),
        pytest.param({"PROXY_BIND_ADDRESS": "10.0.0.5"}, "local_bind", "127.0.0.1", id="admin stays on localhost"),
        pytest.param({"PROXY_BIND_ADDRESS": "127.9.8.7"}, "local_bind", "127.9.8.7", id="loopback takes admin along"),
        pytest.param({"PROXY_LOCAL_ADDRESS": "127.1.1.1"}, "local_bind", "127.1.1.1", id="local address"),
        pytest.param({"ADMIN_PORT": "0"}, "ports", Ports(admin=0), id="any free port"),
        pytest.param({"LOCAL_XDS_WATCH": "false"}, "watch_file", False, id="file not followed"),
        pytest.param({"ENABLE_ORIG_SRC": "true"}, "preserve_source", True, id="source kept"),
        pytest.param({"ENABLE_ORIG_SRC": "false"}, "preserve_source", False, id="source not kept"),
        pytest.param({"ENABLE_ORIG_SRC": "auto"}, "preserve_source", None, id="source kept if possible"),
        pytest.param({"TLS12_ENABLED": "true"}, "tls", TlsSettings(tls12=True), id="TLS 1.2"),
        pytest.param({"COMPLIANCE_POLICY": "pqc"}, "tls", TlsSettings(post_quantum_only=True), id="post-quantum"),
        pytest.param(
            {"KEY_LOG": "true", "SSLKEYLOGFILE": "keys"}, "tls", TlsSettings(keylog=Path("keys")), id="key log"
        ),
        pytest.param({"SSLKEYLOGFILE": "keys"}, "tls", TlsSettings(), id="a key log must be asked for"),
        pytest.param(
            {"HTTP2_STREAM_WINDOW_SIZE": "4194304", "HTTP2_CONNECTION_WINDOW_SIZE": "16777216"},
            "http2",
            Http2Config(stream_window=4 << 20, connection_window=16 << 20),
            id="ztunnel's windows",
        ),
        pytest.param({"PACKET_MARK": "1337"}, "socket_options", SocketOptions(mark=1337), id="mark"),
        pytest.param({"PACKET_MARK": "0"}, "socket_options", SocketOptions(), id="no mark"),
        pytest.param(
            {"KEEPALIVE_TIME": "1m", "KEEPALIVE_RETRIES": "3", "USER_TIMEOUT_ENABLED": "true"},
            "socket_options",
            SocketOptions(keepalive_idle=60, keepalive_retries=3, user_timeout=True),
            id="keepalive",
        ),
        pytest.param({"UNREAD_BUDGET": "1GiB"}, "unread_budget", 1 << 30, id="budget"),
        pytest.param({"POOL_UNUSED_RELEASE_TIMEOUT": "30s"}, "pool_idle", 30.0, id="pool"),
        pytest.param({"ZTUNNEL_WORKER_THREADS": "3"}, "workers", 3, id="workers"),
        pytest.param({"RUST_LOG": "access=debug,warn"}, "log_filter", LogFilter.parse("access=debug,warn"), id="log"),
        pytest.param({"LOG_FORMAT": "json"}, "log_json", True, id="JSON lines"),
    ],
)
def test_a_variable_means_what_it_says(environ: dict[str, str], field: str, value: object) -> None:
    assert getattr(settings(**environ), field) == value


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        # hbone-dataplane 6.2
        pytest.param({}, 5.0, id="nothing said"),
        pytest.param({"CONNECTION_TERMINATION_DEADLINE": "90s"}, 90.0, id="named outright"),
        pytest.param(
            {"CONNECTION_TERMINATION_DEADLINE": "2m", "TERMINATION_GRACE_PERIOD_SECONDS": "30"}, 120.0, id="it wins"
        ),
        pytest.param({"TERMINATION_GRACE_PERIOD_SECONDS": "30"}, 25.0, id="the chart's 30"),
        pytest.param({"TERMINATION_GRACE_PERIOD_SECONDS": "11"}, 6.0, id="just above 10"),
        pytest.param({"TERMINATION_GRACE_PERIOD_SECONDS": "10"}, 9.0, id="10"),
        pytest.param({"TERMINATION_GRACE_PERIOD_SECONDS": "1"}, 1.0, id="at least one"),
    ],
)
def test_the_drain_ends_before_we_are_killed(environ: dict[str, str], seconds: float) -> None:
    assert settings(**environ).drain_deadline == seconds


def test_a_flag_wins_over_the_environment() -> None:
    got = from_env(ENOUGH | {"NODE_NAME": "by-variable", "NETWORK": "west"}, {"NODE_NAME": "by-flag"})
    assert (got.node, got.network) == ("by-flag", "west")


def test_dedicated_mode_serves_one_workload() -> None:
    got = settings(PROXY_MODE="dedicated", PROXY_WORKLOAD_INFO="shop/cart-1/cart")
    assert (got.mode, got.workload) == (Mode.DEDICATED, WorkloadInfo("shop", "cart-1", "cart"))
    assert got.certificates.is_dedicated


def test_the_agents_socket_means_shared_mode() -> None:
    got = settings(INPOD_UDS="/run/z.sock", PROXY_MODE="")
    assert (got.mode, got.inpod_uds, got.socket_options.mark) == (Mode.SHARED, Path("/run/z.sock"), 1337)
    assert (got.workload, got.inpod_port_reuse) == (None, True)
    assert got.dns is not None


@pytest.mark.parametrize(
    ("environ", "mode"),
    [
        pytest.param({"PROXY_MODE": "shared"}, Mode.SHARED, id="the mode alone"),
        pytest.param({"PROXY_MODE": "node", "INPOD_UDS": "/run/z.sock"}, Mode.NODE, id="the mode wins"),
        pytest.param({"PROXY_MODE": ""}, Mode.NODE, id="neither"),
    ],
)
def test_which_mode_it_is(environ: dict[str, str], mode: Mode) -> None:
    got = settings(**environ)
    assert (got.mode, got.socket_options.mark) == (mode, 1337 if mode is Mode.SHARED else None)


def test_in_shared_mode_we_are_a_workload_ourselves_if_all_of_it_is_told() -> None:
    ourselves = {"POD_NAME": "ztunnel-x", "POD_NAMESPACE": "istio-system", "SERVICE_ACCOUNT": "ztunnel"}
    got = settings(PROXY_MODE="shared", **ourselves)
    assert got.workload == WorkloadInfo("istio-system", "ztunnel-x", "ztunnel")
    assert settings(PROXY_MODE="shared", **ourselves | {"SERVICE_ACCOUNT": ""}).workload is None
    assert settings(PROXY_MODE="node", **ourselves).workload is None


@pytest.mark.parametrize(
    ("environ", "folder"),
    [
        pytest.param({"XDG_STATE_HOME": "/state"}, Path("/state/hbone-mesh/ca"), id="of the user"),
        pytest.param({"XDG_STATE_HOME": "/state", "FAKE_CA_DIR": "here"}, Path("here"), id="chosen"),
    ],
)
def test_the_fake_ca_has_its_folder(environ: dict[str, str], folder: Path) -> None:
    assert settings(FAKE_CA="true", **environ).fake_ca_folder == folder


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        pytest.param(
            {"PROXY_MODE": "sidecar"},
            "PROXY_MODE: 'sidecar' is none of node, dedicated, shared",
            id="unknown mode",
        ),
        pytest.param(
            {"INPOD_UDS": "/run/z.sock", "ZTUNNEL_WORKER_THREADS": "2"},
            "ZTUNNEL_WORKER_THREADS: shared mode is one process, which the node's agent speaks to: leave it at 1",
            id="workers in shared mode",
        ),
        pytest.param(
            {"PROXY_MODE": "shared", "PROXY_PROTOCOL_CAPTURE": "true"},
            "PROXY_PROTOCOL_CAPTURE: stands in for redirection, which pods of shared mode have: leave it out",
            id="PROXY protocol in shared mode",
        ),
        pytest.param(
            {"PROXY_MODE": "shared", "PROXY_WORKLOAD_INFO": "a/b/c"},
            "PROXY_WORKLOAD_INFO: only a dedicated proxy serves one workload: set PROXY_MODE=dedicated with it",
            id="one workload in shared mode",
        ),
        pytest.param(
            {"PROXY_MODE": "dedicated"},
            "PROXY_WORKLOAD_INFO: dedicated mode needs it: namespace/name/service-account",
            id="dedicated to nobody",
        ),
        pytest.param(
            {"PROXY_WORKLOAD_INFO": "a/b/c"},
            "PROXY_WORKLOAD_INFO: only a dedicated proxy serves one workload: set PROXY_MODE=dedicated with it",
            id="one workload in node mode",
        ),
        pytest.param(
            {"XDS_ADDRESS": "http://istiod:15010"},
            "XDS_ADDRESS: would send the token in the clear: http:// is for loopback addresses, use https://",
            id="control plane in the clear",
        ),
        pytest.param(
            {"XDS_ADDRESS": "istiod:15012", "XDS_ON_DEMAND": "true", "ISTIO_META_DNS_CAPTURE": "true"},
            "XDS_ON_DEMAND: DNS needs to know all names, so it cannot go with on demand: "
            "set ISTIO_META_DNS_CAPTURE=false",
            id="names on demand and DNS",
        ),
        pytest.param(
            {"ENABLE_PROXY": "false"},
            "ENABLE_PROXY: nothing is left: set ISTIO_META_DNS_CAPTURE=true",
            id="neither connections nor names",
        ),
        pytest.param(
            {"XDS_ADDRESS": "istiod:15012", "STUB_BACKENDS": "true"},
            "XDS_ADDRESS: stub backends stand in for a described mesh, not for a live one: leave it empty",
            id="stand-ins for a live mesh",
        ),
        pytest.param(
            {"XDS_ADDRESS": "istiod:15012", "ISTIO_METAJSON_X": "nonsense"},
            'ISTIO_METAJSON_X: Expecting value: line 1 column 1 (char 0): write JSON, such as {} or "text"',
            id="a fact about us that is no JSON",
        ),
        pytest.param(
            {"LOCAL_XDS": "{}"},
            "LOCAL_XDS_PATH and LOCAL_XDS: only one of them can be the mesh: leave out the other",
            id="two meshes",
        ),
        pytest.param(
            {"PROXY_LOCAL_ADDRESS": "10.0.0.1"},
            "PROXY_LOCAL_ADDRESS: '10.0.0.1' is no loopback address: admin and SOCKS5 stay on this machine",
            id="admin for all the world",
        ),
        pytest.param(
            {"PROXY_PROTOCOL_CAPTURE": "true"},
            "PROXY_PROTOCOL_CAPTURE: whoever reaches the port could claim any source: "
            "set PROXY_BIND_ADDRESS to a loopback address",
            id="anybody may claim a source",
        ),
        pytest.param(
            {"PROXY_PROTOCOL_CAPTURE": "true", "PROXY_BIND_ADDRESS": "10.0.0.1"},
            "PROXY_PROTOCOL_CAPTURE: whoever reaches the port could claim any source: "
            "set PROXY_BIND_ADDRESS to a loopback address",
            id="all the world may",
        ),
        pytest.param(
            {"HTTP2_STREAM_WINDOW_SIZE": "32MiB"},
            "HTTP2_STREAM_WINDOW_SIZE: a connection window of 67108864 bytes is less than 4 stream windows of 33554432"
            ": one unread stream could stop its neighbours",
            id="windows out of proportion",
        ),
        pytest.param(
            {"HTTP2_FRAME_SIZE": "1000"},
            "HTTP2_FRAME_SIZE: the frame size must be 16384 to 16777215 bytes, not 1000",
            id="frame size",
        ),
        pytest.param({"KEY_LOG": "true"}, "KEY_LOG: SSLKEYLOGFILE must name the file", id="key log to nowhere"),
        pytest.param(
            {"RUST_LOG": "loud"},
            "RUST_LOG: no level 'loud' in 'loud'; levels are off, error, warn, info, debug, trace",
            id="log level",
        ),
        pytest.param(
            {"PROXY_BIND_ADDRESS": "localhost"}, "PROXY_BIND_ADDRESS: 'localhost' is not an IP address", id="address"
        ),
        pytest.param({"INBOUND_PORT": "http"}, "INBOUND_PORT: 'http' is not a whole number from 0 to 65535", id="port"),
        pytest.param(
            {"COMPLIANCE_POLICY": "fips-140-2"}, "COMPLIANCE_POLICY: 'fips-140-2' is none of pqc", id="compliance"
        ),
        pytest.param({"FAKE_CA": "yes"}, "FAKE_CA: 'yes' is neither true nor false", id="yes is not true"),
        pytest.param(
            {"SOCKS5_SOURCE_WORKLOAD": "sleep"}, "SOCKS5_SOURCE_WORKLOAD: 'sleep' is not namespace/name", id="SOCKS"
        ),
    ],
)
def test_what_cannot_be_is_one_line(environ: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError) as failure:
        settings(**environ)
    assert str(failure.value) == message


def test_a_proxy_needs_a_mesh() -> None:
    with pytest.raises(SettingsError, match=r"^no mesh: set LOCAL_XDS_PATH"):
        from_env({"FAKE_CA": "true"})


def test_a_flag_is_named_by_the_complaint() -> None:
    with pytest.raises(SettingsError, match=r"^--stream-window: a connection window"):
        from_env(ENOUGH, {"HTTP2_STREAM_WINDOW_SIZE": "64MiB"})
