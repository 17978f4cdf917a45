"""`enroll` and `unenroll`: a pod of a lab that is up joins the mesh or leaves it."""

from __future__ import annotations

import subprocess
import sys

import click

from lab_py import state
from lab_py.command_exec import entering
from mesh_py.process.children import python_environment

DONE = {
    "enroll": "{pod} is ambient: what it opens from now on, and what is opened to it, is captured",
    "unenroll": "{pod} is plain: nothing of it is captured",
}


def run(verb: str, name: str, pod: str) -> int:
    """Do it inside the lab; the exit status. Raises Unusable: no such lab; Missing."""
    folder, record = state.find(name)
    inside = [sys.executable, "-m", "lab_py.enrolment", verb, str(folder), pod]
    status = subprocess.run([*entering(record), *inside], env=python_environment(), check=False).returncode
    if status == 0:
        click.echo(DONE[verb].format(pod=pod))
    return status
