"""SDS: the certificate of a proxy's identity, and whom it trusts [pure].

Istio's proxies have an agent beside them that makes the key. A plain Envoy has none, so the key comes over its
authenticated stream to the control plane; it never touches a disk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from istiod_py.envoy.names import IDENTITY_SECRET, ROOTS_SECRET

if TYPE_CHECKING:
    from istiod_py.envoy.extension import Json


def identity_secret(chain_pem: str, key_pem: str) -> Json:
    """The certificate chain, leaf first, and its private key."""
    return {
        "name": IDENTITY_SECRET,
        "tls_certificate": {
            "certificate_chain": {"inline_string": chain_pem},
            "private_key": {"inline_string": key_pem},
        },
    }


def roots_secret(roots_pem: str) -> Json:
    """The roots of the mesh, any number of them."""
    return {"name": ROOTS_SECRET, "validation_context": {"trusted_ca": {"inline_string": roots_pem}}}
