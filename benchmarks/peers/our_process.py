"""One process of ours: any role, started with the environment it would have in a cluster, and awaited."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks import interpreter
from benchmarks.certificates import NAMESPACE
from benchmarks.peers.base import answers_ok
from benchmarks.processes import wait_until
from benchmarks.world import inside

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping, Sequence

    from benchmarks.peers.base import Surroundings

_READINESS_PORT = 15021


def start_role(
    given: Surroundings,
    role: str,
    account: str,
    address: str,
    namespace: int | None,
    *,
    arguments: Sequence[str] = (),
    more: Mapping[str, str],
) -> subprocess.Popen[bytes]:
    """Starts `python -m <role>` at an address; `more` is laid over the environment that all roles have."""
    command = [interpreter.command(), "-m", role, "--bind", address, *arguments]
    environment = {
        **interpreter.environment(given.code),
        "XDS_ADDRESS": "",
        "WORKLOAD_CERT_DIR": str(given.certificates),
        "RUST_LOG": "info" if given.has_log else "warn",
        **more,
    }
    with inside(namespace):
        return given.processes.start(command, environment=environment, log=given.folder / f"{account}.log")


def start_node(
    given: Surroundings, node: str, account: str, bind: str, namespace: int | None, *, more: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """Starts a node proxy, which serves all workloads of `node`."""
    environment = {"PROXY_MODE": "node", **more}
    return start_role(given, "ztunnel_py", account, bind, namespace, arguments=["--node", node], more=environment)


def start_for_workload(
    given: Surroundings, role: str, account: str, address: str, namespace: int | None, *, more: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """Starts a sidecar or a waypoint, which is one workload; what listens on loopback is not in a node proxy's way."""
    local = address if address.startswith("127.") else "127.0.0.2"
    environment = {"PROXY_WORKLOAD_INFO": f"{NAMESPACE}/{account}/{account}", **more}
    return start_role(given, role, account, address, namespace, arguments=["--local-bind", local], more=environment)


def await_ready(
    given: Surroundings, account: str, address: str, namespace: int | None, process: subprocess.Popen[bytes]
) -> None:
    """Waits for a process's readiness endpoint. Raises BenchmarkError when it does not come up."""

    def ready() -> bool:
        return answers_ok(namespace, address, _READINESS_PORT, "/healthz/ready")

    wait_until(ready, f"the readiness of {account}'s proxy", 20, process, given.folder / f"{account}.log")
