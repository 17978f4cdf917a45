"""Trees that pick a filter chain. Whether they do is the real Envoy's to say (test_traffic.py)."""

from __future__ import annotations

from istiod_py.envoy.matchers import by_destination, by_port, by_protocol, chain
from mesh_py.model.address import IpAddress


def test_rows_without_an_address_are_none() -> None:
    found = by_destination([([IpAddress("10.0.0.1")], chain("a")), ([], chain("b"))])
    [row] = found["matcher_tree"]["custom_match"]["typed_config"]["range_matchers"]
    assert row == {"ranges": [{"address_prefix": "10.0.0.1", "prefix_len": 32}], "on_match": chain("a")}


def test_ports_are_words_in_their_order() -> None:
    found = by_port({443: chain("b"), 80: chain("a")})
    assert list(found["matcher"]["matcher_tree"]["exact_match_map"]["map"]) == ["80", "443"]


def test_what_is_no_http_is_the_rest() -> None:
    found = by_protocol(chain("http"), chain("tcp"))["matcher"]
    assert found["on_no_match"] == chain("tcp")
    assert list(found["matcher_tree"]["exact_match_map"]["map"]) == ["'http/1.0'", "'http/1.1'", "'h2c'"]
