"""The cost of an answer: tokens, time, energy and money. Counts and prices never come from the network."""

from rag.costs.accounting import Energy, Span, Trace, Usage
from rag.costs.energy import MachineCosts
from rag.costs.prices import estimate, price
from rag.costs.tokens import TokenCount, count_messages

__all__ = [
    "Energy",
    "MachineCosts",
    "Span",
    "TokenCount",
    "Trace",
    "Usage",
    "count_messages",
    "estimate",
    "price",
]
