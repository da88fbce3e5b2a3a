"""Who wrote a described paper, and where it appeared, told from questions about what papers say."""

from __future__ import annotations

import pytest

from rag.catalogue.described import described
from rag.retrieval.forms import NAMED
from rag.retrieval.naming import Plain


@pytest.mark.parametrize(
    ("question", "topic", "fields"),
    [
        ("Who wrote the review on ants, and in which journal did it come out?", "review on ants", ("authors", "venue")),
        (
            "Who measured the elements in plants, and where and when was it published?",
            "elements in plants",
            ("authors", "venue", "year"),
        ),
        (
            "Who published the test of oil against moths, in what year and in which journal?",
            "test of oil against moths",
            ("authors", "year", "venue"),
        ),
        (
            f"When and where did {NAMED} publish their moth paper, and who were the co-authors?",
            NAMED,
            ("venue", "year", "authors"),
        ),
        ("When was the review on ants published?", "review on ants", ("year",)),
        (
            "In which journal and year did the study of oil against moths come out?",
            "study of oil against moths",
            ("venue", "year"),
        ),
        ("What year and journal was the moth review published in?", "moth review", ("year", "venue")),
        (
            "Who wrote the Spanish course on spatial data analysis, and in which year was it published?",
            "spanish course on spatial data analysis",
            ("authors", "year"),
        ),
        (
            "Who are the authors of the practical guide to ant econometrics and when did it come out?",
            "practical guide to ant econometrics",
            ("authors", "year"),
        ),
    ],
)
def test_what_the_records_answer_is_recognised(question: str, topic: str, fields: tuple[str, ...]) -> None:
    found = described(Plain(question).text)
    assert found is not None
    assert (found.topic, found.fields) == (topic, fields)


@pytest.mark.parametrize(
    "question",
    [
        "Who wrote the code?",
        "Who annotated the data?",
        "Who developed BLEU, and when was it published?",
        "When was the data set released?",
        "Where was the study conducted?",
        "Who wrote the data report?",
        "Who wrote the report on which the original questionnaire was based?",
        "When was the IPCC report on climate change released?",
        "Where was the WHO report on air pollution published?",
        "In which year and journal was the questionnaire published?",
        "In which city and year did the study take place?",
        "Who tested the drug, and when?",
        "Who wrote the paper, and how long did it take?",
        "When did the side effects in the trial appear?",
        "Where did the tumours in the animal study appear?",
        "Where was the dopamine in the microdialysis study released?",
        "Who published the first study on insulin?",
        "Who wrote the survey used to measure pain?",
        "Where was the questionnaire in the study published?",
    ],
)
def test_what_papers_say_is_left_to_them(question: str) -> None:
    assert described(Plain(question).text) is None
