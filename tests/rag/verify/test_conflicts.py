"""Two papers that contradict each other are shown; two that speak of different things are not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fake_embedder import HashEmbedder
from fakes import ScriptedChatModel
from ingest import Chunk, Page, Paper, ParsedPaper
from rag import Assistant, RagSettings
from rag.answer import Answer, Conflict, Passage
from rag.costs.accounting import Trace
from rag.render import disagreements, full_answer
from rag.verify.conflicts import SHOWN, conflicts

QUESTION = "How was the Transformer trained, and how good is it?"
ASIDE = "Section 4 turns to the attention heads and what they look at."


def passage(marker, text, *, paper=None, title="T"):
    paper_id = f"{paper or marker:016x}"
    chunk = Chunk(
        id=f"{paper_id}:{marker:04d}", paper_id=paper_id, ordinal=marker, text=text, start=0, end=len(text),
        first_page=marker, last_page=marker, section=None, n_tokens=30,
    )  # fmt: skip
    return Passage(marker, chunk, Paper(id=paper_id, title=title, n_pages=9, file_name="t.pdf"), 1.0, ("dense",))


def between(one, other, *, question=QUESTION, answer=None, papers=(1, 2), titles=("One", "Other")):
    passages = [
        passage(1, f"{ASIDE} {one}", paper=papers[0], title=titles[0]),
        passage(2, "Retrieval with BM25 was the strongest baseline on all four data sets.", paper=7),
        passage(3, f"{other} {ASIDE}", paper=papers[1], title=titles[1]),
    ]
    return conflicts(question, [one] if answer is None else answer, passages=passages)


NUMBERS = [
    (
        "The Transformer was trained for 3.5 days on 8 GPUs.",
        "The Transformer was trained for 3.5 days on 12 GPUs.",
    ),
    (
        "We report that the base Transformer reaches 27.3 BLEU on the WMT14 test set.",
        "On the WMT14 test set the base Transformer reaches 25.1 BLEU, according to its authors.",
    ),
    (
        "Mice of the control group received 20 mg of metformin every day.",
        "Every day mice of the control group received 40 mg of metformin.",
    ),
    (
        "SQuAD contains 107,785 questions on 536 Wikipedia articles.",
        "SQuAD contains 87,599 questions on 536 Wikipedia articles.",
    ),
    (
        "The vaccine reduced hospital admissions by 62 % in the elderly cohort.",
        "The vaccine reduced hospital admissions by 26 percent in the elderly cohort.",
    ),
    (
        "Participants slept fewer than 6 hours before the memory test.",
        "Participants slept fewer than 4 hours before the memory test.",
    ),
]
CLAIMS = [
    (
        "Dropout improves the Transformer on small corpora.",
        "Dropout does not improve the Transformer on small corpora.",
    ),
    (
        "BERT outperforms the BiLSTM on SQuAD by a wide margin.",
        "BERT underperforms the BiLSTM on SQuAD by a wide margin.",
    ),
    (
        "Metformin increases glucose uptake in skeletal muscle.",
        "Metformin decreases glucose uptake in skeletal muscle.",
    ),
    (
        "The annotators could not agree on the irony of political tweets.",
        "The annotators could agree on the irony of political tweets.",
    ),
]


@pytest.mark.parametrize(("one", "other"), NUMBERS)
def test_two_papers_with_other_numbers_for_the_same_thing_disagree(one, other):
    (found,) = between(one, other)
    assert (found.kind, found.markers, found.quotes) == ("number", (1, 3), (one, other))


@pytest.mark.parametrize(("one", "other"), CLAIMS)
def test_a_claim_and_its_denial_disagree(one, other):
    (found,) = between(one, other)
    assert (found.kind, found.markers, found.quotes) == ("negation", (1, 3), (one, other))


def test_what_they_disagree_about_is_said_in_words_that_both_have():
    (found,) = between(*NUMBERS[2])
    assert found.about == "Mice control group received metformin every day"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(
            "BERT was trained for 4 days on 16 TPUs.", "RoBERTa was trained for 1 day on 16 TPUs.", id="another model"
        ),
        pytest.param(
            "The base Transformer reaches 27.3 BLEU on WMT14.",
            "The base Transformer reaches 34.2 BLEU on IWSLT.",
            id="another data set",
        ),
        pytest.param(
            "The base Transformer reaches 27.3 BLEU on the development set of WMT14.",
            "The base Transformer reaches 25.8 BLEU on the test set of WMT14.",
            id="another split",
        ),
        pytest.param(
            "Male mice received 20 mg of metformin daily.", "Female mice received 40 mg of metformin daily.", id="sex"
        ),
        pytest.param(
            "Cells of the spleen were incubated for 30 min at 37 °C.",
            "Cells of the spleen were incubated for 30 min at 37 °C with 5 % serum.",
            id="one says more",
        ),
        pytest.param(
            "Cells of the spleen were incubated for 30 min at 37 °C.",
            "Cells of the spleen were incubated for 60 min at 25 °C.",
            id="another condition",
        ),
        pytest.param(
            "The Transformer was trained for 12 hours on the news corpus.",
            "The Transformer was trained for 12 epochs on the news corpus.",
            id="another unit",
        ),
        pytest.param(
            "The news corpus holds 20 GB of German text.",
            "The news corpus holds 3 million lines of German text.",
            id="size in another measure",
        ),
        pytest.param(
            "We trained the tagger for 10 epochs with dropout on the treebank.",
            "We trained the tagger for 30 epochs with dropout on the treebank.",
            id="each speaks of its own work",
        ),
        pytest.param(
            "This model reaches 75.97 % accuracy on the test set of the SwDA corpus.",
            "This model reaches 72.59 % accuracy on the test set of the SwDA corpus.",
            id="each speaks of what was named before",
        ),
        pytest.param(
            "SQuAD contains about 108,000 questions on Wikipedia articles.",
            "SQuAD contains 107,785 questions on Wikipedia articles.",
            id="rounded",
        ),
        pytest.param(
            "The Transformer reaches an accuracy of 84.6 % on SQuAD.",
            "The Transformer reaches an accuracy of 84.57 % on SQuAD.",
            id="fewer decimals",
        ),
        pytest.param(
            "SQuAD contains more than 100,000 questions on Wikipedia articles.",
            "SQuAD contains 107,785 questions on Wikipedia articles.",
            id="a bound",
        ),
        pytest.param(
            "Fine-tuning the Transformer takes 2 to 4 epochs on SQuAD.",
            "Fine-tuning the Transformer takes 3 epochs on SQuAD.",
            id="a range",
        ),
        pytest.param(
            "The learning rate of the Transformer was 0.12 during warm-up.",
            "The learning rate of the Transformer was 12 % during warm-up.",
            id="per cent or share",
        ),
        pytest.param(
            "Table 2 lists the scores of the Transformer on SQuAD.",
            "Table 5 lists the scores of the Transformer on SQuAD.",
            id="a label",
        ),
        pytest.param(
            "The Transformer won the shared task of SemEval 2016 on tweets.",
            "The Transformer won the shared task of SemEval 2017 on tweets.",
            id="another edition",
        ),
        pytest.param(
            "Transformer base 27.3 38.1 65 100 3.5 8 12", "Transformer base 27.3 38.9 65 213 3.5 8 12", id="a table"
        ),
        pytest.param(
            "Supervised training of the Transformer needs labelled tweets.",
            "Unsupervised training of the Transformer needs labelled tweets.",
            id="kinds told apart by an opposite",
        ),
        pytest.param(
            "Does dropout improve the Transformer on small corpora?",
            "Dropout does not improve the Transformer on small corpora.",
            id="a question",
        ),
        pytest.param(
            "Dropout does not only improve the Transformer but also the BiLSTM.",
            "Dropout improves the Transformer and the BiLSTM alike.",
            id="not only",
        ),
        pytest.param(
            "RESULTS Median follow-up of the patients was 2.5 years.",
            "RESULTS Median follow-up of the patients was 6.3 years.",
            id="each study's own frame",
        ),
        pytest.param("There are 28 participants.", "There are 43 participants.", id="about nothing in particular"),
    ],
)
def test_different_things_are_no_conflict(one, other):
    assert between(one, other) == ()
    assert between(other, one) == ()


def test_a_paper_does_not_disagree_with_itself():
    text = "The Transformer was trained for 3.5 days on 8 GPUs."
    assert between(text, "On 8 GPUs the Transformer was trained for 3.5 days.", papers=(1, 1)) == ()
    assert between(text, "The Transformer was trained for 12 hours on 8 GPUs.", papers=(1, 1)) == ()


def test_two_versions_of_one_work_may_disagree_about_its_own_experiment():
    one = "We trained the perceptron tagger for 10 epochs on the German treebank."
    other = "We trained the perceptron tagger for 30 epochs on the German treebank."
    assert between(one, other, titles=("A tagger", "Another")) == ()
    assert len(between(one, other, titles=("A tagger", "A  Tagger"))) == 1


def test_what_neither_question_nor_answer_speaks_of_is_left_out():
    asked = {"question": "Which colours do bees see?", "answer": ["Bees see ultraviolet light."]}
    assert between(*NUMBERS[0], **asked) == ()


def test_no_more_are_shown_than_a_reader_will_look_at():
    pairs = [*NUMBERS[:3], CLAIMS[1]]
    passages = [passage(k, text) for k, text in enumerate((text for pair in pairs for text in pair), start=1)]
    assert len(conflicts(QUESTION, [one for one, _ in pairs], passages=passages)) == SHOWN


def test_quotes_are_verbatim_slices_of_their_passages():
    passages = [passage(1, f"{ASIDE}\n{NUMBERS[0][0]}"), passage(2, f"{NUMBERS[0][1]}  {ASIDE}")]
    (found,) = conflicts(QUESTION, [NUMBERS[0][0]], passages=passages)
    assert all(quote in p.chunk.text for quote, p in zip(found.quotes, passages, strict=True))


def answer_with(*found, passages):
    return Answer(question=QUESTION, text="It was.", passages=passages, trace=Trace().finish(), conflicts=found)


def test_the_answer_shows_both_sides_with_links_and_inert_text():
    passages = (passage(1, "It took [8](http://x.org) GPUs."), passage(3, "It took 12 GPUs."))
    conflict = Conflict("number", "took GPUs", (1, 3), (passages[0].chunk.text, passages[1].chunk.text))
    shown = full_answer(answer_with(conflict, passages=passages))
    assert f"**Your papers disagree:** [1](/cite/{1:016x}/1/0001) says “It took" in shown
    assert f"[3](/cite/{3:016x}/3/0003) says “It took 12 GPUs\\.”" in shown
    assert "](http" not in disagreements(answer_with(conflict, passages=passages))


def test_an_answer_without_conflicts_has_no_such_block():
    assert disagreements(answer_with(passages=(passage(1, "It took 8 GPUs."),))) == ""


async def test_an_answer_from_two_papers_that_disagree_says_so(library):
    embedder = HashEmbedder()
    for marker, text in enumerate(NUMBERS[0], start=1):
        shown = passage(marker, f"{text} {ASIDE}", title=f"Paper {marker}")
        chunk = replace(shown.chunk, ordinal=0, first_page=1, last_page=1)
        pdf = library.kept_path(chunk.paper_id)
        pdf.touch()
        parsed = ParsedPaper(replace(shown.paper, n_pages=1), (Page(1, chunk.text),))
        vectors = embedder.embed_documents([chunk.text])
        library.add(parsed, [chunk], vectors, embedder=embedder.name, pdf=pdf)
    assistant = Assistant(
        library=library,
        embedder=embedder,
        drafter=ScriptedChatModel("The Transformer was trained on 8 GPUs [1]."),
        settings=RagSettings(drafter_sentences=0),
    )
    answer = await assistant.answer("On how many GPUs was the Transformer trained?")
    (conflict,) = answer.conflicts
    assert set(conflict.quotes) == set(NUMBERS[0])
    assert "Your papers disagree" in full_answer(answer)
