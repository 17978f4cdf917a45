"""An issuer of tokens: an HTTPS server of aiohttp's, which answers as a test says and counts who asks."""

from __future__ import annotations

import contextlib
import json
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.support.certificates import CertificateFiles


@dataclass
class Issuer:
    """What it answers, by path; `asked` are the requests so far, each as method, path and header names."""

    url: str = ""
    answers: dict[str, Callable[[], web.StreamResponse]] = field(default_factory=dict)
    asked: list[tuple[str, str, set[str]]] = field(default_factory=list)

    def says(self, path: str, document: Any, status: int = 200) -> None:
        """JSON from now on."""
        self.answers[path] = lambda: web.Response(status=status, text=json.dumps(document))

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.method, request.path, {name.lower() for name in request.headers}))
        answer = self.answers.get(request.path)
        return web.Response(status=404) if answer is None else answer()


@contextlib.asynccontextmanager
async def issuer(certificate: CertificateFiles | None) -> AsyncIterator[Issuer]:
    """Serve on loopback, by TLS where there is a certificate."""
    one = Issuer()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", one.handle)
    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.chain, certificate.key)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    host, port = runner.addresses[0][:2]
    one.url = f"{'http' if context is None else 'https'}://{host}:{port}"
    try:
        yield one
    finally:
        await runner.cleanup()
