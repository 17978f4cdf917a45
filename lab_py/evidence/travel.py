"""How a request travelled to the pod that serves it, by what was on the wire [pure]."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from lab_py.evidence.checks import Finding
from lab_py.evidence.packets import HTTP, ISTIO_TLS
from lab_py.redirect.names import HBONE_PORT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab_py.evidence.checks import Observed, Place
    from lab_py.evidence.packets import Packet
    from lab_py.topology import Pod


class Carriage(Enum):
    """What a request is in."""

    PLAIN = "plain"
    """Bytes of HTTP that anybody on the way can read."""
    HBONE = "HBONE"
    """A tunnel to the pod's port 15008."""
    INSIDE = "HBONE inside"
    """A tunnel that never leaves the one ztunnel of both pods: identities count, and no packet is seen."""
    MTLS = "Istio mTLS"
    """TLS to the pod's own port, with Istio's protocol names."""
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Travelled:
    """A request came to a pod in this way."""

    source: Pod
    destination: Pod
    carriage: Carriage | None
    """None: whatever was seen is told, and judged by nobody."""

    @property
    def places(self) -> Iterator[Place]:
        """Where it would be seen: where it leaves, where it arrives, and at the ztunnels in between."""
        for namespace in (self.source.name, self.source.node.ztunnel, self.destination.node.ztunnel):
            yield namespace, "eth0"
        yield self.destination.name, "eth0"

    def judge(self, observed: Observed) -> Finding:
        """See `Check`."""
        found, shown = self._seen(observed)
        where = f"{self.source.name} > {self.destination.name}"
        expected = "anything" if self.carriage is None else self.carriage.value
        is_so = self.carriage is None or found is self.carriage
        return Finding("wire", where, expected, f"{found.value}{shown}", is_so)

    def _seen(self, observed: Observed) -> tuple[Carriage, str]:
        """The strongest first: a tunnel ends in a proxy, which goes on in the clear."""
        arriving = [
            (place, packet)
            for place in dict.fromkeys(self.places)
            for packet in observed.packets.get(place, ())
            if packet.destination[0] == self.destination.ip
        ]
        tunnel = [one for one in arriving if one[1].destination[1] == HBONE_PORT]
        if tunnel:
            return Carriage.HBONE, _first(tunnel)
        if self._is_tunnelled_inside(observed):
            return (
                Carriage.INSIDE,
                f": {self.destination.node.ztunnel} knows the caller, and nothing went to {HBONE_PORT}",
            )
        for carriage, content in ((Carriage.MTLS, ISTIO_TLS), (Carriage.PLAIN, HTTP)):
            carrying = [one for one in arriving if one[1].carries == content]
            if carrying:
                return carriage, _first(carrying)
        return Carriage.NOTHING, ""

    def _is_tunnelled_inside(self, observed: Observed) -> bool:
        lines = observed.logs.get(self.destination.node.ztunnel, ())
        return any(line.get("direction") == "inbound" and "dst.hbone_addr" in line for line in lines)


@dataclass(frozen=True, slots=True)
class Refused:
    """The request got no answer from the application, which never heard of it."""

    application: str

    def judge(self, observed: Observed) -> Finding:
        """See `Check`."""
        how = f"status {observed.status}" if observed.status else f"no answer: {observed.answer}"
        text = f"{how}; the application recorded {len(observed.calls)} calls"
        is_so = observed.status in (0, 403, 503) and not observed.calls
        return Finding("call", self.application, "refused", text, is_so)


def _first(seen: list[tuple[Place, Packet]]) -> str:
    place, packet = seen[0]
    return f": {packet} at {' '.join(place)}"
