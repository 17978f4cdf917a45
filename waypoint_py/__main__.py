"""`python -m waypoint_py`, and the command `waypoint-py`."""

from __future__ import annotations

import sys

from mesh_py.process.interpreter import lacking

try:
    from waypoint_py.command_line import run
except ModuleNotFoundError as missing:
    raise lacking(missing, "waypoint_py") from None


def main() -> None:
    """Run the command line; the exit status is 0 ok, 1 an expectation failed, 2 usage or configuration, 130 Ctrl-C."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
