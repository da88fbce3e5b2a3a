"""What a question asks for, and which words can be that."""

from __future__ import annotations

import pytest

from rag.quoting.expected import expected, fits


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("How many patients took part?", "number"),
        ("What dose was given?", "number"),
        ("At what writing speed does it run?", "number"),
        ("What percentage of the drafts is right?", "share"),
        ("How long does a question wait in the queue?", "duration"),
        ("How long was the treatment?", "duration"),
        ("When was the survey carried out?", "year"),
        ("In which year did the trial start?", "year"),
        ("Who collected the samples?", None),
        ("How was anxiety measured?", None),
        ("How long are the documents?", None),
        ("What is the longest sequence?", None),
        ("Why do the seeds germinate?", None),
        ("How large is the corpus?", "number"),
        ("How fast does it run?", "number"),
        ("How big dataset is used?", "number"),
        ("How deep a network is used?", "number"),
        ("How large the corpus is, and why?", "number"),
        ("What was the dose?", None),
        ("How large language models are evaluated?", None),
        ("How are large language models trained, and how deep neural networks?", None),
        ("How low-resource languages are handled?", None),
        ("How small molecules bind?", None),
        ("What is temperature scaling?", None),
        ("What is dose escalation?", None),
        ("How much does X differ from Y?", None),
        ("How much do the results depend on the seed?", None),
        ("How much data is used?", "number"),
        ("How much does it cost?", "number"),
        ("When a model fails, what happens?", None),
        ("When should the drug be stopped?", None),
        ("When is dropout useful?", None),
        ("When were the samples taken?", "year"),
        ("When did the trial start?", "year"),
        ("How long is the context window?", None),
        ("How long are the vectors?", None),
        ("How long should a summary be?", None),
        ("How long can the input be?", None),
        ("How long were the patients followed?", "duration"),
        ("How long can the seeds be kept?", "duration"),
        ("How long was the follow-up?", "duration"),
        ("How long is the incubation period?", "duration"),
        ("Who benefits most?", None),
        ("Who took part?", None),
        ("Who were the participants?", None),
        ("Who is at risk?", None),
        ("Who proposed the method?", "name"),
        ("Who first described the disease?", "name"),
        ("Who funded the study?", "name"),
    ],
)
def test_the_words_of_a_question_say_what_it_asks_for(question, kind) -> None:
    assert expected(question) == kind


@pytest.mark.parametrize(
    ("kind", "answer", "fitting"),
    [
        ("number", "forty-eight rats", True),
        ("number", "the extract", False),
        ("share", "96.6 %", True),
        ("share", "two thirds of them", True),
        ("share", "an accepted wrong", False),
        ("duration", "33.3 s", True),
        ("duration", "55 ms per token", True),
        ("duration", "overnight", True),
        ("duration", "360 questions a day", False),
        ("duration", "90 d", True),
        ("duration", "3.5d", True),
        ("duration", "2 wk", True),
        ("duration", "6 mo", True),
        ("duration", "1 yr", True),
        ("duration", "30′", True),
        ("duration", "3D images", False),
        ("share", "0,34", True),
        ("share", "0·34", True),
        ("year", "on day three", True),
        ("year", "at dawn", True),
        ("number", "a pair", True),
        ("year", "in the spring of 1998", True),
        ("year", "the trial", False),
        ("name", "two authors of the WHO", True),
        ("name", "the nurses", False),
        (None, "anything", True),
    ],
)
def test_an_answer_fits_what_was_asked_for(kind, answer, fitting) -> None:
    assert fits(kind, answer) is fitting
