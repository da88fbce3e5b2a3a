"""The routes of the settings page, over a real library, a stub that poses as Ollama, and a hub on loopback."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import sys
from datetime import UTC, datetime
from functools import partial

import httpx
import pytest

import hub_server
from engine_stubs import serving
from rag.models import download as downloading
from rag.models.registry import FILE as REGISTRY
from tiny_models import onnx_folder
from waiting import soon
from writing_engine import MODEL, ollama

ALLOWED = "http://localhost:8000"
KEY = "sk-very-secret-0123"
CLOUD = "https://models.example/v1"
CONTENT = b"GGUF" + os.urandom(2_500_000)


@pytest.fixture
async def page(app, shelf_library, monkeypatch):
    """A logged-in client of the routes, over an empty library of its own."""
    from chainlit.server import app as server

    from ui import core
    from ui.web import settings_state

    monkeypatch.setitem(sys.modules, "keyring", None)
    core.serving.cache_clear()
    settings_state.pulls.cache_clear()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=server), base_url=ALLOWED, timeout=120) as client:
        assert (await client.post("/auth/header")).status_code == 200
        yield client
    if core.serving.cache_info().currsize:
        await core.serving().close()
    core.serving.cache_clear()
    settings_state.pulls.cache_clear()


@pytest.fixture
def engine(monkeypatch):
    with serving(ollama("Plants make sugar from light.")) as running:
        monkeypatch.setenv("OLLAMA_HOST", f"127.0.0.1:{running.server_port}")
        yield f"http://127.0.0.1:{running.server_port}/v1"


def chosen(library) -> dict:
    path = library.folder / "choices.json"
    return json.loads(path.read_text()) if path.exists() else {}


async def refused(page, address: str, body) -> str:
    reply = await page.post(f"/settings/{address}", json=body)
    assert reply.status_code >= 400, reply.text
    said = reply.json()["detail"]
    assert "Traceback" not in said
    return said


async def test_the_page_and_its_routes_are_only_for_who_has_opened_the_chat(page):
    page.cookies.clear()
    for address in ("", "/state", "/servers", "/pulls"):
        assert (await page.get(f"/settings{address}")).status_code == 401
    for address in ("choose", "test", "server", "server/forget", "value", "pull", "pull/stop", "offer/decline"):
        assert (await page.post(f"/settings/{address}", json={})).status_code == 401


async def test_the_page_is_ours(page):
    reply = await page.get("/settings")
    assert '"/public/settings.js"' in reply.text
    assert "http:" not in reply.text


async def test_a_server_is_found_chosen_tested_and_undone(page, engine, shelf_library):
    found = (await page.get("/settings/servers")).json()["servers"]
    (ours,) = [server for server in found if server["address"] == engine]
    rows = {model["name"]: model for model in ours["models"]}
    assert rows[MODEL]["detail"].endswith("reads 4,096 tokens")
    assert rows[MODEL]["refused"] is None
    assert "embeddings" in rows["nomic-embed-text:latest"]["refused"]
    assert "ollama.com" in rows["gpt-oss:120b-cloud"]["refused"]

    setting = rows[MODEL]["setting"]
    state = (await page.post("/settings/choose", json={"role": "drafter", "model": setting})).json()
    assert state["drafter"]["name"] == MODEL
    assert chosen(shelf_library) == {"drafter": setting, "drafter_context": 4096}

    told = (await page.post("/settings/test", json={"model": setting})).json()
    assert told["text"] == "Plants make sugar from light."
    assert told["seconds"] > 0

    state = (await page.post("/settings/choose", json={"role": "drafter", "model": None})).json()
    assert "SmolLM2" in state["drafter"]["name"]
    assert chosen(shelf_library) == {}


async def test_two_pages_that_add_and_remove_addresses_at_once_lose_none(page, shelf_library):
    def add(name: str):
        return page.post("/settings/server", json={"address": f"{CLOUD}#{name}", "model": "", "key": KEY})

    replies = await asyncio.gather(*map(add, ("one", "two", "three")))
    assert [reply.status_code for reply in replies] == [200] * 3
    kept = {f"{CLOUD}#{name}" for name in ("one", "two", "three")}
    assert {server["setting"] for server in chosen(shelf_library)["servers"]} == kept
    await asyncio.gather(add("four"), page.post("/settings/server/forget", json={"model": f"{CLOUD}#one"}))
    kept = {f"{CLOUD}#{name}" for name in ("two", "three", "four")}
    assert {server["setting"] for server in chosen(shelf_library)["servers"]} == kept


@pytest.mark.parametrize("name", ["nomic-embed-text:latest", "gpt-oss:120b-cloud"])
async def test_a_model_that_cannot_answer_here_is_not_chosen(page, engine, shelf_library, name):
    for role in ("drafter", "expert"):
        assert name in await refused(page, "choose", {"role": role, "model": f"{engine}#{name}"})
    assert chosen(shelf_library) == {}


async def test_an_environment_variable_decides_and_the_page_says_so(page, engine, shelf_library, monkeypatch):
    from ui import core

    monkeypatch.setenv("SCHOLION_EXPERT", f"{engine}#{MODEL}")
    monkeypatch.setenv("SCHOLION_TOP_K", "4")
    core.serving.cache_clear()
    state = (await page.get("/settings/state")).json()
    assert state["expert"]["fixed"] == "SCHOLION_EXPERT"
    assert next(row for row in state["values"] if row["name"] == "top_k")["fixed"] == "SCHOLION_TOP_K"
    assert "SCHOLION_EXPERT is set" in await refused(page, "choose", {"role": "expert", "model": None})
    assert "SCHOLION_TOP_K is set" in await refused(page, "value", {"name": "top_k", "value": 9})
    assert chosen(shelf_library) == {}


async def test_a_key_is_kept_for_its_address_and_never_told_again(page, shelf_library, caplog):
    with caplog.at_level(logging.DEBUG):
        reply = await page.post("/settings/server", json={"address": CLOUD, "model": "large", "key": f" {KEY}\n"})
        state = reply.json()
        setting = state["added"]
        assert state["servers"] == [
            {"setting": setting, "address": CLOUD, "name": "large", "key": "file", "plain": False}
        ]
        chose = await page.post("/settings/choose", json={"role": "expert", "model": setting})
        again = await page.get("/settings/state")
    for told in (reply, chose, again):
        assert told.status_code == 200
        assert KEY not in told.text
    assert KEY not in caplog.text
    assert [
        path.name for path in shelf_library.folder.iterdir() if path.is_file() and KEY in path.read_text("latin-1")
    ] == ["keys.json"]

    state = (await page.post("/settings/server/forget", json={"model": setting})).json()
    assert state["servers"] == []
    assert state["expert"]["setting"] is None
    assert KEY not in (shelf_library.folder / "keys.json").read_text()


async def test_another_model_at_the_same_address_uses_the_same_key(page):
    await page.post("/settings/server", json={"address": CLOUD, "model": "large", "key": KEY})
    state = (await page.post("/settings/server", json={"address": CLOUD, "model": "small", "key": ""})).json()
    assert [server["key"] for server in state["servers"]] == ["file", "file"]
    state = (await page.post("/settings/server/forget", json={"model": state["servers"][0]["setting"]})).json()
    assert [server["key"] for server in state["servers"]] == ["file"]


@pytest.mark.parametrize(
    "address",
    ["", "nonsense", "ftp://models.example/v1", "http://", "http://a:b@models.example/v1", f"{CLOUD}?key={KEY}",
     "http://models.example:99999/v1", "/etc/passwd", "javascript:alert(1)"],
)  # fmt: skip
async def test_a_bad_address_is_one_sentence_and_is_not_repeated(page, shelf_library, address):
    said = await refused(page, "server", {"address": address, "model": "large", "key": KEY})
    assert "address" in said
    assert KEY not in said
    assert chosen(shelf_library) == {}
    assert not (shelf_library.folder / "keys.json").exists()


async def test_a_body_that_is_not_as_expected_is_not_repeated(page):
    for content in (json.dumps(KEY), json.dumps([KEY]), f'{{"key": "{KEY}"'):
        reply = await page.post("/settings/server", content=content, headers={"content-type": "application/json"})
        assert reply.status_code == 422
        assert KEY not in reply.text
    assert "cannot be sent" in await refused(page, "server", {"address": CLOUD, "model": "large", "key": "sk-ä"})


async def test_a_server_elsewhere_cannot_draft_and_is_tested_only_as_agreed(page, shelf_library):
    state = (await page.post("/settings/server", json={"address": "http://192.0.2.1/v1", "model": "large"})).json()
    setting = state["added"]
    said = await refused(page, "choose", {"role": "drafter", "model": setting})
    assert "must run on this machine" in said

    asked = (await page.post("/settings/test", json={"model": setting})).json()
    assert "text" in asked
    assert ["Where", "beyond your network"] in asked["consent"]
    again = (await page.post("/settings/test", json={"model": setting, "agreed": "0" * 64})).json()
    assert again["agree"] == asked["agree"], "another request was agreed to"
    other = (await page.post("/settings/server", json={"address": "http://192.0.2.2/v1", "model": "large"})).json()
    elsewhere = (await page.post("/settings/test", json={"model": other["added"], "agreed": asked["agree"]})).json()
    assert "consent" in elsewhere, "the same words to another address were agreed to"
    log = shelf_library.folder / "audit.jsonl"
    assert not log.exists() or not log.read_text()


async def test_a_path_is_not_taken_from_a_page(page, tmp_path, shelf_library):
    from rag.models.local import embedded_drafter

    for setting in (str(embedded_drafter()), "../../x.gguf", "choices.json"):
        assert "no such model" in await refused(page, "choose", {"role": "drafter", "model": setting})
        assert "no such model" in await refused(page, "test", {"model": setting})


async def test_several_servers_are_not_taken_from_a_page(page):
    setting = "http://127.0.0.1:9/v1#small, http://127.0.0.1:19/v1#small"
    for role in ("drafter", "expert"):
        assert "only one server" in await refused(page, "choose", {"role": role, "model": setting})
    assert "only one server" in await refused(page, "test", {"model": setting})


async def test_a_converted_model_is_listed_and_named_by_its_name_alone(page, shelf_library, monkeypatch):
    folder = onnx_folder(shelf_library.folder / "models" / "onnx" / "local" / "Tiny-int4")
    files = (await page.get("/settings/state")).json()["files"]
    (row,) = [row for row in files if row["setting"] == "Tiny-int4"]
    assert row["licence"] == "apache-2.0"
    for path in (str(folder), "local/Tiny-int4", "models/onnx/local/Tiny-int4"):
        assert "no such model" in await refused(page, "choose", {"role": "drafter", "model": path})
    said = await refused(page, "choose", {"role": "drafter", "model": "Tiny-int4"})
    assert "Tiny-int4" in said, "it was tried: there is no model in it"
    from ui.web import settings_routes

    monkeypatch.setattr(settings_routes, "missing", lambda *_: ["onnxruntime_genai"])
    assert "`make onnx`" in await refused(page, "choose", {"role": "drafter", "model": "Tiny-int4"})


@pytest.mark.parametrize(
    ("prices", "said"),
    [
        ((None,), "Sent today (UTC): 1 call, price unknown."),
        ((0.5, None), "Sent today (UTC): 2 calls, $0.5000 and 1 call of unknown price."),
        ((), "Sent today (UTC): 0 calls, $0.0000."),
    ],
)
def test_calls_of_unknown_price_do_not_count_as_free_on_the_page(app, shelf_library, monkeypatch, prices, said):
    from ui.web import settings_state

    now = datetime.now(UTC).isoformat()
    entries = [{"event": "permitted", "time": now, "permit": str(n), "price": price} for n, price in enumerate(prices)]
    monkeypatch.setattr(settings_state.AuditLog, "entries", lambda _: entries)
    assert said in settings_state._privacy(shelf_library.folder)["used"]


async def test_values_are_changed_kept_and_undone_or_refused_in_words(page, shelf_library):
    state = (await page.post("/settings/value", json={"name": "top_k", "value": 9})).json()
    row = next(row for row in state["values"] if row["name"] == "top_k")
    assert (row["value"], row["chosen"]) == (9, True)
    assert chosen(shelf_library) == {"top_k": 9}
    state = (await page.post("/settings/value", json={"name": "top_k", "value": None})).json()
    assert next(row for row in state["values"] if row["name"] == "top_k")["value"] == 6
    said = await refused(page, "value", {"name": "top_k", "value": 900})
    assert said == "Passages must be a whole number from 1 to 50."
    assert "no such setting" in await refused(page, "value", {"name": "expert_key", "value": KEY})
    assert "at least 0" in await refused(page, "value", {"name": "budget_day_usd", "value": -1})


async def test_a_model_is_downloaded_after_the_user_agreed_to_the_host(page, shelf_library, monkeypatch):
    monkeypatch.setattr(downloading, "PAUSE", 0.0)
    card = {"name": "smollm2-360m-instruct", "weights_bytes": len(CONTENT)}
    source = {"kind": "gguf", "repository": "a/b", "file": "tiny.gguf", "sha256": hashlib.sha256(CONTENT).hexdigest()}
    (shelf_library.folder / REGISTRY).write_text(json.dumps({"models": [card | {"source": source}]}))
    with hub_server.serving(hub_server.Hub(CONTENT)) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        row = (await page.get("/settings/state")).json()["downloads"][0]
        assert (row["name"], row["host"]) == (card["name"], "localhost")
        assert "would come from" in await refused(page, "pull", {"name": card["name"], "host": ""})
        assert hub.asked == []
        (await page.post("/settings/pull", json={"name": card["name"], "host": "localhost"})).raise_for_status()

        async def done() -> dict:
            return (await page.get("/settings/pulls")).json()[card["name"]]

        from ui.web import settings_state

        assert await soon(lambda: not settings_state.pull_row(settings_state.pulls().of(card["name"]))["running"])
        assert (await done())["state"] == "done"
    state = (await page.get("/settings/state")).json()
    assert [file["setting"] for file in state["files"]] == [card["name"]]
    assert card["name"] not in [row["name"] for row in state["downloads"]]


async def test_a_damaged_file_of_choices_is_told_on_the_page(page, shelf_library):
    (shelf_library.folder / "choices.json").write_text("{")
    state = (await page.get("/settings/state")).json()
    assert "damaged" in state["faults"][0]


async def test_a_server_that_runs_here_is_offered_once_and_used_only_if_chosen(page, engine, monkeypatch):
    from rag.servers import discover
    from ui import core, offer

    monkeypatch.setattr(offer, "discover", partial(discover, ports=()))  # whatever else runs on this machine
    offer.begin()
    assert await soon(offer._looking.done)
    (starter,) = await offer.starters()
    assert starter.label == "Settings: Ollama runs here with 3 models. Use it?"
    assert core.serving().kept.settings.drafter is None
    await page.post("/settings/offer/decline", json={})
    assert await offer.starters() == []


async def test_a_server_that_starts_later_is_offered_on_the_next_page(page, engine, monkeypatch):
    from rag.servers import discover
    from ui import offer

    async def nothing():
        return ()

    monkeypatch.setattr(offer, "discover", nothing)
    offer.begin()
    assert await soon(offer._looking.done)
    monkeypatch.setattr(offer, "discover", partial(discover, ports=()))
    assert await offer.starters() == [], "each page would knock at the ports of this machine"
    monkeypatch.setattr(offer, "AGAIN_SECONDS", 0.0)
    (starter,) = await offer.starters()
    assert starter.label.startswith("Settings: Ollama runs here")


async def test_while_it_looks_again_what_was_found_before_is_offered(page, engine, monkeypatch):
    from rag.servers import discover
    from ui import offer

    monkeypatch.setattr(offer, "discover", partial(discover, ports=()))
    offer.begin()
    assert await soon(offer._looking.done)
    monkeypatch.setattr(offer, "discover", asyncio.Event().wait)
    for name in ("AGAIN_SECONDS", "PATIENCE_SECONDS"):
        monkeypatch.setattr(offer, name, 0.0)
    (starter,) = await offer.starters()
    assert starter.label.startswith("Settings: Ollama runs here")
    offer._looking.cancel()


async def test_the_pickers_say_where_a_larger_model_is_chosen_and_learn_of_it(page, engine, chat, app):
    import chainlit as cl

    from ui import composer

    await composer.show_pickers()
    modes = chat.of("set_modes")[-1][0]["options"]
    assert "choose one in Settings" in modes[1]["description"]
    await page.post("/settings/choose", json={"role": "expert", "model": f"{engine}#{MODEL}"})
    await composer.refresh_pickers()
    modes = chat.of("set_modes")[-1][0]["options"]
    assert "Settings" not in modes[1]["description"]
    await app.on_message(cl.Message("Open the settings", type="user_message", command="Settings"))
    assert "(/settings)" in chat.texts[-1]
