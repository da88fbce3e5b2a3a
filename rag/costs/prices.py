"""The cost of a cloud model call, from the price list in the genai-prices package; never from the network."""

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
"""Safety factor for the estimated prompt: the worst single passage was underestimated by 18 % (`costs.tokens`)."""

WIDE_MARGIN = 1.75
"""The factor if the model's tokenizer is unknown: Claude's newer tokenizers make 30 % more tokens than older ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """The price of one call."""

    usd: Decimal
    """US dollars."""
    provider: str
    model: str
    """The model's name in the price list."""
    source: str
    """The price list: "genai-prices 0.2.3"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a call would use, estimated before it is made."""

    input_tokens: int
    """Approximate; see `tokens.count_messages`."""
    output_tokens: int
    """Maximum."""
    at_most: Cost | None
    """Price of the longest answer, with a safety factor on the prompt (`MARGIN`); None if the price is unknown."""


def price(
    usage: Usage | None,
    *,
    model: str,
    provider: str | None = None,
    base_url: str | None = None,
    when: datetime | None = None,
) -> Cost | None:
    """The price of a call; None if the usage, the provider, the model or one of its prices is unknown.

    The list has no price for models on the user's own machine: `rag.costs.energy` estimates their cost.

    Args:
        usage: as reported by the provider.
        model: its name there.
        provider: its name in genai-prices: "openai", "anthropic", "mistral", …
        base_url: the address asked, instead of `provider`; its whole host name must be the provider's.
        when: the time of the call, for prices that change; None for now.
    """
    if usage is None:
        return None
    for name in [provider] if provider else _providers_at(base_url or ""):
        cost = _calculate(usage, model=model, provider=name, when=when)
        if cost is not None:
            return cost
    return None


def list_version() -> str:
    """The price list in use: "genai-prices 0.2.3"."""
    import genai_prices

    return f"genai-prices {genai_prices.__version__}"


def estimate(
    messages: Sequence[Message],
    *,
    model: str,
    max_output: int,
    provider: str | None = None,
    base_url: str | None = None,
) -> Estimate:
    """What a call to `model` would use: approximate input tokens, and upper bounds for output tokens and price."""
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
    except (LookupError, ValueError):  # unknown model or provider; impossible numbers like cached > input
        return None
    needed = [("input_mtok", usage.input_tokens), ("output_mtok", usage.output_tokens)]
    if any(n and getattr(found.model_price, name) is None for name, n in needed):  # the list would treat it as free
        return None
    return Cost(
        usd=found.total_price,
        provider=found.provider.id,
        model=found.model.id,
        source=list_version(),
    )


def _providers_at(base_url: str) -> list[str]:
    """Providers at this address. The list's patterns are open at the end of a host name; the match must cover it."""
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
