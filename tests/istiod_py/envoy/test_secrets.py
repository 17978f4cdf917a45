"""Secrets in Envoy's words. That they are used is shown by every handshake of test_joining.py."""

from __future__ import annotations

from istiod_py.envoy.protobuf import pack
from istiod_py.envoy.secrets import identity_secret, roots_secret
from mesh_py.xds import types


def test_a_certificate_its_key_and_the_roots() -> None:
    identity, roots = identity_secret("chain", "key"), roots_secret("roots")
    assert identity["tls_certificate"]["private_key"] == {"inline_string": "key"}
    assert roots["validation_context"] == {"trusted_ca": {"inline_string": "roots"}}
    assert [pack(types.SECRET, one["name"], one).name for one in (identity, roots)] == ["default", "ROOTCA"]
