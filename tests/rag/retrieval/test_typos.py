"""Typing errors in a question are read as words of the passages found; rare words of the library stay."""

from __future__ import annotations

import pytest

from rag.retrieval.typos import doubtful, edits, mended

PASSAGE = (
    "Six rats were in each group. The neural network was trained on the dataset; vincristine and ethanol were given."
)


@pytest.mark.parametrize(
    ("question", "read"),
    [
        ("Wich datset was used?", "Which dataset was used?"),
        ("How meny rats were in eech group?", "How many rats were in each group?"),
        ("On what data was the netwrok traind?", "On what data was the network trained?"),
        ("How many rats were there?", None),
        ("Was the extract rinsed by rinsing?", None),
        ("What does CRISPRX do in Datset?", None),
    ],
)
def test_a_question_is_read_as_its_passages_spell_it(question: str, read: str | None) -> None:
    wrong = doubtful(question, stands=lambda word: word in PASSAGE.casefold().split())
    found = mended(question, wrong, [PASSAGE])
    assert (found and found[0]) == read
    assert found is None or set(found[1]) == set(wrong)


def test_english_words_are_never_mended_to_a_neighbour() -> None:
    assert doubtful("Was the network trained?", stands=lambda _: False) == []


@pytest.mark.parametrize(
    ("asked", "there"),
    [
        ("nitrite", "nitrate"),
        ("propanal", "propanol"),
        ("prednisone", "prednisolone"),
        ("inulin", "insulin"),
        ("leptin", "lectin"),
        ("chlorite", "chloride"),
        ("dysphagia", "dysphasia"),
        ("adsorption", "absorption"),
        ("glycan", "glucan"),
        ("whey", "when"),
    ],
)
def test_a_compound_is_not_read_as_its_neighbour(asked: str, there: str) -> None:
    assert mended(f"How much {asked} was given?", [asked], [f"Much {there} was given."]) is None


def test_a_word_of_the_library_is_no_error() -> None:
    assert doubtful("What is allodynia?", stands=lambda word: word == "allodynia") == []
    assert doubtful("What is allodynia?", stands=lambda _: False) == ["allodynia"]


def test_a_question_of_unknown_words_is_in_another_language() -> None:
    assert doubtful("wieviele bekamen ungefragt welches mittel", stands=lambda _: False) == []


@pytest.mark.parametrize(
    ("a", "b", "n"), [("abc", "abc", 0), ("abc", "acb", 1), ("datset", "dataset", 1), ("kitten", "sitting", 3)]
)
def test_edits_count_changed_added_dropped_and_swapped_letters(a: str, b: str, n: int) -> None:
    assert edits(a, b, 3) == edits(b, a, 3) == n
    assert n < 2 or edits(a, b, 1) == 2
