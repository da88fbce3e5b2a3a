"""The next token and where a text ends: arithmetic, without an engine."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.models.onnx.check import Checked, _divergence
from rag.models.onnx.writer import Slot, Wanted, _chosen, _Text

SCORES = np.array([0.0, 3.0, 1.0, 2.0], dtype=np.float32)


def draws(n=400, **options):
    dice = np.random.default_rng(7)
    return {_chosen(SCORES, Wanted(max_tokens=1, **options), dice) for _ in range(n)}


def test_at_temperature_zero_the_likeliest_is_taken():
    assert draws(5, temperature=0.0) == {1}


def test_top_k_and_top_p_leave_the_unlikely_out():
    assert draws(temperature=5.0, top_k=0, top_p=1.0) == {0, 1, 2, 3}
    assert draws(temperature=5.0, top_k=2, top_p=1.0) == {1, 3}
    assert draws(temperature=1.0, top_k=0, top_p=0.6) == {1}
    assert draws(temperature=1.0, top_k=0, top_p=0.0) == {1}


@given(st.lists(st.text("abc", max_size=4), max_size=8), st.lists(st.text("abc", min_size=1, max_size=3), max_size=2))
def test_the_text_ends_before_the_first_stop_text_however_it_comes_in_pieces(pieces, stop):
    text, shown = _Text(stop), ""
    for piece in pieces:
        shown += text.feed(piece)
        if text.ended:
            break
    shown += text.rest()
    whole = "".join(pieces)
    found = [whole.find(word) for word in stop if word in whole]
    assert text.ended == bool(found)
    if not found:
        assert shown == whole
    else:
        assert not any(word in shown for word in stop)
        assert whole.startswith(shown)


def test_a_slot_knows_what_it_has_read_and_always_leaves_one_token():
    slot = Slot(0, None)
    slot.ids = [1, 2, 3, 4]
    assert slot.shared([1, 2, 9, 4]) == 2
    assert slot.shared([1, 2, 3, 4]) == 3
    assert slot.shared([1, 2, 3, 4, 5]) == 4
    assert slot.shared([9]) == 0


def test_equal_probabilities_do_not_diverge_and_others_do():
    scores = np.array([1.0, 2.0, 3.0])
    assert _divergence(scores, scores + 5) == pytest.approx(0)
    assert _divergence(scores, scores[::-1]) > 0.5


def test_a_result_that_is_no_number_or_too_far_off_is_a_fault():
    def checked(divergence, same=5):
        return Checked(prompts=5, same_prompts=same, same_texts=0, logit_difference=0.0, divergence=divergence)

    assert checked(0.0).fault("fp32") is None
    assert "tokenizer" in checked(0.0, same=4).fault("fp32")
    assert "differ too much" in checked(5.0).fault("int4")
    assert "differ too much" in checked(float("nan")).fault("int4")
