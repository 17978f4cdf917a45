"""The three paths for real: every line of what is shown, and that a path gone astray is told with its hop."""

from __future__ import annotations

import json
import re
import signal
from typing import TYPE_CHECKING, ClassVar

import httpx
import pytest

from lab_py.command_line import run_lab
from tests.lab_py.labs import command, environment, lab
from tests.lab_py.paths.uncommented import with_denials
from tests.support.sockets import taken
from tests.ztunnel_py.worlds import START_SECONDS, ProxyProcess, children_of, wait_for_the_end_of, world_net

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.interop

# One pattern a line, but for what proxies and applications wrote: there `| NAME: PATTERN` stands for all of it. In
# patterns NET is the world's net, TOKEN a token that is the same everywhere on its path, # a number, ID an identity.
SHOWN = r"""
starting 11 processes on NET.x.y
up in #\.# s, with the mesh of
  \S+/mesh.yaml

Path 1: a pod without a sidecar calls a pod with one

  ambient/sleep ── ztunnel-a ══ HBONE ══ sidecar-httpbin ── sidecar/httpbin
  NET.1.1 +:15008 +NET.2.1

  GET http://httpbin.sidecar:8000/anything\?token=TOKEN1
  answered 200

  ok \(1\)-\(5\) node A's ztunnel-a takes the connection of ambient/sleep
       ztunnel-a
| \S+ info access connection complete src.addr=127.0.0.1:# src.workload="sleep" src.namespace="ambient" src.identity="ID/ambient/sa/sleep" src.cluster="Kubernetes" dst.addr=NET.2.1:15008 dst.hbone_addr=NET.2.1:8080 dst.service="httpbin.sidecar.svc.cluster.local" dst.workload="httpbin" dst.namespace="sidecar" dst.identity="ID/sidecar/sa/httpbin" dst.cluster="Kubernetes" direction="outbound" bytes_sent=# bytes_recv=# duration="#ms"
       ok ztunnel-a logged it

  ok \(6\)\(7\) ztunnel-a asks sidecar-httpbin at NET.2.1:15008
       source      ID/ambient/sa/sleep
       destination ID/sidecar/sa/httpbin
       sidecar-httpbin
| \[\S+Z\] "GET /anything\?token=TOKEN1 HTTP/1.1" 200 - via_upstream - "-" 0 # # # "-" "-" "[0-9a-f-]{36}" "httpbin.sidecar:8000" "NET.2.2:8080" inbound\|8080\|\| 127.0.0.6:# NET.2.1:8080 NET.1.1:# - default
       ok sidecar-httpbin logged it
       ok the standard library's TLS finds it there, and a stranger is refused at NET.2.1:15008
       ok ztunnel-a counted 1 tunnel to it, sidecar-httpbin 1 request

  ok \(8\) sidecar-httpbin calls the application, from 127.0.0.6
       the application
| \S+Z GET /anything\?token=TOKEN1 peer=127.0.0.6:# local=NET.2.2:8080 x-forwarded-client-cert="By=ID/sidecar/sa/httpbin;.*URI=ID/ambient/sa/sleep"
       ok its application recorded the call, from 127.0.0.6
       ok and was told that its caller is ID/ambient/sa/sleep

  ok the answer is 200, with TOKEN1 in it
  ok calls with the token at any other application: none

Path 2: a pod with a sidecar calls a pod without one

  sidecar/sleep ── sidecar-sleep ══ HBONE ══ ztunnel-b ── ambient/httpbin
  NET.1.2 +:15008 +NET.2.3

  GET http://httpbin.ambient:8000/anything\?token=TOKEN2
  answered 200

  ok \(1\)-\(3\) sidecar-sleep takes the connection of sidecar/sleep
       sidecar-sleep
| \[\S+Z\] "GET /anything\?token=TOKEN2 HTTP/1.1" 200 - via_upstream - "-" 0 # # # "-" "-" "[0-9a-f-]{36}" "httpbin.ambient:8000" "NET.2.3:15008" outbound\|8000\|\|httpbin.ambient.svc.cluster.local NET.1.2:# NET.96.2:8000 127.0.0.1:# - -
       ok sidecar-sleep logged it

  ok \(4\)-\(8\) sidecar-sleep asks ztunnel-b at NET.2.3:15008
       source      ID/sidecar/sa/sleep
       destination ID/ambient/sa/httpbin
       ztunnel-b
| \S+ debug access connection opened src.addr=NET.1.2:# src.workload="sleep" src.namespace="sidecar" src.identity="ID/sidecar/sa/sleep" src.cluster="Kubernetes" dst.addr=NET.2.3:15008 dst.hbone_addr=NET.2.3:8080 dst.service="httpbin.ambient.svc.cluster.local" dst.workload="httpbin" dst.namespace="ambient" dst.identity="ID/ambient/sa/httpbin" dst.cluster="Kubernetes" direction="inbound"
       ok ztunnel-b logged it
       ok the standard library's TLS finds it there, and a stranger is refused at NET.2.3:15008
       ok sidecar-sleep counted 1 request to it, ztunnel-b 1 tunnel

  ok \(9\) ztunnel-b calls the application, with the address of sidecar/sleep
       the application
| \S+Z GET /anything\?token=TOKEN2 peer=NET.1.2:# local=NET.2.3:8080
       ok its application recorded the call, from NET.1.2

  ok the answer is 200, with TOKEN2 in it
  ok calls with the token at any other application: none

Path 3: a pod with a sidecar calls pods without, by their waypoint

  sidecar/sleep ── sidecar-sleep ══ HBONE ══ waypoint +═╤═ HBONE ══ ztunnel-d ── helloworld-v1
  NET.1.2 +NET.3.1 +╘═ HBONE ══ ztunnel-e ── helloworld-v2

  GET http://helloworld.ambient:5000/hostname\?token=TOKEN3
  answered 200

  ok \(1\)-\(3\) sidecar-sleep takes the connection of sidecar/sleep
       sidecar-sleep
| \[\S+Z\] "GET /hostname\?token=TOKEN3 HTTP/1.1" 200 - via_upstream - "-" 0 # # # "-" "-" "[0-9a-f-]{36}" "helloworld.ambient:5000" "NET.3.1:15008" outbound\|5000\|\|helloworld.ambient.svc.cluster.local NET.1.2:# NET.96.3:5000 127.0.0.1:# - -
       ok sidecar-sleep logged it

  ok \(4\) sidecar-sleep asks waypoint at NET.3.1:15008
       source      ID/sidecar/sa/sleep
       destination ID/ambient/sa/waypoint
       waypoint
| \[\S+Z\] "GET /hostname\?token=TOKEN3 HTTP/1.1" 200 - via_upstream - "-" 0 # # # "-" "-" "[0-9a-f-]{36}" "helloworld.ambient:5000" "NET.4.VERSION:15008" inbound-vip\|5000\|http\|helloworld-vVERSION.ambient.svc.cluster.local NET.3.1:# NET.96.3:5000 NET.1.2:# - ambient/versions/1
       ok waypoint logged it
       ok the standard library's TLS finds it there, and a stranger is refused at NET.3.1:15008
       ok sidecar-sleep counted SENT requests to it, waypoint SENT requests

  ok \(5\)-\(9\) waypoint asks ztunnel-NODE at NET.4.VERSION:15008
       source      ID/ambient/sa/waypoint
       destination ID/ambient/sa/helloworld
       ztunnel-NODE
| \S+ debug access connection opened src.addr=NET.3.1:# src.workload="waypoint" src.namespace="ambient" src.identity="ID/ambient/sa/waypoint" src.cluster="Kubernetes" dst.addr=NET.4.VERSION:15008 dst.hbone_addr=NET.4.VERSION:5000 dst.service="helloworld.ambient.svc.cluster.local" dst.workload="helloworld-vVERSION" dst.namespace="ambient" dst.identity="ID/ambient/sa/helloworld" dst.cluster="Kubernetes" direction="inbound"
       ok ztunnel-NODE logged it
       ok the standard library's TLS finds it there, and a stranger is refused at NET.4.VERSION:15008
       ok waypoint counted # requests? to it, ztunnel-NODE # tunnels?

  ok \(10\) ztunnel-NODE calls the application, with the address of ambient/waypoint
       the application
| \S+Z GET /hostname\?token=TOKEN3 peer=NET.3.1:# local=NET.4.VERSION:5000
       ok its application recorded the call, from NET.3.1

  ok the answer is 200, with helloworld-vVERSION in it
  ok calls with the token at any other application: none
  ok # requests went to both versions by weight \(75:25\): helloworld-v1 [1-9]\d*, helloworld-v2 [1-9]\d*
  ok 3 of 3 requests with x-version: v2 went to helloworld-v2

All 3 paths went their way, both identities of every tunnel verified.
"""  # noqa: E501


def unwrapped(output: str) -> list[str]:
    """The lines, what processes wrote being one again."""
    found: list[str] = []
    for line in output.splitlines():
        if not line.startswith(" " * 9):
            found.append(line)
        elif found[-1].startswith("| "):
            found[-1] += f" {line.strip()}"
        else:
            found.append(f"| {line.strip()}")
    return found


def patterns(net: str) -> list[str]:
    """One for each line; what stands for the same twice has to be the same."""
    text = re.sub(r"^\| ", r"\\| ", SHOWN.removeprefix("\n"), flags=re.MULTILINE)
    text = text.replace("#", r"\d+").replace("NET", re.escape(net))
    return text.replace("ID/", "spiffe://cluster.local/ns/").splitlines()


def test_every_line_of_a_run(tmp_path: Path) -> None:
    net = world_net()
    process = ProxyProcess(command("paths", "--world-net", net), tmp_path / "log", environment(tmp_path))
    try:
        process.wait_until(lambda: "Ctrl-C ends it." in process.output, "all three paths", START_SECONDS)
        children = children_of(process.pid)
        shown, _, to_try = process.output.partition("\nTry\n")
        _check(shown, net)
        _try(to_try, net)
        assert process.end_with(signal.SIGINT) == 0
        assert not re.search(r"\terror\t|Traceback", process.output)
        wait_for_the_end_of(children)
    finally:
        process.stop()
    assert len(children) == 11
    assert list(tmp_path.glob("paths-world-*")) == []


class Expressions:
    """What the names in patterns stand for: anything of its kind where it is met first, and from then on the same."""

    kinds: ClassVar = {"TOKEN": "[0-9a-f]{16}-0", "VERSION": "[12]", "NODE": "[de]", "SENT": r"\d+"}

    def __init__(self) -> None:
        self.known: dict[str, str] = {}

    def match(self, pattern: str, line: str) -> bool:
        """Whether a line fits; what its names are is kept."""
        found = re.fullmatch(re.sub(r"(TOKEN)\d|VERSION|NODE|SENT", self._expression, pattern), line)
        self.known |= {} if found is None else found.groupdict()
        return found is not None

    def _expression(self, name: re.Match[str]) -> str:
        if name[0] in self.known:
            return re.escape(self.known[name[0]])
        is_again = name[0] in name.string[: name.start()]
        return f"(?P={name[0]})" if is_again else f"(?P<{name[0]}>{self.kinds[name[1] or name[0]]})"


def _check(shown: str, net: str) -> None:
    expressions = Expressions()
    assert "\033" not in shown
    for line, pattern in zip(unwrapped(shown), patterns(net), strict=True):
        assert len(line) <= 100 or line.startswith("| ") or line.endswith("/mesh.yaml")
        assert expressions.match(pattern, line), f"{line!r} is not {pattern!r}"
    known = expressions.known
    assert {"1": "d", "2": "e"}[known["VERSION"]] == known["NODE"]
    assert int(known["SENT"]) >= 23


def _try(to_try: str, net: str) -> None:
    """The lines to try are right."""
    for match in re.finditer(r"curl --socks5-hostname (\S+) (http\S+)", to_try):
        with httpx.Client(proxy=f"socks5h://{match[1]}", timeout=30) as client:
            assert client.get(match[2]).status_code == 200
    for url in re.findall(r"curl (127\S+)", to_try):
        assert httpx.get(f"http://{url}", timeout=30).status_code == 200
    assert to_try.count("curl --socks5-hostname") == 4
    assert f"{net}.3.1:15000/clusters" in to_try


def test_paths_that_went_astray(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A policy at layer 4 stops path 2, and path 3 has a waypoint that is not there."""
    net = world_net()
    mesh = tmp_path / "mine.yaml"
    assert run_lab(["paths", "--print-mesh", "--world-net", net]) == 0
    text = with_denials(capsys.readouterr().out)
    mesh.write_text(text.replace(f'destination: "/{net}.3.1"', f'destination: "/{net}.3.9"'))
    done = lab(tmp_path, "paths", "--once", "--world-net", net, "--mesh", str(mesh), "-o", "json")
    assert (done.returncode, done.stderr) == (1, "")
    told = json.loads(done.stdout)
    one, two, three = told["paths"]
    assert (told["ok"], one["ok"], two["ok"], three["ok"]) == (False, True, False, False)
    denied = "connection closed due to policy rejection: explicitly denied by: ambient/no-sleep"
    assert two["broken"] == f"at hop (4)-(8): ztunnel-b logged an error: {denied}"
    assert two["hops"][1]["fields"]["error"] == denied
    assert three["broken"].startswith("at hop (4): waypoint logged nothing of it; before it the answer was 503 UH ")
    assert (two["request"]["status"], three["request"]["status"]) == (503, 503)
    assert one["hops"][1]["identities"] == {
        "source": "spiffe://cluster.local/ns/ambient/sa/sleep",
        "destination": "spiffe://cluster.local/ns/sidecar/sa/httpbin",
    }


def test_a_taken_port_is_one_line(tmp_path: Path) -> None:
    net = world_net()
    with taken(f"{net}.3.1", 15008):
        done = lab(tmp_path, "paths", "--once", "--world-net", net)
    assert (done.returncode, done.stdout) == (2, f"starting 11 processes on {net}.x.y\n")
    assert done.stderr.startswith(f"error: cannot listen on {net}.3.1:15008: address already in use")
    assert done.stderr.count("\n") == 1


def test_a_mesh_that_is_none_starts_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (mesh := tmp_path / "mine.yaml").write_text("workloads: 7\n")
    assert run_lab(["paths", "--once", "--world-net", world_net(), "--mesh", str(mesh)]) == 2
    assert capsys.readouterr().err.startswith(f"error: {mesh}:1:12: ")
