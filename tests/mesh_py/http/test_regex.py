"""Linear-time matching, with Python's own engine as the judge of what matches."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_py.http import regex
from mesh_py.http.errors import TooDearToMatch
from mesh_py.http.regex import Regex, compile_regex
from mesh_py.http.regex_syntax import UnsupportedRegex


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("/v1/.*", ["/v1/", "/v1/a/b"], ["/v1", "/v2/a", "x/v1/"]),
        ("a|bc", ["a", "bc"], ["abc", "b", ""]),
        ("(?:a|b)+c?", ["a", "abc", "bb"], ["c", ""]),
        ("[a-c0-9_-]+", ["a-1_"], ["d", ""]),
        ("[^/]+", ["abc", "\xe9"], ["a/b", ""]),
        (r"\d{3}", ["123"], ["12", "1234"]),
        (r"\d{2,}", ["12", "12345"], ["1"]),
        (r"x{0,2}", ["", "x", "xx"], ["xxx"]),
        (r"\w+\s\S\W", ["ab c."], ["ab  ."]),
        ("(?i)Chrome", ["chrome", "CHROME"], ["chrom"]),
        ("(?i:a)b", ["Ab", "ab"], ["aB"]),
        ("(?P<name>a)(?<other>b)", ["ab"], ["a"]),
        ("^a$", ["a"], ["aa"]),
        (r"\Aa\z", ["a"], ["b"]),
        ("a^b", [], ["ab", "a^b"]),
        (r"\.\*\x41\/", [".*A/"], ["x*A/"]),
        ("[]a]", ["]", "a"], ["b"]),
        ("[[:alpha:]]+[[:^digit:]]", ["abx"], ["ab1"]),
        (r"[\d\-]+", ["1-2"], ["a"]),
        ("a{,2}", ["a{,2}"], ["a", "aa"]),
        ("\u20ac", ["\u20ac".encode().decode("latin-1")], ["?"]),
        (".", ["a", "\xff"], ["\n", "ab"]),
        ("a*?", ["", "aa"], ["b"]),
        ("", [""], ["a"]),
        ("(|a)b", ["b", "ab"], ["a"]),
    ],
)
def test_what_matches(pattern: str, yes: list[str], no: list[str]) -> None:
    matches = compile_regex(pattern)
    assert [text for text in yes if not matches(text)] == []
    assert [text for text in no if matches(text)] == []


@pytest.mark.parametrize(
    "pattern",
    [
        *("(a", "a)", "[a", "*a", "a**", "\\", r"(a)\1", "(?=a)", "(?!a)", "(?<=a)", "(?<!a)", r"\b", "[z-a]", "^*"),
        *("a{2,1}", "a{1001}", "(?x)a", "[[:none:]]", r"\xg0", "(?P<a-b>c)", "(a{1000}){1000}"),
    ],
)
def test_what_is_refused(pattern: str) -> None:
    with pytest.raises(UnsupportedRegex):
        Regex(pattern)


ATOM = st.sampled_from(["a", "b", "/", ".", "[ab]", "[^a]", r"\d", r"\w", "1", "(?:a|b1)", "(?:)", "ab"])
EXPRESSION = st.recursive(
    ATOM,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,3}"])).map(lambda pair: f"(?:{pair[0]}){pair[1]}"),
        st.lists(inner, min_size=2, max_size=3).map("".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"(?:{'|'.join(parts)})"),
    ),
    max_leaves=6,
)


@given(pattern=EXPRESSION, texts=st.lists(st.text("ab1/x", max_size=8), max_size=8))
def test_python_says_the_same(pattern: str, texts: list[str]) -> None:
    ours, theirs = Regex(pattern), re.compile(pattern)
    assert [ours.matches(text) for text in texts] == [theirs.fullmatch(text) is not None for text in texts]


@pytest.mark.parametrize("pattern", ["(a+)+b", "(a|a)*b", "(a|aa)+b", "a*a*a*a*a*a*b", "(.*)*b", "(?:a?){50}a{50}b"])
def test_what_hangs_a_backtracking_engine_is_decided(pattern: str) -> None:
    """Python's engine would still be at it when the sun goes out."""
    matches = compile_regex(pattern)
    assert not matches("a" * 20_000)
    assert matches("a" * 50 + "b")


def test_memory_is_bounded() -> None:
    machine = Regex("(a|b)*a(a|b){12}")  # a deterministic machine of 8,192 states
    texts = [format(number, "014b").replace("0", "a").replace("1", "b") for number in range(4096)]
    for text in texts:
        assert machine.matches(text) is (text[-13] == "a")
    assert len(machine._sets) <= regex.MOST_SETS
    assert machine._members <= regex.MOST_MEMBERS


@pytest.mark.parametrize("pattern", ["/(a|b)*a(a|b){120}", "/.*a.{450}"])
def test_a_text_that_always_leads_elsewhere_is_given_up(pattern: str) -> None:
    """It took more than a second of everybody's time."""
    machine = Regex(pattern)
    letters = random.Random(1)
    hostile = "/" + "".join(letters.choice("ab") for _ in range(16_000))
    for _ in range(2):
        with pytest.raises(TooDearToMatch, match=r"too dear to match$") as caught:
            machine.matches(hostile)
    assert caught.value.answer == 400
    assert machine.matches("/a" + "b" * tail_of(pattern))
    assert not machine.matches("/b" * 8000)


def tail_of(pattern: str) -> int:
    return int(pattern.partition("{")[2].rstrip("}"))


def test_a_complaint_does_not_repeat_a_pattern_of_any_length() -> None:
    machine = Regex("(a|b)*a(a|b){120}|" + "c" * 1000)
    letters = random.Random(1)
    with pytest.raises(TooDearToMatch) as caught:
        machine.matches("".join(letters.choice("ab") for _ in range(16_000)))
    assert len(str(caught.value)) < 300
