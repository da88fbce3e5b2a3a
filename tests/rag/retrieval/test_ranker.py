"""One score that means the same in every library."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.retrieval.ranker import PLAIN, features, ranker_for

DIMENSION = 384


@pytest.fixture(scope="module")
def learned(embedder):
    ranker = ranker_for(embedder.name)
    assert len(ranker.down), "the embedded model has a map of its own"
    return ranker


def scores_of(ranker, vector, vectors, words, texts):
    return ranker.scores(vector, vectors, words=words, texts=texts, sections=[None] * len(texts))


@pytest.mark.parametrize("kind", ["learned", "plain"])
def test_a_score_does_not_depend_on_the_other_candidates_and_is_a_probability(kind, learned, embedder):
    ranker = learned if kind == "learned" else PLAIN
    texts = ["The corpus has 1,200 dialogues.", "We thank our reviewers.", "Accuracy rises to 91 %."]
    vectors, vector = embedder.embed_documents(texts), embedder.embed_query("How large is the corpus?")
    together = scores_of(ranker, vector, vectors, [0.4, 0.0, 0.1], texts)
    alone = [scores_of(ranker, vector, vectors[i : i + 1], [w], [texts[i]])[0] for i, w in enumerate((0.4, 0.0, 0.1))]
    assert together == pytest.approx(alone, abs=1e-6)
    assert ((together > 0) & (together < 1)).all()
    assert together[0] == together.max()


@given(st.floats(0, 1), st.floats(0, 1))
def test_more_shared_words_never_lower_the_score(one, other):
    vector = np.eye(1, DIMENSION, dtype=np.float32)
    for ranker in (PLAIN, ranker_for("all-MiniLM-L6-v2@53aa5117")):
        low, high = scores_of(ranker, vector[0], np.repeat(vector, 2, 0), sorted((one, other)), ["text"] * 2)
        assert low <= high


def test_the_mapped_question_gives_the_same_order_as_the_likeness_part_of_the_sum(learned, embedder):
    texts = [f"Passage number {n} about corpora and {'mice' if n % 2 else 'dialogue'} data." for n in range(8)]
    vectors, vector = embedder.embed_documents(texts), embedder.embed_query("Which corpora do they use?")
    by_product = np.argsort(-(vectors @ learned.mapped(vector)))
    by_score = np.argsort(-scores_of(learned, vector, vectors, [0.0] * 8, ["same length"] * 8))
    assert (by_product == by_score).all()


def test_another_embedder_gets_the_plain_sum():
    assert ranker_for("bge-small-en-v1.5@00000000") is PLAIN


def test_the_kind_of_section_is_read_from_its_heading():
    assert features(0.0, "x", "2 Related Work")[2:] == (1, 0, 0)
    assert features(0.0, "x", "Discussion and conclusions")[2:] == (0, 1, 0)
    assert features(0.0, "x", "Acknowledgements")[2:] == (0, 0, 1)
    assert features(0.0, "x", "Methods")[2:] == features(0.0, "x", None)[2:] == (0, 0, 0)
