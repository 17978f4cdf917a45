"""What only the direct engine has to prove: lent memory comes back, and memory is freed."""

from __future__ import annotations

import ctypes
import gc
import random
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hbone_py.errors import TlsError
from hbone_py.tls import direct
from hbone_py.tls.buffers import SharedBuffer
from hbone_py.tls.context import TlsSettings, client_context, server_context
from hbone_py.tls.direct import LENT_FROM, DirectEngine
from tests.hbone_py.tls.parties import Ours, client, connected, server, take

if TYPE_CHECKING:
    from hbone_py.tls.credentials import Credentials

BULK = 4 * LENT_FROM


@pytest.fixture
def pair(client_credentials: Credentials, server_credentials: Credentials) -> tuple[DirectEngine, DirectEngine]:
    one, other = client(client_credentials), server(server_credentials)
    connected(one, other)
    assert isinstance(one.engine, DirectEngine)
    assert isinstance(other.engine, DirectEngine)
    return one.engine, other.engine


@pytest.fixture
def lent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of what was lent to OpenSSL."""
    sizes: list[int] = []
    real = direct.bio_new_mem_buf

    def record(pointer: object, count: int) -> object:
        sizes.append(count)
        return real(pointer, count)

    monkeypatch.setattr(direct, "bio_new_mem_buf", record)
    return sizes


def pieces_of(ciphertext: bytes, *sizes: int) -> list[bytes]:
    pieces = []
    for size in sizes:
        pieces.append(ciphertext[:size])
        ciphertext = ciphertext[size:]
    return [*pieces, ciphertext] if ciphertext else pieces


def receive_all(engine: DirectEngine, pieces: list[bytes]) -> bytes:
    cipher, plain, got = SharedBuffer(BULK * 2), SharedBuffer(BULK * 2), b""
    for piece in pieces:
        cipher.view[: len(piece)] = piece
        count = engine.receive(cipher, len(piece), plain)
        cipher.view[:] = bytes(cipher.size)  # nothing may refer to it any more
        got += bytes(plain.view[:count])
    return got


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        pytest.param([LENT_FROM - 1], [], id="small input is copied, and what follows its open record"),
        pytest.param([LENT_FROM], [0, 1], id="large input is lent"),
        pytest.param([LENT_FROM + 3] * 3, [0, 1, 2, 3], id="large input cut anywhere is lent each time"),
        pytest.param([70_000, 100, 70_000], [0, 3], id="one piece behind a small one is copied"),
    ],
)
def test_what_is_lent(pair, lent, sizes, expected):
    """`expected` are the places of the pieces that are lent; a last piece holds what `sizes` leave."""
    one, other = pair
    data = random.Random(7).randbytes(BULK)
    one.write(data)
    pieces = pieces_of(take(one), *sizes)
    assert receive_all(other, pieces) == data
    assert lent == [len(pieces[place]) for place in expected]


def test_lending_goes_on_after_small_pieces(pair, lent):
    one, other = pair
    for _ in range(2):
        one.write(bytes(BULK))
        assert len(receive_all(other, pieces_of(take(one), 10))) == BULK
    # The first large piece finds ten bytes of its record in the copy, the second too; neither is wrong.
    one.write(bytes(BULK))
    assert len(receive_all(other, [take(one)])) == BULK
    assert len(lent) == 1


def test_an_error_in_lent_memory_leaves_nothing_behind(pair, lent):
    one, other = pair
    one.write(bytes(BULK))
    broken = bytearray(take(one))
    broken[20_000] ^= 1
    cipher, plain = SharedBuffer(BULK * 2), SharedBuffer(BULK * 2)
    cipher.view[: len(broken)] = broken
    assert other.receive(cipher, len(broken), plain) == 16384
    cipher.view[:] = bytes(cipher.size)
    for _ in range(2):
        with pytest.raises(TlsError, match="bad record mac"):
            other.read_into(plain)
    assert lent == [len(broken)]


def resident_kib() -> int:
    """What the process has; what the C library merely keeps for later goes back first."""
    ctypes.CDLL(None).malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4


def test_thousands_of_engines_leave_no_memory_behind(client_credentials: Credentials, server_credentials: Credentials):
    """Each gets as far as its hello; a hundred shake hands and carry bulk."""
    ours = client_context(client_credentials, TlsSettings())
    theirs = server_context(server_credentials, TlsSettings())

    def hello(count: int) -> None:
        for _ in range(count):
            assert not DirectEngine(ours).handshake()

    def converse(count: int) -> None:
        for _ in range(count):
            one, other = DirectEngine(ours), DirectEngine(theirs)
            connected(Ours(one), Ours(other))
            one.write(bytes(BULK))
            assert len(receive_all(other, [take(one)])) == BULK

    hello(500)
    converse(20)
    gc.collect()
    before = resident_kib()
    hello(3_000)
    converse(80)
    gc.collect()
    # 30 KiB each would be 90 MiB, a lost buffer of 256 KiB each 20 MiB.
    assert resident_kib() - before < 8 * 1024


def test_releasing_memory_gives_back_what_a_burst_took(pair):
    one, other = pair
    one.write(bytes(16 << 20))
    got = 0
    for piece in pieces_of(take(one), *[BULK] * 90):
        got += len(receive_all(other, [piece]))
    assert got == 16 << 20
    before = resident_kib()
    one.release_memory()
    assert before - resident_kib() > 8 * 1024
