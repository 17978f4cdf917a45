"""AuthorizationPolicies judged twice: by us, and by the real Envoy with what our control plane makes of them."""

from __future__ import annotations

import json
import socket
import ssl
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from hbone_py.identity import SpiffeId
from istiod_py.envoy.extension import extension, socket_address, typed
from istiod_py.envoy.rbac import http_filters
from istiod_py.envoy.rbac_rules import Judge
from mesh_py.http.http_rbac import HttpPolicies
from mesh_py.http.rbac_facts import RequestFacts
from tests.mesh_py.http.policies import policy
from tests.mesh_py.http.routes import request
from tests.support.envoy import DEFAULTS, run_envoy
from tests.support.processes import loopback_address
from tests.support.world import ip

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mesh_py.http.messages import HttpRequest
    from mesh_py.manifests.security import AuthorizationPolicy
    from tests.support.certificates import CertificateFiles, MeshCertificates

pytestmark = pytest.mark.interop

# The client is spiffe://<trust domain>/ns/default/sa/client.
SPECS = {
    "allow nothing": "{}",
    "allow all": "rules: [{}]",
    "methods": "rules: [{to: [{operation: {methods: [GET, H*]}}]}]",
    "not methods": "rules: [{to: [{operation: {notMethods: [DELETE]}}]}]",
    "paths": "rules: [{to: [{operation: {paths: [/a, /p*, '*.css']}}]}]",
    "deny paths": "{action: DENY, rules: [{to: [{operation: {paths: [/a*], notPaths: [/a/b]}}]}]}",
    "template": "rules: [{to: [{operation: {paths: ['/a/{*}/c']}}]}]",
    "templates": "rules: [{to: [{operation: {paths: ['/a/{**}', '/{*}/x']}}]}]",
    "hosts": "rules: [{to: [{operation: {hosts: [web.example, '*.org']}}]}]",
    "deny hosts": "{action: DENY, rules: [{to: [{operation: {hosts: ['web*']}}]}]}",
    "headers": "rules: [{when: [{key: 'request.headers[x-role]', values: [admin, 'ops-*']}]}]",
    "not headers": "rules: [{when: [{key: 'request.headers[x-role]', notValues: [user]}]}]",
    "header is there": "{action: DENY, rules: [{when: [{key: 'request.headers[x-role]', values: ['*']}]}]}",
    "namespace": "rules: [{from: [{source: {namespaces: [default]}}]}]",
    "another namespace": "rules: [{from: [{source: {namespaces: [other]}}]}]",
    "not a namespace": "rules: [{from: [{source: {notNamespaces: [default]}}]}]",
    "service account": "rules: [{from: [{source: {serviceAccounts: [client]}}]}]",
    "principal": "rules: [{from: [{source: {principals: ['*/sa/client']}}]}]",
    "deny a principal": "{action: DENY, rules: [{from: [{source: {principals: ['*/ns/default/sa/client']}}]}]}",
    "any principal": "rules: [{from: [{source: {principals: ['*']}}]}]",
    "blocks": "rules: [{from: [{source: {ipBlocks: [127.0.0.0/8], notIpBlocks: [10.0.0.0/8]}}]}]",
    "no block": "rules: [{from: [{source: {ipBlocks: [10.0.0.0/8]}}]}]",
    "port": "rules: [{to: [{operation: {notPorts: ['1']}}]}]",
    "either": "rules: [{to: [{operation: {methods: [PUT]}}, {operation: {paths: [/a]}}]}]",
    "all of": "rules: [{to: [{operation: {methods: [GET], paths: [/a]}}], from: [{source: {namespaces: [default]}}]}]",
    "two rules": "rules: [{to: [{operation: {methods: [PUT]}}]}, {to: [{operation: {hosts: [a.org]}}]}]",
    "address condition": "rules: [{when: [{key: source.ip, values: [127.0.0.0/8]}]}]",
    "namespace condition": "rules: [{when: [{key: source.namespace, values: [default], notValues: [x]}]}]",
}
REQUESTS = [
    request("/a", host="web.example"),
    request("/a?b=c", host="web.example:8080"),
    request("/a/b", "HEAD", "a.org"),
    request("/a/b/c", "PUT", "a.org"),
    request("/a/b/d/c", "DELETE", "WEB.example"),
    request("/a/", host="other"),
    request("/path/x", "POST", "other", x_role="admin"),
    request("/x.css", host="org", x_role="user"),
    request("/y/x", host="x.org", x_role="ops-1"),
    request("/", host="web", x_role=""),
]


def a_manager(name: str, filters: list[dict[str, Any]]) -> dict[str, Any]:
    answer = {"match": {"prefix": "/"}, "direct_response": {"status": 200}}
    return extension(
        "http",
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        {
            "stat_prefix": name,
            "normalize_path": True,
            "http_filters": [*filters, extension("router", "envoy.extensions.filters.http.router.v3.Router")],
            "route_config": {"virtual_hosts": [{"name": "any", "domains": ["*"], "routes": [answer]}]},
        },
    )


def listener(address: str, port: int, files: CertificateFiles, one: AuthorizationPolicy) -> dict[str, Any]:
    tls = {
        "require_client_certificate": True,
        "common_tls_context": {
            "tls_certificates": [
                {"certificate_chain": {"filename": str(files.chain)}, "private_key": {"filename": str(files.key)}}
            ],
            "validation_context": {"trusted_ca": {"filename": str(files.roots)}},
        },
    }
    context = typed("envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext", tls)
    chain = {
        "transport_socket": {"name": "tls", "typed_config": context},
        "filters": [a_manager(f"port-{port}", http_filters([one], Judge()))],
    }
    return {"name": f"port-{port}", "address": socket_address(address, port), "filter_chains": [chain]}


PORTS = dict(zip(SPECS, count(20_001), strict=False))


@pytest.fixture(scope="module")
def envoy_address(peer_folder: Path, certificates: MeshCertificates) -> Iterator[str]:
    """An Envoy with a listener for each policy."""
    address = loopback_address()
    listeners = [listener(address, PORTS[name], certificates.server, policy(spec)) for name, spec in SPECS.items()]
    config = {
        "admin": {"address": socket_address(address, int(DEFAULTS["ADMIN_PORT"]))},
        "static_resources": {"listeners": listeners},
    }
    file = peer_folder / f"envoy-rbac-{address}.json"
    file.write_text(json.dumps(config))
    with run_envoy("mesh", address, file, {**DEFAULTS, "ADDRESS": address}):
        yield address


def statuses(address: str, port: int, certificates: MeshCertificates) -> list[int]:
    """Envoy's answers to every request, over one connection."""
    context = ssl.create_default_context(cafile=str(certificates.client.roots))
    context.check_hostname = False
    context.load_cert_chain(certificates.client.chain, certificates.client.key)
    found = []
    with socket.create_connection((address, port), timeout=5) as plain, context.wrap_socket(plain) as connection:
        said = connection.makefile("rb")
        for asked in REQUESTS:
            connection.sendall(wire(asked))
            found.append(int(said.readline().split()[1]))
            length = 0
            while (line := said.readline()) != b"\r\n":
                if line.lower().startswith(b"content-length:") and asked.method != "HEAD":
                    length = int(line.split(b":")[1])
            said.read(length)
    return found


def wire(asked: HttpRequest) -> bytes:
    fields = "".join(f"{name}: {value}\r\n" for name, value in asked.headers)
    body = "content-length: 0\r\n" if asked.method in ("PUT", "POST", "DELETE") else ""
    return f"{asked.method} {asked.path} HTTP/1.1\r\nhost: {asked.authority}\r\n{fields}{body}\r\n".encode()


@pytest.mark.parametrize("name", SPECS)
def test_envoy_gives_the_same_verdicts(name: str, envoy_address: str, certificates: MeshCertificates) -> None:
    port = PORTS[name]
    policies = HttpPolicies([policy(SPECS[name])])
    identity = SpiffeId.parse(certificates.client.identity)
    ours = [
        200 if policies.judge(RequestFacts(asked, ip("127.0.0.1"), ip(envoy_address), port, identity)).allowed else 403
        for asked in REQUESTS
    ]
    assert statuses(envoy_address, port, certificates) == ours
