"""The tables of a page of the documentation, written from the settings table, so that it cannot fall behind [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mesh_py.settings.kinds import BOOLEAN

if TYPE_CHECKING:
    from mesh_py.settings.setting import Setting, SettingsTable


def settings_page(table: SettingsTable, original: str) -> str:
    """One heading and one table per section, as Markdown. `original` is whose defaults `Setting.theirs` tells."""
    return "\n".join(_section(title, settings, original) for title, settings in table.sections.items())


def _section(title: str, settings: tuple[Setting[Any], ...], original: str) -> str:
    head = "| environment, file | flag | default | meaning |\n|---|---|---|---|\n"
    return f"### {title}\n\n{head}{''.join(_row(one, original) for one in settings)}"


def _row(setting: Setting[Any], original: str) -> str:
    names = ", ".join(f"`{name}`" for name in (*setting.also, setting.name))
    flag = f"`{setting.option}`" if setting.kind is BOOLEAN else f"`{setting.option} {setting.kind.metavar}`"
    default = setting.note or (f"`{setting.default_text}`" if setting.default_text else "–")
    theirs = f" ({original}: {setting.theirs})" if setting.theirs else ""
    cells = (names, flag, f"{default}{theirs}", setting.meaning)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"
