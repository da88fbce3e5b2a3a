"""Split a paper into chunks: chunk_paper(parsed, …) → [Chunk], with text[start:end] == chunk.text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ingest.layout import is_references
from ingest.paper import Chunk, Heading, ParsedPaper, pages_of
from ingest.sentences import sentence_spans

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    CountTokens = Callable[[Sequence[str]], list[int]]

Range = tuple[int, int]


def chunk_paper(parsed: ParsedPaper, *, max_tokens: int, count_tokens: CountTokens) -> list[Chunk]:
    """The paper as whole sentences packed up to `max_tokens`, never across a section.

    Args:
        parsed: the paper.
        max_tokens: the most word pieces of a chunk; a longer sentence is cut between words.
        count_tokens: the embedder's own count for each text, without special tokens.

    Of a table, whole rows are packed, with the column headings that stand before them.
    The reference list is left out. Chunks do not overlap: overlap gained nothing in measurements and costs space.
    """
    text, starts = parsed.text, parsed.page_starts()
    chunks: list[Chunk] = []
    for section, (start, end) in _searched(parsed, len(text)):
        pieces = list(_fitting(text, _units(parsed, start, end), max_tokens, count_tokens))
        for first, last, n_tokens in _packed(pieces, max_tokens):
            ordinal = len(chunks)
            first_page, last_page = pages_of(starts, first, last)
            chunks.append(
                Chunk(
                    id=f"{parsed.paper.id}:{ordinal:04d}",
                    paper_id=parsed.paper.id,
                    ordinal=ordinal,
                    text=text[first:last],
                    start=first,
                    end=last,
                    first_page=first_page,
                    last_page=last_page,
                    section=section,
                    n_tokens=n_tokens,
                )
            )
    return chunks


def _units(parsed: ParsedPaper, start: int, end: int) -> list[Range]:
    """Units of a range that are not split: its sentences; of tables, some rows with the column headings above them."""
    text, units, at = parsed.text, [], start
    for block in parsed.blocks:
        if block.kind != "table" or block.end <= start or end <= block.start:
            continue
        first, last = max(block.start, start), min(block.end, end)
        units += sentence_spans(text, at, first)
        rows = [(first + m.start(), first + m.end()) for m in re.finditer(r"[^\n]+", text[first:last])]
        heads = {text[a:b] for a, b in rows[:1]}
        headed = sum(text[a:b] in heads for a, b in rows) > 1
        for a, b in rows:
            if headed and units and units[-1][0] >= first and text[a:b] not in heads:
                units[-1] = (units[-1][0], b)
            else:
                units.append((a, b))
        at = max(at, last)
    return [*units, *sentence_spans(text, at, end)]


def _searched(parsed: ParsedPaper, length: int) -> Iterator[tuple[str | None, Range]]:
    """The sections without the reference list: the blocks that the parser marked, else the section."""
    left_out = [(block.start, block.end) for block in parsed.blocks if block.kind == "reference"]
    for section, (start, end) in _sections(parsed.headings, length):
        if not left_out and section and is_references(section):
            continue
        at = start
        for first, last in left_out:
            if at < last and first < end:
                yield section, (at, max(at, first))
                at = last
        yield section, (at, max(at, end))


def _sections(headings: Sequence[Heading], length: int) -> Iterator[tuple[str | None, Range]]:
    """Each section's heading and range; the range does not include the heading's own words."""
    at: int = 0
    title: str | None = None
    for heading in headings:
        yield title, (at, heading.start)
        title, at = heading.title, heading.end
    yield title, (at, length)


def _fitting(
    text: str, sentences: Sequence[Range], max_tokens: int, count_tokens: CountTokens
) -> Iterator[tuple[int, int, int]]:
    """Each sentence with its length in tokens; those longer than `max_tokens` are split between words."""
    counts = count_tokens([text[start:end] for start, end in sentences]) if sentences else []
    for (start, end), n_tokens in zip(sentences, counts, strict=True):
        if n_tokens <= max_tokens:
            yield start, end, n_tokens
        elif " | " in text[start:end] and "\n" in text[start:end]:
            rows = [(start + m.start(), start + m.end()) for m in re.finditer(r"[^\n]+", text[start:end])]
            yield from _fitting(text, rows, max_tokens, count_tokens)
        else:
            yield from _cut(text, start, end, max_tokens=max_tokens, count_tokens=count_tokens)


def _cut(
    text: str, start: int, end: int, *, max_tokens: int, count_tokens: CountTokens
) -> Iterator[tuple[int, int, int]]:
    """A sentence that is too long (a table, a formula), split into whole words; a single oversized word is halved."""
    words = [(start + m.start(), start + m.end()) for m in re.finditer(r"\S+", text[start:end])]
    counts = count_tokens([text[a:b] for a, b in words])
    first = last = total = 0
    for (a, b), n_tokens in zip(words, counts, strict=True):
        if total and total + n_tokens > max_tokens:
            yield first, last, total
            total = 0
        if n_tokens > max_tokens:
            middle = (a + b) // 2
            for half in ((a, middle), (middle, b)):
                yield from _cut(text, *half, max_tokens=max_tokens, count_tokens=count_tokens)
            continue
        first = first if total else a
        last, total = b, total + n_tokens
    if total:
        yield first, last, total


def _packed(pieces: list[tuple[int, int, int]], max_tokens: int) -> Iterator[tuple[int, int, int]]:
    """Join neighbouring pieces while they fit."""
    if not pieces:
        return
    first, last, total = pieces[0]
    for start, end, n_tokens in pieces[1:]:
        if total + n_tokens > max_tokens:
            yield first, last, total
            first, total = start, 0
        last, total = end, total + n_tokens
    yield first, last, total
