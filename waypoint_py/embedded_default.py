"""When the embedded world starts instead of a waypoint [pure]."""

from __future__ import annotations

from mesh_py.settings.control_plane import XDS
from mesh_py.settings.discovery import POD_NAME
from mesh_py.settings.embedded import EmbeddedDefault
from mesh_py.settings.tracing import TRACING
from waypoint_py import settings_table as table

EMBEDDED = EmbeddedDefault(
    means_a_proxy=(
        table.LOCAL_XDS_PATH,
        table.LOCAL_XDS,
        XDS.address,
        table.CA_ADDRESS,
        table.PROXY_WORKLOAD_INFO,
        POD_NAME,
        table.WORKLOAD_CERT_CHAIN,
        table.WORKLOAD_KEY,
        table.WORKLOAD_ROOT_CERT,
        table.WORKLOAD_CERT_DIR,
    ),
    passed_on=(table.RUST_LOG, table.LOG_FORMAT, *TRACING),
)
