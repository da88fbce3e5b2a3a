"""The Library command: a list of the papers to filter, open, tag, choose and delete."""

from __future__ import annotations

from typing import Any

import chainlit as cl

from ingest import UserFacingError
from ui import composer, core, panel, scope
from ui.errors import sentence


async def show() -> None:
    """Send the list of papers as a message."""
    papers = listed()
    text = "" if papers else "Your library is empty. Attach a PDF with the paper clip, or drop it anywhere on the page."
    elements = [cl.CustomElement(name="Library", props={"papers": papers}, display="inline")] if papers else []
    await cl.Message(text, elements=elements).send()


def listed() -> list[dict[str, Any]]:
    """What the list shows of each paper."""
    return [
        {
            "id": paper.id,
            "title": paper.marked_title or paper.file_name,
            "authors": ", ".join(paper.authors),
            "year": paper.year,
            "pages": paper.n_pages,
            "tags": core.library().tags_of(paper.id),
        }
        for paper in core.library().papers()
    ]


async def act(name: str, payload: Any) -> dict[str, Any]:
    """Carry out an action of the list; returns the updated papers, or one sentence on what went wrong.

    The list runs in the browser, so neither the action nor the ids are trusted.
    """
    payload = payload if isinstance(payload, dict) else {}
    paper_id, tag, said = str(payload.get("id", "")), str(payload.get("tag", "")), None
    ids = [str(one) for one in payload["ids"]] if isinstance(payload.get("ids"), list) else []
    try:
        match name:
            case "open_paper":
                await panel.show(paper_id)
            case "delete_paper":
                said = await cl.make_async(_delete)(paper_id)
            case "tag_papers":
                await cl.make_async(core.library().tag)(ids, tag)
            case "untag_paper":
                await cl.make_async(core.library().untag)([paper_id], tag)
            case "choose_papers":
                said = scope.choose(ids)
                await composer.show_pickers()
        await composer.refresh_pickers()
    except UserFacingError as error:
        return {"error": str(error), "papers": listed()}
    except Exception as error:  # noqa: BLE001 - the list shows it
        return {"error": sentence(error), "papers": listed()}
    return {"papers": listed()} | ({"said": said} if said else {})


def _delete(paper_id: str) -> str | None:
    """Delete a paper; returns a sentence on what remains."""
    library = core.library()
    if library.paper(paper_id).id != paper_id:  # the library accepts abbreviated ids; from a browser we do not
        return None
    library.remove(paper_id)
    return "Deleted. Answers in your chats still quote the paper; to remove every trace, delete those chats too."
