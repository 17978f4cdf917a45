"""Reading DestinationRule [pure].

What Istio knows and our proxies do not act on is kept for Envoys, or read over, with a warning: an object of a cluster
can be used as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mesh_py.discovery.problems import FaultKind
from mesh_py.discovery.yaml_reader import Fault, Field, Schema, boolean, choice, integer, map_of, port, scalar
from mesh_py.manifests.client_tls import TlsMode, valid_client_tls
from mesh_py.manifests.decoders import dns_name, duration, object_name, text_not_empty, texts
from mesh_py.manifests.kinds import STATUS, Kind, KindName, required_part
from mesh_py.manifests.traffic import (
    NO_POLICY,
    Balancing,
    ConnectionPool,
    ConsistentHash,
    DestinationRule,
    H2Upgrade,
    Keepalive,
    LoadBalancer,
    LocalitySetting,
    OutlierDetection,
    Share,
    Subset,
    TrafficPolicy,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import yaml

    from mesh_py.manifests.client_tls import ClientTls
    from mesh_py.manifests.decoders import ManifestReader

KINDS: Mapping[str, KindName] = {"DestinationRule": KindName("networking.istio.io", ("v1", "v1beta1", "v1alpha3"))}

_MOST = 2**31 - 1
_WHOLE = 100


class TrafficKinds:
    """Decoders for the objects of one file."""

    def __init__(self, reader: ManifestReader) -> None:
        self._reader = reader

    def destination_rule(self) -> Kind:
        """A DestinationRule."""
        subset = {
            "name": Field(object_name, "name", required=True),
            "labels": Field(self._reader.labels, "labels"),
            "trafficPolicy": Field(self._policy(), "policy"),
        }
        spec = {
            "host": Field(text_not_empty, "host", required=True),
            "trafficPolicy": Field(self._policy(), "policy"),
            "subsets": Field(self._reader.each(self._record(Subset, "subset", subset)), "subsets"),
            "exportTo": Field(texts, "export_to"),
            "workloadSelector": Field(self._reader.workload_selector(), "selector"),
        }
        return Kind(_rule, {"spec": required_part(self._reader, "the spec of a DestinationRule", spec), **STATUS})

    def _policy(self) -> Callable[[yaml.Node], TrafficPolicy | None]:
        of_port = {"port": Field(self._port_number(), "number", required=True), **self._sections()}
        ports = self._reader.each(self._record(_port_policy, "settings of a port", of_port))
        fields = {
            **self._sections(),
            "portLevelSettings": Field(ports, "ports"),
            **self._passed_over("tunnel", "proxyProtocol", "retryBudget"),
        }
        return self._record(TrafficPolicy, "traffic policy", fields)

    def _sections(self) -> dict[str, Field]:
        return {
            "loadBalancer": Field(self._balancer(), "balancer"),
            "connectionPool": Field(self._pool(), "pool"),
            "outlierDetection": Field(self._outliers(), "outliers"),
            "tls": Field(self._tls(), "tls"),
        }

    def _port_number(self) -> Callable[[yaml.Node], int | None]:
        return self._record(lambda number: number, "port", {"number": Field(port, "number", required=True)})

    def _balancer(self) -> Callable[[yaml.Node], LoadBalancer | None]:
        fields = {
            "simple": Field(self._simple, "simple"),
            "consistentHash": Field(self._consistent_hash(), "hash"),
            "localityLbSetting": Field(self._locality(), "locality"),
            "warmupDurationSecs": self._for_envoys("warmupDurationSecs", duration, "warmup"),
            **self._passed_over("warmup"),
        }
        return self._record(LoadBalancer, "load balancer", fields)

    def _consistent_hash(self) -> Callable[[yaml.Node], ConsistentHash | None]:
        cookie = {
            "name": Field(text_not_empty, "cookie", required=True),
            "path": Field(_cookie_path, "cookie_path"),
            "ttl": Field(duration, "cookie_ttl"),
        }
        size = integer(0, _MOST)
        ring = {"minimumRingSize": Field(size, "ring_size")}
        table = {"tableSize": Field(size, "table_size")}
        fields = {
            "httpHeaderName": Field(text_not_empty, "header"),
            "httpCookie": Field(self._record(dict, "cookie", cookie), "of_cookie"),
            "httpQueryParameterName": Field(text_not_empty, "query_parameter"),
            "useSourceIp": Field(boolean, "source_ip"),
            "minimumRingSize": self._for_envoys("minimumRingSize", size, "ring_size"),
            "ringHash": self._for_envoys("ringHash", self._record(dict, "ring", ring), "ring"),
            "maglev": self._for_envoys("maglev", self._record(dict, "table", table), "maglev"),
        }
        return self._record(_one_of, "consistent hash", fields)

    def _simple(self, node: yaml.Node) -> Balancing:
        found = choice(Balancing)(node)
        if found is Balancing.PASSTHROUGH:
            self._reader.warn(_for_envoys_only(node, found.value))
        return found

    def _locality(self) -> Callable[[yaml.Node], LocalitySetting | None]:
        share = {"from": Field(text_not_empty, "source"), "to": Field(map_of(scalar, integer(0, _WHOLE)), "to")}
        region = {"from": Field(text_not_empty, "source"), "to": Field(text_not_empty, "to")}
        fields = {
            "enabled": Field(boolean, "enabled"),
            "distribute": Field(self._reader.each(self._record(_distribution, "distribution", share)), "distribute"),
            "failover": Field(self._reader.each(self._record(_failover, "failover", region)), "failover"),
            **self._passed_over("failoverPriority"),
        }
        return self._record(LocalitySetting, "locality setting", fields)

    def _pool(self) -> Callable[[yaml.Node], ConnectionPool | None]:
        count = integer(1, _MOST)
        tcp = {
            "maxConnections": Field(count, "max_connections"),
            "connectTimeout": Field(duration, "connect_timeout"),
            "idleTimeout": self._for_envoys("idleTimeout", duration, "tcp_idle_timeout"),
            "maxConnectionDuration": self._for_envoys("maxConnectionDuration", duration, "max_connection_duration"),
            "tcpKeepalive": self._for_envoys("tcpKeepalive", self._keepalive(), "keepalive"),
        }
        http = {
            "http1MaxPendingRequests": Field(count, "max_pending"),
            "http2MaxRequests": Field(count, "max_requests"),
            "maxRetries": Field(integer(0, _MOST), "max_retries"),
            "maxRequestsPerConnection": Field(integer(0, _MOST), "max_requests_per_connection"),
            "idleTimeout": Field(duration, "idle_timeout"),
            "h2UpgradePolicy": Field(choice(H2Upgrade), "h2_upgrade"),
            "useClientProtocol": Field(boolean, "use_client_protocol"),
            "maxConcurrentStreams": Field(count, "max_concurrent_streams"),
        }

        def make(tcp: dict[str, Any] | None = None, http: dict[str, Any] | None = None) -> ConnectionPool:
            return ConnectionPool(**(tcp or {}), **(http or {}))

        fields = {
            "tcp": Field(self._record(dict, "TCP pool", tcp), "tcp"),
            "http": Field(self._record(dict, "HTTP pool", http), "http"),
        }
        return self._record(make, "connection pool", fields)

    def _keepalive(self) -> Callable[[yaml.Node], Keepalive | None]:
        fields = {
            "probes": Field(integer(0, _MOST), "probes"),
            "time": Field(duration, "time"),
            "interval": Field(duration, "interval"),
        }
        return self._record(Keepalive, "keepalive", fields)

    def _outliers(self) -> Callable[[yaml.Node], OutlierDetection | None]:
        percent = integer(0, _WHOLE)
        fields = {
            "consecutive5xxErrors": Field(integer(0, _MOST), "consecutive_5xx"),
            "consecutiveGatewayErrors": Field(integer(0, _MOST), "consecutive_gateway_errors"),
            "interval": Field(duration, "interval"),
            "baseEjectionTime": Field(duration, "base_ejection_time"),
            "maxEjectionPercent": Field(percent, "max_ejection_percent"),
            "minHealthPercent": Field(percent, "min_health_percent"),
            "splitExternalLocalOriginErrors": self._for_envoys(
                "splitExternalLocalOriginErrors", boolean, "splits_local_errors"
            ),
            "consecutiveLocalOriginFailures": self._for_envoys(
                "consecutiveLocalOriginFailures", integer(0, _MOST), "consecutive_local_failures"
            ),
            **self._passed_over("consecutiveErrors"),
        }
        return self._record(OutlierDetection, "outlier detection", fields)

    def _tls(self) -> Callable[[yaml.Node], ClientTls | None]:
        fields = {
            "mode": Field(choice(TlsMode), "mode", required=True),
            "caCertificates": Field(scalar, "ca_certificates"),
            "clientCertificate": Field(scalar, "client_certificate"),
            "privateKey": Field(scalar, "private_key"),
            "credentialName": Field(_credential_name, "credential_name"),
            "sni": Field(scalar, "sni"),
            "subjectAltNames": Field(texts, "subject_alt_names"),
            "insecureSkipVerify": Field(boolean, "insecure_skip_verify"),
            "caCrl": Field(scalar, "crl"),
        }
        return self._record(valid_client_tls, "TLS settings", fields)

    def _record(self, make: Callable[..., Any], thing: str, fields: Mapping[str, Field]) -> Callable[[yaml.Node], Any]:
        return self._reader.record(make, Schema(thing, fields))

    def _passed_over(self, *keys: str) -> dict[str, Field]:
        """Keys of Istio's that have no effect here."""
        return {key: Field(self._warning(key), "") for key in keys}

    def _warning(self, key: str) -> Callable[[yaml.Node], None]:
        return lambda node: self._reader.warn(_unheeded(node, key))

    def _for_envoys(self, key: str, decode: Callable[[yaml.Node], Any], argument: str) -> Field:
        """A key that Envoys follow and our own proxies do not."""

        def read(node: yaml.Node) -> Any:
            self._reader.warn(_for_envoys_only(node, key))
            return decode(node)

        return Field(read, argument)


def _unheeded(node: yaml.Node, key: str) -> Fault:
    what = f"{key!r} has no effect"
    return Fault(node, what, "proxies behave as if it was not there", FaultKind.UNSUPPORTED)


def _for_envoys_only(node: yaml.Node, key: str) -> Fault:
    what = f"{key!r} has no effect in our proxies"
    return Fault(node, what, "they behave as if it was not there; Envoys follow it", FaultKind.UNSUPPORTED)


def _rule(policy: TrafficPolicy = NO_POLICY, **fields: Any) -> DestinationRule:
    rule = DestinationRule(policy=policy, **fields)
    names = [one.name for one in rule.subsets]
    doubled = next((name for name in names if names.count(name) > 1), None)
    if doubled is not None:
        raise ValueError(f"subset {doubled!r} is there twice", "give each a name of its own")
    return rule


def _port_policy(number: int, **sections: Any) -> tuple[int, TrafficPolicy]:
    return number, TrafficPolicy(**sections)


def _credential_name(node: yaml.Node) -> str:
    """The name of a Secret, which Istio also writes with where it lies in front."""
    text = scalar(node).removeprefix("kubernetes://")
    try:
        return dns_name(text)
    except ValueError:
        raise Fault(node, f"{text!r} is no name of a Secret", "write its name alone") from None


def _cookie_path(node: yaml.Node) -> str:
    text = scalar(node)
    if not text.startswith("/") or not text.isascii() or not text.isprintable() or ";" in text:
        raise Fault(node, f"{text!r} is no path of a cookie", "write it from its slash on, without ;")
    return text


_KEYS_OF_A_HASH = ("header", "cookie", "query_parameter", "source_ip")


def _one_of(
    of_cookie: dict[str, Any] | None = None,
    ring: dict[str, int] | None = None,
    maglev: dict[str, int] | None = None,
    **given: Any,
) -> ConsistentHash:
    given |= of_cookie or {}
    if sum(1 for key in _KEYS_OF_A_HASH if given.get(key)) != 1:
        raise ValueError("a consistent hash is by one thing", "name a header, a cookie, a parameter, or the source")
    if ring is not None and maglev is not None:
        raise ValueError("a consistent hash is a ring or a Maglev table", "remove one of the two")
    return ConsistentHash(**(given | (ring or {}) | (maglev or {})), is_maglev=maglev is not None)


def _distribution(source: str = "", to: Mapping[str, int] | None = None) -> tuple[str, tuple[Share, ...]]:
    shares = tuple(Share(where, weight) for where, weight in (to or {}).items())
    if sum(share.weight for share in shares) != _WHOLE:
        raise ValueError("the weights of a distribution are 100 together", "they are parts of a hundred")
    return source, shares


def _failover(source: str = "", to: str = "") -> tuple[str, str]:
    if "/" in source + to or source == to:
        raise ValueError("a failover is from one region to another", "write names of regions alone")
    return source, to
