"""A pod of a lab that is up joins the mesh, or leaves it, without a restart (today's design, redirection c).

    python -m lab_py.enrolment enroll|unenroll FOLDER POD            (inside the lab; `python -m lab_py enroll POD`)

What is open when a pod joins stays as it is: conntrack, which begins in the pod with the first rule, is told not to
pick up connections from their middle, and what it does not know no rule redirects. What opens from then on is captured.
"""

from __future__ import annotations

import argparse
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lab_py.errors import LabError, Unusable
from lab_py.mesh_edit import mesh_edit
from lab_py.mesh_file import uid_of
from lab_py.netns import Namespaces, need_tool
from lab_py.peers.python import announcement, control_socket
from lab_py.redirect.base import ip_lines_undone, rule_lines_undone
from lab_py.redirect.inpod import PROBED_SET, pod_redirection
from lab_py.topology import Kind
from lab_py.world import WorldFiles
from mesh_py.process.complaints import complain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab_py.mesh_edit import KnownPod, MeshEdit

ANSWER_SECONDS = 10.0
"""How long the node's agent, and behind it ztunnel, may take."""
KEEPS_OPEN = {"net.netfilter.nf_conntrack_tcp_loose": "0"}


def enroll(mesh: MeshEdit, name: str) -> None:
    """Have ztunnel serve a plain pod, then capture it, then tell the mesh. Raises LabError, Unusable."""
    pod = _find(mesh, name)
    if pod.kind is not Kind.PLAIN:
        raise Unusable(f"{name} has a proxy already: plain pods can be enrolled")
    namespaces = Namespaces()
    namespaces.sysctls(name, KEEPS_OPEN)
    _tell_agent(pod.node, f"add {announcement(name)}")
    namespaces.install(pod_redirection(name))
    namespaces.run(pod.node, [need_tool("ipset"), "add", PROBED_SET, pod.ip, "comment", name])
    mesh.make(name, Kind.AMBIENT)


def unenroll(mesh: MeshEdit, name: str) -> None:
    """The same backwards; what ztunnel carries for the pod ends with that. Raises LabError, Unusable."""
    pod = _find(mesh, name)
    if pod.kind is not Kind.AMBIENT:
        raise Unusable(f"{name} is not an ambient pod: there is nothing to take back")
    namespaces, redirection = Namespaces(), pod_redirection(name)
    mesh.make(name, Kind.PLAIN)
    namespaces.restore(name, rule_lines_undone(redirection))
    namespaces.ip(name, ip_lines_undone(redirection).splitlines())
    namespaces.run(pod.node, [need_tool("ipset"), "del", PROBED_SET, pod.ip])
    _tell_agent(pod.node, f"del {uid_of(name)}")


def _find(mesh: MeshEdit, name: str) -> KnownPod:
    pod = mesh.pod(name)
    if not control_socket(pod.node).is_socket():
        raise Unusable(f"{pod.node} has no agent: it takes `up --design in-pod`, and an ambient pod there")
    return pod


def _tell_agent(node: str, line: str) -> None:
    try:
        with socket.socket(socket.AF_UNIX) as agent:
            agent.settimeout(ANSWER_SECONDS)
            agent.connect(str(control_socket(node)))
            agent.sendall(f"{line}\n".encode())
            answer = agent.makefile().readline().strip()
    except OSError as error:
        raise LabError(f"{node}: its agent does not answer: {error}") from None
    if answer != "ok":
        raise LabError(f"{node}: {answer or 'its agent hung up'}")


def main(arguments: Sequence[str]) -> int:
    """See the module's first lines."""
    parser = argparse.ArgumentParser(prog="python -m lab_py.enrolment", description="What `enroll` runs in the lab.")
    parser.add_argument("verb", choices=["enroll", "unenroll"])
    parser.add_argument("folder", type=Path, help="the lab's")
    parser.add_argument("pod")
    options = parser.parse_args(arguments)
    act = enroll if options.verb == "enroll" else unenroll
    try:
        act(mesh_edit(WorldFiles(options.folder)), options.pod)
    except LabError as error:
        complain(str(error))
        return error.status
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
