"""Header lists: order kept, names found, lists joined."""

from __future__ import annotations

import pytest

from mesh_py.http.headers import CLIENT_CERT, Headers, spelled


def fields() -> Headers:
    return Headers([("a", "1"), ("b", "2"), ("a", "3"), ("c", "4")])


def test_the_first_of_a_name_is_found() -> None:
    headers = fields()
    assert (headers.get("a"), headers.get("z"), headers.get_all("a")) == ("1", None, ["1", "3"])
    assert ("a" in headers, "z" in headers, len(headers)) == (True, False, 4)


def test_values_of_a_name_join_into_a_list() -> None:
    assert (fields().joined("a"), fields().joined("z")) == ("1,3", None)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("a", [("a", "x"), ("b", "2"), ("c", "4")], id="in place of all"),
        pytest.param("z", [("a", "1"), ("b", "2"), ("a", "3"), ("c", "4"), ("z", "x")], id="new"),
    ],
)
def test_set_leaves_one(name: str, expected: list[tuple[str, str]]) -> None:
    headers = fields()
    headers.set(name, "x")
    assert headers.fields == expected


@pytest.mark.parametrize("name", ["x_forwarded_client_cert", "x-forwarded_client-cert", CLIENT_CERT])
def test_what_looks_like_the_client_s_certificate_is_taken_for_it(name: str) -> None:
    assert spelled(name) == CLIENT_CERT


def test_other_underscores_stay() -> None:
    assert spelled("x_request_id") == "x_request_id"


def test_append_joins_or_adds() -> None:
    headers = fields()
    headers.append("a", "5")
    headers.append("z", "6")
    assert (headers.get_all("a"), headers.get_all("z")) == (["1,3,5"], ["6"])


def test_drop_leaves_none() -> None:
    headers = fields()
    headers.drop("a", "c")
    assert headers.fields == [("b", "2")]


def test_a_copy_is_its_own() -> None:
    headers = fields()
    copy = headers.copy()
    copy.add("z", "1")
    assert copy != headers
    assert headers == fields()
    assert "z" in repr(copy)
