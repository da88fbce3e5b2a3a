"""Assistant.ask(): everything that happens to one question, on one screen.

It is a long file because the story is told in one place.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from contextvars import copy_context
from copy import copy
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Self, TypeVar

from ingest import Embedder, Library, UserFacingError, embedder_from
from ingest.terminal import well_formed
from rag.answer import (
    ABSTENTION,
    QUOTED_ANSWER,
    Answer,
    Answered,
    Draft,
    Drafted,
    Event,
    Mode,
    Passage,
    Queued,
    Retrieved,
    Scope,
    Searched,
    TextDelta,
    with_notice,
)
from rag.catalogue.catalogue import Catalogue
from rag.catalogue.notes import tells_notes
from rag.catalogue.words import side_by_side
from rag.costs.accounting import Trace
from rag.costs.energy import MachineCosts, read_counters
from rag.errors import NoExpertError, QuestionError
from rag.expert import AskedBy, Expert
from rag.models.adapters import Adapters
from rag.models.draft import metered, write
from rag.models.line import Line
from rag.models.local import LocalServer, embedded_drafter
from rag.models.open import open_model
from rag.privacy.gate import Gate
from rag.prompter import Prompter
from rag.quoting.compose import Composer
from rag.quoting.extract import is_sure
from rag.quoting.quoted_answer import holds
from rag.reading.reader import trained_reader
from rag.retrieval.languages import NOTICE, UNREAD, language_of
from rag.retrieval.plans import gather, paper_about, understood
from rag.retrieval.questions import Plan, plan
from rag.retrieval.retrieve import Retriever
from rag.retrieval.spelling import as_preferred
from rag.retrieval.terms import Terms
from rag.verify.attempts import Attempt, answered, reason_to_refine
from rag.verify.calibration import calibration_for
from rag.verify.citations import cite
from rag.verify.confidence import goes_on, score, wants_expert

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from ingest import Paper
    from ingest.embed import Vectors
    from rag.answer import Confidence
    from rag.message import Message
    from rag.models.chat import ChatModel
    from rag.models.open import Opened
    from rag.reading.reader import Reader
    from rag.retrieval.retrieve import Found
    from rag.settings import RagSettings
    from rag.verify.citations import PageText

T = TypeVar("T")

HISTORY_TURNS = 2
"""Earlier turns the drafter sees; more lead a small model astray."""

SEARCHES = 32
"""Questions that are searched for at once: more than there are cores, because most of them wait for the reader."""

PATIENCE_SECONDS = 0.4
"""How long the reader may take before the passages are told in the search's order."""

_searching = ThreadPoolExecutor(SEARCHES, thread_name_prefix="search")

NO_EXPERT = "No larger model is set up."
NOBODY = AskedBy()
ASKED_FOR = "you asked for it"
EMPTY_LIBRARY = "Your library is empty: add a paper and ask again."


@dataclass(frozen=True, slots=True)
class Search:
    """What finds passages, records and terms of one library; independent of the models that write."""

    catalogue: Catalogue
    terms: Terms
    retriever: Retriever

    @classmethod
    def of(cls, library: Library, embedder: Embedder, reader: Reader | None) -> Self:
        """The search of a library; loads nothing."""
        terms = Terms(library)
        return cls(Catalogue(library), terms, Retriever(library, embedder, terms=terms, reader=reader))


def shape_of(settings: RagSettings) -> tuple[object, ...]:
    """The settings that make the drafter another one."""
    return (
        settings.drafter,
        settings.drafter_key,
        settings.drafter_context,
        settings.drafter_slots,
        settings.drafter_threads,
        settings.timeout_seconds,
    )


class Assistant:
    """Answers questions from one library. Loads nothing until the first question or `warm_up`.

    Whatever reads files or the database, or takes more than a few milliseconds, runs in a thread (`asyncio.to_thread`;
    the library has a connection per thread), because other chats and the Stop button share the event loop.
    """

    def __init__(
        self,
        *,
        library: Library,
        embedder: Embedder,
        drafter: ChatModel,
        settings: RagSettings,
        server: LocalServer | None = None,
        expert: Expert | None = None,
        no_expert: str | None = None,
        reader: Reader | None = None,
        quotes_first: bool = False,
        taught: bool = False,
        plain: ChatModel | None = None,
        english_only: bool = False,
        opened: Opened | None = None,
        like: Assistant | None = None,
    ) -> None:
        """Answer from `library`.

        Args:
            library: the papers.
            embedder: the one they were embedded with.
            drafter: writes a draft.
            settings: limits for reading and writing.
            server: runs the drafter, if it is ours.
            expert: refines drafts; None if there is none.
            no_expert: why there is none.
            reader: reads the passages found; None keeps the search's ranking.
            quotes_first: whether to answer questions of fact in the papers' words, as the reader finds them, and fold
                the draft away; for a drafter that is right less often than the reader.
            taught: whether the drafter was trained to answer from the reader's sentences; it then says yes or no
                where that is asked for.
            plain: the drafter without its adapter, which is only for questions of fact; None if it has no adapter.
            english_only: whether the drafter only reads English; a question in another language gets the passages.
            opened: the drafter as it was opened; None if it came from elsewhere.
            like: an assistant of the same library and embedder, whose search and terms this one shares.
        """
        self.library = library
        self.embedder = embedder
        self.drafter = drafter
        self._plain = plain or drafter
        self.expert = expert
        self._no_expert = no_expert or NO_EXPERT
        self._english_only = english_only
        self._machine = MachineCosts.from_settings(settings)
        self._line = Line(settings.drafter_slots * (opened.places if opened else 1))
        self._settings = settings
        self._server = server
        self.opened = opened
        self.gate = expert.gate if expert else None
        """What decides what may leave the machine; kept without a larger model, for the user's decisions."""
        self.shape = shape_of(settings)
        self._reader = reader
        self._composing: dict[str, Any] = {
            "quotes_first": quotes_first,
            "taught": taught,
            "floor": settings.answer_floor,
        }
        self._search_with(like.search if like else Search.of(library, embedder, reader))

    def _search_with(self, search: Search) -> None:
        self.search = search
        self._catalogue, self._terms, self._retriever = search.catalogue, search.terms, search.retriever
        self._composer = Composer(self._retriever, self._reader, **self._composing)
        self._prompter = Prompter(self.drafter, self._settings, retriever=self._retriever, terms=self._terms)

    def over(self, library: Library, *, like: Assistant | None = None) -> Self:
        """This assistant over a view of its library: the same models and decisions, and a search that finds only that.

        `like` is an earlier assistant over that view, whose search this one shares.
        """
        made = copy(self)
        made.library = library
        terms = Terms(library, mined_by=self._terms)
        retriever = Retriever(library, self.embedder, terms=terms, reader=self._reader)
        if made.gate:
            made.gate = made.gate.over(lambda ids: {paper.id for paper in library.papers(ids)})
        if made.expert:
            made.expert = copy(made.expert)
            made.expert.gate = made.gate
        made._search_with(like.search if like else Search(Catalogue(library), terms, retriever))  # noqa: SLF001 - one of us
        return made

    @classmethod
    def open(cls, settings: RagSettings, *, library: Library, like: Self | None = None) -> Self:
        """The assistant described by the settings: the only place where concrete classes are chosen.

        `like` is an earlier assistant of this library. What the settings leave as it was is shared with it: the
        embedder, the search, a model's process, and the user's decisions about sending.
        """
        missing, gate = None, Gate.of(library, settings, like=like.gate if like else None)
        try:
            expert = Expert.open(settings, library=library.folder, gate=gate, like=like.expert if like else None)
        except UserFacingError as error:  # drafts work without it
            expert, missing = None, str(error)
        if like and like.opened and like.shape == shape_of(settings):
            drafter = like.opened
        else:
            drafter = open_model(
                settings.drafter or str(embedded_drafter()),
                library=library.folder,
                context=settings.drafter_context,
                file_context=settings.drafter_context,
                slots=settings.drafter_slots,
                threads=settings.drafter_threads,
                timeout=settings.timeout_seconds,
                key=settings.drafter_key.get_secret_value(),
                adapters=Adapters(library.folder),
            )
        reader, answers = trained_reader(), settings.answers or ("written" if settings.drafter else "quoted")
        made = cls(
            library=library,
            embedder=like.embedder if like else embedder_from(library.settings.embedder),
            drafter=drafter.model,
            settings=settings,
            server=drafter.server,
            expert=expert,
            no_expert=missing,
            reader=reader,
            quotes_first=reader is not None and answers == "quoted",
            taught=drafter.taught,
            plain=drafter.plain,
            english_only=settings.drafter is None,
            opened=drafter,
            like=like,
        )
        made.gate = gate
        return made

    @property
    def servers(self) -> frozenset[LocalServer]:
        """The processes of its models that are ours."""
        expert = self.expert.server if self.expert else None
        return frozenset(server for server in (self._server, expert) if server)

    @property
    def no_expert(self) -> str:
        """Why there is no larger model, for the user."""
        return self._no_expert

    async def warm_up(self) -> None:
        """Load the embedder and start the drafter, so that the first question does not wait for them."""
        loading = asyncio.to_thread(self._retriever.warm_up)
        mining = asyncio.to_thread(self._terms.warm_up)
        await asyncio.gather(loading, mining, self._server.connect() if self._server else asyncio.sleep(0))

    async def close(self) -> None:
        """Stop the model processes."""
        if self._server:
            await self._server.close()
        if self.expert:
            await self.expert.close()

    def kill(self) -> None:
        """Stop the model processes immediately, without waiting."""
        if self._server:
            self._server.kill()
        if self.expert:
            self.expert.kill()

    async def ask(
        self,
        question: str,
        *,
        mode: Mode = "draft",
        paper_ids: Sequence[str] | None = None,
        tag: str | None = None,
        history: Sequence[tuple[str, str]] = (),
        asked_by: AskedBy = NOBODY,
        cited: Sequence[tuple[str, int]] = (),
        max_tokens: int | None = None,
        temperature: float | None = None,
    ) -> AsyncGenerator[Event, None]:
        """Answer a question as a stream of events; the last is `Answered`.

        Args:
            question: in the user's words.
            mode: draft, auto or refine; without a larger model, auto and refine give the draft and say so.
            paper_ids: ask only these papers.
            tag: ask only papers with this tag; with `paper_ids`, only those of them with the tag.
            history: earlier (question, answer) pairs of this chat, oldest first. A follow-up is searched for with words
                from them, in the papers it or they name.
            asked_by: who consents to sending, if the larger model is not on this machine.
            cited: (paper id, page) of each citation of the last answer: what "it" and "on which page?" refer to.
            max_tokens: of the draft, if fewer than the settings allow.
            temperature: of the draft, instead of the settings'.

        Raises:
            UserFacingError: the question cannot be asked, or the drafter fails. Anything else is a bug.
        """
        trace = Trace()
        question = self._checked(question)
        with trace.span("prepare"):
            known = await _in_search(self._recorded, question, paper_ids, tag, history, cited)
            taken = None if known else await _in_search(self._planned, question, paper_ids, tag, history)
            if taken and taken.unclear:
                known = Answer(question=question, text=taken.unclear, passages=(), trace=trace)
        if known:
            yield Retrieved(known.passages, None, known.scope, known.kind)
            yield Answered(replace(known, trace=trace.finish()))
            return
        assert taken
        most = self._settings.max_output_tokens
        limits = {
            "max_tokens": min(most, max_tokens or most),
            "temperature": self._settings.temperature if temperature is None else temperature,
        }
        story = self._story(taken, mode, history, trace, asked_by, limits)
        async with aclosing(story) as events:
            async for event in events:
                with trace.reader():
                    yield event

    async def _story(  # noqa: C901, PLR0912, PLR0915, PLR0917 - one story
        self,
        taken: Plan,
        mode: Mode,
        history: Sequence[tuple[str, str]],
        trace: Trace,
        asked_by: AskedBy,
        limits: dict[str, Any],
    ) -> AsyncGenerator[Event, None]:
        with trace.span("embed"):
            vector = await _in_search(self._retriever.embed, taken.text)
        began = time.monotonic()
        async with aclosing(self._gathered(taken, vector)) as stages:
            async for stage in stages:
                if isinstance(stage, Searched):
                    yield stage
                else:
                    found = stage
        read = await _in_search(self._composer.read, taken, found)
        _time_search(time.monotonic() - began, found.reading_seconds, trace)
        answer = Answer(
            question=taken.question,
            text=ABSTENTION,
            passages=found.passages,
            trace=trace,
            abstained=read.nothing or not found.on_topic,
            notice=self._notice(taken),
            kind=taken.kind,
            scope=taken.scope,
            searched=taken.searched,
            records=side_by_side(taken.scope.papers) if taken.kind == "comparison" else (),
        )
        yield Retrieved(found.passages, taken.searched, taken.scope, taken.kind)  # before any model is asked
        if found.passages and (language := self._unread(taken, mode)):
            told = UNREAD.format(language=language)
            answer = replace(answer, text=told, abstained=True, notice=taken.notice, language=language)
            yield Answered(with_notice(answer, None, trace=trace))
            return
        if answer.abstained:
            empty = None if await asyncio.to_thread(self.library.papers) else EMPTY_LIBRARY
            yield Answered(with_notice(replace(answer, notice=None) if empty else answer, empty, trace=trace))
            return
        if read.first:
            yield TextDelta(read.first, 1)
        with trace.span("prompt"):
            turns = [turn for turn in history if not tells_notes(turn[1])][-HISTORY_TURNS:]
            messages, passages = await self._prompter.messages(taken, vector, found, turns)
        unread = len(found.passages) - len(passages)
        told = (
            f"{unread} of {len(found.passages)} passages found did not fit into the context window of "
            f"{self.drafter.name} and were not read."
        )

        queued = time.monotonic()
        with self._line.join() as turn:
            async for ahead in turn.waiting():
                yield Queued(ahead)
            trace.add("queue", time.monotonic() - queued)
            before = await asyncio.to_thread(read_counters)
            drafter = self.drafter if taken.kind == "fact" else self._plain
            writing = write(drafter, messages, **limits)
            async with aclosing(writing) as pieces:
                async for piece in pieces:
                    if isinstance(piece, Draft):
                        draft = piece
                    elif not read.first:
                        yield TextDelta(piece, 0)
        if drafter is not self._plain:  # its server knows the model, not the adapter
            draft = replace(draft, model=drafter.name)
        draft = await asyncio.to_thread(metered, draft, before=before, machine=self._machine)
        _time(draft, trace)
        notice = " ".join(filter(None, (answer.notice, told if unread else None))) or None
        answer = replace(answer, passages=passages, drafts=(draft,), notice=notice)
        page_text = self._page_text()
        with trace.span("check"):
            first, answer = await asyncio.to_thread(self._judged, answer, draft, page_text)
            sure = answer.confidence
            asks = self.expert is not None and mode != "draft"  # then a larger model should improve the draft
            quotes = bool(read.answer or read.sentences)  # in every mode
            if quotes or not (asks or holds(sure, wholly=mode != "draft")):
                first, answer = await asyncio.to_thread(
                    self._composer.quote_instead, answer, first, read, vector=vector, page_text=page_text
                )
            reason = await asyncio.to_thread(self._reason, mode, first, answer)
        yield Drafted(answer.drafts[0], sure, answer.confidence if quotes else sure)
        if reason is None:
            yield Answered(with_notice(answer, None, trace=trace))
        elif self.expert is None:
            stays = "The quoted answer is shown." if answer.shown else "The small model's draft is shown."
            yield Answered(with_notice(answer, f"{self._no_expert} {stays}", trace=trace))
        else:
            async with aclosing(
                self._look_again(answer, first, reason, trace, asked_by, page_text=page_text)
            ) as events:
                async for event in events:
                    yield event

    async def refine(self, answer: Answer, *, asked_by: AskedBy = NOBODY) -> AsyncGenerator[Event, None]:
        """Have the larger model improve an earlier answer; the last event is `Answered`.

        Args:
            answer: with a draft and its passages, as `ask` gave it.
            asked_by: who consents to sending, if that model is not on this machine.

        Raises:
            NoExpertError: no larger model is configured.
        """
        if self.expert is None:
            raise NoExpertError(self._no_expert, "Choose one in Settings, or set SCHOLION_EXPERT (docs/models.md).")
        trace = Trace()
        yield Retrieved(answer.passages, answer.searched, answer.scope, answer.kind)
        page_text = self._page_text()
        with trace.span("check"):
            first, answer = await asyncio.to_thread(self._judged, answer, answer.drafts[answer.shown], page_text)
        async with aclosing(self._look_again(answer, first, ASKED_FOR, trace, asked_by, page_text=page_text)) as events:
            async for event in events:
                with trace.reader():
                    yield event

    async def _look_again(
        self, answer: Answer, first: Attempt, reason: str, trace: Trace, asked_by: AskedBy, *, page_text: PageText
    ) -> AsyncGenerator[Event, None]:
        assert self.expert
        question = answer.searched or answer.question
        turn = self.expert.look_again(
            answer,
            first=first,
            reason=reason,
            trace=trace,
            assess=lambda attempt: self._assess(attempt, answer.passages, question),
            judge=lambda draft: self._attempt(draft, answer, page_text),
            define=lambda papers: self._terms.definitions(question, papers),
            asked_by=asked_by,
        )
        async with aclosing(turn) as events:
            async for event in events:
                yield event

    async def _gathered(self, taken: Plan, vector: Vectors) -> AsyncGenerator[Searched | Found, None]:
        """What is found, last; before it, what the search has found, if the reader takes long."""
        loop = asyncio.get_running_loop()
        first: asyncio.Future[tuple[Passage, ...]] = loop.create_future()
        reading = _in_search(
            gather,
            taken,
            vector,
            retriever=self._retriever,
            library=self.library,
            k=self._settings.top_k,
            tell=lambda passages: loop.call_soon_threadsafe(first.set_result, passages),
        )
        either: set[asyncio.Future[Any]] = {first, reading}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait({reading}, timeout=PATIENCE_SECONDS)
            if not reading.done() and first.done():
                yield Searched(first.result(), taken.searched, taken.scope, taken.kind)
            yield await reading
        finally:
            reading.cancel()  # if it still waits for a thread

    def _recorded(
        self,
        question: str,
        paper_ids: Sequence[str] | None,
        tag: str | None,
        history: Sequence[tuple[str, str]],
        cited: Sequence[tuple[str, int]],
    ) -> Answer | None:
        """What the library's records answer; None for a question about what papers say."""
        scope = self._scope(paper_ids, tag)
        reply = self._catalogue.answer(question, scope=scope, history=history, cited=cited)
        if reply is None and (asked := self._catalogue.described(question, scope=scope)):
            ids = {paper.id for paper in scope.papers}
            paper = None if asked.topic in ids else self._paper_about(asked.topic, scope)
            if asked.topic in ids or paper:
                reply = self._catalogue.facts(paper.id if paper else asked.topic, asked.fields)
        if reply is None:
            return None
        return Answer(
            question=question,
            text=reply.text,
            passages=reply.passages,
            citations=reply.citations,
            trace=Trace(),
            kind="library",
            scope=scope,
        )

    def _paper_about(self, topic: str, scope: Scope) -> Paper | None:
        return paper_about(topic, retriever=self._retriever, paper_ids=scope.paper_ids)

    def _unread(self, taken: Plan, mode: Mode) -> str | None:
        """The language of the question, where no model that is asked reads it; None where one does."""
        if not self._english_only or (self.expert is not None and mode != "draft"):
            return None
        return language_of(taken.question, sure=True)

    def _notice(self, taken: Plan) -> str | None:
        """The plan's notice, plus a warning if the embedded models, which only know English, got another language."""
        language = None if self.library.settings.embedder else language_of(taken.question)
        return " ".join(filter(None, (taken.notice, NOTICE.format(language=language) if language else None))) or None

    def _assess(self, attempt: Attempt, passages: Sequence[Passage], question: str) -> Confidence:
        cited = attempt.cited
        return score(
            attempt.draft,
            question=question,
            sentences=cited.sentences,
            passages=passages,
            corrections=cited.corrections,
            calibration=calibration_for(attempt.draft.model, library=self.library.folder),
        )

    def _judged(self, answer: Answer, draft: Draft, page_text: PageText) -> tuple[Attempt, Answer]:
        """A draft checked against the answer's passages, and the answer with that draft and its confidence."""
        attempt = self._attempt(draft, answer, page_text)
        sure = self._assess(attempt, answer.passages, answer.searched or answer.question)
        drafts = tuple(attempt.draft if kept is draft else kept for kept in answer.drafts)
        return attempt, replace(answered(answer, attempt), confidence=sure, drafts=drafts)

    def _attempt(self, draft: Draft, answer: Answer, page_text: PageText) -> Attempt:
        question = answer.searched or answer.question
        verbatim = draft.model == QUOTED_ANSWER
        entries = () if verbatim else self._terms.glossary.entries()
        return Attempt.at(
            draft,
            check=lambda text: cite(text, answer.passages, page_text=page_text, question=question, verbatim=verbatim),
            spell=lambda text: as_preferred(text, entries),
        )

    def _reason(self, mode: Mode, first: Attempt, answer: Answer) -> str | None:
        """Why a larger model should be asked, in words; None if the evidence supports the answer well enough."""
        if mode != "auto":
            return ASKED_FOR if mode == "refine" else None
        sure = answer.confidence
        assert sure
        if first.draft.model == QUOTED_ANSWER and answer.kind in {"summary", "comparison"}:
            return "your papers were only quoted"
        if (threshold := self._settings.auto_threshold) is not None:
            return sure.reason.rstrip(".") if goes_on(sure, threshold=threshold) else None
        if first.draft.model == QUOTED_ANSWER:
            return None if is_sure(sure) else "the quoted sentences may not answer the question"
        calibration = calibration_for(first.draft.model, library=self.library.folder)
        if calibration.model != first.draft.model and not sure.vetoes:  # the threshold is for another model
            return reason_to_refine(first)
        return sure.reason.rstrip(".") if wants_expert(sure, calibration=calibration) else None

    def _page_text(self) -> PageText:
        """The stored text of (paper id, page), for one answer; each paper is read once, on first use."""

        @cache
        def pages_of(paper_id: str) -> dict[int, str]:
            return {page.number: page.text for page in self.library.pages(paper_id)}

        return lambda paper_id, page: pages_of(paper_id).get(page, "")

    async def answer(
        self,
        question: str,
        *,
        mode: Mode = "draft",
        paper_ids: Sequence[str] | None = None,
        tag: str | None = None,
        history: Sequence[tuple[str, str]] = (),
    ) -> Answer:
        """The answer alone, without streaming."""
        async with aclosing(self.ask(question, mode=mode, paper_ids=paper_ids, tag=tag, history=history)) as events:
            async for event in events:
                if isinstance(event, Answered):
                    return event.answer
        raise AssertionError("a question ends with Answered")

    async def messages_for(self, question: str, paper_ids: Sequence[str] | None = None) -> Sequence[Message]:
        """The drafter's prompt for this question."""
        taken = await asyncio.to_thread(self._planned, self._checked(question), paper_ids, None, ())
        vector = await asyncio.to_thread(self._retriever.embed, taken.text)
        found = await asyncio.to_thread(
            gather, taken, vector, retriever=self._retriever, library=self.library, k=self._settings.top_k
        )
        messages, _ = await self._prompter.messages(taken, vector, found, ())
        return messages

    def _planned(
        self,
        question: str,
        paper_ids: Sequence[str] | None,
        tag: str | None,
        history: Sequence[tuple[str, str]],
    ) -> Plan:
        taken = plan(question, scope=self._scope(paper_ids, tag), history=history)
        return understood(taken, retriever=self._retriever, library=self.library)

    def _scope(self, paper_ids: Sequence[str] | None, tag: str | None) -> Scope:
        chosen = None if paper_ids is None else self._chosen(list(dict.fromkeys(paper_ids)))
        if tag is None:
            return Scope(tuple(self.library.papers()), whole=True) if chosen is None else Scope(tuple(chosen.values()))
        tagged = self.library.tagged(tag)
        return Scope(tuple(paper for paper in tagged if chosen is None or paper.id in chosen), tag=tag)

    def _chosen(self, names: Sequence[str]) -> dict[str, Paper]:
        """The papers with these ids, or with the only ids that begin so, by id and in this order."""
        found = {paper.id: paper for paper in self.library.papers(names)}
        papers = [found.get(name) or self.library.paper(name) for name in names]
        return {paper.id: paper for paper in papers}

    def _checked(self, question: str) -> str:
        question = well_formed(question).strip()
        if not question:
            raise QuestionError("The question is empty.", "Type what you want to know.")
        if len(question) > self._settings.max_question_chars:
            raise QuestionError(
                f"The question has {len(question):,} characters; the limit is {self._settings.max_question_chars:,}.",
                "Shorten it, or add the long text as a PDF and ask about that.",
            )
        return question


def _in_search(work: Callable[..., T], *args: Any, **kwargs: Any) -> asyncio.Future[T]:
    """Like `asyncio.to_thread`, but never waiting for the other work there, such as adding papers."""
    run = partial(copy_context().run, work, *args, **kwargs)
    return asyncio.get_running_loop().run_in_executor(_searching, run)


def _time_search(seconds: float, reading: float | None, trace: Trace) -> None:
    """Time the reader apart from the search that it is part of."""
    trace.add("retrieve", seconds - (reading or 0.0))
    if reading is not None:
        trace.add("read", reading)


def _time(draft: Draft, trace: Trace) -> None:
    """Time a model by its own clock, because the consumer may take any time between two pieces."""
    first = draft.first_token_seconds
    if first is not None:
        trace.add("first token", first)
    trace.add("decode", draft.seconds - (first or 0.0))
