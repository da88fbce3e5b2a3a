"""Text of a model or a paper → Markdown that loads nothing and leads nowhere, piece by piece while it is written.

Nothing here decides by guessing what a Markdown parser will take for a link. Every pair of characters without which
there is no image, link, reference, definition or bare address is broken by an invisible WORD JOINER, wherever it
stands, in code and formulas too: that holds whatever a parser thinks of the text around it. What is recognised on top
of that (links with their address, code, formulas) is for the eye only: a mistake there shows ugly text, never a link.

The renderer joins text before it looks for bare addresses, so an escaped or encoded colon is broken as a plain one is.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ingest.terminal import INVISIBLE, printable

__all__ = ["INVISIBLE", "printable"]

JOINER = "\N{WORD JOINER}"

MARKER = re.compile(r"\[(\d{1,3})\]")
OWN_LINK = r'\((?:/cite/[0-9a-f]{16}/\d{1,5}/\d{4,7}(?:#source)?|#(?:unsupported|weak)(?: "[^"\\`\n]*")?)\)'
"""Where our own links lead: the end of `[1](/cite/<paper>/<page>/<passage>)`, or of a doubt's `[…](#weak "why")`."""

LITERAL = re.compile(
    r"```.*?(?:```|\Z)|`[^`\n]+`"  # code
    r"|\$\$.+?\$\$|\$(?=\S)[^$\n]*?(?<=\S)\$(?!\d)",  # formulas, by pandoc's rule: "$5 and $6" is none
    re.DOTALL,
)
"""Code and formulas in sanitised text, in which nothing of ours is put."""

_BREAK = re.compile(
    r"\](?=[(:])"  # a link, an image; a definition, without which no reference leads anywhere
    r"|:(?=\\?/)|www(?=\\?\.)|(?<=[\w.+\\-])@(?=[^\s\u2060])"  # a bare address
    r"|&(?=#?\w{1,32};)"  # a character that is written as its number or name
    r"|<(?=[A-Za-z][A-Za-z0-9+.-]{1,31}:)",  # an address in angle brackets
    re.IGNORECASE,
)
_OWN_LINK = re.compile(OWN_LINK)
_INSIDE_A_LINE = re.compile(r"[A-Za-z].*(?<!\\)\[[^\[\]]*\Z")
"""What stands before `]:` where it ends no definition, which only begins a line: Python's `for x in a[1]:`."""

_CODE_CHARS, _INLINE_CHARS, _DISPLAY_CHARS = 500, 400, 2000
"""How long code, a formula and a displayed formula may be, and so how long they are held back while they are open."""

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
    # by pandoc's rule: "$5 and $6" is none
    _formula(r"\$(?=[^\s$])", r"(?<=\S)\$", body=_ONE_LINE, limit=_INLINE_CHARS, sign="$", after=r"(?!\d)"),
    _formula(r"\\\[", r"\\\]", body=_LINES, limit=_DISPLAY_CHARS, sign="$$"),
    _formula(r"\\\(", r"\\\)", body=_ONE_LINE, limit=_INLINE_CHARS, sign="$"),
)


class Sanitiser:
    """Takes text in pieces and gives back what may be shown of it now.

    All that it gives back, joined, is `sanitised` of all that it took, however that was cut into pieces. Held back is
    what could still become something else: the last characters of a word with a bracket, code, formula or link that is
    open, and no more than a line of code.
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
        """What may be shown now that `piece` has come; it may be empty."""
        self._held += INVISIBLE.sub("", piece)
        return self._advance(final=False)

    def finish(self) -> str:
        """The rest, with open code closed, so that it does not swallow what follows the text."""
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
        """The next thing from `at` on: where it ends and how it is shown; None: not to be told yet."""
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
        """Code within a line: from a run of backticks to the next run that is as long."""
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
                # joiners around it: the words must not grow together with what stands before and behind
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
            # an unbroken ":word" is a directive, which Chainlit leaves out of the text
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
    """The text with every joint of an image, link or address broken, and no other change; twice is as once.

    Args:
        text: Markdown of any origin.
        own_links: whether links to `/cite/…` stay: for messages that we made ourselves and take from the disk.
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
    """`text (address)`; a marker keeps its brackets, because that is how it is known."""
    words, to = link["text"].strip(), link["to"].strip().strip("<>")
    if words.isdigit():
        words = f"[{words}]"
    if not words or words == to:
        return to
    return f"{words} ({to})" if to else words
