"""A key with a tag, over a real library and a real assistant: it is told nothing of the papers without its tag."""

from __future__ import annotations

import httpx
import pytest

from fake_embedder import HashEmbedder
from fakes import ScriptedChatModel
from ingest import Chunk
from ingest.annotation import Annotation
from ingest.paper import Page, Paper, ParsedPaper, Publication
from pdfs import column, write_pdf
from rag import Assistant, RagSettings
from ui.api.keys import ApiKeys

BASE = "http://localhost:8000"
SECRET = "zwitterion"
"""In each field of the paper without the tag."""
HIDDEN, SEEN = "feed" * 4, "beef" * 4
QUESTIONS = (
    "Which papers do I have?",
    "How many papers are in my library?",
    "Which papers are by Lovelace?",
    "Which papers did Ada Lovelace write in 2021?",
    "Who wrote “Secret therapy of marmots”?",
    "Who wrote the paper by Lovelace?",
    "What is the DOI of Lovelace 2021?",
    "What is the title of Lovelace 2021?",
    "What is the abstract of Lovelace 2021?",
    "What is the file name of Lovelace 2021?",
    "Give me BibTeX of Lovelace 2021",
    "Give me the BibTeX of all papers",
    "List the references of Lovelace 2021",
    "Which papers cite Babbage 1837?",
    "Which papers mention “marmots”?",
    "Where does Lovelace 2021 mention weighed?",
    "What did I highlight in Lovelace 2021?",
    "What did I highlight?",
    "Which paper is the newest?",
    "Which paper did I add last?",
    "Which papers are from 2021?",
    "What does ZWX mean?",
    "How were the marmots weighed, according to Lovelace 2021?",
    "Compare Lovelace 2021 and “On the quokka”.",
    "Summarise Lovelace 2021.",
    "What do my papers say on page 1?",
)


def add(library, name: str, text: str, *, embedder, **facts) -> None:
    made = Paper(id=name, n_pages=1, **facts)
    pdf = library.folder / f"{name}.pdf"
    pdf.write_bytes(b"%PDF-1.7")
    chunk = Chunk(
        id=f"{name}:0000", paper_id=name, ordinal=0, text=text, start=0, end=len(text), first_page=1, last_page=1,
        section="2 Results", n_tokens=30,
    )  # fmt: skip
    references = (f"C. Babbage. On the {SECRET if name == HIDDEN else 'quokka'} of engines. 1837.",)
    notes = (Annotation(page=1, kind="note", note=f"a {SECRET}"),) if name == HIDDEN else ()
    parsed = ParsedPaper(made, (Page(1, text),), references=references, annotations=notes)
    library.add(parsed, [chunk], embedder.embed_documents([text]), embedder=embedder.name, pdf=pdf)


@pytest.fixture
def model() -> ScriptedChatModel:
    return ScriptedChatModel(*["The quokka was weighed in the field [1]."] * 200)


@pytest.fixture
def reached(app, shelf_library, model, monkeypatch):
    """The library with a tagged and an untagged paper, and the assistant over all of it."""
    from ui import core

    embedder = HashEmbedder()
    add(
        shelf_library, HIDDEN,
        f"The marmots were weighed by the {SECRET}. We used a zero wave exchange (ZWX) {SECRET} for the marmots.",
        embedder=embedder, title=f"Secret therapy of marmots by {SECRET}",
        authors=("Ada Lovelace", f"Zoe {SECRET.title()}"), year=2021, doi=f"10.1000/{SECRET}",
        abstract=f"About the {SECRET}.", file_name=f"{SECRET}.pdf",
        publication=Publication(container=f"Journal of the {SECRET}"),
    )  # fmt: skip
    add(
        shelf_library, SEEN, "The quokka was weighed in the field. Then the quokka was measured.",
        embedder=embedder, title="On the quokka", authors=("Bob Martin",), year=2020, file_name="quokka.pdf",
    )  # fmt: skip
    shelf_library.tag([HIDDEN], f"{SECRET}-files")
    shelf_library.tag([SEEN], "Thesis")
    made = Assistant(library=shelf_library, embedder=embedder, drafter=model, settings=RagSettings(drafter_sentences=0))
    monkeypatch.setattr(core, "assistant", lambda: made)
    return shelf_library


@pytest.fixture
async def http(app):
    from chainlit.server import app as server

    transport = httpx.ASGITransport(server, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=BASE, timeout=60) as made:
        yield made
    (app.folder / "api-keys.json").unlink(missing_ok=True)


def header(app, *, tag: str | None = "thesis", scopes=("ask", "add")) -> dict[str, str]:
    return {"authorization": f"Bearer {ApiKeys(app.folder).make(f'of {tag}', tag=tag, scopes=scopes)}"}


async def replies(http, key: dict[str, str]):
    """What each route and tool answers, as (what was asked, its text)."""

    async def sent(method: str, path: str, about: object, **more):
        reply = await http.request(method, path, headers=key | more.pop("also", {}), **more)
        return f"{method} {path} {about}", f"{reply.status_code} {reply.text} {dict(reply.headers)}"

    for path in (
        "/models", "/papers", "/papers?tag=thesis", "/papers.bib", f"/papers/{HIDDEN}", f"/papers/{HIDDEN}/pages/1",
        f"/papers/{SEEN}", f"/papers/{SEEN}/pages/1", "/search?q=marmots+weighed", "/search?q=ZWX&k=50",
        "/openapi.json", "/models/scholion-draft:else",
    ):  # fmt: skip
        yield await sent("GET", f"/v1{path}", "")
    for question in QUESTIONS:
        yield await sent("POST", "/v1/ask", question, json={"question": question})
    for papers in ([HIDDEN], [HIDDEN[:6]], ["f0f0f0"], []):
        yield await sent("POST", "/v1/ask", papers, json={"question": "How was it weighed?", "papers": papers})
    for named in ("other", "THESIS"):
        yield await sent("POST", "/v1/ask", named, json={"question": "How was it weighed?", "tag": named})
    told = [["Who wrote it?", "“Secret therapy of marmots” (Ada Lovelace, 2021)"]]
    yield await sent("POST", "/v1/ask", "history", json={"question": "And its DOI?", "history": told})
    messages = [{"role": "user", "content": "Which papers are by Lovelace?"}]
    for stream in (False, True):
        asked = {"model": "scholion-auto", "stream": stream}
        yield await sent("POST", "/v1/chat/completions", stream, json=asked | {"messages": messages})
        yield await sent("POST", "/v1/responses", stream, json=asked | {"input": "What is the DOI of Lovelace 2021?"})
    called = {"also": {"accept": "application/json, text/event-stream"}}
    for tool, arguments in (
        ("ask_papers", {"question": "Which papers are by Lovelace?"}),
        ("ask_papers", {"question": "How was it weighed?", "papers": [HIDDEN]}),
        ("search_papers", {"query": "marmots"}),
        ("list_papers", {}),
        ("bibtex", {}),
        ("get_page", {"paper": HIDDEN, "page": 1}),
    ):
        body = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "tools/call",
            "params": {"name": tool, "arguments": arguments},
        }
        yield await sent("POST", "/v1/mcp", tool, json=body, **called)
    for uri in ("scholion://papers", f"scholion://papers/{HIDDEN}", f"scholion://papers/{HIDDEN}/pages/1"):
        body = {"jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": {"uri": uri}}
        yield await sent("POST", "/v1/mcp", uri, json=body, **called)
    yield await sent("DELETE", f"/v1/papers/{HIDDEN}", "")


async def test_a_key_with_a_tag_is_told_nothing_of_other_papers(app, http, reached, model) -> None:
    texts = []
    async for asked, text in replies(http, header(app)):
        assert SECRET not in text.casefold(), asked
        assert not text.startswith("5"), (asked, text)
        texts.append(text)
    assert SECRET not in str(model.seen).casefold(), "nor is a model"
    assert any("On the quokka" in text for text in texts)
    assert len(reached.papers()) == 2


@pytest.mark.parametrize("tag", ["nothing", SECRET, "", "  "])
async def test_a_key_whose_tag_no_paper_has_is_told_nothing(app, http, reached, model, tag) -> None:
    key = header(app, tag=tag)
    async for asked, text in replies(http, key):
        told = text.replace(f"'{tag}'", "").casefold()
        assert SECRET not in told, asked
        assert "bob martin" not in told, asked
    assert model.seen == []


async def test_a_key_without_a_tag_is_told_of_all(app, http, reached) -> None:
    key = header(app, tag=None)
    reply = await http.post("/v1/ask", json={"question": "Which papers are by Lovelace?"}, headers=key)
    assert SECRET in reply.text


async def test_a_key_with_a_tag_takes_over_no_paper_that_is_there(app, http, reached, tmp_path) -> None:
    key, own = header(app), header(app, tag=None)
    lines = [f"Sentence {n} tells how jars were opened and closed." for n in range(20)]
    pdf = write_pdf(tmp_path / "jars.pdf", column(72, 720, lines)).read_bytes()
    files = {"file": ("jars.pdf", pdf, "application/pdf")}
    added = (await http.post("/v1/papers", files=files, headers=own)).json()
    refused = await http.post("/v1/papers", files=files, headers=key)
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "not_reached")
    assert "Tag it in the Library" in refused.json()["error"]["message"]
    assert reached.tags_of(added["id"]) == []
    assert (await http.delete(f"/v1/papers/{added['id']}", headers=key)).status_code == 404
    reached.tag([added["id"]], "thesis")
    again = await http.post("/v1/papers", files=files, headers=key)
    assert again.json()["status"] == "skipped", "what the key reaches may be added again"
    assert (await http.delete(f"/v1/papers/{added['id']}", headers=key)).status_code == 200
