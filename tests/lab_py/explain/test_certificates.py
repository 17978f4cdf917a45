"""Certificates that proxies show, in the eyes of the mesh's authority."""

from __future__ import annotations

import datetime
import ssl
from typing import TYPE_CHECKING, Any, cast

import pytest

from lab_py.builtin import load
from lab_py.control_plane import ControlPlane
from lab_py.explain.certificates import bad_certificates
from lab_py.mesh_file import identity_of
from lab_py.world import lay_out
from mesh_py.identity.layout import CERT_CHAIN, identity_folder
from mesh_py.identity.local_ca import LocalCa

if TYPE_CHECKING:
    from pathlib import Path

    from lab_py.world import WorldFiles

TOPOLOGY = load("sidecar-to-ambient")
NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


class Asked:
    """Stands for the network: whoever is asked shows this."""

    def __init__(self, chain_pem: bytes | None) -> None:
        self._shown = None if chain_pem is None else ssl.PEM_cert_to_DER_cert(chain_pem.decode().split("\n\n")[0])

    def inside(self, namespace: str, _ask: object) -> bytes | None:
        assert namespace == "node-a", "from where nobody captures it"
        return self._shown


def problems(files: WorldFiles, chain_pem: bytes | None) -> dict[str, str]:
    return bad_certificates(TOPOLOGY, cast("Any", Asked(chain_pem)), files)


def own(files: WorldFiles, pod: str) -> bytes:
    return (identity_folder(files.certificates, identity_of(TOPOLOGY.pod(pod))) / CERT_CHAIN).read_bytes()


def test_only_what_the_authority_has_signed_for_the_pod_is_good(tmp_path: Path) -> None:
    files = lay_out(TOPOLOGY, tmp_path, NOW, ControlPlane.FILE)
    assert problems(files, own(files, "httpbin")) == {}
    assert "it names spiffe://cluster.local/ns/default/sa/sleep" in problems(files, own(files, "sleep"))["httpbin"]
    foreign = LocalCa.throw_away(NOW).issue(identity_of(TOPOLOGY.pod("httpbin")), NOW)
    assert "the mesh's authority has not signed" in problems(files, foreign.chain_pem)["httpbin"]


def test_of_one_that_shows_nothing_nothing_is_said(tmp_path: Path) -> None:
    assert problems(lay_out(TOPOLOGY, tmp_path, NOW, ControlPlane.FILE), None) == {}


@pytest.mark.parametrize("is_foreign", [False, True])
def test_a_control_planes_authority_is_the_mesh_s(tmp_path: Path, is_foreign: bool) -> None:
    files = lay_out(TOPOLOGY, tmp_path, NOW, ControlPlane.ISTIOD)
    authority = LocalCa.throw_away(NOW) if is_foreign else LocalCa.open(files.authority, NOW)
    leaf = authority.issue(identity_of(TOPOLOGY.pod("httpbin")), NOW)
    assert bool(problems(files, leaf.chain_pem)) is is_foreign
