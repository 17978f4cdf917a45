"""Where a process listens, and what stays on this machine."""

from __future__ import annotations

import pytest

from mesh_py.settings.binding import capture_by_preamble, listening_address, local_address
from mesh_py.settings.kinds import ADDRESS, BOOLEAN
from mesh_py.settings.setting import SettingsTable, setting, unset
from mesh_py.settings.source import SettingsError, Values, from_environment

BIND = unset("BIND", ADDRESS, "Address of every listener.", flag="--bind")
LOCAL = unset("LOCAL", ADDRESS, "Address of admin.", flag="--local-bind")
PREAMBLE = setting("PREAMBLE", BOOLEAN, False, "PROXY protocol.")
TABLE = SettingsTable({"Listeners": (BIND, LOCAL, PREAMBLE)})


def values(**environ: str) -> Values:
    return Values([from_environment(TABLE, environ)])


@pytest.mark.parametrize(
    ("bind", "ipv6", "expected"),
    [("10.0.0.5", True, "10.0.0.5"), (None, True, "::"), (None, False, "0.0.0.0"), ("", False, "0.0.0.0")],
)
def test_listeners_take_all_addresses_unless_told(bind: str | None, ipv6: bool, expected: str) -> None:
    assert listening_address(bind, ipv6=ipv6) == expected


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        pytest.param({}, "127.0.0.1", id="nothing said"),
        pytest.param({"BIND": "10.0.0.5"}, "127.0.0.1", id="others reach the listeners"),
        pytest.param({"BIND": "127.9.8.7"}, "127.9.8.7", id="the listeners are on loopback"),
        pytest.param({"BIND": "127.9.8.7", "LOCAL": "127.1.1.1"}, "127.1.1.1", id="said"),
        pytest.param({"LOCAL": "0:0:0:0:0:0:0:1"}, "::1", id="said the long way"),
    ],
)
def test_local_surfaces_stay_on_loopback(environ: dict[str, str], expected: str) -> None:
    assert local_address(values(**environ), BIND, LOCAL, "admin stays") == expected


@pytest.mark.parametrize("address", ["10.0.0.1", "0.0.0.0", "::"])
def test_no_setting_opens_local_surfaces_to_others(address: str) -> None:
    with pytest.raises(SettingsError) as refused:
        local_address(values(LOCAL=address), BIND, LOCAL, "admin stays")
    assert str(refused.value) == f"LOCAL: {address!r} is no loopback address: admin stays on this machine"


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        pytest.param({}, False, id="not wanted, listening anywhere"),
        pytest.param({"PREAMBLE": "true", "BIND": "127.9.8.7"}, True, id="wanted on loopback"),
        pytest.param({"PREAMBLE": "true", "BIND": "::1"}, True, id="wanted on loopback, IPv6"),
    ],
)
def test_a_preamble_is_believed_from_this_machine(environ: dict[str, str], expected: bool) -> None:
    assert capture_by_preamble(values(**environ), PREAMBLE, BIND) is expected


@pytest.mark.parametrize("where", [{}, {"BIND": "10.0.0.1"}], ids=["all addresses", "another machine's reach"])
def test_a_preamble_is_believed_from_nobody_else(where: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match=r"^PREAMBLE: whoever .* set BIND to a loopback address$"):
        capture_by_preamble(values(PREAMBLE="true", **where), PREAMBLE, BIND)
