"""The messages between a node's agent and its proxy, as values and as packets (hbone-controlplane 8) [no I/O].

There is no framing: one message is one packet. The agent announces pods, each announcement is answered before the
next, and which answer belongs to which is told by their order alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from google.protobuf.message import DecodeError

from mesh_py.settings.kinds import WorkloadInfo
from mesh_py.xds.proto import zds_pb2 as pb

LONGEST = 1024
"""Bytes of the largest packet either side reads."""


class UnreadableMessage(Exception):
    """A packet that is none of the protocol's; the text says why."""


@dataclass(frozen=True, slots=True)
class Add:
    """A pod to serve. Its network namespace comes with the packet."""

    uid: str
    """The pod's UID in Kubernetes, not that of its workload in discovery."""
    info: WorkloadInfo | None


@dataclass(frozen=True, slots=True)
class Keep:
    """A pod that goes on, whose namespace the agent does not have any more."""

    uid: str


@dataclass(frozen=True, slots=True)
class Delete:
    """A pod that is gone."""

    uid: str


@dataclass(frozen=True, slots=True)
class SnapshotSent:
    """Every pod of the node was named; all others are gone."""


Request: TypeAlias = Add | Keep | Delete | SnapshotSent


def hello() -> bytes:
    """The proxy's first packet."""
    return pb.ZdsHello(version=pb.V1).SerializeToString()


def is_hello(packet: bytes) -> bool:
    """Whether a packet is a greeting in the version we speak."""
    try:
        return pb.ZdsHello.FromString(packet).version == pb.V1
    except DecodeError:
        return False


def write_request(request: Request) -> bytes:
    """A packet of the agent's."""
    match request:
        case Add(uid, info):
            message = pb.WorkloadRequest(add=pb.AddWorkload(uid=uid, workload_info=_info_message(info)))
        case Keep(uid):
            message = pb.WorkloadRequest(keep=pb.KeepWorkload(uid=uid))
        case Delete(uid):
            message = pb.WorkloadRequest(**{"del": pb.DelWorkload(uid=uid)})  # type: ignore[arg-type]  # a keyword
        case SnapshotSent():
            message = pb.WorkloadRequest(snapshot_sent=pb.SnapshotSent())
    return message.SerializeToString()


def read_request(packet: bytes) -> Request:
    """What the agent says. Raises UnreadableMessage."""
    try:
        message = pb.WorkloadRequest.FromString(packet)
    except DecodeError as error:
        raise UnreadableMessage("it is no WorkloadRequest") from error
    match message.WhichOneof("payload"):
        case "add":
            return Add(message.add.uid, _info(message.add))
        case "keep":
            return Keep(message.keep.uid)
        case "del":
            return Delete(getattr(message, "del").uid)
        case "snapshot_sent":
            return SnapshotSent()
        case _:
            raise UnreadableMessage("its kind is not known")


def write_answer(error: str = "") -> bytes:
    """The proxy's answer: all is well, or what is not, cut to what the agent reads."""
    return pb.WorkloadResponse(ack=pb.Ack(error=_cut(error))).SerializeToString()


def read_answer(packet: bytes) -> str:
    """What is wrong; empty if nothing is. Raises UnreadableMessage."""
    try:
        message = pb.WorkloadResponse.FromString(packet)
    except DecodeError as error:
        raise UnreadableMessage("it is no WorkloadResponse") from error
    if not message.HasField("ack"):
        raise UnreadableMessage("it answers nothing")
    return message.ack.error


def _info_message(info: WorkloadInfo | None) -> pb.WorkloadInfo | None:
    if info is None:
        return None
    return pb.WorkloadInfo(name=info.name, namespace=info.namespace, service_account=info.service_account)


def _info(message: pb.AddWorkload) -> WorkloadInfo | None:
    if not message.HasField("workload_info"):
        return None
    info = message.workload_info
    return WorkloadInfo(info.namespace, info.name, info.service_account)


def _cut(text: str) -> str:
    return text.encode()[: LONGEST - 64].decode(errors="ignore")
