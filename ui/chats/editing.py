"""An edited question is asked again: what followed it leaves the page, the history and the chat's turns.

Chainlit's own handler leaves the steps of tools behind, forgets no turn, and cannot be stopped.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import chainlit as cl
from chainlit.chat_context import chat_context
from chainlit.config import config
from chainlit.context import init_ws_context
from chainlit.data import get_data_layer
from chainlit.session import WebsocketSession

from ingest.files import paper_id
from ingest.terminal import well_formed
from rag.texts import _
from ui import conversation, scope
from ui.chats.history import ChatHistory
from ui.errors import sentence
from ui.web import names

if TYPE_CHECKING:
    from ingest import Paper

_ATTACHED = "attached"
"""The key in the session of the papers that came with each message."""


def note_attached(message: cl.Message, papers: list[Paper]) -> list[Paper]:
    """Remember which papers a message brought; returns them, or those that it brought before it was edited.

    Raises:
        UserFacingError: it came with files before it was edited, and none of them is in the library.
    """
    if papers:
        _note(message, [paper.id for paper in papers])
    if papers or message.elements or not with_files(message):
        return papers
    return scope.still_there(set(_attached()[message.id]))


def note_one(message: cl.Message, paper: Paper) -> None:
    """Remember that a message brought a paper, though the files after it may still be stopped."""
    _note(message, [*_attached().get(message.id, ()), paper.id])


def with_files(message: cl.Message) -> bool:
    """Whether the message comes with files, or came with some before it was edited."""
    return bool(message.elements) or message.id in _attached()


def _note(message: cl.Message, paper_ids: list[str]) -> None:
    cl.user_session.set(_ATTACHED, {**_attached(), message.id: paper_ids})


def _attached() -> dict[str, list[str]]:
    return cl.user_session.get(_ATTACHED) or {}


async def edit(sid: str, payload: Any) -> None:
    """Ask an edited message again, as a task that Stop cancels."""
    names.check(payload)
    session = WebsocketSession.require(sid)
    init_ws_context(session)
    if session.current_task and not session.current_task.done():
        await cl.context.emitter.send_toast(_("Another answer is still being written."), "warning")
        return
    said = payload.get("message") if isinstance(payload, dict) else None
    said = said if isinstance(said, dict) else {}
    text = well_formed(str(said.get("output") or "")).strip()
    message = next((m for m in chat_context.get() if m.id == said.get("id") and m.type == "user_message"), None)
    if message is None or not text:
        await cl.context.emitter.send_toast(_("This message cannot be edited. Ask the question below."), "warning")
        return
    message.modes = said["modes"] if isinstance(said.get("modes"), dict) else message.modes
    session.current_task = asyncio.create_task(_ask_again(message, text))


async def _ask_again(message: cl.Message, text: str) -> None:
    await cl.context.emitter.task_start()
    try:
        with contextlib.suppress(asyncio.CancelledError):
            if message.elements and message.id not in _attached():
                _note(message, [])  # none could be added
            message.content, message.elements = text, []
            await _forget_what_followed(message)
            await message.update()
            if config.code.on_message:
                await config.code.on_message(message)
    except Exception as error:  # noqa: BLE001 - the last place where it can be shown
        await cl.context.emitter.send_toast(sentence(error), "error")
    finally:
        await cl.context.emitter.task_end()


async def _forget_what_followed(message: cl.Message) -> None:
    """Take what followed the message from the page, the history and the session's turns."""
    shown = chat_context.get()
    later = shown[shown.index(message) + 1 :]
    gone = dict.fromkeys(one.id for one in later)
    for one in later:
        chat_context.remove(one)
    layer, chat = get_data_layer(), cl.context.session.thread_id
    steps: list[Any] = []
    if isinstance(layer, ChatHistory):
        gone |= dict.fromkeys(await layer.forget_after(chat, message.id))
        thread = await layer.get_thread(chat)
        steps = [step for step in thread["steps"] if step["id"] != message.id] if thread else []
        if thread and not steps:  # the first question names the chat
            await layer.update_thread(chat, name=message.content)
        if thread and message.id not in _attached():  # a crash came before the session was stored
            keys = [one["objectKey"] for one in thread["elements"] or [] if one.get("forId") == message.id]
            files = [layer.storage_provider.path(key) for key in keys if key]
            if files:
                _note(message, await asyncio.to_thread(lambda: [paper_id(file) for file in files if file.is_file()]))
    for step_id in gone:
        await cl.context.emitter.delete_step({"id": step_id})
    conversation.remember_turns(steps)  # which papers are asked stays as it is chosen now
