"""The same question asked in the chat and through the API, with the real models: one answer."""

from __future__ import annotations

import json
import sqlite3

import openai
import pytest

from conftest import answered_chat, stored_answers
from ui.api.keys import ApiKeys

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

QUESTION = "How many hours of writing do 512 training examples take at five minutes each?"


def test_the_api_gives_the_chats_answer(chromium, server) -> None:
    chat = answered_chat(chromium, server, QUESTION)
    (step,) = stored_answers(server, chat=chat)
    database = sqlite3.connect(server.library / "chats.db", timeout=60)
    (stored,) = database.execute("select metadata from steps where id = ?", (step,)).fetchone()
    database.close()
    told = json.loads(stored)
    client = openai.OpenAI(
        base_url=f"{server.url}/v1", api_key=ApiKeys(server.library).make("a test"), timeout=300, max_retries=0
    )
    reply = client.chat.completions.create(model="scholion-draft", messages=[{"role": "user", "content": QUESTION}])
    ours = reply.scholion
    assert ours["text"] == told["answer"]
    for name in ("kind", "abstained", "sentences", "passages", "confidence", "stayed", "shown"):
        assert ours[name] == told["facts"][name], name
    assert [{**row, "url": ""} for row in ours["citations"]] == [
        {**row, "url": ""} for row in told["facts"]["citations"]
    ]
    written = [(m["name"], m["output_tokens"]) for m in told["facts"]["models"]]
    assert [(m["name"], m["output_tokens"]) for m in ours["models"]] == written
    assert all(mark.url_citation.url.startswith(server.url) for mark in reply.choices[0].message.annotations)
    context = chromium.new_context()  # a browser that has not opened Scholion
    page = context.new_page()
    page.goto(reply.choices[0].message.annotations[0].url_citation.url)
    page.wait_for_selector(".mark")
    context.close()
    stream = client.chat.completions.create(
        model="scholion-draft", messages=[{"role": "user", "content": QUESTION}], stream=True
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
    assert text == reply.choices[0].message.content
