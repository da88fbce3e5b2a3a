"""How much may be asked of models elsewhere in a day and a month, and how much has been, by the audit log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rag.errors import NotAllowedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from rag.settings import RagSettings

DRAFTS_GO_ON = "Drafts still work. The limit is a setting (SCHOLION_BUDGET_…, docs/privacy.md)."


@dataclass(frozen=True, slots=True)
class BudgetLimits:
    """The most in a day and in a month, by UTC; None: no limit."""

    day_calls: int | None = None
    month_calls: int | None = None
    day_usd: float | None = None
    month_usd: float | None = None

    @classmethod
    def of(cls, settings: RagSettings) -> BudgetLimits:
        """The limits that the settings state."""
        return cls(
            settings.budget_day_calls, settings.budget_month_calls, settings.budget_day_usd, settings.budget_month_usd
        )


@dataclass(frozen=True, slots=True)
class Spent:
    """What was asked in one period."""

    calls: int
    usd: float
    """US dollars of the calls with a known price: what they cost, or at most could where that is not known."""


def spent(entries: Iterable[Mapping[str, Any]], *, since: str) -> Spent:
    """Calls and dollars of the log's entries whose time begins with `since`: "2026-11" or "2026-11-22".

    A call counts from the moment it is permitted, at the highest price it can have. What is known later replaces that;
    a call that never left counts no more.
    """
    prices: dict[str, float] = {}
    for entry in entries:
        permit = str(entry.get("permit", ""))
        if entry["event"] == "permitted" and str(entry["time"]).startswith(since):
            prices[permit] = float(entry["price"] or 0.0)
        elif permit in prices:
            if entry["event"] == "not sent":
                del prices[permit]
            elif entry.get("cost") is not None:
                prices[permit] = float(entry["cost"])
    return Spent(len(prices), sum(prices.values()))


def check(entries: Iterable[Mapping[str, Any]], *, limits: BudgetLimits, price: float | None, now: datetime) -> None:
    """Return where one more call at `price` US dollars stays within the limits.

    Raises:
        NotAllowedError: it does not, or its price is unknown while a limit in dollars is set.
    """
    rows = list(entries)
    if price is None and (limits.day_usd is not None or limits.month_usd is not None):
        raise NotAllowedError(
            "The price of this call is unknown and a dollar limit is set, so nothing was sent.",
            "Remove the dollar limit, or limit calls instead (SCHOLION_BUDGET_…, docs/privacy.md). Drafts still work.",
        )
    for name, since, calls, usd in (
        ("today", f"{now:%Y-%m-%d}", limits.day_calls, limits.day_usd),
        ("this month", f"{now:%Y-%m}", limits.month_calls, limits.month_usd),
    ):
        used = spent(rows, since=since)
        if calls is not None and used.calls >= calls:
            raise NotAllowedError(f"The larger model was asked {used.calls} times {name}, which is the limit.",
                                  DRAFTS_GO_ON)  # fmt: skip
        if usd is not None and price is not None and used.usd + price > usd:
            raise NotAllowedError(
                f"This call may cost ${price:.4f}; ${used.usd:.4f} of the ${usd:g} for {name} is used up.",
                DRAFTS_GO_ON,
            )
