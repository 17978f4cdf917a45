"""Roots from a file, from text, from the system, and from nowhere."""

from __future__ import annotations

import pytest

from mesh_py.rpc.errors import RootsError
from mesh_py.rpc.roots import SYSTEM, Roots


def test_a_file_is_read_at_each_use(root, tmp_path):
    file = tmp_path / "root-cert.pem"
    pem = root.roots.read_bytes()
    file.write_bytes(pem)
    roots = Roots(str(file))
    assert len(roots.read()) == 1
    file.write_bytes(pem + pem)
    assert len(roots.read()) == 2


def test_text_is_read_where_it_stands(root):
    assert Roots(root.roots.read_text()).read() == Roots(str(root.roots)).read()


def test_the_system_has_its_own():
    assert Roots(SYSTEM).is_system
    assert Roots(SYSTEM).read() == []


def test_a_missing_file_is_one_clear_error(tmp_path):
    missing = tmp_path / "root-cert.pem"
    with pytest.raises(RootsError) as caught:
        Roots(str(missing), "CA_ROOT_CA").read()
    assert str(caught.value) == (
        f"CA_ROOT_CA: {missing}: No such file or directory: mount it there, "
        "or set CA_ROOT_CA to another path, to SYSTEM, or to the PEM text itself"
    )


@pytest.mark.parametrize(
    "content", ["", "no certificate", "-----BEGIN CERTIFICATE-----\nxxx\n-----END CERTIFICATE-----"]
)
def test_a_file_without_a_certificate(tmp_path, content):
    file = tmp_path / "root-cert.pem"
    file.write_text(content)
    with pytest.raises(RootsError, match="holds no PEM certificate"):
        Roots(str(file)).read()


def test_text_without_a_certificate():
    with pytest.raises(RootsError, match="XDS_ROOT_CA: the text holds no PEM certificate"):
        Roots("-----BEGIN NOTHING-----").read()
