"""What each draft took: energy and money on this machine, the provider's price elsewhere."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rag.energy import Machine, Reading, energy_between, local_cost, read_counters
from rag.prices import price

if TYPE_CHECKING:
    from rag.answer import Draft


def metered(draft: Draft, *, before: Reading, machine: Machine) -> Draft:
    """The draft of a model on this machine with its energy and cost, each None where it is not known.

    Args:
        draft: just written.
        before: the counters when it was begun.
        machine: what the settings say of this one.
    """
    energy = energy_between(before, read_counters(), machine=machine)
    return replace(draft, energy=energy, cost=local_cost(energy, draft.seconds, machine=machine).usd)


def priced(draft: Draft, *, base_url: str, model: str) -> Draft:
    """The draft of a model elsewhere with its price; unknown where the list has none for this model at this address."""
    cost = price(draft.usage, model=model, base_url=base_url)
    return replace(draft, cost=float(cost.usd) if cost else None)
