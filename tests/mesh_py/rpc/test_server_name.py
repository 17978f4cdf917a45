"""Names on certificates against the name that was dialled."""

from __future__ import annotations

import pytest
from cryptography import x509

from hbone_py.errors import PeerIdentityError
from mesh_py.rpc.server_name import matches, sni, verify_server


@pytest.mark.parametrize(
    ("pattern", "name", "is_match"),
    [
        ("istiod.istio-system.svc", "istiod.istio-system.svc", True),
        ("ISTIOD.istio-system.svc", "istiod.ISTIO-system.svc", True),
        ("istiod.istio-system.svc.", "istiod.istio-system.svc", True),
        ("istiod.istio-system.svc", "istiod.istio-system", False),
        ("*.istio-system.svc", "istiod.istio-system.svc", True),
        ("*.istio-system.svc", "a.istiod.istio-system.svc", False),
        ("*.istio-system.svc", "istio-system.svc", False),
        ("*.svc", "istiod.svc", False),
        ("*", "istiod", False),
        ("istio*.istio-system.svc", "istiod.istio-system.svc", False),
        ("istiod.*.svc", "istiod.istio-system.svc", False),
    ],
)
def test_one_pattern(pattern, name, is_match):
    assert matches(pattern, name) is is_match


@pytest.mark.parametrize(
    ("hosts", "accepted", "is_fine"),
    [
        (("istiod.example",), ("istiod.example",), True),
        (("istiod.example",), ("other.example", "istiod.example"), True),
        (("istiod.example",), ("other.example",), False),
        (("10.0.0.1",), ("10.0.0.1",), True),
        (("fd00::1",), ("fd00:0::1",), True),
        (("10.0.0.1",), ("10.0.0.2",), False),
        ((), ("localhost",), False),
    ],
)
def test_one_certificate(root, hosts, accepted, is_fine):
    files = root.issue_server("named", *hosts, common_name=accepted[0])
    leaf = x509.load_pem_x509_certificate(files.chain.read_bytes())
    if is_fine:
        verify_server(leaf, accepted)
    else:
        with pytest.raises(PeerIdentityError, match="the server's certificate is not for"):
            verify_server(leaf, accepted)


def test_a_workloads_certificate_is_no_servers(root):
    leaf = x509.load_pem_x509_certificate(root.issue("httpbin", "default/httpbin").chain.read_bytes())
    with pytest.raises(PeerIdentityError, match="it names spiffe://"):
        verify_server(leaf, ["httpbin.default.svc"])


@pytest.mark.parametrize(
    ("host", "sent"), [("istiod.example", "istiod.example"), ("istiod.", "istiod"), ("10.0.0.1", ""), ("::1", "")]
)
def test_an_address_is_never_sent_as_a_name(host, sent):
    assert sni(host) == sent
