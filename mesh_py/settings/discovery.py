"""How roles are told to follow a control plane's discovery, and who they are there: the real ztunnel's names
(hbone-controlplane 2.2, 10.1) [pure].

Facts about us that no table can list are `ISTIO_META_*` and `ISTIO_METAJSON_*` of the environment, and before these
`ISTIO_META_*` of a ProxyConfig's `proxyMetadata`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mesh_py.settings.control_plane import XDS, endpoint
from mesh_py.settings.kinds import BOOLEAN, NAME, TEXT
from mesh_py.settings.setting import setting, unset
from mesh_py.settings.source import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mesh_py.rpc.endpoint import Endpoint
    from mesh_py.settings.source import Values
    from mesh_py.xds.node import Node

# fmt: off

XDS_ON_DEMAND = setting(
    "XDS_ON_DEMAND", BOOLEAN, False, "Ask for workloads and services when they are needed, not for all of them.",
)
POD_NAME = setting("POD_NAME", TEXT, "", "Our own pod, as the control plane is told.")
POD_NAMESPACE = setting("POD_NAMESPACE", TEXT, "", "Its namespace.")
INSTANCE_IP = unset("INSTANCE_IP", NAME, "Its address.", note="1.1.1.1")
SERVICE_ACCOUNT = setting("SERVICE_ACCOUNT", TEXT, "", "Its service account; the token must be of the same.")

# fmt: on

NODE_SETTINGS = (POD_NAME, POD_NAMESPACE, INSTANCE_IP, SERVICE_ACCOUNT)
"""Who we are."""


@dataclass(frozen=True, slots=True)
class DiscoverySettings:
    """Where discovery is, who we are there, and how much of the mesh we ask for."""

    endpoint: Endpoint
    node: Node
    on_demand: bool


def discovery(
    values: Values, environ: Mapping[str, str], kind: str, *, node_name: str | None, cluster_id: str
) -> DiscoverySettings | None:
    """What `XDS_ADDRESS` and its companions say; None where it is empty.

    Args:
        environ: where facts and headers are that no table lists.
        kind: what we are: `ztunnel`, `sidecar`, `waypoint`.
        node_name: the machine we are on, where known.
        cluster_id: the cluster we are in.

    Raises:
        SettingsError: something of it cannot be used.
    """
    where = endpoint(XDS, values, environ, cluster_id)
    if where is None:
        return None
    from mesh_py.xds.node import META, Node, metadata_from

    try:
        told = metadata_from(environ)
    except ValueError as error:
        raise SettingsError(str(error)) from None
    configured = metadata_from(values.starting_with(META))
    facts = {"CLUSTER_ID": cluster_id, "NODE_NAME": node_name, "SERVICE_ACCOUNT": values[SERVICE_ACCOUNT]}
    node = Node.of(
        kind,
        name=values[POD_NAME],
        namespace=values[POD_NAMESPACE],
        ip=values[INSTANCE_IP] or "",
        metadata=configured | {key: value for key, value in facts.items() if value} | told,
    )
    return DiscoverySettings(where, node, values[XDS_ON_DEMAND])
