"""What the control plane would tell an Envoy, as one file that needs no control plane.

Resources that name others "by ADS" get them in place: routes inside the listener, endpoints inside the cluster,
certificates as static secrets. All else stays as it is, so that the real Envoy judges what it would be sent.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
from typing import TYPE_CHECKING, Any

from istiod_py.envoy.secrets import identity_secret, roots_secret
from tests.support.envoy import Envoy, run_envoy
from tests.support.require import require_envoy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from istiod_py.envoy.resources import EnvoyResources
    from tests.support.certificates import CertificateFiles

ADMIN_PORT = 15000
INTERNAL_LISTENER = {
    "name": "internal_listener",
    "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.bootstrap.internal_listener.v3.InternalListener",
    },
}


def static_bootstrap(resources: EnvoyResources, files: CertificateFiles, address: str) -> dict[str, Any]:
    """A bootstrap with everything in it; the admin port is on `address`."""
    routes = dict(resources.routes)
    endpoints = dict(resources.endpoints)
    secrets = [
        identity_secret(files.chain.read_text(), files.key.read_text()),
        roots_secret(files.roots.read_text()),
    ]
    return {
        "admin": {"address": {"socket_address": {"address": address, "port_value": ADMIN_PORT}}},
        "bootstrap_extensions": [INTERNAL_LISTENER],
        "static_resources": {
            "listeners": [_inlined(one, routes) for one in resources.listeners.values()],
            "clusters": [_with_endpoints(_inlined(one, routes), endpoints) for one in resources.clusters.values()],
            "secrets": secrets,
        },
    }


def validate(bootstrap: dict[str, Any], folder: Path) -> str:
    """What Envoy finds wrong with a bootstrap; empty if nothing."""
    config = folder / "validated.json"
    config.write_text(json.dumps(bootstrap))
    command = [str(require_envoy()), "--mode", "validate", "-c", str(config), "--use-dynamic-base-id", "-l", "warning"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


@contextlib.contextmanager
def start_static_envoy(
    folder: Path, resources: EnvoyResources, files: CertificateFiles, address: str
) -> Iterator[Envoy]:
    """Run an Envoy with these resources until the block ends."""
    config = folder / f"static-{address}.json"
    config.write_text(json.dumps(static_bootstrap(resources, files, address), indent=1))
    with run_envoy("mesh", address, config, {"ADMIN_PORT": str(ADMIN_PORT)}) as envoy:
        yield envoy


def _inlined(value: Any, routes: dict[str, Any]) -> Any:
    match value:
        case {"rds": {"route_config_name": name}}:
            rest = {key: one for key, one in value.items() if key != "rds"}
            return {key: _inlined(one, routes) for key, one in rest.items()} | {"route_config": routes[name]}
        case {"sds_config": _}:
            return {key: one for key, one in value.items() if key != "sds_config"}
        case dict():
            return {key: _inlined(one, routes) for key, one in value.items()}
        case list():
            return [_inlined(one, routes) for one in value]
        case _:
            return value


def _with_endpoints(cluster: dict[str, Any], endpoints: dict[str, Any]) -> dict[str, Any]:
    if cluster.get("type") != "EDS":
        return cluster
    rest = {key: one for key, one in cluster.items() if key != "eds_cluster_config"}
    return rest | {"type": "STATIC", "load_assignment": endpoints[cluster["name"]]}
