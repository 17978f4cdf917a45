"""The pods of a node, each served in its own network namespace as the node's agent announces them (hbone-dataplane 10).

What is to be done is decided in `mesh_py.zds.announcements`; here it is done.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING

from hbone_py.aio.reactor import Reactor
from mesh_py.admin.config_dump import Json, pending_workload_entry, workload_entry
from mesh_py.process.listening import StartError
from mesh_py.zds.announcements import Announcements, ProtocolError, Start, Stop
from ztunnel_py.agent_client import AgentClient
from ztunnel_py.certificate_keeper import keep_certificates, wanted_of_node
from ztunnel_py.data_plane import DataPlane
from ztunnel_py.name_lookup import NameLookup
from ztunnel_py.pod_proxy import PodProxy

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping

    from hbone_py.aio.namespace import NetworkNamespace
    from mesh_py.admin.readiness import Readiness
    from mesh_py.zds.announcements import Pod
    from mesh_py.zds.messages import Request
    from ztunnel_py.foundation import Foundation

log = logging.getLogger("inpod")

TASK = "workload proxy manager"
"""What readiness waits for under ztunnel's name: that every pod is known and served."""
RETRY_SECONDS = 5.0
"""Between tries to serve a pod that could not be served."""


class Pods:
    """Serves what is announced while `background` runs."""

    def __init__(
        self,
        foundation: Foundation,
        sockets: Mapping[str, socket.socket],
        readiness: Readiness,
        end: Callable[[], None],
    ) -> None:
        """Serve ourselves on `sockets`, if there are any; call `end` once there is no going on (`is_broken`)."""
        self.is_broken = False
        """The agent made no sense, and nobody knows any more which pods there are."""
        self._foundation, self._readiness, self._end = foundation, readiness, end
        self._own = DataPlane.start(foundation.without_borrowed_addresses(), sockets) if sockets else None
        self._lookup = NameLookup(Reactor.current())
        self._client = AgentClient(foundation.settings.inpod_uds, self)
        self._announced = Announcements()
        self._proxies: dict[str, PodProxy] = {}
        self._waiting: dict[str, NetworkNamespace] = {}  # those of pods that are pending
        self._taking: list[asyncio.Task[None]] = []  # what may bring a pod: the agent, and the next try
        self._group: asyncio.TaskGroup | None = None
        self._show()

    async def background(self) -> None:
        """Listen to the agent, and do what all pods' proxies need tasks for, until cancelled."""
        foundation = self._foundation
        wanted = partial(wanted_of_node, foundation.state)
        async with asyncio.TaskGroup() as group:
            self._group = group
            self._taking = [
                group.create_task(self._listen(), name="node agent"),
                group.create_task(self._try_again(), name="pending pods"),
            ]
            group.create_task(self._lookup.serve())
            group.create_task(keep_certificates(foundation.state, foundation.certificates, wanted))
            if foundation.revocation is not None:
                group.create_task(foundation.revocation.file.watch(foundation.revocation.recheck))

    async def drain(self, seconds: float) -> None:
        """Hear nothing more, then end every pod's connections side by side (hbone-dataplane 6.3)."""
        self._take_nothing_more()
        async with asyncio.TaskGroup() as group:
            for proxy in self._served():
                group.create_task(proxy.drain(seconds))

    def cut(self) -> None:
        """End everything now."""
        self._take_nothing_more()
        for proxy in self._served():
            proxy.cut()

    def _served(self) -> list[PodProxy | DataPlane]:
        return [*self._proxies.values(), *([] if self._own is None else [self._own])]

    def workload_state(self) -> dict[str, Json]:
        """Our pods with their live connections, in the dump's shape (hbone-controlplane 7.3)."""
        found: dict[str, Json] = {}
        for uid, pod in self._announced.pending.items():
            found[uid] = pending_workload_entry(*_who(pod))
        for uid, pod in self._announced.running.items():
            live = self._proxies[uid].plane.connections()
            found[uid] = workload_entry(*_who(pod), inbound=live.inbound, outbound=live.outbound)
        return found

    # Listening ---------------------------------------------------------------

    def hear(self, request: Request, namespace: NetworkNamespace | None) -> str:
        """Do what a message asks for; what went wrong, or nothing. Raises ProtocolError."""
        problem = ""
        is_kept = False
        try:
            for action in self._announced.hear(request, None if namespace is None else namespace.id):
                match action:
                    case Stop(pod):
                        self._stop(pod)
                    case Start(pod):
                        assert namespace is not None, "only who is added is started"
                        is_kept = True
                        problem = self._start(pod, namespace)
        finally:
            if namespace is not None and not is_kept:
                namespace.close()
        self._let_go()
        self._show()
        return problem

    def lost(self) -> None:
        """The conversation is over. Pods that are served go on; the agent will name all of them again."""
        self._announced.begin()
        self._let_go()
        self._show()

    async def _listen(self) -> None:
        try:
            await self._client.run()
        except ProtocolError as error:
            log.error("protocol error of the node's agent: %s: we end, to begin anew with it", error)
            self.is_broken = True
            self._end()

    def _take_nothing_more(self) -> None:
        for task in self._taking:
            task.cancel()

    # Pods ---------------------------------------------------------------

    def _start(self, pod: Pod, namespace: NetworkNamespace) -> str:
        """Serve it, or keep it for later; what is in the way, or nothing."""
        try:
            proxy = PodProxy.start(self._foundation, self._lookup, pod.info, namespace)
        except StartError as error:
            log.warning("pod %s (%s): failure to start proxy: %s", pod.info, pod.uid, error)
            self._keep_for_later(pod, namespace)
            return f"failure to start proxy : {error}"
        except Exception as error:  # the other pods go on
            log.exception("! pod %s (%s): unexpected error", pod.info, pod.uid)
            self._keep_for_later(pod, namespace)
            return f"failure to start proxy : unexpected error: {error!r}"
        self._announced.started(pod)
        if self._waiting.get(pod.uid) is namespace:
            del self._waiting[pod.uid]
        self._proxies[pod.uid] = proxy
        assert self._group is not None, "we listen while `background` runs"
        self._group.create_task(proxy.serve(), name=f"pod {pod.uid}")
        self._foundation.metrics.proxies_started.increase()
        log.info("pod %s (%s) is served", pod.info, pod.uid)
        return ""

    def _keep_for_later(self, pod: Pod, namespace: NetworkNamespace) -> None:
        before = self._waiting.get(pod.uid)
        if before is not None and before is not namespace:
            before.close()
        self._waiting[pod.uid] = namespace
        self._announced.failed(pod)

    def _stop(self, pod: Pod) -> None:
        self._proxies.pop(pod.uid).cut()
        self._foundation.metrics.proxies_stopped.increase()
        log.info("pod %s (%s) is served no longer", pod.info, pod.uid)

    async def _try_again(self) -> None:
        while True:
            await asyncio.sleep(RETRY_SECONDS)
            for start in self._announced.again():
                self._start(start.pod, self._waiting[start.pod.uid])
            self._show()

    def _let_go(self) -> None:
        """Close the namespaces of pods that are pending no longer."""
        for uid in self._waiting.keys() - self._announced.pending.keys():
            self._waiting.pop(uid).close()

    def _show(self) -> None:
        """To probes and metrics."""
        metrics, announced = self._foundation.metrics, self._announced
        metrics.active_proxies.set(len(announced.running))
        metrics.pending_proxies.set(len(announced.pending))
        if announced.is_ready:
            self._readiness.done(TASK)
        else:
            self._readiness.add(TASK)


def _who(pod: Pod) -> tuple[str, str, str]:
    return pod.info.name, pod.info.namespace, pod.info.service_account
