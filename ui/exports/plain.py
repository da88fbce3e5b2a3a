"""Markdown → the text that a person would type: no escapes, no emphasis, no addresses of ours."""

from __future__ import annotations

import re

from rag.sanitise import INVISIBLE, JOINER, LITERAL

_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")
_OURS = re.compile(r"\[((?:[^\[\]\\]|\\.)*)\]\(/cite/[^)\s]*\)")
_BOLD = re.compile(r"(\*\*|__)(?=\S)(.+?)(?<=\S)\1")
_HEADING = re.compile(r"^#{1,6} +", re.MULTILINE)


def plain(text: str) -> str:
    """The text without Markdown's escapes, bold, headings and our own links; code and formulas stay as they are.

    A link `[1](/cite/…)` becomes the marker `[1]`.
    """
    text = INVISIBLE.sub("", text).replace(JOINER, "")
    parts, at = [], 0
    for literal in LITERAL.finditer(text):
        parts += [_undressed(text[at : literal.start()]), literal[0]]
        at = literal.end()
    return "".join((*parts, _undressed(text[at:])))


def _undressed(text: str) -> str:
    text = _OURS.sub(r"[\1]", text)
    text = _HEADING.sub("", text)
    return _ESCAPE.sub(r"\1", _BOLD.sub(r"\2", text))
