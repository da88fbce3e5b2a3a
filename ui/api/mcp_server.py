"""The library for programs that speak MCP (Model Context Protocol): tools and resources over our own API, read-only.

The same tools serve two transports. In the app, `/v1/mcp` is streamable HTTP; a request brings a key as the API's do.
`python -m ui mcp` speaks over standard input and output, as programs start it, and asks the running app.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, Literal

import httpx
from fastapi.responses import JSONResponse
from mcp.server.fastmcp import FastMCP
from starlette.requests import Request

from ingest import IngestSettings, UserFacingError, open_library
from ui.api.access import key_for
from ui.api.errors import ApiError, told
from ui.api.keys import PATH

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

INSTRUCTIONS = (
    "The user's own library of research papers. Answers are checked: each sentence has a verdict, each citation a page "
    "and a verbatim quote. Say so where a sentence is unsupported, and keep the links to the pages."
)
_HERE = re.compile(r"http://127\.0\.0\.1:\d{1,5}")
SECONDS = 600.0
"""How long a tool waits for an answer."""


def mcp_server(http: httpx.AsyncClient) -> FastMCP:
    """The server; `http` reaches the API, with the key that decides what is reached."""
    made = FastMCP("Scholion", INSTRUCTIONS, stateless_http=True, json_response=True, log_level="WARNING")

    async def get(path: str, **query: Any) -> Any:
        reply = await http.get(f"{PATH}{path}", params={name: v for name, v in query.items() if v is not None})
        return _content(reply)

    @made.tool()
    async def search_papers(query: str, k: int = 8, tag: str | None = None) -> Any:
        """Find passages about a question in the user's papers; each has its paper, page, text and link."""
        return await get("/search", q=query, k=k, tag=tag)

    @made.tool()
    async def ask_papers(
        question: str,
        mode: Literal["draft", "auto", "refine"] = "draft",
        tag: str | None = None,
        papers: list[str] | None = None,
    ) -> Any:
        """Answer a question from the user's papers; sentences have verdicts, citations have pages and quotes."""
        asked = {"question": question, "mode": mode, "tag": tag, "papers": papers}
        return _content(await http.post(f"{PATH}/ask", json=asked))

    @made.tool()
    async def get_page(paper: str, page: int) -> Any:
        """The text of one page of a paper, by the paper's id; pages count from 1."""
        return await get(f"/papers/{_id(paper)}/pages/{page}")

    @made.tool()
    async def list_papers(tag: str | None = None) -> Any:
        """The papers of the library with ids, titles, authors, years and tags."""
        return await get("/papers", tag=tag)

    @made.tool()
    async def bibtex() -> str:
        """BibTeX of the papers of the library."""
        return str(await get("/papers.bib"))

    @made.resource("scholion://papers", mime_type="application/json")
    async def all_papers() -> Any:
        """The papers of the library."""
        return await get("/papers")

    @made.resource("scholion://papers/{paper}", mime_type="application/json")
    async def one_paper(paper: str) -> Any:
        """What is known about a paper."""
        return await get(f"/papers/{_id(paper)}")

    @made.resource("scholion://papers/{paper}/pages/{page}", mime_type="text/plain")
    async def one_page(paper: str, page: int) -> str:
        """The text of a page."""
        return str((await get(f"/papers/{_id(paper)}/pages/{page}"))["text"])

    return made


async def over_http(scope: Scope, receive: Receive, send: Send) -> None:
    """One request of a client, with the key in its header. Nothing is kept between requests."""
    request = Request(scope, receive)
    try:
        await key_for("ask")(request)
    except ApiError as error:
        await _refuse(error, scope, receive, send)
        return
    transport = httpx.ASGITransport(scope["app"], root_path=PATH, raise_app_exceptions=False)  # but answers with 500
    base = f"{request.url.scheme}://{request.url.netloc}"
    headers = {"authorization": request.headers["authorization"]}
    async with httpx.AsyncClient(transport=transport, base_url=base, headers=headers, timeout=SECONDS) as http:
        server = mcp_server(http)
        served: ASGIApp = server.streamable_http_app()
        async with server.session_manager.run():
            await served(scope, receive, send)


def over_stdio() -> int:
    """Serve a program that has started us, until it closes our input.

    Raises:
        UserFacingError: Scholion is not running, or there is no key.
    """
    key = os.environ.get("SCHOLION_API_KEY", "")
    if not key:
        raise UserFacingError(
            "There is no key in SCHOLION_API_KEY.",
            "Make one with `python -m ui api add NAME` and set it (docs/api.md).",
        )
    with open_library(IngestSettings()) as library:
        url = library.owner().get("url")
    if not (isinstance(url, str) and _HERE.fullmatch(url)):
        raise UserFacingError("Scholion is not running.", "Start it with `make chat`, then try again.")
    headers = {"authorization": f"Bearer {key}"}
    mcp_server(httpx.AsyncClient(base_url=url, headers=headers, timeout=SECONDS, trust_env=False)).run("stdio")
    return 0


def _content(reply: httpx.Response) -> Any:
    """What the API says; its refusal as an error with the same sentence."""
    is_json = reply.headers.get("content-type", "").startswith("application/json")
    if reply.is_success:
        return reply.json() if is_json else reply.text
    raise RuntimeError(reply.json()["error"]["message"] if is_json else f"Scholion refused this ({reply.status_code}).")


def _id(paper: str) -> str:
    if not paper.isalnum():
        raise RuntimeError("There is no such paper.")
    return paper


async def _refuse(error: ApiError, scope: Scope, receive: Receive, send: Send) -> None:
    status, content = told(error)
    await JSONResponse(content, status)(scope, receive, send)
