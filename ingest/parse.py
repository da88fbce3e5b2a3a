"""parse_pdf(path) → ParsedPaper: open, read each page's lines, look at pages that were read badly again, lay out."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ingest.annotations import read_annotations
from ingest.errors import EncryptedPdfError, NoTextError, UnreadablePdfError
from ingest.files import paper_id
from ingest.injections import flag_sentences
from ingest.layout import Layout, lay_out, plain_layout
from ingest.lines import unread_share
from ingest.metadata import FRONT_PAGES, Description, DocumentInfo, describe
from ingest.ocr import has_letters
from ingest.outline import OutlineEntry, read_outline
from ingest.page_labels import page_labels
from ingest.paper import Paper, ParsedPaper, QualityReport
from ingest.portfolio import refuse_cover
from ingest.reread import (
    PageText,
    Recognition,
    by_rule,
    by_second_engine,
    named_letters,
    read_page_text,
    recognise,
)
from ingest.steps import Steps

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pypdf import PdfReader

    from ingest.annotation import Annotation
    from ingest.lines import Line

MIN_LETTERS = 40
"""A paper with fewer letters has no usable text layer; a page with fewer has no usable text."""


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
    steps, n_pages = file.steps, len(file.pages)
    parts = steps.attempt_all(
        "layout", n_pages, lambda: plain_layout(file.pages), lay_out, file.pages, file.outline, steps=steps
    )
    if not has_letters("".join(page.text for page in parts.pages), MIN_LETTERS):
        raise _no_text(file, name)
    known = steps.attempt_all(
        "title and authors",
        n_pages,
        lambda: Description(parts.title or name, (), None, None, retracted=parts.retracted),
        describe,
        parts,
        file.info,
        file_name=name,
    )
    labels = steps.attempt_all("page labels", n_pages, tuple[str, ...], page_labels, file.labels, file.pages)
    paper = Paper(
        id=paper_id(path),
        title=known.title,
        authors=known.authors,
        year=known.year,
        doi=known.doi,
        arxiv_id=known.arxiv_id,
        abstract=known.abstract,
        n_pages=n_pages,
        file_name=name,
        isbn=known.isbn,
        publication=known.publication,
        page_labels=labels,
        retracted=known.retracted,
    )
    flagged = steps.attempt_all("orders to a model", n_pages, lambda: 0, _n_flagged, parts)
    report = _report(file, parts, flagged)
    return ParsedPaper(paper, parts.pages, parts.headings, parts.blocks, parts.references, report, file.annotations)


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
    """What the engines read from a file."""

    read: list[PageText] = field(default_factory=list)
    info: DocumentInfo = field(default_factory=DocumentInfo)
    labels: list[str] = field(default_factory=list)
    """The file's own page labels; empty if it has none."""
    outline: tuple[OutlineEntry, ...] = ()
    second_engine_pages: int = 0
    ocr: Recognition = field(default_factory=Recognition)
    annotations: tuple[Annotation, ...] = ()
    steps: Steps = field(default_factory=Steps)

    @property
    def pages(self) -> list[list[Line]]:
        """The lines of each page."""
        return [page.lines for page in self.read]


def _labels(document: Any) -> list[str]:
    return [document.get_page_label(number) or "" for number in range(len(document))]


def _no_text(file: _File, name: str) -> NoTextError:
    if file.ocr.error:
        return NoTextError(f"{name} has no text: {file.ocr.error.message}", file.ocr.error.hint)
    return NoTextError(
        f"{name} has no readable text and no scanned pages.",
        "Export it again from the program that created it, or add another version.",
    )


def _refuse_cover(document: Any, file: _File, reader: PdfReader | None, name: str) -> None:
    """Raise PortfolioError if the file is only a cover, even one whose text is a picture that nobody could read."""
    is_collection = reader is not None and "/Collection" in reader.root_object
    if is_collection or not file.ocr.unreadable:
        refuse_cover(document, "\n".join(page.text for page in file.read), name)


def _refuse_letters_without_words(file: _File, name: str) -> None:
    """Raise NoTextError where no page has words and OCR cannot be asked: a font's table names the wrong letters.

    What OCR has seen and could not make out either may be formulas, code, or a language that it does not read.
    """
    wrong = set(file.ocr.without_words)
    others = (page for i, page in enumerate(file.read, start=1) if i not in wrong)
    error = file.ocr.error
    if not wrong or not error or any(has_letters(page.text, MIN_LETTERS) for page in others):
        return
    example = " ".join(file.read[min(wrong) - 1].text.split()[:4])[:60]
    raise NoTextError(
        f"{name} cannot be read: its letters make no words (“{example}”), as its fonts name the wrong ones. "
        f"{error.message}",
        error.hint,
    )


def _read(path: Path, name: str, ocr_languages: str) -> _File:
    """The lines of all pages, from pdfium if it opens the file, else from pypdf."""
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError as error:
        if getattr(error, "err_code", None) == pypdfium2.raw.FPDF_ERR_PASSWORD:
            raise _locked(name) from error
        return _read_with_pypdf(path, name)
    file, failed = _File(), 0
    read, steps = file.read, file.steps
    with contextlib.closing(document):
        for number in range(1, len(document) + 1):
            try:
                with contextlib.closing(document[number - 1]) as page:
                    read.append(read_page_text(page, number, steps))
            except pypdfium2.PdfiumError:  # one bad page must not cost the others
                read.append(PageText([]))
                failed += 1
        if failed == len(read):
            return _read_with_pypdf(path, name)
        file.labels = steps.attempt_all("page labels", len(read), list, _labels, document)
        file.outline = steps.attempt_all("outline", len(read), tuple, read_outline, document)
        file.annotations = steps.attempt_all("notes", len(read), tuple, read_annotations, document)
        reader, n_pages = _pypdf(path), len(read)
        steps.attempt_all("glyph names", n_pages, lambda: None, named_letters, read, document, reader, steps)
        file.second_engine_pages = steps.attempt_all(
            "second engine", n_pages, lambda: 0, by_second_engine, read, reader, document
        )
        file.ocr = steps.attempt_all("OCR", n_pages, Recognition, recognise, read, document, ocr_languages, steps)
        steps.attempt_all("attached files", n_pages, lambda: None, _refuse_cover, document, file, reader, name)
    file.info = steps.attempt_all("document information", n_pages, DocumentInfo, _info, reader, file.pages)
    _refuse_letters_without_words(file, name)
    return file


def _read_with_pypdf(path: Path, name: str) -> _File:
    """The whole file read by pypdf, which copes with some damage that pdfium refuses."""
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
            file.read.append(by_rule(pypdf_lines(page, number)))
        except Exception:  # noqa: BLE001 one bad page must not cost the others
            file.read.append(PageText([]))
            failed += 1
    if failed == len(pages):
        raise _damaged(name)
    with contextlib.suppress(Exception):  # optional, like the document information
        file.labels = list(reader.page_labels) if "/PageLabels" in reader.root_object else []
    file.info = _info(reader, file.pages)
    return file


def _pypdf(path: Path) -> PdfReader | None:
    """A reader, unlocked if no password is needed; None if pypdf cannot open the file."""
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
    """What the file states about itself, and what its first pages show, running heads and stamps included."""
    opening = tuple("\n".join(line.text for line in lines) for lines in pages[:FRONT_PAGES])
    stated: dict[str, str] = {}
    xmp = b""
    if reader is not None:
        with contextlib.suppress(Exception):  # the document information is optional
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


def _n_flagged(parts: Layout) -> int:
    return sum(len(flag_sentences(page.text)) for page in parts.pages)


def _report(file: _File, parts: Layout, flagged: int) -> QualityReport:
    texts = ["".join(line.text for line in page.lines) for page in file.read]
    wrong = sum(len(texts[i - 1]) for i in file.ocr.without_words)
    unread = sum(unread_share(page.lines) * len(text) for page, text in zip(file.read, texts, strict=True))
    return QualityReport(
        n_pages=len(file.read),
        n_words=sum(len(page.text.split()) for page in parts.pages),
        n_columns=parts.n_columns,
        n_headings=len(parts.headings),
        n_references=len(parts.references),
        second_engine_pages=file.second_engine_pages,
        garbled_share=min(1.0, (unread + wrong) / max(1, sum(map(len, texts)))),
        hidden_chars=sum(page.hidden_chars for page in file.read),
        flagged_sentences=flagged,
        pages_without_text=tuple(i for i, text in enumerate(texts, start=1) if not has_letters(text, MIN_LETTERS)),
        ocr_pages=tuple(file.ocr.done),
        unreadable_pages=tuple(file.ocr.unreadable),
        ocr_error=str(file.ocr.error or ""),
        lost=file.steps.lost,
    )
