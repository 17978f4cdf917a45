"""Resources that came under another name than their own [no I/O].

The mesh knows a workload by its uid and a service by namespace and host name, which are also the names istiod gives
them. Where a control plane uses another name the alias is kept: else what it removes or replaces by that name would
stay for ever.
"""

from __future__ import annotations


class Aliases:
    """What each name stands for, where that is not the name itself."""

    def __init__(self) -> None:
        self._own: dict[str, str] = {}
        """Own names by given ones."""
        self._given: dict[str, str] = {}
        """The given name that came last, by own ones."""

    def bring(self, name: str, own: str) -> str | None:
        """`name` stands for `own` from now on; the own name of what it has replaced, None if nothing."""
        replaced = self.drop(name)
        if name == own:
            self._given.pop(own, None)
        else:
            self._own[name], self._given[own] = own, name
        return None if replaced == own else replaced

    def drop(self, name: str) -> str | None:
        """`name` is taken back; the own name of what goes with it, None if that has come under another name since."""
        own = self._own.pop(name, name)
        if own == name or self._given.get(own) == name:
            self._given.pop(own, None)
            return own
        return None
