"""External authorizers: asked over HTTP, through the mesh, before a request may pass."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from hbone_py.errors import HboneError
from mesh_py.http.authorizer import MOST_BODY_BYTES, Provider, check_request, decide, unavailable
from mesh_py.http.balancing import NO_WISH
from mesh_py.http.errors import AuthorizerDenied, HttpError, NoHealthyEndpoint
from mesh_py.manifests.references import BackendReference
from mesh_py.proxy.backends import ServiceBackend

if TYPE_CHECKING:
    from mesh_py.exchange.upstream import Call
    from mesh_py.http.authorizer import Decision
    from mesh_py.http.messages import HttpRequest
    from mesh_py.proxy.cluster import Cluster
    from mesh_py.proxy.clusters import Clusters
    from mesh_py.proxy.context import AnyContext

log = logging.getLogger("policy")


class Authorizers:
    """Asks those that the mesh file names."""

    def __init__(self, context: AnyContext, clusters: Clusters) -> None:
        self._context, self._clusters = context, clusters

    async def ask(self, name: str, request: HttpRequest) -> tuple[Provider, Decision]:
        """What an authorizer says. Raises AuthorizerDenied where nobody is known by that name."""
        providers = self._context.directory.further.chain.providers
        provider = next((one for one in providers if one.name == name), None)
        if provider is None:
            raise AuthorizerDenied(f"there is no asking the authorizer {name}: extensionProviders does not have it")
        return provider, await self.ask_provider(provider, request)

    async def ask_provider(self, provider: Provider, request: HttpRequest) -> Decision:
        """Its answer, or what is said in its place where none comes in time."""
        try:
            async with asyncio.timeout(provider.timeout):
                return await self._ask(provider, request)
        except (HboneError, TimeoutError) as error:
            why = str(error) or "no answer in time"
            log.warning("authorizer %s: %s", provider.name, why)
            return unavailable(provider)

    async def _ask(self, provider: Provider, request: HttpRequest) -> Decision:
        cluster = self._cluster(provider)
        backend = ServiceBackend(self._context, cluster, NO_WISH, http2=False)
        target = backend.choose(frozenset())
        backend.begun(target)
        status: int | None = None
        try:
            connection = await backend.lease(target)
            call = connection.open(check_request(request, provider), ended=True)
            try:
                response = await call.response()
                status = response.status
                return decide(response, await _short_body(call), provider)
            finally:
                call.release()
        finally:
            backend.ended(target, status)

    def _cluster(self, provider: Provider) -> Cluster:
        context = self._context
        host = provider.service.rpartition("/")[2]  # Istio allows namespace/host
        reference = BackendReference(host, kind="Hostname")
        record = context.directory.backend(context.workload, reference)
        if record is None or provider.port not in record.service.ports:
            raise NoHealthyEndpoint(f"the mesh knows no service {provider.service}:{provider.port}")
        return self._clusters.of(context.workload, record, provider.port)


async def _short_body(call: Call) -> bytes:
    """The beginning of a body; the rest is not waited for."""
    found = b""
    if not call.has_answer_body:
        return found
    with contextlib.suppress(HttpError):
        while len(found) < MOST_BODY_BYTES and (data := await call.body.read()):
            found += data
    return found[:MOST_BODY_BYTES]
