"""What a workload asks of its peers, level by level (hbone-controlplane 4.7)."""

from __future__ import annotations

import pytest

from mesh_py.manifests.metadata import Metadata
from mesh_py.manifests.peer_modes import PeerMode, PeerModes
from mesh_py.manifests.security import MutualTls, PeerAuthentication

ROOT = "istio-system"
UNSET, DISABLE, PERMISSIVE, STRICT = MutualTls.UNSET, MutualTls.DISABLE, MutualTls.PERMISSIVE, MutualTls.STRICT
WEB = {"app": "web"}


def peers(
    mode: MutualTls,
    namespace: str = "shop",
    selector: dict[str, str] | None = None,
    ports: dict[int, MutualTls] | None = None,
    order: int = 0,
) -> PeerAuthentication:
    return PeerAuthentication(Metadata(f"p{order}", namespace, order=order), selector, mode, ports or {})


@pytest.mark.parametrize(
    ("objects", "expected"),
    [
        pytest.param([], PeerMode(PERMISSIVE), id="nothing"),
        pytest.param([peers(STRICT, ROOT)], PeerMode(STRICT), id="the mesh"),
        pytest.param([peers(STRICT, ROOT), peers(DISABLE)], PeerMode(DISABLE), id="the namespace"),
        pytest.param([peers(STRICT), peers(PERMISSIVE, selector=WEB)], PeerMode(PERMISSIVE), id="the workload"),
        pytest.param([peers(STRICT, ROOT), peers(UNSET)], PeerMode(STRICT), id="UNSET inherits"),
        pytest.param([peers(UNSET, ROOT)], PeerMode(PERMISSIVE), id="UNSET with nothing above"),
        pytest.param([peers(STRICT, selector={})], PeerMode(STRICT), id="an empty selector is none"),
        pytest.param([peers(STRICT, selector={"app": "db"})], PeerMode(PERMISSIVE), id="another workload"),
        pytest.param([peers(STRICT, ROOT, WEB)], PeerMode(PERMISSIVE), id="a selector in the root namespace"),
        pytest.param([peers(STRICT, order=2), peers(DISABLE, order=1)], PeerMode(DISABLE), id="the older counts"),
        pytest.param(
            [peers(STRICT), peers(UNSET, selector=WEB, ports={80: DISABLE, 81: UNSET})],
            PeerMode(STRICT, {80: DISABLE}),
            id="ports",
        ),
        pytest.param([peers(STRICT, ports={80: DISABLE})], PeerMode(STRICT), id="ports without a selector"),
    ],
)
def test_the_mode_in_force(objects: list[PeerAuthentication], expected: PeerMode) -> None:
    assert PeerModes(objects, ROOT).levels("shop", WEB).resolve() == expected


def test_a_port_has_its_own_mode_or_that_of_the_others() -> None:
    mode = PeerMode(STRICT, {80: DISABLE})
    assert (mode.at(80), mode.at(81)) == (DISABLE, STRICT)


def test_the_root_namespace_is_the_mesh_to_its_own_workloads_too() -> None:
    levels = PeerModes([peers(STRICT, ROOT)], ROOT).levels(ROOT, WEB)
    assert (levels.resolve().mode, levels.namespace) == (STRICT, None)


def test_what_nothing_ever_obeys() -> None:
    objects = [
        peers(STRICT, order=1),
        peers(STRICT, order=2),
        peers(STRICT, ROOT, WEB, order=3),
        peers(STRICT, "other", ports={80: DISABLE}, order=4),
        peers(STRICT, selector=WEB, ports={80: DISABLE}, order=5),
    ]
    found = {one.metadata.name: why for one, why in PeerModes(objects, ROOT).without_effect(objects)}
    assert found == {
        "p2": "shop/p1 is older and counts for the whole namespace",
        "p3": "a selector in the root namespace selects nothing",
        "p4": "ports have modes of their own only together with a selector",
    }
