"""Kubernetes' own kinds: what is derived from what is written."""

from __future__ import annotations

import pytest

from mesh_py.manifests.core import ContainerPort, Node, Pod, PodSpec, Service, ServicePort
from mesh_py.manifests.metadata import Metadata, Owner
from mesh_py.model.workload import Locality


def test_a_node_tells_its_locality_by_labels() -> None:
    labels = {
        "topology.kubernetes.io/region": "eu",
        "topology.kubernetes.io/zone": "eu-1",
        "topology.istio.io/subzone": "rack-7",
    }
    assert Node(Metadata("n1", labels=labels)).locality == Locality("eu", "eu-1", "rack-7")
    assert Node(Metadata("n2")).locality == Locality()


@pytest.mark.parametrize(
    ("owner", "labels", "expected"),
    [
        pytest.param(None, {}, Owner("Pod", "web-5d4-x"), id="nobody: the pod itself"),
        pytest.param(
            Owner("ReplicaSet", "web-5d4"),
            {"pod-template-hash": "5d4"},
            Owner("Deployment", "web"),
            id="a deployment's",
        ),
        pytest.param(Owner("ReplicaSet", "web-5d4"), {}, Owner("ReplicaSet", "web-5d4"), id="a bare replica set"),
        pytest.param(
            Owner("ReplicaSet", "web-7c"),
            {"rollouts-pod-template-hash": "7c"},
            Owner("Rollout", "web"),
            id="a rollout's",
        ),
        pytest.param(
            Owner("ReplicationController", "web-3"),
            {"deploymentconfig": "web"},
            Owner("DeploymentConfig", "web"),
            id="a deployment config's",
        ),
        pytest.param(Owner("StatefulSet", "db"), {}, Owner("StatefulSet", "db"), id="another owner"),
        pytest.param(Owner("Job", "tick-28012345"), {}, Owner("CronJob", "tick"), id="a run of a cron job"),
        pytest.param(Owner("Job", "load-2024"), {}, Owner("Job", "load-2024"), id="a job that somebody numbered"),
        pytest.param(None, {"service.istio.io/workload-name": "web"}, Owner("Pod", "web"), id="as its label says"),
    ],
)
def test_the_workload_of_a_pod(owner: Owner | None, labels: dict[str, str], expected: Owner) -> None:
    assert Pod(Metadata("web-5d4-x", "shop", labels=labels, owner=owner)).workload == expected


def test_a_named_port_is_found_by_name_and_protocol() -> None:
    spec = PodSpec(ports=(ContainerPort(53, "dns", "UDP"), ContainerPort(54, "dns"), ContainerPort(80)))
    assert spec.port_named("dns") == 54
    assert spec.port_named("dns", "UDP") == 53
    assert spec.port_named("http") is None


@pytest.mark.parametrize(("phase", "is_terminal"), [("Running", False), ("Succeeded", True), ("Failed", True)])
def test_a_pod_that_ended_is_terminal(phase: str, is_terminal: bool) -> None:
    assert Pod(Metadata("job", "shop"), phase=phase).is_terminal is is_terminal


def test_a_port_of_a_service_is_found_by_number() -> None:
    https = ServicePort(443, "https")
    service = Service(Metadata("web", "shop"), ports=(ServicePort(80, "http"), https))
    assert service.port(443) is https
    assert service.port(8080) is None
