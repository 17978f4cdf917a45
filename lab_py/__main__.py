"""`python -m lab_py`."""

from __future__ import annotations

import sys

from lab_py.command_line import run_lab


def main() -> None:
    """Run the command line; `--help` has the exit statuses."""
    sys.exit(run_lab(sys.argv[1:]))


if __name__ == "__main__":
    main()
