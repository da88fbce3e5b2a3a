"""Mark the sentences of an answer that its passages do not support, each with its reasons.

In Markdown, a mark is a link of our own after the sentence. Its words carry the meaning even where nothing is drawn, as
in copied text and for screen readers. An invisible character marks the start of the sentence, so that the page can
underline it (`public/sentence-marks.js`). The reasons are the link's title, so they are stored with the message.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rag.answer import PARTIALLY_SUPPORTED
from rag.sanitise import INVISIBLE, LITERAL, broken
from rag.texts import N_, _, ngettext, number, said

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rag.answer import Answer, Correction, Sentence, Support

SAID: Final[dict[Support, str]] = {"unsupported": N_("not supported"), PARTIALLY_SUPPORTED: N_("partially supported")}
"""The words shown after a doubtful sentence."""

EXPLAINED: Final[dict[Support, str]] = {
    "unsupported": N_("none of the passages says this, or one says otherwise"),
    PARTIALLY_SUPPORTED: N_("partially supported: a part is missing, or elsewhere in the passages"),
}

BEGINS: Final = "\N{INVISIBLE SEPARATOR}"
"""Marks the start of a doubtful sentence."""

REASON_CHARS: Final = 240

_START: Final = 0x100000
_PLACES: Final = re.compile("[\U00100000-\U0010fffd]")
"""Private-use characters that hold positions during sanitising: one for the start, and one for each end."""

_LEAD: Final = re.compile(r"(?:[-+•]\s|\d+[.)]\s|[\s#>|*_~\"“'])*")
"""Characters before a sentence's first word that must stay at the start of the line or with that word."""

_UNREADABLE: Final = str.maketrans({"`": "'", '"': "'", "$": None, "\\": None, "<": "‹", ">": "›", "|": "/"})


@dataclass(frozen=True, slots=True)
class SentenceMark:
    """The position of a doubtful sentence in an answer's text, as [start, end) including its markers."""

    start: int
    end: int
    sentence: Sentence


def sentence_marks(text: str, sentences: Sequence[Sentence]) -> Iterator[SentenceMark]:
    """The doubtful sentences in order; one that is not found in `text` is skipped."""
    at = 0
    for sentence in sentences:
        found = _pattern(sentence.text).search(text, at)
        if found is None:
            continue
        at = found.end()
        if sentence.support in SAID:
            yield SentenceMark(found.start(), at, sentence)


def marks_in_words(text: str, sentences: Sequence[Sentence], *, reasons: bool = False) -> str:
    """The text with each mark in brackets after its sentence, optionally with reasons."""
    parts, at = [], 0
    for mark in sentence_marks(text, sentences):
        why = f": {'; '.join(mark.sentence.reasons)}" if reasons and mark.sentence.reasons else ""
        parts += [text[at : mark.end], f" ({_said(mark.sentence)}{why})"]
        at = mark.end
    return "".join((*parts, text[at:]))


def placed(text: str, sentences: Sequence[Sentence]) -> str:
    """The text with two characters around each doubtful sentence that survive sanitising; `shown` replaces them."""
    parts, at, plain = [], 0, _PLACES.sub("", text)
    for k, mark in enumerate(sentence_marks(plain, sentences), start=1):
        start = mark.start + len((_LEAD.match(plain[mark.start : mark.end]) or [""])[0])
        end = max(start, mark.start + len(plain[mark.start : mark.end].rstrip("| ")))  # stay inside a table
        begins = "" if plain.startswith("```", start) else chr(_START)  # a code block must start its line
        parts += [plain[at:start], begins, plain[start:end], chr(_START + k)]
        at = end
    return "".join((*parts, plain[at:]))


def shown(markdown: str, text: str, sentences: Sequence[Sentence]) -> str:
    """Safe Markdown with a mark after each doubtful sentence.

    Args:
        markdown: the sanitised `placed(text, sentences)`.
        text: the answer's text.
        sentences: the answer's sentences.
    """
    found = [mark.sentence for mark in sentence_marks(_PLACES.sub("", text), sentences)]

    def mark(place: re.Match[str]) -> str:
        k = ord(place[0]) - _START
        return f" {_mark(found[k - 1])}" if 0 < k <= len(found) else BEGINS if k == 0 else ""

    return _PLACES.sub(mark, LITERAL.sub(_freed, markdown))


def legend(answer: Answer) -> str:
    """A line that explains the marks used, and a line on corrected citations; empty if there are neither."""
    used = {mark.sentence.support for mark in sentence_marks(answer.text, answer.sentences)}
    parts = [f"{_link(support, _(EXPLAINED[support]))} {_(EXPLAINED[support])}" for support in SAID if support in used]
    lines = [f"###### {' · '.join(parts)} · {_('select the mark to see why')}"] if parts else []
    changed = [correction for correction in answer.corrections if correction.was is not None]
    if changed:
        n = ngettext("{n} citation was corrected:", "{n} citations were corrected:", len(changed))
        told = ", ".join(dict.fromkeys(map(_corrected, changed)))
        lines.append(f"###### {n.format(n=number(len(changed)))} {told}")
    return "\n\n".join(lines)


def _corrected(correction: Correction) -> str:
    if correction.to is None:
        return _("{source} was removed").format(source=f"[{correction.was}]")
    return _("{source} is now {other}").format(source=f"[{correction.was}]", other=f"[{correction.to}]")


def _said(sentence: Sentence) -> str:
    return SAID[sentence.support] if sentence.support else ""


def _mark(sentence: Sentence) -> str:
    why = "; ".join(map(said, sentence.reasons)) or (_(EXPLAINED[sentence.support]) if sentence.support else "")
    return _link(sentence.support or PARTIALLY_SUPPORTED, why)


def _link(support: Support, why: str) -> str:
    """`[*(partially supported)*](#weak "why")`: the page draws a sign instead of italic words."""
    words = f"({_(SAID[support])})"
    return f'[{f"*{words}*" if support == PARTIALLY_SUPPORTED else words}](#{support} "{_title(why)}")'


def _title(why: str) -> str:
    """Reasons as a link title: on one line, without anything that could end it or be parsed."""
    flat = " ".join(INVISIBLE.sub(" ", re.sub(r'"([^"]*)"', r"“\1”", why)).translate(_UNREADABLE).split())
    cut = flat if len(flat) <= REASON_CHARS else flat[:REASON_CHARS].rsplit(" ", 1)[0] + " …"
    return broken(cut[:1].upper() + cut[1:])


def _pattern(sentence: str) -> re.Pattern[str]:
    """The sentence as it appears in the answer, with markers before or after its full stop."""
    body, stop = (sentence[:-1].rstrip(), sentence[-1]) if sentence[-1:] in {".", "!", "?"} else (sentence, "")
    markers = r"(?:\s*\[\d{1,3}\])*"
    return re.compile(
        rf"{re.escape(body)}{markers}\s*{re.escape(stop)}{markers}" if stop else re.escape(body) + markers
    )


def _freed(literal: re.Match[str]) -> str:
    """Code or a formula with the position characters moved out: before and after it, or below a block."""
    inside = _PLACES.findall(literal[0])
    if not inside:
        return literal[0]
    bare = _PLACES.sub("", literal[0])
    ends = [place for place in inside if place != chr(_START)]
    if "\n" in bare or bare.startswith("```"):
        return bare + ("\n\n" + ends[0] if ends else "")
    begins = chr(_START) if chr(_START) in inside else ""
    return f"{begins}{bare}{''.join(ends)}"
