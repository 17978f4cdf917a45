"""Whether nothing was configured, so that the embedded world starts instead of a proxy [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mesh_py.settings.control_plane import XDS
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

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mesh_py.settings.setting import Setting
    from mesh_py.settings.source import Given

PASSED_ON: tuple[Setting[Any], ...] = (RUST_LOG, LOG_FORMAT, AUTHZ_INFO, WORKERS, *TRACING)
"""What the embedded world's proxies take from whoever starts it."""

_MEANS_A_PROXY: tuple[Setting[Any], ...] = (
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
)
# Off is said by an empty text.
_EMPTY_COUNTS = ("XDS_ADDRESS", "CA_ADDRESS")


def is_embedded(layers: Sequence[Mapping[str, Given]], environ: Mapping[str, str]) -> bool:
    """Whether no flag, variable or file describes a proxy. The first layer is the flags, the second the environment."""
    flags, _, *files = layers
    if any(files) or any(name in environ for name in _EMPTY_COUNTS):
        return False
    if flags.keys() - {setting.name for setting in PASSED_ON}:
        return False
    return not any(setting.name in layer for setting in _MEANS_A_PROXY for layer in layers)


def passed_on(layers: Sequence[Mapping[str, Given]]) -> dict[str, str]:
    """The environment of the embedded world's proxies, as far as it was said by whoever starts it."""
    found: dict[str, str] = {}
    for layer in reversed(layers):
        found |= {setting.name: layer[setting.name].text for setting in PASSED_ON if setting.name in layer}
    return found
