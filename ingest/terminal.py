"""Text to a terminal or a pipe, and from a command line: legible, and never a reason to fail.

A terminal may know fewer letters than the papers use (ASCII, cp1252), and an argument or a file name may be bytes that
are not text, which Python keeps as lone surrogates (PEP 383). Neither may cost an answer.
"""

from __future__ import annotations

import codecs
import re
import sys
import unicodedata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f"
    "\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e0fff]"
)
"""Invisible characters: controls, directions, joiners, tags; and lone surrogates, which cannot be sent."""

_SURROGATE = re.compile("[\ud800-\udfff]")
_BYTES = re.compile("[\udc80-\udcff]")
_PLAIN = str.maketrans(
    {
        **dict.fromkeys("“”„«»", '"'), **dict.fromkeys("‘’‚", "'"), **dict.fromkeys("‐‑‒–—−", "-"),
        "…": "...", "·": "|", "•": "*", "→": "->", "←": "<-", "×": "x", "≤": "<=", "≥": ">=", "≈": "~", "±": "+/-",
        "µ": "u", "μ": "u", "°": " deg", "ß": "ss", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "æ": "ae", "Æ": "AE",
        "œ": "oe", "Œ": "OE", "đ": "d", "ı": "i", "\u00a0": " ", "\u202f": " ",
    }
)  # fmt: skip


def printable(text: str) -> str:
    """The text without control sequences and invisible characters."""
    return INVISIBLE.sub("", well_formed(text))


def well_formed(text: str) -> str:
    """The text without lone surrogates: matching halves are joined, bytes that are not UTF-8 are read as cp1252.

    Any other half becomes U+FFFD. Text without surrogates is returned as it is.
    """
    if not _SURROGATE.search(text):
        return text
    if _BYTES.search(text) and all(_BYTES.match(found) for found in _SURROGATE.findall(text)):
        return text.encode("utf-8", "surrogateescape").decode("cp1252", "replace")
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def all_well_formed(value: Any) -> Any:
    """The same for all text in a JSON value or a table."""
    if isinstance(value, str):
        return well_formed(value)
    if isinstance(value, (list, tuple)):
        return type(value)(all_well_formed(item) for item in value)
    if isinstance(value, dict):
        return {well_formed(str(name)): all_well_formed(item) for name, item in value.items()}
    return value


def clean_arguments(options: argparse.Namespace) -> None:
    """Make the text in parsed arguments well formed; paths stay as they are, because they name files by their bytes."""
    for name, value in vars(options).items():
        if isinstance(value, (str, list, tuple)):
            setattr(options, name, all_well_formed(value))


def prepare_output(*, json: bool = False) -> None:
    r"""Let standard output and standard error take any text from now on.

    What their encoding lacks is written with plainer letters ("é" as "e"), and as `\u00e9` where the output is JSON,
    which means the same there.
    """
    codecs.register_error("scholion.plain", _plainer)
    codecs.register_error("scholion.json", _escaped)
    for stream, errors in ((sys.stdout, "scholion.json" if json else "scholion.plain"), (sys.stderr, "scholion.plain")):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors=errors)


def _escaped(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2)), error.end


def _plainer(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_plain(char, error.encoding) for char in error.object[error.start : error.end]), error.end


def _plain(char: str, encoding: str) -> str:
    if encoding == "charmap":  # Python's name for all its tables (cp1251, iso8859-2); as a codec it is Latin-1
        encoding = "ascii"
    for text in (char.translate(_PLAIN), unicodedata.normalize("NFKD", char)):
        kept = text.encode(encoding, "ignore").decode(encoding)
        if kept:
            return kept
    return "?"
