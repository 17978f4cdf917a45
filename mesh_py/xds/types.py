"""Names of the control plane's protocols: resource types, gRPC methods (hbone-controlplane 1.1) [no I/O]."""

from __future__ import annotations

TYPE_PREFIX = "type.googleapis.com/"

# What a node proxy asks for.
ADDRESS = TYPE_PREFIX + "istio.workload.Address"
"""Workloads and services in one type."""
AUTHORIZATION = TYPE_PREFIX + "istio.security.Authorization"
"""Policies for layer 4."""
WORKLOAD = TYPE_PREFIX + "istio.workload.Workload"
"""Bare workloads; Envoy's metadata discovery asks for them, ztunnel does not."""

# What our sidecar and waypoint ask for beside those.
PROXY_CONFIG = TYPE_PREFIX + "hbone.mesh.v1.ProxyConfig"

# What Envoy asks for.
LISTENER = TYPE_PREFIX + "envoy.config.listener.v3.Listener"
ROUTE = TYPE_PREFIX + "envoy.config.route.v3.RouteConfiguration"
CLUSTER = TYPE_PREFIX + "envoy.config.cluster.v3.Cluster"
ENDPOINTS = TYPE_PREFIX + "envoy.config.endpoint.v3.ClusterLoadAssignment"
SECRET = TYPE_PREFIX + "envoy.extensions.transport_sockets.tls.v3.Secret"

WILDCARD = "*"
"""The resource name that stands for all of a type."""

# gRPC methods.
DELTA_DISCOVERY = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
STREAM_DISCOVERY = "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources"
CREATE_CERTIFICATE = "/istio.v1.auth.IstioCertificateService/CreateCertificate"
