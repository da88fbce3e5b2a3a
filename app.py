"""Chainlit callbacks: uploads in, events out. No logic."""

# mypy: disable-error-code="untyped-decorator"
# Chainlit's decorators have no types that mypy could follow.
from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import chainlit as cl
from chainlit.config import config
from chainlit.server import app as server

from ingest import environment
from ingest.terminal import well_formed
from rag.texts import _
from ui import (
    commands,
    composer,
    consent_question,
    conversation,
    core,
    ending,
    export,
    offer,
    panel,
    refinement,
    scope,
    shelf,
    uploads,
)
from ui.chats import cut_off, editing, where
from ui.chats.history import ChatHistory, UploadFolder
from ui.errors import visible, visible_briefly
from ui.operate import requests
from ui.people import sign_in
from ui.people.settings import providers
from ui.people.settings import settings as several
from ui.web import guard, library_routes, names, patches, routes

folder = core.settings().library.expanduser().resolve()
attachments = UploadFolder(folder / "uploads")

# `python -m ui` does this before it imports Chainlit, but `chainlit run` does not
environment.shut_out(but=providers())
patches.apply(incoming=folder / names.INCOMING, edit=editing.edit)
ending.install()
guard.check_host(config.run.host, allowed=several().listen if several().people else None)
if several().people:
    sign_in.begin(server, folder)
guard.install(
    server,
    port=config.run.port,
    upload_mb=config.features.spontaneous_file_upload.max_size_mb,
    is_owner=patches.is_owner,
    public_host=several().public_host,
)
routes.install(server, uploads=attachments)
server.add_middleware(requests.Requests)


@cl.data_layer
def data_layer() -> ChatHistory:
    """Chats are stored in one file of the library's folder, or where SCHOLION_CHATS says."""
    return where.opened(folder, attachments)


async def local_user(headers: Any) -> cl.User:  # noqa: ARG001 - chainlit passes it by name
    """The user at this machine; `ui.web.guard` keeps everybody else out."""
    return cl.User(identifier="local", display_name=_("You"))


if not several().people:
    cl.header_auth_callback(local_user)


@cl.on_app_startup
async def startup() -> None:
    """Load the models in the background."""
    requests.begin()
    core.begin()
    offer.begin()


@cl.on_app_shutdown
async def shutdown() -> None:
    """Stop the models, close the library and remove leftover uploads."""
    await library_routes.end()
    await core.end()
    patches.remove_uploads()


@cl.set_starters
async def starters(user: cl.User | None = None) -> list[cl.Starter]:  # noqa: ARG001 - chainlit passes it by name
    """Example questions to start with."""
    return [*await offer.starters(), *await asyncio.to_thread(composer.starters)]  # it reads headings of whole papers


@cl.on_chat_start
@visible
async def on_chat_start() -> None:
    """A new chat."""
    patches.forget_closed_chats()
    scope.take_waiting()
    await composer.show_controls()
    core.page_is_open()


@cl.on_chat_resume
@visible
async def on_chat_resume(thread: dict[str, Any]) -> None:
    """A stored chat is reopened."""
    conversation.remember(thread["steps"])
    await composer.show_controls()
    await conversation.offer_again(thread["steps"])
    await conversation.tell_cut_off(thread["steps"])
    core.page_is_open()


@cl.on_chat_end
async def on_chat_end() -> None:
    """A page was closed or reloaded, or lost its connection."""
    consent_question.page_is_gone()


@cl.on_message
@visible
@cut_off.working
async def on_message(message: cl.Message) -> None:
    """A question, files, both, or a command."""
    message.command = composer.command_of(message)
    if message.command == composer.LIBRARY:
        await shelf.show()
        return
    if message.command == composer.EXPORT:
        await export.show()
        return
    if message.command == offer.COMMAND:
        await cl.Message(_("[Open Settings](/settings) to choose a model.")).send()
        return
    if not editing.with_files(message) and await commands.run(message, well_formed(message.content).strip()):
        return
    added = await uploads.add(message.elements, added=partial(editing.note_one, message))
    papers = editing.note_attached(message, added)
    question = well_formed(message.content).strip()
    mode = composer.mode_of(message)
    if question and (papers or not message.elements):
        choice = scope.of_papers(papers) if papers else scope.of_message(message)
        await composer.refresh_pickers()
        await conversation.ask(question, mode=mode, choice=choice)
    elif papers:
        await uploads.offer(papers)
    elif question:
        await cl.Message(_("Your question was not asked because none of its files could be added.")).send()


@cl.action_callback("ask_about")
@visible
async def ask_about(action: cl.Action) -> None:
    """The question offered after an upload was chosen."""
    choice = scope.of_papers(core.library().paper(str(paper_id)) for paper_id in action.payload["paper_ids"])
    question = uploads.first_question(len(action.payload["paper_ids"]))
    await cl.Message(question, type="user_message").send()
    await conversation.stoppable(conversation.ask(question, mode="draft", choice=choice))


@cl.action_callback("add_attached")
@visible
async def add_attached(action: cl.Action) -> None:
    """The PDFs attached to a portfolio are wanted in its place."""
    papers = await uploads.add_attached(str(action.payload["file_id"]))
    if papers:
        await uploads.offer(papers)


@cl.action_callback(export.COPY)
@cl.action_callback(export.BIBTEX)
@visible
async def take_along(action: cl.Action) -> None:
    """Copy an answer with numbered references, or the BibTeX of what it cites."""
    await export.act(action.name, action.payload)


@cl.action_callback(export.STYLE)
async def choose_style(action: cl.Action) -> dict[str, Any]:
    """Choose the style of references, or ask which there are."""
    return await export.choose(action.payload)


@cl.action_callback(conversation.AGAIN)
@visible
async def ask_again(action: cl.Action) -> None:
    """Ask the question of an answer once more."""
    await conversation.stoppable(conversation.ask_again(action.payload, action.forId))


@cl.action_callback(refinement.REFINE)
@visible
async def refine_answer(action: cl.Action) -> None:
    """Have the larger model refine an answer."""
    await conversation.stoppable(conversation.refine(action.payload))


@cl.on_window_message
@visible_briefly
async def on_window_message(data: Any) -> None:
    """A citation was clicked, the Library was opened or used, or a text was copied."""
    await shelf.heard(data)
    await panel.open_citation(data)
    await export.copied(data)


sign_in.protect(server, config.code)
