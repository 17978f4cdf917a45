"""What an operator reads of OpenSSL's reasons."""

from __future__ import annotations

import pytest
from OpenSSL import SSL

from hbone_py.tls.reasons import describe, reason_texts


@pytest.mark.parametrize(
    ("reasons", "text"),
    [
        ([], "no reason given"),
        (["tlsv13 alert certificate required"], "the peer sent alert certificate_required"),
        (["ssl/tls alert bad certificate"], "the peer sent alert bad_certificate"),
        (["sslv3 alert certificate unknown"], "the peer sent alert certificate_unknown"),
        (["no shared cipher"], "no shared cipher"),
        (["one", "two"], "one; two"),
    ],
)
def test_reasons_in_words(reasons, text):
    assert describe(reasons) == text


def test_reasons_of_an_error_without_a_queue():
    assert reason_texts(SSL.Error()) == []
    assert reason_texts(SSL.Error([("SSL routines", "", "no shared cipher")])) == ["no shared cipher"]
