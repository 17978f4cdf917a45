"""Orders to a lab that is up: a line of JSON to a socket in its folder, which its first process obeys."""

from __future__ import annotations

import json
import os
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lab_py.errors import LabError, Missing, Unusable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_SOCKET = "control"
ANSWER_SECONDS = 120.0
"""How long an order may take: it waits for those before it, and each starts a process or two at most."""
ORDER_SECONDS = 5.0
"""How long somebody who has connected may take to say what."""
_MOST_ORDER = 65_536
_ERRORS = {error.status: error for error in (LabError, Unusable, Missing)}

Order = dict[str, Any]


class ControlSocket:
    """Where a lab takes orders, one after the other; the folder is its user's alone, and so is this."""

    def __init__(self, folder: Path) -> None:
        """Raises OSError."""
        self._socket = socket.socket(socket.AF_UNIX)
        with _short_name(folder) as name:
            self._socket.bind(name)
        self._socket.listen()

    def close(self) -> None:
        """Take no more."""
        self._socket.close()

    def obey(self, act: Callable[[Order], Any], seconds: float) -> None:
        """Wait for an order for so long, and obey it: what `act` gives, or raises as a LabError, is the answer."""
        self._socket.settimeout(seconds)
        try:
            connection, _ = self._socket.accept()
        except TimeoutError:
            return
        with connection:
            try:
                connection.settimeout(ORDER_SECONDS)
                order = json.loads(connection.makefile().readline(_MOST_ORDER))
                connection.sendall(json.dumps(_answer(act, order)).encode() + b"\n")
            except (OSError, ValueError):
                return  # whoever asked is gone, or is nobody we know


def _answer(act: Callable[[Order], Any], order: Order) -> dict[str, Any]:
    try:
        return {"answer": act(order)}
    except LabError as error:
        return {"error": str(error), "status": error.status}
    except OSError as error:  # the lab must not end for it
        return {"error": f"{error.strerror or error}", "status": LabError.status}


def give_order(folder: Path, order: Order) -> Any:
    """Have a lab do something; its answer. Raises LabError: what it says is wrong, or it does not answer."""
    try:
        with socket.socket(socket.AF_UNIX) as lab, _short_name(folder) as name:
            lab.settimeout(ANSWER_SECONDS)
            lab.connect(name)
            lab.sendall(json.dumps(order).encode() + b"\n")
            answer = json.loads(lab.makefile().readline())
    except (OSError, ValueError) as error:
        raise LabError(f"{folder.name} does not answer: {error}; `python -m lab_py status` tells how it is") from None
    if "error" in answer:
        raise _ERRORS.get(answer["status"], LabError)(answer["error"])
    return answer["answer"]


@contextmanager
def _short_name(folder: Path) -> Iterator[str]:
    """The socket's path, however long the folder's is: the kernel takes 107 bytes."""
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{_SOCKET}"
    finally:
        os.close(descriptor)
