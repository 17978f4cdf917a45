"""The load generator against its own servers and against sockets of ours; no proxy takes part."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks import generator
from benchmarks.processes import BenchmarkError, Processes, wait_until
from tests.support.processes import free_port, loopback_address
from tests.support.require import require_tool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="module", autouse=True)
def _binary() -> None:
    require_tool("gcc")
    generator.build()


@pytest.fixture
def processes() -> Iterator[Processes]:
    with Processes() as running:
        yield running


@pytest.fixture
def address() -> str:
    """A free port on a loopback address that nobody else uses."""
    host = loopback_address()
    return f"{host}:{free_port(host)}"


def client(processes: Processes, folder: Path, mode: str, *arguments: str, seconds: float = 0.1) -> dict[str, Any]:
    """What the generator says of a tenth of a second, unless told otherwise."""
    command = [str(generator.build()), mode, "--seconds", f"{seconds}", "--warmup", f"{seconds / 2}", *arguments]
    return generator.run_client(processes, command, seconds=20, group=None, log=folder / "log")


def patient_client(
    processes: Processes, folder: Path, mode: str, *arguments: str, enough: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    """The same of longer times until `enough` was done: on a busy machine a tenth of a second may pass unused."""
    for seconds in (0.1, 0.5, 2.5):
        with contextlib.suppress(BenchmarkError):
            if enough(said := client(processes, folder, mode, *arguments, seconds=seconds)):
                return said
    return client(processes, folder, mode, *arguments, seconds=5)


@pytest.mark.parametrize(
    ("request_size", "response_size"), [(64, 64), (1, 100000), (65536, 1)], ids=["small", "long answer", "long request"]
)
def test_round_trips_of_any_size(
    processes: Processes, address: str, tmp_path: Path, request_size: int, response_size: int
) -> None:
    sizes = ["--request", str(request_size), "--response", str(response_size)]
    generator.start_server(processes, "echo", ["--target", address, *sizes])
    asked = ("rr", "--target", address, "--connections", "4", *sizes)
    said = patient_client(processes, tmp_path, *asked, enough=lambda said: said["with_warmup"] > said["operations"] > 4)
    assert said["with_warmup"] > said["operations"] > 4
    assert said["p50_us"] <= said["p90_us"] <= said["p99_us"] <= said["p999_us"] <= said["max_us"]


@pytest.mark.parametrize("size", [1, 100, 1_000_000])
def test_http_round_trips(processes: Processes, address: str, tmp_path: Path, size: int) -> None:
    generator.start_server(processes, "web", ["--target", address, "--response", "7"])
    asked = ["--connections", "4", "--response", str(size)]
    said = patient_client(
        processes, tmp_path, "http", "--target", address, *asked, enough=lambda said: said["operations"] > 4
    )
    assert said["operations"] > 4
    assert said["bytes"] > said["operations"] * size
    for path, length in (("", 7), (f"items?bytes={size}", size)):
        with urllib.request.urlopen(f"http://{address}/{path}", timeout=10) as response:
            assert len(response.read()) == length


def test_whole_exchanges_are_ended_and_count(processes: Processes, address: str, tmp_path: Path) -> None:
    generator.start_server(processes, "web", ["--target", address])
    asked = ["--connections", "3", "--seconds", "0.01", "--warmup", "0", "--whole", "--response", "3000000"]
    said = client(processes, tmp_path, "http", "--target", address, *asked)
    assert said["bytes"] % said["operations"] == 0
    assert said["bytes"] // said["operations"] > 3_000_000


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
    ],
    ids=["no 200", "no length"],
)
def test_an_answer_that_is_not_the_one_expected_is_no_figure(
    processes: Processes, tmp_path: Path, answer: bytes
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_answer_once, args=(listener, answer))
        thread.start()
        with pytest.raises(BenchmarkError, match="not a 200 with a content-length"):
            client(processes, tmp_path, "http", "--target", f"127.0.0.1:{listener.getsockname()[1]}", seconds=5)
        thread.join(10)


def _answer_once(listener: socket.socket, answer: bytes) -> None:
    connection, _ = listener.accept()
    with connection:
        request = connection.recv(65536)
        assert request.startswith(b"GET /items/7?bytes=64 HTTP/1.1\r\nhost: loadgen\r\n")
        connection.sendall(answer)
        with contextlib.suppress(ConnectionResetError):
            connection.recv(1)


@pytest.mark.parametrize("close", ["fin", "reset"])
def test_new_connections_without_an_error(processes: Processes, address: str, tmp_path: Path, close: str) -> None:
    generator.start_server(processes, "echo", ["--target", address, "--ports", "2"])
    said = patient_client(
        *(processes, tmp_path, "connect", "--target", address, "--ports", "2", "--connections", "3"),
        *("--close", close, "--source", "127.0.0.9"),
        enough=lambda said: said["operations"] > 3,
    )
    assert said["operations"] > 3
    assert said["errors"] == 0


@pytest.mark.parametrize(("server", "mode"), [("sink", "send"), ("source", "receive")])
def test_bulk_each_way(processes: Processes, address: str, tmp_path: Path, server: str, mode: str) -> None:
    generator.start_server(processes, server, ["--target", address])
    said = patient_client(
        *(processes, tmp_path, mode, "--target", address, "--connections", "2"),
        enough=lambda said: said["bytes"] > 1 << 20,
    )
    assert said["bytes"] > 1 << 20
    assert said["gbit_s"] == pytest.approx(said["bytes"] * 8e-9 / said["seconds"], rel=1e-3)


def test_a_server_that_hangs_up_is_an_error_with_its_reason(processes: Processes, address: str, tmp_path: Path) -> None:
    generator.start_server(processes, "sink", ["--target", address])
    with pytest.raises(BenchmarkError, match=r"loadgen failed with status 1: .*not one operation"):
        client(processes, tmp_path, "rr", "--target", address)


def test_cores_are_kept_awake_until_the_keeper_ends(processes: Processes) -> None:
    keeper = generator.start_server(processes, "awake", [])
    children = Path(f"/proc/{keeper.pid}/task/{keeper.pid}/children").read_text().split()
    assert len(children) == len(os.sched_getaffinity(0))
    assert {os.sched_getscheduler(int(child)) for child in children} == {os.SCHED_IDLE}
    processes.end(keeper)
    for child in children:
        _await_end(int(child))


def _await_end(pid: int) -> None:
    # Of the lowest priority also in dying: on a busy machine that takes a while.
    wait_until(lambda: not Path(f"/proc/{pid}").exists() or b"Z" in _state(pid), f"the end of {pid}", 20)


def _state(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return b"Z"


def test_a_port_in_use_is_told(processes: Processes, address: str) -> None:
    generator.start_server(processes, "echo", ["--target", address])
    with pytest.raises(BenchmarkError, match="the echo application did not start"):
        generator.start_server(processes, "echo", ["--target", address])


V1 = b"PROXY TCP4 127.0.0.9 10.1.2.3 5555 8080\r\n"
V2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x7f\0\0\x09\x0a\1\2\3" + struct.pack(">HH", 5555, 8080)


@pytest.mark.parametrize(("form", "header"), [("v1", V1), ("v2", V2)])
@pytest.mark.parametrize("mode", ["rr", "connect"])
def test_a_proxy_header_names_the_true_destination(
    processes: Processes, tmp_path: Path, form: str, header: bytes, mode: str
) -> None:
    """The listener reads header and request, and echoes the request only."""
    seen: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_echo_behind_header, args=(listener, len(header), seen))
        thread.start()
        port = listener.getsockname()[1]
        patient_client(
            *(processes, tmp_path, mode, "--target", "10.1.2.3:8080", "--via", f"127.0.0.1:{port}"),
            *("--proxy", form, "--source", "127.0.0.9", "--warmup", "0"),
            enough=lambda said: said["operations"] > 0,
        )
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)
    assert set(seen) - {b""} == {header}  # the last connections may end unused with the run


def _echo_behind_header(listener: socket.socket, length: int, seen: list[bytes]) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            seen.append(connection.recv(length, socket.MSG_WAITALL))
            try:
                while chunk := connection.recv(65536):
                    connection.sendall(chunk)
            except ConnectionError:
                pass
