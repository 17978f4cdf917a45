"""What an authority answers, as credentials, if it is what was asked for (hbone-controlplane 3.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hbone_py.errors import TlsConfigError
from hbone_py.tls.chain import check_chain
from hbone_py.tls.credentials import Credentials

if TYPE_CHECKING:
    import datetime
    from collections.abc import Sequence

    from hbone_py.identity import SpiffeId

_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
_LARGEST = 1 << 20
"""Characters of a whole answer; a mesh's roots have some thousands."""
_MOST_SHOWN = 16
"""The leaf and its intermediates, of which a mesh has two or three: peers turn away who shows them hundreds."""


def credentials_of(
    chain: Sequence[str], key_pem: bytes, wanted: SpiffeId | None, now: datetime.datetime
) -> Credentials:
    """The leaf, the intermediates one by one, and last the roots, which may be several.

    Args:
        wanted: the identity the leaf must name first; None takes what the authority says that we are.
        now: when peers must believe it: one that nobody believes must not take the place of one that works.

    Raises:
        TlsConfigError: anything else came.
    """
    if not chain:
        raise TlsConfigError("the authority's answer is empty: no certificate in it")
    if len(chain) == 1:
        raise TlsConfigError("the authority's answer has one element: a certificate without roots to trust")
    if sum(map(len, chain)) > _LARGEST:
        raise TlsConfigError(f"the authority's answer is larger than {_LARGEST} characters")
    *shown, roots = chain
    if len(shown) > _MOST_SHOWN:
        raise TlsConfigError(f"the authority's answer has a chain of {len(shown)}, more than {_MOST_SHOWN}")
    leaf_first = "".join(_first(pem, number) for number, pem in enumerate(shown, 1))
    try:
        credentials = Credentials(leaf_first.encode(), key_pem, roots.encode())
        check_chain(credentials, now)
    except TlsConfigError as error:
        raise TlsConfigError(f"the authority's answer: {error}") from error
    if wanted is not None and credentials.identity != wanted:
        raise TlsConfigError(f"the authority's answer names {credentials.identity or 'nobody'}, not {wanted}")
    return credentials


def _first(pem: str, number: int) -> str:
    """The first certificate of an element: what follows it there is passed over, as the real ztunnel does."""
    begin = pem.find(_BEGIN)
    end = pem.find(_END, begin + len(_BEGIN)) if begin >= 0 else -1
    if end < 0:
        raise TlsConfigError(f"the authority's answer: element {number} is no PEM certificate")
    return pem[begin : end + len(_END)] + "\n"
