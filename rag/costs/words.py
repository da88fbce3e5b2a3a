"""Money in words."""

from __future__ import annotations

from rag.texts import _, dollars


def cost_words(usd: float | None) -> str:
    """`$0.0041`, `$12.30`, `free`, `less than $0.0001` or `unknown cost`, with two significant digits below $1."""
    if usd is None:
        return _("unknown cost")
    if usd <= 0:
        return _("free")
    if usd < 0.0001:
        return _("less than {usd}").format(usd=dollars("0.0001"))
    if usd >= 0.995:
        return dollars(f"{usd:,.2f}")
    return dollars(f"{float(f'{usd:.2g}'):.4f}".rstrip("0").ljust(4, "0"))
