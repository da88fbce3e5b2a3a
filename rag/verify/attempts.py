"""When a draft is refined, and whether the refinement replaces it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Literal

from rag.answer import PARTIALLY_SUPPORTED
from rag.verify.citations import without_markers
from rag.verify.conflicts import conflicts
from rag.verify.support import abstains
from rag.words import split_sentences

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rag.answer import Answer, Draft, Sentence
    from rag.verify.citations import Cited

Fate = Literal["same", "gone", "new"]

_REFUSES = re.compile(
    r"^(?:i(?:'|’)?m sorry|sorry|i apologi[sz]e|as an ai|i (?:can(?:no|'|’)t|am (?:not able|unable)|won(?:'|’)t))\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A draft with its sentences judged."""

    draft: Draft
    cited: Cited

    @property
    def judged(self) -> list[Sentence]:
        """The sentences that claim something."""
        return [sentence for sentence in self.cited.sentences if sentence.support is not None]

    @classmethod
    def at(cls, draft: Draft, *, check: Callable[[str], Cited], spell: Callable[[str], str]) -> Attempt:
        """Judge the draft, using the team's spellings unless they lower a sentence's support.

        Args:
            draft: as the model wrote it.
            check: judges a text against the passages.
            spell: applies the glossary's spellings to a text.
        """
        first, spelled = cls(draft, check(draft.text)), spell(draft.text)
        if spelled == draft.text:
            return first
        second = cls(replace(draft, text=spelled), check(spelled))
        return second if second._carried() >= first._carried() else first

    def _carried(self) -> tuple[int, int]:
        """Number of sentences that are not unsupported, and number that are supported."""
        verdicts = [sentence.support for sentence in self.judged]
        return sum(v != "unsupported" for v in verdicts), sum(v == "supported" for v in verdicts)

    def share(self, support: str) -> float | None:
        """Share of the judged sentences with this verdict; None if none was judged."""
        judged = self.judged
        return sum(s.support == support for s in judged) / len(judged) if judged else None


def answered(answer: Answer, attempt: Attempt) -> Answer:
    """The answer with the text of this attempt, and the conflicts between passages on what it says."""
    cited = attempt.cited
    said = [sentence.text for sentence in cited.sentences]
    return replace(
        answer,
        text=cited.text,
        sentences=cited.sentences,
        citations=cited.citations,
        corrections=cited.corrections,
        quotations=cited.quotations,
        conflicts=conflicts(answer.searched or answer.question, said, passages=answer.passages),
    )


def reason_to_refine(attempt: Attempt) -> str | None:
    """Why a larger model should look at the draft, in words; None if there is no reason."""
    judged = attempt.judged
    if attempt.draft.finish_reason == "repetition":
        return "the draft repeated itself"
    if not judged:
        return "nothing in the draft could be checked against your papers"
    bare = sum(sentence.support == "unsupported" for sentence in judged)
    if bare:
        return f"{_of(bare, len(judged))} not supported by your papers"
    partly = sum(sentence.support == PARTIALLY_SUPPORTED for sentence in judged)
    return f"{_of(partly, len(judged))} only partially supported by your papers" if partly else None


def declines(text: str) -> bool:
    """Whether the model refuses to answer, or says that the passages have no answer."""
    plain = without_markers(text).strip()
    return bool(_REFUSES.match(plain) or abstains(plain))


def not_worse(new: Attempt, old: Attempt) -> bool:
    """Whether `new` may replace `old`.

    Its share of unsupported sentences must not be larger, nor their number if the shares are equal. It must also have
    at least as many supported sentences, or as large a share of them. An attempt with nothing to check is worse than
    any attempt with a supported sentence.
    """
    if not new.judged:
        return not old.judged
    if not old.judged:
        return bool(new.share("supported"))
    if _bare(new) > _bare(old):
        return False
    ours = [sentence.support for sentence in new.judged].count("supported")
    theirs = [sentence.support for sentence in old.judged].count("supported")
    return ours >= theirs or (new.share("supported") or 0.0) >= (old.share("supported") or 0.0)


def _bare(attempt: Attempt) -> tuple[float, int]:
    """Share and number of the judged sentences that are unsupported."""
    return attempt.share("unsupported") or 0.0, len(unsupported(attempt))


def unsupported(attempt: Attempt) -> list[str]:
    """The sentences that the passages do not support."""
    return [sentence.text for sentence in attempt.judged if sentence.support == "unsupported"]


def changes(before: str, after: str) -> list[tuple[Fate, str]]:
    """A sentence-level diff of two texts in reading order; markers are ignored."""
    old, new = _sentences(before), _sentences(after)
    found: list[tuple[Fate, str]] = []
    codes = SequenceMatcher(None, [_plain(s) for s in old], [_plain(s) for s in new], autojunk=False).get_opcodes()
    for tag, i1, i2, j1, j2 in codes:
        if tag == "equal":
            found += [("same", sentence) for sentence in new[j1:j2]]
        else:
            found += [("gone", sentence) for sentence in old[i1:i2]]
            found += [("new", sentence) for sentence in new[j1:j2]]
    return found


def _of(count: int, total: int) -> str:
    if total == 1:
        return "its only sentence is"
    return f"{'one' if count == 1 else count} of its {total} sentences {'is' if count == 1 else 'are'}"


def _sentences(text: str) -> Sequence[str]:
    return [part for line in text.split("\n") for part in split_sentences(line)]


def _plain(sentence: str) -> str:
    return " ".join(re.findall(r"\w+", without_markers(sentence).casefold()))
