"""What a setting says of itself, and how a table is looked through."""

from __future__ import annotations

import pytest

from mesh_py.settings.kinds import SIZE, TEXT
from mesh_py.settings.setting import Setting, SettingsTable, setting, unset


@pytest.mark.parametrize(
    ("one", "option", "parameter", "default_text"),
    [
        pytest.param(setting("NET", TEXT, "west", "Where."), "--net", "net", "west", id="from its name"),
        pytest.param(
            setting("HTTP2_FRAME_SIZE", SIZE, 1 << 20, "Bytes.", flag="--frame-size"),
            "--frame-size",
            "http2_frame_size",
            "1MiB",
            id="with a flag of its own",
        ),
        pytest.param(unset("A_B", TEXT, "Nothing."), "--a-b", "a_b", "", id="nothing is set"),
        pytest.param(unset("A_B", TEXT, "It.", note="from others"), "--a-b", "a_b", "from others", id="noted"),
    ],
)
def test_a_setting_tells_its_flag_and_its_default(
    one: Setting[object], option: str, parameter: str, default_text: str
) -> None:
    assert (one.option, one.parameter, one.default_text) == (option, parameter, default_text)


def test_a_table_keeps_its_order_and_knows_every_name() -> None:
    b, a = setting("B", TEXT, "", "One."), setting("A", TEXT, "", "Other.", also=("META_A", "OLD_A"))
    c = setting("C", TEXT, "", "Third.")
    table = SettingsTable({"Second letters first": (b, a), "Rest": (c,)})
    assert table.all == (b, a, c)
    assert table.by_name == {"B": b, "A": a, "META_A": a, "OLD_A": a, "C": c}
