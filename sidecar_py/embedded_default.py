"""When the embedded world starts instead of a sidecar [pure]."""

from __future__ import annotations

from mesh_py.settings.layer7_table import embedded_default
from sidecar_py.settings_table import LOCAL_XDS_PATH, PROXY_WORKLOAD_INFO

EMBEDDED = embedded_default(LOCAL_XDS_PATH, PROXY_WORKLOAD_INFO)
