"""A role's flags, made from its settings table, and all that its settings can come from.

Help, completion and a mistyped flag must answer at once: what takes time to load is imported where it is used.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mesh_py.process.complaints import read_text
from mesh_py.settings.kinds import BOOLEAN
from mesh_py.settings.source import from_environment, from_flags

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mesh_py.settings.file import ProxyConfigKeys
    from mesh_py.settings.setting import Setting, SettingsTable
    from mesh_py.settings.source import Given

Decorated = TypeVar("Decorated", bound="Callable[..., Any]")

MESH_FILE = Path("etc/istio/config/mesh")
"""Where Istio puts its mesh configuration, below the working directory (hbone-dataplane 9)."""
HELP_STYLE: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 120}
"""For `context_settings` of a role's command."""
_COLUMN = 42


class SettingOption(click.Option):
    """A flag of a settings table. Its value is text, or None where the flag was not given."""

    def __init__(self, setting: Setting[Any]) -> None:
        self.setting = setting
        names = [setting.option, setting.parameter]
        if setting.kind is BOOLEAN:
            names[0] = f"{setting.option}/--no-{setting.option.removeprefix('--')}"
            super().__init__(names, default=None, help=setting.meaning)
        else:
            super().__init__(names, metavar=setting.kind.metavar, help=setting.meaning)

    def row(self) -> tuple[str, str]:
        """The flag and what it means, for a help page."""
        setting = self.setting
        default = f" (default: {setting.default_text})" if setting.default_text else ""
        flag = setting.option if setting.kind is BOOLEAN else f"{setting.option} {setting.kind.metavar}"
        return flag, f"{setting.meaning}{default} [{', '.join((*setting.also, setting.name))}]"


class SettingsGroup(click.Group):
    """A command that takes every setting of a table, and has commands below it; shows the settings by section."""

    def __init__(self, *arguments: Any, table: SettingsTable, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._table = table

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The settings, then the other options and the commands."""
        rows = {option.setting: option.row() for option in self.params if isinstance(option, SettingOption)}
        for title, settings in self._table.sections.items():
            with formatter.section(title):
                formatter.write_dl([rows[setting] for setting in settings], col_max=_COLUMN)
        others = [param.get_help_record(ctx) for param in self.get_params(ctx) if not isinstance(param, SettingOption)]
        with formatter.section("Options"):
            formatter.write_dl([record for record in others if record is not None], col_max=_COLUMN)
        self.format_commands(ctx, formatter)


def settings_options(table: SettingsTable, file_flag: str = "--config") -> Callable[[Decorated], Decorated]:
    """Let a command take every flag of a table, and a file of settings."""
    file = click.option(
        file_flag,
        "config_file",
        type=click.Path(path_type=Path),
        help="Settings from a YAML file: names as in brackets.",
    )

    def decorate(command: Decorated) -> Decorated:
        file(command)
        params: list[click.Option] = command.__dict__.setdefault("__click_params__", [])
        params.extend(SettingOption(setting) for setting in reversed(table.all))
        return command

    return decorate


def flags_of(table: SettingsTable, parameters: Mapping[str, Any]) -> dict[str, str]:
    """The settings among click's parameters, as text by setting name."""
    given = {setting.name: parameters.get(setting.parameter) for setting in table.all}
    return {name: _text(value) for name, value in given.items() if value is not None}


def _text(value: bool | str) -> str:
    return BOOLEAN.write(value) if isinstance(value, bool) else value


def layers_of(
    table: SettingsTable, parameters: Mapping[str, Any], proxy_config: ProxyConfigKeys | None = None
) -> list[dict[str, Given]]:
    """Every source of settings, the strongest first: flags, environment, `--config`, Istio's ProxyConfig.

    Args:
        parameters: what click has read of the command line.
        proxy_config: what the role takes from a ProxyConfig; None: it does not look for one.

    Raises:
        SettingsError: a file cannot be used.
    """
    files = _file_layer(table, parameters["config_file"])
    istio = () if proxy_config is None else _proxy_config_layers(table, proxy_config)
    return [
        from_flags(table, flags_of(table, parameters)),
        from_environment(table, os.environ),
        *files,
        *istio,
    ]


def _file_layer(table: SettingsTable, file: Path | None) -> Iterator[dict[str, Given]]:
    if file is not None:
        from mesh_py.settings.file import read_settings_file

        yield read_settings_file(table, read_text(file), str(file))


def _proxy_config_layers(table: SettingsTable, keys: ProxyConfigKeys) -> Iterator[dict[str, Given]]:
    proxy_config = os.environ.get("PROXY_CONFIG")
    if not proxy_config and not MESH_FILE.is_file():
        return
    from mesh_py.settings.file import read_proxy_config

    if proxy_config:
        yield read_proxy_config(table, keys, proxy_config, "PROXY_CONFIG")
    if MESH_FILE.is_file():
        yield read_proxy_config(table, keys, read_text(MESH_FILE), str(MESH_FILE))
