"""What the lab's processes read: the mesh, what they prove themselves by, names of services."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab_py.control_plane import ControlPlane, write_tokens
from lab_py.manifests import manifests_text
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
        """A folder per identity, where no control plane gives certificates."""
        return self.folder / "certs"

    @property
    def manifests(self) -> Path:
        """The mesh for the control plane, in a folder of its own."""
        return self.folder / "manifests" / "mesh.yaml"

    @property
    def istiod(self) -> Path:
        """The control plane's state: what signs tokens."""
        return self.folder / "istiod"

    @property
    def authority(self) -> Path:
        """Who signs certificates, where the control plane gives them."""
        return self.istiod / "ca"

    @property
    def tokens(self) -> Path:
        """A file per proxy, by which it proves to the control plane who it is."""
        return self.folder / "tokens"

    def token(self, proxy: str) -> Path:
        """Of the process of that name."""
        return self.tokens / proxy

    def envoy(self, proxy: str) -> Path:
        """What an Envoy in the place of that process starts with."""
        return self.folder / "envoy" / proxy

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


def lay_out(topology: Topology, folder: Path, now: datetime.datetime, control_plane: ControlPlane) -> WorldFiles:
    """Write all of it; the authority goes away with the lab. Raises OSError."""
    files = WorldFiles(folder)
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    files.hosts.write_text(hosts_text(topology), encoding="utf-8")
    if control_plane is ControlPlane.ISTIOD:
        LocalCa.open(files.authority, now)
        write_tokens(topology, files, now)
        files.manifests.parent.mkdir()
        files.manifests.write_text(manifests_text(topology), encoding="utf-8")
        return files
    authority = LocalCa.throw_away(now)
    for pod in topology.pods:
        identity = identity_of(pod)
        write_leaf(identity_folder(files.certificates, identity), authority.issue(identity, now), replace=True)
    files.mesh.write_text(mesh_text(topology), encoding="utf-8")
    return files
