"""Redact the user's list of words from what is sent: names and numbers in `redact.txt` become tokens."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rag.errors import NotAllowedError
from rag.sanitise import INVISIBLE

if TYPE_CHECKING:
    from collections.abc import Iterator

REDACT_FILE = "redact.txt"
"""In the library's folder: one word or phrase per line; `/…/` is a regular expression; `#` starts a comment."""


@dataclass(frozen=True, slots=True)
class Redaction:
    """The redaction rules, in the order of the list."""

    rules: tuple[tuple[re.Pattern[str], bool], ...] = ()
    """Each pattern, and whether the user wrote it as a regular expression."""

    def apply(self, text: str) -> tuple[str, int]:
        """Replace each match with `[redacted N]`, N being the rule's number; returns the text and the match count.

        Matching ignores case, accents, ligatures, kinds of spaces, invisible characters within words, and line breaks.
        """
        folded, at = _folded(text)
        spans: list[tuple[int, int, int]] = []
        for number, (pattern, regex) in enumerate(self.rules, start=1):
            spans += [(at[m.start()], at[m.end() - 1] + 1, number) for m in pattern.finditer(folded) if m[0]]
            if regex:  # it may match something that folding changed
                spans += [(m.start(), m.end(), number) for m in pattern.finditer(text) if m[0]]
        out, end, n = [], 0, 0
        for start, stop, number in sorted(spans, key=lambda span: (span[0], -span[1])):
            if stop <= end:
                continue
            if start >= end:
                out += [text[end:start], f"[redacted {number}]"]
                n += 1
            end = stop  # merge overlaps with the match before
        return "".join([*out, text[end:]]), n


def parse_redaction(text: str) -> Redaction:
    """Parse the list.

    Raises:
        NotAllowedError: a line is not a valid regular expression; the message names the line.
    """
    return Redaction(tuple(_rules(text)))


def _rules(text: str) -> Iterator[tuple[re.Pattern[str], bool]]:
    for number, line in enumerate(text.lstrip("\ufeff").splitlines(), start=1):
        words = line.strip()
        if not words or words.startswith("#"):
            continue
        if len(words) > 2 and words[0] == words[-1] == "/":
            try:
                pattern = re.compile(words[1:-1], re.IGNORECASE)
            except re.error as error:
                raise NotAllowedError(
                    f"Line {number} of {REDACT_FILE} is not a regular expression ({error}), so nothing is sent.",
                    "Correct the line, or write the words without the slashes.",
                ) from error
            yield pattern, True
        elif parts := _folded(words)[0].split():
            body = r"\s+".join(re.escape(part) for part in parts)
            yield re.compile(rf"(?<!\w){body}(?!\w)"), False


def _folded(text: str) -> tuple[str, list[int]]:
    """The folded text for matching, and the original offset of each character."""
    out: list[str] = []
    at: list[int] = []
    for index, char in enumerate(text):
        if char == "\u00ad" or INVISIBLE.match(char) or unicodedata.category(char) in {"Cf", "Mn"}:
            continue
        for plain in unicodedata.normalize("NFKD", char.casefold()):
            if unicodedata.category(plain) != "Mn":
                out.append(plain)
                at.append(index)
    folded = "".join(out)
    broken = [match.span() for match in re.finditer(r"(?<=\w)[-\u2010\u2011]\n\s*(?=\w)", folded)]
    for start, stop in reversed(broken):  # join words hyphenated at a line break
        folded = folded[:start] + folded[stop:]
        del at[start:stop]
    return folded, at
