"""Generate the message classes in `mesh_py/xds/proto` from the .proto files beside them.

Run it after a change to one of them: `python -m mesh_py.xds.generate`. What it makes is committed, so that only this
needs protoc (grpcio-tools, one of the development tools).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

FOLDER = "mesh_py/xds/proto"
ROOT = Path(__file__).parents[2]

# protoc writes mappings without their type arguments, which strict checking refuses.
_STUB_HEADER = "# mypy: disable-error-code=type-arg\n"


def sources(root: Path = ROOT) -> list[Path]:
    """The .proto files, in a fixed order."""
    return sorted((root / FOLDER).glob("*.proto"))


def generate(target: Path, root: Path = ROOT) -> list[Path]:
    """Write `*_pb2.py` and `*_pb2.pyi` below `target`, at the place their package has.

    Files are named to protoc as seen from the root of the project: the name is global to a process, and others
    have a `workload.proto` too.

    Returns:
        The files written.

    Raises:
        RuntimeError: grpcio-tools is missing, or protoc refused (it has said why).
    """
    try:
        from grpc_tools import _proto, protoc
    except ImportError as error:
        raise RuntimeError("grpcio-tools is missing; `make dev` installs it") from error
    includes = [f"-I{root}", f"-I{Path(_proto.__path__[0])}"]
    outputs = [f"--python_out={target}", f"--pyi_out={target}"]
    if protoc.main(["protoc", *includes, *outputs, *map(str, sources(root))]) != 0:
        raise RuntimeError("protoc failed")
    return [_finished(target / FOLDER / name) for source in sources(root) for name in products(source)]


def products(source: Path) -> tuple[str, str]:
    """The names of what a .proto file becomes: the module and its stub."""
    return f"{source.stem}_pb2.py", f"{source.stem}_pb2.pyi"


def _finished(file: Path) -> Path:
    if file.suffix == ".pyi":
        file.write_text(_STUB_HEADER + file.read_text(encoding="utf-8"), encoding="utf-8")
    return file


def main() -> int:
    """Generate everything in place. Returns the exit status."""
    argparse.ArgumentParser(prog="python -m mesh_py.xds.generate", description=__doc__).parse_args()
    try:
        written = generate(ROOT)
    except RuntimeError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - a command's own output
        return 1
    print(f"{len(written)} files written in {FOLDER}")  # noqa: T201 - a command's own output
    return 0


if __name__ == "__main__":
    sys.exit(main())
