"""Did the requests really go the way that they should? Judged from what was seen [pure].

The witnesses are not one proxy's own word: the applications' records of who called, the certificates that the standard
library's TLS is shown, and the counters of the proxies on both sides of each tunnel, which have to agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab_py.paths.evidence import find_line, samples
from lab_py.paths.mesh_text import WEIGHTS
from mesh_py.process.findings import Finding
from mesh_py.telemetry.log_lines import connection_fields, request_fields

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab_py.paths.evidence import Seen
    from lab_py.paths.plan import Hop, Path, Tunnel
    from lab_py.paths.world import Pod


@dataclass(frozen=True, slots=True)
class HopFound:
    """A hop after the fact."""

    hop: Hop
    line: str
    """What its receiver wrote, or the application recorded; empty: nothing."""
    findings: tuple[Finding, ...]
    identities: tuple[str, str] | None = None
    """Of an encrypted hop: who each end has proved to be; empty for who has not."""

    @property
    def is_so(self) -> bool:
        """Whether the request came this way."""
        return all(finding.is_so for finding in self.findings)


@dataclass(frozen=True, slots=True)
class PathFound:
    """A path after the fact."""

    path: Path
    seen: Seen
    server: Pod
    """Who served the request that is shown, or should have."""
    hops: tuple[HopFound, ...]
    findings: tuple[Finding, ...]

    @property
    def is_so(self) -> bool:
        """Whether all of it is as it should be."""
        return all(hop.is_so for hop in self.hops) and all(finding.is_so for finding in self.findings)

    @property
    def broken(self) -> str:
        """What was missed first, with the number of its hop."""
        for found in self.hops:
            for finding in found.findings:
                if not finding.is_so:
                    return f"at hop {found.hop.number}: {finding.text}"
        return next((finding.text for finding in self.findings if not finding.is_so), "")


def judge(path: Path, seen: Seen) -> PathFound:
    """What became of a path's requests."""
    server = who_served(path, seen)
    hops: list[HopFound] = []
    for hop in path.hops(server):
        before = hops[-1].line if hops else ""
        hops.append(_application(hop, path, seen, server) if not hop.receiver else _hop(hop, seen, before))
    findings = [_answer(path, seen, server), _only(path, seen, server)]
    if len(path.servers) > 1:
        findings += _versions(path, seen)
    return PathFound(path, seen, server, tuple(hops), tuple(findings))


def who_served(path: Path, seen: Seen) -> Pod:
    """Whose application has recorded the first request; the first who may serve if nobody has."""
    served = (pod for pod in path.servers if seen.calls_of(pod.label, seen.first.token))
    return next(served, path.servers[0])


def _hop(hop: Hop, seen: Seen, before: str) -> HopFound:
    line = find_line(seen.lines, hop, seen.first.token)
    findings = [_logged(hop, line, before)]
    if hop.tunnel is None:
        return HopFound(hop, line, tuple(findings))
    findings += [_shown(hop.tunnel, seen), _counted(hop.tunnel, seen)]
    return HopFound(hop, line, tuple(findings), _identities(hop.tunnel, seen))


def _logged(hop: Hop, line: str, before: str) -> Finding:
    if not line:
        said = _outcome(before)
        return Finding(False, f"{hop.receiver} logged nothing of it" + (f"; before it {said}" if said else ""))
    if error := connection_fields(line).get("error"):
        return Finding(False, f"{hop.receiver} logged an error: {error}")
    return Finding(True, f"{hop.receiver} logged it")


def _outcome(line: str) -> str:
    """How the proxy before fared, where its line tells."""
    request = request_fields(line)
    if request:
        flags, details = request["response_flags"], request["response_code_details"]
        return f"the answer was {request['response_code']} {flags} {details}".rstrip(" -")
    return connection_fields(line).get("error", "")


def _shown(tunnel: Tunnel, seen: Seen) -> Finding:
    there = tunnel.destination
    identity, refuses = seen.shown.get(there.proxy, ("", False))
    if identity == str(there.identity) and refuses:
        return Finding(True, f"the standard library's TLS finds it there, and a stranger is refused at {there.hbone}")
    strangers = "refuses" if refuses else "does not refuse"
    return Finding(False, f"{there.hbone} proves to be {identity or 'nobody'}, and {strangers} a stranger")


def _counted(tunnel: Tunnel, seen: Seen) -> Finding:
    """Requests on both sides are equal; where a proxy counts tunnels, some serve several requests."""
    here = sum(count for _, count in samples(seen.metrics.get(tunnel.sent.process, ""), tunnel.sent))
    there = sum(count for _, count in samples(seen.metrics.get(tunnel.received.process, ""), tunnel.received))
    is_equal = tunnel.sent.family == tunnel.received.family
    is_so = here == there > 0 if is_equal else 0 < there <= max(here, 1) and here > 0
    units = [_unit(one.family, count) for one, count in ((tunnel.sent, here), (tunnel.received, there))]
    return Finding(is_so, f"{tunnel.sent.process} counted {units[0]} to it, {tunnel.received.process} {units[1]}")


def _unit(family: str, count: int) -> str:
    thing = "request" if "requests" in family else "tunnel"
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def _identities(tunnel: Tunnel, seen: Seen) -> tuple[str, str]:
    """The caller by the counters of who was called, the called by the certificate that it shows."""
    received = samples(seen.metrics.get(tunnel.received.process, ""), tunnel.received)
    source = next((labels["source_principal"] for labels, _ in received), "")
    return source, seen.shown.get(tunnel.destination.proxy, ("", False))[0]


def _application(hop: Hop, path: Path, seen: Seen, server: Pod) -> HopFound:
    calls = seen.calls_of(server.label, seen.first.token)
    if len(calls) != 1:
        finding = Finding(False, f"the application of {server.label} recorded {len(calls)} calls with the token")
        return HopFound(hop, "", (finding,))
    call = calls[0]
    expected = "127.0.0.6" if server.beside else (path.waypoint or path.client).ip
    peer = call["peer"].rpartition(":")[0]
    told = call["headers"].get("x-forwarded-client-cert", "")
    line = f"{call['time']} {call['method']} {call['path']} peer={call['peer']} local={call['local']}"
    line += f' x-forwarded-client-cert="{told}"' if told else ""
    findings = [Finding(peer == expected, f"its application recorded the call, from {peer}")]
    if server.beside:
        is_named = f"URI={path.client.identity}" in told
        findings.append(Finding(is_named, f"and was told that its caller is {path.client.identity}"))
    return HopFound(hop, line, tuple(findings))


def _answer(path: Path, seen: Seen, server: Pod) -> Finding:
    first = seen.first
    if not first.status:
        return Finding(False, f"there was no answer: {first.body}")
    echoed = server.name if len(path.servers) > 1 else first.token
    is_so = first.status == 200 and echoed in first.body
    return Finding(is_so, f"the answer is {first.status}, with {echoed}{'' if echoed in first.body else ' not'} in it")


def _only(path: Path, seen: Seen, server: Pod) -> Finding:
    elsewhere = {pod: len(calls) for pod, calls in seen.calls.items() if calls}
    for pod in path.servers:
        elsewhere.pop(pod.label, None)
    twice = len(seen.calls_of(server.label, seen.first.token)) > 1
    told = ", ".join(f"{pod}: {count}" for pod, count in elsewhere.items())
    return Finding(not elsewhere and not twice, f"calls with the token at any other application: {told or 'none'}")


def _versions(path: Path, seen: Seen) -> Iterator[Finding]:
    """Both versions serve by weight; the header forces one. By the applications' own records."""
    by_weight = _served(path, seen, "")
    total, fine = sum(by_weight.values()), [one for one in seen.sent if not one.version and one.status == 200]
    shares = ", ".join(f"{name} {count}" for name, count in by_weight.items())
    is_split = all(by_weight.values()) and total == len(fine) == sum(not one.version for one in seen.sent)
    weights = ":".join(map(str, WEIGHTS))
    yield Finding(is_split, f"{total} requests went to both versions by weight ({weights}): {shares}")
    for version in sorted({one.version for one in seen.sent if one.version}):
        served = _served(path, seen, version)
        asked = sum(one.version == version for one in seen.sent)
        right = served[f"helloworld-{version}"]
        is_so = right == asked == sum(served.values())
        yield Finding(is_so, f"{right} of {asked} requests with x-version: {version} went to helloworld-{version}")


def _served(path: Path, seen: Seen, version: str) -> dict[str, int]:
    tokens = [one.token for one in seen.sent if one.version == version]
    return {pod.name: sum(len(seen.calls_of(pod.label, token)) for token in tokens) for pod in path.servers}
