"""Metrics for rankings, answers, abstentions and times, with their uncertainty.

A value that is not known for a case is None, never 0. All shares are in [0, 1]; higher is better.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from math import log2
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    import numpy.typing as npt

RESAMPLES = 5000
"""Bootstrap resamples. With so many, the ends of a 95 % interval vary by about 1/50 of its width between seeds."""

AUROC_RESAMPLES = 2000
"""Bootstrap resamples for an AUROC, which has to rank each one again."""

SEED = 20261122
"""Seed of the bootstrap, so that the same run always has the same intervals."""

UNANSWERABLE = "Unanswerable"
"""What QASPER's evaluator compares an abstention with."""

# -- one ranking: keys, best first, against {key: grade}; keys with a grade of 0 or less are not relevant --------------


def by_score(scores: Mapping[str, float]) -> list[str]:
    """The keys, best first. Ties are broken by key in descending order, as in trec_eval."""
    return sorted(scores, key=lambda key: (scores[key], key), reverse=True)


def recall_at(ranked: Sequence[str], relevant: Mapping[str, float], k: int) -> float | None:
    """The share of the relevant keys that is among the first k; None if no key is relevant."""
    wanted = _wanted(relevant)
    return len(wanted.intersection(ranked[:k])) / len(wanted) if wanted else None


def hit_at(ranked: Sequence[str], relevant: Mapping[str, float], k: int) -> float | None:
    """1 if any relevant key is among the first k, else 0; None if no key is relevant."""
    wanted = _wanted(relevant)
    return float(not wanted.isdisjoint(ranked[:k])) if wanted else None


def reciprocal_rank(ranked: Sequence[str], relevant: Mapping[str, float], k: int | None = None) -> float | None:
    """1 / rank of the first relevant key, 0 if it is not among the first k; None if no key is relevant.

    The mean over questions is MRR (MRR@k).
    """
    wanted = _wanted(relevant)
    if not wanted:
        return None
    return next((1 / rank for rank, key in enumerate(islice(ranked, k), start=1) if key in wanted), 0.0)


def ndcg_at(ranked: Sequence[str], relevant: Mapping[str, float], k: int = 10) -> float | None:
    """Normalised discounted cumulative gain of the first k; None if no key is relevant.

    Järvelin and Kekäläinen 2002, as in trec_eval's `ndcg_cut`: the gain is the grade itself, and the discount of rank r
    is log2(r + 1). A key that occurs twice in the ranking counts once.
    """
    ideal = _discounted(sorted((grade for grade in relevant.values() if grade > 0), reverse=True)[:k])
    if not ideal:
        return None
    seen: set[str] = set()
    gains = []
    for key in ranked[:k]:
        gains.append(0.0 if key in seen else max(0.0, relevant.get(key, 0.0)))
        seen.add(key)
    return _discounted(gains) / ideal


def _wanted(relevant: Mapping[str, float]) -> set[str]:
    return {key for key, grade in relevant.items() if grade > 0}


def _discounted(gains: Sequence[float]) -> float:
    return sum(gain / log2(rank + 1) for rank, gain in enumerate(gains, start=1))


# -- one answer, by QASPER's rules (Dasigi et al. 2021, with SQuAD's normalisation of words) ---------------------------

_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalise(text: str) -> str:
    """Lower-case text without ASCII punctuation and without a, an and the, with single spaces."""
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text.lower().translate(_PUNCTUATION)).split())


def token_f1(answer: str, gold: str) -> float:
    """F1 of the normalised words as multisets; 0 if they share none, even if both are empty."""
    ours, theirs = normalise(answer).split(), normalise(gold).split()
    return _f1(sum((Counter(ours) & Counter(theirs)).values()), len(ours), len(theirs))


def answer_f1(answer: str, golds: Iterable[str]) -> float | None:
    """The best token F1 over the annotators' answers; None if there are none.

    Pass an abstention as `UNANSWERABLE`, and likewise the answer of an annotator who found none.
    """
    return max((token_f1(answer, gold) for gold in golds), default=None)


def evidence_f1(found: Iterable[str], golds: Iterable[AbstractSet[str]]) -> float | None:
    """The best paragraph F1 over the annotators' evidence; None if there are no annotators.

    If an annotator names no evidence, finding nothing scores 1.
    """
    ours = set(found)
    return max((1.0 if not ours and not gold else _paragraph_f1(ours, gold) for gold in golds), default=None)


def _paragraph_f1(found: AbstractSet[str], gold: AbstractSet[str]) -> float:
    return _f1(len(found & gold), len(found), len(gold))


def _f1(shared: int, n_ours: int, n_theirs: int) -> float:
    return 2 * shared / (n_ours + n_theirs) if shared else 0.0


def marker_validity(markers: Iterable[int], shown: Iterable[int]) -> float | None:
    """The share of an answer's markers whose passage the model was shown; None if it has no markers."""
    used, known = list(markers), set(shown)
    return sum(marker in known for marker in used) / len(used) if used else None


def citation_recall_and_precision(
    cited: Sequence[Sequence[int]], entails: Callable[[int, Sequence[int]], bool]
) -> tuple[float, float] | None:
    """ALCE's citation recall and precision of one answer (Gao et al. 2023, as in its code); None without sentences.

    Recall is the share of sentences that their citations support; a sentence without citations is not supported.
    Precision is the share of all citations that belong to a supported sentence and are not irrelevant to it. A citation
    is irrelevant if it does not support the sentence alone and the others support it without. Precision is 0 if there
    are no citations.

    Args:
        cited: the markers of each sentence.
        entails: whether the passages with these markers, taken together, support this sentence. ALCE's judge is an NLI
            model with 11 billion parameters; when you publish numbers, say which judge was used instead.
    """
    if not cited:
        return None
    carried, good = 0, 0
    for sentence, markers in enumerate(cited):
        if not markers or not entails(sentence, markers):
            continue
        carried += 1
        for marker in markers:
            others = [other for other in markers if other != marker]
            good += not others or entails(sentence, [marker]) or not entails(sentence, others)
    total = sum(map(len, cited))
    return carried / len(cited), good / total if total else 0.0


# -- scores that say how likely an answer is right ---------------------------------------------------------------------


def auroc(
    scores: Sequence[float] | npt.NDArray[np.float64], right: Sequence[bool] | npt.NDArray[np.bool_]
) -> float | None:
    """The share of pairs of a right and a wrong case in which the right one scores higher; ties count half.

    This is the area under the ROC curve (Hanley and McNeil 1982), computed from ranks. None if all cases are right or
    all are wrong.
    """
    labels = np.asarray(right, dtype=bool)
    n_right, n_wrong = int(labels.sum()), int((~labels).sum())
    if not n_right or not n_wrong:
        return None
    _, place, counts = np.unique(np.asarray(scores, dtype=np.float64), return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return float((ranks[labels].sum() - n_right * (n_right + 1) / 2) / (n_right * n_wrong))


def auroc_estimate(scores: Sequence[float], right: Sequence[bool], groups: Sequence[str]) -> Estimate | None:
    """`auroc` with a percentile bootstrap interval that resamples whole groups; None if `auroc` is None.

    Resamples in which all cases are right or all are wrong have no value and are left out.
    """
    found = auroc(scores, right)
    if found is None:
        return None
    values, labels = np.asarray(scores, dtype=np.float64), np.asarray(right, dtype=bool)
    names, index = np.unique(np.asarray(groups), return_inverse=True)
    drawn = [auroc(values[at], labels[at]) for at in _drawn_cases(index, len(names), AUROC_RESAMPLES)]
    areas = np.array([area for area in drawn if area is not None])
    low, high = _interval(areas if len(names) > 1 and len(areas) else None)
    return Estimate(found, low, high, len(values), len(names))


def brier(probabilities: Sequence[float], right: Sequence[bool]) -> float | None:
    """The mean squared error of the probabilities, lower is better (Brier 1950); None without cases."""
    if not len(probabilities):
        return None
    return float(np.mean((np.asarray(probabilities) - np.asarray(right, dtype=np.float64)) ** 2))


def reliability(
    probabilities: Sequence[float], right: Sequence[bool], *, bins: int = 10
) -> list[tuple[float, float, int]]:
    """(mean probability, share right, cases) per bin, in rising order; the bins have about equally many cases."""
    order = np.argsort(np.asarray(probabilities), kind="stable")
    said, came = np.asarray(probabilities, dtype=np.float64)[order], np.asarray(right, dtype=np.float64)[order]
    parts = [part for part in np.array_split(np.arange(len(said)), bins) if len(part)]
    return [(float(said[part].mean()), float(came[part].mean()), len(part)) for part in parts]


def calibration_error(probabilities: Sequence[float], right: Sequence[bool], *, bins: int = 10) -> float | None:
    """Expected calibration error over equal-mass bins (Nixon et al. 2019), lower is better; None without cases."""
    parts = reliability(probabilities, right, bins=bins)
    n = sum(size for _, _, size in parts)
    return sum(size * abs(said - came) for said, came, size in parts) / n if n else None


def risk_coverage(scores: Sequence[float], right: Sequence[bool]) -> list[tuple[float, float]]:
    """(share of cases kept, share wrong among them) with each score as the threshold, highest first.

    El-Yaniv and Wiener 2010; cases with the same score are kept together.
    """
    order = np.argsort(-np.asarray(scores, dtype=np.float64), kind="stable")
    sorted_scores, wrong = np.asarray(scores, dtype=np.float64)[order], ~np.asarray(right, dtype=bool)[order]
    ends = [i for i in range(len(order)) if i + 1 == len(order) or sorted_scores[i] != sorted_scores[i + 1]]
    errors = np.cumsum(wrong)
    return [((i + 1) / len(order), float(errors[i] / (i + 1))) for i in ends]


# -- many cases --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Abstentions:
    """How often the answer was "not in your papers", when that is true and when it is not."""

    n_unanswerable: int
    right: int
    """Abstentions on unanswerable questions."""
    n_answerable: int
    false: int
    """Abstentions on answerable questions."""

    @property
    def right_share(self) -> float | None:
        """Share of the unanswerable questions; None if there were none."""
        return self.right / self.n_unanswerable if self.n_unanswerable else None

    @property
    def false_share(self) -> float | None:
        """Share of the answerable questions, lower is better; None if there were none."""
        return self.false / self.n_answerable if self.n_answerable else None


def abstentions(cases: Iterable[tuple[bool, bool]]) -> Abstentions:
    """Count over cases of (answerable, abstained)."""
    n = Counter(cases)
    return Abstentions(
        n_unanswerable=n[False, True] + n[False, False],
        right=n[False, True],
        n_answerable=n[True, True] + n[True, False],
        false=n[True, True],
    )


def percentiles(values: Sequence[float], *, at: Sequence[float] = (50, 95, 99)) -> tuple[float, ...] | None:
    """Percentiles with linear interpolation; None without values."""
    return tuple(float(p) for p in np.percentile(values, at)) if len(values) else None


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with its 95 % interval."""

    mean: float
    low: float | None
    """None if nothing shows how other papers would vary: all cases are about one paper, or all values are equal."""
    high: float | None
    n: int
    n_groups: int


@dataclass(frozen=True, slots=True)
class Difference:
    """How one run differs from another on the same cases."""

    mean: float
    """Positive if the first run is higher."""
    low: float | None
    high: float | None
    p: float | None
    """Two-sided p-value of the hypothesis of no difference."""
    n: int
    n_groups: int
    higher: int
    """Number of cases in which the first run is higher, lower, and equal."""
    lower: int
    same: int


def estimate(values: Sequence[float], groups: Sequence[str]) -> Estimate | None:
    """The mean with a percentile bootstrap interval that resamples whole groups; None without values.

    Questions about one paper succeed and fail together, so papers are drawn with replacement, not questions (the
    cluster bootstrap: Field and Welsh 2007; for model evaluations Miller 2024). With fewer than about ten groups the
    interval is too narrow. If all values are equal, the interval would have width 0, so none is given.
    """
    if not values:
        return None
    means, n_groups = _resampled(values, groups)
    low, high = _interval(means if len(set(values)) > 1 else None)
    return Estimate(float(np.mean(values)), low, high, len(values), n_groups)


def paired(ours: Sequence[float], theirs: Sequence[float], groups: Sequence[str]) -> Difference | None:
    """The mean difference of paired values, with interval and p by the bootstrap of `estimate`; None without values.

    p = min(1, 2 · (1 + resamples on the other side of zero) / (1 + resamples)), so it is never 0 (Davison and
    Hinkley 1997, 4.2).
    """
    if not ours:
        return None
    delta = np.subtract(ours, theirs)
    means, n_groups = _resampled(delta, groups)
    low, high = _interval(means)
    p = None
    if means is not None:
        tail = min(int(np.sum(means <= 0)), int(np.sum(means >= 0)))
        p = min(1.0, 2 * (tail + 1) / (len(means) + 1))
    return Difference(
        mean=float(delta.mean()),
        low=low,
        high=high,
        p=p,
        n=len(delta),
        n_groups=n_groups,
        higher=int(np.sum(delta > 0)),
        lower=int(np.sum(delta < 0)),
        same=int(np.sum(delta == 0)),
    )


def _resampled(
    values: Sequence[float] | npt.NDArray[np.float64], groups: Sequence[str]
) -> tuple[npt.NDArray[np.float64] | None, int]:
    """Means of `RESAMPLES` draws of groups, shape (RESAMPLES,), and the number of groups; None for one group."""
    names, index = np.unique(np.asarray(groups), return_inverse=True)
    n = len(names)
    if n < 2:
        return None, n
    sums, sizes = np.bincount(index, weights=values, minlength=n), np.bincount(index, minlength=n)
    draws = _draws(n)
    return (draws @ sums) / (draws @ sizes), n


@lru_cache(maxsize=4)
def _draws(n: int) -> npt.NDArray[np.float64]:
    """How often each of n groups is drawn; shape (RESAMPLES, n)."""
    random = np.random.default_rng(SEED)
    return random.multinomial(n, np.full(n, 1 / n), size=RESAMPLES).astype(np.float64)


def _drawn_cases(index: npt.NDArray[np.int64], n_groups: int, n: int) -> Iterator[npt.NDArray[np.int64]]:
    """The indices of the cases in each of n draws of whole groups."""
    members = [np.flatnonzero(index == group) for group in range(n_groups)]
    random = np.random.default_rng(SEED)
    for _ in range(n):
        yield np.concatenate([members[group] for group in random.integers(n_groups, size=n_groups)])


def _interval(means: npt.NDArray[np.float64] | None) -> tuple[float | None, float | None]:
    if means is None:
        return None, None
    low, high = np.percentile(means, (2.5, 97.5))
    return float(low), float(high)
