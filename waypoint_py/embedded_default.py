"""When the embedded world starts instead of a waypoint [pure]."""

from __future__ import annotations

from mesh_py.settings import layer7_table as shared
from mesh_py.settings.control_plane import XDS
from mesh_py.settings.discovery import POD_NAME
from mesh_py.settings.embedded import EmbeddedDefault
from mesh_py.settings.tracing import TRACING
from waypoint_py import settings_table as table

EMBEDDED = EmbeddedDefault(
    means_a_proxy=(
        table.LOCAL_XDS_PATH,
        shared.LOCAL_XDS,
        XDS.address,
        shared.CA_ADDRESS,
        table.PROXY_WORKLOAD_INFO,
        POD_NAME,
        shared.WORKLOAD_CERT_CHAIN,
        shared.WORKLOAD_KEY,
        shared.WORKLOAD_ROOT_CERT,
        shared.WORKLOAD_CERT_DIR,
    ),
    passed_on=(shared.RUST_LOG, shared.LOG_FORMAT, *TRACING),
)
