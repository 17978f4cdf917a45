"""Takes responses into the mesh: decoded in slices, so that nothing else waits long, and applied as one change.

Decoding is most of the work and changes nothing, so it pauses whenever it has had its time. What was decoded is then
applied between two steps of the event loop: readers see the mesh before a response or after it. Only what is larger
than an ordinary push (a first answer) is applied in parts: then workloads come before services and go after them, so
that no service is seen without its endpoints.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from mesh_py.model.workload import Service, Workload
from mesh_py.xds.aliases import Aliases
from mesh_py.xds.decode import RejectedResource, decode_address, decode_authorization
from mesh_py.xds.time_slices import in_slices
from mesh_py.xds.types import ADDRESS, AUTHORIZATION

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from mesh_py.discovery.state import MeshState
    from mesh_py.model.authorization import Policy
    from mesh_py.xds.delta import Resource, Response

    Take = Callable[[Response], Awaitable["Taken"]]

DecodedT = TypeVar("DecodedT")

log = logging.getLogger("xds")

APPLIED_AT_ONCE = 2_000
"""Changes made without a pause: some 10 ms."""


@dataclass(slots=True)
class Taken:
    """What became of one response."""

    rejected: dict[str, str] = field(default_factory=dict)
    """Reasons, by name of resource."""
    addresses: list[tuple[Resource, Workload | Service]] = field(default_factory=list)
    """The workloads and services that it brought, and how they were called."""


class Intake:
    """Feeds one mesh with responses, one at a time.

    Args:
        state: the mesh.
        others: what takes in types beside addresses and policies, by type URL.
    """

    def __init__(self, state: MeshState, others: Mapping[str, Take] | None = None) -> None:
        self._state = state
        self._aliases = Aliases()
        self._takers = {ADDRESS: self._take_addresses, AUTHORIZATION: self._take_policies, **(others or {})}

    async def take(self, response: Response) -> Taken:
        """Apply what can be used of a response. One of a type that is nobody's changes nothing."""
        taker = self._takers.get(response.type_url)
        if taker is None:
            log.warning("a response of type %.256s is not for us", response.type_url)
            return Taken()
        return await taker(response)

    async def _take_addresses(self, response: Response) -> Taken:
        taken = Taken()
        taken.addresses = await decode_each(response.resources, decode_address, taken.rejected)
        workloads = [found for _, found in taken.addresses if isinstance(found, Workload)]
        services = [found for _, found in taken.addresses if isinstance(found, Service)]
        gone = sorted(
            await self._gone(taken.addresses, response.removed), key=lambda name: name in self._state.workloads.by_uid
        )  # services first
        with self._state.batch():
            await _in_parts(self._put_workload, workloads)
            await _in_parts(self._put_service, services)
            await _in_parts(self._state.remove_address, gone)
        return taken

    async def _gone(self, brought: Iterable[tuple[Resource, Workload | Service]], removed: Iterable[str]) -> list[str]:
        """What the mesh is to forget, by own names: what was taken back, and what a name no longer stands for."""
        stands_for: dict[str, str] = {}
        replaced: list[str] = []
        async for resource, found in in_slices(brought):
            own = found.uid if isinstance(found, Workload) else str(found.key)
            if before := self._aliases.bring(resource.name, own):
                replaced.append(before)
            stands_for[resource.name] = own
        kept = set(stands_for.values()) if replaced else ()
        taken_back = filter(None, map(self._aliases.drop, removed))
        return [*(one for one in replaced if one not in kept), *taken_back]

    async def _take_policies(self, response: Response) -> Taken:
        taken = Taken()
        decoded = await decode_each(response.resources, decode_authorization, taken.rejected)
        # Never in parts: half of the policies may allow what all of them deny.
        with self._state.batch():
            for resource, policy in decoded:
                self._put_policy(resource.name, policy)
            for name in response.removed:
                self._state.remove_policy(name)
            self._state.policies_known()
        return taken

    # A resource that is sent again unchanged, as after a reconnect, is no change.

    def _put_workload(self, workload: Workload) -> None:
        if self._state.workloads.by_uid.get(workload.uid) != workload:
            self._state.upsert_workload(workload)

    def _put_service(self, service: Service) -> None:
        known = self._state.services.by_key.get(service.key)
        if known is None or known.service != service:
            self._state.upsert_service(service)

    def _put_policy(self, name: str, policy: Policy) -> None:
        # Workloads name policies by the name of the resource.
        if self._state.policies.get(name) != policy:
            self._state.upsert_policy(policy, name)


async def decode_each(
    resources: Iterable[Resource], decode: Callable[[bytes], DecodedT], rejected: dict[str, str]
) -> list[tuple[Resource, DecodedT]]:
    """Resources and what they hold, with pauses; why others hold nothing goes into `rejected`, by name."""
    decoded = []
    async for resource in in_slices(resources):
        try:
            decoded.append((resource, decode(resource.data)))
        except RejectedResource as error:
            rejected[resource.name] = str(error)
        except Exception as error:  # one resource that we trip over must not cost us all the others
            log.exception("! resource %s: unexpected error", resource.name)
            rejected[resource.name] = f"unexpected error: {error!r}"
    return decoded


async def _in_parts(change: Callable[[DecodedT], object], items: Iterable[DecodedT]) -> None:
    """Make the changes, with a pause after many."""
    remaining = iter(items)
    while part := list(islice(remaining, APPLIED_AT_ONCE)):
        for item in part:
            change(item)
        if len(part) == APPLIED_AT_ONCE:
            await asyncio.sleep(0)
