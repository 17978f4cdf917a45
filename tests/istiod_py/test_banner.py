"""What is printed at the start."""

from __future__ import annotations

from pathlib import Path

from istiod_py.banner import lines
from tests.istiod_py.test_config import settings


def test_addresses_that_can_be_dialled_whatever_we_listen_on(tmp_path: Path) -> None:
    addresses = {"secure": ("::", 15012), "monitoring": ("127.0.0.1", 15014)}
    text = "\n".join(lines(settings(tmp_path), addresses, Path("/a folder/root.pem")))
    assert "XDS_ADDRESS=https://localhost:15012 CA_ADDRESS=https://localhost:15012" in text
    assert "XDS_ROOT_CA='/a folder/root.pem'" in text
    assert "--state-dir /state/hbone-mesh/istiod" in text
    assert "curl http://127.0.0.1:15014/debug" in text
    assert "plaintext" not in text


def test_ipv6_in_brackets(tmp_path: Path) -> None:
    addresses = {"secure": ("fd00::1", 15012), "monitoring": ("::1", 15014), "plaintext": ("::1", 15010)}
    text = "\n".join(lines(settings(tmp_path), addresses, Path("/r")))
    assert "https://[fd00::1]:15012" in text
    assert "this machine alone: [::1]:15010" in text
