"""Words and PDFs of two people, of which one must not learn of the other's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdfs import column, write_pdf

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "zwitterion"
"""A word of Ada's paper, of its title and of her chat; nothing that Bob is told may have it."""
OTHER = "quokka"
"""A word of the paper that all see."""


def pdf_about(path: Path, about: str, *, lines: int = 14) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    texts = [f"Line {n} tells how the {about} was measured in the field and weighed." for n in range(lines)]
    return write_pdf(path, column(72, 720, [f"On the {about}", "", *texts]))
