"""Taking in what is said of one proxy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesh_py.manifests.mesh_config import MeshConfig
from mesh_py.manifests.proxy_config import ProxyConfig
from mesh_py.xds.decode import RejectedResource
from mesh_py.xds.delta import Resource, Response
from mesh_py.xds.encode import wire
from mesh_py.xds.proxy_config import encode_proxy_config
from mesh_py.xds.proxy_config_intake import ProxyConfigIntake
from mesh_py.xds.types import PROXY_CONFIG

if TYPE_CHECKING:
    from mesh_py.xds.intake import Taken


class Proxy:
    """An intake and what it has told."""

    def __init__(self) -> None:
        self.told: list[ProxyConfig | None] = []
        self.refuses = False
        self.intake = ProxyConfigIntake(self._changed)

    def _changed(self, config: ProxyConfig | None) -> None:
        if self.refuses:
            raise RejectedResource("no room for it")
        self.told.append(config)

    async def hears(self, *configs: ProxyConfig | bytes, removed: tuple[str, ...] = ()) -> Taken:
        """One response."""
        data = [one if isinstance(one, bytes) else wire(encode_proxy_config(one)) for one in configs]
        return await self.intake.take(
            Response(PROXY_CONFIG, "n1", [Resource("shop/web-1", one) for one in data], removed)
        )


def config(trust_domain: str) -> ProxyConfig:
    return ProxyConfig("shop/web-1", MeshConfig(trust_domain=trust_domain))


async def test_a_configuration_is_told_when_it_is_another() -> None:
    proxy = Proxy()
    assert (await proxy.hears(config("a"))).rejected == {}
    await proxy.hears(config("a"))
    await proxy.hears(config("b"))
    assert proxy.told == [config("a"), config("b")]
    assert proxy.intake.config == config("b")


async def test_a_proxy_that_is_known_no_more_is_told_once() -> None:
    proxy = Proxy()
    await proxy.hears(config("a"))
    await proxy.hears(removed=("shop/other",))
    await proxy.hears(removed=("shop/web-1",))
    await proxy.hears(removed=("shop/web-1",))
    assert proxy.told == [config("a"), None]


async def test_nobody_hears_of_a_removal_who_has_nothing() -> None:
    proxy = Proxy()
    await proxy.hears(removed=("shop/web-1",))
    assert proxy.told == []


async def test_what_cannot_be_read_is_rejected_and_the_last_one_stays() -> None:
    proxy = Proxy()
    await proxy.hears(config("a"))
    taken = await proxy.hears(b"\xff")
    assert "not a ProxyConfig" in taken.rejected["shop/web-1"]
    assert proxy.intake.config == config("a")


async def test_what_cannot_be_carried_out_is_rejected_and_the_last_one_stays() -> None:
    proxy = Proxy()
    await proxy.hears(config("a"))
    proxy.refuses = True
    assert (await proxy.hears(config("b"))).rejected == {"shop/web-1": "no room for it"}
    assert proxy.intake.config == config("a")
    proxy.refuses = False
    await proxy.hears(config("b"))
    assert proxy.told == [config("a"), config("b")]
