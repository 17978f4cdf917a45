"""The model's enumerations and their numbers on the wire (hbone-controlplane 1.2, 1.3) [no I/O].

A number that is missing here is one that the proxy does not support.
"""

from __future__ import annotations

from mesh_py.model.authorization import Action, MatchKind, Scope
from mesh_py.model.workload import (
    AppProtocol,
    HealthPolicy,
    HealthStatus,
    IpFamilies,
    LoadBalancerMode,
    LoadBalancerScope,
    NetworkMode,
    Protocol,
    TunnelProtocol,
    Visibility,
)
from mesh_py.xds.proto import authorization_pb2 as security
from mesh_py.xds.proto import workload_pb2 as wds

# What an empty text means.
DEFAULT_TRUST_DOMAIN = "cluster.local"
DEFAULT_SERVICE_ACCOUNT = "default"
DEFAULT_CLUSTER = "Kubernetes"

MUTUAL_TLS = "hbone.mesh.v1.MutualTls"
"""Name of our extension of a workload: its sidecar takes Istio's mutual TLS. Who does not know it passes it over."""

PROTOCOLS = {wds.TunnelProtocol.NONE: Protocol.TCP, wds.TunnelProtocol.HBONE: Protocol.HBONE}
NETWORK_MODES = {
    wds.NetworkMode.STANDARD: NetworkMode.STANDARD,
    wds.NetworkMode.HOST_NETWORK: NetworkMode.HOST_NETWORK,
}
STATUSES = {
    wds.WorkloadStatus.HEALTHY: HealthStatus.HEALTHY,
    wds.WorkloadStatus.UNHEALTHY: HealthStatus.UNHEALTHY,
}
WORKLOAD_TYPES = {number: name.lower() for name, number in wds.WorkloadType.items()}
APP_PROTOCOLS = {
    wds.AppProtocol.UNKNOWN: AppProtocol.UNKNOWN,
    wds.AppProtocol.HTTP11: AppProtocol.HTTP11,
    wds.AppProtocol.HTTP2: AppProtocol.HTTP2,
    wds.AppProtocol.GRPC: AppProtocol.GRPC,
    wds.AppProtocol.TCP: AppProtocol.TCP,
    wds.AppProtocol.TLS: AppProtocol.TLS,
}
IP_FAMILIES = {
    wds.IPFamilies.AUTOMATIC: None,
    wds.IPFamilies.IPV4_ONLY: IpFamilies.IPV4,
    wds.IPFamilies.IPV6_ONLY: IpFamilies.IPV6,
    wds.IPFamilies.DUAL: IpFamilies.DUAL,
}
VISIBILITIES = {
    wds.Service.Visibility.PUBLIC: Visibility.PUBLIC,
    wds.Service.Visibility.NAMESPACE: Visibility.NAMESPACE,
}
TUNNELS = {
    wds.ApplicationTunnel.Protocol.NONE: TunnelProtocol.NONE,
    wds.ApplicationTunnel.Protocol.PROXY: TunnelProtocol.PROXY,
}
BALANCER_SCOPES = {
    wds.LoadBalancing.Scope.REGION: LoadBalancerScope.REGION,
    wds.LoadBalancing.Scope.ZONE: LoadBalancerScope.ZONE,
    wds.LoadBalancing.Scope.SUBZONE: LoadBalancerScope.SUBZONE,
    wds.LoadBalancing.Scope.NODE: LoadBalancerScope.NODE,
    wds.LoadBalancing.Scope.CLUSTER: LoadBalancerScope.CLUSTER,
    wds.LoadBalancing.Scope.NETWORK: LoadBalancerScope.NETWORK,
}
BALANCER_MODES = {
    wds.LoadBalancing.Mode.UNSPECIFIED_MODE: LoadBalancerMode.STANDARD,
    wds.LoadBalancing.Mode.STRICT: LoadBalancerMode.STRICT,
    wds.LoadBalancing.Mode.FAILOVER: LoadBalancerMode.FAILOVER,
    wds.LoadBalancing.Mode.PASSTHROUGH: LoadBalancerMode.PASSTHROUGH,
}
HEALTH_POLICIES = {
    wds.LoadBalancing.HealthPolicy.ONLY_HEALTHY: HealthPolicy.ONLY_HEALTHY,
    wds.LoadBalancing.HealthPolicy.ALLOW_ALL: HealthPolicy.ALLOW_ALL,
}
SCOPES = {
    security.Scope.GLOBAL: Scope.GLOBAL,
    security.Scope.NAMESPACE: Scope.NAMESPACE,
    security.Scope.WORKLOAD_SELECTOR: Scope.WORKLOAD_SELECTOR,
}
ACTIONS = {security.Action.ALLOW: Action.ALLOW, security.Action.DENY: Action.DENY}
# By the name of the field that is set.
MATCH_KINDS = {
    "exact": MatchKind.EXACT,
    "prefix": MatchKind.PREFIX,
    "suffix": MatchKind.SUFFIX,
    "presence": MatchKind.PRESENCE,
}
