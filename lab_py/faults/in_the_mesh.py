"""Faults of what the mesh knows, rather than of the network: a policy that denies, a certificate nobody trusts."""

from __future__ import annotations

import datetime
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import yaml

from lab_py.errors import LabError
from lab_py.faults.table import POLICY
from lab_py.mesh_file import NAMESPACE, identity_of
from lab_py.peers.running import get_inside
from lab_py.topology import Kind
from mesh_py.identity.layout import CERT_CHAIN, KEY, ROOT_CERT, identity_folder
from mesh_py.identity.local_ca import LocalCa

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lab_py.lab import Lab
    from lab_py.peers.base import Peer
    from lab_py.topology import Pod

FOLLOWED_SECONDS = 10.0
"""How long a proxy may take to follow a change of policies."""
_ADMIN = ("127.0.0.1", 15000)
_LOOK_SECONDS = 0.05
_AS_JUDGED = (f'"name": "{POLICY}"', f"AuthorizationPolicy {NAMESPACE}/{POLICY}", f"policy[{POLICY}]")
"""How a node proxy, one of layer 7 and Envoy show a policy that they judge by."""
_NO_AUTHORITY = ("CA_ADDRESS", "CA_ROOT_CA")


def proxy_of(pod: Pod) -> str:
    """The process that judges who may call a pod, and shows its certificate."""
    return pod.node.ztunnel if pod.kind is Kind.AMBIENT else f"{pod.kind.value}-{pod.name}"


def deny(lab: Lab, name: str) -> Callable[[], None]:
    """Deny everybody a pod, by an AuthorizationPolicy; what takes it back. Raises LabError."""
    pod = lab.built.topology.pod(name)
    if lab.files.manifests.exists():
        file = lab.files.manifests.with_name(f"{POLICY}.yaml")
        _write(file, yaml.safe_dump(_manifest(name)))
        undo: Callable[[], None] = file.unlink
    else:
        before = lab.files.mesh.read_text(encoding="utf-8")
        _write(lab.files.mesh, _denying(before, name))
        undo = lambda: _write(lab.files.mesh, before)  # noqa: E731 - as short as the other
    _wait_until_known(lab, pod, is_known=True)

    def take_back() -> None:
        undo()
        _wait_until_known(lab, pod, is_known=False)

    return take_back


def _manifest(pod: str) -> dict[str, Any]:
    spec = {"selector": {"matchLabels": {"app": pod}}, "action": "DENY", "rules": [{}]}
    metadata = {"name": POLICY, "namespace": NAMESPACE}
    return {
        "apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy", "metadata": metadata, "spec": spec,
    }  # fmt: skip


def _denying(text: str, pod: str) -> str:
    """The mesh file with the same policy in ztunnel's form: DENY everything but what nobody asks for."""
    mesh = yaml.safe_load(text)
    rules = [[[{"notDestinationPorts": [1]}]]]
    policy = {"name": POLICY, "namespace": NAMESPACE, "scope": "WorkloadSelector", "action": "Deny", "dryRun": False}
    mesh["policies"] = [{**policy, "rules": rules}]
    [workload] = [one for one in mesh["workloads"] if one["name"] == pod]
    workload["authorizationPolicies"] = [f"{NAMESPACE}/{POLICY}"]
    return yaml.safe_dump(mesh, sort_keys=False)


def _write(file: Path, text: str) -> None:
    """In one step: a reader finds the old or the new."""
    new = file.with_name(f".{file.name}.new")
    new.write_text(text, encoding="utf-8")
    new.replace(file)


def _wait_until_known(lab: Lab, pod: Pod, *, is_known: bool) -> None:
    process = lab.running(proxy_of(pod)).peer
    deadline = time.monotonic() + FOLLOWED_SECONDS
    while True:
        status, dump = get_inside(lab.built.namespaces, process.namespace, _ADMIN, "/config_dump")
        if status == 200 and any(form in dump for form in _AS_JUDGED) is is_known:
            return
        if time.monotonic() > deadline:
            raise LabError(f"{process.name} does not follow the change of policies; `logs` tells what it says")
        time.sleep(_LOOK_SECONDS)


def with_foreign_certificate(lab: Lab, name: str) -> Peer:
    """The process that shows a pod's certificate, as it would be with one by an authority that nobody else knows.

    It has certificates from a folder then: the others that it serves keep good ones, and whom it trusts is as it was.
    """
    pod, now = lab.built.topology.pod(name), datetime.datetime.now(datetime.UTC)
    folder = lab.files.folder / f"foreign-{name}"
    served = [pod] if pod.kind is not Kind.AMBIENT else lab.built.topology.enrolled_on(pod.node)
    for one in served:
        _give_certificate(lab, one, folder, now)
    foreign = LocalCa.throw_away(now).issue(identity_of(pod), now)
    assert foreign.key_pem is not None  # the authority made the key
    own = identity_folder(folder, identity_of(pod))
    (own / KEY).write_bytes(foreign.key_pem)
    (own / CERT_CHAIN).write_bytes(foreign.chain_pem)
    peer = lab.running(proxy_of(pod)).peer
    environment = {name: value for name, value in peer.environment.items() if name not in _NO_AUTHORITY}
    return replace(peer, environment=environment | {"WORKLOAD_CERT_DIR": str(folder)})


def _give_certificate(lab: Lab, pod: Pod, folder: Path, now: datetime.datetime) -> None:
    """The one it has, or where a control plane gave it, another by the same authority."""
    own = identity_folder(folder, identity_of(pod))
    own.mkdir(parents=True, exist_ok=True)
    if lab.files.certificates.exists():
        there = identity_folder(lab.files.certificates, identity_of(pod))
        texts = {name: (there / name).read_bytes() for name in (KEY, ROOT_CERT, CERT_CHAIN)}
    else:
        leaf = LocalCa.open(lab.files.authority, now).issue(identity_of(pod), now)
        assert leaf.key_pem is not None  # the authority made the key
        texts = {KEY: leaf.key_pem, ROOT_CERT: leaf.roots_pem, CERT_CHAIN: leaf.chain_pem}
    for name, text in texts.items():
        (own / name).write_bytes(text)
        (own / name).chmod(0o600)
