"""Every scenario, in the order of the tables, and the targets that the figures are held to. Pure values."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.plan import Code, Direction, Form, Kind, Logging, Pool, Scenario, Stage, Target

DOWNLOAD_BYTES = 16_000_000
"""What one answer of a download carries."""
TWO_WORKERS = "ours 2 workers"
"""The peer that is compared with one worker of ours."""
COMPILED, COMPILED_TWO_WORKERS = "ours compiled", "ours compiled 2 workers"
"""The same two with the hot modules compiled, where somebody has compiled them."""
ENVOY_TWO_WORKERS = "envoy 2 workers"
"""Envoy's own two, beside its one: no target is about them, they say what a second worker costs on this machine."""
WORKER_PAIRS = {"ours": TWO_WORKERS, COMPILED: COMPILED_TWO_WORKERS, "envoy": ENVOY_TWO_WORKERS}
"""Who runs with one worker, and the same with two."""
_COMPILED_OF = {"ours": COMPILED, TWO_WORKERS: COMPILED_TWO_WORKERS}
_SIZES = {"": (100, "100 bytes"), "-4k": (4096, "4 KiB"), "-64k": (65_536, "64 KiB")}
_AWAKE = {False: "", True: ", cores kept awake"}
_L7_NAMES = {Form.SIDECARS: "http", Form.WAYPOINT: "chain"}
_L7_TITLES = {Form.SIDECARS: "between sidecars", Form.WAYPOINT: "through sidecar, waypoint and node proxy"}


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s' * (count != 1)}"


def _bulk(streams: int, direction: Direction) -> Scenario:
    short = "up" if direction is Direction.UP else "down"
    title = f"bulk, {_plural(streams, 'stream')}, {direction}"
    return Scenario(f"bulk-{streams}-{short}", title, Kind.BULK, streams, direction)


def _rr(size: str, connections: int, *, awake: bool = False) -> Scenario:
    count, said = _SIZES[size]
    title = f"round trips of {said}, {_plural(connections, 'connection')}{_AWAKE[awake]}"
    name = f"rr{size}-{connections}{'-awake' * awake}"
    return Scenario(name, title, Kind.RR, connections, request=count, response=count, awake=awake)


def _connect(clients: int, logging: Logging, *, awake: bool = False) -> Scenario:
    suffix = "-quiet" * (logging is Logging.NONE) + "-awake" * awake
    title = f"new tunnels, {_plural(clients, 'client')}, {logging}{_AWAKE[awake]}"
    return Scenario(
        f"connect-{clients}{suffix}", title, Kind.CONNECT, clients, stage=Stage(logging=logging), awake=awake
    )


def _cold(clients: int) -> Scenario:
    title = f"new tunnels each with a TLS handshake, {_plural(clients, 'client')}, across namespaces"
    return Scenario(f"cold-{clients}", title, Kind.CONNECT, clients, stage=Stage(pool=Pool.COLD, apart=True))


def _http(form: Form, connections: int, logging: Logging) -> Scenario:
    said = "a line per request" if logging is Logging.TUNNEL else logging.value
    title = f"HTTP/1.1 GETs {_L7_TITLES[form]}, {_plural(connections, 'connection')}, {said}"
    name = f"{_L7_NAMES[form]}-{connections}{'-quiet' * (logging is Logging.NONE)}"
    return Scenario(name, title, Kind.HTTP, connections, stage=Stage(form, logging))


def _download(form: Form, connections: int) -> Scenario:
    title = f"HTTP/1.1 downloads {_L7_TITLES[form]}, {_plural(connections, 'connection')}"
    name = f"{_L7_NAMES[form]}-bulk-{connections}"
    return Scenario(name, title, Kind.DOWNLOAD, connections, response=DOWNLOAD_BYTES, stage=Stage(form))


def _apart(scenario: Scenario) -> Scenario:
    """The same from one namespace to another, over a virtual cable."""
    stage = replace(scenario.stage, apart=True)
    return replace(scenario, name=f"apart-{scenario.name}", title=f"{scenario.title}, across namespaces", stage=stage)


def _workers(scenario: Scenario) -> Scenario:
    """The same on one worker and on two of the same proxy."""
    title = f"{scenario.title}, 2 workers beside 1"
    return replace(scenario, name=f"workers-{scenario.name}", title=title, for_workers=True)


_BESIDE = Scenario("beside-8", "round trips of 100 bytes beside 8 bulk streams", Kind.BESIDE, 8, Direction.DOWN)
_IDLE = Scenario("idle-10000", "10,000 idle tunnels", Kind.IDLE, 10_000, fresh=True)
_SPLIT = Scenario("workers-split", "1,000 connections spread over 2 workers", Kind.IDLE, 1000, for_workers=True)
_ONE_EACH = (_bulk(8, Direction.DOWN), _rr("", 32), _connect(16, Logging.TUNNEL))
_SPREAD = (*_ONE_EACH, _rr("", 256))
"""For two workers. Of 256 connections half are still enough for a batch: what a second worker costs beyond that."""

SCENARIOS = (
    *(_bulk(streams, direction) for streams in (1, 8, 64) for direction in Direction),
    *(_rr(size, connections) for size in _SIZES for connections in (1, 32, 256)),
    _rr("", 1, awake=True),
    _BESIDE,
    *(_connect(clients, logging) for logging in Logging for clients in (1, 16)),
    _connect(1, Logging.TUNNEL, awake=True),
    *(_cold(clients) for clients in (1, 16)),
    _IDLE,
    *(_http(form, connections, logging) for form in _L7_NAMES for logging in Logging for connections in (1, 32)),
    *(_download(Form.WAYPOINT, connections) for connections in (1, 8)),
    *(_apart(scenario) for scenario in (*_ONE_EACH, _http(Form.WAYPOINT, 32, Logging.TUNNEL))),
    *(_workers(scenario) for scenario in _SPREAD),
    _SPLIT,
)

_LAYER_4 = [s for s in SCENARIOS if not (s.stage.apart or s.awake or s.for_workers)]
_SMALL_L4 = [s for s in _LAYER_4 if s.kind is Kind.RR]

TARGETS = (
    *(Target(s.name, "gbit_s", 1.1, 1.3, True) for s in _LAYER_4 if s.kind is Kind.BULK),
    *(Target(s.name, "cpu_s_per_gb", 0.95, 0.8, False) for s in _LAYER_4 if s.kind is Kind.BULK),
    *(Target(s.name, "per_second", 1.1, 1.5, True) for s in _SMALL_L4 if s.connections > 1),
    *(Target(s.name, "p50_us", 1.0, 0.8, False) for s in _SMALL_L4 if s.connections == 1),
    Target(_BESIDE.name, "times_quiet", 3, 2, False, against=None),
    *(Target(s.name, "per_second", 1.3, 2, True) for s in _LAYER_4 if s.kind is Kind.CONNECT),
    *(Target(_cold(clients).name, "per_second", 0.8, 1.0, True) for clients in (1, 16)),
    Target(_IDLE.name, "mb_per_1000", 1.0, 0.5, False),
    *(Target(s.name, "per_second", 0.5, 1.0, True) for s in _LAYER_4 if s.kind is Kind.HTTP),
    *(
        Target(_workers(s).name, key, 1.1, 1.0, False, against="ours", subject=TWO_WORKERS)
        for s, key in zip(_SPREAD, ("cpu_s_per_gb", *["cpu_us_per_op"] * 3), strict=True)
    ),
    Target(_SPLIT.name, "smaller_share", 35, 45, True, against=None, subject=TWO_WORKERS),
)


def targets_of(code: Code) -> list[Target]:
    """The targets as they are for one form of our code, in one order: what is ours in them is of that form."""
    if code is Code.PLAIN:
        return list(TARGETS)
    return [
        replace(t, subject=_COMPILED_OF[t.subject], against=_COMPILED_OF.get(t.against or "", t.against))
        for t in TARGETS
    ]


def choose_scenarios(words: list[str]) -> list[Scenario]:
    """Scenarios whose name is, or begins with, one of `words`; all without words. ValueError names an idle word."""
    if not words:
        return list(SCENARIOS)
    idle = [word for word in words if not any(_matches(s, word) for s in SCENARIOS)]
    if idle:
        known = ", ".join(s.name for s in SCENARIOS)
        raise ValueError(f"no scenario {', '.join(idle)}; there are: {known}")
    return [s for s in SCENARIOS if any(_matches(s, word) for word in words)]


def _matches(scenario: Scenario, word: str) -> bool:
    return scenario.name == word or scenario.name.startswith(f"{word}-")
