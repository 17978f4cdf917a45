"""One throw-away authority and SPIFFE leaves for a run; every contestant uses the same ones."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

from hbone_py.identity import SpiffeId
from mesh_py.identity.layout import identity_folder, write_leaf
from mesh_py.identity.local_ca import LocalCa

if TYPE_CHECKING:
    from pathlib import Path

TRUST_DOMAIN = "cluster.local"
NAMESPACE = "default"
CLIENT, SERVER, WAYPOINT = "client", "server", "waypoint"
"""The service accounts."""


def make_certificates(folder: Path) -> Path:
    """Fills `folder`, in the layout of WORKLOAD_CERT_DIR, and returns it."""
    now = datetime.datetime.now(datetime.UTC)
    authority = LocalCa.throw_away(now)
    for account in (CLIENT, SERVER, WAYPOINT):
        identity = SpiffeId.of(TRUST_DOMAIN, NAMESPACE, account)
        write_leaf(identity_folder(folder, identity), authority.issue(identity, now))
    return folder
