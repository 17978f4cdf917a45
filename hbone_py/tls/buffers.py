"""Memory that Python and OpenSSL both write to without a conversion per call [pure]."""

from __future__ import annotations

from typing import Any, Final

from hbone_py.tls.openssl import ffi


class SharedBuffer:
    """A fixed piece of memory with its two faces: a memoryview for Python, a pointer for OpenSSL.

    One buffer may serve all connections of a thread in turn: no call keeps a reference to its bytes.
    """

    __slots__ = ("pointer", "size", "view")

    def __init__(self, size: int) -> None:
        """Reserve `size` bytes, all zero."""
        memory = bytearray(size)
        self.size: Final = size
        self.view: Final = memoryview(memory)
        # The pointer keeps the memory alive and unmovable; cffi gives it no type that mypy knows.
        self.pointer: Final[Any] = ffi.from_buffer("char[]", memory) if ffi is not None else None

    def __len__(self) -> int:
        return self.size
