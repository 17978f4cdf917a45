"""How every proxy is asked for its TLS secrets: the real ztunnel's switch, and the usual name of the file [pure]."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mesh_py.settings.kinds import BOOLEAN
from mesh_py.settings.setting import setting
from mesh_py.settings.source import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mesh_py.settings.source import Values

KEY_LOG = setting("KEY_LOG", BOOLEAN, False, "Write TLS secrets to the file SSLKEYLOGFILE names. For debugging only.")


def key_log(values: Values, environ: Mapping[str, str]) -> Path | None:
    """The file for secrets; None where nobody asked for them, whatever SSLKEYLOGFILE says.

    Raises:
        SettingsError: asked for, and no file is named.
    """
    if not values[KEY_LOG]:
        return None
    file = environ.get("SSLKEYLOGFILE")
    if not file:
        raise SettingsError(f"{values.origin(KEY_LOG)}: SSLKEYLOGFILE must name the file")
    return Path(file)
