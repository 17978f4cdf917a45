"""What telemetry is told about a connection: who is at either end, and what was asked for [pure].

The roles build these once per workload, service and pair; a connection then only carries a reference.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from hbone_py.baggage import Baggage
    from mesh_py.model.workload import Service, Workload

Reporter = Literal["source", "destination", "waypoint"]
"""Which proxy speaks: the one beside the client, the one beside the server, or the one between them."""

MAX_CLAIM = 256
"""Longest text taken from a peer's baggage; whoever sends more fills no memory of ours."""

_PARTIES_KEPT = 100_000
_CLAIMS_KEPT = 10_000


@dataclass(frozen=True, slots=True, eq=False)
class Party:
    """One end of a connection, as labels and log lines name it. Empty text is unknown.

    Compared by identity: two built from one workload are two parties, so build one and keep it (`Parties`).
    """

    name: str = ""
    """The pod; the log's `workload`."""
    workload: str = ""
    """The pod's owner, such as a deployment; the metrics' `workload`."""
    namespace: str = ""
    canonical_service: str = ""
    canonical_revision: str = ""
    app: str = ""
    version: str = ""
    cluster: str = ""
    region: str = ""
    zone: str = ""
    identity: str = ""
    """The SPIFFE identity it is configured with (for the inner end of a nested tunnel: the one it proved)."""

    @staticmethod
    def of_workload(workload: Workload) -> Party:
        """A workload that discovery knows (hbone-dataplane 7.4)."""
        return Party(
            name=workload.name,
            workload=workload.workload_name,
            namespace=workload.namespace,
            canonical_service=workload.canonical_name,
            canonical_revision=workload.canonical_revision,
            app=workload.canonical_name,
            version=workload.canonical_revision,
            cluster=workload.cluster_id,
            region=workload.locality.region,
            zone=workload.locality.zone,
            identity=str(workload.identity),
        )

    @staticmethod
    def of_baggage(baggage: Baggage, identity: str = "") -> Party:
        """A workload known only by what its proxy says; its `app` is the workload (hbone-dataplane 7.4).

        `identity` is what TLS proved, where that is what `destination_principal` shall be.
        """
        service, workload = baggage.service[:MAX_CLAIM], baggage.workload[:MAX_CLAIM]
        return Party(
            name=service,
            workload=workload,
            namespace=baggage.namespace[:MAX_CLAIM],
            canonical_service=service,
            canonical_revision=baggage.revision[:MAX_CLAIM],
            app=workload,
            version=baggage.revision[:MAX_CLAIM],
            cluster=baggage.cluster[:MAX_CLAIM],
            region=baggage.region[:MAX_CLAIM],
            zone=baggage.zone[:MAX_CLAIM],
            identity=identity,
        )


class ServiceFacts(NamedTuple):
    """The service a client meant."""

    hostname: str
    namespace: str
    name: str

    @staticmethod
    def of_service(service: Service) -> ServiceFacts:
        """A service that discovery knows."""
        return ServiceFacts(service.hostname, service.namespace, service.name)


class ConnectionFacts(NamedTuple):
    """What connections of one kind have in common; hashes in well under a microsecond."""

    reporter: Reporter
    source: Party | None
    destination: Party | None
    service: ServiceFacts | None = None
    mutual_tls: bool = False
    """Whether the connection to the other side is HBONE."""
    source_principal: str = ""
    """The client's identity as TLS proved it: our own outbound, the peer's inbound, empty for plain TCP."""


class Parties:
    """One `Party` per workload as discovery last described it, and per claim that peers make."""

    def __init__(self) -> None:
        self._by_uid: dict[str, tuple[Workload, Party]] = {}
        self._by_claim: dict[tuple[Baggage, str], Party] = {}

    def of(self, workload: Workload) -> Party:
        """The same party for the same workload object; a new one after an update."""
        known = self._by_uid.get(workload.uid)
        if known is not None and known[0] is workload:
            return known[1]
        if len(self._by_uid) >= _PARTIES_KEPT:  # deleted workloads are never told to us
            self._by_uid.clear()
        party = Party.of_workload(workload)
        self._by_uid[workload.uid] = (workload, party)
        return party

    def of_known(self, workload: Workload | None) -> Party | None:
        """The same, None for who is not known."""
        return None if workload is None else self.of(workload)

    def claimed(self, baggage: Baggage, identity: str = "") -> Party:
        """The same party for equal baggage and identity, unless it claims too much (see `Party.of_baggage`)."""
        party = self._by_claim.get((baggage, identity))
        if party is None:
            party = Party.of_baggage(baggage, identity)
            if all(len(text) <= MAX_CLAIM for text in astuple(baggage)):  # what is longer would be kept whole
                if len(self._by_claim) >= _CLAIMS_KEPT:
                    self._by_claim.clear()
                self._by_claim[baggage, identity] = party
        return party
