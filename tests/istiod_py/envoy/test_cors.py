"""Cross-origin rules in Envoy's words."""

from __future__ import annotations

from istiod_py.envoy.cors import NAME, cors_of_route
from mesh_py.manifests.route_filters import Cors


def test_everything_that_is_written_is_told() -> None:
    cors = Cors(("https://a.example", "https://*.b.example"), True, ("GET", "PUT"), ("x-a",), ("x-b",), 60)
    policy = cors_of_route(cors)["typed_per_filter_config"][NAME]
    assert policy["allow_origin_string_match"] == [
        {"exact": "https://a.example"},
        {"safe_regex": {"regex": r"https://.*\.b\.example"}},
    ]
    assert (policy["allow_methods"], policy["allow_headers"], policy["expose_headers"]) == ("GET,PUT", "x-a", "x-b")
    assert (policy["allow_credentials"], policy["max_age"]) == (True, "60")


def test_what_is_not_written_is_left_out() -> None:
    policy = cors_of_route(Cors(("*",)))["typed_per_filter_config"][NAME]
    assert "allow_methods" not in policy
    assert policy["allow_origin_string_match"] == [{"safe_regex": {"regex": ".*"}}]
