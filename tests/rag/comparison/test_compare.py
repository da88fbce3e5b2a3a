"""A comparison: the clocks agree with each other and with the server, a run goes on, and nothing leaves unasked."""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import aclosing

import pytest

from fakes import ScriptedChatModel, ScriptedUser
from ingest import UserFacingError
from rag.__main__ import main as rag
from rag.choices import kept
from rag.comparison.calls import Terms, timed
from rag.comparison.contenders import opened, parsed, process_memory
from rag.comparison.figures import checks, figures
from rag.comparison.in_process import TransformersChatModel
from rag.comparison.nouns import STAGES, Asked, Call, Contender, Prompt, Question
from rag.comparison.report import write_report
from rag.comparison.run import calls_in, compare, planned, read_comparison
from rag.costs.energy import MachineCosts
from rag.errors import ContextTooLongError, ModelFileError, RunError, UnknownModelError
from rag.models.chat import Completion, EndpointChatModel
from rag.privacy import Gate
from rag.privacy.destination import Destination

AWAY = Destination("https://models.example/v1", ("203.0.113.7",))
PROMPT = "Name three colours of the rainbow, and say where each one stands. " * 6
QUESTIONS = (Question(id="q", text=PROMPT, golds=("red",), answerable=True),)


def terms(folder, *, consent=None, **more):
    return Terms(max_tokens=12, machine=MachineCosts(watts=30.0), gate=Gate(folder), consent=consent, **more)


def prompted(question, read):
    async def ready():
        return Prompt(messages=({"role": "user", "content": question.text},))

    return ready


def contender(model, name="m", server=None):
    owner = server or model
    end = owner.close if hasattr(owner, "close") else None
    measure = (lambda: process_memory(server)) if server else lambda: (getattr(model, "memory", None), "")
    inside = isinstance(model, TransformersChatModel)
    return Contender(asked=Asked(setting=name, name=name), model=model, end=end, inside=inside, measure=measure)


async def compared(models, out, **more):
    named = [{"name": one.name, "setting": one.name} for one in models]
    settings = {"models": named, "questions": "q", "repeats": 2, "cold": 0, "max_tokens": 12, "temperature": 0.0}
    options = {"prepare": prompted, "terms": terms(out), "retrieval": (False,), "cold": 0, "repeats": 2}
    options["settings"] = settings | {"prices": "list 1"}
    return await compare(models, QUESTIONS, out=out, **{**options, **more})


def test_models_are_named_with_options_and_each_has_a_name_of_its_own():
    one, two, three = parsed(["embedded,threads=1", "embedded,adapter=yes,name=chat, http://[::1]:9/v1#a:b"])
    assert (one.name, one.threads, two.name, two.adapter) == ("embedded (threads 1)", 1, "chat", True)
    assert (three.setting, three.name) == ("http://[::1]:9/v1#a:b", "http://[::1]:9/v1#a:b")
    for wrong in ("embedded,embedded", "embedded,threads=0", "embedded,threads=x", "embedded,adapter=perhaps"):
        with pytest.raises(UnknownModelError):
            parsed([wrong])


def test_the_order_rotates_and_what_cannot_be_restarted_has_no_cold_call():
    calls = list(planned([("a", True), ("b", False), ("c", True)], ["q1", "q2"], retrieval=(False,), cold=1, repeats=3))
    assert [(c.model, c.state) for c in calls[:2]] == [("a", "cold"), ("c", "cold")]
    rounds = ["".join(c.model for c in calls[2 + 3 * n : 5 + 3 * n]) for n in range(6)]
    assert rounds == ["abc", "bca", "bca", "cab", "cab", "abc"]
    for place in range(3):
        assert {name[place] for name in rounds} == set("abc")
    assert len({call.key for call in calls}) == len(calls)


async def test_stages_sum_to_the_whole_and_agree_with_the_server(local_server, tmp_path):
    model = EndpointChatModel(local_server.connect, name="real", timeout=120.0, extra={"cache_prompt": False})
    one = contender(model, server=local_server)
    run = await compared([one], tmp_path, repeats=3)
    assert len(run.calls) == 3
    for call in run.calls:
        assert sum(call.stages[name] for name in STAGES) == pytest.approx(call.seconds, rel=0.05)
        assert call.server["read_tokens"] == call.input_tokens > 60
        assert call.server["written_tokens"] == call.output_tokens == 12
        assert (call.sent_bytes, call.went_to[:12], call.usd) == (0, "this machine", None)
        assert call.wh == pytest.approx(30 * call.seconds / 3600, rel=0.1)
        assert call.memory > 50_000_000
    told = checks(run.calls)
    assert told.tokens_agree
    assert (told.n_prompts, told.n_cached) == (1, 0)
    assert abs(told.first_token_off) < 0.1
    (found,) = figures(run)
    assert found.first_token.n == 3
    assert found.quality.n == 1


async def test_a_cold_call_starts_the_model_again(local_server, tmp_path):
    model = EndpointChatModel(local_server.connect, name="real", timeout=120.0)
    before = (await local_server.connect()).base_url
    run = await compared([contender(model, server=local_server)], tmp_path, cold=1, repeats=1)
    cold, warm = run.calls
    assert (cold.state, warm.state) == ("cold", "warm")
    assert cold.stages["prepare"] > 10 * warm.stages["prepare"]
    assert (await local_server.connect()).base_url != before


async def test_a_run_goes_on_where_it_stopped_and_refuses_other_settings(tmp_path):
    asked = []

    def interrupted(question, read):
        asked.append(question.id)
        if len(asked) == 2:
            raise asyncio.CancelledError  # as by Ctrl+C
        return prompted(question, read)

    with pytest.raises(asyncio.CancelledError):
        await compared([contender(ScriptedChatModel("Red.", "Red."))], tmp_path, prepare=interrupted)
    assert len(calls_in(tmp_path)) == 1  # the other one warmed up
    model = ScriptedChatModel("Red.", "Red.")
    assert len((await compared([contender(model)], tmp_path)).calls) == 2
    await compared([contender(ScriptedChatModel())], tmp_path)  # nothing is left to ask
    with pytest.raises(RunError, match="repeats"):
        await compared([contender(model)], tmp_path, settings={"models": [], "repeats": 3})


async def test_a_failed_call_is_kept_as_missing_and_tried_again(tmp_path):
    from rag.errors import ModelUnreachableError

    gone = ModelUnreachableError("Nothing answers there.", "Start it.")
    run = await compared([contender(ScriptedChatModel(gone, gone))], tmp_path)
    (found,) = figures(run)
    assert (found.n, found.failed, found.seconds, found.usd, found.quality) == (0, 2, None, None, None)
    text = write_report(run).read_text()
    assert "2 calls failed" in text
    again = await compared([contender(ScriptedChatModel("Red.", "Red.", "Red."))], tmp_path)
    assert not [call for call in again.calls if call.error]


async def test_nothing_is_sent_elsewhere_without_consent_and_what_was_is_counted(tmp_path):
    away = ScriptedChatModel("Red.", "Red.", destination=AWAY)
    run = await compared([contender(away)], tmp_path)
    assert all("nobody can agree" in call.error for call in run.calls)
    assert away.seen == []
    user = ScriptedUser("chat")
    run = await compared([contender(away)], tmp_path, terms=terms(tmp_path, consent=user))
    assert [call.error for call in run.calls] == [None, None]
    assert len(user.shown) == 1  # for this run
    assert run.calls[0].sent_bytes > len(PROMPT)
    assert run.calls[0].went_to == "beyond your network, models.example:443"
    assert (run.calls[0].wh, run.calls[0].usd) == (None, None)
    assert "models.example" in (write_report(run).parent / "report.md").read_text()


async def test_without_streaming_the_first_token_is_unknown(tmp_path):
    model = ScriptedChatModel("Red and blue.")
    call = Call(model="m", question="q", retrieval=False, state="warm", repeat=0)
    done = await timed(call, contender(model), prompted(QUESTIONS[0], read=False), terms(tmp_path, streamed=False))
    assert (done.first_token, done.to_first_token, done.gaps, done.tokens_per_second) == (None, None, (), None)
    assert Call.from_row(json.loads(json.dumps(done.as_row()))) == done


async def test_a_transformers_model_counts_and_times_itself(tiny_model, tmp_path):
    model = TransformersChatModel(str(tiny_model))
    messages = [{"role": "user", "content": "abc de"}]
    pieces = [piece async for piece in model.stream(messages, max_tokens=8)]
    end = pieces.pop()
    assert isinstance(end, Completion)
    assert (end.usage.input_tokens, end.usage.output_tokens, end.finish_reason) == (6, 8, "length")
    assert len("".join(pieces)) == 8
    assert end.server.written_tokens == 8
    assert await model.count_tokens(messages) == 6
    assert end.sent_seconds + end.server.reading_seconds == pytest.approx(end.first_token_seconds, abs=0.2)
    assert await model.is_here()
    assert not (await model.planned_call(max_tokens=1)).leaves
    with pytest.raises(ContextTooLongError):
        await anext(model.stream([{"role": "user", "content": "a" * 511}], max_tokens=8))
    async with aclosing(model.stream(messages, max_tokens=80)) as stream:  # closing it ends the writing
        await anext(stream)
    assert len([p async for p in model.stream(messages, max_tokens=3) if isinstance(p, str)]) == 3
    run = await compared([contender(model)], tmp_path, cold=1, repeats=2)
    assert [call.state for call in run.calls] == ["cold", "warm", "warm"]
    told = checks(run.calls)
    assert told.tokens_agree
    assert told.stages_off < 0.05
    assert run.calls[0].memory > 10_000
    assert "own process" in run.calls[0].went_to


@pytest.mark.parametrize(("threads", "used"), [(3, 3), (None, os.cpu_count())])
async def test_a_transformers_model_writes_on_all_threads_whatever_the_embedder_set(tiny_model, threads, used):
    import torch

    model, found, before = TransformersChatModel(str(tiny_model), threads=threads), [], torch.get_num_threads()
    torch.set_num_threads(1)  # as the embedder does
    try:
        await model.context_window()
        network = model._loaded[1]
        writes = network.generate
        network.generate = lambda *a, **k: (found.append(torch.get_num_threads()), writes(*a, **k))[1]
        messages = [{"role": "user", "content": "abc de"}]
        assert [piece async for piece in model.stream(messages, max_tokens=2)]
        assert found == [used]
        assert torch.get_num_threads() == 1
        assert await asyncio.to_thread(torch.get_num_threads) == 1
    finally:
        torch.set_num_threads(before)


async def test_transformers_reads_no_pickle_and_downloads_nothing(tiny_model, tmp_path):
    import torch
    from transformers import AutoModelForCausalLM

    network = AutoModelForCausalLM.from_pretrained(tiny_model)
    for path in tiny_model.iterdir():
        if path.suffix == ".json":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    torch.save(network.state_dict(), tmp_path / "pytorch_model.bin")
    for place, said in ((str(tmp_path), "cannot be opened"), ("gpt2", "is not on this machine")):
        with pytest.raises(ModelFileError, match=said):
            await TransformersChatModel(place).context_window()


async def test_the_embedded_weights_can_be_read_by_transformers(tmp_path):
    asked = parsed(["transformers:smollm2-135m-instruct"])[0]
    one = await opened(asked, kept(tmp_path), library=tmp_path)
    pieces = [p async for p in one.model.stream([{"role": "user", "content": "Say hello."}], max_tokens=4)]
    assert pieces[-1].usage.output_tokens <= 4
    assert pieces[-1].usage.input_tokens > 10  # its chat template was applied


async def test_a_key_is_sent_to_its_own_address_only(tmp_path, monkeypatch):
    monkeypatch.setenv("SCHOLION_EXPERT", "https://models.example/v1#a")
    monkeypatch.setenv("SCHOLION_EXPERT_KEY", "s3cret")
    keys = {}
    for url in ("https://models.example/v1#b", "https://other.example/v1#b"):
        one = await opened(parsed([url])[0], kept(tmp_path), library=tmp_path)
        keys[url] = (await one.model._connect()).api_key
    assert list(keys.values()) == ["s3cret", ""]


def test_the_command_honours_the_workshops_variables_and_writes_four_files(tmp_path, monkeypatch, capsys, tiny_model):
    monkeypatch.setenv("SCHOLION_LIBRARY", str(tmp_path / "library"))
    monkeypatch.setenv("COMPARE_PROMPT", "abc")
    monkeypatch.setenv("BENCH_MODELS", f"transformers:{tiny_model},name=tiny,transformers:{tiny_model},name=twin")
    monkeypatch.setenv("BENCH_STREAM", "0")
    out = tmp_path / "out"
    assert rag(["compare", "--repeats", "2", "--max-tokens", "5", "--out", str(out), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(one["model"], one["state"], one["n"]) for one in found] == [
        ("tiny", "warm", 2), ("twin", "warm", 2), ("tiny", "cold", 1), ("twin", "cold", 1),
    ]  # fmt: skip
    assert found[0]["first_token"] is None
    assert found[0]["input_tokens"] == 3
    assert read_comparison(out).questions[0].text == "abc"
    for name in ("report.html", "report.md", "report.json", "calls.csv"):
        assert (out / name).stat().st_size > 100
    assert "http" not in (out / "report.html").read_text().replace("http-equiv", "")


def test_texts_are_no_formulas_in_the_csv(tmp_path):
    from rag.comparison.sheets import as_csv, read_table

    (tmp_path / "a.csv").write_text(as_csv([{"text": "=1+1", "x": -2, "y": None}]), encoding="utf-8")
    assert read_table(tmp_path / "a.csv") == [{"text": "'=1+1", "x": "-2", "y": ""}]
    with pytest.raises(UserFacingError):
        read_table(tmp_path / "none.csv")
