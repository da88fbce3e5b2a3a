"""WordReader: a fake reader that ranks."""

from __future__ import annotations

import re
import threading

from ingest.sentences import sentence_spans
from rag.reading.calibration import ReaderCalibration
from rag.reading.readings import Reading, Sentence, Span
from rag.weights import Weights
from rag.words import content_words


class WordReader:
    """A fake reader: a sentence answers if it shares words with the question, with its first other word as the answer.

    Args:
        error: raised by every `read`.
        kind: of every answer.
        may: what every `read` waits for.
    """

    name = "fake-words@0"
    calibration = ReaderCalibration(
        reader=name, data="nothing", date="2026-11-29", n=0, n_right=0, search=0.5, floor=0.2, check=0.5,
        floor_yes_no=0.2,
        there=Weights(("best",), (0.0,), (1.0,), (1.0,), 0.0),
        weights=Weights(("relevance",), (0.0,), (1.0,), (1.0,), 0.0),
    )  # fmt: skip

    def __init__(
        self, *, error: Exception | None = None, kind: str = "span", may: threading.Event | None = None
    ) -> None:
        self.error = error
        self.kind = kind
        self.may = may

    def read(self, question, passages):
        if self.may:
            assert self.may.wait(60)
        if self.error:
            raise self.error
        return [self._reading(content_words(question), text) for text in passages]

    def _reading(self, asked, text):
        places = sentence_spans(text)
        shares = [len(asked & content_words(text[a:b])) / max(1, len(asked)) for a, b in places]
        share = max(shares, default=0.0)
        spans = ()
        if share:
            start, end = places[shares.index(share)]
            words = [m for m in re.finditer(r"\w+", text[start:end]) if not content_words(m[0]) <= asked]
            spans = tuple(Span(start + m.start(), start + m.end(), 4 * share - 2) for m in words[:1])
        sentences = tuple(Sentence(a, b, part) for (a, b), part in zip(places, shares, strict=True))
        return Reading(
            4 * share - 2, spans, 1 - share, self.kind if spans else "none", max(share, 1 - share), sentences
        )
