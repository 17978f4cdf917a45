"""The module that is written in C, compiled for the tests: every warning is an error."""

from __future__ import annotations

import importlib.util
import subprocess
import sysconfig
from typing import TYPE_CHECKING

from accelerator.build import C_FLAGS
from tests.support.require import require_tool
from tests.support.source_tree import ROOT

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType


def compiled(module: str, folder: Path, *flags: str) -> ModuleType:
    """`module`, e.g. ``hbone_py.aio._way``, from its source in C, and imported beside whatever else there is of it."""
    library = folder / f"{module}{sysconfig.get_config_var('EXT_SUFFIX')}"
    source = ROOT / f"{module.replace('.', '/')}.c"
    include = f"-I{sysconfig.get_path('include')}"
    flags = (*C_FLAGS, "-Werror", "-g", "-shared", "-fPIC", *flags, include)
    command = [require_tool("cc"), *flags, str(source), "-o", str(library)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    spec = importlib.util.spec_from_file_location(module, library)
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found
