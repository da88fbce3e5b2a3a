"""Checks of what reads PDFs: text recognition with its languages, and the sandbox of the parser."""

from __future__ import annotations

from typing import Final

from ingest import ocr
from ingest.confine import promises
from ingest.sandbox import Parser
from rag.health.report import Check, Line
from rag.words import counted

GROUP: Final = "Reading PDFs"


def checks(languages: str) -> list[Check]:
    """The checks of reading.

    Args:
        languages: the setting, Tesseract's names joined by "+".
    """
    return [
        Check("text recognition", GROUP, "Scans", lambda: recognition(languages)),
        Check("sandbox", GROUP, "Sandbox", sandbox),
    ]


def recognition(languages: str) -> Line:
    """Whether scanned pages can be read, in the languages that the setting names."""
    if not ocr.available():
        said = "Tesseract is not installed, so scanned pages cannot be read; PDFs with text are not concerned."
        return Line(about="Scans", state="note", said=said, todo=ocr.INSTALL, facts={"tesseract": False})
    there = ocr.languages()
    wanted = languages.split("+")
    missing = [name for name in wanted if name not in there]
    facts = {"tesseract": True, "languages": len(there), "missing": len(missing)}
    if missing:
        said = f"Tesseract has no data for {', '.join(missing)}, which SCHOLION_OCR_LANGUAGES names."
        todo = f"Install it (Debian and Ubuntu: `sudo apt install tesseract-ocr-{missing[0].replace('_', '-')}`)."
        return Line(about="Scans", state="problem", said=said, todo=todo, facts=facts)
    shown = ", ".join(there[:8]) + (" …" if len(there) > 8 else "")
    said = f"Tesseract reads scanned pages in {', '.join(wanted)}; installed: {shown}."
    return Line(about="Scans", state="ok", said=said, facts=facts)


def sandbox() -> Line:
    """Whether the parser's process starts, and what confines it."""
    with Parser() as parser:
        parser.warm_up()
        layers = parser.confinement
    kept = promises(layers)
    broken = [sentence for sentence, is_kept in kept.items() if not is_kept]
    facts: dict[str, bool | float | str | None] = {
        "layers": ", ".join(layers),
        "kept": len(kept) - len(broken),
        "promises": len(kept),
    }
    if not broken:
        return Line(about="Sandbox", state="ok", said=f"PDFs are read behind {', '.join(layers)}.", facts=facts)
    said = (
        f"PDFs are read in a separate process with limits, but {counted(len(broken), 'protection')} of {len(kept)} "
        "cannot be had on this system."
    )
    todo = "`python -m ingest sandbox` says which. Add only PDFs from sources you trust, or use Linux 5.13 or newer."
    return Line(about="Sandbox", state="note", said=said, todo=todo, facts=facts)
