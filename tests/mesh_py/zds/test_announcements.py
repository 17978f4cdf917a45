"""What follows from each message of the agent, as conversations (hbone-dataplane 10.2)."""

from __future__ import annotations

import re

import pytest

from mesh_py.settings.kinds import WorkloadInfo
from mesh_py.zds.announcements import Announcements, ProtocolError, Start, Stop
from mesh_py.zds.messages import Add, Delete, Keep, Request, SnapshotSent


def info(uid: str) -> WorkloadInfo:
    return WorkloadInfo("default", uid, "account")


class Conversation:
    """Announcements, with starts that work unless the pod is in `broken`."""

    def __init__(self) -> None:
        self.announced = Announcements()
        self.broken: set[str] = set()

    def say(self, request: Request, namespace: int | None = None) -> str:
        """What was done, as words: `+a1` starts a in namespace 1, `-a1` stops it there, `?a1` could not start it."""
        return self._done(self.announced.hear(request, namespace))

    def add(self, uid: str, namespace: int = 1) -> str:
        return self.say(Add(uid, info(uid)), namespace)

    def retry(self) -> str:
        return self._done(self.announced.again())

    def _done(self, actions) -> str:
        return " ".join(map(self._do, actions))

    def _do(self, action: Start | Stop) -> str:
        name = f"{action.pod.uid}{action.pod.namespace}"
        if isinstance(action, Stop):
            return f"-{name}"
        if action.pod.uid in self.broken:
            self.announced.failed(action.pod)
            return f"?{name}"
        self.announced.started(action.pod)
        return f"+{name}"

    @property
    def running(self) -> str:
        return " ".join(sorted(self.announced.running))

    def is_ready(self) -> bool:
        return self.announced.is_ready


@pytest.fixture
def talk() -> Conversation:
    return Conversation()


def test_a_snapshot_and_what_comes_after_it(talk: Conversation) -> None:
    assert talk.add("a") == "+a1"
    assert not talk.is_ready()
    assert talk.say(SnapshotSent()) == ""
    assert talk.is_ready()
    assert talk.add("b", 2) == "+b2"
    assert talk.is_ready()
    assert talk.say(Delete("a")) == "-a1"
    assert talk.running == "b"


def test_the_same_pod_again_is_nothing_new(talk: Conversation) -> None:
    assert (talk.add("a"), talk.add("a")) == ("+a1", "")


def test_another_namespace_is_another_pod(talk: Conversation) -> None:
    assert (talk.add("a", 1), talk.add("a", 2)) == ("+a1", "-a1 +a2")
    assert talk.announced.running["a"].namespace == 2


def test_a_pod_nobody_knows_may_be_gone(talk: Conversation) -> None:
    talk.say(SnapshotSent())
    assert talk.say(Delete("a")) == ""
    assert talk.is_ready()


def test_after_a_new_beginning_who_is_not_named_is_gone(talk: Conversation) -> None:
    for uid in "abc":
        talk.add(uid)
    talk.say(SnapshotSent())
    talk.announced.begin()
    assert not talk.is_ready()
    assert talk.running == "a b c"
    assert talk.add("a") == ""
    assert talk.say(Keep("b")) == ""
    assert talk.say(SnapshotSent()) == "-c1"
    assert talk.running == "a b"
    assert talk.is_ready()


def test_a_pod_that_goes_before_the_snapshot_ends_goes_with_its_end(talk: Conversation) -> None:
    talk.add("a")
    assert talk.say(Delete("a")) == ""
    assert talk.running == "a"
    assert talk.say(SnapshotSent()) == "-a1"


def test_a_start_that_fails_is_tried_again(talk: Conversation) -> None:
    talk.broken.add("a")
    talk.say(SnapshotSent())
    assert talk.add("a") == "?a1"
    assert not talk.is_ready()
    assert talk.retry() == "?a1"
    talk.broken.clear()
    assert talk.retry() == "+a1"
    assert talk.is_ready()
    assert talk.retry() == ""


def test_added_again_while_pending(talk: Conversation) -> None:
    talk.broken.add("a")
    talk.say(SnapshotSent())
    talk.add("a")
    talk.broken.clear()
    assert talk.add("a", 2) == "+a2"
    assert talk.is_ready()


def test_gone_while_pending(talk: Conversation) -> None:
    talk.broken.add("a")
    talk.say(SnapshotSent())
    talk.add("a")
    assert talk.say(Delete("a")) == ""
    assert talk.is_ready()
    assert talk.retry() == ""


def test_another_namespace_that_cannot_be_served(talk: Conversation) -> None:
    talk.add("a", 1)
    talk.say(SnapshotSent())
    talk.broken.add("a")
    assert talk.add("a", 2) == "-a1 ?a2"
    assert talk.running == ""
    assert not talk.is_ready()


def test_who_is_pending_is_forgotten_with_the_conversation(talk: Conversation) -> None:
    talk.broken.add("a")
    talk.add("a")
    talk.announced.begin()
    assert (dict(talk.announced.pending), talk.retry()) == ({}, "")


@pytest.mark.parametrize(
    ("request_", "complaint"),
    [
        (Keep("a"), "keep comes after SnapshotSent"),
        (SnapshotSent(), "a second SnapshotSent comes after SnapshotSent"),
        (Add("a", None), "pod a is added without workload_info"),
    ],
)
def test_what_makes_no_sense(talk: Conversation, request_: Request, complaint: str) -> None:
    talk.say(SnapshotSent())
    with pytest.raises(ProtocolError, match=re.escape(complaint)):
        talk.say(request_, 1)


def test_a_pod_without_information_makes_no_sense_at_any_time(talk: Conversation) -> None:
    with pytest.raises(ProtocolError):
        talk.say(Add("a", None), 1)
