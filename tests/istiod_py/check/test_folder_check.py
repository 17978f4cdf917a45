"""Checking a whole folder: what is sound, what is not, and what waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from istiod_py.check.codes import CODES, Severity
from istiod_py.check.folder_check import CheckOptions, check_folder, check_texts
from istiod_py.folder import FolderError, Limits
from mesh_py.manifests.addresses import AddressRanges
from mesh_py.model.address import Cidr
from tests.support.checks import SOUND, WAYPOINT, findings
from tests.support.source_tree import ROOT

if TYPE_CHECKING:
    from pathlib import Path

BROKEN = "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\nspec: {selectorr: {app: web}}\n"


def test_a_sound_mesh_is_not_complained_about() -> None:
    report = check_texts({"a.yaml": SOUND, "b.yaml": WAYPOINT}, CheckOptions())
    assert report.findings == ()
    assert (report.files, report.objects, report.has_errors) == (2, 8, False)


@pytest.mark.parametrize("example", ["ambient", "sidecar", "waypoint"])
def test_our_examples_are_sound(example: str) -> None:
    assert list(map(str, check_folder(ROOT / "istiod_py/examples" / example).findings)) == []


def test_an_empty_folder_is_sound(tmp_path: Path) -> None:
    assert check_folder(tmp_path).findings == ()


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FolderError):
        check_folder(tmp_path / "nowhere")


def test_findings_come_in_the_order_of_files_and_lines(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text(BROKEN)
    (tmp_path / "a").mkdir()
    (tmp_path / "a/a.yaml").write_text(f"{BROKEN}---\n{BROKEN}")
    (tmp_path / "c.yaml").write_bytes(b"\xff")
    report = check_folder(tmp_path)
    assert [
        (one.place.file.removeprefix(f"{tmp_path}/"), one.place.line, one.code.name) for one in report.findings
    ] == [
        ("a/a.yaml", 4, "HM002"),
        ("a/a.yaml", 9, "HM002"),
        ("b.yaml", 4, "HM002"),
        ("c.yaml", 1, "HM008"),
    ]
    assert report.has_errors
    assert report.count(Severity.ERROR) == 4


def test_what_goes_beyond_the_limits_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(SOUND)
    (tmp_path / "b.yaml").write_text(SOUND)
    [found] = check_folder(tmp_path, CheckOptions(limits=Limits(files=1))).findings
    assert str(found) == f"{tmp_path}/b.yaml: error HM008: more than 1 files; this and later ones are left out"


ROUTE = """\
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r, namespace: shop}
spec: {parentRefs: [{group: '', kind: Service, name: cart}], rules: [{backendRefs: [{name: nowhere, port: 80}]}]}
"""


def test_what_is_missing_waits_until_every_file_can_be_read() -> None:
    complaint = (
        "4:85: error HM403: HTTPRoute shop/r leads to Service shop/nowhere, which is not there; there are cart, web"
    )
    assert findings(ROUTE, waypoint=True) == [complaint]
    assert findings(f"{ROUTE}---\n{BROKEN}", waypoint=True) == [
        "9:8: error HM002: unknown key 'selectorr' in the spec of a Service; did you mean 'selector'?"
    ]


def test_an_address_range_that_is_full_is_told() -> None:
    options = CheckOptions(ranges=AddressRanges(pods=Cidr.parse("10.0.0.0/31")))
    text = "---\n".join(
        f"apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: shop}}\nspec: {{containers: []}}\n"
        for name in "abc"
    )
    assert "error HM111: no address left in 10.0.0.0/31 for Pod shop/c: give a larger range" in "\n".join(
        str(one).strip(": ") for one in check_texts({"f": text}, options).findings
    )


def test_every_code_is_told_by_some_rule() -> None:
    """And none is kept in the table that nothing uses."""
    sources = "".join(
        path.read_text() for path in (ROOT / "istiod_py/check").glob("*.py") if path.name not in ("codes.py",)
    )
    table = (ROOT / "istiod_py/check/codes.py").read_text()
    constants = {name: line.split(" =")[0] for line in table.splitlines() for name in CODES if f'("{name}"' in line}
    assert set(constants) == set(CODES)
    assert [constant for constant in constants.values() if f"codes.{constant}" not in sources] == []
