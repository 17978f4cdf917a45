"""The control plane's settings, as texts become an endpoint."""

from __future__ import annotations

import pytest

from mesh_py.rpc.bearer import BearerToken
from mesh_py.rpc.endpoint import Address, Endpoint
from mesh_py.rpc.roots import DEFAULT, Roots
from mesh_py.settings.control_plane import AUTH_TOKEN, CA, XDS, endpoint
from mesh_py.settings.setting import SettingsTable
from mesh_py.settings.source import SettingsError, Values, from_environment

TABLE = SettingsTable({"Control plane": (AUTH_TOKEN, *XDS.all, *CA.all)})


def told(which, **environ: str) -> Endpoint | None:
    return endpoint(which, Values([from_environment(TABLE, environ)]), environ, "Kubernetes")


def test_without_an_address_there_is_none():
    assert told(XDS) is None
    assert told(CA, CA_ADDRESS="", XDS_ADDRESS="istiod:15012") is None


def test_everything_that_can_be_said():
    environ = {
        "CA_ADDRESS": "https://istiod.istio-system.svc:15012",
        "CA_ROOT_CA": "SYSTEM",
        "ALT_CA_HOSTNAME": "istiod.example",
        "AUTH_TOKEN": "eyJ.x.y",
        "CA_HEADER_X-Tenant": "blue",
        "XDS_HEADER_X-Other": "red",
    }
    assert told(CA, **environ) == Endpoint(
        Address("istiod.istio-system.svc", 15012),
        Roots("SYSTEM", "CA_ROOT_CA"),
        "istiod.example",
        BearerToken("eyJ.x.y"),
        "Kubernetes",
        {"x-tenant": "blue"},
    )


def test_what_is_not_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    expected = Endpoint(Address("istiod", 15012), Roots(DEFAULT, "XDS_ROOT_CA"), cluster_id="Kubernetes")
    assert told(XDS, XDS_ADDRESS="istiod:15012") == expected
    token = tmp_path / "var/run/secrets/tokens/istio-token"
    token.parent.mkdir(parents=True)
    token.write_text("projected")
    found = told(XDS, XDS_ADDRESS="istiod:15012")
    assert found is not None
    assert found.metadata() == {"authorization": "Bearer projected", "clusterid": "Kubernetes"}


@pytest.mark.parametrize(
    ("environ", "text"),
    [
        (
            {"XDS_ADDRESS": "http://istiod:15010"},
            "XDS_ADDRESS: would send the token in the clear: http:// is for loopback addresses, use https://",
        ),
        (
            {"XDS_ADDRESS": "istiod/x"},
            "XDS_ADDRESS: 'istiod/x' is not host:port, such as istiod.istio-system.svc:15012",
        ),
        (
            {"XDS_ADDRESS": "istiod:15012", "XDS_HEADER_a b": "c"},
            "XDS_HEADER_a b: 'a b' is no name for a header: letters, digits, '-', '_' and '.'",
        ),
    ],
)
def test_what_cannot_be_used(environ, text):
    with pytest.raises(SettingsError) as caught:
        told(XDS, **environ)
    assert str(caught.value) == text


def test_a_token_is_never_shown():
    assert AUTH_TOKEN.kind.write("eyJ.x.y") == "(not shown)"
    assert AUTH_TOKEN.kind.write("/var/run/token") == "/var/run/token"
