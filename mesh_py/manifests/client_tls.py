"""`tls` of a DestinationRule's policy: the TLS that a host's clients begin, and whom they accept [pure]."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum


class TlsMode(Enum):
    """`tls.mode`."""

    DISABLE = "DISABLE"
    SIMPLE = "SIMPLE"
    MUTUAL = "MUTUAL"
    ISTIO_MUTUAL = "ISTIO_MUTUAL"


@dataclass(frozen=True, slots=True)
class ClientTls:
    """How a host is spoken to. Files are on the proxy's own machine."""

    mode: TlsMode
    ca_certificates: str = ""
    """A file of roots; empty: those of the system."""
    client_certificate: str = ""
    """A file with the chain that MUTUAL shows."""
    private_key: str = ""
    credential_name: str = ""
    """A Secret that has all three, in place of files: read where it is mounted (`mounted`)."""
    is_withheld: bool = False
    """The Secret is not one that the rule may name for this client: nothing goes to the host."""
    sni: str = ""
    """The server name that is asked for; empty: the host of each request, none for plain bytes."""
    subject_alt_names: tuple[str, ...] = ()
    """Names of which the server's certificate must have one; empty: the server name."""
    insecure_skip_verify: bool = False
    """Anybody is accepted."""
    crl: str = ""
    """A file of certificates that were revoked."""

    @property
    def is_originated(self) -> bool:
        """Whether the proxy begins TLS of the application's kind."""
        return self.mode in (TlsMode.SIMPLE, TlsMode.MUTUAL)

    @property
    def withheld(self) -> ClientTls:
        """For a client whose Secrets the rule may not name."""
        return replace(self, is_withheld=True) if self.credential_name else self

    def mounted(self, folder: str) -> ClientTls:
        """With the files of its Secret, which `folder` has in a folder of its name, as Kubernetes mounts one."""
        if not self.credential_name:
            return self
        own = f"{folder}/{self.credential_name}"
        shown = (f"{own}/tls.crt", f"{own}/tls.key") if self.mode is TlsMode.MUTUAL else ("", "")
        return replace(
            self,
            credential_name="",
            ca_certificates=f"{own}/ca.crt",
            client_certificate=shown[0],
            private_key=shown[1],
        )


def valid_client_tls(mode: TlsMode, **fields: object) -> ClientTls:
    """The settings as they are written. Raises ValueError (what, advice) where they contradict each other, as Istio's
    own validation does."""
    tls = ClientTls(mode, **fields)  # type: ignore[arg-type]
    has_files = bool(tls.client_certificate or tls.private_key or tls.ca_certificates)
    if tls.credential_name and has_files:
        raise ValueError("a credentialName and files contradict each other", "keep one of the two")
    if mode is TlsMode.ISTIO_MUTUAL and (has_files or tls.credential_name):
        raise ValueError("ISTIO_MUTUAL has the mesh's own certificates", "remove the files, or write MUTUAL")
    if mode is TlsMode.MUTUAL and not tls.credential_name and not (tls.client_certificate and tls.private_key):
        advice = "name clientCertificate and privateKey, or a credentialName"
        raise ValueError("MUTUAL without a certificate of the client's", advice)
    return tls
