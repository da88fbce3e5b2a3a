"""Token counts of cloud models, without a network."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rag.costs import tokens
from waiting import PATIENCE

SENTENCE = "The base models trained for 12 hours on eight P100 GPUs, see § 5.2."

NO_NETWORK = """
import json, socket, sys
tried = []
def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo"):
        tried.append(str(arguments))
        raise OSError("no network here")
sys.addaudithook(refuse)
from rag.costs import tokens
counts = [tokens.count(%r, model=model) for model in sys.argv[1:]]
print(json.dumps({"counts": [[c.n, c.exact] for c in counts], "tried": tried,
    "loaded": [m for m in sys.modules if m.startswith("llama_index") or m == "requests"]}))
"""


def count_in_child(*models: str, **environment: str) -> dict:
    result = subprocess.run(
        [sys.executable, "-c", NO_NETWORK % SENTENCE, *models],
        env={k: v for k, v in os.environ.items() if "CACHE_DIR" not in k} | environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    return json.loads(result.stdout)


@pytest.fixture(autouse=True)
def own_environment(monkeypatch):
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "")
    tokens._encoding_of.cache_clear()
    yield
    tokens._encoding_of.cache_clear()


def test_openai_models_are_counted_exactly_and_no_model_reaches_for_the_network():
    found = count_in_child("gpt-5-mini", "gpt-4", "openai/gpt-4o", "gpt2", "claude-opus-4-8", "gpt-oss-20b")
    assert found["tried"] == []
    assert found["loaded"] == []
    assert [exact for _, exact in found["counts"]] == [True, True, True, False, False, True]
    assert all(12 <= n <= 28 for n, _ in found["counts"])


def test_the_users_own_cache_is_respected_and_nothing_is_fetched_into_it(tmp_path):
    found = count_in_child("gpt-5-mini", TIKTOKEN_CACHE_DIR=str(tmp_path))
    assert found["counts"][0][1] is False
    assert found["tried"] == []
    assert not list(tmp_path.iterdir())


def test_a_damaged_rank_file_is_neither_used_nor_deleted(tmp_path):
    name = hashlib.sha1(b"https://openaipublic.blob.core.windows.net/encodings/o200k_base.tiktoken").hexdigest()
    (tmp_path / name).write_bytes(b"damaged")
    found = count_in_child("gpt-5-mini", TIKTOKEN_CACHE_DIR=str(tmp_path))
    assert found["counts"][0][1] is False
    assert found["tried"] == []
    assert (tmp_path / name).read_bytes() == b"damaged"


def test_the_rank_files_are_those_that_tiktoken_asks_for(monkeypatch):
    from tiktoken_ext import openai_public

    asked = []
    monkeypatch.setattr(
        openai_public, "load_tiktoken_bpe", lambda url, expected_hash: asked.append((url, expected_hash))
    )
    for name, (file, sha256) in tokens._RANK_FILES.items():
        openai_public.ENCODING_CONSTRUCTORS[name]()
        assert asked.pop() == (tokens._RANKS.format(file), sha256)


def test_special_tokens_in_a_text_count_as_the_text_that_they_are():
    assert tokens.count("<|endoftext|>", model="gpt-5").n > 1


def test_the_estimate_is_near_the_count_on_prose():
    text = Path(tokens.__file__).parents[1].joinpath("models", "chat.py").read_text(encoding="utf-8")
    estimate, exact = tokens.count(text, model="unknown"), tokens.count(text, model="gpt-5")
    assert (estimate.exact, exact.exact) == (False, True)
    assert abs(estimate.n / exact.n - 1) < 0.2


@pytest.mark.parametrize("model", ["gpt-5", "unknown"])
@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("", 0, 0),
        ("\ud800", 1, 3),
        ("\x00", 1, 1),
        ("深度学习", 3, 4),
        ("a" * 100_000, 9_000, 13_000),
        ("🧪" * 50, 50, 150),
    ],
    ids=["nothing", "half a pair", "zero", "Chinese", "one long word", "emoji"],
)
def test_every_text_is_counted(model, text, least, most):
    assert least <= tokens.count(text, model=model).n <= most


def test_empty_lines_are_tokens_to_a_model_and_nothing_to_the_estimate():
    assert tokens.count(" \n" * 500, model="gpt-5").n == 250
    assert tokens.count(" \n" * 500, model="unknown").n == 0


def test_a_prompt_takes_more_than_its_texts_and_is_never_called_exact():
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": SENTENCE}]
    whole = tokens.count_messages(messages, model="gpt-5")
    assert whole.n > sum(tokens.count(message["content"], model="gpt-5").n for message in messages)
    assert not whole.exact
