"""Model or paper text → Markdown that loads nothing and links nowhere, sanitised piece by piece while it streams.

Nothing here guesses what a Markdown parser will treat as a link. Every pair of characters that an image, link,
reference, definition or bare address needs is broken by an invisible WORD JOINER wherever it occurs, also in code and
formulas. That works however a parser sees the surrounding text. Constructs recognised beyond that (links with their
address, code, formulas) only matter for appearance: a mistake there gives ugly text, never a link.

The renderer joins text before it searches for bare addresses, so an escaped or encoded colon is broken like a plain
one.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ingest.terminal import INVISIBLE, printable

__all__ = ["INVISIBLE", "printable"]

JOINER = "\N{WORD JOINER}"

MARKER = re.compile(r"\[(\d{1,3})\]")
OWN_LINK = r'\((?:/cite/[0-9a-f]{16}/\d{1,5}/\d{4,7}(?:#source)?|#(?:unsupported|weak)(?: "[^"\\`\n]*")?)\)'
"""Targets of our own links: the end of `[1](/cite/<paper>/<page>/<passage>)`, or of a doubt's `[…](#weak "why")`."""

LITERAL = re.compile(
    r"```.*?(?:```|\Z)|`[^`\n]+`"  # code
    r"|\$\$.+?\$\$|\$(?=\S)[^$\n]*?(?<=\S)\$(?!\d)",  # formulas; by pandoc's rule, "$5 and $6" is not one
    re.DOTALL,
)
"""Code and formulas in sanitised text; we insert nothing there."""

_BREAK = re.compile(
    r"\](?=[(:])"  # a link, an image; a definition, without which no reference leads anywhere
    r"|:(?=\\?/)|www(?=\\?\.)|(?<=[\w.+\\-])@(?=[^\s\u2060])"  # a bare address
    r"|&(?=#?\w{1,32};)"  # a character that is written as its number or name
    r"|<(?=[A-Za-z][A-Za-z0-9+.-]{1,31}:)",  # an address in angle brackets
    re.IGNORECASE,
)
_OWN_LINK = re.compile(OWN_LINK)
_INSIDE_A_LINE = re.compile(r"[A-Za-z].*(?<!\\)\[[^\[\]]*\Z")
"""What precedes `]:` when it does not end a definition, which must start a line: Python's `for x in a[1]:`."""

_CODE_CHARS, _INLINE_CHARS, _DISPLAY_CHARS = 500, 400, 2000
"""Maximum length of code, a formula and a display formula; an open one is held back for at most so many characters."""

_PLAIN = re.compile(r"[^\\\[\]!<&:@$`\nwW]+")
_TARGET = r"\((?P<to>[^()\n]{0,400}(?:\([^()\n]{0,100}\)[^()\n]{0,400}){0,3})\)"
_LINK = re.compile(rf"(?P<image>!?)\[(?P<text>[^\[\]\n]{{0,300}})\]{_TARGET}")
_LINK_BEGUN = re.compile(
    r"!?\[[^\[\]\n]{0,300}"
    r"(?:\](?:\([^()\n]{0,400}(?:\([^()\n]{0,100}\)[^()\n]{0,400}){0,3}(?:\([^()\n]{0,100})?)?)?\Z"
)
_ADDRESS = re.compile(r"\s*<?(?:[A-Za-z][A-Za-z0-9+.-]*:|www\.|\.{0,2}/|#)")
_ENTITY_BEGUN = re.compile(r"&#?\w{0,32}\Z")
_WWW_BEGUN = re.compile(r"w{1,3}\\?\Z", re.IGNORECASE)

_FENCE = re.compile(r"(?P<lead>[ \t]*)(?P<run>`{3,}|~{3,})[^`\n]*(?P<end>\n|\Z)")
_FENCE_BEGUN = re.compile(r"[ \t]*(?:`{0,2}|~{0,2}|(?:`{3,}|~{3,})[^`\n]*)\Z")
_RUN = re.compile(r"`+|\n")


class _Formula(NamedTuple):
    whole: re.Pattern[str]
    begun: re.Pattern[str]
    sign: str


_ONE_LINE = r"(?:(?!{end})[^$`\n])"
_LINES = r"(?:(?!{end}|\n[ \t]*\n)[^$`])"


def _formula(start: str, end: str, *, body: str, limit: int, sign: str, after: str = "") -> _Formula:
    body = body.replace("{end}", end)
    partly = r"\\?" if end.startswith("\\\\") else r"\$?"
    return _Formula(
        re.compile(rf"{start}(?P<body>{body}{{1,{limit}}}){end}{after}"),
        re.compile(rf"{start}{body}{{0,{limit}}}(?:{partly}|{end})\Z"),
        sign,
    )


_FORMULAS = (
    _formula(r"\$\$", r"\$\$", body=_LINES, limit=_DISPLAY_CHARS, sign="$$"),
    # by pandoc's rule, "$5 and $6" is not a formula
    _formula(r"\$(?=[^\s$])", r"(?<=\S)\$", body=_ONE_LINE, limit=_INLINE_CHARS, sign="$", after=r"(?!\d)"),
    _formula(r"\\\[", r"\\\]", body=_LINES, limit=_DISPLAY_CHARS, sign="$$"),
    _formula(r"\\\(", r"\\\)", body=_ONE_LINE, limit=_INLINE_CHARS, sign="$"),
)


class Sanitiser:
    """Takes text in pieces and returns what can be shown so far.

    The joined output is `sanitised` of the joined input, however it was cut. Held back is only what could still change:
    the last characters of a word with a bracket, an open code span, formula or link, and at most a line of code.
    """

    def __init__(self) -> None:
        self._held = ""
        self._line_start = True
        self._fence = ""

    @property
    def holds(self) -> bool:
        """Whether something is held back."""
        return bool(self._held)

    def feed(self, piece: str) -> str:
        """What can be shown after `piece`; may be empty."""
        self._held += INVISIBLE.sub("", piece)
        return self._advance(final=False)

    def finish(self) -> str:
        """The rest. Open code is closed, so that it does not swallow what follows."""
        rest = self._advance(final=True)
        fence, self._fence = self._fence, ""
        return f"{rest}\n{fence}" if fence else rest

    def _advance(self, *, final: bool) -> str:
        out, at = [], 0
        while at < len(self._held):
            taken = self._code_line(at, final=final) if self._fence else self._next(at, final=final)
            if taken is None:
                break
            at, shown = taken
            out.append(shown)
        self._held = self._held[at:]
        return "".join(out)

    def _next(self, at: int, *, final: bool) -> tuple[int, str] | None:
        """The next token from `at`: where it ends and how it is shown; None if that is not known yet."""
        text = self._held
        if self._line_start:
            fence = _FENCE.match(text, at)
            if fence and (final or fence["end"]):
                self._fence = fence["lead"] + fence["run"]
                return fence.end(), broken(fence[0])
            if not final and _FENCE_BEGUN.match(text, at):
                return None
        self._line_start = text[at] == "\n"
        if plain := _PLAIN.match(text, at):
            return plain.end(), plain[0]
        if text[at] == "\n":
            return at + 1, "\n"
        image = text.startswith("![", at)
        read = {"`": self._code, "[": self._link, "$": self._formula, "\\": self._formula}.get(text[at], self._joint)
        return (self._link if image else read)(at, final=final)

    def _code_line(self, at: int, *, final: bool) -> tuple[int, str] | None:
        end = self._held.find("\n", at) + 1
        if not end and not final:
            return None
        line = self._held[at : end or None]
        run = self._fence.strip()
        if line.strip().startswith(run) and not line.strip().strip(run[0]):
            self._fence, self._line_start = "", True
        return at + len(line), broken(line)

    def _code(self, at: int, *, final: bool) -> tuple[int, str] | None:
        """Inline code: from a run of backticks to the next run of the same length."""
        text, size = self._held, 0
        for run in _RUN.finditer(text, at, at + _CODE_CHARS):
            if run.end() == len(text) and not final and run[0] != "\n":
                return None
            size = size or len(run[0])
            if run[0] == "\n" or run.end() == at + _CODE_CHARS:
                break
            if run.start() > at and len(run[0]) == size:
                return run.end(), broken(text[at : run.end()])
        else:
            if not final and len(text) - at < _CODE_CHARS:
                return None
        return at + size, text[at : at + size]

    def _link(self, at: int, *, final: bool) -> tuple[int, str] | None:
        if link := _LINK.match(self._held, at):
            if link["image"] or _ADDRESS.match(link["to"]):
                # joiners on both sides keep the words from merging with their neighbours
                self._held = f"{_in_words(link)}{JOINER}{self._held[link.end() :]}"
                return 0, JOINER
        elif not final and _LINK_BEGUN.match(self._held, at):
            return None
        return (at + 1, "[") if self._held[at] == "[" else (at + 1, "!" + JOINER)

    def _formula(self, at: int, *, final: bool) -> tuple[int, str] | None:
        text = self._held
        if not final and at + 1 == len(text):
            return None
        for formula in _FORMULAS:
            found = formula.whole.match(text, at)
            if found and (final or found.end() < len(text)) and found["body"].strip():
                return found.end(), formula.sign + _BREAK.sub(r"\g<0> ", found["body"].strip(" ")) + formula.sign
            if not final and formula.begun.match(text, at):
                return None
        if text[at] == "$":
            return at + 1, r"\$"
        pair = 2 if text[at + 1 : at + 2] in {"\\", "$", "`", "[", "("} else 1
        return at + pair, text[at : at + pair]

    def _joint(self, at: int, *, final: bool) -> tuple[int, str] | None:
        text, char = self._held, self._held[at]
        rest = text[at + 1 : at + 3]
        if not final and (not rest or rest == "\\" or (char == "&" and _ENTITY_BEGUN.match(text, at))):
            return None
        if char in "wW":
            if not final and _WWW_BEGUN.match(text, at):
                return None
            n = 3 if re.compile(r"www(?=\\?\.)", re.IGNORECASE).match(text, at) else 1
            return at + n, text[at : at + n] + (JOINER if n == 3 else "")
        apart = (
            (char == "]" and rest[:1] in {"(", "[", ":"})
            or (char == "<" and (rest[:1].isalpha() or rest[:1] in {"/", "!", "?"}))
            # an unbroken ":word" is a directive, which Chainlit removes from the text
            or (char == ":" and (rest[:1].isalpha() or rest[:1] in {":", "{", "[", "/"} or rest == "\\/"))
            or (char == "@" and not rest[:1].isspace())
            or (char == "&" and bool(_BREAK.match(text, at)))
        )
        return at + 1, char + JOINER if apart and rest else char


def sanitised(text: str) -> str:
    """The whole text as Markdown without a live link, image, address or HTML tag."""
    whole = Sanitiser()
    return whole.feed(text) + whole.finish()


def broken(text: str, *, own_links: bool = False) -> str:
    """Break every image, link or address in the text and change nothing else; idempotent.

    Args:
        text: Markdown of any origin.
        own_links: whether to keep links to `/cite/…`; for messages we made ourselves and read from disk.
    """

    def apart(joint: re.Match[str]) -> str:
        at = joint.end()
        if joint[0] == "]":
            kept = own_links and _OWN_LINK.match(text, at)
            if kept or (text[at] == ":" and _INSIDE_A_LINE.search(text, text.rfind("\n", 0, at) + 1, at - 1)):
                return joint[0]
        return joint[0] + JOINER

    return _BREAK.sub(apart, text)


def _in_words(link: re.Match[str]) -> str:
    """`text (address)`; a marker keeps its brackets, so that it is still recognised."""
    words, to = link["text"].strip(), link["to"].strip().strip("<>")
    if words.isdigit():
        words = f"[{words}]"
    if not words or words == to:
        return to
    return f"{words} ({to})" if to else words
