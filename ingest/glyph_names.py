"""Fonts that do not map their codes to letters: get the letters from glyph names and TeX's encodings.

TeX's bitmap fonts (Type 3) name a glyph by its code in the font's encoding: `/a65`, `/G41` or `/68`. A copy of the file
in which these fonts have a ToUnicode table is read like any other file.
"""

from __future__ import annotations

import io
import re
import string
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from pypdf import PdfReader

_DECIMAL = re.compile(r"(?:[A-Za-z]{1,2}|char|code|glyph)?(\d{1,4})")
_HEX = re.compile(r"[A-Za-z]?([0-9A-Fa-f]{2})")
_ASCII = {code: chr(code) for code in range(33, 127)} | {39: "’", 96: "‘"}
_GREEK = dict(enumerate("ΓΔΘΛΞΠΣΥΦΨΩ"))
_LIGATURES = ("ff", "fi", "fl", "ffi", "ffl")

OT1 = (
    _ASCII
    | _GREEK
    | dict(enumerate(_LIGATURES, start=11))
    | dict(enumerate("ıȷ`´ˇ˘¯˚¸ßæœøÆŒØ", start=16))
    | {34: "”", 60: "¡", 62: "¿", 92: "“", 94: "ˆ", 95: "˙", 123: "–", 124: "—", 125: "˝", 126: "˜", 127: "¨"}
)
"""TeX's encodings, from Knuth's and the Cork tables: text (7 and 8 bits), letters in formulas, symbols."""
T1 = (
    _ASCII
    | dict(enumerate("`´ˆ˜¨˝˚ˇ˘¯˙¸˛‚‹›“”„«»–—"))
    | {25: "ı", 26: "ȷ"}
    | dict(enumerate(_LIGATURES, start=27))
    | {127: "-"}
    | dict(enumerate("ĂĄĆČĎĚĘĞĹĽŁŃŇŊŐŔŘŚŠŞŤŢŰŮŸŹŽŻĲİđ§ăąćčďěęğĺľłńňŋőŕřśšşťţűůÿźžżĳ¡¿£", start=128))
    | dict(enumerate("ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖŒØÙÚÛÜÝÞẞàáâãäåæçèéêëìíîïðñòóôõöœøùúûüýþß", start=192))
)
OML = (
    {ord(char): char for char in string.ascii_letters + string.digits}
    | _GREEK
    | dict(enumerate("αβγδϵζηθικλμνξπρστυϕχψωεϑϖϱςφ↼↽⇀⇁", start=11))
    | {46: "▹", 47: "◃", 58: ".", 59: ",", 60: "<", 61: "/", 62: ">", 63: "⋆", 64: "∂"}
    | {91: "♭", 92: "♮", 93: "♯", 94: "⌣", 95: "⌢", 96: "ℓ", 123: "ı", 124: "ȷ", 125: "℘"}
)
OMS = (
    dict(enumerate("−·×∗÷⋄±∓⊕⊖⊗⊘⊙◯∘•≍≡⊆⊇≤≥≼≽∼≈⊂⊃≪≫≺≻←→↑↓↔↗↘≃⇐⇒⇑⇓⇔↖↙∝′∞∈∋△▽/↦∀∃¬∅ℜℑ⊤⊥ℵ"))
    | {ord(char): char for char in string.ascii_uppercase}
    | dict(enumerate("∪∩⊎∧∨⊢⊣⌊⌋⌈⌉{}⟨⟩|∥↕⇕\\≀√⨿∇∫⊔⊓⊑⊒§†‡¶♣♢♡♠", start=91))
)
_BY_NAME = (
    (re.compile(r"(?:cm|lm)?(?:mi|mmi|mib)\d|^(?:cm|lm|eu)m+i", re.IGNORECASE), OML),
    (re.compile(r"^(?:cm|lm)b?sy", re.IGNORECASE), OMS),
    (re.compile(r"^(?:ec|tc|sf|aer|cork)[a-z]{2}|t1\b", re.IGNORECASE), T1),
    (re.compile(r"^cm[a-z]", re.IGNORECASE), OT1),
)
_SYMBOLS = {0, 1, 2, 3, 6, 15, 17, 20, 21, 24, 25, 26, 33, 41, 49, 50, 56, 91, 92, 94, *range(102, 108), 112, 114}
"""The OMS codes that papers use most."""


def letters_of(names: Mapping[int, str], *, font_name: str = "") -> dict[int, str]:
    """The letters of a font's codes, from its glyph names or TeX's encodings.

    Args:
        names: glyph names without the slash, by code.
        font_name: as in the file, without the subset prefix; may be empty.
    """
    known = {code: letter for code, name in names.items() if (letter := _named(name))}
    others = {code: name for code, name in names.items() if code not in known and name != ".notdef"}
    numbers = _numbers(others)
    encoding = _encoding(numbers.values(), font_name)
    return known | {code: encoding[number] for code, number in numbers.items() if number in encoding}


def _named(name: str) -> str:
    """From Adobe's glyph list, which also covers `uni0041` and `f_i`; empty if it has no such name."""
    from fontTools import agl  # type: ignore[import-untyped]

    return "" if _DECIMAL.fullmatch(name) else str(agl.toUnicode(name))


def _numbers(names: Mapping[int, str]) -> dict[int, int]:
    """The number in each name, decimal or hexadecimal, as all of them allow."""
    decimal = {code: int(found[1]) for code, name in names.items() if (found := _DECIMAL.fullmatch(name))}
    sixteens = {code: int(found[1], 16) for code, name in names.items() if (found := _HEX.fullmatch(name))}
    if len(sixteens) != len(decimal):
        return sixteens if len(sixteens) > len(decimal) else decimal

    def agree(numbers: Mapping[int, int]) -> tuple[int, int]:
        return sum(code == n for code, n in numbers.items()), sum(chr(n).isalpha() for n in numbers.values())

    return max(decimal, sixteens, key=agree)


def _encoding(numbers: Collection[int], font_name: str) -> Mapping[int, str]:
    """The font's TeX encoding, from its name or from the codes that a subset uses."""
    for pattern, encoding in _BY_NAME:
        if pattern.search(font_name):
            return encoding
    codes = set(numbers)
    small = len(codes & set(range(97, 123)))
    if max(codes, default=0) > 127 or (28 in codes and not codes & set(range(11, 16)) and small > 5):
        return T1
    if codes & {58, 59, 60, 62} and not codes & {44, 46} and small < 20:
        return OML
    if len(codes & set(range(16, 40))) > 2 and not codes & {44, 46}:
        return OML
    if small < 6 and codes and len(codes & _SYMBOLS) > 0.7 * len(codes) and codes - set(range(48, 58)):
        return OMS
    return OT1


def with_letters(reader: PdfReader) -> bytes | None:
    """A copy of the file with letters for its fonts' codes; None if no font gains from it.

    Raises:
        Exception: of any kind, because pypdf raises nearly anything on a damaged file.
    """
    from pypdf import PdfWriter
    from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

    tables = {}
    writer = PdfWriter(clone_from=reader)
    for item in list(writer._objects):  # noqa: SLF001 - every object, because a page need not name the fonts of a form
        if isinstance(item, DictionaryObject) and (letters := _missing(item)):
            stream = DecodedStreamObject()
            stream.set_data(_to_unicode(letters))
            tables[id(item)] = stream
            item[NameObject("/ToUnicode")] = writer._add_object(stream)  # noqa: SLF001
    if not tables:
        return None
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def _missing(font: Any) -> dict[int, str]:
    """The letters of a simple font without a table but with glyph names; empty if the names are standard ones."""
    if font.get("/Type") != "/Font" or font.get("/Subtype") not in ("/Type3", "/Type1") or "/ToUnicode" in font:
        return {}
    encoding = font.get("/Encoding")
    if encoding is not None:
        encoding = encoding.get_object()
    differences = encoding.get("/Differences") if isinstance(encoding, dict) else None
    names: dict[int, str] = {}
    code = 0
    for item in differences.get_object() if differences is not None else ():
        item = item.get_object()  # noqa: PLW2901
        if isinstance(item, str):
            names[code] = item.removeprefix("/")
            code += 1
        else:
            code = int(item)
    if all(name == ".notdef" or _named(name) for name in names.values()):
        return {}
    descriptor = font.get("/FontDescriptor")
    stated = [font.get("/BaseFont"), descriptor.get_object().get("/FontName") if descriptor is not None else None]
    name = next((str(name).lstrip("/").split("+", 1)[-1] for name in stated if name), "")
    return letters_of(names, font_name=name)


def _to_unicode(letters: Mapping[int, str]) -> bytes:
    """The font's table for its codes (PDF 32000-1, 9.10.3)."""
    rows = [f"<{code:02X}> <{text.encode('utf-16-be').hex()}>" for code, text in letters.items() if code < 256]
    blocks = [rows[at : at + 100] for at in range(0, len(rows), 100)]
    body = "\n".join(f"{len(block)} beginbfchar\n" + "\n".join(block) + "\nendbfchar" for block in blocks)
    return (
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /Letters def /CMapType 2 def\n"
        f"1 begincodespacerange <00> <FF> endcodespacerange\n{body}\n"
        "endcmap CMapName currentdict /CMap defineresource pop end end"
    ).encode()
