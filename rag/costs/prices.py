"""What a call of a cloud model costs, from the price list inside the genai-prices package; never from the network."""

from __future__ import annotations

import functools
import re
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from rag.costs import tokens
from rag.costs.accounting import Usage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from decimal import Decimal

    from rag.message import Message

MARGIN = 1.25
"""How far above the estimate a prompt may be: the worst single passage was estimated 18 % too low (`costs.tokens`)."""

WIDE_MARGIN = 1.75
"""The same for a model whose tokenizer is not known: Claude's newer ones make 30 % more tokens than its older ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """The price of one call."""

    usd: Decimal
    """US dollars."""
    provider: str
    model: str
    """The model as the price list names it."""
    source: str
    """Which list: "genai-prices 0.2.3"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a call would take, before it is made."""

    input_tokens: int
    """About: see `tokens.count_messages`."""
    output_tokens: int
    """At most."""
    at_most: Cost | None
    """With the longest answer and a margin on the prompt (`MARGIN`); None: the price is not known."""


def price(
    usage: Usage | None,
    *,
    model: str,
    provider: str | None = None,
    base_url: str | None = None,
    when: datetime | None = None,
) -> Cost | None:
    """Return what a call cost; None where the usage, the provider, the model or one of its prices is not known.

    Args:
        usage: as the provider reported it.
        model: its name there.
        provider: as genai-prices calls it: "openai", "anthropic", "mistral", …
        base_url: where it was asked, in place of `provider`; its whole host must be the provider's.
        when: the time of the call, for prices that change; None: now.

    A model on one's own machine has no price in the list: `rag.costs.energy` says what it takes.
    """
    if usage is None:
        return None
    for name in [provider] if provider else _providers_at(base_url or ""):
        cost = _calculate(usage, model=model, provider=name, when=when)
        if cost is not None:
            return cost
    return None


def estimate(
    messages: Sequence[Message],
    *,
    model: str,
    max_output: int,
    provider: str | None = None,
    base_url: str | None = None,
) -> Estimate:
    """Return what asking `model` would take: about so many tokens in, at most so many out, at most such a price."""
    sent = tokens.count_messages(messages, model=model).n
    margin = MARGIN if tokens.count("a", model=model).exact else WIDE_MARGIN
    most = Usage(round(sent * margin), max_output)
    return Estimate(
        input_tokens=sent,
        output_tokens=max_output,
        at_most=price(most, model=model, provider=provider, base_url=base_url),
    )


def _calculate(usage: Usage, *, model: str, provider: str, when: datetime | None) -> Cost | None:
    import genai_prices

    counted: dict[str, int] = {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}
    if usage.cached_tokens:
        counted["cache_read_tokens"] = usage.cached_tokens
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = genai_prices.calc_price(
                genai_prices.Usage(**counted), model, provider_id=provider, genai_request_timestamp=when
            )
    except (LookupError, ValueError):  # an unknown model or provider; numbers that cannot be, as more cached than read
        return None
    needed = [("input_mtok", usage.input_tokens), ("output_mtok", usage.output_tokens)]
    if any(n and getattr(found.model_price, name) is None for name, n in needed):  # the list would count it as free
        return None
    return Cost(
        usd=found.total_price,
        provider=found.provider.id,
        model=found.model.id,
        source=f"genai-prices {genai_prices.__version__}",
    )


def _providers_at(base_url: str) -> list[str]:
    """Return the providers whose address this is, the list's patterns being open at the end of a host's name."""
    try:
        host = (urlsplit(base_url).hostname or "").lower()
    except ValueError:
        return []
    if not host or "." not in host:
        return []
    asked = f"https://{host}{urlsplit(base_url).path or '/'}"
    whole = len(f"https://{host}")
    return [name for name, pattern in _patterns() if (match := pattern.match(asked)) and match.end() >= whole]


@functools.cache
def _patterns() -> list[tuple[str, Any]]:
    from genai_prices.data import providers

    return [(provider.id, re.compile(provider.api_pattern)) for provider in providers]
