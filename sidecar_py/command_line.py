"""The command line: what is said here alone, and what its commands load when they are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mesh_py.settings.command import run_command
from mesh_py.settings.layer7_table import TRUST_DOMAIN
from mesh_py.settings.proxy_command import ProxyWords, proxy_command
from sidecar_py.embedded_default import EMBEDDED
from sidecar_py.settings_table import PROXY_CONFIG_KEYS, TABLE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mesh_py.discovery.local_file import LocalConfig
    from mesh_py.settings.proxy_command import Layers

HELP = """\
The proxy beside one workload, at layers 4 and 7: HTTP by host and path, Istio's mutual TLS to other sidecars, HBONE to
ambient pods and their waypoints, policies on what comes in.

Without any setting it starts the embedded world: a pod with this sidecar, a second pod with a sidecar, and an ambient
pod behind a node proxy, on 127.1.x.y; it prints curl lines to try.

A flag wins over the environment, the environment over --config FILE, the file over the default. In brackets: the name
in the environment and in files. An on/off flag is turned off by --no- in front, its variable by false. Durations are
written 5m, 180s, 500ms; sizes 64MiB.

\b
Examples:
  python -m sidecar_py                              the embedded world
  python -m sidecar_py demo --once                  requests through it, judged; status 0 if all went as they should
  POD_NAMESPACE=shop POD_NAME=cart-1 SERVICE_ACCOUNT=cart LOCAL_XDS_PATH=mesh.yaml FAKE_CA=true \\
    python -m sidecar_py                            beside one pod
  python -m sidecar_py config check mesh.yaml       is the file right? line, column and advice if not

\b
Exit status: 0 ok, also after SIGTERM; 1 an expectation failed; 2 usage or configuration; 130 Ctrl-C.
"""

WORDS = ProxyWords(
    script="sidecar-py",
    help=HELP,
    demo="Start the embedded world and send real requests through it; then serve until Ctrl-C.",
    once="End after the requests: 0 only if each went the way it should.",
    world_net="127.1",
    page="docs/sidecar-configuration.md",
    original="istio-proxy",
)


class _Work:
    """See `ProxyWork`."""

    def serve(self, layers: Layers, parameters: Mapping[str, Any]) -> int:
        from sidecar_py.serving import serve

        return serve(layers, parameters)

    def demo(self, net: str, state_dir: Path | None, *, once: bool) -> int:
        from sidecar_py.demo import run_demo

        return run_demo(net, state_dir, once=once)

    def read_mesh(self, text: str, file: str) -> LocalConfig:
        from mesh_py.manifests.proxy_file import read_proxy_file

        return read_proxy_file(text, file, trust_domain=TRUST_DOMAIN.default)

    def read_settings(self, layers: Layers, environ: Mapping[str, str]) -> object:
        from sidecar_py.config import from_values

        return from_values(layers, environ)


cli = proxy_command(WORDS, TABLE, PROXY_CONFIG_KEYS, EMBEDDED, _Work())


def run(arguments: Sequence[str]) -> int:
    """Run the command line; the exit status."""
    return run_command(cli, arguments, script=WORDS.script, module="sidecar_py")
