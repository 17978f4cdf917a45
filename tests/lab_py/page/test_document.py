"""The page, judged by a real browser without a window."""

from __future__ import annotations

import json
import re
import subprocess
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest

from lab_py.page.document import counterparts, document
from tests.lab_py.page.runs import run, todays
from tests.support.require import require_tool

if TYPE_CHECKING:
    from pathlib import Path

BAD = "<script>alert(1)</script>\"'&"
LOOK = """
const seen = (root) => [...root.querySelectorAll("article")].filter((one) => one.getClientRects().length)
  .map((one) => one.dataset.hop);
const named = (root, query) => [...root.querySelectorAll(query)].map((one) => one.dataset.hop || one.dataset.go);
const look = () => ({ address: location.hash, first: document.querySelector("#previous").disabled,
  wide: document.documentElement.scrollWidth - innerWidth,
  panes: [...document.querySelectorAll(".pane")].map((root) => ({ hops: seen(root), lines: named(root, ".leg.active"),
    current: named(root, "[aria-current]"), chosen: root.classList.contains("chosen") })) });
const press = (key) => document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
(async () => {
  const found = [];
  for (const [address, keys] of STEPS) {
    location.hash = address;
    await new Promise((done) => setTimeout(done, 20));
    keys.forEach(press);
    found.push(look());
  }
  document.body.dataset.found = JSON.stringify(found);
})();
"""


def test_nothing_of_the_run_becomes_markup() -> None:
    hostile = run(machine=BAD, rules={"node-1 P15": BAD})
    hostile["topology"]["title"] = hostile["hops"][0]["title"] = BAD
    hostile["hops"][0]["findings"][0]["observed"] = BAD
    hostile["packets"]["sleep eth0"][0]["text"] = BAD
    page = document([hostile])
    assert page.count("<script>") == 1, "our own"
    assert "alert(1)</script>" not in page


def test_nothing_is_fetched_and_the_page_would_not_be_let() -> None:
    found = Tags()
    found.feed(document([run(), todays()]))
    assert not {name for name, _ in found.attributes} & {"src", "href", "action"}
    assert any(value and value.startswith("default-src 'none'") for _, value in found.attributes)


def test_without_script_every_hop_is_there_to_be_read() -> None:
    page = document([run(), todays()])
    assert page.count("<article") == 3
    assert "not observed as predicted: (2)" in page
    assert not re.search(r"<article[^>]* hidden", page)


def test_a_hop_knows_those_in_its_place() -> None:
    assert counterparts(run(), todays()) == ({"1": ["1"], "2": ["1"]}, {"1": ["1", "2"]})


@pytest.mark.interop
def test_one_design_in_a_browser(tmp_path: Path) -> None:
    steps = {
        "a link to a hop": (("#hop=2", []), "2"),
        "no further than the end": (("#hop=1", ["End", "ArrowRight"]), "2"),
        "back": (("#hop=2", ["ArrowLeft"]), "1"),
        "a hop that is not there": (("#hop=9", []), "1"),
    }
    found = browse(tmp_path, [run()], [step for step, _ in steps.values()])
    for name, one, (_, shown) in zip(steps, found, steps.values(), strict=True):
        assert one["panes"] == [{"hops": [shown], "lines": [shown], "current": [shown], "chosen": True}], name
        assert one["first"] is (shown == "1"), name


@pytest.mark.interop
def test_two_designs_follow_each_other(tmp_path: Path) -> None:
    """The chosen one's hop is current; the other shows all that stand in its place."""
    [found] = browse(tmp_path, [run(), todays()], [("#hop=2", ["d"])])
    before, today = found["panes"]
    assert (before["hops"], before["lines"], before["current"]) == (["1", "2"], ["1", "2"], [])
    assert (today["hops"], today["current"], today["chosen"]) == (["1"], ["1"], True)
    assert found["address"] == "#design=in-pod&hop=1"


@pytest.mark.interop
def test_a_phone_shows_one_of_them_and_nothing_is_too_wide(tmp_path: Path) -> None:
    narrow = "--window-size=500,800"  # Chromium's windows are no narrower
    [found] = browse(tmp_path, [run(), todays()], [("#hop=2", [])], narrow)
    assert [pane["hops"] for pane in found["panes"]] == [["2"], []]
    assert found["wide"] <= 0


def browse(folder: Path, runs: list[dict[str, Any]], steps: list[tuple[str, list[str]]], *flags: str) -> Any:
    """What is to be seen of the page at each address, once the keys are pressed there."""
    file = folder / "page.html"
    script = LOOK.replace("STEPS", json.dumps(steps))
    file.write_text(document(runs) + f"<script>{script}</script>")
    quiet = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=500"]
    own = [f"--user-data-dir={folder / 'user'}", *(flags or ["--window-size=1400,900"])]
    command = [require_tool("chromium"), *quiet, *own, "--dump-dom", file.as_uri()]
    tree = Tags()
    tree.feed(subprocess.run(command, capture_output=True, text=True, check=True, timeout=50).stdout)
    return json.loads(dict(tree.attributes)["data-found"] or "")


class Tags(HTMLParser):
    """All attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += attrs
