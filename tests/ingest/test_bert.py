"""The encoder without padding against sentence-transformers and Transformers, in each precision."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from ingest.bert import BATCH_TOKENS, BertConfig, PackedBert, SentenceBert, batches, multiplies_bf16
from ingest.embed import SentenceTransformerEmbedder, embedded_model

WEIGHTS = "model.safetensors"
TEXTS = [sentence for n in range(2) for sentence in (f"Chunk {n} tells of {n * 7} mice.", "Long words " * 30)]
TEXTS += ["a", "", "  spaces \n around ", "βββ ∑∂ 3.14", "A. B. C. 12 34 56 78 90 " * 10, "too long to be read " * 200]


@pytest.fixture(scope="module")
def plain():
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(embedded_model()), device="cpu").encode(TEXTS, normalize_embeddings=True)


def tokens_of(texts, folder):
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(256)
    return [encoding.ids for encoding in tokenizer.encode_batch(texts)]


def vectors(texts=TEXTS, *, bf16, folder=None):
    folder = folder or embedded_model()
    return SentenceBert.open(folder, bf16=bf16)(tokens_of(texts, folder)).numpy()


def test_in_fp32_the_vectors_are_those_of_sentence_transformers(plain):
    assert np.abs(vectors(bf16=False) - plain).max() < 2e-6


def test_in_bf16_the_vectors_point_the_same_way(plain):
    found = vectors(bf16=True)
    assert np.abs(found - plain).max() < 3e-3
    assert (found * plain).sum(1).min() > 0.9998
    assert np.linalg.norm(found, axis=1) == pytest.approx(1, abs=1e-5)


def test_without_the_kernels_of_onednn_the_vectors_are_the_same(plain, monkeypatch):
    monkeypatch.setattr("ingest.bert._packs", lambda _=None: False)
    assert np.abs(vectors(bf16=False) - plain).max() < 2e-6
    assert (vectors(bf16=True) * plain).sum(1).min() > 0.9998


def test_the_embedder_takes_it_for_its_own_model_in_the_precision_of_the_processor(plain, embedder):
    assert np.abs(embedder.embed_documents(TEXTS) - plain).max() < (3e-3 if multiplies_bf16() else 2e-6)


def test_a_text_has_the_same_vector_alone_and_in_company():
    alone, among = vectors(TEXTS[:1], bf16=False), vectors(bf16=False)[:1]
    assert np.abs(alone - among).max() < 1e-6


def test_first_token_pooling_is_that_of_sentence_transformers(tmp_path):
    from sentence_transformers import SentenceTransformer

    folder = shutil.copytree(embedded_model(), tmp_path / "first")
    place = folder / "1_Pooling" / "config.json"
    changed = {"pooling_mode_mean_tokens": False, "pooling_mode_cls_token": True}
    place.write_text(json.dumps(json.loads(place.read_text()) | changed))
    wanted = SentenceTransformer(str(folder), device="cpu").encode(TEXTS[:3], normalize_embeddings=True)
    assert np.abs(vectors(TEXTS[:3], bf16=False, folder=folder) - wanted).max() < 2e-6


@pytest.mark.parametrize(
    ("file", "changes"),
    [
        ("config.json", {"model_type": "mpnet"}),
        ("config.json", {"hidden_act": "relu"}),
        ("config.json", {"position_embedding_type": "relative_key"}),
        ("1_Pooling/config.json", {"pooling_mode_max_tokens": True}),
        ("sentence_bert_config.json", {"do_lower_case": True}),
    ],
)
def test_another_kind_of_model_is_left_to_sentence_transformers(tmp_path, file, changes):
    folder = shutil.copytree(embedded_model(), tmp_path / "other")
    (folder / file).write_text(json.dumps(json.loads((folder / file).read_text()) | changes))
    assert SentenceBert.open(folder) is None


@pytest.mark.parametrize(
    ("file", "changes"),
    [
        ("tokenizer_config.json", {"do_lower_case": False}),
        ("tokenizer_config.json", {"strip_accents": True}),
        ("tokenizer.json", {"normalizer": None}),
    ],
)
def test_where_the_files_disagree_on_how_text_is_read_sentence_transformers_reads_it(tmp_path, file, changes):
    folder = shutil.copytree(embedded_model(), tmp_path / "other")
    (folder / file).write_text(json.dumps(json.loads((folder / file).read_text()) | changes))
    assert SentenceBert.open(folder) is None


def test_weights_of_other_names_are_left_to_sentence_transformers(tmp_path):
    folder = shutil.copytree(embedded_model(), tmp_path / "old")
    weights = {name.replace("Norm.weight", "Norm.gamma"): t for name, t in load_file(folder / WEIGHTS).items()}
    save_file(weights, folder / WEIGHTS)
    assert SentenceBert.open(folder) is None


def test_what_a_config_leaves_out_is_as_in_transformers():
    from transformers import BertConfig as Theirs

    found, theirs = BertConfig.read({"model_type": "bert", "hidden_act": "gelu"}), Theirs()
    assert found is not None
    assert (found.layers, found.heads) == (theirs.num_hidden_layers, theirs.num_attention_heads)
    assert found.epsilon == theirs.layer_norm_eps


def test_a_folder_saved_by_this_sentence_transformers_gives_the_same_vectors(tmp_path, plain):
    from sentence_transformers import SentenceTransformer

    SentenceTransformer(str(embedded_model()), device="cpu").save(str(tmp_path / "saved"))
    assert SentenceBert.open(tmp_path / "saved") is not None
    saved = SentenceTransformerEmbedder(tmp_path / "saved")
    assert saved.max_tokens == SentenceTransformerEmbedder(embedded_model()).max_tokens == 254
    assert np.abs(saved.embed_documents(TEXTS) - plain).max() < (3e-3 if multiplies_bf16() else 2e-6)


@pytest.mark.parametrize(("spelt", "longest"), [(1000, 512), (None, 512), (100, 100)])
def test_no_text_is_longer_than_the_model_has_positions(tmp_path, spelt, longest):
    folder = shutil.copytree(embedded_model(), tmp_path / "long")
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": spelt}))
    embedder = SentenceTransformerEmbedder(folder)
    assert embedder.max_tokens == longest - 2
    assert embedder.embed_documents(["too long to be read " * 400]).shape == (1, 384)


def test_a_model_that_is_left_to_sentence_transformers_gives_vectors(tmp_path, plain):
    folder = shutil.copytree(embedded_model(), tmp_path / "lower")
    place = folder / "sentence_bert_config.json"
    place.write_text(
        json.dumps(json.loads(place.read_text()) | {"do_lower_case": True})
    )  # its tokenizer does it anyway
    other = SentenceTransformerEmbedder(folder)
    assert np.abs(other.embed_documents(TEXTS) - plain).max() < 2e-6
    assert np.abs(other.embed_query(TEXTS[0]) - plain[0]).max() < 2e-6
    assert other.embed_documents([]).shape == (0, 384)


def test_what_one_precision_embedded_the_other_finds():
    papers = ["Cats chase mice in the barn.", "Interest rates rose in spring.", "The tagger was trained on news."]
    questions = ["what do cats hunt?", "when did rates go up?", "what was the tagger trained on?"]
    for of_papers, of_questions in [(False, True), (True, False)]:
        scores = vectors(questions, bf16=of_questions) @ vectors(papers, bf16=of_papers).T
        assert scores.argmax(1).tolist() == [0, 1, 2]
        assert np.abs(scores - vectors(questions, bf16=False) @ vectors(papers, bf16=False).T).max() < 5e-3


def test_token_types_count():
    from transformers import BertModel

    model = BertModel.from_pretrained(str(embedded_model()), add_pooling_layer=False, local_files_only=True).eval()
    config = BertConfig.read(model.config.to_dict())
    packed = PackedBert(model.state_dict(), config, bf16=False)
    ids, types = [[101, 2054, 102, 4937, 102], [101, 2040, 102]], [[0, 0, 0, 1, 1], [0, 0, 0]]
    states = packed(ids, types).split([5, 3])
    for text, sort, found in zip(ids, types, states, strict=True):
        with torch.inference_mode():
            wanted = model(input_ids=torch.tensor([text]), token_type_ids=torch.tensor([sort])).last_hidden_state[0]
        assert torch.allclose(found, wanted, atol=1e-5)


def test_batches_are_consecutive_and_hold_about_as_many_tokens_as_fit():
    assert batches([]) == []
    assert batches([BATCH_TOKENS + 5]) == [range(1)]
    lengths = [400, 400, 300, 900, 50, 50]
    found = batches(lengths)
    assert [i for batch in found for i in batch] == list(range(6))
    assert [list(batch) for batch in found] == [[0, 1], [2], [3, 4, 5]]
