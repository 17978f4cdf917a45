"""One fetch of a JWKS: bounded in time and size, verified, and careful whom it asks.

The address comes from whoever may write a RequestAuthentication, and the proxy stands inside the mesh (SSRF). So
nothing of ours goes out with the request, redirects are not followed, cleartext is for loopback alone, link-local
addresses (a cloud's metadata) are never asked, and what comes back is used as keys or thrown away: no error repeats it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector, ThreadedResolver

from mesh_py.http.jwt_auth import DISCOVERY

if TYPE_CHECKING:
    import socket

    from aiohttp.abc import ResolveResult

    from hbone_py.aio.tcp import SocketOptions

MOST_BYTES = 256 * 1024
"""Of one answer: some hundred keys with their certificates."""
_CHUNK = 16 * 1024
_OK = 200


class FetchFailed(Exception):
    """There are no keys to be had now; the text says why, in one line."""


class Fetcher:
    """Asks for key sets. `context` verifies who answers."""

    def __init__(self, context: ssl.SSLContext, options: SocketOptions) -> None:
        self._context, self._options = context, options

    async def fetch(self, uri: str, seconds: float) -> str:
        """The text of a JWKS. Of an issuer's discovery document: of the set that it names.

        Raises FetchFailed.
        """
        try:
            async with asyncio.timeout(seconds):
                text = await self._get(uri)
                return await self._get(_named_by(text)) if uri.endswith(DISCOVERY) else text
        except TimeoutError:
            raise FetchFailed(f"no answer within {seconds:g} s") from None
        except (ClientError, OSError, ssl.SSLError) as error:
            raise FetchFailed(f"cannot be fetched: {error}") from None

    async def _get(self, uri: str) -> str:
        url = check(uri)
        connector = TCPConnector(
            ssl=self._context,
            resolver=_Resolver(only_loopback=url.scheme == "http"),
            socket_factory=self._socket,
            force_close=True,
        )
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        async with (
            ClientSession(
                connector=connector,
                timeout=ClientTimeout(total=None),
                cookie_jar=DummyCookieJar(),
                auto_decompress=False,
            ) as session,
            session.get(uri, headers=headers, allow_redirects=False) as response,
        ):
            if response.status != _OK:
                raise FetchFailed(f"the answer is {response.status}, not {_OK}")
            body = bytearray()
            async for chunk in response.content.iter_chunked(_CHUNK):
                body += chunk
                if len(body) > MOST_BYTES:
                    raise FetchFailed(f"the answer is longer than {MOST_BYTES} bytes")
            return _text(bytes(body))

    def _socket(self, info: Any) -> socket.socket:
        """As our other connections, so that redirection leaves it alone."""
        family, kind = info[0], info[1]
        sock = self._options.new_socket(family, kind)
        sock.setblocking(False)
        self._options.apply(sock, keepalive=False)
        return sock


def verifying(root_ca: str | None) -> ssl.SSLContext:
    """By a file of roots, or the system's. Raises OSError, ssl.SSLError."""
    return ssl.create_default_context(cafile=root_ca)


def check(uri: str) -> SplitResult:
    """Whether it may be asked for at all. Raises FetchFailed."""
    try:
        url = urlsplit(uri)
        host, _ = url.hostname or "", url.port
    except ValueError:
        raise FetchFailed("it is no address") from None
    if url.scheme not in ("https", "http") or not host or url.username is not None:
        raise FetchFailed("it is no https address")
    ip = _ip(host)
    if url.scheme == "http" and host != "localhost" and not (ip is not None and ip.is_loopback):
        raise FetchFailed("keys are fetched by https, or by http from loopback")
    if ip is not None and not _may_be_asked(ip):
        raise FetchFailed(f"{host} is nobody to be asked")
    return url


class _Resolver(ThreadedResolver):
    """Looks names up in a thread, and leaves out who is not to be asked."""

    def __init__(self, *, only_loopback: bool) -> None:
        super().__init__()
        self._only_loopback = only_loopback

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[ResolveResult]:
        found = [one for one in await super().resolve(host, port, family) if self._is_fine(_ip(one["host"]))]
        if not found:
            raise FetchFailed(f"{host} has no address that is asked")
        return found

    def _is_fine(self, ip: _Ip | None) -> bool:
        return ip is not None and _may_be_asked(ip) and (ip.is_loopback or not self._only_loopback)


_Ip = ipaddress.IPv4Address | ipaddress.IPv6Address


def _ip(text: str) -> _Ip | None:
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None


def _may_be_asked(ip: _Ip) -> bool:
    mapped = getattr(ip, "ipv4_mapped", None) or ip
    return not (mapped.is_link_local or mapped.is_multicast or mapped.is_unspecified or ip in _CLOUD_METADATA)


_CLOUD_METADATA = ipaddress.ip_network("fd00:ec2::/32")


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise FetchFailed("the answer is no text") from None


def _named_by(text: str) -> str:
    """The set that a discovery document names (OpenID Connect Discovery 3)."""
    try:
        found = json.loads(text)["jwks_uri"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise FetchFailed("the discovery document names no jwks_uri") from None
    if not isinstance(found, str) or found.endswith(DISCOVERY):
        raise FetchFailed("the discovery document names no jwks_uri")
    return found
