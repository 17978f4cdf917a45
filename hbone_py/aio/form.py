"""Plain or compiled: which form of the hot modules runs (docs/decisions/0023).

The plain sources are the specification and always there. Where `hbone_py/_compiled` holds extension modules made from
exactly these sources, they are imported in their place. HBONE_FORM=plain passes them by; HBONE_FORM=compiled fails
where they are missing, for whoever must be sure.

Imported before any other module of this package, or a module would run in both forms.
"""

from __future__ import annotations

import json
import os
import sys
from hashlib import sha256
from importlib.abc import MetaPathFinder
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

VARIABLE = "HBONE_FORM"
FOLDER = Path(__file__).parent.parent / "_compiled"
_MANIFEST = "manifest.json"
_ROOT = FOLDER.parent.parent
_SUFFIX = EXTENSION_SUFFIXES[0]


class Unusable(Exception):
    """The compiled form cannot run here; the text says why."""


class CompiledFinder(MetaPathFinder):
    """Finds the modules of `folder` before anybody looks for their sources."""

    def __init__(self, folder: Path) -> None:
        self._files = {file.name.removesuffix(_SUFFIX): file for file in folder.glob(f"*{_SUFFIX}")}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None, /
    ) -> ModuleSpec | None:
        """See `MetaPathFinder`."""
        file = self._files.get(fullname)
        return None if file is None else spec_from_file_location(fullname, file)


def write_manifest(folder: Path, modules: Iterable[str]) -> None:
    """Say of which sources the extension modules in `folder` are made, and for which interpreter."""
    sources = {module: _digest(module) for module in modules}
    (folder / _MANIFEST).write_text(json.dumps({"suffix": _SUFFIX, "sources": sources}, indent=1) + "\n")


def check(folder: Path) -> None:
    """Raises Unusable unless `folder` holds what this interpreter can run and these sources say."""
    try:
        manifest = json.loads((folder / _MANIFEST).read_bytes())
    except FileNotFoundError:
        raise Unusable("nothing is compiled") from None
    if manifest["suffix"] != _SUFFIX:
        raise Unusable(f"compiled for another interpreter ({manifest['suffix']})")
    changed = [module for module, digest in manifest["sources"].items() if _digest(module) != digest]
    if changed:
        raise Unusable(f"compiled from older sources ({', '.join(changed)}): `make accelerated` compiles them anew")


def choose(wanted: str, folder: Path = FOLDER) -> str:
    """Make the compiled form importable if it is wanted and usable; returns the form that runs, in words.

    Raises ImportError, whose `name` is the variable's, when it was asked for by name and is not usable or unknown.
    """
    if wanted not in ("", "plain", "compiled"):
        raise ImportError(f"{VARIABLE}={wanted}: `plain` or `compiled`, please", name=VARIABLE)
    if wanted == "plain":
        return "plain"
    try:
        check(folder)
    except Unusable as reason:
        if wanted:
            raise ImportError(f"{VARIABLE}=compiled: {reason}", name=VARIABLE) from None
        return "plain" if str(reason) == "nothing is compiled" else f"plain, {reason}"
    sys.meta_path.insert(0, CompiledFinder(folder))
    return "compiled"


def _digest(module: str) -> str:
    """Of its source, in Python or in C; empty if there is none."""
    source = _ROOT / f"{module.replace('.', '/')}.py"
    for file in (source, source.with_suffix(".c")):
        if file.is_file():
            return sha256(file.read_bytes()).hexdigest()
    return ""


FORM = choose(os.environ.get(VARIABLE, ""))
"""`compiled`, or `plain` with the reason why not if there is something compiled."""
