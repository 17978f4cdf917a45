"""Names of labels and annotations that decide how an object takes part in the mesh [pure]."""

from __future__ import annotations

# Whose proxy a pod has.
DATAPLANE_MODE = "istio.io/dataplane-mode"
REDIRECTION = "ambient.istio.io/redirection"
TUNNEL = "networking.istio.io/tunnel"
INJECTION = "istio-injection"
REVISION = "istio.io/rev"
SIDECAR_INJECT = "sidecar.istio.io/inject"
TLS_MODE = "security.istio.io/tlsMode"
SIDECAR_STATUS = "sidecar.istio.io/status"

# Waypoints and gateways.
USE_WAYPOINT = "istio.io/use-waypoint"
USE_WAYPOINT_NAMESPACE = "istio.io/use-waypoint-namespace"
USE_CANARY = "istio.io/use-waypoint-canary"
USE_CANARY_NAMESPACE = "istio.io/use-waypoint-canary-namespace"
CANARY_WEIGHT = "istio.io/use-waypoint-canary-weight"
INBOUND_BINDING = "ambient.istio.io/waypoint-inbound-binding"
GATEWAY_NAME = "gateway.networking.k8s.io/gateway-name"
GATEWAY_MANAGED = "gateway.istio.io/managed"
GATEWAY_SERVICE_ACCOUNT = "gateway.istio.io/service-account"
MANAGED_WAYPOINT = "istio.io-mesh-controller"
MANAGED_EAST_WEST = "istio.io-eastwest-controller"

# Where things are, and what they are called.
NETWORK = "topology.istio.io/network"
TRAFFIC_DISTRIBUTION = "networking.istio.io/traffic-distribution"
CANONICAL_NAMES = ("service.istio.io/canonical-name", "app.kubernetes.io/name", "app")
CANONICAL_REVISIONS = ("service.istio.io/canonical-revision", "app.kubernetes.io/version", "version")

HBONE_PORT = 15008
