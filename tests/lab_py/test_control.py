"""Orders to a lab, and its answers."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from lab_py.control import ControlSocket, give_order
from lab_py.errors import LabError, Unusable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def obeyed(order: dict[str, Any]) -> Any:
    match order:
        case {"do": "add", "numbers": list(numbers)}:
            return sum(numbers)
        case {"do": "fall"}:
            raise OSError(28, "no space left")
    raise Unusable(f"what is {order['do']}?")


@contextmanager
def lab(folder: Path, orders: int) -> Iterator[None]:
    control = ControlSocket(folder)

    def obey() -> None:
        for _ in range(orders):
            control.obey(obeyed, 5.0)

    thread = threading.Thread(target=obey)
    thread.start()
    yield
    thread.join(10)
    assert not thread.is_alive()
    control.close()


def test_an_order_is_obeyed_however_long_the_folders_name(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 100) / ("y" * 100)
    folder.mkdir(parents=True)
    with lab(folder, 3):
        assert give_order(folder, {"do": "add", "numbers": [1, 2, 3]}) == 6
        with pytest.raises(Unusable, match="what is fly"):
            give_order(folder, {"do": "fly"})
        with pytest.raises(LabError, match="no space left"):
            give_order(folder, {"do": "fall"})


def test_who_says_nothing_sensible_is_hung_up_on(tmp_path: Path) -> None:
    with lab(tmp_path, 2):
        with socket.socket(socket.AF_UNIX) as somebody:
            somebody.settimeout(5)
            somebody.connect(str(tmp_path / "control"))
            somebody.sendall(b"hello\n")
            assert somebody.recv(100) == b""
        assert give_order(tmp_path, {"do": "add", "numbers": []}) == 0


def test_where_nobody_listens_it_is_told(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"does not answer: .*No such file"):
        give_order(tmp_path, {"do": "add", "numbers": []})
