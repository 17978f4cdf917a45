"""A small cluster as two generations of proxies dump it: today's lists, and the older maps keyed by address.

The cluster is our own. Its addresses are 10.NET.x.y, so that on loopback they stand at 127.NET.x.y.

    web, spy   clients          cart   HBONE, for web alone (a policy of its own)
    pay        plain TCP        books  HBONE, its service behind the waypoint way
    way        takes PROXY protocol on 15088
"""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

ADDRESSES = {"web": "1.1", "spy": "1.2", "cart": "2.1", "pay": "2.2", "books": "2.3", "way": "2.4"}
VIPS = {"cart": "96.1", "pay": "96.2", "books": "96.3", "way": "96.4"}
PORTS = {"cart": {"80": 8080}, "pay": {"80": 8080}, "books": {"80": 8080}, "way": {"15008": 15008}}
DOMAIN = "shop.svc.cluster.local"


def uid(name: str) -> str:
    return f"Kubernetes//Pod/shop/{name}-1"


def place(net: int, name: str) -> str:
    """Where a workload stands on loopback."""
    return f"127.{net}.{ADDRESSES[name]}"


def todays(net: int) -> Json:
    """`/config_dump` as it is now (hbone-controlplane 7.3)."""
    return {
        "workloads": [_workload(net, name) for name in sorted(ADDRESSES)],
        "services": [_service(net, name) for name in sorted(VIPS)],
        "policies": [policy("web")],
        "stagedServices": {},
        "staticConfig": {"workloads": [], "policies": [], "services": []},
        "version": {"version": "1", "istioVersion": "1.31"},
        "config": {"network": "", "proxyMode": "Shared"},
        "certificates": [
            {"identity": f"spiffe://cluster.local/ns/shop/sa/{name}", "state": "Available"} for name in PORTS
        ],
        "workloadState": {},
    }


def older(net: int) -> Json:
    """The same cluster in the older shape: maps by address, `port` of a waypoint, no services on workloads."""
    workloads: Json = {}
    for name in ADDRESSES:
        workload = _workload(net, name)
        del workload["services"], workload["capacity"]
        workloads[f"/10.{net}.{ADDRESSES[name]}"] = workload
    services: Json = {}
    for name in VIPS:
        service = _service(net, name)
        if "waypoint" in service:
            service["waypoint"] = _older_gateway(service["waypoint"])
        service["endpoints"] = {
            f"{uid(name)}:/10.{net}.{ADDRESSES[name]}": {
                "workloadUid": uid(name),
                "service": f"shop/{name}.{DOMAIN}",
                "address": f"/10.{net}.{ADDRESSES[name]}",
                "port": PORTS[name],
            }
        }
        services[f"/10.{net}.{VIPS[name]}"] = service
    return {"workloads": workloads, "services": services, "policies": [policy("web")], "certificates": []}


def policy(*accounts: str) -> Json:
    """Who may call the cart."""
    principals = [{"Exact": f"cluster.local/ns/shop/sa/{account}"} for account in accounts]
    return {
        "name": "only-web",
        "namespace": "shop",
        "scope": "WorkloadSelector",
        "action": "Allow",
        "rules": [[[{"principals": principals}]]],
        "dryRun": False,
    }


def _workload(net: int, name: str) -> Json:
    tunnel = {"applicationTunnel": {"protocol": "PROXY", "port": 15088}} if name == "way" else {}
    return tunnel | {
        "workloadIps": [f"10.{net}.{ADDRESSES[name]}"],
        "protocol": "TCP" if name == "pay" else "HBONE",
        "networkMode": "Standard",
        "uid": uid(name),
        "name": f"{name}-1",
        "namespace": "shop",
        "trustDomain": "cluster.local",
        "serviceAccount": name,
        "workloadName": name,
        "workloadType": "deployment",
        "canonicalName": name,
        "canonicalRevision": "v1",
        "node": "node-1" if name in PORTS else "node-2",
        "authorizationPolicies": ["shop/only-web"] if name == "cart" else [],
        "status": "Healthy",
        "clusterId": "Kubernetes",
        "services": [f"shop/{name}.{DOMAIN}"] if name in PORTS else [],
        "capacity": 1,
    }


def _service(net: int, name: str) -> Json:
    service: Json = {
        "name": name,
        "namespace": "shop",
        "hostname": f"{name}.{DOMAIN}",
        "vips": [f"/10.{net}.{VIPS[name]}"],
        "ports": PORTS[name],
        "endpoints": {uid(name): {"workloadUid": uid(name), "port": PORTS[name], "status": "Healthy"}},
        "subjectAltNames": [],
        "canonical": True,
        "visibility": "Public",
    }
    if name == "books":
        service["waypoint"] = {"destination": f"/10.{net}.{VIPS['way']}", "hboneMtlsPort": 15008}
    return service


def _older_gateway(gateway: Json) -> Json:
    return {"destination": gateway["destination"], "port": gateway["hboneMtlsPort"]}
