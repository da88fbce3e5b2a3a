"""The page /lab: apart from other pages, its files by their hashes, passages, the check, and models of the server."""

from __future__ import annotations

import lzma
from hashlib import sha256

import pytest
from fastapi.testclient import TestClient
from test_compare_page import AWAY
from test_server import ALLOWED

from fake_embedder import HashEmbedder
from fake_reader import WordReader
from fakes import ScriptedAssistant, ScriptedChatModel
from ingest import ingest_pdf
from pdfs import column, write_pdf
from rag.comparison.contenders import Asked, Contender
from rag.models.adapters import Adapters, shipped_adapter
from rag.models.local import embedded_drafter
from ui import core
from ui.comparing import rounds as comparing
from ui.lab import assets, passages, routes
from ui.people import rules


@pytest.fixture
def page(app, shelf_library):
    from chainlit.server import app as server

    client = TestClient(server, base_url=ALLOWED)
    assert client.post("/auth/header").status_code == 200
    client.folder = shelf_library.folder
    return client


def weights_of(page, model: int):
    return page.get("/lab/state.json").json()["models"][model]["files"]


@pytest.mark.parametrize("path", ["/lab", "/lab/state.json", "/lab/servers.json", "/lab/offline.js", "/lab/weights/x"])
def test_it_is_only_for_who_has_opened_the_page(app, path) -> None:
    from chainlit.server import app as server

    assert TestClient(server, base_url=ALLOWED).get(path).status_code == 401


def test_only_this_page_is_isolated_and_its_policy_is_strict(page) -> None:
    lab, other = page.get("/lab").headers, page.get("/compare").headers
    assert (lab["cross-origin-opener-policy"], lab["cross-origin-embedder-policy"]) == ("same-origin", "require-corp")
    assert "cross-origin-embedder-policy" not in other
    policy = dict(part.split(" ", 1) for part in lab["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self' 'wasm-unsafe-eval'"
    assert policy["connect-src"] == "'self'"
    assert "unsafe-inline" not in lab["content-security-policy"]
    assert "'wasm-unsafe-eval'" not in other["content-security-policy"]


def test_who_is_no_administrator_gets_neither_models_of_the_server_nor_a_link_to_them(page, monkeypatch) -> None:
    assert "/compare" in page.get("/lab").text
    monkeypatch.setattr(rules, "may_manage", lambda: False)
    assert "/compare" not in page.get("/lab").text
    assert page.get("/lab/servers.json").json() == {"models": []}


def test_the_engine_is_what_its_lock_says_and_is_kept_by_browsers(page) -> None:
    addresses = page.get("/lab/state.json").json()["engine"]
    for name, kind in assets.TYPES.items():
        reply = page.get(addresses[name])
        assert sha256(reply.content).hexdigest() == assets.lock()["files"][name]["sha256"]
        assert reply.headers["content-type"].startswith(kind)
        assert reply.headers["cache-control"].endswith("immutable")
        assert page.get(addresses[name].replace("/engine/", "/engine/0")).status_code == 404
    assert "wllama" in assets.lock()["package"]
    licences = page.get("/lab/licences.txt").text
    assert all(name in licences for name in ("ggml authors", "Emscripten authors", "Niels Lohmann"))
    assert "Redistributions in binary form must reproduce" in licences, "Dawn's"


def test_a_damaged_engine_is_not_served(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(assets, "ENGINE", tmp_path)
    (tmp_path / "wllama.js.xz").write_bytes(lzma.compress(b"alert(1)"))
    assets.engine_file.cache_clear()
    with pytest.raises(assets.DamagedFileError):
        assets.engine_file("wllama.js")
    assets.engine_file.cache_clear()


def test_the_weights_come_in_ranges_as_they_are(page) -> None:
    base, adapter = weights_of(page, 1)
    assert weights_of(page, 0) == [base]
    file = embedded_drafter()
    assert (base["name"], base["bytes"]) == (file.name, file.stat().st_size)
    assert adapter["bytes"] == shipped_adapter(file).stat().st_size
    part = page.get(base["url"], headers={"range": "bytes=8-23", "accept-encoding": "gzip"})
    with file.open("rb") as opened:
        opened.seek(8)
        assert (part.status_code, part.content) == (206, opened.read(16))
    whole = page.get(adapter["url"], headers={"accept-encoding": "gzip"})
    assert sha256(whole.content).hexdigest() == adapter["sha256"]
    assert whole.headers["content-length"] == str(adapter["bytes"])
    assert str(file.parent) not in page.get("/lab/state.json").text


@pytest.mark.parametrize("name", ["0" * 64, "..%5c..%5csecret", "drafter.gguf"])
def test_nothing_else_is_served_as_weights(page, name) -> None:
    assert page.get(f"/lab/weights/{name}").status_code == 404


def test_an_adapter_of_the_library_is_offered_once_it_is_on_where_there_are_no_accounts(page, monkeypatch) -> None:
    adapters = Adapters(page.folder)
    making = adapters.new("ours")
    (making / "adapter.gguf").write_bytes(b"GGUF ours")
    base = embedded_drafter()
    adapters.take(making, "ours", {"base": {"name": base.name, "bytes": base.stat().st_size}})
    adapters.switch_on("ours")
    _, ours = weights_of(page, 1)
    assert page.get(ours["url"]).content == b"GGUF ours"
    monkeypatch.setattr(assets.who, "is_on", lambda: True)
    assert [weights.path for weights in assets.weights(page.folder)] == [base], "it may know private papers"


def test_an_answer_is_checked_against_the_documents_as_in_the_chat(page) -> None:
    body = {"question": "How tall is it?", "documents": ["The tower is 324 metres tall.", "It has three levels."]}
    told = page.post("/lab/check", json={**body, "answer": "It is 324 metres tall. It is 500 metres tall."}).json()
    right, wrong = told["sentences"]
    assert (right["support"], right["markers"]) == ("supported", [1])
    assert wrong["support"] == "unsupported"
    assert wrong["reasons"]


def test_documents_come_from_the_library(page, shelf_library, tmp_path, monkeypatch) -> None:
    assistant = ScriptedAssistant()
    assistant.embedder = HashEmbedder()
    monkeypatch.setattr(core, "assistant", lambda: assistant)
    monkeypatch.setattr(passages, "trained_reader", WordReader)
    empty = page.post("/lab/passages", json={"question": "How long do seeds keep?"})
    assert (empty.status_code >= 400, "Your library is empty." in empty.json()["detail"]) == (True, True)
    lines = ["Seeds of the lotus keep for many centuries.", "Sand moves with the wind over the dunes."]
    pdf = write_pdf(tmp_path / "a.pdf", column(72, 720, ["On seeds", "", *lines]))
    paper = ingest_pdf(pdf, library=shelf_library, embedder=HashEmbedder()).paper_id
    asked = {"question": "How long do lotus seeds keep?"}
    first = page.post("/lab/passages", json=asked).json()["documents"][0]
    assert first["text"].endswith("Seeds of the lotus keep for many centuries.")
    assert first["paper"] == paper
    assert "p. 1" in first["cite"]
    (whole,) = page.post("/lab/passages", json={**asked, "whole": True}).json()["documents"]
    assert "Sand moves" in whole["text"]


@pytest.fixture
def models(page, monkeypatch):
    """The models that the server offers, scripted, by their settings."""
    made = {
        "embedded": ScriptedChatModel(*["It is tall."] * 3, name="small"),
        "embedded,adapter=yes": ScriptedChatModel(*["324 metres."] * 3, name="taught"),
    }

    async def opened(asked, kept, *, library):
        setting = asked.setting + (",adapter=yes" if asked.adapter else "")
        return Contender(asked=Asked(setting=setting, name=asked.name), model=made[setting])

    async def nobody():
        return ()

    monkeypatch.setattr(comparing, "opened", opened)
    monkeypatch.setattr(comparing, "discover", nobody)
    comparing.rounds.cache_clear()
    yield made
    comparing.rounds.cache_clear()


def test_models_of_the_server_get_the_prompt_as_it_stands(page, models) -> None:
    offered = [row["setting"] for row in page.get("/lab/servers.json").json()["models"]]
    assert offered == list(models)
    prompt = "The tower is 324 metres tall.\n\nHow tall is it?"
    told = page.post("/lab/server", json={"models": offered, "prompt": prompt, "tokens": 16}).json()
    assert [side["text"] for side in told["sides"]] == ["It is tall.", "324 metres."]
    assert all(model.seen == [[{"role": "user", "content": prompt}]] for model in models.values())
    unknown = page.post("/lab/server", json={"models": ["/etc/passwd"], "prompt": prompt})
    assert (unknown.status_code >= 400, models["embedded"].seen[1:]) == (True, [])


async def test_who_leaves_stops_the_model_that_answers_and_the_next_is_not_asked(page, models) -> None:
    first = models["embedded"] = ScriptedChatModel("It is tall.", delay=0.5)
    second = models["embedded,adapter=yes"]

    class Leaving:
        async def is_disconnected(self) -> bool:
            return bool(first.seen)

    asked = routes._ForServer(models=list(models), prompt="How tall is it?")
    assert await routes._server(asked, Leaving()) == {"sides": []}
    assert (first.left_early, len(first.seen), second.seen) == (1, 1, [])


def test_nothing_is_sent_elsewhere_before_the_user_agreed_to_exactly_that(page, models) -> None:
    models["embedded"] = ScriptedChatModel("It is tall.", destination=AWAY)
    asked = {"models": ["embedded"], "prompt": "How tall is the tower?"}
    (row,) = page.post("/lab/server", json=asked).json()["consent"]
    assert "How tall is the tower?" in row["text"]
    assert models["embedded"].seen == []
    other = {**asked, "prompt": "How old is the tower?", "agreed": [row["agree"]]}
    assert "consent" in page.post("/lab/server", json=other).json()
    assert (
        page.post("/lab/server", json={**asked, "agreed": [row["agree"]]}).json()["sides"][0]["text"] == "It is tall."
    )
