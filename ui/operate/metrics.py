"""What is counted: requests, answers and their stages, waiting, tokens, errors. No text, and no name of anybody's.

Labels have values from our own code only: patterns of addresses, stages, outcomes, types of errors.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Final

from rag.answer import Answered, Queued
from rag.insight.figures import written_for
from ui.operate.exposition import Histogram, Metric, text_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from rag.answer import Answer, Event

QUICK: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SLOW: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 180.0, 600.0)
"""Seconds; a model without a graphics card may take minutes."""

requests = Metric("scholion_requests_total", "Requests, by the pattern of their address.", labels=("route", "status"))
request_seconds = Histogram("scholion_request_seconds", "Time until a response was sent.", bounds=QUICK)
pages = Metric("scholion_pages_open", "Pages of the chat that are connected.", kind="gauge")
answers = Metric("scholion_answers_total", "Answers, by how they ended.", labels=("outcome",))
answer_seconds = Histogram("scholion_answer_seconds", "Time of an answer, without its reader's.", bounds=SLOW)
stage_seconds = Histogram("scholion_stage_seconds", "Time of a stage of an answer.", bounds=SLOW, label="stage")
running = Metric("scholion_answers_running", "Answers that are being made.", kind="gauge")
queued = Metric("scholion_answers_queued", "Answers that wait for the drafter, which writes others.", kind="gauge")
tokens = Metric("scholion_tokens_total", "Tokens read and written by models.", labels=("role", "direction"))
uncounted = Metric("scholion_drafts_without_usage_total", "Drafts whose tokens are unknown.", labels=("role",))
errors = Metric("scholion_errors_total", "Errors that somebody was shown, by their type.", labels=("type",))
ready = Metric("scholion_ready", "Whether the models are loaded and the process is not ending.", kind="gauge")
papers = Metric("scholion_papers", "Papers in the library.", kind="gauge")
chunks = Metric("scholion_chunks", "Chunks in the library.", kind="gauge")
files = Metric("scholion_files", "Files that are no papers.", labels=("state",), kind="gauge")

EVERYTHING: Final = (
    *(requests, request_seconds, pages, answers, answer_seconds, stage_seconds, running, queued),
    *(tokens, uncounted, errors, ready, papers, chunks, files),
)


def text() -> str:
    """All of it, as Prometheus reads it."""
    return text_of(EVERYTHING)


async def watched(events: AsyncGenerator[Event, None]) -> AsyncGenerator[Event, None]:
    """The events of an answer, unchanged; close it as one closes them."""
    outcome, waits, done = "stopped", False, False
    running.add()
    try:
        async with aclosing(events):
            async for event in events:
                if isinstance(event, Queued) != waits:
                    waits = not waits
                    queued.add(n=1 if waits else -1)
                if isinstance(event, Answered):
                    outcome, done = "abstained" if event.answer.abstained else "answered", True
                    _note(event.answer)
                yield event
    except Exception:
        outcome = outcome if done else "failed"
        raise
    finally:
        running.add(n=-1)
        if waits:
            queued.add(n=-1)
        answers.add(outcome)


def _note(answer: Answer) -> None:
    for span in answer.trace.spans:
        stage_seconds.observe(span.seconds, span.name)
    if answer.trace.seconds is not None:
        answer_seconds.observe(answer.trace.seconds)
    for draft in written_for(answer):
        role = "refinement" if draft.refines else "draft"
        if draft.usage is not None:
            tokens.add(role, "in", n=draft.usage.input_tokens)
            tokens.add(role, "out", n=draft.usage.output_tokens)
        else:
            uncounted.add(role)
