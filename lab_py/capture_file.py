"""What `run --pcap` writes: every device an interface, hops as comments, the proxies' TLS secrets inside [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab_py import pcapng

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lab_py.evidence.checks import Place
    from lab_py.evidence.recording import Sighting

WARNING = "holds TLS secrets: whoever reads it can decrypt what it shows"


def capture_file(places: Sequence[Place], sightings: Sequence[Sighting], secrets: Sequence[bytes], title: str) -> bytes:
    """The file.

    Args:
        places: the interfaces, `NAMESPACE DEVICE` by name.
        sightings: in the order of time, all at one of the places.
        secrets: what each process wrote to its key log.
        title: of the run, a comment of the whole file.
    """
    return b"".join(_blocks(places, sightings, secrets, title))


def _blocks(
    places: Sequence[Place], sightings: Sequence[Sighting], secrets: Sequence[bytes], title: str
) -> Iterator[bytes]:
    warning = f"{title}\nThis file {WARNING}." if any(secrets) else title
    yield pcapng.section("lab_py", warning)
    for namespace, device in places:
        yield pcapng.interface(f"{namespace} {device}", f"device {device} in network namespace {namespace}")
    if any(secrets):
        yield pcapng.tls_secrets(b"".join(secrets))
    numbers = {place: number for number, place in enumerate(places)}
    for one in sightings:
        comments = [f"hop ({hop.number}): {hop.title}" for hop in one.hops]
        yield pcapng.packet(numbers[one.place], one.frame.nanoseconds, one.frame.data, comments)
