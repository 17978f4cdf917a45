"""What the lab's processes read: the mesh, certificates of an authority made for the purpose, names of services."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab_py.mesh_file import hosts_text, identity_of, mesh_text
from mesh_py.identity.layout import identity_folder, write_leaf
from mesh_py.identity.local_ca import LocalCa

if TYPE_CHECKING:
    import datetime
    from pathlib import Path

    from lab_py.topology import Topology


@dataclass(frozen=True, slots=True)
class WorldFiles:
    """Where everything lies, below the lab's state folder."""

    folder: Path

    @property
    def mesh(self) -> Path:
        """LocalConfig, for every proxy."""
        return self.folder / "mesh.yaml"

    @property
    def certificates(self) -> Path:
        """A folder per identity."""
        return self.folder / "certs"

    @property
    def hosts(self) -> Path:
        """What stands in for /etc/hosts."""
        return self.folder / "hosts"

    @property
    def secrets(self) -> Path:
        """A file of TLS secrets per proxy, where they are asked for."""
        return self.folder / "secrets"

    def log(self, peer: str) -> Path:
        """What a process writes."""
        return self.folder / "logs" / f"{peer}.log"


def lay_out(topology: Topology, folder: Path, now: datetime.datetime) -> WorldFiles:
    """Write all of it; the authority is thrown away. Raises OSError."""
    files = WorldFiles(folder)
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    authority = LocalCa.throw_away(now)
    for pod in topology.pods:
        identity = identity_of(pod)
        write_leaf(identity_folder(files.certificates, identity), authority.issue(identity, now), replace=True)
    files.mesh.write_text(mesh_text(topology), encoding="utf-8")
    files.hosts.write_text(hosts_text(topology), encoding="utf-8")
    return files
