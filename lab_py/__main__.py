"""`python -m lab_py`."""

from __future__ import annotations

import sys

from mesh_py.process.interpreter import starting


def main() -> None:
    """Run the command line; `--help` has the exit statuses."""
    with starting("lab_py"):
        from lab_py.command_line import run_lab
        from lab_py.enter import before_leaving

        try:
            status = run_lab(sys.argv[1:])
        finally:
            before_leaving()
        sys.exit(status)


if __name__ == "__main__":
    main()
