"""Citation markers as models write them, read as what they mean: all of them become `[1]` and `[1][2]`.

`[1, 2]`, `[1-3]`, `[1, p. 3]`, `[^1]`, `[Source 1]`, `[Passage 1]`, `【1†source】`, `<sup>1</sup>`, `(Source 1)`; and
`(1)` where it stands at the end of a sentence and no other marker is used (`round_ones`).
"""

from __future__ import annotations

import re
from typing import Final

MOST: Final = 99
"""A range of more passages than this is no citation: a model is shown far fewer."""

_INTERVAL = re.compile(r"[\[【［]\s*\d{1,3}\s*[,;–—-]\s*\d{1,3}\s*[\]】］]")
_ZERO = re.compile(r"(?<!\d)0(?!\d)")
_OF_AN_INTERVAL = re.compile(
    r"\b(?:iqr|(?:confidence|credible) intervals?|konfidenzintervall|quartile range)\s*[:=,(]*\s*$"
    r"|[\d%][\s-]*(?:c\.?i\.?|k\.?i\.?|ди)\s*[:=,(]*\s*$|(?<!\w)(?:c\.?i\.?|k\.?i\.?|ди)\s*[:=,(]+\s*$"
    r"|\b(?:c\.?i\.?|k\.?i|ди|\w*intervall?s?|интервал\w*|ranges?|scales?|bereich|skala|диапазон\w*|скала\w*)[\s:=]*"
    r"(?:of|from|is|was|von|от)\s*$"
    r"|\b(?:between|zwischen|между)\s*$"
    r"|\b(?:median|iqr|(?-i:OR|HR|RR))\b[^.;\[\]]{0,14}\d\s?%?\s*$",
    re.IGNORECASE,
)
_LIKELY_OF_ONE = re.compile(r"\b(?:ranges?|scales?|bereich|skala|диапазон\w*|скала\w*)\s*[:(]*\s*$", re.IGNORECASE)
_PERHAPS_OF_ONE = re.compile(r"\b(?:of|in)\s*$", re.IGNORECASE)

_CLEAR = (
    r"passages?|sources?|src|references?|refs?\.?|citations?|cit\.?|docs?|excerpts?|quotes?|chunks?|snippets?|textstelle"
    r"|quellen?|пасажи?|източни(?:к|ци)"
)
_NAME = rf"(?:{_CLEAR}|documents?|context|papers?)"
"""What models call a passage; in round brackets only the clear ones, for "(paper 2)" may be anything."""
_N = r"\d{1,3}"
_DASH = r"[-–—‑]"
_ONE = rf"(?:{_NAME}\s*)?[\^#№]?\s*{_N}(?:\s*{_DASH}\s*{_N})?"
_WHERE = (
    r"(?:,?\s*(?:pp?\.?|pages?|seiten?|s\.|стр\.|lines?|l\.|sec(?:tion|\.)?|§|para\.?)\s*\d+(?:\s*[-–—]\s*\d+)?"
    r"|:\s?\d+(?:\s*[-–—]\s*\d+)?|†[^\]】)]{0,60})"
)
_LIST = rf"{_ONE}{_WHERE}?(?:\s*(?:[,;&]|\band\b|\bund\b|\bи\b)+\s*{_ONE}{_WHERE}?)*"
_SQUARE = rf"[\[【［]\s*(?P<square>{_LIST})\s*[\]】］](?!\()"
_ROUND = rf"[(（]\s*(?:see\s+|cf\.\s+)?(?P<round>(?:{_CLEAR})\s*[\^#№]?\s*{_N}.{{0,60}}?)\s*[)）]"
_RAISED = rf"<sup>\s*[\[(]?\s*(?P<raised>{_LIST})\s*[\])]?\s*</sup>"
_MARKER = re.compile(rf"{_SQUARE}|{_ROUND}|{_RAISED}", re.IGNORECASE)
_ROUND_LIST = re.compile(_LIST, re.IGNORECASE)
_PART = re.compile(rf"({_N})(?:\s*{_DASH}\s*({_N}))?")
_AFTER = re.compile(_WHERE, re.IGNORECASE)
_NOTE = re.compile(r"(?m)^[^\S\n]*\[\^?(\d{1,3})\]:[^\S\n]*(.*?)[^\S\n]*$\n?")
_BEGUN = re.compile(
    r"(?:[\[【［(（][^\[\]【】()（）\n]{0,70}|<(?:s(?:u(?:p(?:>[^<\n]{0,70}(?:<(?:/(?:s(?:u(?:p>?)?)?)?)?)?)?)?)?)?)\Z",
    re.IGNORECASE,
)
_CLOSING = frozenset("]】］")
_OPENING: Final = "[【［"
_TAIL = 24
"""Characters before a marker that tell whether it is an interval, or raised as an exponent is."""
_UNIT = re.compile(r"(?<![^\W\d_])[^\W\d_]{1,3}$|\d$|\b10\s+$|[)\]]$|\^$")
_SPELT_UNIT = re.compile(
    r"(?:met(?:er|re)s?|hect?ares?|hektar|acres?|inch(?:es)?|feet|foot|yards?|miles?|seconds?|sekunden?|minutes?|hours?"
    r"|lit(?:er|re)s?|grams?|pixels?|degrees?|volts?|amperes?|kelvins?|joules?|newtons?|watts?|sigma|delta|alpha|beta"
    r"|gamma|kappa|lambda|omega|theta|метра?|метри|хектара?)$",
    re.IGNORECASE,
)
_LONE = re.compile(r"\s*\(\s*(\d{1,3}(?:\s*[,;–-]\s*\d{1,3})*)\s*\)(?=\s*(?:[.!?;](?=\s|$)|$))", re.MULTILINE)
_NAMED_THING = re.compile(
    r"\b(?:eq|eqs|equations?|figs?|figures?|tables?|steps?|phases?|types?|grades?|groups?|classe?s?|stages?|items?"
    r"|sections?|chapters?|appendix|models?|algorithms?|lemma|theorem|cases?|n|p|versions?|levels?|hypothes[ie]s)\.?\s*$",
    re.IGNORECASE,
)


def normalised(text: str) -> str:
    """The text with each marker as `[n]`, several side by side. `[2019]`, `[see Table 3]` and intervals stay."""
    return _MARKER.sub(lambda match: _plain(match, ""), text)


def is_interval(bracket: str, before: str, *, certain: bool = True) -> bool:
    """Whether a bracket holds two numbers that were measured: `[0, 1]`, or `[12, 18]` after "95% CI".

    Args:
        bracket: with its brackets.
        before: the text before it; only its end is read.
        certain: do not count `[1, 5]` after "scale", which may be two markers.
    """
    bracket, before = bracket.strip(), before[-_TAIL:]
    if not _INTERVAL.fullmatch(bracket):
        return False
    return bool(
        _ZERO.search(bracket) or _OF_AN_INTERVAL.search(before) or (not certain and _LIKELY_OF_ONE.search(before))
    )


def may_be_interval(bracket: str, before: str) -> bool:
    """Whether it is one if a passage has the same bracket: `[12, 18]` after "of" or "in"."""
    return bool(_INTERVAL.fullmatch(bracket.strip()) and _PERHAPS_OF_ONE.search(before[-_TAIL:]))


def without_notes(text: str) -> str:
    """The text without the list of footnotes below it, `[^1]: …`, which repeats what the passages say.

    Where there is nothing else, the footnotes are the text: their markers stand behind their words then.
    """
    rest = _NOTE.sub("", text)
    return rest if rest.strip() else _NOTE.sub(lambda note: f"{note[2]} [{note[1]}]\n", text)


def round_ones(text: str, known: set[int]) -> str:
    """The text with `(1)` at the end of sentences as `[1]`, where no other marker stands and all of them are known.

    "Equation (1)." and the numbers of a list stay.
    """
    if re.search(rf"\[{_N}\]", text):
        return text
    found = [match for match in _LONE.finditer(text) if not _NAMED_THING.search(text[: match.start()])]
    if not found or any(not set(_numbers(match[1])) <= known for match in found):
        return text
    for match in reversed(found):
        shown = "".join(f"[{n}]" for n in _numbers(match[1]))
        text = f"{text[: match.start()]} {shown}{text[match.end() :]}"
    return text


class Markers:
    """Normalises a stream: what comes out, joined, is `normalised` of all that came in, however that was cut."""

    def __init__(self) -> None:
        self._held = self._before = ""

    def feed(self, piece: str) -> str:
        """What may be shown now: the text up to a bracket that is still open, or has closed just now."""
        self._held += piece
        begun = _BEGUN.search(self._held)
        at = begun.start() if begun else len(self._held)
        if self._held[at - 1 : at] in _CLOSING and self._held[at : at + 1] in {"", "("}:  # would make a link of it
            at = max(0, *(self._held.rfind(opening, 0, at) for opening in _OPENING))
        return self._give(at)

    def finish(self) -> str:
        """What is still held back."""
        return self._give(len(self._held))

    def _give(self, at: int) -> str:
        shown, self._held = self._held[:at], self._held[at:]
        before, self._before = self._before, (self._before + shown)[-_TAIL:]
        return _MARKER.sub(lambda match: _plain(match, before), shown)


def _plain(match: re.Match[str], before: str) -> str:
    if match["round"] is not None and not _ROUND_LIST.fullmatch(match["round"]):
        return match[0]
    if match["raised"] is not None and _is_exponent(match, (before + match.string[: match.start()])[-_TAIL:]):
        return match[0]
    before += match.string[: match.start()]
    if match["square"] and (is_interval(match[0], before, certain=False) or may_be_interval(match[0], before)):
        return match[0]
    numbers = _numbers(match["square"] or match["round"] or match["raised"])
    return "".join(f"[{n}]" for n in numbers) if numbers and 0 not in numbers else match[0]


def _is_exponent(match: re.Match[str], before: str) -> bool:
    """Whether it is part of a number, a symbol or a unit: `10<sup>6</sup>`, `χ<sup>2</sup>`, `<sup>1</sup>H`."""
    if match.string[match.end() : match.end() + 1].isalpha() or _UNIT.search(before):
        return True
    return match["raised"] in {"2", "3"} and bool(_SPELT_UNIT.search(before))


def _numbers(text: str) -> list[int]:
    found: list[int] = []
    for first, last in _PART.findall(_AFTER.sub("", text)):
        low, high = int(first), int(last or first)
        if high - low > MOST:
            return []
        found += range(low, high + 1) if high >= low else [low, high]
    return list(dict.fromkeys(found))
