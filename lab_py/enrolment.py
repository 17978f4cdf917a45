"""A pod of a lab that is up joins the mesh, or leaves it, without a restart (today's design, redirection c).

    python -m lab_py.enrolment enroll|unenroll MESH_FILE POD         (inside the lab; `python -m lab_py enroll POD`)

What is open when a pod joins stays as it is: conntrack, which begins in the pod with the first rule, is told not to
pick up connections from their middle, and what it does not know no rule redirects. What opens from then on is captured.
"""

from __future__ import annotations

import argparse
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from lab_py.errors import LabError, Unusable
from lab_py.mesh_file import uid_of
from lab_py.netns import Namespaces, need_tool
from lab_py.peers.python import announcement, control_socket
from lab_py.redirect.base import ip_lines_undone, rule_lines_undone
from lab_py.redirect.inpod import PROBED_SET, pod_redirection
from mesh_py.process.complaints import complain

if TYPE_CHECKING:
    from collections.abc import Sequence

ANSWER_SECONDS = 10.0
"""How long the node's agent, and behind it ztunnel, may take."""
KEEPS_OPEN = {"net.netfilter.nf_conntrack_tcp_loose": "0"}


def enroll(mesh_file: Path, pod: str) -> None:
    """Have ztunnel serve a plain pod, then capture it, then tell the mesh. Raises LabError, Unusable."""
    mesh, workload = _find(mesh_file, pod)
    if workload["protocol"] == "HBONE" or workload.get("mutualTls"):
        raise Unusable(f"{pod} has a proxy already: plain pods can be enrolled")
    namespaces, node = Namespaces(), workload["node"]
    namespaces.sysctls(pod, KEEPS_OPEN)
    _tell_agent(node, f"add {announcement(pod)}")
    namespaces.install(pod_redirection(pod))
    namespaces.run(node, [need_tool("ipset"), "add", PROBED_SET, workload["workloadIps"][0], "comment", pod])
    _write(mesh_file, mesh, workload, "HBONE")


def unenroll(mesh_file: Path, pod: str) -> None:
    """The same backwards; what ztunnel carries for the pod ends with that. Raises LabError, Unusable."""
    mesh, workload = _find(mesh_file, pod)
    if workload["protocol"] != "HBONE" or workload.get("nativeTunnel"):
        raise Unusable(f"{pod} is not an ambient pod: there is nothing to take back")
    namespaces, node, redirection = Namespaces(), workload["node"], pod_redirection(pod)
    _write(mesh_file, mesh, workload, "TCP")
    namespaces.restore(pod, rule_lines_undone(redirection))
    namespaces.ip(pod, ip_lines_undone(redirection).splitlines())
    namespaces.run(node, [need_tool("ipset"), "del", PROBED_SET, workload["workloadIps"][0]])
    _tell_agent(node, f"del {uid_of(pod)}")


def _find(mesh_file: Path, pod: str) -> tuple[Any, dict[str, Any]]:
    mesh = yaml.safe_load(mesh_file.read_text(encoding="utf-8"))
    found = [one for one in mesh["workloads"] if one["name"] == pod]
    if not found:
        raise Unusable(f"there is no pod {pod!r}: there are {', '.join(one['name'] for one in mesh['workloads'])}")
    if not control_socket(found[0]["node"]).is_socket():
        raise Unusable(f"{found[0]['node']} has no agent: it takes `up --design in-pod`, and an ambient pod there")
    return mesh, found[0]


def _write(file: Path, mesh: Any, workload: dict[str, Any], protocol: str) -> None:
    """In one step; the proxies read it again by themselves."""
    workload["protocol"] = protocol
    new = file.with_suffix(".new")
    new.write_text(yaml.safe_dump(mesh, sort_keys=False), encoding="utf-8")
    new.replace(file)


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
    parser.add_argument("mesh_file", type=Path, help="the lab's mesh, which the proxies read")
    parser.add_argument("pod")
    options = parser.parse_args(arguments)
    act = enroll if options.verb == "enroll" else unenroll
    try:
        act(options.mesh_file, options.pod)
    except LabError as error:
        complain(str(error))
        return error.status
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
