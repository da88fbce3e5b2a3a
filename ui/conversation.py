"""One question in the chat: what is being read, the streaming answer, and how it ends."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, get_args

import chainlit as cl
from chainlit.data import get_data_layer
from chainlit.utils import utc_now

from ingest.terminal import well_formed
from rag.answer import Answer, Answered, Drafted, Escalated, Mode, Queued, Retrieved, Searched, TextDelta
from rag.expert import AskedBy
from rag.inert import inert
from rag.insight.figures import KEY, figures_of, unfinished
from rag.render import (
    also_says,
    changed,
    changes_title,
    full_answer,
    linked,
    links_to,
    not_cited,
    reading,
    reading_title,
    scope_words,
)
from rag.sanitise import Sanitiser
from rag.saved_answer import answer_facts, load_answer
from rag.texts import _, counted, ngettext, number, said
from ui import consent_question, core, ending, export, panel, refinement, scope
from ui.chats.cut_off import at_work, last_cut_off
from ui.operate.metrics import watched

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection, Coroutine, Iterable, Sequence

    from rag.answer import Event, Passage

AGAIN = "ask_again"
"""The name of the action that asks a question once more."""

UPDATE_SECONDS = 0.1
"""The page parses the whole text on each update, so tokens are shown in batches."""
TURNS = 6
"""Number of earlier questions passed to the assistant."""

_LAST = "last_answer"
"""The key in the session of the id of its last answer."""


class Reply:
    """The message that grows in the chat as events arrive."""

    def __init__(self, question: str = "", *, only: Sequence[str] | None = None) -> None:
        self.answer: Answer | None = None
        self._escalated = False
        self._question = question
        self._only: dict[str, Any] = {scope.ONLY: list(only)} if only else {}
        self._passages: Collection[Passage] = ()
        self._message = cl.Message("")
        self._reading = cl.Step(
            name=_("your papers"), type="tool", default_open=True, auto_collapse=True, show_input=False
        )
        self._heads: list[str] = []
        self._heading = ""
        self._stream = Sanitiser()
        self._text = ""
        self._waiting = ""
        self._links: dict[int, str] = {}
        self._messages = 0
        self._began = time.monotonic()
        self._first_token: float | None = None
        self._shown = 0.0

    async def open(self) -> None:
        """Show that the papers are being searched."""
        self._reading.parent_id = self._message.parent_id  # otherwise the page puts it below the answer
        self._reading.start = utc_now()
        await self._reading.send()

    async def take(self, event: Event) -> None:
        """Show one event."""
        match event:
            case Retrieved(passages, searched, asked) | Searched(passages, searched, asked):
                self._links, self._passages = links_to(passages), passages
                self._heads = [_("Searched for: {words}").format(words=inert(searched))] if searched else []
                self._heads += (
                    [_("Searched {papers}").format(papers=inert(scope_words(asked)))]
                    if asked and not asked.whole
                    else []
                )
                self._list(passages)
                await self._reading.update()
            case Queued(ahead):
                waiting = ngettext(
                    "The draft is written when the answer before it has been written.",
                    "The draft is written when {n} answers before it have been written.",
                    ahead,
                )
                self._waiting = f"\n\n*{waiting.format(n=number(ahead))}*"
                await self._show()
            case TextDelta(text):
                self._waiting = ""
                if self._first_token is None:
                    self._first_token = time.monotonic() - self._began
                self._text += self._stream.feed(text)
                if time.monotonic() - self._shown >= UPDATE_SECONDS:
                    await self._stay_last()
                    await self._show()
            case Drafted():
                self._waiting = ""
                await self._show()
            case Escalated(model, reason):
                self._escalated = True
                self._text += self._stream.finish()
                looking = _("{model} is reviewing this draft: {reason}").format(
                    model=inert(model), reason=inert(said(reason))
                )
                self._heading = "\n\n".join(filter(None, (linked(self._text, links=self._links), f"*{looking}*", "")))
                self._text, self._stream = "", Sanitiser()
                self._messages = len(cl.chat_context.get())
                await self._show()
            case Answered(answer):
                self.answer = answer
                self._list(answer.passages)  # fewer than were found, if not all fit

    async def finish(self) -> None:
        """Replace the streamed text by the checked answer, and store it."""
        if self.answer is None:
            await self.abandon(_("(the answer was interrupted)"))
            return
        await self._stay_last()
        self._message.content = full_answer(self.answer, first_token_seconds=self._first_token)
        self._message.metadata = {
            "question": self.answer.question,
            "answer": self.answer.text,
            "quotes": panel.quotes_of(self.answer),
            "facts": answer_facts(self.answer),
            **export.kept(self.answer),
            **refinement.kept(self.answer),
            **scope.kept(),
            **self._only,
            KEY: figures_of(self.answer, first_word=self._first_token),
        }
        panel.remember(self._message.metadata["quotes"])
        cl.user_session.set(_LAST, self._message.id)
        self._message.actions = buttons(self._message.metadata)
        await self._keep()  # first: who stops it from here on has the answer
        await self._close_reading()
        await self._folded(changes_title(self.answer), changed(self.answer))
        rest = not_cited(self.answer)
        await self._folded(
            _("{passages}, not cited").format(passages=counted(len(rest), "more passage")), also_says(self.answer)
        )

    async def abandon(self, why: str) -> None:
        """Keep the text so far and its sources, and say why there is no more."""
        await self._stay_last()
        self._text += self._stream.finish()
        text = f"{self._heading}{linked(self._text, links=self._links)}\n\n*{why}*".strip()
        title = _("Read, not checked")
        read = f"##### {title}\n\n{reading(self._passages)}" if self._passages else ""
        self._message.content = "\n\n".join(filter(None, (text, read)))
        figures = unfinished(stayed=not self._escalated)
        self._message.metadata = {"stopped": self._question, **self._only, KEY: figures}
        self._message.actions = buttons(self._message.metadata)
        await self._keep()
        await self._close_reading()

    async def fail(self) -> None:
        """Make room for an error message: keep any text so far, else remove the message."""
        if self._heading or self._text or self._stream.holds:
            await self.abandon(_("(the answer was interrupted)"))
        else:
            await self._reading.remove()

    def _list(self, passages: Collection[Passage]) -> None:
        self._reading.name = reading_title(passages) if passages else _("your papers")
        self._reading.output = "\n\n".join([*self._heads, reading(passages)])

    async def _show(self) -> None:
        self._shown = time.monotonic()
        await self._message.stream_token(
            self._heading + linked(self._text, links=self._links) + self._waiting, is_sequence=True
        )

    async def _stay_last(self) -> None:
        """Move below a consent question that came in between: the page keeps each message at its first position."""
        if self._heading and len(cl.chat_context.get()) > self._messages:
            parent = self._message.parent_id
            await self._message.remove()
            self._message = cl.Message("")
            self._message.parent_id = parent
            self._messages = len(cl.chat_context.get())

    async def _folded(self, name: str, text: str) -> None:
        """Add a folded step below the answer; nothing if there is no text."""
        if text:
            step = cl.Step(name=name, type="tool", show_input=False)
            step.parent_id = self._message.parent_id
            step.start = step.end = utc_now()
            step.output = text
            await step.send()

    async def _close_reading(self) -> None:
        self._reading.end = utc_now()
        await self._reading.update()

    async def _keep(self) -> None:
        """After `stream_token`, `send` replaces the text in the page, ends the cursor and stores the message."""
        await self._message.send()


Before = tuple[list[tuple[str, str]], "Sequence[tuple[str, int]]"]
"""The turns before a question, and the papers and pages that the last of them cites."""


async def ask(question: str, *, mode: Mode, choice: scope.Choice | None = None, before: Before | None = None) -> None:
    """Ask the assistant and show its events.

    Args:
        question: as it was typed.
        mode: which models answer.
        choice: restricts the question to some papers.
        before: what it followed when it was asked before, so that it is understood as it was then.
    """
    choice = choice or scope.Choice()
    turns, cited = before or (_turns(), cl.user_session.get("cited") or ())
    with core.answering() as assistant:
        answer = await _show(
            assistant.ask(
                question,
                mode=mode,
                paper_ids=choice.paper_ids,
                tag=choice.tag,
                history=turns[-TURNS:],
                asked_by=_asked_by(),
                cited=cited,
            ),
            question,
            only=choice.paper_ids if choice.once else None,
        )
    if answer:
        others = [turn for turn in _turns() if before is None or turn[0] != question]
        cl.user_session.set("turns", [*others, (question, answer.text)][-TURNS:])
        cl.user_session.set("cited", [(c.passage.paper.id, c.page) for c in answer.citations])


async def ask_again(payload: Any, answer: str | None = None) -> None:
    """Ask the question of an answer once more, of the papers asked or chosen last. The payload comes from the browser.

    Args:
        payload: the question, and the mode if it is not the chosen one.
        answer: the id of the answer's message.
    """
    payload = payload if isinstance(payload, dict) else {}
    question = well_formed(str(payload.get("question") or "")).strip()
    mode = payload.get("mode") or cl.user_session.get("answer_mode")
    if question:
        before = await _before(question, answer)
        await cl.Message(question, type="user_message").send()
        known: Mode = mode if mode in get_args(Mode) else "draft"
        await ask(question, mode=known, choice=scope.again(payload.get(scope.ONLY)), before=before)


async def refine(payload: Any) -> None:
    """Have the larger model refine an answer of this chat. The payload comes from the browser.

    Raises:
        UserFacingError: the answer's passages are gone, or no larger model is configured.
    """
    kept = payload.get("record") if isinstance(payload, dict) else None
    before = load_answer(kept, library=core.library())
    with core.answering() as assistant:
        answer = await _show(assistant.refine(before, asked_by=_asked_by()), before.question)
    if answer:
        turns = [(q, answer.text if q == answer.question else a) for q, a in _turns()]
        cl.user_session.set("turns", turns)


def buttons(metadata: dict[str, Any]) -> list[cl.Action]:
    """The buttons under an answer, from its message's metadata."""
    return [*refinement.actions(metadata), *export.actions(metadata), *_again(metadata)]


def _again(metadata: dict[str, Any]) -> list[cl.Action]:
    """Ask the same once more; after an answer of a larger model, also as a draft of the small one."""
    question = metadata.get("question") or metadata.get("stopped")
    if not question:
        return []
    same = _("Ask the same question again, of the papers and in the mode you used last")
    asked = {"question": question}
    if only := metadata.get(scope.ONLY):
        asked[scope.ONLY] = only
        same = _("Ask the same question again, of the same files")
    made = [cl.Action(name=AGAIN, label=_("Ask again"), icon="refresh-cw", tooltip=same, payload=asked)]
    models = (metadata.get("facts") or {}).get("models") or []
    if len(models) > 1 and not metadata.get("record") and core.assistant().expert is not None:
        payload = {**asked, "mode": "draft"}
        tooltip = _("Ask again with only the small models on this machine")
        made.append(
            cl.Action(name=AGAIN, label=_("Ask again as a draft"), icon="zap", tooltip=tooltip, payload=payload)
        )
    return made


async def tell_cut_off(steps: list[dict[str, Any]]) -> None:
    """Say it at the end of a reopened chat, if its last answer or upload was cut off. What is said is not stored."""
    last = await last_cut_off(steps)
    if last is None:
        return
    question = str(last.get("output") or "").strip()
    text = (
        _("Scholion was interrupted before this was answered.")
        if question
        else _("Scholion was interrupted. If your file is not in the Library in a minute, add it again.")
    )
    message = cl.Message(f"*{text}*")
    steps.append({**message.to_dict(), "createdAt": utc_now()})
    if question:
        for action in _again({"question": question}):
            await action.send(for_id=message.id)


async def offer_again(steps: Iterable[dict[str, Any]]) -> None:
    """Restore the buttons under the answers of a reopened chat; Chainlit does not store them."""
    for step in steps:
        for action in buttons(step.get("metadata") or {}):
            await action.send(for_id=str(step.get("id")))


def _asked_by() -> AskedBy:
    return AskedBy(consent_question.ask, chat=cl.context.session.thread_id)


async def _show(
    events: AsyncGenerator[Event, None], question: str, *, only: Sequence[str] | None = None
) -> Answer | None:
    """Show an answer's events; returns the answer. `only`: the papers that this question alone asks."""
    reply = Reply(question, only=only)
    await reply.open()
    with ending.kept():
        try:
            async with aclosing(watched(events)) as seen:  # so that Stop also stops the model's server
                async for event in seen:
                    await reply.take(event)
        except asyncio.CancelledError:
            await reply.abandon(_("(stopped)"))
            raise
        except Exception:
            await reply.fail()
            raise
        await reply.finish()
    return reply.answer


async def _at_work(work: Coroutine[Any, Any, None], chat: str) -> None:
    async with at_work(chat):
        await work


async def stoppable(work: Coroutine[Any, Any, None]) -> None:
    """Run `work`, which a button started, so that Stop cancels it and the composer waits for it."""
    session = cl.context.session
    if session.current_task and not session.current_task.done():
        work.close()
        await cl.context.emitter.send_toast(_("Another answer is still being written."), "warning")
        return
    task = session.current_task = asyncio.create_task(_at_work(work, session.thread_id))
    await cl.context.emitter.task_start()
    try:
        await asyncio.wait({task})
        if not task.cancelled():
            task.result()
    finally:
        await cl.context.emitter.task_end()


def remember(steps: Iterable[dict[str, Any]]) -> None:
    """Restore the earlier questions from a stored chat, and which papers it asks.

    A page that is left stores its session with the papers chosen there. They count if nothing was answered since; else
    those of the last answer do.
    """
    known = cl.user_session.get(_LAST)
    if (kept := remember_turns(steps)) and known != cl.user_session.get(_LAST):
        scope.remember(kept[-1].get(scope.PICKER))


def remember_turns(steps: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Restore the earlier questions and what was cited, but not which papers are asked; returns the answers' metadata.

    Args:
        steps: of a stored chat, in order.
    """
    answers = _answers(steps)
    kept = [step["metadata"] for step in answers]
    cl.user_session.set("cited", export.pages_cited(kept[-1]) if kept else None)
    cl.user_session.set("turns", _turns_of(kept)[-TURNS:])
    cl.user_session.set(_LAST, str(answers[-1].get("id")) if answers else None)
    for metadata in kept:
        panel.remember(metadata.get("quotes"))
    return kept


def _answers(steps: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The steps that are complete answers."""
    return [step for step in steps if {"answer", "question"} <= (step.get("metadata") or {}).keys()]


def _turns_of(answers: Iterable[dict[str, Any]]) -> list[tuple[str, str]]:
    """Question and answer of each of these metadata; the last answer of a question that was refined or asked again."""
    turns: list[tuple[str, str]] = []
    for metadata in answers:
        if turns and turns[-1][0] == str(metadata["question"]):
            turns.pop()
        turns.append((str(metadata["question"]), str(metadata["answer"])))
    return turns


async def _before(question: str, answer: str | None) -> Before | None:
    """What a question of this chat followed; None if that is unknown, or if nothing was answered since.

    Args:
        question: as it was asked.
        answer: the id of the message with its answer.
    """
    layer = get_data_layer()
    if caught_up := getattr(layer, "caught_up", None):
        await caught_up()
    thread: Any = await layer.get_thread(cl.context.session.thread_id) if layer else None
    steps = (thread or {}).get("steps") or []
    at = next((n for n, step in enumerate(steps) if step["id"] == answer), None)
    if at is None:
        turns = _turns()
        found = [n for n, (asked, _) in enumerate(turns) if asked == question]
        return (turns[: found[-1]], ()) if found else None
    kept = [step["metadata"] for step in _answers(steps[:at])]
    while kept and kept[-1]["question"] == question:  # a draft that was refined
        kept.pop()
    return _turns_of(kept), export.pages_cited(kept[-1]) if kept else ()


def _turns() -> list[tuple[str, str]]:
    return [(question, answer) for question, answer in cl.user_session.get("turns") or []]
