"""What is shown of a path: drawing, hops, verdict; and the same for programs. (Every line of a real run: see
test_command_paths.)"""

from __future__ import annotations

import json

from lab_py.paths.judge import judge
from lab_py.paths.report import WIDTH, as_json, as_lines, drawing, verdict, wrapped
from tests.lab_py.paths.seen import ONE, THREE, TWO, went_well


def plain(text: str, *_styles: str) -> str:
    return text


def test_drawings() -> None:
    assert drawing(ONE) == [
        "ambient/sleep ── ztunnel-a ══ HBONE ══ sidecar-httpbin ── sidecar/httpbin",
        "127.9.1.1                              :15008             127.9.2.1",
    ]
    assert drawing(THREE) == [
        "sidecar/sleep ── sidecar-sleep ══ HBONE ══ waypoint  ═╤═ HBONE ══ ztunnel-d ── helloworld-v1",
        "127.9.1.2                                  127.9.3.1  ╘═ HBONE ══ ztunnel-e ── helloworld-v2",
    ]


def test_no_line_is_wider_than_a_page() -> None:
    for path in (ONE, TWO, THREE):
        for line in as_lines(judge(path, went_well(path)), plain):
            assert len(line) <= WIDTH or len(line.split()) == 1, line


def test_marks_are_coloured_where_colours_are() -> None:
    def styled(text: str, *styles: str) -> str:
        return f"<{styles[0]}>{text}</>"

    seen = went_well(TWO)
    seen.metrics["ztunnel-b"] = ""
    text = "\n".join(as_lines(judge(TWO, seen), styled))
    assert "  <green>ok</> <bold>(1)-(3)</> sidecar-sleep takes" in text
    assert "  <red>NO</> <bold>(4)-(8)</> sidecar-sleep asks" in text
    assert "       source      nobody has proved it" in text


def test_words_are_never_broken() -> None:
    assert wrapped("aa bb cc", 5) == ["aa bb", "cc"]
    assert wrapped("a waytoolong b", 5) == ["a", "waytoolong", "b"]
    assert wrapped("", 5) == [""]


def test_the_verdict_names_path_and_hop() -> None:
    good, seen = judge(ONE, went_well(ONE)), went_well(TWO)
    assert verdict([good]) == ["All 1 paths went their way, both identities of every tunnel verified."]
    seen.metrics["ztunnel-b"] = ""
    [line] = verdict([good, judge(TWO, seen)])
    assert line == "NOT proved: path 2, at hop (4)-(8): sidecar-sleep counted 1 request to it, ztunnel-b 0 tunnels"


def test_json_has_it_all() -> None:
    told = json.loads(json.dumps(as_json([judge(TWO, went_well(TWO))], 1.23456)))
    assert (told["ok"], told["startSeconds"]) == (True, 1.235)
    [path] = told["paths"]
    assert (path["path"], path["server"], path["broken"]) == (2, "ambient/httpbin", None)
    assert path["request"] == {
        "url": "http://httpbin.ambient:8000/anything", "token": "t0ken-0", "status": 200, "sent": 1,
    }  # fmt: skip
    first, tunnel, last = path["hops"]
    assert (first["fields"]["response_code"], tunnel["fields"]["direction"], last["fields"]) == ("200", "inbound", None)
    assert [hop["encrypted"] for hop in path["hops"]] == [False, True, False]
    assert tunnel["identities"]["source"] == "spiffe://cluster.local/ns/sidecar/sa/sleep"
    assert tunnel["address"] == "127.9.2.3:15008"
