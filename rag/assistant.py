"""Assistant.ask(): the whole story of one question, on one screen."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Self

from ingest import Embedder, Library, embedder_from
from rag.accounting import Trace
from rag.answer import Answer, Answered, Draft, Drafted, Event, Mode, Passage, Retrieved, Scope, TextDelta
from rag.chat import ChatModel, Completion, EndpointChatModel, Message
from rag.citations import cite
from rag.errors import ContextTooLongError, QuestionError
from rag.gather import gather, leading_sentences
from rag.local import LocalServer, embedded_model
from rag.prompts import ABSTENTION, draft_messages, sentence_messages
from rag.questions import Plan, plan
from rag.retrieve import Retriever
from rag.terms import Terms

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from ingest.embed import Vectors
    from rag.settings import RagSettings

HISTORY_TURNS = 2
"""Earlier questions and answers that the drafter sees; a small model is led astray by more."""

EMBEDDED_SENTENCES = 4
"""How many sentences the embedded 135M model reads; see `prompts.sentence_messages`."""

REPEATED_CHARS = 48
"""So many characters in a row are not said twice in a short answer, unless the model is caught in a loop."""

NO_EXPERT = "No larger model is set up, so this is the small model's draft."
EMPTY_LIBRARY = "Your library is empty: add a paper and ask again."


class Assistant:
    """Answers questions from one library. Loads nothing until the first question or `warm_up`."""

    def __init__(
        self,
        *,
        library: Library,
        embedder: Embedder,
        drafter: ChatModel,
        settings: RagSettings,
        server: LocalServer | None = None,
    ) -> None:
        self.library = library
        self.embedder = embedder
        self.drafter = drafter
        self._settings = settings
        self._server = server
        self._terms = Terms(library)
        self._retriever = Retriever(library, embedder, terms=self._terms)

    @classmethod
    def open(cls, settings: RagSettings, *, library: Library) -> Self:
        """The assistant that the settings describe: the only place where concrete classes meet."""
        server = LocalServer(
            settings.drafter or embedded_model(),
            context=settings.drafter_context,
            slots=settings.drafter_slots,
            threads=settings.drafter_threads,
        )
        return cls(
            library=library,
            embedder=embedder_from(library.settings.embedder),
            drafter=EndpointChatModel(server.connect, name=server.name, timeout=settings.timeout_seconds),
            settings=settings,
            server=server,
        )

    async def warm_up(self) -> None:
        """Load the embedder and start the drafter, so that the first question need not wait for them."""
        loading = asyncio.to_thread(self._retriever.embed, "warm up")
        mining = asyncio.to_thread(self._terms.warm_up)
        await asyncio.gather(loading, mining, self._server.connect() if self._server else asyncio.sleep(0))

    async def close(self) -> None:
        """Stop the drafter's process."""
        if self._server:
            await self._server.close()

    async def ask(
        self,
        question: str,
        *,
        mode: Mode = "draft",
        paper_ids: Sequence[str] | None = None,
        tag: str | None = None,
        history: Sequence[tuple[str, str]] = (),
    ) -> AsyncGenerator[Event, None]:
        """Everything that a question causes, as events; the last is `Answered`.

        Args:
            question: in the user's words.
            mode: draft, auto or refine; without a larger model the latter two give the draft and say so.
            paper_ids: ask these papers only.
            tag: ask the papers that carry it only; with `paper_ids`, those of them that carry it.
            history: earlier (question, answer) pairs of this chat, oldest first. A follow-up is searched for with
                their words, and asked of the papers that it or they name.

        Raises:
            UserFacingError: the question cannot be asked, or the drafter fails. Nothing else but bugs.
        """
        trace = Trace()
        question = self._checked(question)
        taken = plan(question, scope=self._scope(paper_ids, tag), history=history)
        with trace.span("embed"):
            vector = await asyncio.to_thread(self._retriever.embed, taken.text)
        with trace.span("retrieve"):
            found = await asyncio.to_thread(
                gather, taken, vector, retriever=self._retriever, library=self.library, k=self._settings.top_k
            )
        if not found.on_topic:
            yield Retrieved(found.passages, taken.searched, taken.scope, taken.kind)
            notice = taken.notice if self.library.papers() else EMPTY_LIBRARY
            yield Answered(
                Answer(
                    question=question,
                    text=ABSTENTION,
                    passages=found.passages,
                    trace=trace.finish(),
                    abstained=True,
                    notice=notice,
                    kind=taken.kind,
                    scope=taken.scope,
                    searched=taken.searched,
                )
            )
            return
        with trace.span("prompt"):
            messages, passages = await self._prompt(taken, vector, found.passages, history[-HISTORY_TURNS:])
        yield Retrieved(passages, taken.searched, taken.scope, taken.kind)
        unread = len(found.passages) - len(passages)
        notices = (
            taken.notice,
            f"{unread} of {len(found.passages)} passages found did not fit into the context window of "
            f"{self.drafter.name} and were not read."
            if unread
            else None,
            NO_EXPERT if mode != "draft" else None,
        )

        async with aclosing(self._draft(messages)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Draft):
                    draft = piece
                else:
                    yield TextDelta(piece, 0)
        _time(draft, trace)
        yield Drafted(draft, None)

        with trace.span("check"):
            pages = {(p.paper.id, page.number): page.text for p in passages for page in self.library.pages(p.paper.id)}
            cited = cite(draft.text, passages, page_text=lambda paper, page: pages.get((paper, page), ""))
        yield Answered(
            Answer(
                question=question,
                text=cited.text,
                passages=passages,
                trace=trace.finish(),
                sentences=cited.sentences,
                citations=cited.citations,
                corrections=cited.corrections,
                drafts=(draft,),
                notice=" ".join(filter(None, notices)) or None,
                kind=taken.kind,
                scope=taken.scope,
                searched=taken.searched,
            )
        )

    async def answer(
        self,
        question: str,
        *,
        mode: Mode = "draft",
        paper_ids: Sequence[str] | None = None,
        tag: str | None = None,
        history: Sequence[tuple[str, str]] = (),
    ) -> Answer:
        """The answer alone, for readers that do not stream."""
        async with aclosing(self.ask(question, mode=mode, paper_ids=paper_ids, tag=tag, history=history)) as events:
            async for event in events:
                if isinstance(event, Answered):
                    return event.answer
        raise AssertionError("a question ends with Answered")

    def _scope(self, paper_ids: Sequence[str] | None, tag: str | None) -> Scope:
        chosen = None if paper_ids is None else [self.library.paper(name) for name in dict.fromkeys(paper_ids)]
        if tag is None:
            return Scope(tuple(self.library.papers()), whole=True) if chosen is None else Scope(tuple(chosen))
        tagged = self.library.tagged(tag)
        return Scope(tuple(paper for paper in tagged if chosen is None or paper in chosen), tag=tag)

    def _checked(self, question: str) -> str:
        question = question.strip()
        if not question:
            raise QuestionError("The question is empty.", "Type what you want to know.")
        if len(question) > self._settings.max_question_chars:
            raise QuestionError(
                f"The question has {len(question):,} characters; {self._settings.max_question_chars:,} are the most.",
                "Shorten it, or add the long text as a PDF and ask about that.",
            )
        return question

    async def _prompt(
        self, taken: Plan, vector: Vectors, passages: Sequence[Passage], history: Sequence[tuple[str, str]]
    ) -> tuple[list[Message], tuple[Passage, ...]]:
        """What the drafter is to read, and the passages that are in it."""
        kind = taken.kind
        n = self._settings.drafter_sentences
        if n is None:
            n = EMBEDDED_SENTENCES if self._settings.drafter is None else 0
        if n:
            if kind == "summary":
                sentences = leading_sentences(passages, n=n)
            else:
                sentences = await asyncio.to_thread(self._retriever.sentences, taken.text, vector, passages, n=n)
            while len(sentences) > 1 and not await self._fits(sentence_messages(taken.text, sentences, kind=kind)):
                sentences.pop()
            messages = sentence_messages(taken.text, sentences, kind=kind)
            if await self._fits(messages):
                return messages, tuple(passages)
        kept, turns = list(passages), list(history)
        among = [passage.paper.id for passage in passages]
        definitions = await asyncio.to_thread(self._terms.definitions, taken.question, among)
        while not await self._fits(
            messages := draft_messages(taken.question, kept, history=turns, definitions=definitions, kind=kind)
        ):
            if turns:  # the oldest history goes first, then the last passages
                turns.pop(0)
            elif len(kept) > 1:
                kept.pop()
            else:
                raise ContextTooLongError(
                    f"The question does not fit into the context window of {self.drafter.name}.",
                    "Shorten the question.",
                )
        return messages, tuple(kept)

    async def _fits(self, messages: Sequence[Message]) -> bool:
        room = await self.drafter.context_window() - self._settings.max_output_tokens
        return await self.drafter.count_tokens(messages) <= room

    async def _draft(self, messages: Sequence[Message]) -> AsyncGenerator[str | Draft, None]:
        """Pieces of text, then the draft. A model that begins to repeat itself is stopped."""
        text, began = "", time.monotonic()
        first: float | None = None
        async with aclosing(self.drafter.stream(messages, max_tokens=self._settings.max_output_tokens)) as stream:
            async for piece in stream:
                if isinstance(piece, Completion):
                    yield Draft(
                        text=text.strip(),
                        model=piece.model,
                        usage=piece.usage,
                        seconds=piece.seconds,
                        first_token_seconds=piece.first_token_seconds,
                        finish_reason=piece.finish_reason,
                        mean_logprob=piece.mean_logprob,
                        low_logprob=piece.low_logprob,
                    )
                    return
                first = first or time.monotonic() - began
                text += piece
                yield piece
                if is_repeating(text):
                    break
        yield Draft(
            text=without_repetition(text).strip(),
            model=self.drafter.name,
            usage=None,  # a stream that is left early delivers none
            seconds=time.monotonic() - began,
            first_token_seconds=first,
            finish_reason="repetition",
            mean_logprob=None,
        )


def is_repeating(text: str) -> bool:
    """Whether the last `REPEATED_CHARS` characters stood there before."""
    return len(text) > 2 * REPEATED_CHARS and text[-REPEATED_CHARS:] in text[:-REPEATED_CHARS]


def without_repetition(text: str) -> str:
    """The text up to where it begins to repeat itself, without the sentence that it was in the middle of."""
    kept = text[:-REPEATED_CHARS]
    end = max(kept.rfind(mark) for mark in (". ", "! ", "? ", ".\n", "\n"))
    return kept[: end + 1] if end > 0 else kept


def _time(draft: Draft, trace: Trace) -> None:
    """A model's time is taken from its own clock: between two pieces the reader may take any time."""
    first = draft.first_token_seconds
    if first is not None:
        trace.add("first token", first)
    trace.add("decode", draft.seconds - (first or 0.0))
