"""The command line: what is said here alone, and what its commands load when they are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mesh_py.settings.command import run_command
from mesh_py.settings.layer7_table import TRUST_DOMAIN
from mesh_py.settings.proxy_command import ProxyWords, proxy_command
from waypoint_py.embedded_default import EMBEDDED
from waypoint_py.settings_table import PROXY_CONFIG_KEYS, TABLE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mesh_py.discovery.local_file import LocalConfig
    from mesh_py.settings.proxy_command import Layers

HELP = """\
The layer 7 gateway of ambient services: it terminates HBONE, applies policies to each request, routes it, and opens a
new tunnel to the pod that was chosen.

Without any setting it starts the embedded world: a node proxy with a client, this waypoint, and a node proxy with two
versions of a service, on 127.2.x.y; it prints curl lines to try.

A flag wins over the environment, the environment over --config FILE, the file over the default. In brackets: the name
in the environment and in files. An on/off flag is turned off by --no- in front, its variable by false. Durations are
written 5m, 180s, 500ms; sizes 64MiB.

\b
Examples:
  python -m waypoint_py                             the embedded world
  python -m waypoint_py demo --once                 requests through it, judged; status 0 if all went as they should
  POD_NAMESPACE=shop POD_NAME=waypoint SERVICE_ACCOUNT=waypoint LOCAL_XDS_PATH=mesh.yaml FAKE_CA=true \\
    python -m waypoint_py                           the waypoint of a mesh that a file describes
  python -m waypoint_py config check mesh.yaml      is the file right? line, column and advice if not

\b
Exit status: 0 ok, also after SIGTERM; 1 an expectation failed; 2 usage or configuration; 130 Ctrl-C.
"""

WORDS = ProxyWords(
    script="waypoint-py",
    help=HELP,
    demo="Start the embedded world and send real requests through it; then serve until Ctrl-C.",
    once="End after the requests: 0 only if each went the way it should.",
    world_net="127.2",
    page="docs/waypoint-configuration.md",
    original="istio-proxy",
)


class _Work:
    """See `ProxyWork`."""

    def serve(self, layers: Layers, parameters: Mapping[str, Any]) -> int:
        from waypoint_py.serving import serve

        return serve(layers, parameters)

    def demo(self, net: str, state_dir: Path | None, *, once: bool) -> int:
        from waypoint_py.demo import run_demo

        return run_demo(net, state_dir, once=once)

    def read_mesh(self, text: str, file: str) -> LocalConfig:
        from mesh_py.manifests.proxy_file import read_waypoint_file

        return read_waypoint_file(text, file, trust_domain=TRUST_DOMAIN.default)

    def read_settings(self, layers: Layers, environ: Mapping[str, str]) -> object:
        from waypoint_py.config import from_values

        return from_values(layers, environ)


cli = proxy_command(WORDS, TABLE, PROXY_CONFIG_KEYS, EMBEDDED, _Work())


def run(arguments: Sequence[str]) -> int:
    """Run the command line; the exit status."""
    return run_command(cli, arguments, script=WORDS.script, module="waypoint_py")
