"""Runs of words: recognise the text of a `local only` paper whatever it claims to be."""

from __future__ import annotations

import re
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from rag.sanitise import INVISIBLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from collections.abc import Set as AbstractSet

    import numpy.typing as npt

RUN_WORDS = 8
"""A run of this many words from a `local only` paper is recognised in a payload."""

KEPT_BYTES = 64_000_000
"""Memory for the runs of all papers: about 1,000 papers of 8,000 words."""

_WORD, _MARKER = re.compile(r"[^\W_]+"), re.compile(r"\[\d{1,3}\]")


def word_runs(text: str, *, n: int = RUN_WORDS) -> frozenset[int]:
    """All runs of `n` words, as hashes valid in this process; case, spaces and markers are ignored."""
    words = _WORD.findall(_MARKER.sub(" ", INVISIBLE.sub("", text).casefold()))
    return frozenset(hash(tuple(words[at : at + n])) for at in range(len(words) - n + 1))


class KeptRuns:
    """Cache of the papers' runs, eight bytes each. Papers that do not fit are read again each time. Thread-safe.

    Args:
        text_of: the text of a paper's pages; empty if it is not in the library.
    """

    def __init__(self, text_of: Callable[[str], Iterable[str]]) -> None:
        self._text_of = text_of
        self._kept: dict[str, npt.NDArray[np.int64]] = {}
        self._guard = Lock()

    @property
    def kept_bytes(self) -> int:
        """Size of the cached runs."""
        return sum(runs.nbytes for runs in self._kept.values())

    def quoted_in(self, text: str, *, of: AbstractSet[str]) -> set[str]:
        """Which of these papers the text quotes for `RUN_WORDS` words in a row; drops other papers from the cache."""
        said = _sorted(word_runs(text))
        with self._guard:
            for paper in self._kept.keys() - of:
                del self._kept[paper]
            return {paper for paper in of if _meet(said, self._runs_of(paper))}

    def _runs_of(self, paper_id: str) -> npt.NDArray[np.int64]:
        if (known := self._kept.get(paper_id)) is not None:
            return known
        runs = _sorted(word_runs(" ".join(self._text_of(paper_id))))
        if runs.size and self.kept_bytes + runs.nbytes <= KEPT_BYTES:  # an empty paper may be added later
            self._kept[paper_id] = runs
        return runs


def _sorted(runs: frozenset[int]) -> npt.NDArray[np.int64]:
    return np.sort(np.fromiter(runs, dtype=np.int64, count=len(runs)))


def _meet(few: npt.NDArray[np.int64], many: npt.NDArray[np.int64]) -> bool:
    """Whether two sorted arrays have an element in common."""
    if not few.size or not many.size:
        return False
    at = np.minimum(np.searchsorted(many, few), many.size - 1)
    return bool((many[at] == few).any())
