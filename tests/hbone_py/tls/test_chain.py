"""Credentials of every shape against their own roots, at moments of which some are too early or too late."""

from __future__ import annotations

import re

import pytest

from hbone_py.errors import TlsConfigError
from hbone_py.tls.chain import check_chain
from hbone_py.tls.credentials import Credentials
from tests.hbone_py.tls.authority import CLIENT, DAY, NOW, Authority, key_pem, new_key, to_pem

ROOT, NAMESAKE, OTHER = Authority.root(), Authority.root(), Authority.root("other root")
BETWEEN = ROOT.intermediate()
KEY = new_key()
MADE = ROOT.issue(CLIENT, key=KEY)
A_LEAF = Authority(MADE.leaf, KEY, ROOT.roots, (MADE.leaf,))


def without_intermediates(credentials: Credentials) -> Credentials:
    return Credentials(to_pem(credentials.leaf), credentials.key_pem, credentials.roots_pem)


@pytest.mark.parametrize(
    "credentials",
    [
        MADE,
        BETWEEN.issue(CLIENT),
        BETWEEN.issue(CLIENT, roots=(*OTHER.roots, *ROOT.roots)),
        BETWEEN.issue(CLIENT, roots=(BETWEEN.certificate,)),
        without_intermediates(BETWEEN.issue(CLIENT, roots=(BETWEEN.certificate,))),
    ],
    ids=["by the root", "by an intermediate", "one of two roots", "an anchor another has signed", "that one alone"],
)
def test_what_leads_to_the_roots(credentials: Credentials):
    check_chain(credentials, NOW)


@pytest.mark.parametrize(
    ("credentials", "problem"),
    [
        (Credentials(MADE.cert_chain_pem, MADE.key_pem, to_pem(OTHER.certificate)), "unable to get .*issuer"),
        (without_intermediates(BETWEEN.issue(CLIENT)), "unable to get .*issuer"),
        (BETWEEN.issue(CLIENT, roots=NAMESAKE.roots), "certificate signature failure"),
        # Whoever has a certificate could else sign for all the others.
        (A_LEAF.issue(CLIENT), "(invalid CA|self-signed) certificate"),
        (ROOT.issue(CLIENT, ends=NOW + 30 * DAY), None),
    ],
    ids=["other roots", "a link is missing", "a root of the same name", "signed by a leaf", "longer than its root"],
)
def test_what_leads_elsewhere(credentials: Credentials, problem: str | None):
    when = NOW if problem else NOW + 20 * DAY
    words = f"certificate chain: does not lead to the roots: {problem or 'certificate has expired'}"
    with pytest.raises(TlsConfigError, match=rf"^{words}.* \(the certificate of serial number [0-9a-f]+\)$"):
        check_chain(credentials, when)


def test_a_leaf_has_its_days():
    begin, end = MADE.not_before, MADE.not_after
    check_chain(MADE, begin)
    with pytest.raises(TlsConfigError, match=re.escape(f"certificate: not valid before {begin:%FT%TZ}, it is ")):
        check_chain(MADE, begin - DAY / 1440)
    with pytest.raises(TlsConfigError, match=re.escape(f"certificate: expired at {end:%FT%TZ}, it is {end:%FT%TZ}: ")):
        check_chain(MADE, end)


def test_whose_key_it_is_was_asked_before():
    with pytest.raises(TlsConfigError, match="key: does not belong to the certificate"):
        Credentials(MADE.cert_chain_pem, key_pem(new_key()), MADE.roots_pem)
