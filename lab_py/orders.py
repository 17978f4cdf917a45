"""What a lab that is up does when it is told to: break, mend, list what can be, explain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab_py.errors import Unusable
from lab_py.explain.explaining import explain
from lab_py.faults.breaking import Breaking
from lab_py.faults.table import faults_of, find_fault, pieces_of

if TYPE_CHECKING:
    from lab_py.control import Order
    from lab_py.lab import Lab


class Orders:
    """Of one lab, one after the other."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._breaking = Breaking(lab)

    def obey(self, order: Order) -> Any:
        """Do what it says. Raises LabError."""
        match order:
            case {"do": "break", "name": str(name)}:
                fault = find_fault(self._lab.built.topology, name)
                self._breaking.take_away(fault)
                return {"name": fault.name, "what": fault.what, "shows": fault.shows}
            case {"do": "mend", "name": str(name)}:
                self._breaking.put_back(name)
                return {"name": name}
            case {"do": "faults"}:
                return self._faults()
            case {"do": "explain"}:
                return explain(self._lab, order.get("from"), order.get("to"))
        raise Unusable(f"a lab does not know how to {order!r}")

    def _faults(self) -> dict[str, Any]:
        topology, broken = self._lab.built.topology, self._breaking.broken
        rows = [*faults_of(topology), *(fault for fault in broken.values() if not fault.shows)]
        faults = [
            {"name": one.name, "what": one.what, "shows": one.shows, "broken": one.name in broken} for one in rows
        ]
        return {"faults": faults, "pieces": pieces_of(topology)}
