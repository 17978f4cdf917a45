"""A role's embedded world at a console: served until it is told to end, or with requests that are judged before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic

from mesh_py.process.console import Console
from mesh_py.process.embedded import Files, Running, World, running_world
from mesh_py.process.heard import Heard
from mesh_py.process.run_loop import started
from mesh_py.process.waiting import unless_stopped

if TYPE_CHECKING:
    import datetime
    from collections.abc import Callable, Coroutine, Mapping
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path
    from typing import Any

_INTERRUPTED = 130
"""The exit status after Ctrl-C, as of a shell."""


@dataclass(frozen=True, slots=True)
class WorldCommand(Generic[World, Files]):
    """What a role's `embedded.py` says of its world."""

    lay_out: Callable[[World, Path, datetime.datetime], Files]
    """Writes its files into a folder. May raise OSError."""
    prefix: str
    """How the name of a temporary folder for them begins."""
    name_styles: Mapping[str, str]
    """How lines of the world's processes are told apart at a terminal."""
    print_banner: Callable[[Console, Running[World, Files]], None]
    """What runs where."""
    print_what_to_try: Callable[[Console, Running[World, Files]], None]
    """Lines to copy."""

    def up(
        self, world: World, state_dir: Path | None, environment: Mapping[str, str], heard: Callable[[str, str], None]
    ) -> AbstractAsyncContextManager[Running[World, Files]]:
        """The world, up as long as the context: see `running_world`."""
        return running_world(world, self.lay_out, state_dir, environment, heard, prefix=self.prefix)

    def serve(self, world: World, state_dir: Path | None, environment: Mapping[str, str]) -> int:
        """Serve until told to end; the exit status."""
        return started(self._serve(world, state_dir, environment), "asyncio")

    def demo(
        self,
        world: World,
        state_dir: Path | None,
        requests: Callable[[Console, Running[World, Files], Heard], Coroutine[Any, Any, bool]],
        *,
        once: bool,
    ) -> int:
        """Send requests and judge them, then serve unless `once`; the exit status.

        `requests` answers whether all went as they should; from `Heard` it learns what the processes have written.
        """
        return started(self._demo(world, state_dir, requests, once=once), "asyncio")

    async def _serve(self, world: World, state_dir: Path | None, environment: Mapping[str, str]) -> int:
        console = Console(name_styles=self.name_styles)
        async with self.up(world, state_dir, environment, console.heard) as running:
            self.print_banner(console, running)
            self.print_what_to_try(console, running)
            return await running.family.serve_until_told(console)

    async def _demo(
        self,
        world: World,
        state_dir: Path | None,
        requests: Callable[[Console, Running[World, Files], Heard], Coroutine[Any, Any, bool]],
        *,
        once: bool,
    ) -> int:
        console = Console(name_styles=self.name_styles)
        heard = Heard(console)
        async with self.up(world, state_dir, {}, heard.heard) as running:
            self.print_banner(console, running)
            proved = await unless_stopped(requests(console, running, heard), running.family.stop)
            if proved is None:
                return _INTERRUPTED
            if once or not proved:
                return 0 if proved else 1
            heard.go_live()
            console.say()
            self.print_what_to_try(console, running)
            return await running.family.serve_until_told(console)
