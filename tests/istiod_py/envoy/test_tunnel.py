"""The ends of a tunnel."""

from __future__ import annotations

from istiod_py.envoy.form_today import TODAY
from istiod_py.envoy.tunnel import connect_originate_cluster, connect_terminate_listener, internal_upstream
from tests.istiod_py.envoy.meshes import mesh, waypoint


def test_who_is_dialled_is_told_by_metadata_always_at_15008() -> None:
    found = connect_originate_cluster(mesh(), waypoint(), TODAY)["original_dst_lb_config"]
    assert found["upstream_port_override"] == 15008
    assert found["metadata_key"] == {"key": "envoy.filters.listener.original_dst", "path": [{"key": "waypoint"}]}


def test_a_proxy_with_an_address_to_itself_comes_from_it() -> None:
    assert "upstream_bind_config" not in connect_originate_cluster(mesh(), waypoint(), TODAY)
    found = connect_originate_cluster(mesh(), waypoint(bind_address="127.0.9.1"), TODAY)
    assert found["upstream_bind_config"] == {"source_address": {"address": "127.0.9.1", "port_value": 0}}


def test_a_server_of_tunnels_keeps_istios_limits() -> None:
    found = connect_terminate_listener(mesh(), waypoint(bind_address="127.0.9.1"), TODAY)
    assert found["address"]["socket_address"] == {"address": "127.0.9.1", "port_value": 15008}
    [chain] = found["filter_chains"]
    manager = chain["filters"][-1]["typed_config"]
    assert manager["http2_protocol_options"] == {
        "allow_connect": True,
        "max_concurrent_streams": 100,
        "connection_keepalive": {"interval": "10s", "timeout": "20s"},
    }
    # A name for what may last: neither a stream nor a tunnel ends for being quiet.
    [route] = manager["route_config"]["virtual_hosts"][0]["routes"]
    assert (manager["stream_idle_timeout"], route["route"]["timeout"]) == ("0s", "0s")


def test_metadata_goes_along_only_where_there_is_some() -> None:
    assert "passthrough_metadata" not in internal_upstream(())["typed_config"]
    [passed] = internal_upstream(("a",))["typed_config"]["passthrough_metadata"]
    assert passed == {"kind": {"host": {}}, "name": "a"}
