"""Have a model write one draft, and measure its cost. A model that repeats itself is stopped."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING

from ingest.sentences import sentence_spans
from rag.answer import Draft
from rag.costs.energy import energy_between, local_cost, read_counters
from rag.costs.prices import price
from rag.errors import ModelReplyError, ModelTimeoutError
from rag.markers import Markers, normalised, without_notes
from rag.models.chat import Completion
from rag.models.thoughts import Thoughts

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from rag.costs.energy import MachineCosts, Reading
    from rag.message import Message
    from rag.models.chat import ChatModel
    from rag.privacy.permit import Permit

REPEATED_CHARS = 48
"""If a short answer contains the same run of this many characters twice, the model is in a loop."""

OF_HELD_TEXT = 3
"""A text that may be thoughts is only stopped at the run's third repetition: thoughts say a thing twice."""

LIMIT = "SCHOLION_MAX_OUTPUT_TOKENS"

_GOES_ON = "X"  # placeholder for the missing rest of the text


async def write(  # noqa: C901 - one draft
    model: ChatModel,
    messages: Sequence[Message],
    *,
    max_tokens: int,
    temperature: float = 0.0,
    seconds: float | None = None,
    permit: Permit | None = None,
    limit: str = LIMIT,
) -> AsyncGenerator[str | Draft, None]:
    """Pieces of text, then the draft.

    Args:
        model: the model that writes.
        messages: the prompt.
        max_tokens: maximum length of the answer.
        temperature: 0 for the likeliest words.
        seconds: maximum total time; None for as long as pieces keep coming.
        permit: for a model that is not on this machine.
        limit: the setting behind `max_tokens`, for the user.

    Raises:
        ModelError: the model failed, possibly after the first pieces.
        NotAllowedError: it is not on this machine, and there is no permit for this call.
    """
    text, began, held = "", time.monotonic(), 0.0
    first: float | None = None
    thoughts, markers = Thoughts(), Markers()
    writing = model.stream(messages, max_tokens=max_tokens, temperature=temperature, permit=permit)
    async with aclosing(writing) as stream:
        while True:
            left = None if seconds is None else seconds - (time.monotonic() - began - held)
            try:
                async with asyncio.timeout(left):
                    piece = await anext(stream)
            except TimeoutError as error:
                raise ModelTimeoutError(
                    f"{model.name} did not finish within {seconds:.0f} seconds.", "Try again, or choose a faster model."
                ) from error
            if isinstance(piece, Completion):
                cut_off = piece.finish_reason == "length"
                rest = markers.feed(thoughts.finish(cut_off=cut_off)) + markers.finish()
                if thoughts.taken_back:
                    text = ""
                if rest:
                    text += rest
                    yield rest
                text = without_notes(text)
                if not text.strip():
                    raise _silent(model.name, piece, thought=thoughts.seen, max_tokens=max_tokens, limit=limit)
                yield Draft(
                    text=text.strip(),
                    model=piece.model,
                    usage=piece.usage,
                    seconds=piece.seconds,
                    first_token_seconds=piece.first_token_seconds if first is None else first,
                    finish_reason=piece.finish_reason,
                    mean_logprob=piece.mean_logprob,
                    low_logprob=piece.low_logprob,
                )
                return
            said = thoughts.feed(piece)
            if thoughts.taken_back:  # all before was thought aloud, and nothing had told so
                text, markers, thoughts.taken_back = "", Markers(), False
            if not (shown := markers.feed(said)):
                if is_repeating(thoughts.held, times=OF_HELD_TEXT):
                    text += markers.feed(thoughts.finish()) + markers.finish()
                    break
                continue
            paused = time.monotonic()
            first = paused - began if first is None else first
            text += shown
            yield shown
            held += time.monotonic() - paused
            if is_repeating(text):
                break
    yield Draft(
        text=without_notes(normalised(without_repetition(text))).strip(),
        model=model.name,
        usage=None,  # not reported if the stream is closed early
        seconds=time.monotonic() - began - held,
        first_token_seconds=first,
        finish_reason="repetition",
        mean_logprob=None,
    )


def _silent(name: str, end: Completion, *, thought: bool, max_tokens: int, limit: str) -> ModelReplyError:
    """The error for a reply without a word of an answer: it says what used up the tokens, and what to raise."""
    if end.finish_reason == "length" and (thought or end.thought):
        said = f"{name} used all of its {max_tokens:,} tokens for thinking and gave no answer."
        return ModelReplyError(said, f"Raise {limit}, or choose a model that does not think aloud.")
    if end.finish_reason == "length":
        return ModelReplyError(f"{name} used its {max_tokens:,} tokens without giving an answer.", f"Raise {limit}.")
    if thought or end.thought:
        return ModelReplyError(f"{name} returned only its thoughts and no answer.", f"Ask again, or raise {limit}.")
    return ModelReplyError(f"{name} returned an empty answer.", "Try again, or choose another model.")


def metered(draft: Draft, *, before: Reading, machine: MachineCosts) -> Draft:
    """A local model's draft with its energy and cost, each None if unknown.

    Args:
        draft: just written.
        before: the energy counters at its start.
        machine: the settings' costs of this machine.
    """
    energy = energy_between(before, read_counters(), machine=machine)
    return replace(draft, energy=energy, cost=local_cost(energy, draft.seconds, machine=machine).usd)


def priced(draft: Draft, *, base_url: str, model: str) -> Draft:
    """A remote model's draft with its price; unknown if the list has none for this model at this address."""
    cost = price(draft.usage, model=model, base_url=base_url)
    return replace(draft, cost=float(cost.usd) if cost else None)


def is_repeating(text: str, *, times: int = 1) -> bool:
    """Whether the last `REPEATED_CHARS` characters occurred before, at least that many times."""
    return len(text) > 2 * REPEATED_CHARS and text[:-REPEATED_CHARS].count(text[-REPEATED_CHARS:]) >= times


def without_repetition(text: str) -> str:
    """The text up to where it starts to repeat itself, without the unfinished sentence before that."""
    run = text[-REPEATED_CHARS:]
    return whole_sentences(text[: text.find(run, text.find(run) + REPEATED_CHARS)])


def whole_sentences(text: str) -> str:
    """The text without its unfinished last sentence; the whole text if it has only one."""
    line = text.rfind("\n") + 1
    *whole, _ = sentence_spans(f"{text}{_GOES_ON}", line)
    end = whole[-1][1] if whole else line
    return text[:end] if end else text
