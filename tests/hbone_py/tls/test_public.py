"""The public engine keeps the contract of test_engine.py; here is what differs: it touches no private name."""

from __future__ import annotations

import ast

from hbone_py.tls.direct import DirectEngine
from hbone_py.tls.public import PublicEngine
from tests.support.source_tree import ROOT, tree_of


def public_names(engine: type) -> set[str]:
    return {name for name in dir(engine) if not name.startswith("_")}


def test_both_engines_have_the_same_names():
    """But for what hands OpenSSL's own objects to C, which are private names too."""
    assert public_names(PublicEngine) == public_names(DirectEngine) - {"receive_by", "send_by"}


def test_no_private_name_of_the_library_is_used():
    tree = tree_of(ROOT / "hbone_py/tls/public.py")
    private = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not (isinstance(node.value, ast.Name) and node.value.id == "self")
    }
    assert private == set()
