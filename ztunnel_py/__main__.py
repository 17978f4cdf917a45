"""`python -m ztunnel_py`, and the command `ztunnel-py`."""

from __future__ import annotations

import sys

from mesh_py.process.interpreter import starting


def main() -> None:
    """Run the command line; the exit status is 0 ok, 1 an expectation failed, 2 usage or configuration, 130 Ctrl-C."""
    with starting("ztunnel_py"):
        from ztunnel_py.command_line import run

        sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
