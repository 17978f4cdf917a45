"""Endpoints remembered by the client."""

from __future__ import annotations

import pytest

from mesh_py.http.messages import HttpResponse
from mesh_py.http.session import cookie, remember_endpoint, wanted_endpoint
from mesh_py.manifests.routes import SessionPersistence
from tests.mesh_py.http.routes import request

COOKIE, HEADER = SessionPersistence("s"), SessionPersistence("X-S", "Header")
LASTING = SessionPersistence("s", absolute_timeout=3600, cookie_lifetime="Permanent")


@pytest.mark.parametrize("endpoint", ["10.0.0.1:80", "[fd00::1]:80"])
def test_there_and_back(endpoint: str) -> None:
    response = HttpResponse(200)
    remember_endpoint(response, COOKIE, endpoint)
    remember_endpoint(response, HEADER, endpoint)
    set_cookie, header = response.headers.get("set-cookie"), response.headers.get("x-s")
    assert set_cookie is not None
    assert header is not None
    assert set_cookie.endswith("; Path=/; HttpOnly")
    assert wanted_endpoint(request(cookie=f"a=b; {set_cookie.split(';')[0]}"), COOKIE) == endpoint
    assert wanted_endpoint(request(x_s=header), HEADER) == endpoint


def test_a_permanent_cookie_says_how_long() -> None:
    response = HttpResponse(200)
    remember_endpoint(response, LASTING, "10.0.0.1:80", "/a")
    assert response.headers.fields == [("set-cookie", "s=MTAuMC4wLjE6ODA=; Path=/a; HttpOnly; Max-Age=3600")]


@pytest.mark.parametrize("value", ["", "s=", "s=*", "s=/////w==", "other=MTAuMC4wLjE6ODA="])
def test_nonsense_is_passed_over(value: str) -> None:
    assert wanted_endpoint(request(cookie=value), COOKIE) is None


@pytest.mark.parametrize(("name", "value"), [("a", "1"), ("b", "x=y"), ("c", "q"), ("d", None)])
def test_cookies(name: str, value: str | None) -> None:
    assert cookie(request(cookie='a=1; b=x=y;c="q"'), name) == value
