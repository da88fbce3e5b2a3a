"""Quotations a model puts in quotation marks: checks them word for word, and shows the difference if none matches.

Fuzzy matching only finds the place that was meant, to show the difference. It never verifies a quotation.
"""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Final

from ingest.verbatim import normalised, stand_in_order
from rag.answer import Quotation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rag.answer import Change, Passage

MIN_WORDS: Final = 4
"""Minimum words of a quotation; fewer are a term or scare quotes."""

MIN_PART: Final = 3
"""Minimum words of each part around an ellipsis: any statement can be pieced together from single words."""

CLOSE: Final = 0.5
"""The share of a quotation's words that a place must contain, in order, to count as the place meant."""

MAX_COMPARED: Final = 80
"""Maximum words compared: a model may never close a quotation."""

PLACES: Final = 3
"""Places of a text that are compared: those with the longest common runs."""

_QUOTED = re.compile(
    r"“(?P<curly>[^“”\n]+)(?:”|$)|„(?P<low>[^„“”\n]+)(?:[“”]|$)|«(?P<angle>[^«»\n]+)(?:»|$)|``(?P<tex>[^`\n]+?)''"
    r"|(?<!\w)‘(?P<single>[^‘\n]+?)’(?!\w)"
    r"|(?<![\w\"])\"(?=\S)(?P<straight>[^\"\n]+)(?:(?<=\S)\"(?!\w)|$)",
    re.MULTILINE,
)
_LEFT_OUT = re.compile(r"\s*[\[(]?(?:…|\.\s?\.\s?\.)[\])]?\s*")
_EDGES = " \t.,;:!?"
_EDGE = re.compile(r"^\W+|\W+$")


def quoted(text: str) -> list[tuple[int, str]]:
    """Start offset and words of each quotation in a text; an unclosed one runs to the end of the line."""
    found = ((match.start(), next(filter(None, match.groups()))) for match in _QUOTED.finditer(text))
    return [(at, words.strip()) for at, words in found if len(words.split()) >= MIN_WORDS]


def check(words: str, passages: Sequence[Passage], *, sentence: int, markers: Sequence[int] = ()) -> Quotation | None:
    """Verify a quotation; None if it is the title of a paper or section, which is not a quotation.

    Args:
        words: the text between the quotation marks.
        passages: what the model was shown.
        sentence: index of the answer's sentence in which it begins.
        markers: the markers of that sentence; their passages are tried first.
    """
    said = words.strip(_EDGES)
    titles = {normalised(title) for p in passages for title in (p.paper.title, p.chunk.section or "")}
    if normalised(said) in titles:
        return None
    parts = [part for part in (part.strip(_EDGES) for part in _LEFT_OUT.split(said)) if part]
    whole = len(parts) == 1 or all(len(part.split()) >= MIN_PART for part in parts)
    first = sorted(passages, key=lambda passage: passage.marker not in markers)
    if whole and (found := next((p for p in first if stand_in_order(parts, p.chunk.text)), None)):
        return Quotation(sentence, words, found.marker, verified=True)
    marker, diff = closest(said, ((passage.marker, passage.chunk.text) for passage in first))
    return Quotation(sentence, words, marker, verified=False, diff=diff)


def closest(words: str, texts: Iterable[tuple[int, str]]) -> tuple[int | None, tuple[Change, ...]]:
    """The key of the text closest to the words, and the differences; (None, ()) if none is close.

    Args:
        words: a quotation; its first MAX_COMPARED words are compared.
        texts: (key, text) of each candidate; the first wins a tie.
    """
    best: tuple[float, int | None, tuple[Change, ...]] = (0.0, None, ())
    ours = words.split()[:MAX_COMPARED]
    for key, text in texts:
        for window in _windows(ours, text.split()):
            diff = word_diff(ours, window)
            kept = sum(len(part.split()) for kind, part in diff if kind == "same")
            added = sum(len(part.split()) for kind, part in diff if kind == "added")
            if kept >= CLOSE * len(ours) and (score := 2 * kept / (len(ours) + kept + added)) > best[0]:
                best = score, key, diff
    return best[1], best[2]


def word_diff(ours: Sequence[str], theirs: Sequence[str]) -> tuple[Change, ...]:
    """Word-level diff: words that are the same, struck (only in `ours`) and added (only in `theirs`).

    Case and punctuation around a word are ignored. Before the first and after the last common word, `theirs` adds at
    most as many words as are struck there.
    """
    blocks = SequenceMatcher(None, list(map(_form, ours)), list(map(_form, theirs)), autojunk=False).get_opcodes()
    changes: list[Change] = []
    for kind, i, j, k, m in blocks:
        if kind == "equal":
            changes.append(("same", " ".join(ours[i:j])))
            continue
        if i < j:
            changes.append(("struck", " ".join(ours[i:j])))
        instead = theirs[k:m]
        if i == 0:
            instead = instead[max(0, len(instead) - j) :]
        elif j == len(ours):
            instead = instead[: j - i]
        if instead:
            changes.append(("added", " ".join(instead)))
    return tuple(changes)


def _form(word: str) -> str:
    return _EDGE.sub("", normalised(word)) or word


def _windows(ours: Sequence[str], theirs: Sequence[str]) -> Iterator[Sequence[str]]:
    """Windows of a text that contain some of the words in order, slightly longer than the quotation."""
    matcher = SequenceMatcher(None, list(map(_form, theirs)), list(map(_form, ours)), autojunk=False)
    air = 2 + len(ours) // 4
    blocks = sorted((block for block in matcher.get_matching_blocks() if block.size), key=lambda block: -block.size)
    for start in dict.fromkeys(block.a - block.b for block in blocks[:PLACES]):
        yield theirs[max(0, start - air) : start + len(ours) + air]
