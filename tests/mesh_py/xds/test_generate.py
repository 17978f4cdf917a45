"""What is committed is what protoc makes of the .proto files."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from mesh_py.xds.generate import FOLDER, ROOT, generate, products, sources

if TYPE_CHECKING:
    from pathlib import Path

# Another protoc writes another version into its output; the messages are the same.
VERSION = re.compile(r"^# Protobuf Python Version: .*$|(?<=Domain\.PUBLIC,\n) +\d+,\n +\d+,\n +\d+,\n +'.*',$", re.M)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory) -> Path:
    target: Path = tmp_path_factory.mktemp("generated")
    generate(target)
    return target / FOLDER


def without_version(text: str) -> str:
    return VERSION.sub("", text)


@pytest.mark.parametrize("name", [name for source in sources() for name in products(source)])
def test_what_is_committed_is_current(fresh: Path, name: str) -> None:
    committed = (ROOT / FOLDER / name).read_text(encoding="utf-8")
    assert without_version((fresh / name).read_text(encoding="utf-8")) == without_version(committed), (
        "run `python -m mesh_py.xds.generate`"
    )


def test_nothing_is_committed_that_has_no_source() -> None:
    made = {name for source in sources() for name in products(source)}
    assert {file.name for file in (ROOT / FOLDER).glob("*_pb2*")} == made


def test_the_envoy_messages_and_ours_live_in_one_process() -> None:
    # Names of files and of messages are global to a process: a clash shows at import.
    modules = [f"mesh_py.xds.proto.{name.removesuffix('.py')}" for source in sources() for name in products(source)[:1]]
    imports = ["envoy.service.discovery.v3.discovery_pb2", "grpc", *modules]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "\n".join(f"import {name}" for name in imports)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
