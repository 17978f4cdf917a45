"""TLS 1.3 from outside: a captured connection, opened by the secrets that its ends wrote down (RFC 8446) [pure].

Only what HBONE uses: AES-GCM. A connection whose secrets are not there, or which is none of TLS 1.3, stays closed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from struct import pack
from typing import TYPE_CHECKING, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from lab_py.inner.tcp_bytes import Piece

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from lab_py.inner.tcp_bytes import Conversation

Secrets = dict[tuple[str, bytes], bytes]
"""By label and the client's random."""
_HANDSHAKE, _APPLICATION = 22, 23
_CLIENT_HELLO, _SERVER_HELLO, _FINISHED, _KEY_UPDATE = 1, 2, 20, 24
_RANDOM_AT, _RANDOM = 6, 32
_TRY_AGAIN = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
"""The random of a HelloRetryRequest, which is no ServerHello yet (RFC 8446 4.1.3)."""


class _Suite(NamedTuple):
    hash: hashes.HashAlgorithm
    key_size: int


_SUITES = {0x1301: _Suite(hashes.SHA256(), 16), 0x1302: _Suite(hashes.SHA384(), 32)}


class _Record(NamedTuple):
    nanoseconds: int
    kind: int
    header: bytes
    body: bytes


def read_key_log(texts: Iterable[bytes]) -> Secrets:
    """The secrets of key logs; lines that are none are left out."""
    found: Secrets = {}
    for line in b"\n".join(texts).splitlines():
        words = line.split()
        if len(words) == 3 and not line.startswith(b"#"):
            try:
                found[words[0].decode(), bytes.fromhex(words[1].decode())] = bytes.fromhex(words[2].decode())
            except ValueError:
                continue
    return found


def opened(conversation: Conversation, secrets: Mapping[tuple[str, bytes], bytes]) -> tuple[list[Piece], list[Piece]]:
    """What the client and the server wrote, as far as it can be opened; nothing where it cannot."""
    asked, answered = list(_records(conversation.asked)), list(_records(conversation.answered))
    random, suite = _client_random(asked), _suite(answered)
    if random is None or suite is None:
        return [], []
    sides = ("CLIENT", asked), ("SERVER", answered)
    there, back = (list(_open(_keys(side, random, suite, secrets), records)) for side, records in sides)
    return there, back


def _records(pieces: Iterable[Piece]) -> Iterator[_Record]:
    """Whole records, each with the time of its last byte."""
    held = b""
    for nanoseconds, data in pieces:
        held += data
        while len(held) >= 5 and len(held) >= (size := 5 + int.from_bytes(held[3:5], "big")):
            yield _Record(nanoseconds, held[0], held[:5], held[5:size])
            held = held[size:]


def _client_random(records: Sequence[_Record]) -> bytes | None:
    for record in records:
        if record.kind == _HANDSHAKE and record.body[:1] == bytes([_CLIENT_HELLO]):
            return record.body[_RANDOM_AT : _RANDOM_AT + _RANDOM]
    return None


def _suite(records: Sequence[_Record]) -> _Suite | None:
    for record in records:
        body = record.body
        if record.kind == _HANDSHAKE and body[:1] == bytes([_SERVER_HELLO]) and len(body) > _RANDOM_AT + _RANDOM:
            session = body[_RANDOM_AT + _RANDOM]
            at = _RANDOM_AT + _RANDOM + 1 + session
            if body[_RANDOM_AT : _RANDOM_AT + _RANDOM] != _TRY_AGAIN:
                return _SUITES.get(int.from_bytes(body[at : at + 2], "big"))
    return None


@dataclass(slots=True)
class _Keys:
    """Of one direction: those of the handshake first, then those of what follows."""

    suite: _Suite
    secrets: list[bytes]
    count: int = 0
    messages: bytes = b""
    """Of the handshake, as far as they are not whole."""
    _cipher: tuple[AESGCM, bytes] | None = field(default=None)

    def open(self, record: _Record) -> tuple[int, bytes]:
        """Its true kind and text. Raises InvalidTag."""
        if self._cipher is None:
            key = _expand(self.suite, self.secrets[0], b"key", self.suite.key_size)
            self._cipher = AESGCM(key), _expand(self.suite, self.secrets[0], b"iv", 12)
        cipher, start = self._cipher
        nonce = (int.from_bytes(start, "big") ^ self.count).to_bytes(12, "big")
        text = cipher.decrypt(nonce, record.body, record.header).rstrip(b"\0")
        self.count += 1
        return (text[-1], text[:-1]) if text else (0, b"")

    def hear(self, text: bytes) -> None:
        """Messages of the handshake, which change the keys when they end it, or ask for new ones."""
        self.messages += text
        while len(self.messages) >= 4 and len(self.messages) >= (size := 4 + int.from_bytes(self.messages[1:4], "big")):
            kind, self.messages = self.messages[0], self.messages[size:]
            if kind == _FINISHED and len(self.secrets) > 1:
                self._next(self.secrets[1:])
            elif kind == _KEY_UPDATE:
                size = self.suite.hash.digest_size
                self._next([_expand(self.suite, self.secrets[0], b"traffic upd", size)])

    def _next(self, secrets: list[bytes]) -> None:
        self.secrets, self.count, self._cipher = secrets, 0, None


def _keys(side: str, random: bytes, suite: _Suite, secrets: Mapping[tuple[str, bytes], bytes]) -> _Keys | None:
    labels = (f"{side}_HANDSHAKE_TRAFFIC_SECRET", f"{side}_TRAFFIC_SECRET_0")
    found = [secrets[label, random] for label in labels if (label, random) in secrets]
    return _Keys(suite, found) if len(found) == len(labels) else None


def _open(keys: _Keys | None, records: Iterable[_Record]) -> Iterator[Piece]:
    if keys is None:
        return
    for record in records:
        if record.kind != _APPLICATION:
            continue
        try:
            kind, text = keys.open(record)
        except InvalidTag:
            return
        if kind == _HANDSHAKE:
            keys.hear(text)
        elif kind == _APPLICATION and text:
            yield Piece(record.nanoseconds, text)


def _expand(suite: _Suite, secret: bytes, label: bytes, size: int) -> bytes:
    """HKDF-Expand-Label with nothing for its context (RFC 8446 7.1)."""
    name = b"tls13 " + label
    info = pack("!HB", size, len(name)) + name + b"\0"
    return HKDFExpand(algorithm=suite.hash, length=size, info=info).derive(secret)
