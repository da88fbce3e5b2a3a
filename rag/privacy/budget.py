"""Daily and monthly limits for calls to models elsewhere, and how much the audit log says was used."""

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
    """Limits per UTC day and month; None for no limit."""

    day_calls: int | None = None
    month_calls: int | None = None
    day_usd: float | None = None
    month_usd: float | None = None

    @classmethod
    def of(cls, settings: RagSettings) -> BudgetLimits:
        """Read the limits from the settings."""
        return cls(
            settings.budget_day_calls, settings.budget_month_calls, settings.budget_day_usd, settings.budget_month_usd
        )


@dataclass(frozen=True, slots=True)
class Spent:
    """What was used in one period."""

    calls: int
    usd: float
    """US dollars of the calls with a known price: the actual cost, or the upper bound while that is unknown."""
    unpriced: int = 0
    """How many of the calls have no known price; they are not in `usd`."""

    @property
    def known_usd(self) -> float | None:
        """The dollars; None if there were calls and the price of none is known."""
        return None if self.calls and self.unpriced == self.calls else self.usd


def spent(entries: Iterable[Mapping[str, Any]], *, since: str) -> Spent:
    """Calls and dollars of the entries whose time starts with `since`: "2026-11" or "2026-11-22".

    A call counts from the moment it is permitted, at its maximum price. The actual cost replaces that later. A call
    that was never sent does not count against the budget.
    """
    prices: dict[str, float | None] = {}
    for entry in entries:
        permit = str(entry.get("permit", ""))
        if entry["event"] == "permitted" and str(entry["time"]).startswith(since):
            prices[permit] = None if entry["price"] is None else float(entry["price"])
        elif permit in prices:
            if entry["event"] == "not sent":
                del prices[permit]
            elif entry.get("cost") is not None:
                prices[permit] = float(entry["cost"])
    known = [price for price in prices.values() if price is not None]
    return Spent(len(prices), sum(known), len(prices) - len(known))


def check(entries: Iterable[Mapping[str, Any]], *, limits: BudgetLimits, price: float | None, now: datetime) -> None:
    """Check that one more call at `price` US dollars is within the limits.

    Raises:
        NotAllowedError: it is not, or its price is unknown and there is a limit in dollars.
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
