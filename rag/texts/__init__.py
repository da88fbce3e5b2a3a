"""What a person reads, in the language of whoever reads it: English, unless `reading_in` says otherwise.

Only what is shown goes through here. What is stored, compared, or read by a model stays English.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime


class Texts:
    """English; `ui.languages` has the others."""

    code = "en"

    def text(self, english: str) -> str:
        """The text that stands for this English one."""
        return english

    def plural(self, one: str, many: str, n: float) -> str:
        """One of two English texts, or of what stands for them, by a number."""
        return one if n == 1 else many

    def sentence(self, english: str) -> str:
        """The same for a finished text, with its values in it; English if it is not known."""
        return english

    def value(self, english: str) -> str:
        """A size, a count or another value as it is in an English sentence, in the form of this language."""
        return english

    def number(self, value: float, digits: int) -> str:
        """A number with exactly this many digits after the point."""
        return f"{value:,.{digits}f}"

    def day(self, at: datetime) -> str:
        """A date in full: `30 November 2026`."""
        return f"{at:%d %B %Y}".lstrip("0")

    def percent(self, share: float) -> str:
        """A share of 1 in whole percent."""
        return f"{share:.0%}"

    def dollars(self, amount: str) -> str:
        """An amount of US dollars that is already written as digits with a point."""
        return f"${amount}"


ENGLISH = Texts()
_now: ContextVar[Texts] = ContextVar("texts", default=ENGLISH)


def now() -> Texts:
    """Those of whoever reads."""
    return _now.get()


@contextmanager
def reading_in(texts: Texts) -> Iterator[None]:
    """Within the block, and in tasks and threads that start in it, everything shown is in this language."""
    before = _now.set(texts)
    try:
        yield
    finally:
        _now.reset(before)


def _(english: str) -> str:
    """The text in the reader's language."""
    return _now.get().text(english)


def N_(english: str) -> str:  # noqa: N802 - gettext's own name for it
    """The same English text: it is translated where it is shown."""
    return english


def ngettext(one: str, many: str, n: float) -> str:
    """One of the two, in the reader's language, by a number."""
    return _now.get().plural(one, many, n)


def counted(n: int, noun: str) -> str:
    """`1 page`, `2 pages`, `1,000 pages` in the reader's language."""
    one = f"{{n}} {noun}"
    return ngettext(one, f"{one}s", n).format(n=number(n))


def said(english: str) -> str:
    """A finished sentence in the reader's language: an error, a notice, a check's result."""
    return _now.get().sentence(english)


def value(english: str) -> str:
    """`4.7 GB` or `3 pages` in the reader's form."""
    return _now.get().value(english)


def number(value: float, digits: int = 0) -> str:
    """`1,234.5` in the reader's form."""
    return _now.get().number(value, digits)


def percent(share: float) -> str:
    """`85%` in the reader's form."""
    return _now.get().percent(share)


def dollars(amount: str) -> str:
    """`$0.0041` in the reader's form."""
    return _now.get().dollars(amount)
