"""How every proxy is asked to wait awake for a moment where messages follow closely (decision 0006) [pure]."""

from __future__ import annotations

from mesh_py.settings.kinds import BOOLEAN
from mesh_py.settings.setting import setting

WAIT_AWAKE = setting(
    "WAIT_AWAKE",
    BOOLEAN,
    True,
    "Wait awake for up to 200 us where few connections talk and messages follow each other that closely: they arrive"
    " sooner. `false` always sleeps, which spares a core that others want.",
    theirs="never",
)
