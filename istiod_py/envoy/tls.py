"""Mutual TLS in Envoy's words: certificates by SDS, who is expected, which versions [pure].

Two kinds meet. Tunnels (HBONE) are TLS 1.3 with ALPN `h2`. Between sidecars TLS 1.2 is the least and ALPN says what
is inside, in words of Istio's own: so a server tells the mesh's TLS from an application's (hbone-controlplane 9.2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from istiod_py.envoy.extension import Json, extension
from istiod_py.envoy.names import IDENTITY_SECRET, ROOTS_SECRET

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mesh_py.manifests.client_tls import ClientTls

BY_ADS: Json = {"ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3"}
"""From where a resource comes that another one names: the same stream. Without limit: half a state serves nobody."""

UPSTREAM_TYPE = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
DOWNSTREAM_TYPE = "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"

ALPN_TUNNEL = ("h2",)
ALPN_OF_HTTP = ("istio-http/1.1", "istio", "http/1.1")
ALPN_OF_HTTP2 = ("istio-h2", "istio", "h2")
ALPN_OF_TCP = ("istio-peer-exchange", "istio")
"""What a sidecar offers. Istio's own filter puts in the word for HTTP by request; here each cluster knows its own."""

MESH_ALPN = ("istio", "istio-peer-exchange", "istio-http/1.0", "istio-http/1.1", "istio-h2")
"""By which a server knows that its peer is a sidecar."""

SERVER_ALPN_HTTP = ("h2", "http/1.1")
SERVER_ALPN_TCP = ("istio-peer-exchange", "h2", "http/1.1")

SYSTEM_ROOTS = "/etc/ssl/certs/ca-certificates.crt"
"""Where most systems keep the roots they trust; Envoy asks for a name."""

RAW: Json = extension("raw_buffer", "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer")
"""No TLS."""


def tunnel_client(trust_domains: Sequence[str]) -> Json:
    """The transport socket of a client of HBONE. Istio's checks the trust domain of the server and no more."""
    return extension("tls", UPSTREAM_TYPE, {"common_tls_context": _tunnel_context(trust_domains)})


def tunnel_server(trust_domains: Sequence[str]) -> Json:
    """The transport socket of a server of HBONE."""
    context = {"common_tls_context": _tunnel_context(trust_domains), "require_client_certificate": True}
    return extension("tls", DOWNSTREAM_TYPE, context)


def sidecar_client(
    server_name: str, alpn: Sequence[str], identities: Iterable[str], trust_domains: Sequence[str]
) -> Json:
    """The transport socket towards a sidecar, which must be one of `identities` (SPIFFE URIs).

    While nobody is known, anyone of the mesh passes: an empty list would let in whoever the roots signed for.
    """
    names = [{"exact": identity} for identity in sorted(set(identities))]
    common = _context("TLSv1_2", alpn, names or _of_trust_domains(trust_domains))
    return extension("tls", UPSTREAM_TYPE, {"common_tls_context": common, "sni": server_name})


def originated_client(tls: ClientTls, alpn: Sequence[str], service_names: Sequence[str]) -> Json:
    """The transport socket of a client that begins TLS of the application's kind, as a DestinationRule asks for it.

    Files are on Envoy's machine, which follows them when they change. `service_names` are expected where the rule
    names nobody (`subjectAltNames` of a ServiceEntry).
    """
    common: Json = {"alpn_protocols": list(alpn)} if alpn else {}
    if not tls.insecure_skip_verify:
        common["validation_context"] = _validation(tls, tls.subject_alt_names or service_names)
    if tls.client_certificate:
        chain, key = ({"filename": name} for name in (tls.client_certificate, tls.private_key))
        watched = _folder_of(tls.client_certificate)
        common["tls_certificates"] = [{"certificate_chain": chain, "private_key": key, "watched_directory": watched}]
    return extension("tls", UPSTREAM_TYPE, {"common_tls_context": common, **({"sni": tls.sni} if tls.sni else {})})


def sidecar_server(alpn: Sequence[str], trust_domains: Sequence[str]) -> Json:
    """The transport socket of a sidecar's own port: a client certificate of the mesh is required."""
    common = _context("TLSv1_2", alpn, _of_trust_domains(trust_domains))
    return extension("tls", DOWNSTREAM_TYPE, {"common_tls_context": common, "require_client_certificate": True})


def _tunnel_context(trust_domains: Sequence[str]) -> Json:
    return _context("TLSv1_3", ALPN_TUNNEL, _of_trust_domains(trust_domains))


def _of_trust_domains(trust_domains: Sequence[str]) -> list[Json]:
    return [{"prefix": f"spiffe://{trust_domain}/"} for trust_domain in trust_domains]


def _context(least_version: str, alpn: Sequence[str], names: list[Json]) -> Json:
    # An upstream context would stop at TLS 1.2 if it were not told the greatest version.
    return {
        "tls_params": {"tls_minimum_protocol_version": least_version, "tls_maximum_protocol_version": "TLSv1_3"},
        "alpn_protocols": list(alpn),
        "tls_certificate_sds_secret_configs": [_secret(IDENTITY_SECRET)],
        "combined_validation_context": {
            "default_validation_context": {
                "match_typed_subject_alt_names": [{"san_type": "URI", "matcher": name} for name in names]
            },
            "validation_context_sds_secret_config": _secret(ROOTS_SECRET),
        },
    }


def _validation(tls: ClientTls, names: Sequence[str]) -> Json:
    file = tls.ca_certificates or SYSTEM_ROOTS
    expected = names or ([tls.sni] if tls.sni else [])
    return {
        "trusted_ca": {"filename": file},
        "watched_directory": _folder_of(file),
        **({"crl": {"filename": tls.crl}} if tls.crl else {}),
        **({"match_typed_subject_alt_names": [one for name in expected for one in _any_san(name)]} if expected else {}),
    }


def _any_san(name: str) -> list[Json]:
    """A name as the kind of subject it can be."""
    kinds = ("URI",) if "://" in name else ("DNS", "IP_ADDRESS")
    return [{"san_type": kind, "matcher": {"exact": name}} for kind in kinds]


def _folder_of(file: str) -> Json:
    return {"path": file.rpartition("/")[0] or "."}


def _secret(name: str) -> Json:
    return {"name": name, "sds_config": BY_ADS}
