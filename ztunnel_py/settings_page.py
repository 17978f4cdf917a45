"""The tables of docs/configuration.md, written from the settings table, so that the page cannot fall behind [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ztunnel_py.setting_values import BOOLEAN
from ztunnel_py.settings_table import SECTIONS

if TYPE_CHECKING:
    from ztunnel_py.settings_table import Setting


def settings_page() -> str:
    """One heading and one table per section, as Markdown."""
    return "\n".join(_section(title, settings) for title, settings in SECTIONS.items())


def _section(title: str, settings: tuple[Setting[Any], ...]) -> str:
    head = "| environment, file | flag | default | meaning |\n|---|---|---|---|\n"
    return f"### {title}\n\n{head}{''.join(map(_row, settings))}"


def _row(setting: Setting[Any]) -> str:
    names = ", ".join(f"`{name}`" for name in (*setting.also, setting.name))
    flag = f"`{setting.option}`" if setting.kind is BOOLEAN else f"`{setting.option} {setting.kind.metavar}`"
    default = setting.note or (f"`{setting.default_text}`" if setting.default_text else "–")
    theirs = f" (ztunnel: {setting.theirs})" if setting.theirs else ""
    cells = (names, flag, f"{default}{theirs}", setting.meaning)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"
