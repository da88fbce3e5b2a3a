"""The embedded models read English: who asks in another language is told so, who asks in English is not."""

from __future__ import annotations

import gzip
import json

import pytest

from rag.retrieval.languages import language_of


@pytest.mark.parametrize(
    ("question", "language"),
    [
        ("Was sind die Hauptbestandteile des ätherischen Öls?", "German"),
        ("Wie viele Beispiele wurden benutzt?", "German"),
        ("Welche Lizenz hat das Modell?", "German"),
        ("Hauptbestandteile", None),
        ("Какви данни са използвани?", "Bulgarian"),
        ("What is the α-diversity in the Кирилица data set?", None),
        ("What was the die size?", None),
        ("What does 'der Hund' mean in the corpus?", None),
        ("Quels sont les principaux composants de l'huile ?", "French"),
        ("¿Cuáles son los componentes principales del aceite?", "Spanish"),
        ("Quali sono i componenti principali dell'olio?", "Italian"),
        ("Wat zijn de belangrijkste bestanddelen van de olie?", "Dutch"),
        ("Jakie są główne składniki olejku?", "Polish"),
        ("Какие данные были использованы?", "Russian"),
        ("Які дані використано?", "Ukrainian"),
        ("精油的主要成分是什么", "Chinese"),
        ("Is la Niña de facto en vogue?", None),
        ("How was the El Niño index computed?", None),
        ("Which de novo assembly was used in the study of de la Cruz?", None),
        ("", None),
        ("42?", None),
    ],
)
def test_german_and_bulgarian_are_told_from_english(question, language) -> None:
    assert language_of(question) == language


@pytest.mark.parametrize(
    "question",
    [
        "Was von Neumann cited?",
        "Was Das et al. cited?",
        "Was DEM used?",
        "Did Das use DEM data?",
        "Was van der Berg wrong?",
        "Was von der Leyen cited?",
        "Was von Döring cited?",
        "Was Von der Tann cited by Das and Des?",
        "Did the mice die in the war?",
        "Was DAS or DEM used by van den Berg?",
        "Von Neumann was wrong, was he?",
        "Was MIT or ETH first?",
        "WAS DER EFFECT LARGE?",
        "Where am I in the list of an unter die in war?",
        "Who will mit an in die of the list?",
    ],
)
def test_names_and_abbreviations_are_no_german(question) -> None:
    assert language_of(question) is None
    assert language_of(question, sure=True) is None


@pytest.mark.parametrize(
    "question",
    [
        "Was ist die Ursache der Krankheit?",
        "Was kostet der Bau von Windrädern?",
        "Wie hoch war die Dosis?",
        "Was hat das Modell gelernt?",
        "Wie viele Bytes braucht der Zwischenspeicher pro Token?",
        "WAS IST DIE URSACHE DER KRANKHEIT?",
        "Die Studie von Das: was ist ihr Ergebnis?",
        "An welcher Universität begann die Arbeit am Open Data Course for Biologists?",
        "In welchem Land wurde die Studie zu Tea and Health gemacht?",
    ],
)
def test_german_is_told_with_words_that_english_has_too(question) -> None:
    assert language_of(question, sure=True) == "German"


def test_to_be_sure_takes_one_word_more() -> None:
    assert language_of("Wie wirkt Koffein?") == "German"
    assert language_of("Wie wirkt Koffein?", sure=True) is None
    assert language_of("Какви данни са използвани?", sure=True) == "Bulgarian"


def test_no_english_question_is_taken_for_another_language(shared_data) -> None:
    with gzip.open(shared_data / "qasper" / "dev.json.gz", "rt") as file:
        asked = [row["question"] for paper in json.load(file).values() for row in paper["qas"]]
    assert len(asked) > 900
    assert [question for question in asked if language_of(question)] == []
