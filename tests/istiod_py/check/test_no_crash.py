"""Whatever a folder holds, the linter has an answer: sound objects with anything put in the place of anything."""

from __future__ import annotations

import copy
import json
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from istiod_py.check.folder_check import CheckOptions, check_texts
from tests.istiod_py.check.golden_files import golden_documents
from tests.support.checks import SOUND, WAYPOINT

DOCUMENTS: list[dict[str, Any]] = [
    *yaml.safe_load_all(SOUND),
    *yaml.safe_load_all(WAYPOINT),
    *golden_documents("crooked"),
]
TEXTS = st.sampled_from(
    [
        "",
        "*",
        "shop",
        "web",
        "Web.",
        "cart",
        "waypoint",
        "10.0.0.1",
        "10.0.0.0/8",
        "spiffe://a",
        "80",
        "all",
        "*.a.b",
        "/",
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 70000) | TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2),
    max_leaves=4,
)


def places(value: object, path: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    """Every path into a document that leads to something."""
    items: list[tuple[object, object]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    return [found for key, inner in items for found in ((*path, key), *places(inner, (*path, key)))]


@st.composite
def folders(draw: st.DrawFn) -> list[dict[str, Any]]:
    """All documents, some of them changed at a few places."""
    documents = copy.deepcopy(DOCUMENTS)
    for _ in range(draw(st.integers(1, 4))):
        document: Any = documents[draw(st.integers(0, len(documents) - 1))]
        paths = [path for path in places(document) if path[0] not in ("kind", "apiVersion")]
        if not paths:  # all of it is gone already
            continue
        *way, last = draw(st.sampled_from(paths))
        for key in way:
            document = document[key]
        if isinstance(document, dict) and draw(st.booleans()):
            del document[last]
        else:
            document[last] = draw(VALUES)
    return documents


@given(folders())
@settings(max_examples=60, deadline=None)
def test_nothing_crashes_the_linter(documents: list[dict[str, Any]]) -> None:
    texts = {"a.json": json.dumps({"apiVersion": "v1", "kind": "List", "items": documents})}
    report = check_texts(texts, CheckOptions())
    assert all(finding.what for finding in report.findings)
