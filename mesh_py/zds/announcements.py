"""What a proxy knows of the pods its node's agent announces, and what follows from each message (hbone-dataplane 10.2)
[no I/O].

Who acts starts and stops proxies as told here, and tells how a start ended. A conversation begins with a snapshot: pods
that nobody names until its end are gone. Proxies outlive the conversation; what is only known in it does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from mesh_py.zds.messages import Add, Delete, Keep, Request, SnapshotSent

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from mesh_py.settings.kinds import WorkloadInfo


class ProtocolError(Exception):
    """The agent says what makes no sense here: nobody knows any more which pods there are."""


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod that was announced, and which network namespace it has."""

    uid: str
    info: WorkloadInfo
    namespace: Hashable


@dataclass(frozen=True, slots=True)
class Start:
    """Serve a pod; say `started` or `failed`."""

    pod: Pod


@dataclass(frozen=True, slots=True)
class Stop:
    """Serve a pod no longer, at once."""

    pod: Pod


Action: TypeAlias = Start | Stop


class Announcements:
    """The pods of a node, as far as they were announced."""

    def __init__(self) -> None:
        self._running: dict[str, Pod] = {}
        self._pending: dict[str, Pod] = {}
        self._named: set[str] = set()
        self._is_snapshot_complete = False

    @property
    def running(self) -> Mapping[str, Pod]:
        """Pods that are served, by UID."""
        return self._running

    @property
    def pending(self) -> Mapping[str, Pod]:
        """Pods whose start has failed and is tried again, by UID."""
        return self._pending

    @property
    def is_ready(self) -> bool:
        """Whether all pods of the node are known and served."""
        return self._is_snapshot_complete and not self._pending

    def begin(self) -> None:
        """The conversation is over, and another begins."""
        self._pending.clear()
        self._named.clear()
        self._is_snapshot_complete = False

    def hear(self, request: Request, namespace: Hashable = None) -> list[Action]:
        """What is to be done, in this order; `namespace` tells the pod's from others. Raises ProtocolError."""
        match request:
            case Add(uid, info):
                if info is None:
                    raise ProtocolError(f"pod {uid} is added without workload_info")
                return self._add(Pod(uid, info, namespace))
            case Keep(uid):
                self._refuse_after_snapshot("keep")
                self._named.add(uid)
                return []
            case Delete(uid):
                return self._delete(uid)
            case SnapshotSent():
                self._refuse_after_snapshot("a second SnapshotSent")
                self._is_snapshot_complete = True
                return [Stop(self._running.pop(uid)) for uid in sorted(self._running.keys() - self._named)]

    def started(self, pod: Pod) -> None:
        """A `Start` worked."""
        self._pending.pop(pod.uid, None)
        self._running[pod.uid] = pod

    def failed(self, pod: Pod) -> None:
        """A `Start` did not."""
        self._pending[pod.uid] = pod

    def again(self) -> list[Start]:
        """Starts to try once more."""
        return [Start(pod) for pod in self._pending.values()]

    def _add(self, pod: Pod) -> list[Action]:
        if not self._is_snapshot_complete:
            self._named.add(pod.uid)
        before = self._running.get(pod.uid)
        if before is None:
            return [Start(pod)]
        if before.namespace == pod.namespace:
            return []
        del self._running[pod.uid]
        return [Stop(before), Start(pod)]

    def _delete(self, uid: str) -> list[Action]:
        """Before the end of the snapshot only the name is forgotten: that end stops the proxy."""
        self._pending.pop(uid, None)
        if not self._is_snapshot_complete:
            self._named.discard(uid)
            return []
        before = self._running.pop(uid, None)
        return [] if before is None else [Stop(before)]

    def _refuse_after_snapshot(self, what: str) -> None:
        if self._is_snapshot_complete:
            raise ProtocolError(f"{what} comes after SnapshotSent")
