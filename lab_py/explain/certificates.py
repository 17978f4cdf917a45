"""Whether the certificates that a lab's proxies show are signed by the authority that everybody else trusts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from lab_py.mesh_file import identity_of
from mesh_py.identity.layout import CERT_CHAIN, ROOT_CERT, identity_folder

if TYPE_CHECKING:
    from lab_py.topology import Topology
    from lab_py.world import WorldFiles


def bad_certificates(topology: Topology, files: WorldFiles) -> dict[str, str]:
    """By pod: what is wrong with what it shows, in the eyes of the others.

    What a control plane has given is in the proxies' memory alone; nobody but it could have changed it.
    """
    if not files.certificates.exists():
        return {}
    folders = {pod.name: identity_folder(files.certificates, identity_of(pod)) for pod in topology.pods}
    found: dict[str, str] = {}
    for name, folder in folders.items():
        leaf = x509.load_pem_x509_certificate((folder / CERT_CHAIN).read_bytes())
        for other, trusting in folders.items():
            root = x509.load_pem_x509_certificate((trusting / ROOT_CERT).read_bytes())
            if other != name and not _is_signed(leaf, root):
                found[name] = f"not signed by the authority that {other} trusts ({_serial(root)})"
                break
    return found


def _is_signed(leaf: x509.Certificate, root: x509.Certificate) -> bool:
    try:
        leaf.verify_directly_issued_by(root)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _serial(certificate: x509.Certificate) -> str:
    return f"serial {certificate.serial_number:x}"[:23]
