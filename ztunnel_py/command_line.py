"""The command line: what is said here alone, and what its commands load when they are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mesh_py.settings.command import run_command
from mesh_py.settings.proxy_command import ProxyWords, proxy_command
from ztunnel_py.embedded_default import EMBEDDED
from ztunnel_py.settings_table import PROXY_CONFIG_KEYS, TABLE, TRUST_DOMAIN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mesh_py.discovery.local_file import LocalConfig
    from mesh_py.settings.proxy_command import Layers

HELP = """\
The node proxy of an HBONE mesh: it carries connections of its workloads through mutually authenticated tunnels.

Without any setting it starts the embedded world: two node proxies on 127.0.x.y joined by a real tunnel, and an
application behind the second; it prints curl lines to try.

A flag wins over the environment, the environment over --config FILE, the file over the default. In brackets: the name
in the environment and in files. An on/off flag is turned off by --no- in front, its variable by false. Durations are
written 5m, 180s, 500ms; sizes 64MiB.

\b
Examples:
  python -m ztunnel_py                              the embedded world
  python -m ztunnel_py demo --once                  one request through it, judged; status 0 if HBONE carried it
  python -m ztunnel_py --node node-a --local-xds-path mesh.yaml --fake-ca --bind 127.0.5.1 --socks5
  PROXY_MODE=dedicated PROXY_WORKLOAD_INFO=shop/cart-1/cart LOCAL_XDS_PATH=mesh.yaml FAKE_CA=true \\
    python -m ztunnel_py                            one workload, by the real ztunnel's names
  python -m ztunnel_py config check mesh.yaml       is the file right? line, column and advice if not

\b
Exit status: 0 ok, also after SIGTERM; 1 an expectation failed; 2 usage or configuration; 130 Ctrl-C.
"""

WORDS = ProxyWords(
    script="ztunnel-py",
    help=HELP,
    demo="Start the embedded world and send one real request through it; then serve until Ctrl-C.",
    once="End after the request: 0 only if HBONE carried it, both identities proved.",
    world_net="127.0",
    page="docs/configuration.md",
    original="ztunnel",
)


class _Work:
    """See `ProxyWork`."""

    def serve(self, layers: Layers, parameters: Mapping[str, Any]) -> int:
        from ztunnel_py.serving import serve

        return serve(layers, parameters)

    def demo(self, net: str, state_dir: Path | None, *, once: bool) -> int:
        from ztunnel_py.demo import run_demo

        return run_demo(net, state_dir, once=once)

    def read_mesh(self, text: str, file: str) -> LocalConfig:
        from mesh_py.discovery.local_file import read_local_config

        return read_local_config(text, file, trust_domain=TRUST_DOMAIN.default)

    def read_settings(self, layers: Layers, environ: Mapping[str, str]) -> object:
        from ztunnel_py.config import from_values

        return from_values(layers, environ)


cli = proxy_command(WORDS, TABLE, PROXY_CONFIG_KEYS, EMBEDDED, _Work())


def run(arguments: Sequence[str]) -> int:
    """Run the command line; the exit status."""
    return run_command(cli, arguments, script=WORDS.script, module="ztunnel_py")
