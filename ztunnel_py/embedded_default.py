"""When the embedded world starts instead of a node proxy [pure]."""

from __future__ import annotations

from mesh_py.settings.control_plane import XDS
from mesh_py.settings.embedded import EmbeddedDefault
from mesh_py.settings.tracing import TRACING
from ztunnel_py.settings_table import (
    AUTHZ_INFO,
    CA_ADDRESS,
    INPOD_UDS,
    LOCAL_XDS,
    LOCAL_XDS_PATH,
    LOG_FORMAT,
    PROXY_MODE,
    PROXY_WORKLOAD_INFO,
    RUST_LOG,
    STUB_BACKENDS,
    WORKERS,
    WORKLOAD_CERT_CHAIN,
    WORKLOAD_CERT_DIR,
    WORKLOAD_KEY,
    WORKLOAD_ROOT_CERT,
)

EMBEDDED = EmbeddedDefault(
    means_a_proxy=(
        LOCAL_XDS_PATH,
        LOCAL_XDS,
        STUB_BACKENDS,
        XDS.address,
        CA_ADDRESS,
        PROXY_MODE,
        PROXY_WORKLOAD_INFO,
        INPOD_UDS,
        WORKLOAD_CERT_CHAIN,
        WORKLOAD_KEY,
        WORKLOAD_ROOT_CERT,
        WORKLOAD_CERT_DIR,
    ),
    passed_on=(RUST_LOG, LOG_FORMAT, AUTHZ_INFO, WORKERS, *TRACING),
)
