"""The API, asked by OpenAI's own client and by plain requests."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import httpx
import numpy as np
import openai
import pytest
from test_render import make_answer

from fake_embedder import HashEmbedder
from ingest.errors import UserFacingError
from pdfs import column, write_pdf
from rag.answer import Answered, Citation, Retrieved, TextDelta
from rag.errors import ModelUnreachableError
from ui.api.chat_routes import cut
from ui.api.keys import ApiKeys

BASE = "http://localhost:8000"
QUESTION = [{"role": "user", "content": "Is it so?"}]


@pytest.fixture
def keys(app) -> ApiKeys:
    made = ApiKeys(app.folder)
    yield made
    (app.folder / "api-keys.json").unlink(missing_ok=True)


@pytest.fixture
def secret(keys) -> str:
    return keys.make("a program", scopes=("add",))


@pytest.fixture
async def http(app):
    from chainlit.server import app as server

    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(server, raise_app_exceptions=False), base_url=BASE
    ) as made:
        yield made


@pytest.fixture
def client(http, secret) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{BASE}/v1", api_key=secret, http_client=http, max_retries=0)


@pytest.fixture
def answer(assistant):
    """An answer that cites a page, as the script of the assistant."""
    made = make_answer()
    first = made.passages[0]
    made = replace(made, citations=(Citation(marker=1, passage=first, page=2, quote="It is so.", verified=True),))
    assistant.script = [Retrieved(made.passages), TextDelta("It is so", 0), TextDelta(" [1].", 0), Answered(made)]
    return made


async def test_an_answer_has_links_annotations_usage_and_facts(client, assistant, answer) -> None:
    asked = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "First?"}]
    asked += [{"role": "assistant", "content": "Yes."}, *QUESTION]
    reply = await client.chat.completions.create(
        model="scholion-auto", messages=asked, temperature=0.3, max_completion_tokens=90
    )
    text = reply.choices[0].message.content
    assert reply.choices[0].finish_reason == "stop"
    (mark,) = reply.choices[0].message.annotations
    linked = text[mark.url_citation.start_index : mark.url_citation.end_index]
    assert linked == f"[[1]]({mark.url_citation.url})"
    assert mark.url_citation.url.startswith(f"{BASE}/page/0123456789abcdef/2?words=It+is+so.")
    assert "p. " in mark.url_citation.title
    assert reply.scholion["text"] == answer.text
    assert reply.scholion["citations"][0]["quote"] == "It is so."
    assert [one["support"] for one in reply.scholion["sentences"]] == [one.support for one in answer.sentences]
    used = answer.drafts[0].usage
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (used.input_tokens, used.output_tokens)
    assert assistant.asked[-1]["mode"] == "auto"
    assert assistant.asked[-1]["history"] == [("First?", "Yes.")]
    assert assistant.limits[-1] == (90, 0.3)
    assert assistant.asked_by[-1].consent is None, "an API never consents"


async def test_a_stream_holds_the_draft_until_it_is_checked(client, assistant, answer) -> None:
    stream = await client.chat.completions.create(
        model="scholion-draft", messages=QUESTION, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    whole = await client.chat.completions.create(model="scholion-draft", messages=QUESTION)
    assert text == whole.choices[0].message.content
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage.total_tokens == whole.usage.total_tokens
    last = next(chunk for chunk in reversed(chunks) if chunk.choices)
    assert last.scholion["text"] == answer.text


async def test_a_stream_has_annotations_only_if_they_are_asked_for(client, assistant, answer) -> None:
    """Open WebUI has an icon of each address sent to it from Google."""
    for own in ({}, {"annotations": True}):
        stream = await client.chat.completions.create(
            model="scholion-draft", messages=QUESTION, stream=True, extra_body={"scholion": own}
        )
        marked = [getattr(chunk.choices[0].delta, "annotations", None) async for chunk in stream if chunk.choices]
        events = [
            event
            async for event in await client.responses.create(
                model="scholion-draft", input="Is it so?", stream=True, extra_body={"scholion": own}
            )
        ]
        assert any(marked) == bool(own)
        assert any(event.type == "response.output_text.annotation.added" for event in events) == bool(own)
        parts = [event.item.content for event in events if event.type == "response.output_item.done"]
        assert [bool(part.annotations) for (part,) in parts] == [bool(own)]


async def test_the_address_of_a_link_is_no_part_of_the_length(client, assistant, answer) -> None:
    reply = await client.chat.completions.create(model="scholion-draft", messages=QUESTION, max_tokens=20)
    assert reply.choices[0].finish_reason == "stop"
    assert reply.choices[0].message.content.endswith(")."), "nothing is cut"
    draft = replace(answer.drafts[0], finish_reason="length")
    assistant.script = [Answered(replace(answer, drafts=(draft,)))]
    reply = await client.chat.completions.create(model="scholion-draft", messages=QUESTION)
    assert reply.choices[0].finish_reason == "length"


async def test_a_raw_stream_has_the_draft_as_it_is_written(client, assistant, answer) -> None:
    stream = await client.chat.completions.create(
        model="scholion-draft", messages=QUESTION, stream=True, extra_body={"scholion": {"raw_stream": True}}
    )
    pieces = [chunk.choices[0].delta.content async for chunk in stream]
    assert [piece for piece in pieces if piece] == ["It is so", " [1]."]


async def test_responses_are_answered_whole_and_as_events(client, assistant, answer) -> None:
    reply = await client.responses.create(model="scholion-draft", input="Is it so?")
    assert reply.status == "completed"
    (mark,) = reply.output[0].content[0].annotations
    assert mark.type == "url_citation"
    assert reply.output_text[mark.start_index : mark.end_index].startswith("[[1]](")
    async with client.responses.stream(model="scholion-draft", input=[{"role": "user", "content": "Is it so?"}]) as s:
        kinds = [event.type async for event in s]
        final = await s.get_final_response()
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"
    assert final.output_text == reply.output_text


async def test_models_are_the_modes_and_the_tags(client, http, keys, shelf_library, paper) -> None:
    shelf_library.tag([paper.id], "thesis")
    names = [model.id async for model in client.models.list()]
    assert names == ["scholion-draft", "scholion-auto", "scholion-refine", "scholion-draft:thesis"]
    assert (await client.models.retrieve("scholion-draft:thesis")).owned_by == "scholion"
    with pytest.raises(openai.NotFoundError, match="Use scholion-draft"):
        await client.models.retrieve("gpt-4o")


async def test_embeddings_are_those_of_the_library(client, assistant) -> None:
    assistant.embedder = HashEmbedder()
    reply = await client.embeddings.create(model="scholion-embedder", input=["soil", "seeds"])
    found = np.array([row.embedding for row in reply.data], dtype=np.float32)
    assert np.allclose(found, HashEmbedder().embed_documents(["soil", "seeds"]), atol=1e-6)
    plain = await client.embeddings.create(model="scholion-embedder", input="soil", encoding_format="float")
    assert plain.data[0].embedding == pytest.approx(found[0].tolist())


@pytest.mark.parametrize(
    ("change", "status", "word"),
    [
        ({"messages": []}, 400, "messages"),
        ({"messages": QUESTION * 501}, 400, "500"),
        ({"messages": [{"role": "assistant", "content": "Yes."}]}, 400, "last message"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}, 400, "text"),
        ({"messages": [{"role": "king", "content": "x"}]}, 400, "role"),
        ({"model": "gpt-4o"}, 404, "scholion-draft"),
        ({"model": "scholion-draft:unknown"}, 404, "tag"),
        ({"n": 3}, 400, "n"),
        ({"temperature": 9}, 400, "temperature"),
        ({"max_tokens": 0}, 400, "max_tokens"),
    ],
    ids=range(10),
)
async def test_what_cannot_be_asked_is_told_in_openais_form(client, answer, change, status, word) -> None:
    body = {"model": "scholion-draft", "messages": QUESTION} | change
    with pytest.raises(openai.APIStatusError) as caught:
        await client.post("/chat/completions", body=body, cast_to=object)
    assert caught.value.status_code == status
    assert set(caught.value.body) == {"message", "type", "param", "code"}
    assert word in caught.value.body["message"]
    assert len(caught.value.body["message"]) < 400


@pytest.mark.parametrize("stream", [False, True])
async def test_a_model_that_fails_is_told_with_its_sentence(client, assistant, stream) -> None:
    assistant.script = [ModelUnreachableError("The model is gone.", "Start it again.")]

    async def read_to_its_end() -> None:
        reply = await client.chat.completions.create(model="scholion-draft", messages=QUESTION, stream=stream)
        [_ async for _ in reply]

    with pytest.raises(openai.APIError, match="Start it again"):
        await read_to_its_end()


async def test_a_fault_of_ours_has_a_number_and_says_nothing_of_itself(client, assistant, caplog) -> None:
    assistant.script = [RuntimeError("/home/ann/secret")]
    with pytest.raises(openai.InternalServerError) as caught:
        await client.chat.completions.create(model="scholion-draft", messages=QUESTION)
    assert "ann" not in str(caught.value)
    assert "Error" in caplog.text


async def test_a_fault_of_ours_says_nothing_of_itself_over_mcp_either(http, secret, monkeypatch, caplog) -> None:
    def broken() -> None:
        raise RuntimeError("/home/ann/secret")

    monkeypatch.setattr("ui.core.library", broken)
    headers = {"authorization": f"Bearer {secret}", "accept": "application/json, text/event-stream"}
    for method, params in (
        ("tools/call", {"name": "list_papers", "arguments": {}}),
        ("resources/read", {"uri": "scholion://papers"}),
    ):
        call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        reply = await http.post("/v1/mcp", json=call, headers=headers)
        assert "ann" not in reply.text
        assert "under number" in reply.text
    assert "in the API" in caplog.text


async def test_only_a_key_opens_it_and_none_switches_it_off(http, keys, answer) -> None:
    paths = [
        ("GET", "/v1/models"),
        ("GET", "/v1/papers"),
        ("GET", "/v1/openapi.json"),
        ("POST", "/v1/chat/completions"),
    ]
    for method, path in paths:
        assert (await http.request(method, path)).status_code == 404, path
    secret = keys.make("one")
    for headers in (
        {},
        {"authorization": "Bearer no"},
        {"authorization": f"Basic {secret}"},
        {"authorization": "Bearer "},
    ):
        for method, path in paths:
            reply = await http.request(method, path, headers=headers, json={})
            assert reply.status_code == 401, path
            assert reply.json()["error"]["code"] == "invalid_api_key"
    good = {"authorization": f"Bearer {secret}"}
    assert (await http.get("/v1/models", headers=good)).status_code == 200
    assert (await http.get("/v1/models", headers=good | {"origin": "http://evil.example"})).status_code == 403
    assert (await http.get("/v1/models", headers=good | {"host": "evil.example"})).status_code == 403
    keys.remove("one")
    assert (await http.get("/v1/models", headers=good)).status_code == 404


async def test_a_key_does_what_its_scope_says_and_reaches_what_its_tag_says(  # noqa: PLR0917 - fixtures
    http, keys, assistant, answer, shelf_library, paper
) -> None:
    reader = {"authorization": f"Bearer {keys.make('reader')}"}
    fenced = {"authorization": f"Bearer {keys.make('fenced', tag='thesis', scopes=('add',))}"}
    assert (await http.delete(f"/v1/papers/{paper.id}", headers=reader)).status_code == 403
    assert (await http.get("/v1/papers", headers=reader)).json()["papers"][0]["id"] == paper.id
    assert (await http.get("/v1/papers", headers=fenced)).json() == {"papers": []}
    shelf_library.tag([paper.id], "Essay")
    essays = {"authorization": f"Bearer {keys.make('essays', tag='essay')}"}
    assert len((await http.get("/v1/papers", headers=essays)).json()["papers"]) == 1
    assert (await http.get(f"/v1/papers/{paper.id}", headers=essays)).status_code == 200
    for path in (f"/v1/papers/{paper.id}", f"/v1/papers/{paper.id}/pages/1"):
        assert (await http.get(path, headers=reader)).status_code == 200
        assert (await http.get(path, headers=fenced)).status_code == 404
    assert (await http.delete(f"/v1/papers/{paper.id}", headers=fenced)).status_code == 404
    assert paper.id not in (await http.get("/v1/papers.bib", headers=fenced)).text
    asked = {"model": "scholion-draft", "messages": QUESTION}
    await http.post("/v1/chat/completions", json=asked, headers=fenced)
    assert assistant.asked[-1]["tag"] == "thesis"
    shelf_library.tag([paper.id], "other")
    reply = await http.post("/v1/chat/completions", json=asked | {"model": "scholion-draft:other"}, headers=fenced)
    assert reply.status_code == 404
    await http.post("/v1/chat/completions", json=asked | {"scholion": {"tag": "other"}}, headers=fenced)
    assert assistant.asked[-1]["tag"] == "other"
    assert assistant.library.papers() == [], "what is asked has the key's tag too"


async def test_papers_come_in_are_found_and_go(http, secret, assistant, shelf_library, tmp_path) -> None:
    assistant.embedder = HashEmbedder()
    key = {"authorization": f"Bearer {secret}"}
    lines = [f"Sentence {n} tells how jars were opened and closed." for n in range(20)]
    pdf = write_pdf(tmp_path / "jars.pdf", column(72, 720, lines), title="Jars of Peat")
    files = {"file": ("../../jars.pdf", pdf.read_bytes(), "application/pdf")}
    added = (await http.post("/v1/papers", files=files, headers=key)).json()
    assert (added["status"], added["title"]) == ("added", "jars")
    assert "jars.pdf" in added["file_name"]
    text = (await http.get(f"/v1/papers/{added['id']}/pages/1", headers=key)).json()["text"]
    assert "Sentence 3 tells" in text
    assert "title = {jars}" in (await http.get("/v1/papers.bib", headers=key)).text
    bad = await http.post("/v1/papers", files={"file": ("a.pdf", b"<html>", "application/pdf")}, headers=key)
    assert bad.status_code == 422
    assert "not a PDF" in bad.json()["error"]["message"]
    assert (await http.delete(f"/v1/papers/{added['id']}", headers=key)).json()["removed"] is True
    assert (await http.get("/v1/papers", headers=key)).json() == {"papers": []}


async def test_ask_gives_the_chats_answer_with_its_facts(http, secret, answer) -> None:
    reply = await http.post("/v1/ask", json={"question": "Is it so?"}, headers={"authorization": f"Bearer {secret}"})
    assert reply.json()["text"] == answer.text
    assert reply.json()["markdown"].startswith("It is so [[1]](")


async def test_a_key_is_paced(http, keys, monkeypatch) -> None:
    monkeypatch.setattr("ui.api.access.PER_MINUTE", 3)
    monkeypatch.setattr("ui.api.access.time.monotonic", lambda: 600.0)
    key = {"authorization": f"Bearer {keys.make('fast')}"}
    other = {"authorization": f"Bearer {keys.make('slow')}"}
    seen = [(await http.get("/v1/papers", headers=key)).status_code for _ in range(5)]
    assert seen == [200, 200, 200, 429, 429]
    assert (await http.get("/v1/papers", headers=other)).status_code == 200


async def test_a_client_that_leaves_stops_the_answer(app, secret, assistant) -> None:
    from chainlit.server import app as server

    assistant.script = [Retrieved(make_answer().passages), 30.0, TextDelta("too late", 0)]
    body = json.dumps({"model": "scholion-draft", "messages": QUESTION}).encode()
    for stream in (False, True):
        gone, closed = asyncio.Event(), assistant.closed
        sent = [
            {"type": "http.request", "body": body.replace(b"}]}", b'}], "stream": %s}' % json.dumps(stream).encode())}
        ]

        async def receive(sent=sent, gone=gone):
            if sent:
                return sent.pop()
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message) -> None:
            pass

        headers = [(b"host", b"localhost:8000"), (b"authorization", f"Bearer {secret}".encode())]
        scope = {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": "POST",
            "path": "/v1/chat/completions", "raw_path": b"/v1/chat/completions", "root_path": "", "query_string": b"",
            "scheme": "http", "server": ("localhost", 8000), "client": ("127.0.0.1", 5), "extensions": {},
            "headers": [*headers, (b"content-type", b"application/json")],
        }  # fmt: skip
        task = asyncio.create_task(server(scope, receive, send))
        await asyncio.sleep(0.5)
        assert assistant.closed == closed
        gone.set()
        await asyncio.wait_for(task, 5)
        assert assistant.closed == closed + 1


def test_keys_are_shown_once_and_kept_as_hashes_for_the_owner_alone(tmp_path) -> None:
    keys = ApiKeys(tmp_path)
    secret = keys.make("Open WebUI", tag="thesis")
    kept = tmp_path / "api-keys.json"
    assert secret not in kept.read_text()
    assert kept.stat().st_mode & 0o077 == 0
    found = ApiKeys(tmp_path).find(secret)
    assert found is not None
    assert (found.name, found.scopes, found.tag) == ("Open WebUI", ("ask",), "thesis")
    assert keys.find(secret + "x") is None
    with pytest.raises(UserFacingError, match="already"):
        keys.make("Open WebUI")
    for name in ("", "x" * 61, "a\x07b"):
        with pytest.raises(UserFacingError, match="name"):
            keys.make(name)
    kept.write_text("{")
    with pytest.raises(UserFacingError, match="cannot be read"):
        keys.find(secret)


@pytest.mark.parametrize(
    ("stop", "most", "text", "why"),
    [
        (None, None, "one two three", "stop"),
        ("two", None, "one ", "stop"),
        (["", "three", "two"], None, "one ", "stop"),
        (None, 2, "one two", "length"),
        (None, 50, "one two three", "stop"),
    ],
)
def test_a_text_ends_where_the_client_wants_it(stop, most, text, why) -> None:
    assert cut("one two three", stop=stop, most=most) == (text, why)
