"""Compiles the hot modules: with mypyc, from the sources as they are, and the one that is written in C.

    python -m accelerator.build [--remove]

The result lies in `hbone_py/_compiled`, beside nothing that is tracked: extension modules, and a manifest with the
hash of each source, so that `hbone_py.aio.form` takes no module that is older than its source.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from accelerator.modules import GROUP, MODULES, WRITTEN_IN_C
from hbone_py.aio.form import FOLDER, write_manifest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
_FLAGS = ["-fvisibility=hidden", "-fno-semantic-interposition"]
"""Nobody else calls into the library, so that the compiler may put one function into another."""
C_FLAGS = ["-O2", "-std=c11", "-Wall", "-Wextra"]


class CannotCompile(Exception):
    """There is no compiler, or it refused; plain Python runs without."""


def compile_into(folder: Path) -> list[Path]:
    """Make the extension modules and their manifest in `folder`, which is emptied first. Raises CannotCompile.

    mypyc reads and compiles relative to the folder it is called in, so this steps into the project's.
    """
    with _scratch() as scratch, contextlib.chdir(ROOT):
        made = _compiled(scratch)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        files = [Path(shutil.copy(file, folder / name)) for name, file in made.items()]
        write_manifest(folder, (*MODULES, *WRITTEN_IN_C))
    return files


@contextlib.contextmanager
def _scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="hbone-compile-") as name:
        yield Path(name)


def _compiled(scratch: Path) -> dict[str, Path]:
    """Compile into `scratch`: files by the name that says which module each is."""
    try:
        from mypyc.build import mypycify
        from setuptools import Distribution, Extension  # type: ignore[import-untyped]
        from setuptools.errors import CompileError  # type: ignore[import-untyped]
    except ImportError as error:
        raise CannotCompile(f"{error.name} is missing: `make dev` installs it") from None
    paths = [module.replace(".", "/") + ".py" for module in MODULES]
    try:
        extensions = mypycify(
            paths,
            opt_level="2",
            debug_level="0",
            target_dir=str(scratch / "c"),
            group_name=GROUP,
        )
    except SystemExit:
        raise CannotCompile("mypyc refuses the sources; what it says is above") from None
    for extension in extensions:
        extension.extra_compile_args += _FLAGS
    extensions += [
        Extension(name, [name.replace(".", "/") + ".c"], extra_compile_args=C_FLAGS) for name in WRITTEN_IN_C
    ]
    command = Distribution({"name": GROUP, "ext_modules": extensions}).get_command_obj("build_ext")
    command.build_lib, command.build_temp = str(scratch / "lib"), str(scratch / "objects")
    command.parallel = os.process_cpu_count() if hasattr(os, "process_cpu_count") else os.cpu_count()
    try:
        command.ensure_finalized()
        command.run()
    except CompileError as error:
        raise CannotCompile(f"the C compiler failed: {error}") from None
    library = scratch / "lib"
    return {".".join(file.relative_to(library).parts): file for file in sorted(library.rglob("*.so"))}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--remove", is_flag=True, help="Go back to plain Python.")
def main(remove: bool) -> None:
    """Compile the hot modules, or remove what was compiled.

    Ends with status 1 when it cannot be done; plain Python runs in any case.
    """
    if remove:
        shutil.rmtree(FOLDER, ignore_errors=True)
        click.echo("plain Python from now on")
        return
    try:
        files = compile_into(FOLDER)
    except CannotCompile as error:
        raise click.ClickException(f"cannot compile: {error}. Plain Python runs without.") from None
    size = sum(file.stat().st_size for file in files)
    click.echo(
        f"{len(MODULES) + len(WRITTEN_IN_C)} modules compiled into {FOLDER.relative_to(ROOT)}, {size // 1024} KiB"
    )


if __name__ == "__main__":
    main()
