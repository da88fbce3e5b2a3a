"""Words stand in a text when they are the same words, however they are set, and never when they only look alike."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ingest.verbatim import normalised, stand_in_order, stands_in

PAGE = (
    "We use repre-\nsentation learn\u00ading—the diﬃcult “art” of 10² steps, at p ≤ 0.05 and −3.2 points;\n"
    "a user-\ngenerated, state-of-the-art model’s naïve  view of 13.5 days, top-5 of 1,200."
    " Now here. Intra-\nor interspecific."
)


@pytest.mark.parametrize(
    "words",
    [
        "We use representation learning — the difficult",
        'learning - the difficult "art" of 10² steps, at p ≤ 0.05',
        "and -3.2 points; a user-generated, state‑of‑the‑art",
        "a usergenerated, state-of-the-art model's nai\u0308ve view",
        "NOW HERE.",
        "Now here. Intra- or interspecific",
        "intra-\nor inter-\nspecific",
        "a user-\ngenerated, state-\nof-the-art mo-\ndel's",
        "top-5 of 1,200",
        "learning—the\ndiffi\u200bcult",
    ],
)  # fmt: skip
def test_the_same_words_are_found_however_they_are_set(words):
    assert stands_in(words, PAGE)


@pytest.mark.parametrize(
    "words",
    [
        "We do not use representation learning",
        "art of 102 steps",
        "and 3.2 points",
        "3.5 days",
        "5 days",
        "of 1 days",
        "top-5 of 1",
        "state of the art",
        "nowhere",
        "presentation learning",
        "naive view",
        "",
        " \n",
    ],
)
def test_other_words_and_parts_of_words_and_numbers_are_not(words):
    assert not stands_in(words, PAGE)


def test_parts_stand_in_their_order():
    assert stand_in_order(["repre-\nsentation", "naïve view", "Now here"], PAGE)
    assert not stand_in_order(["Now here", "naïve view"], PAGE)
    assert not stand_in_order([], PAGE)


WORD = st.text(st.characters(categories=["Lu", "Ll", "Nd"], max_codepoint=0x24F), min_size=1, max_size=9)


@given(st.lists(WORD, min_size=3, max_size=30), st.data())
def test_any_words_of_a_text_stand_in_it_and_not_with_one_replaced(words, data):
    start = data.draw(st.integers(0, len(words) - 1))
    end = data.draw(st.integers(start + 1, len(words)))
    text = data.draw(st.sampled_from([" ", "\n", "  ", "\u00a0"])).join(words)
    assert stands_in(" ".join(words[start:end]), text)
    other = data.draw(WORD)
    among = {normalised(word) for word in words}
    assume(normalised(other) not in among)
    changed = [*words[start:end]]
    changed[data.draw(st.integers(0, len(changed) - 1))] = other
    assert not stands_in(" ".join(changed), text)


@given(st.text(max_size=200))
def test_what_is_normalised_stays_as_it_is(text):
    once = normalised(text)
    assert normalised(once) == once or "\u0345" in text
