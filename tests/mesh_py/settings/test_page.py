"""The tables of the documentation."""

from __future__ import annotations

from mesh_py.settings.kinds import BOOLEAN, MAYBE, PORT
from mesh_py.settings.page import settings_page
from mesh_py.settings.setting import SettingsTable, setting, unset

TABLE = SettingsTable(
    {
        "Ports": (setting("PORT", PORT, 15_020, "Where.", also=("META_PORT",), theirs="15090"),),
        "Rest": (setting("ON", BOOLEAN, False, "Whether."), unset("SRC", MAYBE, "How.", note="auto")),
    }
)
HEAD = "| environment, file | flag | default | meaning |\n|---|---|---|---|\n"


def test_each_section_is_a_table_and_each_setting_a_row() -> None:
    assert settings_page(TABLE, "istiod") == (
        f"### Ports\n\n{HEAD}"
        "| `META_PORT`, `PORT` | `--port PORT` | `15020` (istiod: 15090) | Where. |\n"
        f"\n### Rest\n\n{HEAD}"
        "| `ON` | `--on` | `false` | Whether. |\n"
        "| `SRC` | `--src true\\|false\\|auto` | auto | How. |\n"
    )
