"""Readiness, task by task."""

from __future__ import annotations

from mesh_py.admin.readiness import Readiness


def test_nothing_to_wait_for_is_ready():
    assert Readiness().answer() == (200, "ready\n")


def test_pending_tasks_are_named_in_order():
    readiness = Readiness("state manager", "proxy")
    assert readiness.answer() == (500, "not ready, pending: proxy, state manager\n")
    readiness.done("state manager")
    assert readiness.answer() == (500, "not ready, pending: proxy\n")
    readiness.done("proxy")
    assert readiness.is_ready


def test_a_task_may_become_pending_again():
    readiness = Readiness("workload proxy manager")
    readiness.done("workload proxy manager")
    readiness.add("workload proxy manager")
    assert readiness.pending == ["workload proxy manager"]


def test_done_twice_or_unknown_is_done():
    readiness = Readiness("proxy")
    readiness.done("proxy")
    readiness.done("proxy")
    readiness.done("nobody")
    assert readiness.is_ready
