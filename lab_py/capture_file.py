"""What `run --pcap` writes: every device an interface, hops as comments, the proxies' TLS secrets inside [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab_py import pcapng

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lab_py.evidence.checks import Place
    from lab_py.evidence.recording import Sighting
    from lab_py.inner.streams import InnerPacket

INNER = "inside HBONE"
"""The interface of what was inside the tunnels."""
WARNING = "holds TLS secrets: whoever reads it can decrypt what it shows"


def capture_file(
    places: Sequence[Place],
    sightings: Sequence[Sighting],
    secrets: Sequence[bytes],
    title: str,
    inner: Sequence[InnerPacket] = (),
) -> bytes:
    """The file.

    Args:
        places: the interfaces, `NAMESPACE DEVICE` by name.
        sightings: in the order of time, all at one of the places.
        secrets: what each process wrote to its key log.
        title: of the run, a comment of the whole file.
        inner: what was inside the tunnels, in the order of time: one more interface, where there is something.
    """
    return b"".join(_blocks(places, sightings, secrets, title, inner))


def _blocks(
    places: Sequence[Place],
    sightings: Sequence[Sighting],
    secrets: Sequence[bytes],
    title: str,
    inner: Sequence[InnerPacket],
) -> Iterator[bytes]:
    warning = f"{title}\nThis file {WARNING}." if any(secrets) else title
    yield pcapng.section("lab_py", warning)
    for namespace, device in places:
        yield pcapng.interface(f"{namespace} {device}", f"device {device} in network namespace {namespace}")
    if inner:
        yield pcapng.interface(INNER, "what was inside the HBONE tunnels: on no device", pcapng.RAW)
    if any(secrets):
        yield pcapng.tls_secrets(b"".join(secrets))
    seen = [*_seen(places, sightings), *_inside(len(places), inner)]
    for _, block in sorted(seen, key=lambda one: one[0]):
        yield block


def _seen(places: Sequence[Place], sightings: Sequence[Sighting]) -> Iterator[tuple[int, bytes]]:
    numbers = {place: number for number, place in enumerate(places)}
    for one in sightings:
        comments = [f"hop ({hop.number}): {hop.title}" for hop in one.hops]
        at = one.frame.nanoseconds
        yield at, pcapng.packet(numbers[one.place], at, one.frame.data, comments)


def _inside(number: int, inner: Sequence[InnerPacket]) -> Iterator[tuple[int, bytes]]:
    for one in inner:
        yield one.nanoseconds, pcapng.packet(number, one.nanoseconds, one.data, one.comments)
