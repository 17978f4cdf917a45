"""Makes wheels. HBONE_ACCELERATED=1: with the compiled form inside, for one interpreter; else the pure one, for all."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_WANTED = os.environ.get("HBONE_ACCELERATED") == "1"


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """See https://hatch.pypa.io/latest/plugins/build-hook/custom/."""

    def dependencies(self) -> list[str]:
        """What compiling takes beside hatchling: the compiler, and our libraries for their types."""
        return ["mypy>=2", "setuptools>=80", *self.metadata.core.dependencies] if _WANTED else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Before the wheel is put together."""
        if not _WANTED or version == "editable":
            return
        sys.path.insert(0, self.root)
        from accelerator.build import compile_into

        folder = Path(self.root, "build", "compiled")  # not where this tree itself would run it from
        files = [*compile_into(folder), folder / "manifest.json"]
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        build_data["force_include"] |= {str(file): f"hbone_py/_compiled/{file.name}" for file in files}
