"""What the debug pages show, as plain values (hbone-controlplane 7.3 for the shapes of workloads and policies) [pure].

Keys are those of istiod's own pages where it has them, so that whoever reads those reads these.
"""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

from istiod_py.metrics import short_type
from mesh_py.discovery.dump import dump_policies, dump_services, dump_workloads
from mesh_py.discovery.state import MeshState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from istiod_py.ambient.mesh import Mesh
    from istiod_py.clients import Client
    from istiod_py.dialects import Subscription
    from istiod_py.snapshot import Collection
    from mesh_py.discovery.problems import Problem
    from mesh_py.manifests.objects import Manifests

Json = dict[str, Any]

_LONG = {"cds": "cluster", "eds": "endpoint", "lds": "listener", "rds": "route"}


def syncz(clients: Iterable[Client]) -> list[Json]:
    """Who has been sent what, and what of it was accepted."""
    return [_sync_of(client) for client in clients]


def adsz(clients: Iterable[Client]) -> Json:
    """Who is connected, and what it watches."""
    found = [
        {
            **_connection(client),
            "metadata": dict(client.node.metadata),
            "watches": {url: _watched(one) for url, one in client.subscriptions.items()},
        }
        for client in clients
    ]
    return {"totalClients": len(found), "clients": found}


def connections(clients: Iterable[Client]) -> Json:
    """Who is connected, in short."""
    found = [_connection(client) for client in clients]
    return {"totalClients": len(found), "clients": found}


def ambientz(mesh: Mesh) -> Json:
    """The mesh as node proxies are told it, in the shape of their own `/config_dump`."""
    state = MeshState()
    state.replace(mesh.workloads.values(), mesh.services.values(), mesh.policies.values())
    return {
        "workloads": dump_workloads(state),
        "services": dump_services(state),
        "policies": dump_policies(state),
    }


def configz(manifests: Manifests) -> list[Json]:
    """Every object that is served, and where it is written."""
    return [
        {
            "kind": one.kind,
            "namespace": one.metadata.namespace,
            "name": one.metadata.name,
            "labels": dict(one.metadata.labels),
            "annotations": dict(one.metadata.annotations),
            "place": str(one.metadata.place),
        }
        for one in manifests.all()
    ]


def problems(faults: Iterable[Problem], mesh: Mesh) -> Json:
    """What is wrong with the folder now, and what authors should know."""
    notices = [
        {"place": str(one.place), "code": one.code, "severity": one.severity.value, "text": str(one)}
        for one in mesh.notices
    ]
    return {"faults": [str(fault) for fault in faults], "notices": notices}


def resources(client: Client, collections: Mapping[str, Collection]) -> Json:
    """Names and versions of all that a client may see."""
    found = {
        url: {one.name: {"version": one.version, "bytes": len(one.body)} for one in collection.resources.values()}
        for url, collection in collections.items()
    }
    return {"proxy": client.id, "resources": found}


def _sync_of(client: Client) -> Json:
    node = client.node
    found: Json = {
        "proxy": f"{node.name}.{node.namespace}",
        "proxy_type": node.kind,
        "cluster_id": node.cluster_id,
        "istio_version": node.text("ISTIO_VERSION"),
        "types": {short_type(url): _state_of(one) for url, one in client.subscriptions.items()},
    }
    for url, one in client.subscriptions.items():
        if (name := _LONG.get(short_type(url))) is not None:
            found[f"{name}_sent"], found[f"{name}_acked"] = one.nonces.sent, one.nonces.acknowledged
    return found


def _state_of(subscription: Subscription) -> Json:
    nonces = subscription.nonces
    if not nonces.sent:
        state = "NOT SENT"
    elif nonces.sent == nonces.acknowledged:
        state = "SYNCED"
    elif nonces.sent == nonces.refused:
        state = "REJECTED"
    else:
        state = "STALE"
    found = {"state": state, "sent": nonces.sent, "acked": nonces.acknowledged, "resources": subscription.held}
    return found | ({"reason": nonces.refusal} if nonces.refused else {})


def _connection(client: Client) -> Json:
    at = datetime.datetime.fromtimestamp(client.connected_at, datetime.UTC)
    return {
        "connectionId": client.id,
        "connectedAt": at.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "address": client.address,
        "identity": client.caller.account if client.caller is not None else None,
        "form": client.form,
        "pushes": client.pushes,
    }


def _watched(subscription: Subscription) -> list[str]:
    return ["*"] if subscription.is_wildcard else sorted(subscription.asked)
