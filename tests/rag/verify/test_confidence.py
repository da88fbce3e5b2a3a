"""A confidence falls with the evidence, names what is wrong in words, and does not claim what was not calibrated."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ingest import Chunk, Paper
from rag.answer import Draft, Passage
from rag.costs.accounting import Usage
from rag.verify.calibration import shipped
from rag.verify.citations import cite
from rag.verify.confidence import ESCALATING, score, signals, vetoes, wants_expert

TEXT = (
    "We train a convolutional network on 4,300 labelled tweets in Arabic. "
    "The model reaches an accuracy of 87.5 % on the test set, which is 3 points above the baseline. "
    "Annotators agreed in most cases."
)
QUESTION = "Which accuracy does the model reach on the test set?"
GOOD = "The model reaches an accuracy of 87.5 % on the test set, 3 points above the baseline."


def passage(text: str = TEXT, marker: int = 1) -> Passage:
    chunk = Chunk(
        id=f"p:{marker:04d}", paper_id="p", ordinal=marker, text=text, start=0, end=len(text), first_page=1,
        last_page=1, section=None, n_tokens=50,
    )  # fmt: skip
    return Passage(marker, chunk, Paper(id="p", title="A paper", n_pages=1, file_name="a.pdf"), 0.8, ("dense",))


def draft(text: str, **more) -> Draft:
    known = {
        "model": shipped().model,
        "usage": Usage(100, 20),
        "seconds": 1.0,
        "first_token_seconds": 0.2,
        "finish_reason": "stop",
        "mean_logprob": -0.4,
        "low_logprob": -1.2,
    }
    return Draft(text=text, **known | more)


def judged(text: str, passages=None, question: str = QUESTION, **more):
    passages = (passage(),) if passages is None else passages
    cited = cite(text, passages, page_text=lambda *_: TEXT)
    return {
        "draft": draft(text, **more),
        "question": question,
        "sentences": cited.sentences,
        "passages": passages,
        "corrections": cited.corrections,
    }


def gates_of(text: str, passages=None, question: str = QUESTION, **more) -> list[str]:
    parts = judged(text, passages, question, **more)
    return [veto.code for veto in vetoes(parts.pop("draft"), **parts)]


def confidence(text: str, passages=None, question: str = QUESTION, **more):
    parts = judged(text, passages, question, **more)
    return score(parts.pop("draft"), **parts, calibration=shipped())


def test_a_draft_that_the_passages_carry_has_no_gate():
    assert gates_of(GOOD) == []


@pytest.mark.parametrize(
    ("text", "more", "code"),
    [
        ("", {}, "empty"),
        ("Question:", {}, "empty"),
        ("The text does not mention the accuracy.", {}, "abstains"),
        (GOOD, {"finish_reason": "length"}, "cut off"),
        (GOOD, {"finish_reason": ""}, "broken off"),
        (GOOD, {"finish_reason": "repetition"}, "repetition"),
        (5 * "The test set is " + "good.", {}, "repetition"),
        ("- tweets\n- tweets\n- tweets\n- accuracy", {}, "repetition"),
        ("1. It is in 32 bits.\n2. It has 16 bytes.\n3. It is in 32 bits.\n4. It is in 32 bits.", {}, "repetition"),
        ("Question: Which accuracy does the model reach on the test set?", {}, "echo"),
        ("The model does reach accuracy on the test set.", {}, "echo"),
        ("Penguins in Antarctica breed once a year near the coast.", {}, "no support"),
        ("The model reaches an accuracy of 92.1 % on the test set.", {}, "number"),
        ("The model reaches an accuracy of 87.5 % on the test set [7].", {}, "marker"),
        ("Das Modell erreicht auf dem Test-Set mit 87.5 % und ist damit nicht schlecht.", {}, "language"),
        ("Модель достигает точности 87.5 %.", {}, "language"),
    ],
)  # fmt: skip
def test_what_speaks_against_a_draft_outright_is_named(text, more, code):
    assert code in gates_of(text, **more)


def test_without_passages_nothing_was_found():
    assert gates_of(GOOD, passages=())[0] == "nothing found"


def test_a_yes_is_no_echo_and_not_empty():
    assert gates_of("Yes.", question="Is the model above the baseline?") == []
    assert gates_of("Yes, the model is above the baseline.", question="Is the model above the baseline?") == []


def test_another_language_is_only_seen_where_there_is_enough_text_to_tell():
    assert "language" not in gates_of("BLEU", question="Welche Metrik?")
    assert "language" not in gates_of(GOOD, question="Accuracy?")


def test_a_draft_with_a_gate_scores_no_more_than_such_drafts_deserved():
    for text in ("Question: Which accuracy does the model reach on the test set?", GOOD.replace("87.5", "92.1")):
        found = confidence(text)
        assert found.vetoes
        assert found.score <= shipped().vetoed
    assert confidence(GOOD).score > shipped().vetoed


def test_less_evidence_means_less_confidence():
    copied = confidence(GOOD).score
    half = confidence("The model reaches an accuracy of 87.5 % thanks to clever engineering and much patience.").score
    vague = confidence("The model reaches an accuracy that is good and shows how promising everything seems.").score
    assert copied > half > vague


def test_an_unsure_model_is_trusted_less_where_its_log_probabilities_are_known():
    assert confidence(GOOD, mean_logprob=-0.1).score > confidence(GOOD, mean_logprob=-2.5).score


def test_without_log_probabilities_there_is_still_a_figure():
    found = confidence(GOOD, mean_logprob=None, low_logprob=None)
    assert found.signals["mean_logprob"] is None
    assert found.score == pytest.approx(shipped().without_logprobs.probability(found.signals))


def test_another_model_is_judged_without_its_log_probabilities_and_without_a_figure_to_show():
    sure, unsure = (confidence(GOOD, model="Other-7B", mean_logprob=lp) for lp in (-0.01, -3.0))
    assert sure.score == unsure.score
    assert sure.signals["calibrated"] == 0
    assert confidence(GOOD).signals["calibrated"] == 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (GOOD, "The draft's only sentence is supported by your papers."),
        ("Penguins breed in Antarctica.", "The draft's only sentence is not supported by your papers."),
        (
            f"{GOOD} Penguins breed in Antarctica. Whales sing at midnight.",
            "Two of three sentences are not supported by your papers.",
        ),
        (f"Penguins breed in Antarctica. {GOOD}", "One of two sentences is not supported by your papers."),
        ("Penguins breed in Antarctica. Whales sing at midnight.", "Neither sentence is supported by your papers."),
        ("Question: which accuracy does the model reach?", "The draft only repeats the question."),
        (
            "The model reaches an accuracy of 92.1 % on the test set.",
            "The draft's only sentence is not supported by your papers.",
        ),
        ("The model reaches 87.5 % [7].", "The draft cites passage 7, which the model was not shown."),
    ],
)
def test_the_reason_is_a_sentence_that_a_person_understands(text, reason):
    assert confidence(text).reason == reason


def test_a_yes_or_no_question_said_again_is_no_answer():
    found = confidence("The model reaches the baseline.", question="Does the model reach the baseline?")
    assert found.reason == "The draft only repeats the question instead of answering yes or no."


def test_a_low_figure_names_the_signal_that_lowers_it():
    low = replace(shipped(), threshold=1.0)
    parts = judged(GOOD, mean_logprob=-6.0, low_logprob=-9.0)
    assert score(parts.pop("draft"), **parts, calibration=low).reason == "The model was unsure of its wording."


def test_auto_hands_on_what_is_weak_and_keeps_what_is_not():
    calibration = replace(shipped(), threshold=confidence(GOOD).score - 0.001)
    assert not wants_expert(confidence(GOOD), calibration=calibration)
    assert wants_expert(confidence(GOOD), calibration=replace(calibration, threshold=0.999))
    assert wants_expert(confidence("Penguins breed in Antarctica."), calibration=replace(calibration, threshold=0.0))


def test_no_larger_model_is_asked_where_another_search_would_help():
    abstained = confidence("The passages do not mention this.")
    assert abstained.vetoes == ("abstains",)
    assert not wants_expert(abstained, calibration=shipped())
    assert "nothing found" not in ESCALATING


def test_words_of_the_question_are_nothing_new():
    parts = judged("Which accuracy does the model reach?")
    parts.pop("corrections")
    found = signals(parts.pop("draft"), **parts)
    assert (found["new_words"], found["new_words_read"], found["specific"]) == (0.0, 0.0, 0.0)


def test_names_and_numbers_count_only_where_the_passages_have_them():
    def specific(text: str) -> float:
        parts = judged(text)
        parts.pop("corrections")
        return signals(parts.pop("draft"), **parts)["specific"]

    assert specific("It is 87.5 for Arabic.") > specific("It is 87.5 for Welsh.") > specific("It is 99.9 for Welsh.")
    assert specific("It is 99.9 for Welsh.") == 0
