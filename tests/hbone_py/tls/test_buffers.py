"""One piece of memory, seen by Python and by C."""

from __future__ import annotations

import pytest

from hbone_py.tls import openssl
from hbone_py.tls.buffers import SharedBuffer


def test_both_faces_show_the_same_memory():
    buffer = SharedBuffer(16)
    buffer.view[:5] = b"hello"
    assert openssl.ffi.buffer(buffer.pointer, 5)[:] == b"hello"
    openssl.ffi.buffer(buffer.pointer, 5)[:] = b"world"
    assert bytes(buffer.view[:5]) == b"world"


def test_its_size():
    buffer = SharedBuffer(1000)
    assert (buffer.size, len(buffer), len(buffer.view)) == (1000, 1000, 1000)
    assert bytes(buffer.view) == bytes(1000)


def test_its_memory_cannot_move():
    """The pointer would dangle."""
    buffer = SharedBuffer(16)
    memory = buffer.view.obj
    assert isinstance(memory, bytearray)
    with pytest.raises(BufferError):
        memory.append(1)
