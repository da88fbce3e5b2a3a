"""Read pages again that were read badly: with letters from glyph names, with the second engine, and with OCR."""

from __future__ import annotations

import contextlib
import statistics
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ingest.glyph_names import with_letters
from ingest.hidden import visible_lines
from ingest.lines import squash, unread_share, words_of
from ingest.ocr import MIN_LETTERS, OcrError, has_letters, is_scan, needs_ocr, read_page
from ingest.readable import is_readable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pypdf import PdfReader

    from ingest.lines import Line
    from ingest.steps import Steps

TINY = 1.5
"""Points; nobody can read smaller text."""

_MAX_UNREAD = 0.02  # share of a page's characters; above it, the second engine is tried
_STRANGE = 0.4  # of the document's usual share of words found on other pages; below it, the second engine is tried
_MOST_PAGES = 400  # of a file that is copied to add letters to its fonts: 10 ms a page
_OCR_FAILURES = 3  # failed pages before OCR is given up


@dataclass(slots=True)
class PageText:
    """What an engine read on a page."""

    lines: list[Line]
    hidden_chars: int = 0

    @property
    def text(self) -> str:
        """Its lines, top to bottom."""
        return "\n".join(line.text for line in self.lines)


@dataclass(slots=True)
class Recognition:
    """The outcome of OCR, as 1-based page numbers."""

    done: list[int] = field(default_factory=list)
    unreadable: list[int] = field(default_factory=list)
    """Pages that were not recognised: pictures, and pages whose letters make no words."""
    without_words: list[int] = field(default_factory=list)
    """The subset whose letters make no words."""
    error: OcrError | None = None
    """Why the first of them was not recognised."""


def read_page_text(page: Any, number: int, steps: Steps) -> PageText:
    """The page's visible lines as read by pdfium, in content order."""
    from ingest.readers import pdfium_lines, plain_lines

    def placed() -> PageText:
        lines = pdfium_lines(page, number, textpage=textpage)
        return steps.attempt("hidden text", lambda: by_rule(lines), seen, lines)

    def seen(lines: list[Line]) -> PageText:
        return PageText(*visible_lines(page, lines, textpage=textpage))

    with contextlib.closing(page.get_textpage()) as textpage:
        return steps.attempt(
            "places of lines",
            lambda: PageText(plain_lines(textpage, number, page_size=page.get_size())),
            placed,
        )


def by_rule(lines: Sequence[Line]) -> PageText:
    """The lines without text off the page or too small to see, if there is no picture of the page to check."""
    return PageText([line for line in lines if line.size >= TINY and 0 <= line.height <= 1])


def named_letters(pages: list[PageText], document: Any, reader: PdfReader | None, steps: Steps) -> None:
    """Replace pages whose fonts do not map their codes to letters, if the glyph names do."""
    import pypdfium2

    doubtful = [i for i, page in enumerate(pages) if _is_coded(page, document, i)]
    if not doubtful or reader is None or len(pages) > _MOST_PAGES:
        return
    copy = with_letters(reader)
    if copy is None:
        return
    with contextlib.closing(pypdfium2.PdfDocument(copy)) as named:
        for i in doubtful:
            with contextlib.closing(named[i]) as page:
                again = read_page_text(page, i + 1, steps)
            was = pages[i].text
            # a font that the copy breaks yields no text, which counts as readable
            if len(again.text) >= 0.5 * len(was) and (is_readable(again.text) or not is_readable(was)):
                pages[i] = again


def _is_coded(page: PageText, document: Any, index: int) -> bool:
    """Whether a page has characters that their font does not map to letters."""
    from ingest.readers import n_without_letters

    suspect = (
        not page.lines or any(not line.style.face for line in page.lines) or unread_share(page.lines) > _MAX_UNREAD
    )
    if not suspect and is_readable(page.text):
        return False
    with contextlib.closing(document[index]) as opened, contextlib.closing(opened.get_textpage()) as textpage:
        return n_without_letters(textpage) > 0


def by_second_engine(pages: list[PageText], reader: PdfReader | None, document: Any) -> int:
    """Replace pages that pdfium read badly with pypdf's reading where that is better; return how many."""
    from ingest.readers import pypdf_lines

    words = [Counter(words_of(page.lines)) for page in pages]
    vocabulary: Counter[str] = Counter()
    for page in words:
        vocabulary.update(page)
    shares = [_known_share(page, page, vocabulary) for page in words]
    usual = statistics.median([share for share, page in zip(shares, words, strict=True) if page.total() >= 40] or [1.0])
    replaced = 0
    for i, first in enumerate(pages):
        unread = unread_share(first.lines)
        strange = shares[i] < _STRANGE * usual and words[i].total() >= 40
        if reader is None or not (unread > _MAX_UNREAD or strange):
            continue
        try:
            with contextlib.closing(document[i]) as page:  # invisible text is left out, whichever engine reads it
                others, n_hidden = visible_lines(page, pypdf_lines(reader.pages[i], i + 1))
        except Exception:  # noqa: BLE001, S112 a damaged PDF makes pypdf raise nearly anything
            continue
        again = Counter(words_of(others))
        better = _known_share(again, words[i], vocabulary) > shares[i] + 0.03
        if again.total() > 0.5 * words[i].total() and better and unread_share(others) <= unread:
            pages[i] = PageText(others, first.hidden_chars + n_hidden)
            replaced += 1
    return replaced


def _known_share(words: Counter[str], page: Counter[str], vocabulary: Counter[str]) -> float:
    """The share of letters that are in words which other pages contain too."""
    known = sum(len(word) * n for word, n in words.items() if vocabulary[word] > page[word])
    return known / max(1, sum(len(word) * n for word, n in words.items()))


def recognise(pages: list[PageText], document: Any, languages: str, steps: Steps) -> Recognition:
    """Use OCR for pages that show more than their text says, and for those whose letters make no words.

    Args:
        pages: the reading of each page so far.
        document: the pypdfium2 document.
        languages: Tesseract's names, joined by "+".
        steps: where failures are counted.
    """
    found, failures = Recognition(), 0
    for i, page in enumerate(pages):
        wordless = not is_readable(page.text)
        if has_letters(page.text, MIN_LETTERS) and not wordless:
            continue
        given = "" if failures == _OCR_FAILURES else languages
        again = steps.attempt("OCR", _Again, _recognised, document, i, given, page.text)
        if again.error:
            found.error = found.error or again.error
            failures += 1
        text = "\n".join(line.text for line in again.lines or ())
        if wordless and again.lines and _agree(page.text, text):
            continue  # the text is what the page shows: names, sequences, type samples
        if (
            again.lines
            and is_readable(text)
            and (has_letters(text, MIN_LETTERS) if wordless else _says_more(page, again))
        ):
            left_out = [] if wordless else _left_out(page.lines, text)
            pages[i] = PageText([*again.lines, *left_out], page.hidden_chars)
            found.done.append(i + 1)
        elif wordless or (again.lines is None and again.is_scan):
            found.unreadable.append(i + 1)
            found.without_words += [i + 1] * wordless
    return found


@dataclass(frozen=True, slots=True)
class _Again:
    """The result of OCR on a page."""

    lines: list[Line] | None = None
    """None if it could not be read; empty if the page shows no more than its text says."""
    is_scan: bool = True
    """Whether pictures cover most of the page; if not, the ink may just as well be a figure."""
    error: OcrError | None = None


def _recognised(document: Any, index: int, languages: str, text: str) -> _Again:
    from ingest.readers import rows_as_lines

    with contextlib.closing(document[index]) as page:
        if is_readable(text) and not needs_ocr(page, text):
            return _Again([])
        covered = is_scan(page)
        if not languages:
            return _Again(is_scan=covered)
        try:
            rows = read_page(page, languages=languages).split("\n")
        except OcrError as error:
            return _Again(is_scan=covered, error=error)
        return _Again(rows_as_lines(rows, index + 1, face="recognised", page_size=page.get_size()), covered)


def _says_more(page: PageText, again: _Again) -> bool:
    """Whether OCR found text that the text layer lacks: words, not strokes of a figure, if the ink may be one.

    Words have three letters or more; they must make up at least MIN_LETTERS and half of the new text.
    """
    lines = again.lines or []
    text = "\n".join(line.text for line in lines)
    if again.is_scan:
        return has_letters(text, MIN_LETTERS) or len(text) > len(page.text)
    had = squash(page.text)
    new = [line for line in lines if squash(line.text) not in had]
    in_words = sum(len(word) for word in words_of(new) if len(word) > 2)
    return in_words >= max(MIN_LETTERS, 0.5 * sum(not char.isspace() for line in new for char in line.text))


def _left_out(lines: Sequence[Line], text: str) -> list[Line]:
    """The lines of the page that a reading lacks."""
    read = squash(text)
    return [line for line in lines if squash(line.text) not in read]


def _agree(one: str, other: str) -> bool:
    """Whether two readings of a page share a third of their words, which shows that the page contains these."""
    words, again = set(one.lower().split()), set(other.lower().split())
    return len(words & again) > 0.3 * max(1, min(len(words), len(again)))
