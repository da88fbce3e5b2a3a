"""parse_pdf(path) → ParsedPaper: open, read each page's lines, look at pages that were read badly again, lay out."""

from __future__ import annotations

import contextlib
import logging
import statistics
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ingest.errors import EncryptedPdfError, NoTextError, UnreadablePdfError
from ingest.files import paper_id
from ingest.hidden import visible_lines
from ingest.injections import flag_sentences
from ingest.layout import Layout, lay_out
from ingest.lines import Line, Style, unread_share, words_of
from ingest.metadata import FRONT_PAGES, DocumentInfo, describe
from ingest.ocr import OcrError, has_letters, needs_ocr, read_page
from ingest.page_labels import page_labels
from ingest.paper import Paper, ParsedPaper, QualityReport

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pypdf import PdfReader

MIN_LETTERS = 40
"""A paper with fewer letters than this in all has no usable text layer, a page no usable text."""

TINY = 1.5
"""Points; smaller text cannot be read by a person."""

_MAX_UNREAD = 0.02  # of a page's characters; more, and the second engine has a try
_STRANGE = (
    0.4  # of the document's usual share of words that other pages know too: less, and the second engine has a try
)


def parse_pdf(path: Path, *, file_name: str | None = None, ocr_languages: str = "eng") -> ParsedPaper:
    """The paper's text in reading order, its headings, its references and what is known of it.

    Args:
        path: the PDF.
        file_name: the name under which the user knows it, for messages; `path.name` by default.
        ocr_languages: what scanned pages are written in, by Tesseract's names: "eng+deu".

    Raises:
        UnreadablePdfError: not a PDF or damaged; EncryptedPdfError and NoTextError are kinds of it.
    """
    name = file_name or path.name
    check_is_pdf(path, file_name=name)
    # pypdf reports every oddity of a file, and some are whole font dictionaries
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    file = _read(path, name, ocr_languages)
    parts = lay_out(file.pages)
    if not has_letters("".join(page.text for page in parts.pages), MIN_LETTERS):
        raise _no_text(file, name)
    known = describe(parts, file.info, file_name=name)
    paper = Paper(
        id=paper_id(path),
        title=known.title,
        authors=known.authors,
        year=known.year,
        doi=known.doi,
        arxiv_id=known.arxiv_id,
        abstract=known.abstract,
        n_pages=len(file.pages),
        file_name=name,
        isbn=known.isbn,
        page_labels=page_labels(file.labels, file.pages),
    )
    return ParsedPaper(paper, parts.pages, parts.headings, parts.blocks, parts.references, _report(file, parts))


def check_is_pdf(path: Path, *, file_name: str | None = None) -> None:
    """Raise UnreadablePdfError unless the file begins as a PDF does (`%PDF-` within the first 1,024 bytes)."""
    name = file_name or path.name
    with path.open("rb") as file:
        head = file.read(1024)
    if not head:
        raise UnreadablePdfError(f"{name} is empty (0 bytes).", "Download or export it again.")
    if b"%PDF-" not in head:
        raise UnreadablePdfError(f"{name} is not a PDF, despite its name.", "Export the article as a PDF and add that.")


@dataclass(slots=True)
class _File:
    """What the engines say of a file."""

    pages: list[list[Line]] = field(default_factory=list)
    info: DocumentInfo = field(default_factory=DocumentInfo)
    labels: list[str] = field(default_factory=list)
    """What the file calls its pages; empty where it does not say."""
    hidden_chars: int = 0
    second_engine_pages: int = 0
    ocr_pages: list[int] = field(default_factory=list)
    ocr_error: OcrError | None = None
    """Why the first scanned page could not be recognised."""


def _no_text(file: _File, name: str) -> NoTextError:
    if file.ocr_error:
        return NoTextError(f"{name} has no text: {file.ocr_error.message}", file.ocr_error.hint)
    return NoTextError(
        f"{name} has no readable text and no scanned pages.",
        "Export it again from the program that created it, or add another version.",
    )


def _read(path: Path, name: str, ocr_languages: str) -> _File:
    """The lines of all pages, by pdfium where it opens the file and by pypdf where it does not."""
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError as error:
        if getattr(error, "err_code", None) == pypdfium2.raw.FPDF_ERR_PASSWORD:
            raise _locked(name) from error
        return _read_with_pypdf(path, name)
    file, failed = _File(), 0
    with contextlib.closing(document):
        for number in range(1, len(document) + 1):
            try:
                with contextlib.closing(document[number - 1]) as page:
                    lines, n_hidden = _page_lines(page, number)
                    if needs_ocr(page, "".join(line.text for line in lines)):
                        lines = _recognised(page, number, file, ocr_languages) or lines
            except pypdfium2.PdfiumError:  # one bad page must not cost the others
                lines, n_hidden, failed = [], 0, failed + 1
            file.pages.append(lines)
            file.hidden_chars += n_hidden
        if failed == len(file.pages):
            return _read_with_pypdf(path, name)
        file.labels = [document.get_page_label(number) or "" for number in range(len(document))]
        reader = _pypdf(path)
        _read_badly_read_again(file, reader, document)
    file.info = _info(reader, file.pages)
    return file


def _page_lines(page: Any, number: int) -> tuple[list[Line], int]:
    """The page's visible lines as they come, before layout, and the number of hidden characters left out."""
    from ingest.readers import pdfium_lines

    with contextlib.closing(page.get_textpage()) as textpage:
        return visible_lines(page, pdfium_lines(page, number, textpage=textpage), textpage=textpage)


def _recognised(page: Any, number: int, file: _File, languages: str) -> list[Line]:
    """The lines that OCR reads on a scanned page, set below each other; nothing where it cannot."""
    if file.ocr_error:
        return []
    try:
        text = read_page(page, languages=languages)
    except OcrError as error:
        file.ocr_error = error
        return []
    file.ocr_pages.append(number)
    width, height = page.get_size()
    style, lines = Style("recognised", 10.0, bold=False, italic=False), []
    for i, row in enumerate(text.split("\n")):
        if row.strip():
            y = height * 0.88 - i * 12.0  # an empty row leaves the gap that parts paragraphs
            box = (0.1 * width, y, 0.9 * width, y + 10)
            lines.append(
                Line(
                    page=number, text=row.strip(), x=box[0], x_end=box[2], y=y, style=style, spans=((0, style),),
                    page_height=height, box=box,
                )
            )  # fmt: skip
    return lines


def _read_badly_read_again(file: _File, reader: PdfReader | None, document: Any) -> None:
    """Replace the pages that pdfium read badly by pypdf's reading, where that is better."""
    from ingest.readers import pypdf_lines

    words = [Counter(words_of(lines)) for lines in file.pages]
    vocabulary: Counter[str] = Counter()
    for page in words:
        vocabulary.update(page)
    shares = [_known_share(page, page, vocabulary) for page in words]
    usual = statistics.median([share for share, page in zip(shares, words, strict=True) if page.total() >= 40] or [1.0])
    for i, lines in enumerate(file.pages):
        unread = unread_share(lines)
        strange = shares[i] < _STRANGE * usual and words[i].total() >= 40
        if reader is None or not (unread > _MAX_UNREAD or strange):
            continue
        try:
            with contextlib.closing(document[i]) as page:  # what cannot be seen stays out, whoever reads it
                others, n_hidden = visible_lines(page, pypdf_lines(reader.pages[i], i + 1))
        except Exception:  # noqa: BLE001, S112 a damaged PDF makes pypdf raise nearly anything
            continue
        again = Counter(words_of(others))
        better = _known_share(again, words[i], vocabulary) > shares[i] + 0.03
        if again.total() > 0.5 * words[i].total() and better and unread_share(others) <= unread:
            file.pages[i] = others
            file.hidden_chars += n_hidden
            file.second_engine_pages += 1


def _known_share(words: Counter[str], page: Counter[str], vocabulary: Counter[str]) -> float:
    """The share of the letters that stand in words which pages other than this one have too."""
    known = sum(len(word) * n for word, n in words.items() if vocabulary[word] > page[word])
    return known / max(1, sum(len(word) * n for word, n in words.items()))


def _read_with_pypdf(path: Path, name: str) -> _File:
    """The whole file by pypdf, which mends some damage that pdfium refuses."""
    from ingest.readers import pypdf_lines

    reader = _pypdf(path)
    if reader is None:
        raise _damaged(name)
    if _is_locked(reader):
        raise _locked(name)
    try:
        pages = list(reader.pages)
    except Exception as error:  # a damaged PDF makes pypdf raise nearly anything
        raise _damaged(name) from error
    file, failed = _File(second_engine_pages=len(pages)), 0
    for number, page in enumerate(pages, start=1):
        try:
            # there is no picture to look at, so what is off the page or too small to see goes by rule
            lines = pypdf_lines(page, number)
            file.pages.append([line for line in lines if line.size >= TINY and 0 <= line.height <= 1])
        except Exception:  # noqa: BLE001 one bad page must not cost the others
            file.pages.append([])
            failed += 1
    if failed == len(pages):
        raise _damaged(name)
    with contextlib.suppress(Exception):  # as the document information, a convenience
        file.labels = list(reader.page_labels) if "/PageLabels" in reader.root_object else []
    file.info = _info(reader, file.pages)
    return file


def _pypdf(path: Path) -> PdfReader | None:
    """A reader, unlocked where no password is needed, or None where pypdf cannot open the file."""
    from pypdf import PdfReader

    try:
        reader = PdfReader(path, strict=False)
        if reader.is_encrypted:
            reader.decrypt("")
    except Exception:  # noqa: BLE001 a damaged PDF makes pypdf raise nearly anything
        return None
    return reader


def _is_locked(reader: PdfReader) -> bool:
    try:
        return reader.is_encrypted and not reader.decrypt("")
    except Exception:  # noqa: BLE001 a damaged PDF makes pypdf raise nearly anything
        return False


def _locked(name: str) -> EncryptedPdfError:
    return EncryptedPdfError(
        f"{name} is encrypted and needs a password.", "Save a copy without the password and add that."
    )


def _damaged(name: str) -> UnreadablePdfError:
    return UnreadablePdfError(
        f"{name} is damaged or incomplete and cannot be read.",
        "Download it again, or print it to a new PDF and add that.",
    )


def _info(reader: PdfReader | None, pages: Sequence[Sequence[Line]]) -> DocumentInfo:
    """What the file states of itself, and what its first pages show, running heads and stamps included."""
    opening = tuple("\n".join(line.text for line in lines) for lines in pages[:FRONT_PAGES])
    stated: dict[str, str] = {}
    xmp = b""
    if reader is not None:
        with contextlib.suppress(Exception):  # the document information is a convenience
            stated = {key: str(value or "") for key, value in (reader.metadata or {}).items()}
        with contextlib.suppress(Exception):
            stream: Any = reader.root_object["/Metadata"].get_object()
            xmp = stream.get_data()
    return DocumentInfo(
        title=stated.get("/Title", ""),
        author=stated.get("/Author", ""),
        created=stated.get("/CreationDate", ""),
        subject=stated.get("/Subject", ""),
        xmp=xmp,
        opening=opening,
    )


def _report(file: _File, parts: Layout) -> QualityReport:
    texts = ["".join(line.text for line in lines) for lines in file.pages]
    return QualityReport(
        n_pages=len(file.pages),
        n_words=sum(len(page.text.split()) for page in parts.pages),
        n_columns=parts.n_columns,
        n_headings=len(parts.headings),
        n_references=len(parts.references),
        second_engine_pages=file.second_engine_pages,
        garbled_share=unread_share(line for lines in file.pages for line in lines),
        hidden_chars=file.hidden_chars,
        flagged_sentences=sum(len(flag_sentences(page.text)) for page in parts.pages),
        pages_without_text=tuple(i for i, text in enumerate(texts, start=1) if not has_letters(text, MIN_LETTERS)),
        ocr_pages=tuple(file.ocr_pages),
    )
