"""Attached PDFs: checked by content, added to the library with visible progress; can be stopped."""

from __future__ import annotations

import asyncio
import errno
import shutil
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import chainlit as cl

from ingest import IngestReport, ingest_pdf, save_attached
from ingest.errors import UnknownPaperError
from ingest.folder import temporary
from rag.inert import inert
from rag.texts import N_, _, counted, ngettext, number, said
from ui import core
from ui.errors import sentence
from ui.people import who

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ingest import Paper, Progress

UPDATE_SECONDS = 0.2
BAR_CHARS = 20
STEPS = {"reading": N_("Reading"), "embedding": N_("Indexing"), "storing": N_("Storing")}

_one_at_a_time = asyncio.Lock()


async def add(elements: Iterable[Any], *, added: Callable[[Paper], None] = lambda _: None) -> list[Paper]:
    """Add the attached files to the library, one message each; returns the papers that are in it now.

    They are kept until then: Chainlit deletes the files of a page that is closed, or whose user opens another chat.

    Args:
        elements: of the message.
        added: is told each paper as soon as it is there; what comes after it may be stopped.
    """
    files = [(Path(element.path), str(element.name)) for element in elements if element.path]
    if not files:
        return []
    with temporary(core.library().folder) as folder:
        kept = await asyncio.to_thread(_kept, files, folder)
        papers = []
        for path, name in kept:
            if paper := await _add_one(path, name):
                added(paper)
                papers.append(paper)
    return papers


def _kept(files: Iterable[tuple[Path, str]], folder: Path) -> list[tuple[Path, str]]:
    """The files as links or copies in the folder, each with its name; what cannot be read is missing there.

    Raises:
        OSError: the disk is full.
    """
    kept = []
    for n, (path, name) in enumerate(files):
        place = folder / f"{n}{path.suffix}"
        try:
            place.hardlink_to(path)
        except OSError:  # the disk has no links
            _copy(path, place)
        kept.append((place, name))
    return kept


def _copy(path: Path, place: Path) -> None:
    try:
        shutil.copyfile(path, place)
    except OSError as error:
        place.unlink(missing_ok=True)  # a part of a PDF may pass for a PDF
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise


async def offer(papers: list[Paper]) -> None:
    """Offer a first question about papers uploaded without one."""
    text = ngettext(
        "Ask about it below. Questions search your whole library.",
        "Ask about them below. Questions search your whole library.",
        len(papers),
    )
    action = cl.Action(
        name="ask_about",
        label=ngettext("What is it about?", "What are they about?", len(papers)),
        icon="message-circle-question",
        payload={"paper_ids": [paper.id for paper in papers]},
    )
    await cl.Message(text, actions=[action]).send()


def first_question(papers: int) -> str:
    """What the button of `offer` asks, in the language of the models."""
    return "What is it about?" if papers == 1 else "What are they about?"


def is_pdf(path: Path) -> bool:
    """Whether the contents are a PDF; the type the browser claims is not trusted."""
    with path.open("rb") as file:
        return b"%PDF-" in file.read(1024)


async def _refused(path: Path) -> str | None:
    """Why the file is not even tried, with a place for its name; None if it is a PDF."""
    try:
        pdf = await asyncio.to_thread(is_pdf, path)
    except OSError:
        return _("**{file}** could not be read. Attach it again.")
    return None if pdf else _("**{file}** is not a PDF, and only PDFs can be added. Export it as a PDF and try again.")


async def _add_one(path: Path, name: str) -> Paper | None:
    if why := await _refused(path):
        await cl.Message(why.format(file=inert(name))).send()
        return None
    message = cl.Message(
        _("**{file}** is waiting for the files before it …").format(file=inert(name))
        if _one_at_a_time.locked()
        else _progress(name)
    )
    await message.send()
    async with _one_at_a_time:
        report = await _ingest(path, name=name, message=message)
    core.removals().keep([report.paper_id])
    message.content = _result(report)
    if report.attached:
        message.actions = [_attached_action(report)]
    await message.update()
    return core.library().paper(report.paper_id) if report.paper_id and report.status != "failed" else None


def _attached_action(report: IngestReport) -> cl.Action:
    """The button that adds what is attached to a portfolio, from the copy that the library keeps of it."""
    label = _("Add the {files}").format(files=counted(len(report.attached), "attached PDF"))
    return cl.Action(name="add_attached", label=label, icon="paperclip", payload={"file_id": report.paper_id})


async def add_attached(file_id: str) -> list[Paper]:
    """Bring the PDFs attached to a portfolio into the library, one message each; the papers that are there now."""
    library = core.library()
    if who.is_on() and library.ledger.get(file_id) is None:  # it is not theirs
        raise UnknownPaperError("This file is no longer in your library.", "Add it again.")
    portfolio, most = library.quarantine_path(file_id), library.settings.max_file_mb
    with temporary(library.folder) as folder:
        paths, refused = await asyncio.to_thread(save_attached, portfolio, folder, max_mb=most)
        for error in refused:
            await cl.Message(inert(sentence(error))).send()
        found = [await _add_one(path, path.name) for path in paths]
    return [paper for paper in found if paper is not None]


async def _ingest(path: Path, *, name: str, message: cl.Message) -> IngestReport:
    stop = threading.Event()
    latest: list[Progress] = []
    work = asyncio.create_task(
        asyncio.to_thread(_blocking, path, file_name=name, latest=latest, cancel=stop), name=f"ingest {name}"
    )
    try:
        while not (await asyncio.wait({work}, timeout=UPDATE_SECONDS))[0]:
            text = _progress(name, latest[-1] if latest else None)
            if text != message.content:
                message.content = text
                await cl.context.emitter.update_step(message.to_dict())  # shown but not stored, as it will change
        return work.result()
    except asyncio.CancelledError:
        stop.set()  # the thread checks it between batches
        await asyncio.wait({work}, timeout=30)
        report = None if not work.done() or work.exception() else work.result()
        added = report is not None and report.status != "failed"
        message.content = (
            _result(report) if added and report else _("**{file}** was not added *(stopped)*").format(file=inert(name))
        )
        await message.update()
        raise
    except Exception as error:  # noqa: BLE001 - shown in the message of the file that it belongs to
        return IngestReport(file=name, status="failed", seconds=0.0, error=sentence(error))


def _blocking(path: Path, *, file_name: str, latest: list[Progress], cancel: threading.Event) -> IngestReport:
    new = core.bring(path, file_name)
    try:
        report = ingest_pdf(
            path,
            library=core.library(),
            embedder=core.assistant().embedder,
            file_name=file_name,
            on_progress=latest.append,
            cancel=cancel,
        )
    finally:
        core.settle(path)
    return core.told(report, new=new)


def _progress(name: str, progress: Progress | None = None) -> str:
    if progress is None:
        return f"**{inert(name)}** · {_('Getting ready …')}"
    step = _(STEPS.get(progress.step, progress.step))
    if progress.total <= 1:
        return f"**{inert(name)}** · {step} …"
    filled = round(BAR_CHARS * progress.done / progress.total)
    bar = "█" * filled + "░" * (BAR_CHARS - filled)
    return f"**{inert(name)}** · {step}\n\n{bar}  {_('{n} of {total}').format(n=progress.done, total=progress.total)}"


def _result(report: IngestReport) -> str:
    title = f"**{inert(report.title or report.file)}**"
    match report.status:
        case "added":
            added = _("{title} is in your library: {pages}, {passages}, {seconds} s.").format(
                title=title,
                pages=counted(report.pages or 0, "page"),
                passages=counted(report.chunks or 0, "passage"),
                seconds=number(report.seconds, 1),
            )
            told = [*report.notes, *([report.like_sentence] if report.like_sentence else [])]
            return "\n\n".join([added, *(inert(said(one)) for one in told)])
        case "skipped":
            return _("{title} is already in your library.").format(title=title)
        case _:
            reason = report.error or ""
            why = said(reason)
            if why == reason and reason.startswith(f"{report.file} "):  # its name has been said
                why = f"It {reason.removeprefix(f'{report.file} ')}"
            return f"{_('**{file}** was not added.').format(file=inert(report.file))} {inert(why)}"
