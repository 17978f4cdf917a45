"""15000: what the proxy knows, how loudly it talks, and its off switch (hbone-controlplane 7.2)."""

from __future__ import annotations

import asyncio
import html
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from mesh_py.admin.heap import HeapError, allocations_are_noted, heap_profile, note_allocations
from mesh_py.admin.http_server import HttpServer, serve_http, text, wrong_method
from mesh_py.admin.loopback_only import is_meant_for_us
from mesh_py.admin.pprof import encode_pprof
from mesh_py.admin.profile import Profile, ProfileError, ProfileRequest, collapsed, profile_this_process, speedscope
from mesh_py.telemetry.log_filter import LogFilterError

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from mesh_py.admin.http_server import Handler
    from mesh_py.telemetry.logs import Logs

log = logging.getLogger("admin")


@dataclass(frozen=True, slots=True)
class AdminSurface:
    """What the admin server shows and does; the role that starts it decides how."""

    config_dump: Callable[[], Awaitable[dict[str, Any]]]
    """The whole state (`config_dump.assemble_config_dump`)."""
    log_filter: Callable[[str | None, bool], Awaitable[str]]
    """Given clauses to add, or None to change nothing, and whether to start from the first filter: the filter now.
    Raises LogFilterError."""
    shutdown: Callable[[], Awaitable[None]]
    """Begin to drain, and wait for its end. Cancelling the wait must not cancel the drain."""
    shutdown_deadline: float
    """Seconds after which `/quitquitquit` answers although the drain goes on."""
    readiness: Callable[[], tuple[int, str]]
    profile: Callable[[ProfileRequest], Awaitable[Profile]] | None = None
    """None samples this process."""
    component: str = "ztunnel"
    is_one_process: bool = True
    """False: others do the work, whose memory cannot be looked at from here."""


def filter_of(logs: Logs) -> Callable[[str | None, bool], Awaitable[str]]:
    """`AdminSurface.log_filter` of a process that writes all its lines itself."""

    async def ask(clauses: str | None, reset: bool) -> str:
        if clauses is not None or reset:
            logs.change(clauses or "", reset=reset)
        return str(logs.filter)

    return ask


def serve_admin(
    sockets: Sequence[socket.socket], surface: AdminSurface, more: Mapping[str, Handler] | None = None
) -> AbstractAsyncContextManager[HttpServer]:
    """Serve the admin surface on sockets bound to loopback addresses; `more` are a role's own pages."""
    admin = _Admin(surface, more or {})
    routes: dict[str, Handler] = {
        "/": admin.index,
        "/config_dump": admin.config_dump,
        "/logging": admin.logging,
        "/quitquitquit": admin.quit,
        "/healthz/ready": admin.ready,
        "/debug/pprof/profile": admin.profile,
        "/debug/pprof/heap": admin.heap,
        "/debug/pprof/heap/profiling": admin.heap_profiling,
        **(more or {}),
    }
    return serve_http(sockets, routes, middlewares=[local_requests_only])


@web.middleware
async def local_requests_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    """See `loopback_only`: the listener keeps other machines out, this keeps web pages out."""
    told = request.headers.get
    if not is_meant_for_us(told("Host"), told("Origin"), told("Sec-Fetch-Site")):
        return text(403, "this port answers requests for localhost only\n")
    return await handler(request)


_PAGES = (
    ("config_dump", "GET", "the configuration and discovered state, as JSON"),
    ("logging", "POST", "the log filter; ?level=debug or ?level=access=debug,info adds to it, ?reset starts over"),
    ("quitquitquit", "POST", "drain and end"),
    ("healthz/ready", "GET", "whether the proxy is ready"),
    ("debug/pprof/profile", "GET", "CPU profile; ?seconds=10&frequency=100&format=pprof, collapsed or speedscope"),
    ("debug/pprof/heap", "GET", "memory held, by where it was asked for, in pprof's form"),
    ("debug/pprof/heap/profiling", "GET", "whether that is noted; ?activate=true or false"),
)

LOGGING_HELP = """
usage: POST /logging                              (to see the filter)
usage: POST /logging?level=<level>                (to change the level of everything)
usage: POST /logging?level=<scope>=<level>,...    (to change the level of scopes)
usage: POST /logging?reset                        (to go back to the filter of the start)

levels: error, warn, info, debug, trace, off
scopes: access, dns, or any other that a line names, such as state or proxy
"""


class _Admin:
    def __init__(self, surface: AdminSurface, more: Mapping[str, Handler]) -> None:
        self._surface = surface
        self._pages = (*_PAGES, *((path.removeprefix("/"), "GET", "as Envoy has it") for path in more))
        self._profiling = asyncio.Lock()

    async def index(self, _: web.Request) -> web.Response:
        rows = "".join(map(_row, self._pages))
        name = html.escape(self._surface.component)
        page = f"<!doctype html><title>{name}</title><h1>{name}</h1><table>{rows}</table>\n"
        policy = "default-src 'none'"
        return text(200, page, "text/html; charset=utf-8", content_security_policy=policy)

    async def config_dump(self, _: web.Request) -> web.Response:
        dump = await self._surface.config_dump()
        body = await asyncio.to_thread(pretty_json, dump)
        return web.Response(body=body, content_type="application/json")

    async def logging(self, request: web.Request) -> web.Response:
        if request.method != "POST":
            return wrong_method("POST", f"Invalid HTTP method\n{LOGGING_HELP}")
        level = request.query.get("level")
        reset = "reset" in request.query
        clauses = (level or "") if reset or level is not None else None
        try:
            now = await self._surface.log_filter(clauses, reset)
        except LogFilterError as error:
            return text(400, f"Invalid level provided: {error}\n{LOGGING_HELP}")
        return text(200, f"current log level is {now}\n")

    async def quit(self, request: web.Request) -> web.Response:
        if request.method != "POST":
            return wrong_method("POST")
        log.warning("shutdown asked for on the admin port")
        try:
            await asyncio.wait_for(self._surface.shutdown(), self._surface.shutdown_deadline)
        except TimeoutError:
            log.warning("drain not over after %s s, answering now", self._surface.shutdown_deadline)
        return text(200, "shutdown now\n")

    async def ready(self, request: web.Request) -> web.Response:
        if request.method not in ("GET", "HEAD"):
            return wrong_method("GET, HEAD")
        return text(*self._surface.readiness())

    async def profile(self, request: web.Request) -> web.Response:
        if request.method != "GET":
            return wrong_method("GET")
        try:
            wanted, form = _profile_request(request)
        except ValueError as error:
            return text(400, f"{error}\n")
        if self._profiling.locked():
            return text(409, "a profile is being taken\n")
        async with self._profiling:
            try:
                profile = await (self._surface.profile or profile_this_process)(wanted)
            except ProfileError as error:
                return text(500, f"{error}\n")
        return _in_form(form, profile, self._surface.component)

    async def heap(self, request: web.Request) -> web.Response:
        if request.method != "GET":
            return wrong_method("GET")
        if not self._surface.is_one_process:
            return text(500, _OTHERS_HEAP)
        try:
            return web.Response(body=await asyncio.to_thread(heap_profile), content_type=_BYTES)
        except HeapError as error:
            return text(500, f"{error}\n")

    async def heap_profiling(self, request: web.Request) -> web.Response:
        if request.method != "GET":
            return wrong_method("GET")
        if not self._surface.is_one_process:
            return text(500, _OTHERS_HEAP)
        wanted = request.query.get("activate")
        if wanted not in (None, "true", "false"):
            return text(400, "activate must be true or false\n")
        if wanted is not None:
            note_allocations(wanted=wanted == "true")
        return text(200, f"heap profiling active: {str(allocations_are_noted()).lower()}\n")


_BYTES = "application/octet-stream"
_OTHERS_HEAP = "the work is done by several processes: look at one, with --workers 1\n"


def _profile_request(request: web.Request) -> tuple[ProfileRequest, str]:
    form = request.query.get("format", "pprof")
    if form not in ("pprof", "collapsed", "speedscope"):
        raise ValueError("format must be pprof, collapsed or speedscope")
    try:
        seconds = float(request.query.get("seconds", "10"))
        frequency = int(request.query.get("frequency", "100"))
    except ValueError:
        raise ValueError("seconds and frequency must be numbers") from None
    return ProfileRequest(seconds, frequency), form


def _in_form(form: str, profile: Profile, component: str) -> web.Response:
    if form == "speedscope":
        return text(200, speedscope(profile, component), "application/json")
    if form == "collapsed":
        return text(200, collapsed(profile))
    times = {stack: (microseconds * 1000,) for stack, microseconds in profile.items()}
    return web.Response(body=encode_pprof(times), content_type=_BYTES)


def pretty_json(value: Any) -> bytes:
    """JSON for people, and for tools all the same."""
    return msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=2) + b"\n"


def _row(page: tuple[str, str, str]) -> str:
    path, method, text = page
    name = f'<a href="{path}">{path}</a>' if method == "GET" else path
    return f"<tr><td>{name}<td>{method}<td>{html.escape(text)}"
