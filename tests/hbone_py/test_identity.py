"""SpiffeId: the grammar of hbone-dataplane 1.1, as a table."""

from __future__ import annotations

import pytest

from hbone_py.identity import InvalidSpiffeIdError, SpiffeId


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "spiffe://cluster.local/ns/default/sa/sleep",
            SpiffeId("cluster.local", "default", "sleep"),
            id="the ordinary form",
        ),
        pytest.param("spiffe://td/ns/ns/sa/sa", SpiffeId("td", "ns", "sa"), id="parts named like markers"),
        pytest.param("spiffe:///ns//sa/", SpiffeId("", "", ""), id="empty parts are counted, not judged"),
        pytest.param("spiffe://a.b:8/ns/x/sa/y", SpiffeId("a.b:8", "x", "y"), id="any trust domain text"),
    ],
)
def test_what_parses(text: str, expected: SpiffeId) -> None:
    assert SpiffeId.parse(text) == expected
    assert str(expected) == text


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("cluster.local/ns/default/sa/sleep", id="no scheme"),
        pytest.param("SPIFFE://cluster.local/ns/default/sa/sleep", id="scheme in capitals"),
        pytest.param("https://cluster.local/ns/default/sa/sleep", id="another scheme"),
        pytest.param("spiffe://cluster.local/ns/default/sa", id="four parts"),
        pytest.param("spiffe://cluster.local/ns/default/sa/sleep/", id="six parts"),
        pytest.param("spiffe://cluster.local/sa/default/ns/sleep", id="markers swapped"),
        pytest.param("spiffe://cluster.local/NS/default/sa/sleep", id="marker in capitals"),
        pytest.param("spiffe://spiffe://cluster.local/ns/default/sa/sleep", id="scheme twice"),
    ],
)
def test_what_does_not_parse(text: str) -> None:
    with pytest.raises(InvalidSpiffeIdError, match="not a SPIFFE identity") as refused:
        SpiffeId.parse(text)
    assert refused.value.text == text


def test_the_principal_has_no_scheme() -> None:
    assert SpiffeId("td", "x", "y").principal == "td/ns/x/sa/y"


def test_equal_texts_share_one_object() -> None:
    first = SpiffeId.parse("spiffe://td/ns/shared/sa/one")
    assert SpiffeId.parse("spiffe://td/ns/shared/sa/one") is first
    assert SpiffeId.of("td", "shared", "one") is first


def test_identities_are_equal_by_all_three_parts() -> None:
    assert SpiffeId("td", "x", "y") != SpiffeId("other", "x", "y")
    assert len({SpiffeId("td", "x", "y"), SpiffeId("td", "x", "y")}) == 1
