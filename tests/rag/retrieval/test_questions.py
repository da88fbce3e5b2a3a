"""What kind of question it is, which papers it names, and what a follow-up leaves out: by rule, precision first."""

from __future__ import annotations

import gzip
import json
import random
from dataclasses import replace
from pathlib import Path

import pytest

from ingest import Paper
from rag.answer import Scope
from rag.retrieval.followups import follow_up
from rag.retrieval.naming import unquoted_title
from rag.retrieval.questions import kind_of, named_papers, plan

CASES = [json.loads(line) for line in Path(__file__).with_name("followups.jsonl").read_text("utf-8").splitlines()]


def paper(number: int, title: str, *authors: str, year: int = 2019) -> Paper:
    return Paper(id=f"{number:016x}", title=title, authors=authors, year=year, n_pages=9, file_name=f"{number}.pdf")


VASWANI = paper(1, "Attention Is All You Need", "Ashish Vaswani", "Noam Shazeer", year=2017)
DEVLIN = paper(2, "BERT: Pre-training of Deep Bidirectional Transformers", "Jacob Devlin", "Ming-Wei Chang")
SMITH = paper(3, "Large Language Models", "Jane Smith", "Bob Jones")
MUELLER = paper(4, "Keeping Garden Seeds", "Zoë Müller", year=2021)
ALL = Scope((VASWANI, DEVLIN, SMITH, MUELLER), whole=True)


@pytest.fixture(scope="module")
def qasper(shared_data):
    path = shared_data / "qasper" / "dev.json.gz"
    papers = json.loads(gzip.decompress(path.read_bytes()))
    return [(name, row["title"], qa) for name, row in papers.items() for qa in row["qas"]]


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("Summarise these papers.", "summary"),
        ("In short, what are these papers about?", "summary"),
        ("TL;DR of these papers", "summary"),
        ("Give me the gist of these papers.", "summary"),
        ("Can you please give me a short summary of these papers in three sentences?", "summary"),
        ("What are they about?", "summary"),
        ("What are the main findings of these papers?", "summary"),
        ("Summarize the evaluation section.", "fact"),
        ("Which summarisation algorithms are used?", "fact"),
        ("What is the data set about?", "fact"),
        ("Compare these papers.", "comparison"),
        ("How do these papers differ in their data?", "comparison"),
        ("What do these papers say about dropout?", "comparison"),
        ("Do these papers agree on the learning rate?", "comparison"),
        ("What is the difference between LoRA and full fine-tuning?", "fact"),
        ("Which baselines do they compare with?", "fact"),
        ("Which papers mention quantisation?", "papers"),
        ("which of my papers talk about seeds", "papers"),
        ("List all papers about attention.", "papers"),
        ("In which papers is LoRA evaluated?", "papers"),
        ("Are there any papers about seeds?", "papers"),
        ("Which papers do they cite?", "fact"),
        ("Which paper was published first?", "fact"),
        ("What does the paper say about attention?", "fact"),
    ],
)
def test_a_kind_is_read_from_the_whole_question(question: str, kind: str) -> None:
    assert kind_of(question, n_papers=4) == kind


def test_a_summary_of_one_paper_needs_one_paper() -> None:
    one = Scope((SMITH,))
    assert plan("Summarise this paper.", scope=one).kind == "summary"
    assert plan("What is it about?", scope=one, history=[("How is LoRA trained?", "With SGD [1].")]).kind == "summary"
    unsure = plan("Summarise this paper.", scope=ALL)
    assert unsure.kind == "summary"
    assert "which of the 4 papers you mean" in (unsure.notice or "")
    assert plan("What is it about?", scope=ALL, history=[("How is LoRA trained?", "")]).searched


def test_too_many_papers_are_not_compared_and_the_user_is_told() -> None:
    many = Scope(tuple(paper(n, f"Title {n}") for n in range(9)))
    taken = plan("Compare these papers.", scope=many)
    assert "Choose at most 8" in (taken.unclear or "")
    some = plan("Compare the learning rates in these papers.", scope=many)
    assert some.kind == "fact"
    assert "Choose at most 8" in (some.notice or "")
    assert plan("How large is it?", scope=many).notice is None


def test_which_of_many_papers_is_meant_is_asked_and_the_name_answers() -> None:
    many = Scope((SMITH, *(paper(n, f"Title {n}") for n in range(10, 19))))
    asks = plan("What is this paper about?", scope=many)
    assert (asks.unclear or "").startswith("Which paper do you mean?")
    told = plan("the one by Smith 2019", scope=many, history=[("What is this paper about?", asks.unclear or "")])
    assert told.kind == "summary"
    assert told.scope.papers == (SMITH,)
    other = plan("How is LoRA trained?", scope=many, history=[("What is this paper about?", asks.unclear or "")])
    assert other.kind == "fact"
    described = plan("the garden seeds one", scope=many, history=[("Summarise it.", asks.unclear or "")])
    assert (described.kind, described.sought) == ("summary", "garden seeds")
    thanks = plan("Thanks, never mind", scope=many, history=[("Summarise it.", asks.unclear or "")])
    assert thanks.sought is None


def test_one_paper_is_neither_compared_nor_listed() -> None:
    assert kind_of("Compare these papers.", n_papers=1) == "fact"
    assert kind_of("Which papers mention LoRA?", n_papers=1) == "fact"


@pytest.mark.parametrize(
    ("question", "named"),
    [
        ("What does Smith 2019 say about scaling?", [SMITH]),
        ("what does smith et al. (2019) say about scaling?", [SMITH]),
        ("Which data set do Smith and Jones 2019 use?", [SMITH]),
        ("According to Muller 2021, how long do seeds keep?", [MUELLER]),
        ("What are Smith 2019's main limitations?", [SMITH]),
        ("Which optimizer is used in the BERT paper?", [DEVLIN]),
        ("What does the paper Keeping Garden Seeds say about frost?", [MUELLER]),
        ("Summarise “Large Language Models”", [SMITH]),
        ("What is Attention Is All You Need about?", [VASWANI]),
        ("What is the difference between Vaswani et al. 2017 and Devlin et al. 2019?", [VASWANI, DEVLIN]),
        ("How does Devlin et al. (2019) differ from Vaswani et al. (2017)?", [VASWANI, DEVLIN]),
        ("What does Smith 2020 say about scaling?", []),
        ("How good are large language models at arithmetic?", []),
        ("How long do garden seeds keep, according to the authors?", []),
        ("How does BERT compare with RoBERTa?", []),
        ("Which papers build on Smith 2019?", []),
        ("Is the proposed model better than Smith 2019?", []),
        ("Who are the authors of “Large Language Models”?", []),
    ],
)
def test_a_paper_is_named_where_it_is_asked_and_not_where_it_is_mentioned(question: str, named: list[Paper]) -> None:
    assert list(named_papers(question, ALL.papers)[0]) == named


def test_a_named_paper_narrows_the_scope_also_for_the_follow_up() -> None:
    first = "What does Smith 2019 say about scaling?"
    assert plan(first, scope=ALL).scope == Scope((SMITH,), named=True)
    then = plan("And about data?", scope=ALL, history=[(first, "It scales [1].")])
    assert then.scope == Scope((SMITH,), named=True)
    assert "scaling" in (then.searched or "")


@pytest.mark.parametrize(
    "question",
    [
        "When is the second study planned?",
        "What was the dose in report 2?",
        "What is the first study design used?",
        "What was the dose in trial number 2?",
        "How old was patient no. 2?",
        "What did patient #2 report?",
        "What was measured in study 2?",
    ],
)
def test_a_place_in_a_list_is_that_of_a_paper(question: str) -> None:
    history = [("List my papers", "1. “Attention Is All You Need”\n2. “Large Language Models”")]
    assert plan(question, scope=ALL, history=history).scope == ALL


@pytest.mark.parametrize(
    "question",
    [
        "What does the second one say?",
        "What does the second paper say about data?",
        "Summarise number 2",
        "What does #2 say?",
    ],
)
def test_the_second_paper_of_a_list_is_asked(question: str) -> None:
    history = [("List my papers", "1. “Attention Is All You Need”\n2. “Large Language Models”")]
    assert plan(question, scope=ALL, history=history).scope == Scope((SMITH,), named=True)


def test_a_comparison_by_name_says_whether_it_has_a_topic() -> None:
    assert not plan("Compare Smith 2019 and Devlin et al. 2019.", scope=ALL).topical
    assert plan("Compare the training data of these papers.", scope=ALL).topical


ELMO = paper(5, "ELMo: Deep Contextualized Word Representations", "Matthew Peters", year=2018)


@pytest.mark.parametrize(
    ("question", "compared"),
    [
        ("Compare what Vaswani 2017 and Smith say about data", (VASWANI, SMITH)),
        ("Which of Vaswani and Müller trained for longer?", (VASWANI, MUELLER)),
        ("Is the learning rate of Vaswani 2017 higher than that of Devlin et al.?", (VASWANI, DEVLIN)),
        ("What are the differences in methods between Devlin and Smith?", (DEVLIN, SMITH)),
        ("What is the difference between BERT and ELMo?", (DEVLIN, ELMO)),
        ("Is BERT larger than ELMo?", (DEVLIN, ELMO)),
        ("What does BERT use?", ()),
        ("Is BERT larger than GPT?", ()),
        ("How does a model compare to BERT?", ()),
        ("Do Chang and Devlin agree with each other?", ()),
    ],
)
def test_a_question_that_compares_two_named_papers_asks_both_in_whatever_words(question, compared) -> None:
    taken = plan(question, scope=Scope((*ALL.papers, ELMO), whole=True))
    assert (taken.kind == "comparison") == bool(compared)
    if compared:
        assert taken.scope.papers == compared


DIABETES = paper(6, "Diabetes: A Review of Outcomes", "Nina Fisher", year=2015)
STROKE = paper(7, "Stroke: Causes and Risks", "Omar Welch", year=2016)
LORA = paper(8, "LoRA: Low-Rank Adaptation", "Edward Hu", year=2021)


@pytest.mark.parametrize(
    "question",
    [
        "Which papers compare BERT with LoRA?",
        "Which studies contrasted Smith 2019 with Devlin et al. 2019?",
        "Has anyone compared BERT with LoRA?",
        "Who has compared BERT and LoRA?",
        "What do other papers say about the differences between BERT and LoRA?",
        "Which authors disagree with both Smith 2019 and Devlin et al. 2019?",
        "Does diabetes differ from stroke in its causes?",
        "Is diabetes more common than stroke?",
        "When does Fisher's exact test differ from Welch's t-test?",
        "Is the Fisher test better than the Welch test?",
    ],
)
def test_a_question_to_other_papers_or_about_things_of_that_name_stays_with_all_papers(question) -> None:
    scope = Scope((*ALL.papers, ELMO, DIABETES, STROKE, LORA), whole=True)
    assert plan(question, scope=scope).scope == scope


@pytest.mark.parametrize(
    ("question", "compared"),
    [
        ("What does Smith test?", (SMITH,)),
        ("How do the papers by Smith and Devlin differ?", (DEVLIN, SMITH)),
        ("What do the papers by Smith and by Devlin have in common?", (DEVLIN, SMITH)),
        ("How does lora differ from bert?", (DEVLIN, LORA)),
        ("Are LoRA and BERT compared on the same data?", (DEVLIN, LORA)),
        ("Is Diabetes or Stroke the longer paper, and do both agree?", (DIABETES, STROKE)),
        ("Which of Fisher's and Welch's results are higher than the other's?", (DIABETES, STROKE)),
        ("Which of the papers Smith 2019 and Devlin et al. 2019 used more data?", (DEVLIN, SMITH)),
        ("Who trained for longer than the other, Smith 2019 or Devlin et al. 2019?", (DEVLIN, SMITH)),
    ],
)
def test_two_papers_that_are_named_so_are_still_compared(question, compared) -> None:
    taken = plan(question, scope=Scope((*ALL.papers, ELMO, DIABETES, STROKE, LORA), whole=True))
    assert taken.scope.papers == compared


def test_a_paper_that_is_asked_about_a_difference_is_asked_alone() -> None:
    black, white = paper(9, "On Trials", "Ann Black", year=2012), paper(10, "On Care", "Eve White", year=2013)
    scope = Scope((*ALL.papers, black, white), whole=True)
    for question in (
        "What does Smith 2019 say about the difference between Black and White patients?",
        "According to Smith 2019, how do Black and White participants differ?",
    ):
        taken = plan(question, scope=scope)
        assert (taken.kind, taken.scope.papers) == ("fact", (SMITH,))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["question"])
def test_a_complete_question_is_never_touched(case) -> None:
    if case["carries"] is None:
        assert follow_up(case["question"], [tuple(turn) for turn in case["history"]]) is None


def test_follow_ups_carry_the_words_of_the_chat() -> None:
    def right(case) -> bool:
        made = follow_up(case["question"], [tuple(turn) for turn in case["history"]])
        return made is not None and all(word.casefold() in made.text.casefold() for word in case["carries"])

    cases = [case for case in CASES if case["carries"] is not None]
    assert len(cases) >= 60
    assert sum(map(right, cases)) >= 0.97 * len(cases)


def test_the_answer_weighs_less_than_the_question() -> None:
    answer = "LoRA trains ADAPTERS in SmolLM2 and GPT2 and RoBERTa and LLaMA [1]. An UNCITED sentence."
    made = follow_up("Why is it better?", [("How does prefix tuning work?", answer)])
    assert made is not None
    carried = made.text.partition("(")[2].rstrip(")?").split(", ")
    assert carried[0] == "prefix tuning"
    assert len(carried) == 3
    assert "UNCITED" not in made.text


def test_the_chat_is_followed_back_to_a_complete_question() -> None:
    history = [("How well does BERT do on SQuAD?", ""), ("And in German?", ""), ("Why?", "")]
    made = follow_up("How was it trained?", history)
    assert made is not None
    assert made.of == "How well does BERT do on SQuAD?"
    assert {"BERT", "SQuAD", "German"} <= set(made.text.replace("(", " ").replace(")", " ").replace(",", " ").split())


def test_questions_of_qasper_are_fact_questions_that_name_no_other_paper(qasper) -> None:
    questions = [qa["question"] for _, _, qa in qasper]
    assert len(questions) == 1005
    assert [q for q in questions if kind_of(q, n_papers=1) != "fact"] == []
    assert [q for q in questions if kind_of(q, n_papers=4) != "fact"] == []
    titles = sorted({title for _, title, _ in qasper})
    papers = [paper(n, title) for n, title in enumerate(titles)]
    assert [q for q in questions if named_papers(q, papers)[0]] == []


def test_questions_of_qasper_stay_as_they_are_after_an_unrelated_question(qasper) -> None:
    chance = random.Random(0)
    touched = []
    for name, _, qa in qasper:
        other = chance.choice([row for row in qasper if row[0] != name])[2]
        said = other["answers"][0]["answer"]
        answer = said["free_form_answer"] or " ".join(said["extractive_spans"] or said["evidence"]) or "Yes."
        if follow_up(qa["question"], [(other["question"], f"{answer} [1]")]):
            touched.append(qa["question"])
    assert len(touched) <= 0.02 * len(qasper), touched


def test_a_title_that_its_publisher_quoted_has_one_pair_of_quotation_marks() -> None:
    for title in ("“Effects of basil”", '"Effects of basil"', "Effects of basil"):
        assert unquoted_title(replace(SMITH, title=title)) == "Effects of basil"
    assert unquoted_title(replace(SMITH, title="“Basil” and “mint”")) == "“Basil” and “mint”"
