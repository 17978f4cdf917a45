"""Whether nothing was configured, so that a role's embedded world starts instead of a proxy [pure]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mesh_py.settings.setting import Setting
    from mesh_py.settings.source import Given

# Off is said by an empty text.
_EMPTY_COUNTS = ("XDS_ADDRESS", "CA_ADDRESS")


@dataclass(frozen=True, slots=True)
class EmbeddedDefault:
    """When a role's embedded world starts, and what it is told. Layers are flags, environment, then files."""

    means_a_proxy: tuple[Setting[Any], ...]
    """Whoever gives one of these, from wherever, wants a proxy."""
    passed_on: tuple[Setting[Any], ...]
    """What the world's proxies take from whoever starts it; any other flag means a proxy, too."""

    def applies(self, layers: Sequence[Mapping[str, Given]], environ: Mapping[str, str]) -> bool:
        """Whether no flag, variable or file describes a proxy."""
        flags, _, *files = layers
        if any(files) or any(name in environ for name in _EMPTY_COUNTS):
            return False
        if flags.keys() - {setting.name for setting in self.passed_on}:
            return False
        return not any(setting.name in layer for setting in self.means_a_proxy for layer in layers)

    def environment(self, layers: Sequence[Mapping[str, Given]]) -> dict[str, str]:
        """The environment of the world's proxies, as far as it was said by whoever starts it."""
        found: dict[str, str] = {}
        for layer in reversed(layers):
            found |= {setting.name: layer[setting.name].text for setting in self.passed_on if setting.name in layer}
        return found
