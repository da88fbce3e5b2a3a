"""What a chat stores of an answer, so that it can be refined or exported later: its draft, verdicts, passages' ids."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, cast, get_args

from rag.answer import Answer, Draft, Kind, Passage
from rag.costs.accounting import Trace, Usage
from rag.errors import StaleAnswerError

if TYPE_CHECKING:
    from ingest import Library


def save_answer(answer: Answer) -> dict[str, Any]:
    """The answer as a JSON-compatible dict for `load_answer`; empty if it has no draft."""
    if not answer.drafts:
        return {}
    draft = asdict(answer.drafts[answer.shown])
    return {
        "question": answer.question,
        "searched": answer.searched,
        "kind": answer.kind,
        "draft": {name: draft[name] for name in ("text", "model", "usage", "seconds")},
        "passages": [[p.marker, p.chunk.id, p.score, list(p.sources)] for p in answer.passages],
    }


def answer_facts(answer: Answer) -> dict[str, Any]:
    """What an export says of the answer beyond its text, JSON-compatible; unknown is None. Passages are named by id."""
    sure = answer.confidence
    return {
        "kind": answer.kind,
        "abstained": answer.abstained,
        "searched": answer.searched,
        "notice": answer.notice,
        "sentences": [
            {"text": s.text, "support": s.support, "markers": list(s.markers), "reasons": list(s.reasons)}
            for s in answer.sentences
        ],
        "citations": [
            {"marker": c.marker, "paper": c.passage.paper.id, "page": c.page, "quote": c.quote, "verbatim": c.verified}
            for c in answer.citations
        ],
        "passages": [[p.marker, p.chunk.id] for p in answer.passages],
        "confidence": None
        if sure is None
        else {"score": sure.score if sure.signals.get("calibrated") != 0.0 else None, "reason": sure.reason},
        "models": [
            {
                "name": draft.model,
                "where": draft.locality,
                "input_tokens": draft.usage.input_tokens if draft.usage else None,
                "output_tokens": draft.usage.output_tokens if draft.usage else None,
                "seconds": draft.seconds,
                "usd": draft.cost,
                "watt_hours": draft.energy.wh if draft.energy else None,
            }
            for draft in answer.drafts
        ],
        "shown": answer.shown if answer.drafts else None,
        "seconds": answer.trace.seconds,
        "usd": answer.cost,
        "stayed": answer.stayed,
        "sent_to": answer.sent_to,
    }


def load_answer(kept: Any, *, library: Library) -> Answer:
    """Restore a stored answer with its passages from the library; not checked yet.

    Args:
        kept: the output of `save_answer`. It may come back from a browser, so it is not trusted.
        library: has the passages.

    Raises:
        StaleAnswerError: a passage is gone, or this is not a saved answer.
    """
    try:
        return _read(kept, library)
    except (KeyError, TypeError, ValueError) as error:
        raise StaleAnswerError(
            "This answer cannot be refined because its passages are no longer in your library.", "Ask again."
        ) from error


def _read(kept: Any, library: Library) -> Answer:
    chunks = library.chunks([str(row[1]) for row in kept["passages"]])
    papers = {paper.id: paper for paper in library.papers({chunk.paper_id for chunk in chunks.values()})}
    passages = tuple(
        Passage(
            marker=int(marker),
            chunk=chunks[chunk_id],
            paper=papers[chunks[chunk_id].paper_id],
            score=float(score),
            sources=tuple(map(str, sources)),
        )
        for marker, chunk_id, score, sources in kept["passages"]
    )
    if not passages or len({passage.marker for passage in passages}) < len(passages):
        raise ValueError("markers")
    written, usage = kept["draft"], kept["draft"]["usage"]
    draft = Draft(
        text=written["text"] + "",
        model=written["model"] + "",
        usage=Usage(int(usage["input_tokens"]), int(usage["output_tokens"])) if usage else None,
        seconds=float(written["seconds"]),
        first_token_seconds=None,
        finish_reason=None,
        mean_logprob=None,
    )
    return Answer(
        question=kept["question"] + "",
        text=draft.text,
        passages=passages,
        trace=Trace(),
        drafts=(draft,),
        kind=cast("Kind", kept["kind"]) if kept["kind"] in get_args(Kind) else "fact",
        searched=None if kept["searched"] is None else kept["searched"] + "",
    )
