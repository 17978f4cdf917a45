"""What certificates a lab's proxies show to whoever asks, and what the mesh's authority has to say of them."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from lab_py.mesh_file import identity_of
from lab_py.redirect.names import HBONE_PORT
from lab_py.topology import Kind
from mesh_py.identity.layout import ROOT_CERT, identity_folder

if TYPE_CHECKING:
    from lab_py.netns import Namespaces
    from lab_py.topology import Pod, Topology
    from lab_py.world import WorldFiles

ANSWER_SECONDS = 1.0
"""How long a handshake may take."""


def bad_certificates(topology: Topology, namespaces: Namespaces, files: WorldFiles) -> dict[str, str]:
    """By pod: what is wrong with the certificate that it shows where it takes HBONE. Raises OSError.

    A pod is asked from another node, which nobody captures; of one that does not answer nothing is said.
    """
    root = x509.load_pem_x509_certificate(_root(topology, files))
    found: dict[str, str] = {}
    for pod in topology.pods:
        asked_from = next((node.name for node in topology.nodes if node != pod.node), None)
        if asked_from is not None and (pod.takes_hbone or pod.kind in (Kind.AMBIENT, Kind.WAYPOINT)):
            shown = namespaces.inside(asked_from, lambda pod=pod: _shown(pod.ip))  # type: ignore[misc]
            if shown is not None and (problem := _problem(x509.load_der_x509_certificate(shown), root, pod)):
                found[pod.name] = problem
    return found


def _root(topology: Topology, files: WorldFiles) -> bytes:
    """The authority that everybody trusts: the control plane's, or the first pod's."""
    if files.authority.exists():
        return (files.authority / ROOT_CERT).read_bytes()
    return (identity_folder(files.certificates, identity_of(topology.pods[0])) / ROOT_CERT).read_bytes()


def _shown(address: str) -> bytes | None:
    """The certificate of whoever answers there, in DER; it is shown before ours is asked for."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    try:
        with (
            socket.create_connection((address, HBONE_PORT), ANSWER_SECONDS) as plain,
            context.wrap_socket(plain) as encrypted,
        ):
            return encrypted.getpeercert(binary_form=True)
    except OSError:
        return None


def _problem(leaf: x509.Certificate, root: x509.Certificate, pod: Pod) -> str | None:
    try:
        leaf.verify_directly_issued_by(root)
    except (ValueError, TypeError, InvalidSignature):
        return f"{pod.ip}:{HBONE_PORT} shows one that the mesh's authority has not signed (serial {_serial(leaf)})"
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    identities = names.get_values_for_type(x509.UniformResourceIdentifier)
    return None if str(identity_of(pod)) in identities else f"it names {', '.join(identities) or 'nobody'}"


def _serial(certificate: x509.Certificate) -> str:
    return f"{certificate.serial_number:x}"[:16]
