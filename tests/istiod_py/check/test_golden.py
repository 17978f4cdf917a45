"""Folders as people write them, with what is said of them written down beside.

After a wanted change: `for f in broken crooked; do python -m istiod_py check $f > $f.txt; done` in the golden folder.
"""

from __future__ import annotations

import pytest

from istiod_py.check.folder_check import check_folder
from istiod_py.check.report_forms import as_table
from tests.istiod_py.check.golden_files import GOLDEN


@pytest.mark.parametrize("name", ["broken", "crooked"])
def test_what_is_said_of_a_folder(name: str) -> None:
    said = as_table(check_folder(GOLDEN / name)).replace(f"{GOLDEN}/", "")
    assert said == (GOLDEN / f"{name}.txt").read_text()
