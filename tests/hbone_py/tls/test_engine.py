"""The contract of an engine, kept by both: bytes in, bytes out, and how a connection ends."""

from __future__ import annotations

import random
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from hbone_py.errors import TlsError
from hbone_py.tls import openssl
from hbone_py.tls.buffers import SharedBuffer
from hbone_py.tls.direct import DirectEngine
from hbone_py.tls.engine import TlsEngine
from tests.hbone_py.tls.parties import PLAINTEXT, EngineType, Ours, client, connected, server, take, talk

if TYPE_CHECKING:
    from hbone_py.tls.credentials import Credentials


@pytest.fixture
def pair(engine: EngineType, client_credentials: Credentials, server_credentials: Credentials) -> tuple[Ours, Ours]:
    one, other = client(client_credentials, engine), server(server_credentials, engine)
    connected(one, other)
    return one, other


SIZES = [1, 73, 16384, 16385, 65536, 300_000]


@pytest.mark.parametrize("size", SIZES)
def test_bytes_arrive_both_ways(pair, size):
    data = random.Random(size).randbytes(size)
    for sender, receiver in (pair, pair[::-1]):
        sender.write(data)
        talk(sender, receiver)
        assert receiver.received == data
        assert not sender.received
        receiver.received.clear()


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_buffer_can_be_written_and_fed(pair, kind):
    one, other = pair
    one.engine.write(kind(b"hello"))
    other.engine.feed(kind(take(one.engine)))
    other.step()
    assert other.received == b"hello"


def test_a_slice_of_a_memoryview_is_written_alone(pair):
    one, other = pair
    one.engine.write(memoryview(b"..hello..")[2:7])
    talk(one, other)
    assert other.received == b"hello"


def test_nothing_written_is_nothing_sent(pair):
    one, _ = pair
    one.engine.write(b"")
    one.engine.write_shared(PLAINTEXT, 0)
    assert take(one.engine) == b""


def test_byte_by_byte(pair):
    one, other = pair
    one.write(b"slowly")
    one.write(b" but surely")
    for byte in take(one.engine):
        other.feed(bytes([byte]))
        other.step()
    assert other.received == b"slowly but surely"


def test_a_handshake_byte_by_byte(engine, client_credentials, server_credentials):
    one, other = client(client_credentials, engine), server(server_credentials, engine)
    sides = [one, other]
    for _ in range(6):
        speaker, listener = sides
        speaker.step()
        for byte in take(speaker.engine):
            listener.feed(bytes([byte]))
            listener.step()
        sides.reverse()
    assert one.is_up
    assert other.is_up


def test_data_that_comes_with_the_end_of_the_handshake_is_read_after_it(engine, client_credentials, server_credentials):
    one, other = client(client_credentials, engine), server(server_credentials, engine)
    one.step()
    other.feed(one.output())
    other.step()
    one.feed(other.output())
    one.step()
    one.write(b"early")
    other.feed(one.output())
    other.step()
    assert other.received == b"early"


def test_shared_buffers_carry_both_directions(pair):
    one, other = (party.engine for party in pair)
    plain, cipher = SharedBuffer(1024), SharedBuffer(2048)
    plain.view[:5] = b"hello"
    one.write_shared(plain, 5)
    other.feed_shared(cipher, one.take_ciphertext(cipher))
    assert other.read_into(plain, offset=100) == 5
    assert bytes(plain.view[100:105]) == b"hello"
    assert other.read_into(plain) == 0


def test_a_full_buffer_keeps_the_rest_for_the_next_read(pair):
    one, other = (party.engine for party in pair)
    data = random.Random(1).randbytes(40_000)
    one.write(data)
    other.feed(take(one))
    small, got = SharedBuffer(1000), b""
    while count := other.read_into(small):
        got += bytes(small.view[:count])
    assert got == data


def test_a_read_stops_where_the_buffer_ends(pair):
    one, other = (party.engine for party in pair)
    one.write(b"0123456789")
    other.feed(take(one))
    small = SharedBuffer(8)
    assert other.read_into(small, offset=3) == 5
    assert other.read_into(small) == 5
    assert bytes(small.view[:5]) == b"56789"


def test_a_small_buffer_takes_ciphertext_in_turns(pair):
    one, other = (party.engine for party in pair)
    one.write(b"x" * 1000)
    small, turns = SharedBuffer(100), 0
    while count := one.take_ciphertext(small):
        other.feed_shared(small, count)
        turns += 1
    assert turns == 11  # 1000 bytes, five of header, one of type, 16 of tag
    assert other.read_into(PLAINTEXT) == 1000


@pytest.mark.parametrize("size", [100, 48 * 1024, 200_000, 262_144])
def test_receive_is_feed_and_read_in_one(pair, size):
    one, other = (party.engine for party in pair)
    cipher, plain = SharedBuffer(300_000), SharedBuffer(300_000)
    for turn in range(3):
        data = random.Random(turn).randbytes(size)
        one.write(data)
        assert other.receive(cipher, one.take_ciphertext(cipher), plain) == size
        assert bytes(plain.view[:size]) == data


def test_what_receive_could_not_hand_out_survives_the_buffer(pair):
    one, other = (party.engine for party in pair)
    data = random.Random(3).randbytes(200_000)
    one.write(data)
    cipher, plain = SharedBuffer(300_000), SharedBuffer(70_000)
    count = other.receive(cipher, one.take_ciphertext(cipher), plain)
    cipher.view[:] = bytes(cipher.size)  # the next connection's bytes come into the same buffer
    got = bytes(plain.view[:count])
    while count := other.read_into(plain):
        got += bytes(plain.view[:count])
    assert got == data


def test_receive_in_odd_pieces(pair):
    one, other = (party.engine for party in pair)
    data = random.Random(4).randbytes(1_000_000)
    one.write(data)
    stream, chance = take(one), random.Random(5)
    cipher, plain, got = SharedBuffer(100_000), SharedBuffer(60_000), b""
    while stream:
        count = min(len(stream), chance.choice([1, 4, 5, 6, 900, 16406, 49_999, 70_000, 100_000]))
        cipher.view[:count] = stream[:count]
        stream = stream[count:]
        count = other.receive(cipher, count, plain)
        while count:
            got += bytes(plain.view[:count])
            count = other.read_into(plain)
    assert got == data


def test_close_notify_ends_one_direction(pair):
    one, other = pair
    one.write(b"last words")
    one.engine.send_close_notify()
    talk(one, other)
    assert other.received == b"last words"
    assert other.engine.peer_closed
    assert not one.engine.peer_closed
    # TLS 1.3: the other direction is open (RFC 8446 6.1).
    other.write(b"and mine")
    talk(other, one)
    assert one.received == b"and mine"


def test_close_notify_both_ways(pair):
    one, other = pair
    for party in pair:
        party.engine.send_close_notify()
    talk(one, other)
    assert one.engine.peer_closed
    assert other.engine.peer_closed


def test_close_notify_before_the_handshake_says_nothing(engine, client_credentials):
    party = client(client_credentials, engine)
    party.engine.send_close_notify()
    assert party.output() == b""


def test_writing_after_our_close_notify_is_an_error(pair):
    one, _ = pair
    one.engine.send_close_notify()
    with pytest.raises(TlsError):
        one.write(b"more")


def test_an_end_without_close_notify_is_told_after_the_data(pair):
    one, other = pair
    one.write(b"cut")
    other.feed(one.output())
    other.engine.feed_eof()
    assert other.engine.read_into(PLAINTEXT) == 3
    with pytest.raises(TlsError, match="without close_notify"):
        other.engine.read_into(PLAINTEXT)
    assert not other.engine.peer_closed


def test_an_end_in_the_middle_of_a_record(pair):
    one, other = pair
    one.write(b"cut")
    other.feed(one.output()[:-1])
    assert other.engine.read_into(PLAINTEXT) == 0
    other.engine.feed_eof()
    with pytest.raises(TlsError, match="without close_notify"):
        other.engine.read_into(PLAINTEXT)


def test_an_end_after_close_notify_is_clean(pair):
    one, other = pair
    one.engine.send_close_notify()
    other.feed(one.output())
    other.engine.feed_eof()
    assert other.engine.read_into(PLAINTEXT) == 0
    assert other.engine.peer_closed


def test_a_changed_byte_is_found_and_the_data_before_it_is_kept(pair):
    one, other = pair
    one.write(b"good")
    good = one.output()
    one.write(b"bad")
    bad = bytearray(one.output())
    bad[-1] ^= 1
    other.feed(good + bytes(bad))
    assert other.engine.read_into(PLAINTEXT) == 4
    for _ in range(2):  # and stays an error
        with pytest.raises(TlsError, match="bad record mac"):
            other.engine.read_into(PLAINTEXT)
    talk(other, one)
    assert "the peer sent alert bad_record_mac" in str(one.error)


def test_a_record_that_is_too_large_is_refused_by_its_header(pair):
    _, other = pair
    other.feed(b"\x17\x03\x03\xff\xff")
    with pytest.raises(TlsError, match="length too long"):
        other.engine.read_into(PLAINTEXT)


def test_another_protocol_is_refused(pair):
    _, other = pair
    other.feed(b"GET / HTTP/1.1\r\n\r\n")
    with pytest.raises(TlsError, match="TLS failed"):
        other.engine.read_into(PLAINTEXT)


def test_a_failed_connection_writes_no_more(pair):
    _, other = pair
    other.feed(b"GET / HTTP/1.1\r\n\r\n")
    other.step()
    with pytest.raises(TlsError):
        other.write(b"more")


def test_writing_before_the_handshake_is_an_error(engine, client_credentials):
    with pytest.raises(TlsError):
        client(client_credentials, engine).write(b"too early")


def test_errors_of_one_connection_do_not_reach_another(engine, client_credentials, server_credentials):
    """OpenSSL keeps one queue of errors per thread; whoever leaves something in it harms the next."""
    broken, well = ((client(client_credentials, engine), server(server_credentials, engine)) for _ in range(2))
    connected(*broken)
    connected(*well)
    broken[1].feed(b"GET / HTTP/1.1\r\n\r\n")
    broken[1].step()
    assert broken[1].error is not None
    well[0].write(b"hello")
    talk(*well)
    assert well[1].received == b"hello"


def test_memory_is_released_between_bursts(pair):
    one, other = pair
    for _ in range(3):
        data = random.Random(6).randbytes(200_000)
        one.write(data)
        one.engine.release_memory()  # ciphertext is pending: nothing may be lost
        talk(one, other)
        one.engine.release_memory()
        assert other.received == data
        other.received.clear()


def test_tls_inside_tls(engine, client_credentials, server_credentials):
    outer = client(client_credentials, engine), server(server_credentials, engine)
    inner = client(client_credentials, engine), server(server_credentials, engine)
    connected(*outer)

    def carry(sender: int) -> bool:
        """Take the inner end's ciphertext through the outer connection."""
        near, far = sender, 1 - sender
        inner[near].step()
        data = inner[near].output()
        outer[near].write(data)
        talk(outer[near], outer[far])
        inner[far].feed(bytes(outer[far].received))
        outer[far].received.clear()
        inner[far].step()
        return bool(data)

    while carry(0) or carry(1):
        pass
    inner[0].write(b"tunnel in a tunnel" * 5000)
    carry(0)
    assert inner[1].received == b"tunnel in a tunnel" * 5000


def test_the_direct_engine_is_the_one_in_use():
    assert openssl.missing_names() == []
    assert TlsEngine is DirectEngine


def test_without_the_private_names_the_public_engine_stands_in():
    """In a process of its own, since the choice is made at import."""
    program = """
from OpenSSL import SSL
class Without:
    def __getattr__(self, name):
        if name == "BIO_new_mem_buf":
            raise AttributeError(name)
        return getattr(real, name)
real, SSL._lib = SSL._lib, Without()
from hbone_py.tls import TlsEngine
from hbone_py.tls.public import PublicEngine
assert TlsEngine is PublicEngine, TlsEngine
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
