"""baggage, written and read (hbone-dataplane 1.4)."""

from __future__ import annotations

import pytest

from hbone_py.baggage import Baggage, parse_baggage

WHOLE = Baggage("Kubernetes", "default", "sleep", "deployment", "sleep-svc", "v1", "r1", "r1/z1")
TEXT = (
    "k8s.cluster.name=Kubernetes,k8s.namespace.name=default,k8s.deployment.name=sleep,service.name=sleep-svc,"
    "service.version=v1,cloud.region=r1,cloud.availability_zone=r1/z1"
)


def test_the_whole_of_it_in_its_order() -> None:
    assert str(WHOLE) == TEXT
    assert parse_baggage([TEXT.encode()]) == WHOLE


@pytest.mark.parametrize(
    ("baggage", "text"),
    [
        pytest.param(Baggage(), "", id="nothing known"),
        pytest.param(Baggage(namespace="a", service="b"), "k8s.namespace.name=a,service.name=b", id="gaps left out"),
        pytest.param(Baggage(workload="w", workload_type="CronJob"), "k8s.cronjob.name=w", id="small letters"),
        pytest.param(Baggage(workload_type="pod"), "", id="a type without a name"),
    ],
)
def test_what_is_written(baggage: Baggage, text: str) -> None:
    assert str(baggage) == text


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param([], None, id="no header"),
        pytest.param([""], None, id="an empty header"),
        pytest.param(["unknown=1"], None, id="unknown keys alone"),
        pytest.param(["unknown=1,service.name=a"], Baggage(service="a"), id="unknown keys are passed over"),
        pytest.param(["service.name=a,service.name=b"], Baggage(service="b"), id="the last one wins"),
        pytest.param(["service.name=a", "service.name=b"], Baggage(service="b"), id="over several headers too"),
        pytest.param(["service.name=a,service.name="], Baggage(service="a"), id="an empty value is none"),
        pytest.param([" service.name = a , cloud.region=r "], Baggage(service="a", region="r"), id="spaces trimmed"),
        pytest.param(["service.name=a%20b%2Cc"], Baggage(service="a b,c"), id="percent signs are decoded"),
        pytest.param(["service.name=a=b"], Baggage(service="a=b"), id="a value may hold an equals sign"),
        pytest.param(["service.name=a;p=1"], Baggage(service="a"), id="properties are dropped"),
        pytest.param(["service.name"], None, id="no value"),
        pytest.param(["=a,,service.name=b"], Baggage(service="b"), id="empty members are passed over"),
        pytest.param(
            ["k8s.job.name=j"], Baggage(workload="j", workload_type="job"), id="the key names the workload's type"
        ),
        pytest.param(["k8s.statefulset.name=s"], None, id="only four types are known"),
        pytest.param(["k8s.Pod.name=p"], None, id="in small letters"),
        pytest.param(["k8s.pod=p", "k8s.pod.uid=p", "x.pod.name=p", "k8s.pod.name.x=p"], None, id="no key but that"),
        pytest.param(["service.name=%0Aevil"], None, id="no line break comes out of an escape"),
        pytest.param(["service.name=%E2%80%AEabc"], None, id="nor a mark that turns text around"),
        pytest.param(["service.name=a", "cloud.region=\xff"], None, id="bytes beyond ASCII spoil all"),
        pytest.param(["service.name=a\tb"], None, id="so do control characters"),
    ],
)
def test_what_is_read(values: list[str], expected: Baggage | None) -> None:
    assert parse_baggage([value.encode("latin-1") for value in values]) == expected
