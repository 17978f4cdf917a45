"""`python -m istiod_py`, and the command `istiod-py`."""

from __future__ import annotations

import sys

from mesh_py.process.interpreter import starting


def main() -> None:
    """Run the command line; exit status 0 ok, 1 `check` found errors, 2 usage or configuration, 130 Ctrl-C."""
    with starting("istiod_py"):
        from istiod_py.command_line import run

        sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
