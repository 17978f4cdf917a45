"""What `--stub-backends` says at its start: who stands where, and lines to copy [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hbone_py.aio.tcp import show

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mesh_py.discovery.stub_places import Place, Trial
    from ztunnel_py.config import Settings

MOST_ROWS = 60
"""A larger mesh is looked up in `/config_dump`."""


def banner(
    places: Sequence[Place], originals: Mapping[str, str], trial: Trial | None, settings: Settings
) -> Iterator[str]:
    """The lines. `originals` are the mesh's own addresses (`network/ip`) by what stands for them."""
    yield ""
    yield f"{len(places)} workloads stand on loopback, their applications are stand-ins, their certificates throw-away"
    yield ""
    rows = [("workload", "in the mesh", "here", "ports"), *(row for place in places for row in _rows(place, originals))]
    widths = [max(len(row[column]) for row in rows[: MOST_ROWS + 1]) for column in range(3)]
    for row in rows[: MOST_ROWS + 1]:
        cells = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False))
        yield f"  {'  '.join((*cells, row[3]))}".rstrip()
    admin = show((settings.local_bind, settings.ports.admin))
    if len(rows) > MOST_ROWS + 1:
        yield f"  and {len(rows) - MOST_ROWS - 1} more: curl -s {admin}/config_dump, stubBackends"
    yield ""
    yield from _what_to_try(places, trial, settings)
    yield ""


def _rows(place: Place, originals: Mapping[str, str]) -> Iterator[tuple[str, str, str, str]]:
    ports = ",".join(map(str, place.ports)) or "-"
    for ip in place.ips:
        yield f"{place.namespace}/{place.name}", originals.get(ip, "").removeprefix("/"), ip, ports


def _what_to_try(places: Sequence[Place], trial: Trial | None, settings: Settings) -> Iterator[str]:
    if trial is None or not settings.socks5_enabled:
        return
    curl = f"curl --socks5-hostname {show((settings.local_bind, settings.ports.socks5))}"
    url = f"http://{trial.hostname}:{trial.port}/"
    yield f"Try, as {settings.socks_as}:"
    yield f"  {curl} {url}"
    if settings.dns is not None:
        yield f"  dig @{settings.dns.host} -p {settings.dns.port} {trial.hostname} +short"
    for place in (place for place in places if place.ips and f"{place.namespace}/{place.name}" != settings.socks_as):
        yield f"As {place.namespace}/{place.name}, or whoever has the address:"
        yield f"  {curl} --interface {place.ips[0]} {url}"
        return
