"""The Library page and its requests: the list, corrections, tags, privacy, removal with undo, uploads, samples."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any, Literal, TypeVar

from chainlit.config import config
from fastapi import APIRouter, Depends, Form, HTTPException, Request, UploadFile
from fastapi.responses import HTMLResponse, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ingest import UserFacingError
from ingest.errors import UnknownPaperError
from ingest.identifiers import isbn13, typed_arxiv_id, typed_doi
from ingest.names import given_first
from rag.privacy.audit import AuditLog
from rag.privacy.policy import load_policy, save_policy
from rag.texts import _, said
from ui import core, samples, scope
from ui.people import routes as people_routes
from ui.people import rules
from ui.people.view import View
from ui.web import adding, pages, paper_list
from ui.web.in_sentences import NOT_UNDERSTOOD, InSentences
from ui.web.removals import UNDO_SECONDS

_BODY = """
<header class="row top">
<h1>Library</h1><span id="count" class="faint" role="status"></span>
<span class="row adds">
<button type="button" id="add-files" class="main">Add PDFs</button>
<button type="button" id="add-folder">Add a folder</button>
<a class="button tab" href="/library" target="_blank" rel="noopener" title="Open the Library in a new tab">New tab</a>
</span>
<input type="file" id="files" accept="application/pdf,.pdf,.bib,.json" multiple hidden>
<input type="file" id="folder" webkitdirectory hidden>
</header>
<p id="scope" class="faint" hidden></p>
<p id="error" class="bad" role="alert" hidden></p>
<section id="job" class="card" aria-label="Files being added" hidden></section>
<div class="row find">
<input type="search" id="filter" placeholder="Filter: title, author, year, file, tag:name" aria-label="Filter papers">
<label class="row sort"><span class="faint">Sort</span><select id="sort">
<option value="added">newest first</option><option value="title">title</option>
<option value="authors">author</option><option value="year">year</option>
</select></label>
</div>
<form id="ticked" class="row" aria-label="Ticked papers" hidden></form>
<ul id="papers" aria-label="Papers"></ul>
<section id="unread"></section>
<p id="samples" class="row"></p>
<p class="faint keys alone">Keys: <kbd>/</kbd> filter, <kbd>↑</kbd> <kbd>↓</kbd> move, <kbd>Space</kbd> tick,
<kbd>Enter</kbd> open, <kbd>E</kbd> edit, <kbd>Del</kbd> remove.</p>
<div id="undo" role="status" hidden></div>
<div id="drop" hidden>Drop PDFs or folders to add them</div>
"""

T = TypeVar("T", bound=BaseModel)


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Ids(_Body):
    ids: list[str] = Field(min_length=1, max_length=100_000)


class _Tag(_Ids):
    tag: str
    take: bool = False


class _LocalOnly(_Ids):
    on: bool


class _Facts(_Body):
    title: str = Field(max_length=2000)
    authors: str = Field(max_length=20_000)
    year: int | None = None
    doi: str = Field(default="", max_length=500)
    arxiv_id: str = Field(default="", max_length=100)
    isbn: str = Field(default="", max_length=40)
    retracted: bool = False


class _Description(_Body):
    id: str
    facts: _Facts


class _Key(_Body):
    key: str


class _Keys(_Body):
    keys: list[str] = Field(max_length=1000)


class _Choice(_Body):
    ids: list[str] = []
    tag: str = ""


class _Announced(_Body):
    files: list[tuple[str, int]]
    passed_over: int = 0


class _Samples(_Body):
    do: Literal["add", "remove"]


class _Unread(_Body):
    do: Literal["retry", "forget"]


def _json(model: type[T]) -> Any:
    """A dependency: the request's body as this model; 400 with a sentence for any other."""

    async def read(request: Request) -> T:
        try:
            return model.model_validate_json(await request.body())
        except (ValidationError, ValueError) as error:
            raise HTTPException(400, NOT_UNDERSTOOD) from error

    return Depends(read)


def router() -> APIRouter:
    """The routes; who includes them sees to it that only the user gets in."""
    made = APIRouter(route_class=InSentences)
    made.add_api_route("/library", _page, methods=["GET"])
    made.add_api_route("/library/papers", papers, methods=["GET"])
    made.add_api_route("/library/add", _job, methods=["GET"])
    for name, route in (
        ("describe", _describe),
        ("tag", _tag),
        ("local-only", _local_only),
        ("share", _share),
        ("remove", _remove),
        ("undo", _undo),
        ("leave", _leave),
        ("choose", _choose),
        ("again", _again),
        ("samples", _samples),
        ("unread", _unread),
        ("add", _announce),
        ("add/close", _close),
        ("add/cancel", _cancel),
        ("file/{job}/{number}", _file),
        ("companion/{job}", _companion),
    ):
        made.add_api_route(f"/library/{name}", route, methods=["POST"])
    return made


async def end() -> None:
    """Before the process ends: stop adding files, and keep the papers that wait to be removed."""
    await asyncio.gather(asyncio.to_thread(core.forget_removals), asyncio.to_thread(adding.stop_all))


def _page() -> HTMLResponse:
    return HTMLResponse(pages.frame("Library", _BODY, script="library.js", styles=("library.css",)))


# ---- the list -------------------------------------------------------------------------------------------------------


def papers(q: str = "", sort: str = "added", down: bool = True) -> Response:  # noqa: FBT001, FBT002 a query
    """The papers that match, in order; with what the page shows beside them."""
    library, error = core.library(), ""
    try:
        local_only = load_policy(library.folder, AuditLog(library.folder)).local_only
    except UserFacingError as broken:
        local_only, error = None, said(str(broken))
    if local_only and isinstance(library, View):
        local_only = library.told_local(local_only)
    everything = paper_list.rows(
        library.overview(), local_only=local_only, samples=samples.ids(), hidden=core.removals().waiting()
    )
    shown = paper_list.in_order(
        paper_list.filtered(everything, q), sort if sort in paper_list.SORTS else "added", down=down
    )
    tags = sorted({tag for row in everything for tag in row.tags}, key=str.casefold)
    unread = [
        {"file": entry.file, "state": entry.state, "said": said(entry.reason or "")}
        for entry in library.ledger.entries("queued", "parsing", "embedding", "failed")
    ]
    n_samples = sum(row.sample for row in everything)
    told: dict[str, Any] = {}
    if isinstance(library, View):
        told = {"whose": {row.id: library.state_of(row.id) for row in shown}, "manages": rules.may_manage()}
    reply = told | {
        "papers": [paper_list.as_json(row) for row in shown],
        "total": len(everything),
        "tags": tags,
        "unread": unread,
        "samples": {
            "there": sum(row.sample and rules.may("remove", row.id) for row in everything),
            "missing": len(samples.ids()) - n_samples,
        },
        "error": error,
    }
    return Response(json.dumps(reply, ensure_ascii=False), media_type="application/json")


def _exact(ids: list[str], action: str = "read") -> list[str]:
    """These ids, if each is a paper's, and who asks may do this with it; the beginning of an id is not enough.

    Raises:
        UnknownPaperError: one is not.
        NotYoursError: somebody else shares one, and it is theirs to change.
    """
    wanted = list(dict.fromkeys(ids))
    there = {paper.id for paper in core.library().papers(wanted)} - core.removals().waiting()
    if not there.issuperset(wanted):
        raise UnknownPaperError("This paper is no longer in your library.", "Reload the list.")
    rules.check_papers(action, wanted)
    return wanted


# ---- changes --------------------------------------------------------------------------------------------------------


def _describe(body: Annotated[_Description, _json(_Description)]) -> dict[str, Any]:
    (paper_id,) = _exact([body.id], "change")
    told = body.facts
    title = " ".join(told.title.split())
    if not title:
        raise UserFacingError("The title is empty.", "Write the paper's title.")
    if told.year is not None and not 1000 <= told.year <= 9999:
        raise UserFacingError("The year must have four digits.", "Write it like 2024, or leave it empty.")
    isbn = told.isbn.strip()
    if isbn and isbn13(isbn) is None:
        raise UserFacingError("This is not an ISBN: the check digit is wrong.", "Compare it with the book.")
    before = core.library().paper(paper_id)
    facts: dict[str, Any] = {
        "title": title,
        "year": told.year,
        "doi": _doi(told.doi),
        "arxiv_id": _arxiv_id(told.arxiv_id),
        "isbn": isbn13(isbn) if isbn else None,
        "retracted": told.retracted,
    }
    names = [given_first(" ".join(name.split())) for name in told.authors.split(";") if name.strip(" ,")]
    if tuple(name for name, _ in names) != before.authors:  # else the family names that are known would be lost
        facts |= {"authors": tuple(name for name, _ in names), "families": tuple(family for _, family in names)}
    changed = {name: value for name, value in facts.items() if value != getattr(before, name)}
    if changed:
        core.library().describe(paper_id, **changed)
    return {"said": _("Saved.") if changed else _("Nothing was changed.")}


def _doi(text: str) -> str | None:
    """The DOI without the address before it.

    Raises:
        UserFacingError: it is none.
    """
    doi = typed_doi(text)
    if doi is None and text.strip():
        raise UserFacingError("This is not a DOI.", "A DOI looks like 10.1000/xyz123.")
    return doi


def _arxiv_id(text: str) -> str | None:
    """The arXiv id without its version.

    Raises:
        UserFacingError: it is none.
    """
    arxiv_id = typed_arxiv_id(text)
    if arxiv_id is None and text.strip():
        raise UserFacingError("This is not an arXiv id.", "An arXiv id looks like 1706.03762 or hep-th/9901001.")
    return arxiv_id


def _tag(body: Annotated[_Tag, _json(_Tag)]) -> dict[str, Any]:
    change = core.library().untag if body.take else core.library().tag
    return {"tag": change(_exact(body.ids, "change"), body.tag)}


def _local_only(body: Annotated[_LocalOnly, _json(_LocalOnly)]) -> dict[str, Any]:
    ids, library = _exact(body.ids, "change"), core.library()
    log, folder = AuditLog(library.folder), library.folder
    if isinstance(library, View):
        ids = library.note_local(ids, on=body.on)
    save_policy(load_policy(folder, log).with_papers(ids, local_only=body.on), folder, log)
    return {"said": _("Saved.")}


def _share(body: Annotated[_LocalOnly, _json(_LocalOnly)]) -> dict[str, Any]:
    return {"said": people_routes.share(_exact(body.ids, "share"), on=body.on)}


def _remove(body: Annotated[_Ids, _json(_Ids)]) -> dict[str, Any]:
    ids = _exact(body.ids, "remove")
    return {"key": core.removals().put_off(ids), "papers": len(ids), "seconds": UNDO_SECONDS}


def _undo(body: Annotated[_Key, _json(_Key)]) -> dict[str, Any]:
    if not (papers := core.removals().undo(body.key)):
        raise UserFacingError("It is too late to undo this.", "Add the files again.")
    return {"papers": papers}


def _leave(body: Annotated[_Keys, _json(_Keys)]) -> dict[str, Any]:
    """The page is left: what it removed is removed now. What other pages removed can still be undone there."""
    for key in body.keys:
        core.removals().carry_out(key)
    return {}


def _choose(body: Annotated[_Choice, _json(_Choice)]) -> dict[str, Any]:
    scope.for_next_chat({"tag": body.tag} if body.tag else {"ids": _exact(body.ids)})
    return {}


# ---- adding ---------------------------------------------------------------------------------------------------------


def _job() -> dict[str, Any]:
    job = adding.adding().job
    return {"job": job.as_json() if job else None}


def _announce(body: Annotated[_Announced, _json(_Announced)]) -> dict[str, Any]:
    most = config.features.spontaneous_file_upload.max_size_mb
    job = adding.adding().start(body.files, passed_over=body.passed_over, upload_mb=most)
    return {"job": job.as_json()}


def _file(job: str, number: int, file: UploadFile) -> dict[str, Any]:
    adding.receive(adding.adding().running(job), number, file)
    return {}


def _companion(job: str, name: Annotated[str, Form()], file: UploadFile) -> dict[str, Any]:
    adding.receive_companion(adding.adding().running(job), name, file)
    return {}


def _close(body: Annotated[_Key, _json(_Key)]) -> dict[str, Any]:
    adding.close(adding.adding().running(body.key))
    return {}


def _cancel(body: Annotated[_Key, _json(_Key)]) -> dict[str, Any]:
    adding.adding().cancel(body.key)
    return {}


def _again(body: Annotated[_Ids, _json(_Ids)]) -> dict[str, Any]:
    library = core.library()
    own = [(library.pdf_path(paper.id), paper.file_name) for paper in library.papers(_exact(body.ids, "change"))]
    return {"job": adding.adding().start_here(own, again=True).as_json()}


def _samples(body: Annotated[_Samples, _json(_Samples)]) -> dict[str, Any]:
    there = {paper.id for paper in core.library().papers(samples.ids())} - core.removals().waiting()
    if body.do == "remove":
        there = {paper_id for paper_id in there if rules.may("remove", paper_id)}
        return _remove(_Ids(ids=sorted(there))) if there else {"papers": 0}
    core.removals().keep(samples.ids())
    return {"job": adding.adding().start_here([(path, path.name) for path in samples.paths()]).as_json()}


def _unread(body: Annotated[_Unread, _json(_Unread)]) -> dict[str, Any]:
    """Try the files again that could not be read, or delete the library's copies of them."""
    library = core.library()
    failed = library.ledger.entries("failed")
    if body.do == "forget":
        for entry in failed:
            library.discard(entry.paper_id)
        return {"files": len(failed)}
    kept = [(library.quarantine_path(entry.paper_id), entry.file) for entry in failed]
    return {"job": adding.adding().start_here([(path, name) for path, name in kept if path.is_file()]).as_json()}
