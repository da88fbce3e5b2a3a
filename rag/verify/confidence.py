"""Confidence in a draft: vetoes that no score outweighs, and a calibrated probability.

This follows cascades with a learned scorer (Chen et al. 2023, FrugalGPT). The signals are ones a small model cannot
fake: the log-probabilities of its words, the support of its sentences in the passages, and whether it says more than
the question. The model is never asked how confident it is.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from rag.answer import Confidence
from rag.verify.support import abstains, judge
from rag.weights import Weights
from rag.words import content_words, words_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from rag.answer import Correction, Draft, Passage, Sentence

Signals = dict[str, float | None]

MIN_VARIETY: Final = 0.5
"""A text repeats itself if the share of distinct three-word runs is below this."""

FINISHED: Final = frozenset({"stop", "eos", "end_turn"})
"""Finish reasons of servers when a model stopped by itself."""

ESCALATING: Final = frozenset(
    {"empty", "broken off", "cut off", "repetition", "echo", "no support", "number", "marker", "language"}
)
"""Vetoes for which asking a larger model makes sense. Two are left out: the model found no answer in the passages, and
there are no passages. In those cases another search helps, not another model."""

YES_OR_NO = re.compile(r"\W*(yes|no)\b", re.IGNORECASE)
ASKS_YES_OR_NO = re.compile(
    r"\W*(?:is|are|was|were|do|does|did|can|could|has|have|had|will|would|should|may|might|must)\b", re.IGNORECASE
)
_ASKS_NUMBER = re.compile(
    r"\bhow (?:many|much|large|big|long|often|high|small|old|far)\b"
    r"|\b(?:percentage|proportion|number|size|amount) of\b",
    re.IGNORECASE,
)
_NUMBER = re.compile(
    r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|hundred|thousand|million)\b", re.IGNORECASE
)
_PREAMBLE = re.compile(
    r"\W*(?:question\s*:|answer\s*:|the (?:correct )?answer (?:to (?:the|this) question )?is\b:?)\s*", re.IGNORECASE
)
_NUMBER_REASON = re.compile(r"number (?P<shown>\S.*?) is (?:not|\S.*) in the passage")
_WORD = re.compile(r"\w+(?:[-.,]\w+)*")
_INSIDE = re.compile(r"\d|\w[A-Z]")
_COUNTED = "no one two three four five six seven eight nine ten eleven twelve".split()


@dataclass(frozen=True, slots=True)
class Veto:
    """A reason to reject a draft whatever its score."""

    code: str
    reason: str
    """One sentence for the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What a model's labelled drafts have shown, as stored in a file."""

    model: str
    """The name its server reports, including the quantisation."""
    data: str
    """The data it was calibrated on."""
    date: str
    n: int
    """Number of drafts; `n_right` of them were right."""
    n_right: int
    label: str
    """What "right" means, in words."""
    vetoed: float
    """The share of right drafts among those with a veto; an upper bound for the score of any vetoed draft."""
    threshold: float
    """In mode `auto`, a draft that scores below this goes to the larger model."""
    threshold_reason: str
    """How the threshold was chosen."""
    with_logprobs: Weights
    without_logprobs: Weights
    """For servers that report no log-probabilities, and for every other model."""

    def as_row(self) -> dict[str, Any]:
        """The calibration as JSON. `vetoed` is called `gated` there, as in files of earlier versions."""
        return {"gated" if name == "vetoed" else name: value for name, value in asdict(self).items()}

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Read a calibration from its JSON (`as_row`)."""
        sets: dict[str, Any] = {}
        for name in ("with_logprobs", "without_logprobs"):
            fields: dict[str, Any] = {
                key: tuple(value) if isinstance(value, list) else value for key, value in row[name].items()
            }
            sets[name] = Weights(**fields)
        own = {"vetoed" if name == "gated" else name: value for name, value in row.items()}
        return cls(**{**own, **sets})


def signals(
    draft: Draft, *, question: str, sentences: Sequence[Sentence], passages: Sequence[Passage]
) -> dict[str, float | None]:
    """The signals by name; None if unknown.

    Args:
        draft: what the model wrote.
        question: what was asked.
        sentences: the draft's sentences, judged (`rag.verify.citations.cite`).
        passages: what the model was shown.
    """
    said = _PREAMBLE.sub("", draft.text)
    asked, answered = content_words(question), content_words(said)
    new = beyond(answered, asked)
    read = content_words(" ".join(passage.chunk.text for passage in passages))
    judged = [sentence.support for sentence in sentences if sentence.support]
    carried = [judge(sentence.text, passages).score for sentence in sentences if sentence.support]
    scores = sorted((passage.score for passage in passages), reverse=True)
    return {
        "mean_logprob": draft.mean_logprob,
        "low_logprob": draft.low_logprob,
        "carried": sum(carried) / len(carried) if carried else None,
        "supported": judged.count("supported") / len(judged) if judged else None,
        "unsupported": judged.count("unsupported") / len(judged) if judged else None,
        "new_words": len(new) / len(answered) if answered else 0.0,
        "new_words_read": len(new & read) / len(new) if new else 0.0,
        "specific": math.log1p(len(_named(said, question) & set(words_of(" ".join(p.chunk.text for p in passages))))),
        "question_read": len(asked & read) / len(asked) if asked else None,
        "kind_fits": _kind_fits(question, said),
        "top_score": scores[0] if scores else None,
        "margin": scores[0] - scores[-1] if scores else None,
        "log_words": math.log1p(len(words_of(said))),
    }


def vetoes(
    draft: Draft,
    *,
    question: str,
    sentences: Sequence[Sentence],
    passages: Sequence[Passage],
    corrections: Sequence[Correction] = (),
) -> tuple[Veto, ...]:
    """The vetoes against the draft, most important first.

    Args:
        draft: what the model wrote.
        question: what was asked.
        sentences: the draft's sentences, judged.
        passages: what the model was shown.
        corrections: how the model's markers were corrected.
    """
    return tuple(_found(draft, question, sentences, passages, corrections))


def _found(
    draft: Draft,
    question: str,
    sentences: Sequence[Sentence],
    passages: Sequence[Passage],
    corrections: Sequence[Correction],
) -> Iterator[Veto]:
    said = _PREAMBLE.sub("", draft.text).strip()
    if not passages:
        yield Veto("nothing found", "Nothing in your papers comes close to the question.")
    if not content_words(said) and not YES_OR_NO.match(said):
        yield Veto("empty", "The draft is empty.")
        return
    if any(abstains(sentence.text) for sentence in sentences[:1]):
        yield Veto("abstains", "The model found no answer in the passages.")
        return
    yield from _of_form(draft, said, question)
    known = {passage.marker for passage in passages}
    invented = [c.was for c in corrections if c.was is not None and c.was not in known]
    if invented:
        yield Veto("marker", f"The draft cites passage {invented[0]}, which the model was not shown.")
    yield from _of_support([sentence for sentence in sentences if sentence.support])


def _of_form(draft: Draft, said: str, question: str) -> Iterator[Veto]:
    if draft.finish_reason == "repetition" or _repeats(said):
        yield Veto("repetition", "The model started repeating itself.")
    elif draft.finish_reason == "length":
        yield Veto("cut off", "The draft was cut off at the length limit.")
    elif draft.finish_reason not in FINISHED:
        yield Veto("broken off", "The draft ended early.")
    if not beyond(content_words(said), content_words(question)) and not YES_OR_NO.match(said):
        told = "The draft only repeats the question."
        if ASKS_YES_OR_NO.match(question):
            told = "The draft only repeats the question instead of answering yes or no."
        yield Veto("echo", told)
    if _language(question) and _language(said) and _language(question) != _language(said):
        yield Veto("language", "The draft is not in the language of the question.")


def _of_support(judged: Sequence[Sentence]) -> Iterator[Veto]:
    if judged and all(sentence.support == "unsupported" for sentence in judged):
        yield Veto("no support", _unsupported(len(judged), len(judged)))
    wrong = [m for s in judged if s.support == "unsupported" for r in s.reasons if (m := _NUMBER_REASON.match(r))]
    if wrong:
        yield Veto("number", f"The draft gives the number {wrong[0]['shown']}, but its passage does not.")


def score(
    draft: Draft,
    *,
    question: str,
    sentences: Sequence[Sentence],
    passages: Sequence[Passage],
    corrections: Sequence[Correction] = (),
    calibration: Calibration,
) -> Confidence:
    """The confidence in the draft, with a reason in words; see `vetoes` for the arguments.

    For a model other than the calibrated one, log-probabilities are ignored because their level depends on the model.
    The signal `calibrated` is then 0, and the score must not be shown.
    """
    found = vetoes(draft, question=question, sentences=sentences, passages=passages, corrections=corrections)
    values = signals(draft, question=question, sentences=sentences, passages=passages)
    own = draft.model == calibration.model
    surest = own and values["mean_logprob"] is not None
    weights = calibration.with_logprobs if surest else calibration.without_logprobs
    probability = weights.probability(values)
    if found:
        probability = min(probability, calibration.vetoed)
    reason = found[0].reason if found else _reason(values, sentences, weights, low=probability < calibration.threshold)
    return Confidence(
        score=probability,
        reason=reason,
        signals=values | {"calibrated": float(own)},
        vetoes=tuple(veto.code for veto in found),
    )


def wants_expert(confidence: Confidence, *, calibration: Calibration) -> bool:
    """Whether a larger model should be asked in mode `auto`."""
    return goes_on(confidence, threshold=calibration.threshold)


def goes_on(confidence: Confidence, *, threshold: float) -> bool:
    """The same at any threshold. What a larger model cannot mend does not go to it."""
    if confidence.vetoes and not ESCALATING & set(confidence.vetoes):
        return False
    return bool(confidence.vetoes) or confidence.score < threshold


# -- in words ----------------------------------------------------------------------------------------------------------

_WEAK_SIDES: Final = {
    "carried": "Your papers support only part of the draft.",
    "mean_logprob": "The model was unsure of its wording.",
    "low_logprob": "The model was unsure of parts of its wording.",
    "new_words": "The draft adds little to the question.",
    "new_words_read": "Much of the draft is not in the passages.",
    "question_read": "The passages say little about the question.",
    "top_score": "No passage is close to the question.",
    "margin": "No passage stands out as the answer.",
}


def _reason(values: Mapping[str, float | None], sentences: Sequence[Sentence], weights: Weights, *, low: bool) -> str:
    """The main reason for the score: missing support if any, else the signal that lowers it most."""
    judged = [sentence.support for sentence in sentences if sentence.support]
    unsupported, supported = judged.count("unsupported"), judged.count("supported")
    if unsupported:
        return _unsupported(unsupported, len(judged))
    if low:
        lowering = {k: v for k, v in weights.contributions(values).items() if v < 0 and k in _WEAK_SIDES}
        if lowering:
            return _WEAK_SIDES[min(lowering, key=lowering.__getitem__)]
    if judged and supported == len(judged):
        return f"{_of(supported, supported)} supported by your papers."
    if judged:
        return f"{_of(len(judged) - supported, len(judged))} only partially supported by your papers."
    return "The draft makes no statement that could be checked."


def _unsupported(n: int, of: int) -> str:
    if n == of > 1:
        none = "Neither sentence" if of == 2 else f"None of the {_count(of)} sentences"
        return f"{none} is supported by your papers."
    return f"{_of(n, of)} not supported by your papers."


def _of(n: int, of: int) -> str:
    """The start of a sentence about n of the draft's sentences."""
    if of == 1:
        return "The draft's only sentence is"
    if n == of:
        return f"{'Both' if of == 2 else f'All {_count(of)}'} sentences are"
    return f"{_count(n).capitalize()} of {_count(of)} sentences {'is' if n == 1 else 'are'}"


def _count(n: int) -> str:
    return _COUNTED[n] if n < len(_COUNTED) else str(n)


# -- the parts of the signals ------------------------------------------------------------------------------------------


def _kind_fits(question: str, said: str) -> float:
    """1 if a yes-or-no question got yes or no, or a quantity question a number; -1 if not; 0 for other questions."""
    if ASKS_YES_OR_NO.match(question):
        return 1.0 if YES_OR_NO.match(said) else -1.0
    if _ASKS_NUMBER.search(question):
        return 1.0 if _NUMBER.search(said) else -1.0
    return 0.0


def beyond(said: AbstractSet[str], asked: AbstractSet[str]) -> set[str]:
    """The stems that do not occur in the question in any form: "reaches" is not new after "reach"."""
    forms = [stem for stem in asked if len(stem) >= 4]
    return {
        stem
        for stem in said - asked
        if len(stem) < 4 or not any(stem.startswith(form) or form.startswith(stem) for form in forms)
    }


def _named(said: str, question: str) -> set[str]:
    """Names, abbreviations and numbers that are not in the question, case-folded."""
    asked = set(words_of(question))
    first = next(iter(_WORD.findall(said)), "")
    found = [word for word in _WORD.findall(said) if word[0].isdigit() or not word.islower()]
    return {word.casefold() for word in found if word != first or _INSIDE.search(word)} - asked


_ITEM: Final = re.compile(r"^\s*(?:\d{1,3}[.)]|[-*•–])\s+")
"""What begins an item of a list."""


def _repeats(text: str) -> bool:
    """Whether the share of distinct three-word runs is below MIN_VARIETY, or a line or list item occurs three times."""
    words = words_of(text)
    runs = list(zip(words, words[1:], words[2:], strict=False))
    lines = Counter(said for line in text.splitlines() if (said := _ITEM.sub("", line).strip()))
    return (len(runs) >= 8 and len(set(runs)) < MIN_VARIETY * len(runs)) or max(lines.values(), default=0) >= 3


_FUNCTION_WORDS: Final = {
    "en": "the of and is are was were what which how why does do did in to for with that it they this there who",
    "de": "der die das und ist sind war waren was welche wie warum im in zu mit dass es sie nicht ein eine von wer",
    "fr": "le la les et est sont quel quelle comment pourquoi dans pour avec que il ils ne un une des du qui",
    "es": "el la los las y es son qué cuál cómo por para con que no un una del en quién se",
    "it": "il la gli e è sono che quale come perché per con non un una del della nel chi di",
    "pt": "o a os as e é são que qual como por para com não um uma do da no na quem",
    "nl": "de het een en is zijn was waren wat welke hoe waarom in op te met dat niet van wie",
}
_LANGUAGES = {name: frozenset(words.split()) for name, words in _FUNCTION_WORDS.items()}


def _language(text: str) -> str | None:
    """The script, or for Latin script the language whose function words clearly dominate; None if unclear."""
    scripts = Counter(unicodedata.name(c, "?").split()[0] for c in text if c.isalpha())
    if not scripts:
        return None
    script, _ = scripts.most_common(1)[0]
    if script != "LATIN":
        return script
    words = words_of(text)
    hits = sorted(((sum(w in known for w in words), name) for name, known in _LANGUAGES.items()), reverse=True)
    return hits[0][1] if hits[0][0] >= 2 and hits[0][0] > 1.5 * hits[1][0] else None
