"""What a demonstration has to prove, and how the verdict is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from mesh_py.process.console import Console


class Finding(NamedTuple):
    """One thing that had to be so."""

    is_so: bool
    text: str


def show_findings(console: Console, findings: list[Finding], proved: str) -> bool:
    """Say what was found, and whether all of it was so, which `proved` puts in words."""
    console.say(console.styled("Judged", "bold"))
    for finding in findings:
        mark = console.styled("ok ", "green") if finding.is_so else console.styled("NO ", "red", "bold")
        console.say(f"  {mark} {finding.text}")
    is_proved = all(finding.is_so for finding in findings)
    console.say()
    words = proved if is_proved else "NOT proved: not all went as it should."
    console.say(console.styled(words, "green" if is_proved else "red", "bold"))
    return is_proved
