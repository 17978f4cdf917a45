"""The files of a layer-7 role's embedded world, told once for sidecar and waypoint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mesh_py.identity.layout import identity_folder, write_leaf
from mesh_py.identity.local_ca import LocalCa
from mesh_py.process.editable_file import write_unless_edited

if TYPE_CHECKING:
    import datetime
    from collections.abc import Iterable
    from pathlib import Path

    from hbone_py.identity import SpiffeId


@dataclass(frozen=True, slots=True)
class WorldFiles:
    """What the world's processes read."""

    mesh: Path
    node_mesh: Path
    """The same for node proxies, which know no further keys."""
    certificates: Path
    """A folder per identity."""
    is_edited: bool
    """`mesh` is as its user left it."""


def write_world(
    folder: Path, now: datetime.datetime, identities: Iterable[SpiffeId], mesh: str, node_mesh: str
) -> WorldFiles:
    """Write the mesh files and, by an authority made for the purpose and thrown away, the certificates.

    A mesh file that somebody has edited stays as it is.

    Raises:
        OSError: the folder cannot be written.
    """
    mesh_file, node_mesh_file, certificates = folder / "mesh.yaml", folder / "node-mesh.yaml", folder / "certs"
    authority = LocalCa.throw_away(now)
    for identity in identities:
        write_leaf(identity_folder(certificates, identity), authority.issue(identity, now), replace=True)
    is_edited = write_unless_edited(mesh_file, mesh)
    write_unless_edited(node_mesh_file, node_mesh)
    return WorldFiles(mesh_file, node_mesh_file, certificates, is_edited)
