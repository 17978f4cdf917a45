"""The certificate service towards grpcio's stub: what is signed for whom, and who gets nothing."""

from __future__ import annotations

import contextlib
import datetime
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from google.protobuf.struct_pb2 import Struct

from istiod_py import ca as ca_module
from istiod_py.authority import FolderAuthority
from istiod_py.ca import CaPolicy, CaService
from istiod_py.rate import Rate
from mesh_py.identity.certificate_facts import certificates_of, chain_problem, names_of
from mesh_py.identity.signing import CaError
from mesh_py.identity.tokens import Caller
from mesh_py.xds.proto.citadel_pb2 import IstioCertificateRequest, IstioCertificateResponse
from mesh_py.xds.types import CREATE_CERTIFICATE
from tests.support.discovery import ZTUNNEL, Discovery
from tests.support.rpc import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.interop

HOUR = datetime.timedelta(hours=1)
DAY = datetime.timedelta(days=1)
CART = "spiffe://cluster.local/ns/shop/sa/cart"
KEY = ec.generate_private_key(ec.SECP256R1())
POLICY = CaPolicy("cluster.local", frozenset({"istio-system/ztunnel"}), DAY, 90 * DAY)
PLACES = {("node-a", "shop", "cart")}


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def csr(identity: str = CART, *, common_name: str = "") -> str:
    names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(identity)])
    subject = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else []
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject)).add_extension(names, True)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


@dataclass
class Citadel:
    """The service and grpcio's way to it."""

    discovery: Discovery
    authority: FolderAuthority
    call: Any

    def token(self, caller: Caller = ZTUNNEL) -> str:
        return self.discovery.tokens.mint(caller, time.time())

    async def signs(self, caller: Caller = ZTUNNEL, impersonated: str = CART, **more: Any) -> list[str]:
        return await self.answers(self.token(caller), impersonated, **more)

    async def answers(self, token: str | None, impersonated: str = "", cluster: str = "", **more: Any) -> list[str]:
        metadata = Struct()
        if impersonated:
            metadata.update({"ImpersonatedIdentity": impersonated})
        request = IstioCertificateRequest(**{"csr": csr(), "metadata": metadata, **more})
        headers = [("authorization", f"Bearer {token}")] if token is not None else []
        headers += [("clusterid", cluster)] if cluster else []
        response = await self.call(request, metadata=headers, timeout=10)
        return list(response.cert_chain)

    async def refuses(self, *arguments: Any, **more: Any) -> tuple[grpc.StatusCode, str]:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await self.signs(*arguments, **more)
        return refused.value.code(), refused.value.details() or ""

    def count(self, metric: str, *labels: str) -> float:
        return self.discovery.count(metric, *labels)


@pytest.fixture
async def citadel(address, server_files, root, tmp_path):
    async with started(address, server_files, root.roots.read_bytes(), tmp_path) as citadel:
        yield citadel


@contextlib.asynccontextmanager
async def started(
    address: str, files: Any, root: bytes, folder: Path, *, intermediate: bool = False
) -> AsyncIterator[Citadel]:
    discovery = Discovery()
    authority = FolderAuthority(folder / "ca", now, intermediate=intermediate)
    runs_on = lambda *place: place in PLACES  # noqa: E731
    service = CaService(authority, discovery.guard, POLICY, runs_on, discovery.metrics, time.monotonic)
    async with serving(address, files, service) as (_, port):
        channel = grpc.aio.secure_channel(f"{address}:{port}", grpc.ssl_channel_credentials(root))
        codec = (IstioCertificateRequest.SerializeToString, IstioCertificateResponse.FromString)
        yield Citadel(discovery, authority, channel.unary_unary(CREATE_CERTIFICATE, *codec))
        await channel.close()


def leaf_of(chain: list[str]) -> x509.Certificate:
    return x509.load_pem_x509_certificate(chain[0].encode())


async def test_a_node_proxy_gets_a_certificate_for_a_pod_of_its_node(citadel: Citadel) -> None:
    chain = await citadel.signs(validity_duration=3600)
    leaf = leaf_of(chain)
    assert names_of(leaf) == (f"URI:{CART}",)
    assert leaf.public_key() == KEY.public_key()
    assert leaf.subject.rfc4514_string() == ""
    assert chain_problem([leaf], certificates_of(chain[-1].encode())) is None
    assert abs(leaf.not_valid_after_utc - now() - HOUR) < datetime.timedelta(minutes=1)
    assert citadel.count("citadel_server_success_cert_issuance_count", "true") == 1
    assert citadel.count("citadel_server_csr_count") == 1


async def test_leaf_then_intermediates_then_all_roots(address, server_files, root, tmp_path) -> None:
    pem = root.roots.read_bytes()
    async with started(address, server_files, pem, tmp_path, intermediate=True) as citadel:
        chain = await citadel.signs()
        assert len(chain) == 3
        assert [len(certificates_of(one.encode())) for one in chain] == [1, 1, 1]
        leaf, intermediate, trusted = (certificates_of(one.encode())[0] for one in chain)
        assert chain_problem([leaf, intermediate], [trusted]) is None


async def test_both_roots_are_handed_out_while_one_replaces_the_other(citadel: Citadel, tmp_path: Path) -> None:
    other = FolderAuthority(tmp_path / "other", now)
    with (tmp_path / "ca" / "root-cert.pem").open("ab") as file:
        file.write(other.roots_pem)
    assert citadel.authority.refresh()
    chain = await citadel.signs()
    assert certificates_of(chain[-1].encode()) == [citadel.authority.signer.root, other.signer.root]


async def test_without_impersonation_the_identity_is_the_callers_own(citadel: Citadel) -> None:
    """Whatever names the request holds."""
    chain = await citadel.signs(Caller("bank", "teller"), "")
    assert names_of(leaf_of(chain)) == ("URI:spiffe://cluster.local/ns/bank/sa/teller",)
    assert citadel.count("citadel_server_success_cert_issuance_count", "false") == 1


async def test_a_common_name_in_the_request_is_answered_with_one(citadel: Citadel) -> None:
    chain = await citadel.signs(csr=csr(common_name="anything"))
    assert leaf_of(chain).subject.rfc4514_string() == f"CN={CART}"


@pytest.mark.parametrize(
    ("seconds", "lifetime"),
    [pytest.param(0, DAY, id="unsaid"), pytest.param(-1, DAY, id="negative"), pytest.param(20, None, id="20 seconds")],
)
async def test_lifetimes(citadel: Citadel, seconds: int, lifetime: datetime.timedelta | None) -> None:
    leaf = leaf_of(await citadel.signs(validity_duration=seconds))
    wanted = lifetime or datetime.timedelta(seconds=seconds)
    assert abs(leaf.not_valid_after_utc - now() - wanted) < datetime.timedelta(seconds=10)
    # Renewed at half its life, a short-lived one must not be due on arrival.
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc <= wanted * 1.1 + datetime.timedelta(seconds=1)


async def test_nobody_gets_more_than_the_longest_lifetime(citadel: Citadel) -> None:
    code, text = await citadel.refuses(validity_duration=91 * 86_400)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "max allowed TTL" in text


@pytest.mark.parametrize(
    ("caller", "identity", "reason", "text"),
    [
        pytest.param(Caller("shop", "cart", node="node-a"), CART, "account", "no node proxy's account", id="a pod"),
        pytest.param(ZTUNNEL, "spiffe://cluster.local/ns/bank/sa/x", "node", "no pod of", id="a pod of another node"),
        pytest.param(Caller("istio-system", "ztunnel"), CART, "node", "names no node", id="no node in the token"),
        pytest.param(
            Caller("istio-system", "ztunnel", node="node-b"), CART, "node", "runs on node node-b", id="another node"
        ),
        pytest.param(ZTUNNEL, "spiffe://other/ns/shop/sa/cart", "trust domain", "not of our", id="trust domain"),
        pytest.param(ZTUNNEL, "shop/cart", "malformed", "not a SPIFFE identity", id="no identity"),
        pytest.param(ZTUNNEL, CART + "x" * 2048, "malformed", "an identity of 20", id="an endless identity"),
    ],
)
async def test_who_may_not_speak_for_whom(citadel: Citadel, caplog, caller, identity, reason, text) -> None:
    code, details = await citadel.refuses(caller, identity)
    assert code is grpc.StatusCode.UNAUTHENTICATED
    assert details.startswith("request impersonation authentication failure")
    assert text in details
    assert citadel.count("citadel_server_impersonation_failure_count", reason) == 1
    assert text in caplog.text


async def test_a_node_of_another_cluster_may_not_speak_for_ours(citadel: Citadel) -> None:
    """Nodes of two clusters may have one name. For itself, a caller needs no cluster."""
    code, text = await citadel.refuses(cluster="elsewhere")
    assert (code, "set CLUSTER_ID alike" in text) == (grpc.StatusCode.UNAUTHENTICATED, True)
    assert citadel.count("citadel_server_impersonation_failure_count", "cluster") == 1
    assert await citadel.signs(cluster="Kubernetes")
    assert await citadel.answers(citadel.token(), cluster="elsewhere")


async def test_a_caller_without_a_token_gets_nothing(citadel: Citadel) -> None:
    for token in (None, "abc", Discovery().tokens.mint(ZTUNNEL, time.time())):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await citadel.answers(token, CART)
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
        assert "request authenticate failure" in refused.value.details()
    for reason in ("missing", "malformed", "foreign"):
        assert citadel.count("citadel_server_authentication_failure_count", reason) == 1


async def test_what_is_no_request_is_not_signed(citadel: Citadel) -> None:
    code, _ = await citadel.refuses(csr="nonsense")
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert citadel.count("citadel_server_csr_parsing_err_count") == 1


async def test_one_caller_cannot_keep_us_busy(citadel: Citadel, monkeypatch, address, server_files, root, tmp_path):
    monkeypatch.setattr(ca_module, "RATE", Rate(per_second=0.001, burst=2))
    async with started(address, server_files, root.roots.read_bytes(), tmp_path / "limited") as limited:
        await limited.signs()
        await limited.signs()
        assert (await limited.refuses())[0] is grpc.StatusCode.RESOURCE_EXHAUSTED
        await limited.signs(Caller("bank", "teller"), "")


async def test_an_authority_that_cannot_sign_says_so_and_is_counted(citadel: Citadel, monkeypatch, caplog) -> None:
    def cannot(*_: object, **__: object) -> None:
        raise CaError("the signer has expired")

    monkeypatch.setattr(citadel.authority, "issue", cannot)
    code, text = await citadel.refuses()
    assert (code, "the signer has expired" in text) == (grpc.StatusCode.UNAVAILABLE, True)
    assert citadel.count("citadel_server_csr_sign_err_count", "CA_NOT_READY") == 1
    assert "cannot sign" in caplog.text
