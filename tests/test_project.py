"""The repository as a whole: what must not be in it, what must, and that everything it offers starts."""

from __future__ import annotations

import ast
import importlib
import os
import re
import subprocess
import sys
import tomllib
import warnings
from pathlib import Path

import click
import pytest

from tests.support.source_tree import ROOT, module_of, packages, source_files, tracked_files, tree_of

TRACKED = tracked_files()
SECRET_OR_CAPTURE = {".pem", ".key", ".crt", ".cer", ".csr", ".p12", ".pfx", ".srl", ".pcap", ".pcapng", ".keylog"}
# A real body, not the few letters that a test of a broken file has.
PRIVATE_KEY = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+(?:[A-Za-z0-9+/=]{40,}\s+)+-----END")
BINARY = {".png", ".svg"}
# Spelled in two halves, so that this file is no hit itself.
PACKAGE_INDEXES = ["pypi" + ".org", "python" + "hosted.org"]


def texts(*suffixes: str) -> list[Path]:
    return [file for file in TRACKED if file.suffix not in BINARY and (not suffixes or file.suffix in suffixes)]


def name_of(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def containing(words: list[str]) -> list[tuple[str, str]]:
    found = []
    for file in texts():
        text = file.read_text(encoding="utf-8")
        found += [(name_of(file), word) for word in words if word in text]
    return found


# What must not be there.


def test_no_key_certificate_or_capture_is_kept() -> None:
    assert [name_of(file) for file in TRACKED if file.suffix in SECRET_OR_CAPTURE] == []


def test_no_file_holds_a_private_key() -> None:
    assert [name_of(file) for file in TRACKED if PRIVATE_KEY.search(file.read_bytes())] == []


def test_nothing_leads_out_of_the_repository() -> None:
    listed = subprocess.run(["git", "ls-files", "--stage"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    # Links to files and to other repositories' commits (gitlinks).
    assert [line for line in listed.splitlines() if line.startswith(("120000", "160000"))] == []


def test_no_file_knows_the_machine_it_was_written_on() -> None:
    homes = [str(Path.home()) + "/", "/home/" + "runner", "/Users" + "/"]
    assert containing([*homes, str(ROOT)]) == []


def test_no_file_names_a_package_index() -> None:
    # Where packages come from is for whoever installs them to say.
    assert containing(PACKAGE_INDEXES) == []


# What must be there.


@pytest.mark.parametrize(
    "name", ["LICENSE", "README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "Makefile", "pyproject.toml"]
)
def test_a_paper_that_every_reader_looks_for_is_there(name: str) -> None:
    assert ROOT / name in TRACKED


def test_the_changelog_has_a_place_for_what_is_new() -> None:
    assert "\n## [Unreleased]\n" in (ROOT / "CHANGELOG.md").read_text()


def test_every_decision_is_listed_once_and_has_its_own_number() -> None:
    pages = sorted(file.name for file in (ROOT / "docs/decisions").glob("[0-9]*.md"))
    listed = re.findall(r"^- \[(\d{4})\]\((\S+)\)", (ROOT / "docs/decisions/README.md").read_text(), re.MULTILINE)
    assert [name for _, name in listed] == pages
    assert [number for number, _ in listed] == [name[:4] for name in pages]
    assert len({number for number, _ in listed}) == len(pages)


@pytest.mark.parametrize("file", texts(".md"), ids=name_of)
def test_links_between_papers_lead_somewhere(file: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)", file.read_text())
    local = [target for target in targets if "://" not in target and not target.startswith("mailto:")]
    assert [target for target in local if not (file.parent / target).exists()] == []


@pytest.mark.parametrize("name", [".ci/run", ".ci/system-deps"])
def test_scripts_can_be_run(name: str) -> None:
    assert os.access(ROOT / name, os.X_OK)
    assert subprocess.run(["bash", "-n", str(ROOT / name)], check=False).returncode == 0


# What it offers.


def test_every_file_compiles_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # an error says which file, and where
        for file in texts(".py"):
            compile(file.read_bytes(), str(file), "exec", dont_inherit=True)


def commands() -> list[list[str]]:
    """Every way to start something: packages with a __main__, modules that end in main(), scripts."""
    found = [["-m", module_of(file).removesuffix(".__main__")] for file in source_files() if is_started(file)]
    found += [[name_of(file)] for file in source_files("certs") if is_started(file)]
    return found + [["-m", name] for name in ("benchmarks",) if (ROOT / name / "__main__.py").exists()]


def is_started(file: Path) -> bool:
    if "__main__" not in file.read_text(encoding="utf-8"):  # to parse them all would take seconds, in every worker
        return False
    last = tree_of(file).body[-1]
    return isinstance(last, ast.If) and ast.unparse(last.test) == "__name__ == '__main__'"


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_a_command_tells_how_it_is_used(command: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", *command, "--help"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "usage" in done.stdout.lower()


def console_scripts() -> dict[str, str]:
    scripts: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    return scripts


@pytest.mark.parametrize("target", console_scripts().values(), ids=console_scripts().keys())
def test_a_console_script_leads_to_a_function(target: str) -> None:
    module, _, function = target.partition(":")
    assert callable(getattr(importlib.import_module(module), function))


@pytest.mark.parametrize("command", console_scripts().values(), ids=console_scripts().keys())
def test_an_interpreter_without_our_dependencies_is_told_of_the_one_that_has_them(command: str) -> None:
    package = command.partition(".")[0]
    bare = [sys.executable, "-S", "-m", package]  # without site-packages
    done = subprocess.run([*bare, "--help"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(rf"error: \S+ has no \w+: say \.venv/bin/python -m {package} .*\n", done.stderr)


def test_an_interpreter_that_has_what_help_needs_and_no_more_is_told_so_too(tmp_path: Path) -> None:
    (tmp_path / "click").symlink_to(Path(click.__file__).parent)
    bare = [sys.executable, "-S", "-m", "istiod_py", "check", str(tmp_path)]
    done = subprocess.run(
        bare, cwd=ROOT, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"error: \S+ has no \w+: say \.venv/bin/python -m istiod_py .*\n", done.stderr)


@pytest.mark.parametrize("package", [path.name for path in packages()])
def test_a_package_imports_without_a_warning_or_a_word(package: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"import {package}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# The Makefile.


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    """As from a terminal, also where a make runs the tests: it would pass its own flags on."""
    environment = {
        name: value for name, value in os.environ.items() if name not in ("MAKELEVEL", "MAKEFLAGS", "MFLAGS")
    }
    command = ["make", "--no-print-directory", "-C", str(ROOT), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_help_lists_every_target() -> None:
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony is not None
    listed = set(re.findall(r"^ +make (\S+)", make("help").stdout, re.MULTILINE))
    assert listed == set(phony.group(1).split())


def test_a_python_that_is_too_old_is_refused_in_one_line(tmp_path: Path) -> None:
    old = tmp_path / "python3.9"
    old.write_text('#!/bin/sh\n[ "$1" = -V ] && echo Python 3.9.1\nexit 1\n')
    old.chmod(0o755)
    done = make(f"PYTHON={old}", f"VENV={tmp_path}/venv", "run")
    complaint, _, rest = done.stderr.partition("\n")
    assert done.returncode == 2
    assert "Python 3.11 or newer is needed" in complaint
    assert "Python 3.9.1" in complaint
    assert rest.startswith("make: ***")
    assert not (tmp_path / "venv").exists()
