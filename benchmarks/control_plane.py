"""What a large mesh costs the control plane: a process over a folder of manifests, and proxies that join it.

    python -m benchmarks.control_plane [--workloads 10000] [--proxies 20] [--edits 10] [-o table|json]

Manifests as people write them: a Pod for every workload, a Service for every 20, a namespace for every 5 services.
The proxies are grpcio's, by delta xDS in plaintext on loopback; all figures are of the control plane's process, times
of a quiet machine only.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import grpc
from envoy.service.discovery.v3 import ads_pb2_grpc, discovery_pb2

from benchmarks.processes import Processes, Usage, usage_of, wait_until
from benchmarks.state import PODS_OF_A_SERVICE, namespace, pod_ip, vip
from mesh_py.xds.types import ADDRESS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

PATIENCE = 120.0
"""Seconds for anything."""


def manifests(workloads: int) -> Iterator[tuple[str, str]]:
    """Files by name: one for each namespace."""
    files: dict[str, list[str]] = {}
    for number in range(workloads):
        service = number // PODS_OF_A_SERVICE
        lines = files.setdefault(f"{namespace(service)}.yaml", [])
        if number % PODS_OF_A_SERVICE == 0:
            lines.append(_service(service))
        lines.append(_pod(number, service, str(pod_ip(number))))
    yield from ((name, "---\n".join(lines)) for name, lines in files.items())


def _pod(number: int, service: int, ip: str) -> str:
    return f"""apiVersion: v1
kind: Pod
metadata:
  name: svc-{service}-{number}
  namespace: {namespace(service)}
  labels: {{app: svc-{service}, istio.io/dataplane-mode: ambient}}
spec:
  serviceAccountName: svc-{service}
  nodeName: node-{number % 500}
  containers: [{{name: app, ports: [{{name: http, containerPort: 8080}}]}}]
status: {{podIP: {ip}, phase: Running, conditions: [{{type: Ready, status: "True"}}]}}
"""


def _service(number: int) -> str:
    return f"""apiVersion: v1
kind: Service
metadata: {{name: svc-{number}, namespace: {namespace(number)}}}
spec: {{clusterIP: {vip(number)}, selector: {{app: svc-{number}}}, ports: [{{name: http, port: 80, targetPort: http}}]}}
"""


class Proxy:
    """One delta stream for everything; it acknowledges what it is sent."""

    def __init__(self, target: str, number: int) -> None:
        self.versions: dict[str, str] = {}
        self.bytes = 0
        options = [("grpc.use_local_subchannel_pool", 1)]
        self._channel = grpc.aio.insecure_channel(target, options)
        self._node = {"id": f"ztunnel~10.0.0.1~ztunnel-{number}.istio-system~istio-system.svc.cluster.local"}
        self._call: Any = None

    async def join(self) -> None:
        """Open the stream, naming what is known already."""
        self._call = ads_pb2_grpc.AggregatedDiscoveryServiceStub(self._channel).DeltaAggregatedResources()
        request = {"type_url": ADDRESS, "node": self._node, "initial_resource_versions": self.versions}
        await self._call.write(discovery_pb2.DeltaDiscoveryRequest(**request))

    async def hear(self) -> int:
        """The next answer; how many resources it changes."""
        async with asyncio.timeout(PATIENCE):
            answer = await self._call.read()
        self.bytes += answer.ByteSize()
        self.versions.update((one.name, one.version) for one in answer.resources)
        await self._call.write(discovery_pb2.DeltaDiscoveryRequest(type_url=ADDRESS, response_nonce=answer.nonce))
        return len(answer.resources) + len(answer.removed_resources)

    async def hear_until(self, count: int) -> None:
        """Until so many resources are known."""
        while len(self.versions) < count:
            await self.hear()

    async def leave(self) -> None:
        """End it."""
        self._call.cancel()
        await self._channel.close()


class Istiod:
    """The process under measurement, on an address of its own."""

    def __init__(self, processes: Processes, folder: Path, address: str) -> None:
        self._address = address
        self.target = f"{address}:15010"
        state = folder.parent / "state"
        self._log = folder.parent / "istiod.log"
        command = [sys.executable, "-m", "istiod_py", "--config", str(folder), "--state-dir", str(state)]
        self._process = processes.start([*command, "--bind", address, "--log", "error"], log=self._log)

    def wait_ready(self) -> None:
        """Until it has a state to serve. Raises BenchmarkError."""
        wait_until(self._is_ready, "the control plane is ready", PATIENCE, self._process, self._log)

    def usage(self) -> Usage:
        """So far."""
        return usage_of(self._process.pid)

    def _is_ready(self) -> bool:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://{self._address}:15014/ready", timeout=5):
            return True
        return False


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured."""

    workloads: int
    proxies: int
    edits: int
    address: str

    @property
    def resources(self) -> int:
        """Workloads and services."""
        return self.workloads + -(-self.workloads // PODS_OF_A_SERVICE)


def measure(plan: Plan, say: Callable[[str], None]) -> dict[str, float]:
    """Every figure, by name."""
    with tempfile.TemporaryDirectory() as base, Processes() as processes:
        folder = Path(base, "mesh")
        folder.mkdir()
        for name, text in manifests(plan.workloads):
            (folder / name).write_text(text, encoding="utf-8")
        begin = time.monotonic()
        istiod = Istiod(processes, folder, plan.address)
        istiod.wait_ready()
        figures = {"start to ready, s": time.monotonic() - begin, "start to ready, CPU s": istiod.usage().cpu_s}
        figures["memory without proxies, MB"] = istiod.usage().rss_mb
        say("ready")
        return figures | asyncio.run(_with_proxies(istiod, folder, plan, say))


async def _with_proxies(istiod: Istiod, folder: Path, plan: Plan, say: Callable[[str], None]) -> dict[str, float]:
    first, *others = everyone = [Proxy(istiod.target, number) for number in range(plan.proxies)]
    figures = await _timed(istiod, "first proxy synced", _all_join([first], plan.resources))
    figures["a full sync, MB"] = first.bytes / 1e6
    figures |= await _timed(istiod, f"{len(others)} more at once", _all_join(others, plan.resources))
    figures["memory with all proxies, MB"] = istiod.usage().rss_mb
    say("all proxies synced")
    figures |= await _edits(istiod, folder, everyone, plan.edits)
    say("edits made")
    figures |= await _timed(istiod, "a proxy back that kept everything", _returns(first))
    for proxy in everyone:
        await proxy.leave()
    return figures


async def _all_join(proxies: list[Proxy], expected: int) -> None:
    async with asyncio.TaskGroup() as group:
        for proxy in proxies:
            await proxy.join()
            group.create_task(proxy.hear_until(expected))


async def _edits(istiod: Istiod, folder: Path, proxies: list[Proxy], edits: int) -> dict[str, float]:
    """One pod's address at a time; until every proxy has it."""
    begin, before = time.monotonic(), istiod.usage()
    path = folder / f"{namespace(0)}.yaml"
    changed = 0
    for number in range(edits):
        text = path.read_text(encoding="utf-8")
        old = str(pod_ip(0)) if number == 0 else f"10.250.0.{number}"
        path.write_text(text.replace(f"podIP: {old},", f"podIP: 10.250.0.{number + 1},"), encoding="utf-8")
        async with asyncio.TaskGroup() as group:
            heard = [group.create_task(proxy.hear()) for proxy in proxies]
        changed += sum(one.result() for one in heard)
    return {
        "an edit to all proxies, s": (time.monotonic() - begin) / edits,
        "an edit to all proxies, CPU s": istiod.usage().since(before).cpu_s / edits,
        "resources sent per edit and proxy": changed / edits / len(proxies),
        "memory after the edits, MB": istiod.usage().rss_mb,
    }


async def _returns(proxy: Proxy) -> None:
    proxy._call.cancel()
    await proxy.join()
    changed = await proxy.hear()
    assert changed == 0, f"{changed} resources sent again"


async def _timed(istiod: Istiod, name: str, work: Awaitable[None]) -> dict[str, float]:
    begin, before = time.monotonic(), istiod.usage()
    await work
    return {f"{name}, s": time.monotonic() - begin, f"{name}, CPU s": istiod.usage().since(before).cpu_s}


@click.command()
@click.option("--workloads", default=10_000, show_default=True, type=click.IntRange(1, 1_000_000))
@click.option("--proxies", default=20, show_default=True, type=click.IntRange(2, 1000))
@click.option("--edits", default=10, show_default=True, type=click.IntRange(1, 250))
@click.option("--address", default="127.0.211.9", show_default=True, help="Loopback address of the control plane.")
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def main(workloads: int, proxies: int, edits: int, address: str, output: str) -> None:
    """Measure, and print."""
    figures = measure(Plan(workloads, proxies, edits, address), lambda line: click.echo(line, err=True))
    figures = {"workloads": float(workloads), "proxies": float(proxies), **figures}
    if output == "json":
        click.echo(json.dumps(figures, indent=2))
        return
    width = max(map(len, figures))
    for name, value in figures.items():
        click.echo(f"{name:<{width}}  {value:10.3f}")


if __name__ == "__main__":
    main()
