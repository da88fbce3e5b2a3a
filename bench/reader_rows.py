"""Data classes of the reader's training: a question with a passage, a source of such rows, and how passages are cut."""

from __future__ import annotations

import gzip
import json
import math
import os
import re
from collections import Counter
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from ingest.sentences import sentence_spans
from rag.words import content_words

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("SCHOLION_DATA") or ROOT.parent / "shared" / "data")
WINDOW = 700
"""In characters: about the 160 tokens of one of the product's chunks."""

Range: TypeAlias = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Row:
    """One question with one passage."""

    question: str
    text: str
    spans: tuple[Range, ...] | None
    """Where the answer is in the text; empty if there is none; None if unknown."""
    kind: str | None = None
    carrying: tuple[Range, ...] | None = None
    """Places whose sentences contain the answer; None if unknown."""
    relevant: bool | None = None


Group: TypeAlias = list[Row]


@dataclass
class Source:
    """A set of questions: group(i, random) makes the rows of question i."""

    name: str
    n: int
    group: Callable[[int, np.random.Generator], Group]


def read(name: str) -> list[dict]:
    with gzip.open(DATA / "reading" / f"{name}.jsonl.gz", "rt") as file:
        return [json.loads(line) for line in file]


def in_part(key: str, one_of: int) -> bool:
    """Whether a fixed hash puts the key into the held-out part, which is 1/one_of."""
    return int(sha256(key.encode()).hexdigest()[:8], 16) % one_of == 0


def cropped(text: str, places: Sequence[Range], random: np.random.Generator, *, limit: int = WINDOW) -> Range:
    """Whole adjacent sentences of at most `limit` characters around the places, at a random offset."""
    if len(text) <= limit:
        return 0, len(text)
    sentences = sentence_spans(text)
    first = last = int(random.integers(len(sentences)))
    if places:
        low, high = min(p[0] for p in places), max(p[1] for p in places)
        first = max((i for i, s in enumerate(sentences) if s[0] <= low), default=0)
        last = max(first, min((i for i, s in enumerate(sentences) if s[1] >= high), default=len(sentences) - 1))
    while True:
        sides = []
        if first and sentences[last][1] - sentences[first - 1][0] <= limit:
            sides.append(-1)
        if last + 1 < len(sentences) and sentences[last + 1][1] - sentences[first][0] <= limit:
            sides.append(1)
        if not sides:
            break
        if sides[int(random.integers(len(sides)))] < 0:
            first -= 1
        else:
            last += 1
    start, end = sentences[first][0], sentences[last][1]
    if places:
        return min(start, *(p[0] for p in places)), max(end, *(p[1] for p in places))
    return start, end


def windows(text: str, *, limit: int = WINDOW, skip: int = 0) -> list[Range]:
    """The text after the first `skip` sentences, as whole sentences packed into up to `limit` characters."""
    found: list[Range] = []
    for start, end in sentence_spans(text)[skip:]:
        if found and end - found[-1][0] <= limit:
            found[-1] = found[-1][0], end
        else:
            found.append((start, end))
    return found


def answered(
    question: str,
    text: str,
    places: Sequence[Range],
    kind: str,
    random: np.random.Generator,
    *,
    limit: int = WINDOW,
    relevant: bool | None = True,
) -> Row:
    start, end = cropped(text, places, random, limit=limit)
    inside = tuple((a - start, b - start) for a, b in places)
    return Row(question, text[start:end], inside, kind, inside, relevant)


def unanswered(question: str, text: str, random: np.random.Generator, *, limit: int = WINDOW) -> Row:
    start, end = cropped(text, (), random, limit=limit)
    return Row(question, text[start:end], (), "none", (), relevant=False)


_NUMBER = re.compile(r"\bhow (many|much|long|old|large|big|often|far|high)\b", re.IGNORECASE)


def form(question: str, answer: str) -> str:
    """ "span", or "explanation" if a reason or a method is asked for or the answer has more than twelve words."""
    asks = question.lower().lstrip()
    why = asks.startswith(("why", "how ", "explain", "describe")) and not _NUMBER.search(asks)
    return "explanation" if (why and len(answer.split()) > 4) or len(answer.split()) > 12 else "span"


class Overlap:
    """Finds texts that share the rarest words with a question, as hard negatives."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.words = [content_words(text) for text in texts]
        counts = Counter(word for words in self.words for word in words)
        self.weight = {word: math.log(1 + len(texts) / n) for word, n in counts.items()}

    def best(self, question: str, *, n: int, without: set[int]) -> list[int]:
        asked = content_words(question)
        # fsum gives the same result for any order of the set, which differs between processes
        scores = [math.fsum(self.weight[word] for word in asked & words) for words in self.words]
        return [i for i in sorted(range(len(scores)), key=lambda i: -scores[i]) if i not in without][:n]


def drawn(pool: Sequence[int], n: int, random: np.random.Generator) -> list[int]:
    return [pool[int(i)] for i in random.permutation(len(pool))[:n]] if pool else []


def hard_and_other(
    near: list[int], everything: range, without: set[int], n: int, random: np.random.Generator
) -> list[int]:
    """n indices: two thirds of them near ones, the rest from all."""
    chosen = drawn([i for i in near if i not in without], n - n // 3, random)
    rest = [i for i in everything if i not in without and i not in chosen]
    return [*chosen, *drawn(rest, n - len(chosen), random)]
