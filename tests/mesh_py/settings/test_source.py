"""Which source wins, and what a complaint names."""

from __future__ import annotations

import pytest

from mesh_py.settings.kinds import TEXT
from mesh_py.settings.setting import SettingsTable, setting
from mesh_py.settings.source import Given, SettingsError, Values, complaint, from_environment, from_flags
from tests.mesh_py.settings.example import CLUSTER_ID, KEEPALIVE_TIME, NETWORK, NODE_NAME, TABLE

FLAG = {"NODE_NAME": "by-flag"}
VARIABLE = {"NODE_NAME": "by-variable"}
FILE = {"NODE_NAME": Given("by-file", "settings.yaml:1:12: NODE_NAME")}


@pytest.mark.parametrize(
    ("flags", "environ", "file", "value", "origin"),
    [
        pytest.param(FLAG, VARIABLE, FILE, "by-flag", "--node", id="a flag wins over all"),
        pytest.param({}, VARIABLE, FILE, "by-variable", "NODE_NAME", id="the environment wins over the file"),
        pytest.param({}, {}, FILE, "by-file", "settings.yaml:1:12: NODE_NAME", id="the file wins over the default"),
        pytest.param({}, {}, {}, None, "--node", id="nothing is set: the flag would be the way"),
        pytest.param({}, {"NODE_NAME": ""}, FILE, "by-file", "settings.yaml:1:12: NODE_NAME", id="empty is not set"),
    ],
)
def test_the_strongest_source_wins(
    flags: dict[str, str], environ: dict[str, str], file: dict[str, Given], value: str | None, origin: str
) -> None:
    values = Values([from_flags(TABLE, flags), from_environment(TABLE, environ), file])
    assert (values[NODE_NAME], values.origin(NODE_NAME)) == (value, origin)


@pytest.mark.parametrize(
    ("environ", "value"),
    [
        pytest.param({"CLUSTER_ID": "one"}, "one", id="the plain name"),
        pytest.param({"ISTIO_META_CLUSTER_ID": "two", "CLUSTER_ID": "one"}, "two", id="the META form wins"),
        pytest.param({"ISTIO_META_CLUSTER_ID": "", "CLUSTER_ID": "one"}, "one", id="unless it is empty"),
        pytest.param({}, "Kubernetes", id="neither"),
    ],
)
def test_a_second_name_is_known(environ: dict[str, str], value: str) -> None:
    assert Values([{}, from_environment(TABLE, environ)])[CLUSTER_ID] == value


def test_where_nothing_is_an_answer_an_empty_text_is_one() -> None:
    where = setting("WHERE", TEXT, "here", "Where.", also=("PLACE",), may_be_empty=True)
    table = SettingsTable({"All": (where,)})
    for environ, value in (({"WHERE": ""}, ""), ({"PLACE": "", "WHERE": "there"}, "there"), ({}, "file")):
        values = Values([from_environment(table, environ), {"WHERE": Given("file", "f")}])
        assert values[where] == value


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        pytest.param(
            [from_flags(TABLE, {"KEEPALIVE_TIME": "5x"})],
            "--keepalive-time: '5x' is not a duration, such as 5m, 180s or 500ms",
            id="flag",
        ),
        pytest.param(
            [from_environment(TABLE, {"KEEPALIVE_TIME": "5x"})],
            "KEEPALIVE_TIME: '5x' is not a duration, such as 5m, 180s or 500ms",
            id="variable",
        ),
    ],
)
def test_a_complaint_names_where_to_mend_it(layers: list[dict[str, Given]], message: str) -> None:
    with pytest.raises(SettingsError) as failure:
        Values(layers)[KEEPALIVE_TIME]
    assert str(failure.value) == message


def test_a_long_value_is_cut_in_complaints() -> None:
    assert complaint("x" * 500, "is wrong") == f"'{'x' * 77}...' is wrong"


def test_whether_something_was_set_is_known() -> None:
    values = Values([{}, from_environment(TABLE, {"NETWORK": "west"})])
    assert values.is_given(NETWORK)
    assert not values.is_given(NODE_NAME)
