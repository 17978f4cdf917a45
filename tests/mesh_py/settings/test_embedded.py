"""When a role's embedded world starts, and what its proxies take from whoever starts it."""

from __future__ import annotations

import pytest

from mesh_py.settings.embedded import EmbeddedDefault
from mesh_py.settings.source import Given
from tests.mesh_py.settings.example import ADMIN_PORT, NETWORK, NODE_NAME

WORLD = EmbeddedDefault(means_a_proxy=(NODE_NAME,), passed_on=(ADMIN_PORT, NETWORK))


def layers(flags: dict[str, str], environment: dict[str, str], *files: dict[str, str]) -> list[dict[str, Given]]:
    return [{name: Given(text, name) for name, text in one.items()} for one in (flags, environment, *files)]


@pytest.mark.parametrize(
    ("flags", "environment", "files", "expected"),
    [
        pytest.param({}, {}, [], True, id="nothing"),
        pytest.param({"NETWORK": "n"}, {}, [], True, id="a flag that is passed on"),
        pytest.param({"FAKE_CA": "true"}, {}, [], False, id="any other flag"),
        pytest.param({}, {"FAKE_CA": "true"}, [], True, id="a variable that describes no proxy"),
        pytest.param({}, {"NODE_NAME": "n"}, [], False, id="one that describes a proxy"),
        pytest.param({}, {"XDS_ADDRESS": ""}, [], False, id="discovery said to be off"),
        pytest.param({}, {}, [{"NETWORK": "n"}], False, id="a file"),
        pytest.param({}, {}, [{}], True, id="a file that says nothing"),
    ],
)
def test_what_starts(
    flags: dict[str, str], environment: dict[str, str], files: list[dict[str, str]], expected: bool
) -> None:
    told = {name: text for name, text in environment.items() if text}  # as `from_environment` has it
    assert WORLD.applies(layers(flags, told, *files), environment) is expected


def test_what_is_passed_on_comes_from_the_strongest_source() -> None:
    told = layers({"NETWORK": "flag"}, {"NETWORK": "variable", "ADMIN_PORT": "1", "NODE_NAME": "n"})
    assert WORLD.environment(told) == {"NETWORK": "flag", "ADMIN_PORT": "1"}
