"""Running a role's command line: its exit status, completion, and one clear line for whatever is wrong."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mesh_py.process.complaints import complain
from mesh_py.settings.source import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Command = TypeVar("Command", bound=Callable[..., Any])

INTERRUPTED = 130
"""The exit status after Ctrl-C."""
_FORM_VARIABLE = "HBONE_FORM"
"""What `hbone_py.aio.form` names where it cannot give the form that this variable asks for."""


def run_command(command: click.Command, arguments: Sequence[str], *, script: str, module: str) -> int:
    """Run a command line; the exit status.

    Args:
        script: what it is called where it is installed, such as `ztunnel-py`.
        module: what `python -m` takes.
    """
    name = f"python -m {module}" if Path(sys.argv[0]).name == "__main__.py" else script
    try:
        status = command.main(list(arguments), name, _complete_variable(script), standalone_mode=False)
    except click.UsageError as error:
        return complain(f"{error.format_message().rstrip('.')}: {name} --help lists what there is")
    except click.ClickException as error:
        return complain(error.format_message())
    except SettingsError as error:
        return complain(str(error))
    except ImportError as error:
        if error.name != _FORM_VARIABLE:
            raise
        return complain(str(error))
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        return _disk_full(error)
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    return status if isinstance(status, int) else 0


def _disk_full(error: OSError) -> int:
    """What was to be said has no room. The interpreter would try once more as it ends, and fail in its own words."""
    complain(f"{error.filename or 'standard output'}: no space left: make room, or write somewhere else")
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


def version_option(script: str) -> Callable[[Command], Command]:
    """`--version`: the release, and in which form its hot modules run, as the start-up log says it.

    The form is known only where the modules are, so they are loaded if it is asked for, and not before.
    """

    def show(context: click.Context, parameter: click.Parameter, asked: bool) -> None:
        if not asked:
            return
        from importlib.metadata import version

        from hbone_py.aio.native import FORM

        click.echo(f"{script}, version {version('hbone-mesh')}, hot modules {FORM}")
        context.exit()

    words = "Show the version and exit."
    return click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=show, help=words)


def add_completion(group: click.Group, script: str) -> None:
    """Give a role's command the command `completion`."""

    @group.command(help=f'The completion script of a shell: eval "$({script} completion bash)"')
    @click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
    def completion(shell: str) -> int:
        """Completes flags and commands of the installed command."""
        from click.shell_completion import get_completion_class

        found = get_completion_class(shell)
        assert found is not None, "click knows the three"
        click.echo(found(group, {}, script, _complete_variable(script)).source())
        return 0


def _complete_variable(script: str) -> str:
    return f"_{script.replace('-', '_').upper()}_COMPLETE"
