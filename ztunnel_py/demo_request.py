"""The demo's request by SOCKS5, and what it asks a node's admin port afterwards."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mesh_py.process.http_probe import Answer, AskFailed, ask_by_socks, get
from ztunnel_py.config import Ports
from ztunnel_py.world import HOSTNAME, SERVICE_PORT

if TYPE_CHECKING:
    from ztunnel_py.world import World


async def request_by_socks(world: World, path: str, headers: dict[str, str]) -> Answer:
    """GET from the service by its name, through node-a's SOCKS5 listener. Raises AskFailed."""
    return await ask_by_socks((world.node_a.address, Ports().socks5), f"{HOSTNAME}:{SERVICE_PORT}", path, headers)


async def config_dump(host: str) -> dict[str, Any]:
    """What a node's admin port tells. Raises AskFailed."""
    answer = await get(host, Ports().admin, "/config_dump")
    try:
        dump: dict[str, Any] = json.loads(answer.body)
    except ValueError:
        raise AskFailed(f"{host}: its config dump is no JSON") from None
    return dump
