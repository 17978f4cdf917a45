"""Certificates that were taken back: the revocation lists of one file, followed while we run (hbone-dataplane 3.9).

A list counts only where the issuer's own key has signed it. Who issues no list revokes nothing, and a list that is
out of date is better than none.
"""

from __future__ import annotations

import asyncio
import logging
import re
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from mesh_py.process.file_stamp import stamp_of
from mesh_py.process.reason import reason_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence
    from pathlib import Path

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0
"""How often the file is looked at; a change counts once two looks found it the same."""
_BLOCK = re.compile(rb"-----BEGIN X509 CRL-----.+?-----END X509 CRL-----", re.DOTALL)


class CrlError(ValueError):
    """A file that holds no revocation lists that can be read; the text says what is wrong."""


class _List:
    """One list, ready for lookups: searching the library's own, and checking its signature, take as long as it is."""

    def __init__(self, crl: x509.CertificateRevocationList) -> None:
        self._crl = crl
        self.serials = frozenset(entry.serial_number for entry in crl)
        self._signer: object = None
        """The key that is known to have signed it."""

    def is_signed(self, candidates: Iterable[x509.Certificate]) -> bool:
        """Whether one of the certificates of the list's issuer has signed it."""
        return any(self._is_by(one.public_key()) for one in candidates if one.subject == self._crl.issuer)

    def _is_by(self, key: Any) -> bool:
        if key == self._signer:
            return True
        try:
            if not self._crl.is_signature_valid(key):
                return False
        except (TypeError, ValueError, UnsupportedAlgorithm):  # a key of a kind that signs no lists
            return False
        self._signer = key
        return True


class Revocations:
    """What one file says. Nothing changes it."""

    def __init__(self, lists: Iterable[x509.CertificateRevocationList] = ()) -> None:
        self._by_issuer: dict[x509.Name, list[_List]] = {}
        for crl in lists:
            self._by_issuer.setdefault(crl.issuer, []).append(_List(crl))

    def __len__(self) -> int:
        return sum(map(len, self._by_issuer.values()))

    @staticmethod
    def parse(data: bytes) -> Revocations:
        """Lists in PEM, anything else between them left aside, or one in DER; no bytes are no lists.

        Raises:
            CrlError: it is neither.
        """
        try:
            if b"-----BEGIN " in data:
                return Revocations([x509.load_pem_x509_crl(block) for block in _BLOCK.findall(data)])
            return Revocations([x509.load_der_x509_crl(data)] if data.strip() else [])
        except Exception as error:  # the library has many for what is broken, and none may end who follows the file
            raise CrlError(f"no revocation list that can be read: {error}") from error

    def revoked(self, chain: Sequence[x509.Certificate], roots: Sequence[x509.Certificate]) -> x509.Certificate | None:
        """The first certificate of a verified chain (leaf first) that its issuer has taken back."""
        for certificate in chain:
            for one in self._by_issuer.get(certificate.issuer, ()):
                if certificate.serial_number in one.serials and one.is_signed([*chain, *roots]):
                    return certificate
        return None


class RevocationFile:
    """The lists of one file as they are now. A file that is not there yet revokes nothing."""

    def __init__(self, path: Path) -> None:
        self.now = Revocations()
        self._path = path
        self._stamp: object = None
        self._seen: object = None

    def load(self) -> None:
        """Read it, for the start. Raises CrlError when it is there and cannot be read."""
        self._stamp = self._seen = stamp_of(self._path)
        if self._stamp is None:
            log.warning("%s: not there yet: nothing is revoked", self._path)
        else:
            self.now = _read(self._path)

    def refresh(self) -> bool:
        """Look at the file once; True if there are other lists now. A broken file changes nothing."""
        stamp, seen, self._seen = stamp_of(self._path), self._seen, stamp_of(self._path)
        if stamp is None or stamp == self._stamp or stamp != seen:
            return False
        self._stamp = stamp
        try:
            self.now = _read(self._path)
        except CrlError as error:
            log.error("%s; what was revoked stays so", error)
            return False
        log.info("%s: %d revocation lists", self._path, len(self.now))
        return True

    async def watch(
        self, changed: Callable[[], None], sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    ) -> None:
        """Call `changed` after every change until cancelled; the caller owns the task.

        The file is read in a thread: a list of 100,000 certificates takes a tenth of a second.
        """
        while True:
            await sleep(POLL_SECONDS)
            if await asyncio.to_thread(self.refresh):
                changed()


def _read(path: Path) -> Revocations:
    try:
        return Revocations.parse(path.read_bytes())
    except OSError as error:
        raise CrlError(f"{path}: {reason_of(error)}") from error
    except CrlError as error:
        raise CrlError(f"{path}: {error}") from error
