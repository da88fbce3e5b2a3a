"""PDFs with highlights and notes, as other programs write them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pypdf
from pypdf.generic import ArrayObject, DictionaryObject, FloatObject, NameObject, NumberObject, TextStringObject

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

HIDDEN = 2


def marked(
    path: Path,
    kind: str,
    rect: tuple[float, float, float, float],
    *,
    note: str = "",
    popup: str = "",
    author: str = "",
    quads: Sequence[tuple[float, float, float, float]] = (),
    flags: int = 4,
    page: int = 1,
) -> Path:
    """Add an annotation of this subtype to the PDF; `rect` and `quads` are left, bottom, right, top in points."""
    writer = pypdf.PdfWriter(clone_from=path)
    made = DictionaryObject(
        {
            NameObject("/Type"): NameObject("/Annot"),
            NameObject("/Subtype"): NameObject(kind),
            NameObject("/Rect"): _numbers(rect),
            NameObject("/F"): NumberObject(flags),
            NameObject("/C"): _numbers((1, 0.9, 0)),
        }
    )
    for key, text in (("/Contents", note), ("/T", author)):
        if text:
            made[NameObject(key)] = TextStringObject(text)
    if kind in ("/Highlight", "/Underline", "/StrikeOut", "/Squiggly"):
        corners = [
            side
            for left, bottom, right, top in quads or (rect,)
            for side in (left, top, right, top, left, bottom, right, bottom)
        ]
        made[NameObject("/QuadPoints")] = _numbers(corners)
    added = [made]
    if popup:
        window = DictionaryObject(
            {
                NameObject("/Type"): NameObject("/Annot"),
                NameObject("/Subtype"): NameObject("/Popup"),
                NameObject("/Rect"): _numbers((500, 500, 600, 600)),
                NameObject("/Contents"): TextStringObject(popup),
            }
        )
        added.append(window)
    sheet: Any = writer.pages[page - 1]
    there = sheet.get("/Annots") or ArrayObject()
    references = [writer._add_object(each) for each in added]
    if popup:
        made[NameObject("/Popup")] = references[1]
    sheet[NameObject("/Annots")] = ArrayObject([*there, *references])
    writer.write(path)
    return path


def _numbers(values: Sequence[float]) -> ArrayObject:
    return ArrayObject(FloatObject(value) for value in values)
