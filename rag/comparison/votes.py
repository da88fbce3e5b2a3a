"""Votes between two answers: kept in the library, one line each, and the win rate with its interval."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import sqrt
from typing import TYPE_CHECKING, Any, Final, Literal

from rag.evaluation.rows import appending, whole_lines

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

FILE: Final = "votes.jsonl"
"""In the library's folder."""

Z: Final = 1.959964
"""The normal distribution's 97.5 % point."""

Choice = Literal["first", "second", "tie"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """One vote; the answers themselves are not kept."""

    at: str
    first: str
    """The model on the left."""
    second: str
    choice: Choice
    blind: bool
    """Whether the names were hidden until the vote."""
    retrieval: bool
    question: str
    by: str = ""
    """The user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WinRate:
    """How often one model was preferred to another one."""

    model: str
    other: str
    wins: int
    ties: int
    losses: int
    rate: float
    """(wins + ties / 2) / votes."""
    low: float
    high: float
    """Wilson's 95 % interval (1927); a tie counts as half a win."""

    @property
    def n(self) -> int:
        """Votes."""
        return self.wins + self.ties + self.losses


def keep(vote: Vote, folder: Path) -> None:
    """Append the vote; it is on the disk when this returns.

    Raises:
        RunError: another process is writing at the same moment.
    """
    with appending(folder / FILE) as append:
        append(asdict(vote))


def votes_in(folder: Path) -> list[Vote]:
    """All votes, the oldest first."""
    known = Vote.__dataclass_fields__.keys()
    return [Vote(**{name: row[name] for name in known & row.keys()}) for row in whole_lines(folder / FILE)]


def win_rates(votes: Iterable[Vote], *, by: str | None = None) -> list[WinRate]:
    """The win rate of each pair of models in blind votes, most votes first; of one user's votes if `by` is given."""
    counted: dict[tuple[str, str], list[int]] = {}
    for vote in votes:
        if not vote.blind or vote.first == vote.second or (by is not None and vote.by != by):
            continue
        pair = (vote.first, vote.second) if vote.first < vote.second else (vote.second, vote.first)
        won = counted.setdefault(pair, [0, 0, 0])
        preferred = {"first": vote.first, "second": vote.second, "tie": ""}[vote.choice]
        won[1 if not preferred else 0 if preferred == pair[0] else 2] += 1
    made = [_rate(pair, *won) for pair, won in counted.items()]
    return sorted(made, key=lambda one: -one.n)


def _rate(pair: tuple[str, str], wins: int, ties: int, losses: int) -> WinRate:
    n = wins + ties + losses
    rate = (wins + ties / 2) / n
    low, high = wilson(rate, n)
    return WinRate(model=pair[0], other=pair[1], wins=wins, ties=ties, losses=losses, rate=rate, low=low, high=high)


def wilson(share: float, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share of n."""
    middle = (share + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z * sqrt(share * (1 - share) / n + Z * Z / (4 * n * n)) / (1 + Z * Z / n)
    return max(0.0, middle - half), min(1.0, middle + half)


def rate_row(rate: WinRate) -> dict[str, Any]:
    """As JSON."""
    return asdict(rate) | {"n": rate.n}
