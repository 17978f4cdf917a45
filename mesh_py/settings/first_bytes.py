"""How every proxy that opens tunnels is asked to send first bytes with a CONNECT (decision 0026) [pure]."""

from __future__ import annotations

from mesh_py.settings.kinds import BOOLEAN
from mesh_py.settings.setting import setting

FIRST_BYTES = setting(
    "FIRST_BYTES_WITH_CONNECT",
    BOOLEAN,
    True,
    "Send what an application says at once together with its CONNECT, 16 KiB at most, instead of behind the answer.",
    theirs="never",
)
