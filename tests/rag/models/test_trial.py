"""A test of a model: its answer and its speed, or one sentence; and nothing leaves the machine without consent."""

from __future__ import annotations

import pytest

from engine_stubs import serving
from fakes import ScriptedChatModel, ScriptedUser
from rag.errors import ModelUnreachableError, NotAllowedError
from rag.models import open_model
from rag.models.trial import QUESTION, payload_for, tried
from rag.privacy import Gate
from rag.privacy.destination import Destination
from rag.privacy.policy import Policy, save_policy
from writing_engine import MODEL, ollama

AWAY = Destination("https://models.example/v1", ("203.0.113.7",))


def over_http(url: str, library):
    return open_model(
        f"{url}#{MODEL}", library=library, context=None, file_context=2048, slots=1, threads=None, timeout=30.0
    ).model


async def test_a_server_here_answers_with_its_speed(tmp_path):
    with serving(ollama("Plants make sugar from light.")) as server:
        model = over_http(f"http://127.0.0.1:{server.server_port}/v1", tmp_path)
        found = await tried(model, seconds=30.0, gate=Gate(tmp_path))
    assert found.text == "Plants make sugar from light."
    assert found.seconds > 0
    assert found.tokens_per_second is None or found.tokens_per_second > 0
    assert ("/v1/chat/completions") in [path for path, _ in server.asked]


async def test_a_server_that_is_gone_is_one_sentence(tmp_path):
    with serving(ollama("x")) as server:
        url = f"http://127.0.0.1:{server.server_port}/v1"
    with pytest.raises(ModelUnreachableError, match="Nothing answers"):
        await tried(over_http(url, tmp_path), seconds=30.0, gate=Gate(tmp_path))


async def test_nothing_is_sent_elsewhere_without_consent(tmp_path):
    model, user = ScriptedChatModel("Light.", destination=AWAY), ScriptedUser(None, "once")
    gate = Gate(tmp_path)
    payload = await payload_for(model, gate)
    assert QUESTION in payload.text
    for consent, problem in ((None, "nobody can agree"), (user, "Nothing was sent")):
        with pytest.raises(NotAllowedError, match=problem):
            await tried(model, seconds=30.0, gate=gate, consent=consent)
    with pytest.raises(NotAllowedError):
        await tried(model, seconds=30.0)
    assert model.seen == []

    assert (await tried(model, seconds=30.0, gate=gate, consent=user)).text == "Light."
    assert user.shown[-1].sha256 == payload.sha256
    assert [line["event"] for line in gate.audit.entries()][-2:] == ["permitted", "answered"]


async def test_a_local_only_library_looks_up_no_name_for_a_test(tmp_path, monkeypatch):
    asked = []

    async def resolve(host, port):
        asked.append(host)
        return ["203.0.113.7"]

    monkeypatch.setattr("rag.privacy.destination.resolve", resolve)
    gate = Gate(tmp_path)
    model = over_http("https://models.example/v1", tmp_path)
    assert (await payload_for(model, gate)).leaves
    assert asked == ["models.example"]
    save_policy(Policy(library="local only"), tmp_path, gate.audit)
    for work in (payload_for(model, gate), tried(model, seconds=30.0, gate=gate)):
        with pytest.raises(NotAllowedError, match="local only"):
            await work
    assert asked == ["models.example"]
