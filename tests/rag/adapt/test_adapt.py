"""Adapters: what is learned from, that one is kept only where it answers better, and that off means off."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from ingest.__main__ import main as ingest_main
from places import SAMPLES
from rag.__main__ import main
from rag.adapt import teach as teaching
from rag.adapt.examples import Taught, carried, of_glossary, of_paper, of_texts, right, short_answer
from rag.adapt.lora import Epoch, Example, Learner
from rag.adapt.prepare import default_out, needs
from rag.adapt.recipe import Recipe
from rag.adapt.sentences import NOT_SAID, as_sentence
from rag.adapt.teach import better, curve, split, teach
from rag.answer import Draft
from rag.errors import AdapterError, RecipeError
from rag.evaluation.metrics import UNANSWERABLE, Estimate
from rag.models.adapters import CARD, WEIGHTS, Adapters, about
from rag.models.draft import write
from rag.models.local import embedded_drafter
from rag.models.open import open_model
from rag.retrieval.glossary import read_glossary

if TYPE_CHECKING:
    from rag.models.chat import EndpointChatModel

ASKED = "What is a cat?"


@pytest.mark.parametrize(
    ("question", "answer", "said"),
    [
        ("How many examples did they use?", "512", "They used 512 examples."),
        ("How many annotators were hired?", "12", "12 annotators were hired."),
        ("How many layers does the model have?", "6 layers", "The model has 6 layers."),
        ("What data sets do they use?", "SQuAD and QASPER", "They use SQuAD and QASPER."),
        ("Which baselines did the authors try?", "BM25", "The authors tried BM25."),
        ("What is the learning rate?", "3e-5", "The learning rate is 3e-5."),
        ("What were the results on the test set?", "61 F1", "The results on the test set were 61 F1."),
        ("What do they compare with?", "BM25", "BM25."),
        ("Do they release the code?", "yes", "Yes."),
        ("Why does it fail?", "inputs are cut at 512 tokens, as before", "Inputs are cut at 512 tokens, as before."),
        ("Who wrote it?", UNANSWERABLE, NOT_SAID),
    ],
)  # fmt: skip
def test_a_short_answer_becomes_a_sentence_where_a_rule_knows_how(question, answer, said) -> None:
    assert as_sentence(question, answer) == said


def test_nothing_is_learned_that_could_not_be_read() -> None:
    assert carried("512 examples", "They used 512 examples of each kind.")
    assert not carried("1024 tokens", "They used 512 examples of each kind.")
    assert carried("Yes", "anything")
    assert carried(UNANSWERABLE, "anything")


def test_a_draft_is_counted_by_what_it_says() -> None:
    assert short_answer("Yes, because they say so [1].") == "Yes"
    assert short_answer("No.") == "No"
    assert short_answer(NOT_SAID) == UNANSWERABLE
    assert short_answer("Nobody knows.") == "Nobody knows."
    assert right("They used 512 examples.", ["512 examples"]) == pytest.approx(2 / 3)


def test_a_glossary_asks_for_each_term_that_it_defines() -> None:
    taught = of_glossary(
        read_glossary("term,definition,preferred\nKV cache,keys and values kept,\nLLM,,language model\n")
    )
    assert [row.question for row in taught] == ["What is KV cache?", "What does KV cache mean?"]
    assert {row.example.answer for row in taught} == {"KV cache: keys and values kept."}


def test_papers_alone_ask_for_what_their_sentences_define() -> None:
    paper = SimpleNamespace(id="p1", title="On caches")
    text = "We start here. A key-value cache is a store of what attention has computed before. It is large."
    (row,) = of_paper(paper, [text])
    assert row.question == "What is a key-value cache?"
    assert row.example.answer == "A key-value cache is a store of what attention has computed before."
    assert row.example.answer in str(row.example.messages[-1]["content"])
    assert not of_paper(paper, ["This is a sentence about something that stands before it."])
    assert [row.example.answer for row in of_texts({"p1": ["a", "b", "c", "d"], "p2": ["e"]}, most=4)] == [
        "a",
        "c",
        "e",
    ]


def test_the_recipe_is_read_as_it_is_printed(tmp_path) -> None:
    file = tmp_path / "recipe.toml"
    file.write_text(Recipe(rank=4).as_toml())
    assert Recipe.read(file) == Recipe(rank=4)
    assert (Recipe().rank, Recipe().alpha) == (8, 16.0)
    file.write_text("rank = 0\n")
    with pytest.raises(RecipeError, match="`rank` in"):
        Recipe.read(file)
    file.write_text("ranks = 2\n")
    with pytest.raises(RecipeError, match="`ranks`"):
        Recipe.read(file)
    file.write_text("rank = \n")
    with pytest.raises(RecipeError, match="cannot be read"):
        Recipe.read(file)


def rows(n: int, *, papers: int) -> list[Taught]:
    return [Taught(Example((), f"text {i}"), f"paper {i % papers}", "q", ("a",)) for i in range(n)]


def test_a_paper_is_learned_from_or_held_out_never_both() -> None:
    learned, held = split(rows(100, papers=10), 0.2)
    assert {row.group for row in learned}.isdisjoint(row.group for row in held)
    assert len(learned) + len(held) == 100
    assert len(held) == 20
    with pytest.raises(AdapterError, match="one paper"):
        split(rows(100, papers=1), 0.2)
    with pytest.raises(AdapterError, match="9 examples"):
        split(rows(9, papers=3), 0.2)


def test_what_is_not_better_is_not_kept() -> None:
    assert better(Estimate(0.1, None, None, 9, 3), [])
    assert not better(Estimate(0.0, None, None, 9, 3), [])
    assert not better(Estimate(-0.1, None, None, 9, 3), [])
    assert better(None, [Epoch(None, 2.0), Epoch(1.0, 1.5)])
    assert not better(None, [Epoch(None, 2.0), Epoch(1.0, 2.5)])
    assert not better(None, [Epoch(None, None)])


def test_the_curve_is_a_picture_that_stands_alone() -> None:
    picture = curve([Epoch(None, 2.0), Epoch(1.5, 1.4), Epoch(1.0, 1.2)])
    assert picture.startswith("<svg xmlns=")
    assert "held out" in picture
    assert "http" not in picture.replace("http://www.w3.org/2000/svg", "")


def kept(adapters: Adapters, name: str, base) -> None:
    making = adapters.new(name)
    (making / WEIGHTS).write_bytes(b"GGUF")
    adapters.take(making, name, {"base": about(base), "learned_from": 1})


def test_adapters_are_kept_switched_and_removed(tmp_path) -> None:
    base = tmp_path / "model.gguf"
    base.write_bytes(b"GGUF model")
    adapters = Adapters(tmp_path)
    assert adapters.all() == []
    adapters.new("half")  # as a crash leaves it
    assert adapters.all() == []
    kept(adapters, "field", base)
    assert [adapter.name for adapter in adapters.all()] == ["field"]
    with pytest.raises(AdapterError, match="already"):
        adapters.new("field")
    assert adapters.on() is None
    adapters.switch_on("field")
    assert adapters.on_for(base)
    base.write_bytes(b"GGUF another model")
    assert adapters.on_for(base) is None
    adapters.switch_off()
    assert adapters.on() is None
    adapters.switch_on("field")
    (adapters.folder / "field" / CARD).write_text("{")
    assert adapters.on() is None, "a damaged one is none"
    with pytest.raises(AdapterError, match="no adapter"):
        adapters.switch_on("field")
    for name in ("../models", "a/b", "", ".", "x" * 41, "on.json"):
        with pytest.raises(AdapterError, match="cannot be"):
            adapters.new(name)


def test_a_switch_that_names_another_folder_switches_nothing(tmp_path) -> None:
    adapters = Adapters(tmp_path / "library")
    adapters.folder.mkdir(parents=True)
    for name in ("../../elsewhere", 7, None, ""):
        (adapters.folder / "on.json").write_text(json.dumps({"name": name}))
        assert adapters.on() is None


@pytest.fixture(scope="module")
def base_read_once():
    from base_once import read_once

    with pytest.MonkeyPatch.context() as patched:
        read_once(patched)
        yield


@pytest.fixture(scope="module")
def short(base_read_once, tmp_path_factory):
    """The embedded drafter's first three layers, which learn in a tenth of the time."""
    from base_once import cut

    return cut(embedded_drafter(), 3, tmp_path_factory.mktemp("short") / "short.gguf")


# -- with the real model -----------------------------------------------------------------------------------------------

TINY = Recipe(rank=4, epochs=3, batch=2, rate=3e-3, warm_up=2, held_out=0.3, patience=3)


def taught(said: str, *, gold: str, n: int = 10) -> list[Taught]:
    names = "sky dog house river tree stone cloud road bird lamp".split()[:n]
    messages = [({"role": "user", "content": f"What is a {name}?"},) for name in names]
    return [Taught(Example(m, said), f"paper {i % 5}", "q", (gold,)) for i, m in enumerate(messages)]


async def say(model: EndpointChatModel) -> str:
    async for piece in write(model, [{"role": "user", "content": ASKED}], max_tokens=24):
        if isinstance(piece, Draft):
            return piece.text
    raise AssertionError


def opened(library, adapters: Adapters):
    return open_model(
        str(embedded_drafter()), library=library, context=1024, file_context=1024, slots=1, threads=1, timeout=60,
        adapters=adapters,
    )  # fmt: skip


async def answers(library, adapters: Adapters) -> tuple[str, str | None, str]:
    found = opened(library, adapters)
    try:
        return found.model.name, await say(found.plain) if found.plain else None, await say(found.model)
    finally:
        await found.server.close()


async def test_an_adapter_is_taught_served_and_off_gives_the_old_answers(base_read_once, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(teaching, "ANSWER_TOKENS", 12)
    adapters = Adapters(tmp_path)
    name, bare, old = await answers(tmp_path, adapters)
    assert name.endswith(" + answers"), "the embedded drafter has an adapter of its own"
    done = []
    taken = await teach(
        "fruit", taught("Banana bread!", gold="Banana bread"), base=embedded_drafter(), recipe=TINY, adapters=adapters,
        threads=1, source={"rows": 10}, tell=lambda what, n, _: done.append((what, n)),
    )  # fmt: skip
    assert taken.adapter, taken.card["answer_f1"]
    assert taken.before.mean < taken.after.mean
    assert {what for what, _ in done} == {"answering before", "learning", "answering after"}
    assert {path.name for path in taken.adapter.folder.iterdir()} == {
        "adapter.gguf",
        "card.json",
        "curve.svg",
        "recipe.toml",
    }
    assert Recipe.read(taken.adapter.folder / "recipe.toml") == TINY
    assert adapters.on() is None, "kept is not yet on"

    adapters.switch_on("fruit")
    with_name, plain, new = await answers(tmp_path, adapters)
    assert with_name == f"{name.removesuffix('answers')}fruit"
    assert new != old
    assert plain == bare, "other prompts are answered as without any adapter"
    adapters.switch_off()
    assert (await answers(tmp_path, adapters)) == (name, bare, old)


async def test_one_that_answers_worse_is_refused_and_nothing_stays(short, tmp_path, monkeypatch) -> None:
    adapters = Adapters(tmp_path)
    told = taught("Banana bread!", gold="I I and, and, and")  # what it says untaught
    monkeypatch.setattr(teaching, "ANSWER_TOKENS", 12)
    taken = await teach("worse", told, base=short, recipe=TINY, adapters=adapters, threads=1, source={})
    assert taken.adapter is None
    assert taken.after.mean < taken.before.mean
    assert [path.name for path in adapters.folder.iterdir()] == []


def test_it_learns_texts_too_and_the_adapter_is_what_was_learned(short, tmp_path) -> None:
    learner = Learner(short, Recipe(rank=2, epochs=2, batch=2, rate=2e-3, warm_up=1))
    texts = [learner.encoded(Example((), f"The zorb of {x} is a quib.")) for x in ("iron", "gold", "tin", "lead")]
    before, *_, after = learner.learn(texts, texts)
    assert before.learned is None
    assert after.held_out < before.held_out
    assert learner.encoded(Example((), "")) is None
    assert learner.encoded(Example(({"role": "user", "content": "word " * 900},), "x")) is None, "too long"
    learner.save(tmp_path / "a.gguf")
    on_top = Learner(short, Recipe(rank=2), below=tmp_path / "a.gguf")
    assert on_top.loss(texts) == pytest.approx(after.held_out, rel=0.02), "the next one learns on top of what was saved"


# -- prepared models ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small_mistral(tmp_path_factory):
    import torch
    from transformers import MistralConfig, MistralForCausalLM

    torch.manual_seed(1)
    config = MistralConfig(
        vocab_size=96, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("mistral-small")
    MistralForCausalLM(config).save_pretrained(folder)
    return folder


def test_a_model_is_prepared_with_an_untrained_adapter(small_mistral, tmp_path, capsys, monkeypatch) -> None:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    monkeypatch.chdir(tmp_path)
    assert main(["adapt", "prepare", "--model", str(small_mistral)]) == 1, "nobody has agreed"
    assert "Add --yes" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.pt"))
    assert main(["adapt", "prepare", "--model", str(small_mistral), "--yes"]) == 0
    (written,) = tmp_path.glob("*.pt")
    assert written.name == "mistral_with_lora.pt"
    state = torch.load(written, weights_only=True)
    base = AutoModelForCausalLM.from_pretrained(small_mistral, dtype=torch.bfloat16)
    n, targets = sum(p.numel() for p in base.parameters()), ["q_proj", "k_proj", "v_proj", "o_proj"]
    again = get_peft_model(base, LoraConfig(r=8, lora_alpha=16, target_modules=targets, task_type="CAUSAL_LM"))
    again.load_state_dict(state)
    lora = {name: value for name, value in state.items() if "lora_" in name}
    assert len(lora) == 2 * 4 * 2, "two layers, four projections, two matrices"
    assert all(value.abs().sum() == 0 for name, value in lora.items() if "lora_B" in name), "untrained"
    card = json.loads((tmp_path / "mistral_with_lora.pt.json").read_text())
    assert card["of_the_adapter"] == sum(value.numel() for value in lora.values())
    assert needs(str(small_mistral)).parameters == n


async def test_a_folder_is_taught_too_and_written_whole(small_mistral, tmp_path) -> None:
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

    base = tmp_path / "mistral-small"
    shutil.copytree(small_mistral, base)
    letters = {chr(code): code - 32 for code in range(32, 127)} | {"</s>": 95}
    plain = Tokenizer(models.WordLevel(letters, unk_token=" "))
    plain.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    template = "{% for message in messages %}{{ message.content }}{% endfor %} = "
    PreTrainedTokenizerFast(tokenizer_object=plain, eos_token="</s>", chat_template=template).save_pretrained(base)
    recipe = Recipe(rank=4, epochs=12, batch=4, rate=3e-2, warm_up=2, held_out=0.3, patience=12)
    adapters, merged = Adapters(tmp_path), tmp_path / "merged"
    rows = [replace(row, golds=()) for row in taught("aaa", gold="")]  # so small a model is measured by its losses
    taken = await teach("small", rows, base=base, recipe=recipe, adapters=adapters, source={}, merged=merged)
    assert taken.adapter, taken.card["epochs"]
    assert taken.adapter.is_for(base)
    was, now = (AutoModelForCausalLM.from_pretrained(place).state_dict() for place in (base, merged))
    changed = {name for name in was if not torch.equal(was[name].bfloat16(), now[name].bfloat16())}
    assert changed
    assert all("_proj" in name and "mlp" not in name for name in changed), "the attention projections only"


def test_what_a_large_model_takes_is_told_before_anything_is_loaded(capsys, monkeypatch) -> None:
    assert str(default_out("mistralai/Mistral-7B-v0.1")) == "mistral_with_lora.pt"
    takes = needs("mistralai/Mistral-7B-v0.1")
    assert not takes.here
    assert 13e9 < takes.memory < 16e9
    assert needs("somebody/unknown").memory is None
    assert main(["adapt", "prepare", "--model", "mistralai/Mistral-7B-v0.1"]) == 1
    told = capsys.readouterr().err
    assert "GB of memory" in told
    assert "downloaded from the Hugging Face hub" in told


@pytest.mark.parametrize("here", [True, False])
def test_the_hub_is_asked_only_where_the_user_agreed_to_it(small_mistral, monkeypatch, capsys, here) -> None:
    asked = []

    def prepare(model: str, *_: object) -> dict:
        asked.append((model, os.environ["HF_HUB_OFFLINE"], os.environ.get("HTTPS_PROXY")))
        return {"parameters": 2, "of_the_adapter": 1}

    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("HTTPS_PROXY")
    monkeypatch.setenv("SCHOLION_PROXY", "http://127.0.0.1:1")
    monkeypatch.setattr("rag.commands.adapt.prepare", prepare)
    model = str(small_mistral) if here else "mistralai/Mistral-7B-v0.1"
    assert main(["adapt", "prepare", "--model", model]) == 1
    assert asked == []
    assert os.environ["HF_HUB_OFFLINE"] == "1"
    assert main(["adapt", "prepare", "--model", model, "--yes"]) == 0
    assert asked == [(model, "1", None) if here else (model, "0", "http://127.0.0.1:1")]
    assert capsys.readouterr().out


def test_a_folder_of_another_family_is_named(tmp_path, capsys) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    assert main(["adapt", "prepare", "--model", str(tmp_path), "--yes"]) == 1
    assert "gpt2" in capsys.readouterr().err


# -- the command -------------------------------------------------------------------------------------------------------


def test_the_drafter_is_a_file_in_models_if_it_was_chosen_so(tmp_path) -> None:
    from rag.commands.adapt import _base
    from rag.settings import RagSettings

    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "mine.gguf").symlink_to(embedded_drafter())
    assert _base(RagSettings(drafter="mine.gguf"), tmp_path) == tmp_path / "models" / "mine.gguf"


def test_the_command_says_what_is_missing(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("SCHOLION_LIBRARY", str(tmp_path / "library"))
    assert main(["adapt"]) == 0
    assert "No adapters yet" in capsys.readouterr().out
    assert main(["adapt", "train"]) == 1
    assert "nothing to train on" in capsys.readouterr().err
    assert main(["adapt", "on", "field"]) == 1
    assert "no adapter “field”" in capsys.readouterr().err
    assert main(["adapt", "off"]) == 0
    monkeypatch.setenv("SCHOLION_DRAFTER", "http://127.0.0.1:1/v1#m")
    assert main(["adapt", "train", "--papers"]) == 1
    assert "not a file on this machine" in capsys.readouterr().err
    monkeypatch.delenv("SCHOLION_DRAFTER")
    (tmp_path / "library").mkdir(exist_ok=True)
    (tmp_path / "library" / "choices.json").write_text('{"drafter": "http://127.0.0.1:1/v1#chosen"}')
    assert main(["adapt", "train", "--papers"]) == 1
    assert "#chosen is not a file" in capsys.readouterr().err, "the one chosen on the settings page"
    assert main(["adapt", "recipe"]) == 0
    assert "rank = 8" in capsys.readouterr().out


def test_a_file_of_questions_teaches_and_the_card_says_how_it_went(
    short, settings, monkeypatch, capsys, tmp_path
) -> None:
    monkeypatch.setenv("SCHOLION_LIBRARY", str(settings.library))
    monkeypatch.setenv("SCHOLION_DRAFTER", str(short))
    monkeypatch.setattr(teaching, "ANSWER_TOKENS", 12)
    assert ingest_main(["add", str(SAMPLES)]) == 0
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(Recipe(rank=2, epochs=1, batch=4, held_out=0.3, longest=2048).as_toml())
    capsys.readouterr()
    code = main(["adapt", "train", str(SAMPLES / "questions.csv"), "--config", str(recipe), "--json"])
    told = capsys.readouterr()
    assert "fewer than 50" in told.err
    card = json.loads(told.out)
    assert code == (0 if card["kept"] else 1)
    assert card["learned_from"] >= 10
    assert card["answer_f1"]["before"]["n"] == card["held_out"] > 0
    assert card["kept"] == (card["answer_f1"]["difference"]["mean"] > 0)
    assert main(["adapt", "list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [(row["name"], row["on"]) for row in listed] == ([("field", True)] if card["kept"] else [])
