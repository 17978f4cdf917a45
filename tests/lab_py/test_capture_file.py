"""What `run --pcap` writes, judged by tshark without any option."""

from __future__ import annotations

import os
import stat
import subprocess
from typing import TYPE_CHECKING

import pytest

from lab_py.capture_file import WARNING, capture_file
from lab_py.evidence.capture import Frame
from lab_py.evidence.recording import Sighting
from lab_py.hops.base import Hop
from tests.lab_py.labs import lab, require_lab
from tests.support.require import require_envoy, require_tool

if TYPE_CHECKING:
    from pathlib import Path

PLACES = [("pod", "eth0"), ("node", "istioout")]


def test_secrets_come_before_packets_and_the_file_says_so() -> None:
    seen = [Sighting(PLACES[1], Frame(1, b"frame"), None, (Hop("3", "into the tunnel", ()),))]
    written = capture_file(PLACES, seen, [b"CLIENT_RANDOM 00 11\n", b"CLIENT_RANDOM 22 33\n"], "title")
    parts = [
        WARNING.encode(),
        b"pod eth0",
        b"node istioout",
        b"CLIENT_RANDOM 00 11\nCLIENT_RANDOM 22",
        b"frame",
        b"hop (3)",
    ]
    assert sorted(parts, key=written.index) == parts


def test_without_secrets_there_is_no_warning() -> None:
    assert WARNING.encode() not in capture_file(PLACES, [], [b""], "title")


@pytest.mark.lab
@pytest.mark.privileged
@pytest.mark.interop
def test_tshark_shows_both_tunnels_and_the_request_inside(tmp_path: Path) -> None:
    """The waypoint is the real Envoy, which writes no secrets: those of the other ends do."""
    require_lab()
    require_envoy()
    file = tmp_path / "out.pcapng"
    done = lab(tmp_path, "run", "sidecar-to-waypoint", "--peer", "waypoint=envoy", "--pcap", str(file))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"warning: {file} {WARNING}" in done.stderr
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    connects = _read(file, "http2.headers.method == CONNECT", "ip.dst", "http2.headers.authority")
    assert {"10.244.3.20|10.244.4.30:5000", "10.244.4.30|10.244.4.30:5000"} <= connects
    inside = _read(
        file, 'http and frame.interface_name == "inside HBONE"', "ip.src", "http.request.method", "http.host"
    )
    assert inside == {"10.244.1.10|GET|helloworld:5000", "10.244.3.20|GET|helloworld:5000", "10.244.4.30||"}
    requests = _read(file, "http.request", "frame.interface_name", "http.host")
    assert {"sleep lo|helloworld:5000", "zt-node-d eth0|helloworld:5000"} <= requests
    assert {host for _, _, host in (one.partition("|") for one in requests)} == {"helloworld:5000"}, (
        "no request of ours"
    )
    comments = _read(file, 'http.response and frame.interface_name == "inside HBONE"', "frame.comment")
    assert any("inside hop (4): the sidecar asks the waypoint" in one for one in comments)
    places = _read(file, "frame", "frame.interface_name")
    assert {"node-a v-sleep", "fabric f-node-a", "helloworld eth0"} <= places, "devices that no hop names"
    tunnelled = _read(file, "geneve and tcp.flags.syn == 1", "frame.interface_name", "geneve.vni", "frame.comment")
    title = "node-d routes 10.244.4.30 by rule 103 and table 100 into istioin; only the SYN goes this way"
    assert f"node-d v-zt|0x0003e8|hop (6): {title}" in tunnelled


def _read(file: Path, what: str, *fields: str) -> set[str]:
    """The fields of packets that a display filter takes. No preference, no key file: what is inside must do."""
    options = [word for field in fields for word in ("-e", field)]
    command = [require_tool("tshark"), "-r", str(file), "-Y", what, "-T", "fields", "-E", "separator=|", *options]
    environment = {**os.environ, "HOME": str(file.parent)}
    read = subprocess.run(command, capture_output=True, text=True, check=True, timeout=50, env=environment)
    return set(read.stdout.splitlines())
