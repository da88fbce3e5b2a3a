"""Questions for a definition, and the words that define."""

from __future__ import annotations

import pytest

from rag.retrieval.definitions import definition_in, term_asked


@pytest.mark.parametrize(
    ("question", "term"),
    [
        ("What is allodynia?", "allodynia"),
        ("What are endophytes?", "endophytes"),
        ("What is an adaptogen?", "adaptogen"),
        ("what is meant by “backward design” when planning a lesson?", "backward design"),
        ("What does BLEU stand for?", "BLEU"),
        ("Define biosurfactants.", "biosurfactants"),
        ("What is the accuracy?", None),
        ("What is their model?", None),
        ("What is used as a baseline?", None),
        ("What are the effects of basil?", None),
        ("What is the difference between A and B?", None),
        ("How many rats were used?", None),
        ("What does this mean for patients?", None),
        ("What does it mean?", None),
        ("What does the author mean by bias?", "bias"),
        ("What does Smith 2019 mean by allodynia?", "allodynia"),
        ("What does Smith 2019 mean?", None),
    ],
)
def test_a_question_for_a_definition_is_told_from_others(question: str, term: str | None) -> None:
    assert term_asked(question) == term


@pytest.mark.parametrize(
    ("text", "term", "words"),
    [
        (
            "Argo (Riser et al., 2016) is an international program of floats.",
            "Argo",
            "an international program of floats",
        ),
        ("Endophytes are microorganisms in plant tissue.", "endophytes", "microorganisms in plant tissue"),
        ("A soil full of water is known as waterlogging (Ali, 2003).", "waterlogging", "A soil full of water"),
        (
            "It causes hyperalgesia, and pain from a harmless stimulus (allodynia).",
            "allodynia",
            "pain from a harmless stimulus",
        ),
        ("Recall is defined as the share that is found.", "recall", "the share that is found"),
        ("By drift we mean nothing. Drift refers to a change of the data.", "drift", "a change of the data"),
    ],
)
def test_the_words_that_define_are_found(text: str, term: str, words: str) -> None:
    found = definition_in(text, term)
    assert found is not None
    _, (start, end), (low, high) = found
    assert text[start:end] == words
    assert low <= start < end <= high


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("The region is defined as a set of pixels.", "ion"),
        ("The stage is defined as the extent of spread.", "age"),
        ("Symptoms mean that it spreads.", "MS"),
        ("The alga is described as slow.", "gas"),
        ("Insulin is a matter of debate in this paper.", "insulin"),
        ("Fever is described as mild.", "fever"),
    ],
)
def test_a_part_of_a_word_and_a_remark_define_nothing(text: str, term: str) -> None:
    assert definition_in(text, term) is None


@pytest.mark.parametrize(
    "text",
    [
        "Allodynia is often seen after treatment.",
        "Allodynia was measured with acetone.",
        "What is allodynia?",
        "In the allodynia, practical work is hosted elsewhere.",
    ],
)
def test_what_is_said_of_a_term_is_no_definition(text: str) -> None:
    assert definition_in(text, "allodynia") is None
