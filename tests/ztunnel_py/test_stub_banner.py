"""What is said at the start: who stands where, and lines that can be copied."""

from __future__ import annotations

from mesh_py.discovery.stub_places import Place, Trial
from tests.support.world import ip
from ztunnel_py.config import from_env
from ztunnel_py.stub_banner import banner

SETTINGS = from_env(
    {"LOCAL_XDS": "{}", "STUB_BACKENDS": "true", "HOME": "/nonexistent", "SOCKS5_SOURCE_WORKLOAD": "shop/web"}
)
PLACES = [
    Place("1", "shop", "cart", (ip("127.1.0.1"), ip("127.1.0.2")), (80, 8080)),
    Place("2", "shop", "web", (ip("127.1.0.3"),), ()),
]
ORIGINALS = {"127.1.0.1": "/10.1.0.1", "127.1.0.2": "net2/10.1.0.2", "127.1.0.3": "/fd00::3"}


def test_the_whole_of_it() -> None:
    assert (
        "\n".join(banner(PLACES, ORIGINALS, Trial("shop/web", "cart.shop", 80), SETTINGS))
        == """
2 workloads stand on loopback, their applications are stand-ins, their certificates throw-away

  workload   in the mesh    here       ports
  shop/cart  10.1.0.1       127.1.0.1  80,8080
  shop/cart  net2/10.1.0.2  127.1.0.2  80,8080
  shop/web   fd00::3        127.1.0.3  -

Try, as shop/web:
  curl --socks5-hostname 127.0.0.1:15080 http://cart.shop:80/
  dig @127.0.0.1 -p 15053 cart.shop +short
As shop/cart, or whoever has the address:
  curl --socks5-hostname 127.0.0.1:15080 --interface 127.1.0.1 http://cart.shop:80/
"""
    )


def test_a_large_mesh_is_cut_short() -> None:
    many = [Place(str(i), "shop", f"w{i}", (ip(f"127.1.{i // 250}.{i % 250}"),), ()) for i in range(500)]
    lines = list(banner(many, {}, None, SETTINGS))
    assert len(lines) < 80
    assert "  and 440 more: curl -s 127.0.0.1:15000/config_dump, stubBackends" in lines


def test_a_mesh_with_nothing_to_try() -> None:
    assert not any("curl --socks5" in line for line in banner(PLACES, ORIGINALS, None, SETTINGS))
