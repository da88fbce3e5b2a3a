"""The data model: Paper, Page, Heading, ParsedPaper, Chunk."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Literal

from ingest.annotation import Annotation  # noqa: TC001 - the sandbox checks answers by these types
from ingest.names import families_of

PAGE_BREAK = "\n"
"""The separator between pages in `ParsedPaper.text`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """Where a paper was published; unknown is None. It is what a bibliography or the file itself states."""

    kind: str | None = None
    """In CSL's words: "article-journal", "paper-conference", "chapter", "book", "thesis", "report"."""
    container: str | None = None
    """The journal, the proceedings or the book that it stands in."""
    volume: str | None = None
    issue: str | None = None
    pages: str | None = None
    """First and last with a hyphen, "101-109", or an article's number, "e1004"."""
    publisher: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """What is known about one publication."""

    id: str
    """First 16 hexadecimal digits of the file's SHA-256."""
    title: str
    authors: tuple[str, ...] = ()
    year: int | None = None
    doi: str | None = None
    arxiv_id: str | None = None
    abstract: str | None = None
    n_pages: int
    file_name: str
    """The user's name for the file; the library's own copy is `papers/<id>.pdf`."""
    isbn: str | None = None
    """ISBN of the book that it is, or is part of: 13 digits."""
    families: tuple[str, ...] = ()
    """The authors' family names as stated in a bibliography, one each; empty if none does. See `family_names`."""
    page_labels: tuple[str, ...] = ()
    """The printed name of each page, "" if unknown; empty if all names are just the position in the file."""

    retracted: bool = False
    """Whether the file itself says so, by a stamp or a notice."""
    publication: Publication | None = None
    """None where neither a bibliography nor the file says anything of it."""

    @property
    def family_names(self) -> tuple[str, ...]:
        """The authors' family names, one each: "García Márquez", "van der Burg"; the whole name of a group."""
        return families_of(self.authors, self.families)

    @property
    def pages_in_print(self) -> str | None:
        """First and last page of the paper in its journal or book, "101-109": stated, or printed on its pages."""
        stated = self.publication
        if stated is None or stated.pages or not stated.container:
            return stated.pages if stated else None
        ends = self.page_labels[:1] + self.page_labels[-1:]
        if len(ends) == 2 and all(label.isdecimal() for label in ends):
            first, last = map(int, ends)
            if first > 1 and last - first + 1 == self.n_pages:
                return f"{first}-{last}"
        return None

    @property
    def marked_title(self) -> str:
        """The title as cited: with "RETRACTED: " before it, as publishers do, if the paper is retracted."""
        if not self.retracted or self.title.casefold().startswith("retract"):
            return self.title
        return f"RETRACTED: {self.title}"

    @property
    def short_cite(self) -> str:
        """A short name: "Smith et al. 2021", or the title if the authors are unknown."""
        if not self.authors:
            words = self.title.split()
            return " ".join(words[:6]) + (" …" if len(words) > 6 else "")
        families = self.family_names
        others = {1: "", 2: f" and {families[-1]}"}.get(len(families), " et al.")
        cite = f"{families[0]}{others} {self.year}" if self.year else f"{families[0]}{others}"
        return f"{cite} (retracted)" if self.retracted else cite

    def page_label(self, number: int) -> str | None:
        """The printed name of the page at this 1-based position, if it is known and differs from the position."""
        label = self.page_labels[number - 1] if 1 <= number <= len(self.page_labels) else ""
        return label if label not in ("", str(number)) else None

    def page_name(self, first: int, last: int | None = None) -> str:
        """Pages as cited, followed by their position in the file: "1123 (1)", "1123-1124 (1-2)"; else "1-2"."""
        ends = [first] if last is None or last <= first else [first, last]
        places = "-".join(map(str, ends))
        if not any(self.page_label(number) for number in ends):
            return places
        return f"{'-'.join(self.page_label(number) or str(number) for number in ends)} ({places})"

    def pages_called(self, name: str) -> list[int]:
        """Positions of the pages with this printed name; if there are none, the page at that position."""
        sought = name.casefold()
        found = [number for number, label in enumerate(self.page_labels, start=1) if label.casefold() == sought]
        if not found and name.isdecimal() and 1 <= int(name) <= self.n_pages:
            return [int(name)]
        return found


@dataclass(frozen=True, slots=True)
class Page:
    """The text of one page in reading order."""

    number: int
    """1-based: the position in the file, not the printed number."""
    text: str


@dataclass(frozen=True, slots=True)
class Heading:
    """A section heading, a half-open range of `ParsedPaper.text`."""

    start: int
    end: int
    title: str
    level: int
    """1 for a section, 2 for a subsection, and so on."""


Kind = Literal["title", "heading", "body", "caption", "table", "footnote", "equation", "reference"]


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph or similar block, a half-open range of `ParsedPaper.text`."""

    start: int
    end: int
    kind: Kind


@dataclass(frozen=True, slots=True)
class LostStep:
    """An optional step of reading that failed because of a bug; the paper is added without it."""

    step: str
    """The purpose of the step: "references", "hidden text"."""
    n_pages: int
    """The number of pages affected."""
    why: str
    """Type and place of the error, for debugging."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityReport:
    """How well a paper was read."""

    n_pages: int
    n_words: int
    n_columns: int
    """Applies to most pages."""
    n_headings: int
    n_references: int
    second_engine_pages: int
    """Pages that the first engine read badly and the second read better."""
    garbled_share: float
    """Share of characters that have no meaning or make no words."""
    hidden_chars: int = 0
    flagged_sentences: int = 0
    pages_without_text: tuple[int, ...] = ()
    """1-based, like `ocr_pages`."""
    ocr_pages: tuple[int, ...] = ()
    ocr_error: str = ""
    """Why OCR did not read pages that it should have, and what to do; empty if it read all."""
    unreadable_pages: tuple[int, ...] = ()
    """1-based: pictures that OCR could not read, and pages whose letters make no words and that it could not read."""
    lost: tuple[LostStep, ...] = ()


@dataclass(frozen=True, slots=True)
class ParsedPaper:
    """A paper with its pages and headings; every offset refers to `text`."""

    paper: Paper
    pages: tuple[Page, ...]
    headings: tuple[Heading, ...] = ()
    blocks: tuple[Block, ...] = ()
    """The whole text in order; empty if it was not looked at."""
    references: tuple[str, ...] = ()
    """The entries of the reference list."""
    report: QualityReport | None = None
    annotations: tuple[Annotation, ...] = ()
    """Highlights and notes that were made in the file."""

    @property
    def text(self) -> str:
        """All pages, joined by `PAGE_BREAK`."""
        return PAGE_BREAK.join(page.text for page in self.pages)

    def page_starts(self) -> list[int]:
        """The offset in `text` at which each page begins."""
        starts, at = [], 0
        for page in self.pages:
            starts.append(at)
            at += len(page.text) + len(PAGE_BREAK)
        return starts


def pages_of(page_starts: list[int], start: int, end: int) -> tuple[int, int]:
    """The 1-based first and last page of the half-open range [start, end)."""
    return bisect_right(page_starts, start), bisect_right(page_starts, max(start, end - 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A part of a paper that can be found on its own. Invariant: `parsed.text[start:end] == text`."""

    id: str
    """`{paper_id}:{ordinal:04d}`: always the same for the same file and settings."""
    paper_id: str
    ordinal: int
    text: str
    start: int
    end: int
    first_page: int
    last_page: int
    section: str | None
    """The title of the nearest preceding heading; None before the first."""
    n_tokens: int
    """Word pieces of the embedder's tokenizer, without special tokens."""

    def own_section(self, paper: Paper) -> str | None:
        """The section, or None if its heading only stands in the margin of the first pages: "Competing interests:".

        Papers that were read before such headings were left out have them over their introduction.
        """
        early = 2 * self.first_page <= paper.n_pages
        return None if early and self.section and self.section.endswith(":") else self.section
