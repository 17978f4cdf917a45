"""What authors are told."""

from __future__ import annotations

import re
from dataclasses import replace

from istiod_py.ambient.notices import Severity, notice
from istiod_py.ambient.participation import NEVER_INJECTED
from mesh_py.manifests.metadata import Place
from tests.istiod_py.ambient.folder import meta
from tests.support.source_tree import ROOT

POLICY = replace(meta("only-web"), place=Place("shop.yaml", 7, 1))


def test_a_remark_is_one_line_with_a_place_and_a_code() -> None:
    remark = notice("AuthorizationPolicy", POLICY, "policy-not-sent", "it is a dry run", "attach it to a waypoint")
    assert str(remark) == (
        "shop.yaml:7:1: AuthorizationPolicy shop/only-web: it is a dry run; attach it to a waypoint [policy-not-sent]"
    )
    assert remark.severity is Severity.WARNING


def test_a_remark_about_a_part_is_at_its_place() -> None:
    remark = notice("AuthorizationPolicy", POLICY, "code", "what", severity=Severity.ERROR, place=Place("f", 9, 3))
    assert str(remark) == "f:9:3: AuthorizationPolicy shop/only-web: what [code]"
    assert remark.severity is Severity.ERROR


def test_the_page_lists_every_code() -> None:
    form = r"(?:endpoint|local|peer-authentication|policy|service|waypoint)-[a-z-]+"
    page = (ROOT / "docs" / "node-proxies.md").read_text(encoding="utf-8")
    sources = [file.read_text(encoding="utf-8") for file in (ROOT / "istiod_py" / "ambient").glob("*.py")]
    used = {code for source in sources for code in re.findall(rf'"({form})"', source)} - NEVER_INJECTED
    assert set(re.findall(rf"`({form})`", page)) == used
