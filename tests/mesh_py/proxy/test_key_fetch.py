"""Fetching a key set: from whom, how much, how long, and what is refused before anybody is asked."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from hbone_py.aio.tcp import SocketOptions
from mesh_py.proxy.key_fetch import MOST_BYTES, Fetcher, FetchFailed, check, verifying
from tests.mesh_py.proxy.issuers import issuer
from tests.support.certificates import TestRoot
from tests.support.tcp_apps import TcpApp, sink

if TYPE_CHECKING:
    from pathlib import Path

KEYS = {"keys": []}  # type: ignore[var-annotated]
TEXT = '{"keys": []}'


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> TestRoot:
    return TestRoot(tmp_path_factory.mktemp("issuer"))


def fetcher(roots: Path | None = None) -> Fetcher:
    return Fetcher(verifying(None if roots is None else str(roots)), SocketOptions())


async def test_by_https_from_who_proves_to_be_it(root: TestRoot) -> None:
    async with issuer(root.issue_server("keys", "127.0.0.1")) as one:
        one.says("/jwks", KEYS)
        assert await fetcher(root.roots).fetch(f"{one.url}/jwks", 5) == TEXT
        [(method, path, headers)] = one.asked
        assert (method, path) == ("GET", "/jwks")
        assert not headers & {"authorization", "cookie", "x-forwarded-client-cert", "traceparent"}


async def test_not_from_who_does_not(root: TestRoot) -> None:
    async with issuer(root.issue_server("other", "other.test")) as one:
        one.says("/jwks", KEYS)
        for roots in (root.roots, None):  # another name, and a root that the system does not know
            with pytest.raises(FetchFailed, match="cannot be fetched"):
                await fetcher(roots).fetch(f"{one.url}/jwks", 5)
        assert one.asked == []


async def test_by_discovery() -> None:
    async with issuer(None) as one:
        one.says("/.well-known/openid-configuration", {"issuer": one.url, "jwks_uri": f"{one.url}/jwks"})
        one.says("/jwks", KEYS)
        assert await fetcher().fetch(f"{one.url}/.well-known/openid-configuration", 5) == TEXT


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"jwks_uri": 5},
        {"jwks_uri": "http://10.0.0.1/jwks"},
        {"jwks_uri": "https://169.254.169.254/latest"},
        {"jwks_uri": "file:///etc/passwd"},
    ],
)
async def test_a_discovery_that_leads_elsewhere(document: object) -> None:
    async with issuer(None) as one:
        one.says("/.well-known/openid-configuration", document)
        with pytest.raises(FetchFailed):
            await fetcher().fetch(f"{one.url}/.well-known/openid-configuration", 5)


async def test_a_redirect_is_not_followed() -> None:
    async with issuer(None) as one:
        one.answers["/jwks"] = lambda: web.Response(status=302, headers={"location": "/other"})
        one.says("/other", KEYS)
        with pytest.raises(FetchFailed, match="302"):
            await fetcher().fetch(f"{one.url}/jwks", 5)
        assert [path for _, path, _ in one.asked] == ["/jwks"]


async def test_too_long_an_answer_is_left() -> None:
    async with issuer(None) as one:
        one.answers["/jwks"] = lambda: web.Response(body=b"x" * (MOST_BYTES + 1))
        with pytest.raises(FetchFailed, match="longer"):
            await fetcher().fetch(f"{one.url}/jwks", 5)


async def test_a_server_that_says_nothing_is_left() -> None:
    async with TcpApp(sink) as silent:
        with pytest.raises(FetchFailed, match="no answer within"):
            await fetcher().fetch(f"http://{silent.authority}/jwks", 0.1)


@pytest.mark.parametrize(
    ("uri", "complaint"),
    [
        ("http://issuer.example/jwks", "https"),
        ("http://10.0.0.1/jwks", "https"),
        ("ftp://issuer.example/jwks", "no https address"),
        ("https:///jwks", "no https address"),
        ("https://user:secret@issuer.example/jwks", "no https address"),
        ("https://issuer.example:port/jwks", "no address"),
        ("https://169.254.169.254/latest", "nobody to be asked"),
        ("https://[fe80::1]/jwks", "nobody to be asked"),
        ("https://[::ffff:169.254.169.254]/", "nobody to be asked"),
        ("https://[fd00:ec2::254]/", "nobody to be asked"),
        ("https://0.0.0.0/jwks", "nobody to be asked"),
    ],
)
def test_who_is_not_asked(uri: str, complaint: str) -> None:
    with pytest.raises(FetchFailed, match=complaint):
        check(uri)


@pytest.mark.parametrize("uri", ["https://issuer.example/jwks", "http://127.0.0.1:8080/", "http://localhost/jwks"])
def test_who_is_asked(uri: str) -> None:
    check(uri)


async def test_a_name_is_judged_by_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()

    async def metadata(*_: object, **__: object) -> list[tuple[object, ...]]:
        return [(2, 1, 6, "", ("169.254.169.254", 443))]

    monkeypatch.setattr(loop, "getaddrinfo", metadata)
    with pytest.raises(FetchFailed, match="no address that is asked"):
        await fetcher().fetch("https://innocent.example/jwks", 5)
