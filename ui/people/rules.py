"""What each route, action and callback needs, and `authorize`, which decides for all of them.

`NEEDS` is the whole list; a test fails where a route or an action is missing in it, and what is missing is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from starlette.routing import compile_path

from ingest import UserFacingError
from ingest.errors import UnknownPaperError
from rag.texts import N_
from ui.people import who
from ui.people.store import NOT_YOURS, NotYoursError

if TYPE_CHECKING:
    import re
    from collections.abc import Iterable, Iterator

    from ui.people.store import Person

Role = Literal["nobody", "anyone", "here", "person", "admin"]
"""nobody: closed. anyone: before the login. here: a program of this machine. person: signed in. admin: one of those."""

Kind = Literal["paper", "chat", "step", "feedback", "element", "upload"]

GONE = N_("There is no such thing here.")
MANAGED = ("/settings", "/health", "/compare")
"""Pages for administrators."""
MANAGERS = N_("Only an administrator may do this.")


class NoSuchThingError(UserFacingError):
    """It is not there, or it is not this person's, who may not know of it."""

    status = 404


@dataclass(frozen=True, slots=True)
class At:
    """Where a request names the thing that it is about."""

    kind: Kind
    place: Literal["path", "query", "body"]
    name: str
    """In a body with dots: `feedback.forId`."""
    may_be_new: bool = False
    """Whether one that is stored nowhere is fine."""


@dataclass(frozen=True, slots=True)
class Need:
    """What a route or an action needs."""

    role: Role
    of: tuple[At, ...] = ()
    """The things that it is about, each of which must be the person's, or a paper that they see."""
    hold: bool | Literal["or admin"] = False
    """Of a paper: whether the person must have added it, or be an administrator if it is shared."""


@dataclass(frozen=True, slots=True)
class Thing:
    """What an action is about."""

    kind: Kind
    id: str
    owner: str | None = None
    """The id of the person whose it is; None if it is stored nowhere. Papers have none: see `People.sees`."""


_CLOSED, _ANYONE, _HERE, _PERSON, _ADMIN = (
    Need("nobody"),
    Need("anyone"),
    Need("here"),
    Need("person"),
    Need("admin"),
)


def _about(*of: At) -> Need:
    return Need("person", of)


_PAPER = _about(At("paper", "path", "paper_id"))
_CHAT_IN_PATH = _about(At("chat", "path", "thread_id"))
_CHAT_IN_BODY = _about(At("chat", "body", "threadId"))
_ELEMENT = _about(
    At("element", "body", "element.id", may_be_new=True), At("chat", "body", "element.threadId", may_be_new=True)
)
_CLOSED_PATHS = (
    *("/docs", "/docs/oauth2-redirect", "/redoc", "/openapi.json"),
    *("/mcp", "/project/share/{thread_id}", "/project/thread/share", "/v1/{path:path}"),
)

NEEDS: dict[str, Need] = {
    # before the login
    **dict.fromkeys(("HEAD /", "GET /", "GET /thread/{chat_id}"), _ANYONE),  # the page, with nothing in it yet
    **dict.fromkeys(
        ("GET /assets/{filename:path}", "GET /public/{filename:path}", "GET /copilot/{filename:path}"), _ANYONE
    ),
    **dict.fromkeys(("GET /favicon", "GET /logo", "GET /avatars/{avatar_id:str}", "GET /{full_path:path}"), _ANYONE),
    **dict.fromkeys(("GET /auth/config", "GET /project/translations", "POST /login", "POST /logout"), _ANYONE),
    **dict.fromkeys(("GET /auth/oauth/{provider_id}", "GET /auth/oauth/{provider_id}/callback"), _ANYONE),
    "POST /auth/oauth/azure-ad-hybrid/callback": _ANYONE,
    # not at all: a cookie that ended would give another; what else we do not use
    **dict.fromkeys(("POST /auth/jwt", "POST /auth/header"), _CLOSED),
    **{f"{how} {path}": _CLOSED for path in _CLOSED_PATHS for how in ("GET", "HEAD", "POST", "PUT", "DELETE")},
    # programs on this machine; the last also shows a key that only the library's folder has
    **dict.fromkeys(("GET /healthz", "GET /readyz", "GET /metrics", "POST /library"), _HERE),
    # chats
    "MOUNT /ws/socket.io": _PERSON,
    **dict.fromkeys(
        ("GET /user", "GET /project/settings", "POST /set-session-cookie", "POST /project/threads"), _PERSON
    ),
    **dict.fromkeys(("POST /project/file", "GET /project/file/{file_id}", "POST /project/action"), _PERSON),
    "GET /project/thread/{thread_id}": _CHAT_IN_PATH,
    "GET /project/thread/{thread_id}/element/{element_id}": _CHAT_IN_PATH,
    **dict.fromkeys(("PUT /project/thread", "DELETE /project/thread"), _CHAT_IN_BODY),
    **dict.fromkeys(("PUT /project/element", "DELETE /project/element"), _ELEMENT),
    "PUT /feedback": _about(
        At("step", "body", "feedback.forId"), At("feedback", "body", "feedback.id", may_be_new=True)
    ),
    "DELETE /feedback": _about(At("feedback", "body", "feedbackId")),
    "GET /uploads/{key:path}": _about(At("upload", "path", "key")),
    "GET /export/chat/{file}": _about(At("chat", "path", "file")),
    "GET /export/table/{chat_id}/{file}": _about(At("chat", "path", "chat_id")),
    **dict.fromkeys(("GET /insight", "GET /insight/figures.json", "GET /insight/figures.csv"), _PERSON),
    "GET /insight/chat.json": _about(At("chat", "query", "id")),
    # the lab
    **dict.fromkeys(("GET /lab/engine/{digest}/{name}", "GET /lab/licences.txt"), _ANYONE),  # the same for everybody
    **dict.fromkeys(("GET /lab", "GET /lab/state.json", "GET /lab/weights/{digest}", "GET /lab/offline.js"), _PERSON),
    **dict.fromkeys(("GET /lab/servers.json", "POST /lab/passages", "POST /lab/check"), _PERSON),
    "POST /lab/server": _ADMIN,
    # papers
    **dict.fromkeys(("GET /papers/{paper_id}.pdf", "GET /page/{paper_id}/{number}"), _PAPER),
    **{
        f"GET /viewer/{{paper_id}}/{name}": _PAPER
        for name in (
            "figures",
            "found/{number}",
            "marks/{number}",
            "notes",
            "search",
            "small/{number}",
            "text/{number}",
        )
    },
    **dict.fromkeys(("GET /library", "GET /library/papers", "GET /library/add", "POST /library/add"), _PERSON),
    **{
        f"POST /library/{name}": _PERSON
        for name in (
            *("add/cancel", "add/close", "again", "choose", "companion/{job}", "describe", "file/{job}/{number}"),
            *("leave", "local-only", "remove", "samples", "share", "tag", "undo", "unread"),
        )
    },
    # settings
    **dict.fromkeys(("GET /settings", "GET /settings/pulls", "GET /settings/servers", "GET /settings/state"), _ADMIN),
    **{
        f"POST /settings/{name}": _ADMIN
        for name in (*("choose", "offer/decline", "pull", "pull/stop", "server", "server/forget", "test", "value"),)
    },
    **dict.fromkeys(("GET /compare", "GET /compare/state.json", "POST /compare/ask", "POST /compare/vote"), _ADMIN),
    **dict.fromkeys(("GET /texts.json", "POST /settings/language"), _ANYONE),  # the words of the login page, too
    **dict.fromkeys(("GET /health", "GET /health/bundle.zip", "GET /health/report.json", "POST /health/reach"), _ADMIN),
    # what is done with papers, whichever route or action does it
    "paper read": _PERSON,
    "paper change": Need("person", hold="or admin"),
    "paper remove": Need("person", hold=True),
    "paper share": Need("person", hold=True),
    # Chainlit's callbacks and our actions
    **{
        f"chat {name}": _PERSON
        for name in ("on_chat_start", "on_chat_resume", "on_message", "on_window_message", "set_starters")
    },
    **dict.fromkeys(
        ("chat client_message", "chat edit_message"), _about(At("step", "body", "message.id", may_be_new=True))
    ),
    "chat on_chat_end": _ANYONE,  # it only ends a question that nobody can answer any more
    **{
        f"action {name}": _PERSON
        for name in (
            *("ask_about", "add_attached", "cited_bibtex", "copy_answer", "reference_style", "ask_again"),
            "refine_answer",
        )
    },
}
"""Everything that can be asked of the app, and what it needs."""


def authorize(person: Person | None, action: str, thing: Thing | None = None) -> None:
    """Return if the person may do this with the thing.

    Args:
        person: who asks; None if nobody is signed in.
        action: a key of `NEEDS`.
        thing: what it is about, if it is about one.

    Raises:
        NoSuchThingError: the action or the thing is not there for this person.
        UnknownPaperError: the same of a paper.
        SignedOutError: nobody is signed in.
        NotYoursError: the person knows of it, but may not do this.
    """
    need = NEEDS.get(action, _CLOSED)
    if need.role == "nobody":
        raise NoSuchThingError(GONE)
    if need.role in {"anyone", "here"}:
        return
    if person is None:
        raise who.SignedOutError("You are signed out.", "Reload the page and sign in.")
    if need.role == "admin" and not person.admin:
        raise NotYoursError(MANAGERS)
    if thing is None:
        return
    if thing.kind == "paper":
        _authorize_paper(person, need, thing.id)
    elif thing.owner != person.id and not (thing.owner is None and _may_be_new(need, thing.kind)):
        raise NoSuchThingError(GONE)


def _authorize_paper(person: Person, need: Need, paper: str) -> None:
    people = who.people()
    if not people.sees(person, paper):
        raise UnknownPaperError("This paper is not in your library.", "Reload the list.")
    mine = person.id in people.held(paper)
    if need.hold and not mine and not (need.hold == "or admin" and person.admin):
        raise NotYoursError(NOT_YOURS)


def _may_be_new(need: Need, kind: Kind) -> bool:
    return any(at.may_be_new for at in need.of if at.kind == kind)


def check_papers(action: str, papers: Iterable[str]) -> None:
    """Return if who asks may do this with all these papers; without accounts, always.

    Raises:
        UserFacingError: as `authorize`.
    """
    if who.is_on():
        person = who.current()
        for paper in papers:
            authorize(person, f"paper {action}", Thing("paper", paper))


def may(action: str, paper: str) -> bool:
    """Whether who asks may do this with the paper."""
    try:
        check_papers(action, [paper])
    except UserFacingError:
        return False
    return True


def may_manage() -> bool:
    """Whether who asks may change settings; without accounts, always."""
    if not who.is_on():
        return True
    person = who.asking()
    return person is not None and person.admin


def followed(links: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those of the links in the header that who asks may follow."""
    return links if may_manage() else [link for link in links if link["url"] not in MANAGED]


# ---- which of them is this request? ---------------------------------------------------------------------------------


def _compiled() -> Iterator[tuple[str, re.Pattern[str], str]]:
    for name in NEEDS:
        how, _, path = name.partition(" ")
        if path.startswith("/") and "{" in path:
            yield how, compile_path(path)[0], name


_PATTERNS = tuple(sorted(_compiled(), key=lambda one: "{full_path:path}" in one[2]))  # what matches all comes last


def action_of(method: str, path: str) -> tuple[str, dict[str, str]]:
    """The key of `NEEDS` for a request, and the parts of its path; one that is in no list if there is none."""
    if path.startswith("/ws/socket.io"):
        return "MOUNT /ws/socket.io", {}
    for how in (method, "GET") if method == "HEAD" else (method,):
        if (name := f"{how} {path}") in NEEDS:
            return name, {}
        for known, pattern, name in _PATTERNS:
            if known == how and (match := pattern.match(path)):
                return name, match.groupdict()
    return f"{method} {path}", {}
