"""What a page draws: its text, pictures and paths in order, their positions, and how to leave some out."""

from __future__ import annotations

import contextlib
import ctypes
from typing import TYPE_CHECKING, Any

import pypdfium2.raw as pdfium

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

TEXT, IMAGE = 1, 3
"""Kinds of objects: FPDF_PAGEOBJ_*."""

Box = tuple[float, float, float, float]
"""Left, bottom, right, top in points."""

Matrix = tuple[float, float, float, float, float, float]

_FORM = 5
_DEPTH = 8


def objects(page: Any) -> Iterator[tuple[int, Any, Matrix]]:
    """Kind, handle and enclosing matrix of everything drawn, including the contents of forms."""
    yield from _walk(pdfium.FPDFPage_CountObjects, pdfium.FPDFPage_GetObject, page, (1, 0, 0, 1, 0, 0), 0)


def _walk(count: Any, get: Any, parent: Any, matrix: Matrix, depth: int) -> Iterator[tuple[int, Any, Matrix]]:
    for index in range(count(parent)):
        handle = get(parent, index)
        kind = pdfium.FPDFPageObj_GetType(handle)
        if kind != _FORM:
            yield kind, handle, matrix
        elif depth < _DEPTH:
            own = pdfium.FS_MATRIX()
            pdfium.FPDFPageObj_GetMatrix(handle, own)
            inner = _product((own.a, own.b, own.c, own.d, own.e, own.f), matrix)
            yield from _walk(pdfium.FPDFFormObj_CountObjects, pdfium.FPDFFormObj_GetObject, handle, inner, depth + 1)


def _product(one: Matrix, two: Matrix) -> Matrix:
    """First one, then two (PDF 32000-1, 8.3.4)."""
    a, b, c, d, e, f = one
    g, h, i, j, k, m = two
    return a * g + b * i, a * h + b * j, c * g + d * i, c * h + d * j, e * g + f * i + k, e * h + f * j + m


def bounds(handle: Any, matrix: Matrix) -> Box:
    """Where an object is on the page; all zero if unknown."""
    numbers = [ctypes.c_float() for _ in range(4)]
    if not pdfium.FPDFPageObj_GetBounds(handle, *numbers):
        return (0, 0, 0, 0)
    left, bottom, right, top = (number.value for number in numbers)
    a, b, c, d, e, f = matrix
    corners = [(a * x + c * y + e, b * x + d * y + f) for x in (left, right) for y in (bottom, top)]
    return (
        min(x for x, _ in corners),
        min(y for _, y in corners),
        max(x for x, _ in corners),
        max(y for _, y in corners),
    )


@contextlib.contextmanager
def inactive(handles: Sequence[Any]) -> Iterator[None]:
    """Inside this context, drawing leaves these objects out."""
    try:
        for handle in handles:
            pdfium.FPDFPageObj_SetIsActive(handle, False)
        yield
    finally:
        for handle in handles:
            pdfium.FPDFPageObj_SetIsActive(handle, True)


def overlap(one: Box, other: Box) -> float:
    """The overlapping area, in square points."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, width) * max(0.0, height)
