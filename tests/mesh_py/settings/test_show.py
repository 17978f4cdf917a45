"""`config show`, in its three forms."""

from __future__ import annotations

import json

import pytest
import yaml

from mesh_py.settings.show import print_settings
from mesh_py.settings.source import SettingsError, from_flags
from tests.mesh_py.settings.example import TABLE

LAYERS = [from_flags(TABLE, {"HTTP2_STREAM_WINDOW_SIZE": "2048KiB"})]


@pytest.mark.parametrize(("output", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_programs_get_every_setting(capsys: pytest.CaptureFixture[str], output: str, read: object) -> None:
    print_settings(TABLE, LAYERS, output)
    shown = read(capsys.readouterr().out)  # type: ignore[operator]
    assert list(shown) == [setting.name for setting in TABLE.all]
    assert shown["HTTP2_STREAM_WINDOW_SIZE"] == {"value": "2MiB", "from": "--stream-window"}
    assert shown["NODE_NAME"] == {"value": None, "from": "default: the host's name"}
    assert shown["FAKE_CA"] == {"value": "false", "from": "default"}


def test_people_get_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    print_settings(TABLE, LAYERS, "table")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Whom it serves"
    assert "How" in lines
    assert [line.split() for line in lines if "WINDOW" in line] == [
        ["HTTP2_STREAM_WINDOW_SIZE", "2MiB", "--stream-window"]
    ]
    assert len({len(line) - len(line.split(None, 1)[1]) for line in lines if line.startswith("  ")}) == 1


def test_a_value_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(SettingsError, match="--stream-window: 'x' is not a size"):
        print_settings(TABLE, [from_flags(TABLE, {"HTTP2_STREAM_WINDOW_SIZE": "x"})], "table")
