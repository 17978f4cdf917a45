"""Over one folder, Istio's control plane and ours tell a node proxy the same; where not, it stands here, and why.

ISTIOD_PEER names Istio's (tests/peers/README.md); without it this is skipped.
"""

from __future__ import annotations

import dataclasses
import datetime
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509

from mesh_py.xds.decode import decode_address, decode_authorization
from mesh_py.xds.types import ADDRESS, AUTHORIZATION
from tests.support.discovery import GrpcioProxy, bodies, node_of
from tests.support.istiod import Istiod, start_istiod
from tests.support.processes import loopback_address, run_tool
from tests.support.real_istiod import start_real_istiod
from tests.support.require import real_istiod
from tests.support.source_tree import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

pytestmark = pytest.mark.interop

FOLDER = ROOT / "tests" / "peers" / "istiod" / "mesh"
POD, ENTRY = "Kubernetes//Pod/", "Kubernetes/networking.istio.io/ServiceEntry/"
SVC = ".svc.cluster.local"

UDP = "ports of UDP have no place in a TCP proxy"
SIDECARS = "our own extension: node proxies of ours are told who speaks mutual TLS without HBONE"
OWN_NETWORK = "a folder may hold a mesh of several networks (decision 0011)"
WAYPOINTS = "a port of HBONE is one of HTTP/2"
OPAQUE = "what our sidecars must not look into; Istio tells its Envoys by another way"
EXPORT = "node proxies are told who may see a service"
OUTBOUND = "policies of what is outside the mesh are nobody's to enforce"
WILDCARD = "a name with a wildcard cannot be looked up, and has no address of its own"
NOBODY = "a policy that no workload lists is not told"
TWICE = "told once"
EMPTY = "an empty selector selects all of the namespace; Istio's node proxies would follow it nowhere"

DIFFERENT = {
    POD + "cars/net2 network": OWN_NETWORK,
    POD + "plain/side mutual_tls": SIDECARS,
    POD + "plain/side-hbone mutual_tls": SIDECARS,
    **{f"{POD}shop/{pod} services": UDP for pod in ("cart-1", "cart-abc-x1", "notready", "pending", "terminating")},
    ENTRY + "cars/dynamic/*.dyn.example.com": WILDCARD,
    ENTRY + "plain/shadow/7.7.9.1 authorization_policies": OUTBOUND,
    ENTRY + "shop/extdns/api.example.com authorization_policies": OUTBOUND,
    "cars/*.dyn.example.com vips": WILDCARD,
    "cars/hidden.example.com canonical": EXPORT,
    "cars/hidden.example.com visibility": EXPORT,
    f"gw/wp.gw{SVC} app_protocols": WAYPOINTS,
    f"shop/wlwp.shop{SVC} app_protocols": WAYPOINTS,
    f"shop/wp.shop{SVC} app_protocols": WAYPOINTS,
    f"shop/canon.shop{SVC} app_protocols": OPAQUE,
    f"shop/cart.shop{SVC} ports": UDP,
    "cars/converted_peer_authentication_ports rules": TWICE,
    "cars/converted_peer_authentication_unsetports": NOBODY,
    "plain/emptysel scope": EMPTY,
}


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Istiod, Istiod]]:
    """Istio's and ours, ready."""
    real_istiod()
    base = tmp_path_factory.mktemp("both")
    with (
        start_real_istiod(FOLDER, base / "theirs", loopback_address()) as theirs,
        start_istiod(FOLDER, base / "ours", loopback_address()) as ours,
    ):
        theirs.wait_ready()
        ours.wait_ready()
        yield theirs, ours


async def test_a_node_proxy_is_told_the_same(both: tuple[Istiod, Istiod]) -> None:
    theirs, ours = [await told_by(one) for one in both]
    assert len(theirs) > 70
    found = set(differences(theirs, ours))
    assert found == set(DIFFERENT), sorted(found ^ set(DIFFERENT))


async def test_istios_agent_gets_the_same_kind_of_certificate_from_both(both: tuple[Istiod, Istiod]) -> None:
    """Its own client asks, which wants more than one certificate in the answer."""
    theirs, ours = [await signed_by(one) for one in both]
    assert facts_of(theirs[0]) == facts_of(ours[0])
    for leaf, *_, root in (theirs, ours):
        assert root.issuer == root.subject
        assert leaf.not_valid_after_utc - leaf.not_valid_before_utc < datetime.timedelta(hours=1, minutes=10)


async def signed_by(istiod: Istiod) -> list[x509.Certificate]:
    """The chain that Istio's agent is given for an hour and the identity of shop/cart, leaf first."""
    token = istiod.state / "cart.token"
    token.write_text(istiod.token("shop/cart"))
    identity = "spiffe://cluster.local/ns/shop/sa/cart"
    place = (f"{istiod.address}:15012", str(istiod.roots), str(token), identity)
    done = await run_tool(str(real_istiod()), "sign", *place)
    assert done.returncode == 0, done.stderr
    return x509.load_pem_x509_certificates(done.stdout)


def facts_of(leaf: x509.Certificate) -> dict[str, object]:
    """What whoever meets it looks at: its names, and what it may be used for."""
    kinds = (x509.SubjectAlternativeName, x509.BasicConstraints, x509.KeyUsage, x509.ExtendedKeyUsage)
    found = {kind.__name__: leaf.extensions.get_extension_for_class(kind) for kind in kinds}
    return {"subject": leaf.subject, **{name: (one.critical, one.value) for name, one in found.items()}}


async def told_by(istiod: Istiod) -> dict[str, Any]:
    """Everything that a node proxy is told at first, by the names of the resources, as our node proxies read it."""
    proxy = GrpcioProxy(f"{istiod.address}:15010")
    told: dict[str, Any] = {}
    for type_url, read in ((ADDRESS, decode_address), (AUTHORIZATION, decode_authorization)):
        stream = proxy.delta(type_url)
        await stream.says(node=node_of(CLUSTER_ID="Kubernetes", NAMESPACE="istio-system"))
        told |= {name: read(body) for name, body in bodies(await stream.hears()).items()}
        stream.drop()
    await proxy.channel.close()
    return told


def differences(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> Iterator[str]:
    """`name` of what only one tells, `name field` of what both tell otherwise."""
    yield from theirs.keys() ^ ours.keys()
    for name in theirs.keys() & ours.keys():
        for field in dataclasses.fields(theirs[name]):
            if getattr(theirs[name], field.name) != getattr(ours[name], field.name):
                yield f"{name} {field.name}"
