"""Whether nothing was configured, so that the embedded world starts instead of a waypoint [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mesh_py.settings.control_plane import XDS
from mesh_py.settings.discovery import POD_NAME
from mesh_py.settings.tracing import TRACING
from waypoint_py import settings_table as table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mesh_py.settings.setting import Setting
    from mesh_py.settings.source import Given

PASSED_ON: tuple[Setting[Any], ...] = (table.RUST_LOG, table.LOG_FORMAT, *TRACING)
"""What the embedded world's proxies take from whoever starts it."""

_MEANS_A_PROXY: tuple[Setting[Any], ...] = (
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
)
# Off is said by an empty text.
_EMPTY_COUNTS = ("XDS_ADDRESS", "CA_ADDRESS", "CA_ADDR", "PROXY_MODE", "INPOD_UDS")


def is_embedded(layers: Sequence[Mapping[str, Given]], environ: Mapping[str, str]) -> bool:
    """Whether no flag, variable or file describes a waypoint. The first layer is the flags."""
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
