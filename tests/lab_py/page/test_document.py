"""The page, judged by a real browser without a window."""

from __future__ import annotations

import re
import subprocess
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from lab_py.page.document import document
from tests.lab_py.page.runs import run
from tests.support.require import require_tool

if TYPE_CHECKING:
    from pathlib import Path

BAD = "<script>alert(1)</script>\"'&"


def test_nothing_of_the_run_becomes_markup() -> None:
    hostile = run(machine=BAD, rules={"node-1 P15": BAD})
    hostile["topology"]["title"] = hostile["hops"][0]["title"] = BAD
    hostile["hops"][0]["findings"][0]["observed"] = BAD
    hostile["packets"]["sleep eth0"][0]["text"] = BAD
    page = document(hostile)
    assert page.count("<script>") == 1, "our own"
    assert "alert(1)</script>" not in page


def test_nothing_is_fetched_and_the_page_would_not_be_let() -> None:
    found = Tags()
    found.feed(document(run()))
    assert not {name for name, _ in found.attributes} & {"src", "href", "action"}
    assert any(value and value.startswith("default-src 'none'") for _, value in found.attributes)


def test_without_script_every_hop_is_there_to_be_read() -> None:
    page = document(run())
    assert page.count("<article") == 2
    assert "hidden" not in page.split("</style>")[1].split("<script>")[0]
    assert "not observed as predicted: (2)" in page


def test_a_hop_has_its_packets_rules_and_identities() -> None:
    first, second = document(run()).split("<article ")[1:]
    assert first.count("10.96.0.10:80 [S]") == 1, "the packet that bears it out, and not the other"
    assert "-t mangle -A ztunnel-PREROUTING -j MARK" in first
    assert "spiffe://cluster.local/ns/default/sa/sleep" in second


@pytest.mark.interop
@pytest.mark.parametrize(
    ("address", "keys", "shown"),
    [
        ("#hop=2", [], "2"),
        ("", ["ArrowRight"], "2"),
        ("", ["End", "ArrowRight"], "2"),
        ("#hop=2", ["ArrowLeft"], "1"),
        ("#hop=9", [], "1"),
    ],
    ids=["a link to a hop", "right", "no further than the end", "left", "a hop that is not there"],
)
def test_in_a_browser(tmp_path: Path, address: str, keys: list[str], shown: str) -> None:
    events = (f"new KeyboardEvent('keydown', {{key: '{key}', bubbles: true}})" for key in keys)
    presses = "".join(f"document.body.dispatchEvent({event});" for event in events)
    dom = browse(tmp_path, document(run()) + f"<script>{presses}</script>", address)
    assert re.findall(r'<article id="hop-(\d)" data-hop="\d">', dom) == [shown], "the others are hidden"
    assert re.findall(r'data-go="(\d)"[^>]*aria-current="step"', dom) == [shown]
    assert re.findall(r'<path class="leg active" data-hop="(\d)"', dom) == [shown]
    assert ('id="previous" type="button" aria-label="Previous hop" disabled' in dom) is (shown == "1")


def browse(folder: Path, page: str, address: str) -> str:
    """The document after its scripts have run."""
    file = folder / "page.html"
    file.write_text(page)
    quiet = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=500"]
    own = f"--user-data-dir={folder / 'user'}"
    command = [require_tool("chromium"), *quiet, own, "--dump-dom", f"{file.as_uri()}{address}"]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=50).stdout


class Tags(HTMLParser):
    """All attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += attrs
