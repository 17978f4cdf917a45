"""What follows from rights and features."""

from __future__ import annotations

import pytest

from lab_py.machine import Machine, look_at, maps
from lab_py.topology import Design


@pytest.mark.parametrize(
    ("text", "is_mapped"),
    [
        pytest.param("         0          0 4294967295\n", True, id="everybody"),
        pytest.param("         0       1000          1\n", False, id="root alone"),
        pytest.param("         0       1000          1\n         1     100000      65536\n", True, id="sub-ids"),
        pytest.param("      1000       1000          1\n", False, id="a user alone"),
    ],
)
def test_the_sidecars_uid_is_there_or_not(text: str, is_mapped: bool) -> None:
    assert maps(text) is is_mapped


def test_a_kind_of_tunnel_can_be_insisted_on() -> None:
    assert look_at("packet").tunnel == "packet"


@pytest.mark.parametrize(
    ("design", "said"),
    [
        (Design.TUNNELS, "tunnels by tap, sidecars known by mark 1337"),
        (Design.IN_POD, "no tunnels, sidecars known by mark 1337"),
    ],
)
def test_what_a_design_has_no_use_for_is_not_told(design: Design, said: str) -> None:
    assert Machine("tap", has_sidecar_uid=False).described(design) == said
