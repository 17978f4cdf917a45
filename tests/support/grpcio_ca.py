"""A certificate authority by other hands: grpcio's server and plain `cryptography`, with nothing of ours in it.

It keeps the requests it was sent, signs as istiod does (hbone-controlplane 3.1), and can be told to misbehave.
"""

from __future__ import annotations

import contextlib
import datetime
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mesh_py.xds.proto.citadel_pb2 import IstioCertificateRequest, IstioCertificateResponse
from tests.support.rpc import grpcio_credentials, grpcio_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.certificates import CertificateFiles

METHOD = "/istio.v1.auth.IstioCertificateService/CreateCertificate"


@dataclass(frozen=True)
class Asked:
    """One request, as it came."""

    csr: x509.CertificateSigningRequest
    seconds: int
    impersonated: str | None
    metadata: dict[str, str]


class Authority:
    """A certificate and its key."""

    def __init__(self, name: str, parent: Authority | None = None) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        signer = parent or self
        now = datetime.datetime.now(datetime.UTC)
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(self.name)
            .issuer_name(signer.name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(minutes=5))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(signer.key, hashes.SHA256())
        )

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def sign(self, public_key: Any, identity: str, seconds: float) -> str:
        now = datetime.datetime.now(datetime.UTC)
        both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(self.name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(seconds=seconds / 10))
            .not_valid_after(now + datetime.timedelta(seconds=seconds))
            .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(identity)]), critical=True)
            .add_extension(x509.ExtendedKeyUsage(both), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM).decode()


@dataclass
class GrpcioCa(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpcio has no types
    """The service. What it is told to do counts from the next request on."""

    own_identity: str = "spiffe://cluster.local/ns/shop/sa/own"
    """Signed where nobody is impersonated."""
    root: Authority = field(default_factory=lambda: Authority("root"))
    intermediate: Authority | None = None
    further_roots: list[Authority] = field(default_factory=list)
    longest: float = 86_400.0
    asked: list[Asked] = field(default_factory=list)
    refusal: tuple[grpc.StatusCode, str] | None = None
    reshape: Callable[[list[str]], list[str]] | None = None
    """What the answer is instead."""
    gate: threading.Event | None = None
    """Answers wait for it."""
    at_once: int = 0
    most_at_once: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def service(self, details: Any) -> Any:
        if details.method != METHOD:
            return None
        return grpc.unary_unary_rpc_method_handler(
            self._create, IstioCertificateRequest.FromString, IstioCertificateResponse.SerializeToString
        )

    @property
    def identities(self) -> list[str | None]:
        """Whom certificates were asked for, in order."""
        return [one.impersonated for one in self.asked]

    def _create(self, request: IstioCertificateRequest, context: Any) -> IstioCertificateResponse:
        csr = x509.load_pem_x509_csr(request.csr.encode())
        impersonated = request.metadata.fields["ImpersonatedIdentity"].string_value or None
        asked = Asked(csr, request.validity_duration, impersonated, dict(context.invocation_metadata()))
        with self._lock:
            self.asked.append(asked)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if self.gate is not None:
                self.gate.wait(10)
            if self.refusal is not None:
                context.abort(*self.refusal)
            return IstioCertificateResponse(cert_chain=self._chain(asked))
        finally:
            with self._lock:
                self.at_once -= 1

    def _chain(self, asked: Asked) -> list[str]:
        signer = self.intermediate or self.root
        seconds = min(asked.seconds, self.longest)
        leaf = signer.sign(asked.csr.public_key(), asked.impersonated or self.own_identity, seconds)
        between = [self.intermediate.pem] if self.intermediate else []
        roots = "".join(one.pem for one in (self.root, *self.further_roots))
        chain = [leaf, *between, roots]
        return self.reshape(chain) if self.reshape else chain


@contextlib.contextmanager
def serving_ca(ca: GrpcioCa, address: str, files: CertificateFiles, port: int = 0) -> Iterator[int]:
    """Serve it with TLS; gives the port."""
    with grpcio_server(ca, address=address, credentials=grpcio_credentials(files), port=port) as found:
        yield found
