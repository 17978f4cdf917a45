"""Texts as values: what is read, what is refused and how it is worded, and that writing is the inverse of reading."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_py.settings.kinds import (
    ADDRESS,
    BOOLEAN,
    MAYBE,
    NAME,
    PATH,
    PORT,
    POSITIVE_TIME,
    SIZE,
    WHOLE_SECONDS,
    WORKER_COUNT,
    WORKLOAD_INFO,
    WORKLOAD_NAME,
    Kind,
    WorkerCount,
    WorkloadInfo,
    choice,
    duration,
    size,
    write_duration,
    write_size,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5m", 300.0),
        ("180s", 180.0),
        ("500ms", 0.5),
        ("250us", 0.00025),
        ("1h30m", 5400.0),
        ("1h 30m", 5400.0),
        ("1.5s", 1.5),
        ("1d", 86_400.0),
        ("7", 7.0),
        ("0s", 0.0),
    ],
)
def test_a_duration_is_read(text: str, seconds: float) -> None:
    assert duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "5x", "m", "-5s", "5m!", "five", "1.5", "5 m s", "٣s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration, such as"):
        duration(text)


@pytest.mark.parametrize(
    ("text", "count"),
    [("1000", 1000), ("512KiB", 524_288), ("64MiB", 67_108_864), ("1 GiB", 1 << 30), ("2mib", 2 << 20)],
)
def test_a_size_is_read(text: str, count: int) -> None:
    assert size(text) == count


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        pytest.param(BOOLEAN, "true", True, id="true"),
        pytest.param(BOOLEAN, "false", False, id="false"),
        pytest.param(MAYBE, "auto", None, id="auto"),
        pytest.param(PORT, "0", 0, id="any port"),
        pytest.param(PORT, "65535", 65_535, id="last port"),
        pytest.param(ADDRESS, "[::1]", "::1", id="IPv6 in brackets"),
        pytest.param(ADDRESS, "0:0::1", "::1", id="IPv6 in its canonical form"),
        pytest.param(PATH, "a b/c", Path("a b/c"), id="path"),
        pytest.param(WORKLOAD_INFO, "shop/cart-1/cart", WorkloadInfo("shop", "cart-1", "cart"), id="workload"),
        pytest.param(WORKLOAD_NAME, "shop/cart-1", "shop/cart-1", id="workload name"),
        pytest.param(WORKER_COUNT, "50%", WorkerCount(50, is_share=True), id="share of the cores"),
        pytest.param(WORKER_COUNT, "3", WorkerCount(3), id="workers"),
        pytest.param(WHOLE_SECONDS, "3m", 180, id="whole seconds"),
    ],
)
def test_a_value_is_read(kind: Kind[object], text: str, value: object) -> None:
    assert kind.read(text) == value


@pytest.mark.parametrize(
    ("kind", "text", "problem"),
    [
        pytest.param(BOOLEAN, "yes", "is neither true nor false", id="yes"),
        pytest.param(BOOLEAN, "True", "is neither true nor false", id="capital"),
        pytest.param(MAYBE, "maybe", "is none of true, false, auto", id="maybe"),
        pytest.param(PORT, "65536", "is not a whole number from 0 to 65535", id="port too high"),
        pytest.param(PORT, "http", "is not a whole number from 0 to 65535", id="port by name"),
        pytest.param(SIZE, "5MB", "is not a size, such as", id="megabytes"),
        pytest.param(ADDRESS, "localhost", "is not an IP address", id="host name"),
        pytest.param(ADDRESS, "127.0.0.256", "is not an IP address", id="no such byte"),
        pytest.param(NAME, "a b", "is not a name", id="name with a space"),
        pytest.param(PATH, "", "is not a path", id="empty path"),
        pytest.param(WORKLOAD_INFO, "shop/cart", "is not namespace/name/service-account", id="two parts"),
        pytest.param(WORKLOAD_INFO, "shop//cart", "is not namespace/name/service-account", id="empty part"),
        pytest.param(WORKLOAD_NAME, "cart", "is not namespace/name", id="one part"),
        pytest.param(WORKER_COUNT, "150%", "is not a whole number from 1 to 100", id="more than all cores"),
        pytest.param(WORKER_COUNT, "-1", "is not a whole number", id="negative"),
        pytest.param(POSITIVE_TIME, "0s", "is no time at all", id="no time"),
        pytest.param(WHOLE_SECONDS, "500ms", "is not a duration of whole seconds", id="half a second"),
        pytest.param(WHOLE_SECONDS, "10h", "is not a duration of whole seconds", id="beyond the kernel's bound"),
        pytest.param(Kind(choice("a", "b"), "a|b"), "c", "is none of a, b", id="choice"),
    ],
)
def test_a_wrong_value_is_told(kind: Kind[object], text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        kind.read(text)


@given(st.integers(min_value=1, max_value=10**12))
def test_a_size_is_written_as_it_would_be_read(count: int) -> None:
    assert size(write_size(count)) == count


@given(st.integers(min_value=1, max_value=10**10))
def test_a_duration_is_written_as_it_would_be_read(microseconds: int) -> None:
    seconds = microseconds / 1e6
    assert duration(write_duration(seconds)) == pytest.approx(seconds, abs=1e-6)


@pytest.mark.parametrize(
    ("count", "cores", "workers"),
    [
        pytest.param(WorkerCount(1), 8, 1, id="one"),
        pytest.param(WorkerCount(0), 8, 8, id="one a core"),
        pytest.param(WorkerCount(25, is_share=True), 8, 2, id="a quarter"),
        pytest.param(WorkerCount(10, is_share=True), 2, 1, id="at least one"),
    ],
)
def test_a_worker_count_meets_a_machine(count: WorkerCount, cores: int, workers: int) -> None:
    assert count.on(cores) == workers
