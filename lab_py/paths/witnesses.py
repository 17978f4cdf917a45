"""Sending the requests of a path, and asking everybody who can tell what became of them."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING

from lab_py.paths.evidence import Seen, Sent, find_line
from lab_py.paths.judge import who_served
from lab_py.paths.world import SOCKS_PORT, STATS_PORT
from lab_py.redirect.names import HBONE_PORT
from mesh_py.identity.layout import identity_folder
from mesh_py.process.http_probe import AskFailed, ask_by_socks, get
from mesh_py.process.tls_witness import refuses_strangers, shown_identity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab_py.paths.plan import Path
    from lab_py.paths.world import Pod, World, WorldFiles
    from mesh_py.process.heard import Heard, Line

LEAST_REQUESTS, MOST_REQUESTS = 20, 100
"""By weight: until each version has served, but not for ever."""
FORCED_REQUESTS = 3
_LINES_SECONDS, _AFTER_FAILURE_SECONDS = 5.0, 0.5
"""How long the log lines may take after the answer. After a failure those that lack will not come."""


async def travel(path: Path, world: World, files: WorldFiles, heard: Heard) -> Seen:
    """Send the requests of a path, and gather what was seen."""
    token = secrets.token_hex(8)
    seen = Seen([await _send(path, Sent(f"{token}-0"))])
    if len(path.servers) > 1 and seen.first.status == 200:
        await _send_by_weight(path, token, seen)
        forced = path.servers[-1].name.rpartition("-")[2]
        for number in range(FORCED_REQUESTS):
            seen.sent.append(await _send(path, Sent(f"{token}-{forced}-{number}", forced)))
    await _ask_applications(world, token, seen)
    seconds = _LINES_SECONDS if seen.first.status == 200 else _AFTER_FAILURE_SECONDS
    await heard.until(lambda lines: _has_all(path, seen, lines), seconds)
    seen.lines = tuple(heard.lines)
    await _ask_proxies(path, files, seen)  # who has logged has counted
    return seen


async def _send(path: Path, one: Sent) -> Sent:
    headers = {"x-version": one.version} if one.version else {}
    try:
        answer = await ask_by_socks(
            (path.client.ip, SOCKS_PORT), path.authority, f"{path.question}?token={one.token}", headers
        )
        one.status, one.body = answer
    except AskFailed as error:
        one.body = str(error)
    return one


async def _send_by_weight(path: Path, token: str, seen: Seen) -> None:
    while len(seen.sent) < MOST_REQUESTS:
        if len(seen.sent) >= LEAST_REQUESTS and _all_have_served(path.servers, seen):
            return
        seen.sent.append(await _send(path, Sent(f"{token}-{len(seen.sent)}")))


def _all_have_served(servers: Sequence[Pod], seen: Seen) -> bool:
    return all(any(pod.name in one.body for one in seen.sent) for pod in servers)


async def _ask_applications(world: World, token: str, seen: Seen) -> None:
    for pod in world.servers:
        try:
            record = await get(*pod.application, f"/record?token={token}")
            seen.calls[pod.label] = json.loads(record.body)
        except (AskFailed, ValueError):
            seen.calls[pod.label] = []


async def _ask_proxies(path: Path, files: WorldFiles, seen: Seen) -> None:
    own = identity_folder(files.certificates, path.client.identity)
    seen.metrics[path.client.proxy] = await _metrics(path.client)
    for pod in (*path.servers, *([path.waypoint] if path.waypoint else [])):
        seen.metrics[pod.proxy] = await _metrics(pod)
        identity = await shown_identity(pod.ip, HBONE_PORT, own)
        seen.shown[pod.proxy] = identity, await refuses_strangers(pod.ip, HBONE_PORT, own)


async def _metrics(pod: Pod) -> str:
    try:
        return (await get(pod.ip, STATS_PORT, "/metrics")).body
    except AskFailed:
        return ""


def _has_all(path: Path, seen: Seen, lines: Sequence[Line]) -> bool:
    """Whether the hops of the first request are logged, and every request where requests are."""
    hops = [hop for hop in path.hops(who_served(path, seen)) if hop.receiver]
    tokens = [one.token for one in seen.sent if one.status]
    return all(
        find_line(lines, hop, token) for hop in hops for token in (tokens if not hop.wanted else [seen.first.token])
    )
