"""A health report: one line for each check, and a runner in which a check that fails or hangs ends no other."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from ingest.trouble import in_words
from rag.health.faults import type_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

State = Literal["ok", "note", "problem"]
"""ok: as it should be. note: worth knowing, nothing is broken. problem: something does not work; `todo` says what to
do."""

CHECK_SECONDS: Final = 30.0
"""How long all checks together may take; what has not finished then is said to hang."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What one check found."""

    about: str
    """What was checked, in one or two words."""
    state: State
    said: str
    """One sentence for the user; may name files and addresses."""
    todo: str = ""
    """What to do next; never empty for a problem."""
    facts: Mapping[str, bool | float | str | None] = field(default_factory=dict)
    """The same for a bundle: numbers, and words that Scholion itself chose. Nothing of the user's."""
    group: str = ""
    """Set by the runner."""
    check: str = ""
    """The check's own name, set by the runner."""


@dataclass(frozen=True, slots=True)
class Check:
    """One check: `look` may raise anything."""

    name: str
    group: str
    about: str
    look: Callable[[], Line | Sequence[Line]]


def report(checks: Sequence[Check], *, seconds: float = CHECK_SECONDS) -> list[Line]:
    """Run all checks at the same time; their lines in the order of the checks.

    Args:
        checks: each runs in its own thread. One that hangs is left behind.
        seconds: how long to wait for all of them.
    """
    found: dict[str, list[Line]] = {}
    threads = [
        threading.Thread(target=_look, args=(check, found), name=f"check {check.name}", daemon=True) for check in checks
    ]
    for thread in threads:
        thread.start()
    until = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    return [line for check in checks for line in found.get(check.name) or [_late(check, seconds)]]


def is_well(lines: Sequence[Line]) -> bool:
    """Whether there is no problem."""
    return all(line.state != "problem" for line in lines)


def row(line: Line) -> dict[str, Any]:
    """A line as JSON for this machine."""
    return {
        "check": line.check,
        "group": line.group,
        "about": line.about,
        "state": line.state,
        "said": line.said,
        "todo": line.todo,
        "facts": dict(line.facts),
    }


def in_text(lines: Sequence[Line]) -> str:
    """The report for a terminal."""
    marks = {"ok": "ok     ", "note": "note   ", "problem": "PROBLEM"}
    rows: list[str] = []
    group = None
    for line in lines:
        if line.group != group:
            rows += ["", line.group] if rows else [line.group]
            group = line.group
        rows.append(f"  {marks[line.state]}  {line.about}: {line.said}")
        if line.todo:
            rows.append(f"{'':11}{line.todo}")
    bad = sum(line.state == "problem" for line in lines)
    rows += ["", "No problems." if not bad else "1 problem." if bad == 1 else f"{bad} problems."]
    return "\n".join(rows)


def _look(check: Check, found: dict[str, list[Line]]) -> None:
    try:
        lines = check.look()
    except Exception as error:  # noqa: BLE001 - the report of everything else must still come
        lines = _failed(check, error)
    many = [lines] if isinstance(lines, Line) else list(lines)
    found[check.name] = [_placed(line, check) for line in many]


def _placed(line: Line, check: Check) -> Line:
    return Line(
        about=line.about,
        state=line.state,
        said=line.said,
        todo=line.todo,
        facts=line.facts,
        group=check.group,
        check=check.name,
    )


def _failed(check: Check, error: Exception) -> Line:
    said = in_words(error)
    message, hint = (said.message, said.hint) if said else (f"This check failed ({type_of(error)}).", "")
    return Line(
        about=check.about,
        state="problem",
        said=message,
        todo=hint or "Run the check again; if it fails again, report it with a bundle (docs/health.md).",
        facts={"failed": type_of(error)},
    )


def _late(check: Check, seconds: float) -> Line:
    line = Line(
        about=check.about,
        state="problem",
        said=f"This check did not finish within {seconds:.0f} seconds.",
        todo="The disk may be slow, or another program may hold a file. Close other programs and check again.",
        facts={"late": True},
    )
    return _placed(line, check)
