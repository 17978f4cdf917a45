"""Addresses, headers and metadata as the environment says them."""

from __future__ import annotations

import pytest

from mesh_py.rpc.bearer import BearerToken
from mesh_py.rpc.endpoint import Address, Endpoint, header_settings
from mesh_py.rpc.errors import EndpointError, TokenError
from mesh_py.rpc.roots import Roots


@pytest.mark.parametrize(
    ("text", "address", "shown"),
    [
        ("istiod.istio-system.svc:15012", Address("istiod.istio-system.svc", 15012), "istiod.istio-system.svc:15012"),
        ("https://istiod:15012", Address("istiod", 15012), "istiod:15012"),
        ("https://istiod:15012/", Address("istiod", 15012), "istiod:15012"),
        ("  istiod:15012\n", Address("istiod", 15012), "istiod:15012"),
        ("https://istiod", Address("istiod", 443), "istiod:443"),
        ("127.1.2.3:15012", Address("127.1.2.3", 15012), "127.1.2.3:15012"),
        ("[fd00::1]:15012", Address("fd00::1", 15012), "[fd00::1]:15012"),
        ("http://localhost:15010", Address("localhost", 15010, is_plaintext=True), "localhost:15010"),
        ("http://127.1.2.3:15010", Address("127.1.2.3", 15010, is_plaintext=True), "127.1.2.3:15010"),
        ("http://[::1]:15010", Address("::1", 15010, is_plaintext=True), "[::1]:15010"),
    ],
)
def test_an_address(text, address, shown):
    assert Address.parse(text) == address
    assert str(address) == shown


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is not host:port, such as istiod.istio-system.svc:15012"),
        (":15012", "is not host:port, such as"),
        ("istiod:0", "is not host:port, such as"),
        ("istiod:15012/path", "is not host:port, such as"),
        ("https://user@istiod:15012", "is not host:port, such as"),
        ("istiod:99999", "is not host:port ("),
        ("istiod:many", "is not host:port ("),
        ("grpc://istiod:15012", "has the scheme grpc: https:// is meant"),
        ("http://istiod:15010", "would send the token in the clear"),
        ("http://10.0.0.1:15010", "would send the token in the clear"),
    ],
)
def test_what_is_no_address(text, problem):
    with pytest.raises(EndpointError) as caught:
        Address.parse(text)
    assert str(caught.value).startswith(problem)


def test_headers_come_from_variables():
    environ = {"XDS_HEADER_X-Tenant": "blue", "XDS_HEADER_Other": " red ", "CA_HEADER_x": "no", "XDS_HEADER_y": " "}
    assert header_settings("XDS_HEADER_", environ) == {"x-tenant": "blue", "other": "red"}


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("XDS_HEADER_a b", "v", "XDS_HEADER_a b: 'a b' is no name for a header"),
        ("XDS_HEADER_:path", "v", "XDS_HEADER_:path: ':path' is no name for a header"),
        ("XDS_HEADER_x-bin", "v", "XDS_HEADER_x-bin: 'x-bin' is no name for a header"),
        ("XDS_HEADER_", "v", "XDS_HEADER_: '' is no name for a header"),
        ("XDS_HEADER_Te", "v", "XDS_HEADER_Te: the header 'te' belongs to gRPC itself"),
        ("XDS_HEADER_grpc-timeout", "v", "XDS_HEADER_grpc-timeout: the header 'grpc-timeout' belongs to gRPC"),
        ("XDS_HEADER_a", "one\ntwo", "XDS_HEADER_a: the value holds what a header cannot carry"),
        ("XDS_HEADER_a", "ä", "XDS_HEADER_a: the value holds what a header cannot carry"),
    ],
)
def test_what_cannot_be_a_header(name, value, problem):
    with pytest.raises(EndpointError) as caught:
        header_settings("XDS_HEADER_", {name: value})
    assert str(caught.value).startswith(problem)


def test_metadata_shows_token_and_cluster_together():
    endpoint = Endpoint(Address("istiod", 15012), Roots(), token=BearerToken("secret"), cluster_id="Kubernetes")
    assert endpoint.metadata() == {"authorization": "Bearer secret", "clusterid": "Kubernetes"}
    endpoint = Endpoint(Address("istiod", 15012), Roots(), cluster_id="Kubernetes", headers={"x": "y"})
    assert endpoint.metadata() == {"x": "y"}


def test_no_token_is_no_call():
    with pytest.raises(TokenError, match="AUTH_TOKEN: the token is empty"):
        Endpoint(Address("istiod", 15012), Roots(), token=BearerToken(" \n")).metadata()


def test_a_server_may_have_another_name():
    assert Endpoint(Address("istiod", 15012), Roots()).accepted_names == ("istiod",)
    assert Endpoint(Address("istiod", 15012), Roots(), alternative_host="other").accepted_names == ("istiod", "other")


def test_secrets_are_not_shown():
    assert "eyJ" not in repr(Endpoint(Address("istiod", 15012), Roots(), token=BearerToken("eyJ.x.y")))
