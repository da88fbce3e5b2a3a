"""What is left of a text that a model broke off."""

from __future__ import annotations

import pytest

from rag.models.draft import is_repeating, whole_sentences, without_repetition


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("It was so. It was shown by Dr. Lee that", "It was so."),
        ("It was so. It took approx. ", "It was so."),
        ("It was so [1]. It took", "It was so [1]."),
        ("It was so. [1] It took", "It was so. [1]"),
        ("It was so. It took 3 days. ", "It was so. It took 3 days."),
        ("- one\n- two of", "- one\n"),
        ("It was shown by Dr. Lee that", "It was shown by Dr. Lee that"),
    ],
)
def test_the_sentence_that_a_text_breaks_off_in_is_left_out(text, whole):
    assert whole_sentences(text) == whole


def test_a_loop_is_cut_where_it_first_repeats_itself():
    loop = "The same words come again and again and again and again. "
    text = f"It was so. {loop * 5}"
    assert is_repeating(text)
    assert is_repeating(text, times=3)
    assert not is_repeating(f"It was so. {loop * 3}", times=3)
    assert without_repetition(text) == f"It was so. {loop}".strip()
