"""The part in C: taken where it is there and OpenSSL can be called from it, else the start-up log says why not."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from hbone_py.aio import form, native
from hbone_py.tls import openssl
from hbone_py.tls.buffers import SharedBuffer
from tests.support.c_module import compiled

if TYPE_CHECKING:
    from types import ModuleType


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    return compiled("hbone_py.aio._way", tmp_path_factory.mktemp("c"))


@pytest.fixture
def in_c(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if all were compiled."""
    monkeypatch.setattr(form, "FORM", "compiled")
    monkeypatch.setitem(sys.modules, "hbone_py.aio._way", module)


def ways() -> Any:
    return native.ways(SharedBuffer(1000), SharedBuffer(20_000), SharedBuffer(1000))


@pytest.mark.usefixtures("in_c")
def test_there_and_usable(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments, reason = native._find()
    assert (len(arguments), reason) == (6, "")
    monkeypatch.setattr(native, "_ARGUMENTS", arguments)
    assert type(ways()).__name__ == "Ways"


@pytest.mark.usefixtures("in_c")
def test_bindings_that_do_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(function: str, signature: str) -> int:
        raise LookupError(f"OpenSSL's bindings do not tell where {function} is")

    monkeypatch.setattr(openssl, "address", missing)
    assert native._find() == ([], ", messages plain: OpenSSL's bindings do not tell where SSL_read is")


def test_a_module_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(form, "FORM", "compiled")
    monkeypatch.setitem(sys.modules, "hbone_py.aio._way", None)
    arguments, reason = native._find()
    assert arguments == []
    assert reason.startswith(", messages plain: import of hbone_py.aio._way halted")


def test_plain_is_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(form, "FORM", "plain, compiled for another interpreter")
    assert native._find() == ([], "")
    monkeypatch.setattr(native, "_ARGUMENTS", [])
    assert ways() is None
