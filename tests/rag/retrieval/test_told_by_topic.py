"""Papers that are described instead of named, and what a comparison asks of each."""

from __future__ import annotations

import pytest

from rag.retrieval.comparisons import asked_of_each, described_papers
from rag.retrieval.forms import NAMED
from rag.retrieval.topics import described_topic, reply_topic, says, tells_of_named, topic_of_papers


@pytest.mark.parametrize(
    ("question", "topic"),
    [
        ("what is the holy basil genome paper about", "holy basil genome"),
        ("summarise the paper on teaching students to code", "teaching students to code"),
        ("give me a short summary of the work on citrus seeds", "citrus seeds"),
        ("what did the study on mice find", "mice"),
        ("in short, what is the citrus seed paper about", "citrus seed"),
        ("give me the gist of the review on bacteria under water", "bacteria under water"),
        ("tl;dr of the citrus seed paper", "citrus seed"),
        ("what is the paper about", None),
        ("what is the first paper about", None),
        ("what is the data set about", None),
        ("summarise the evaluation section", None),
        ("what are the results of the ablation study", None),
        ("summarize the results of the study", None),
        ("tell me about the limitations of the study", None),
        ("what did the authors of the study find", None),
        ("summarise the evidence that sleep improves work", None),
        ("tell me about the relationship between stress and work", None),
        ("what are the results of the blood work", None),
        ("summarise the most recent paper", None),
        ("what did the randomised controlled trial find", None),
        ("summarise the trial on mice", "mice"),
        ("tell me about the lme4 package", None),
        ("tell me about the interview guide", None),
        ("what is the paper on moths about and what did they find", "moths"),
        ("can you summarise the moth paper for me", "moth"),
    ],
)
def test_a_described_paper_is_told_by_its_topic(question: str, topic: str | None) -> None:
    assert described_topic(question) == topic


def test_a_named_paper_may_be_described_too() -> None:
    assert tells_of_named(f"summarise {NAMED} on galactic rotation")
    assert tells_of_named(f"give me a short summary of the moth collecting guide by {NAMED}")
    assert not tells_of_named(f"how large is the sample in {NAMED}")
    assert not tells_of_named(f"summarise the limitations of the trial by {NAMED}")
    assert not tells_of_named(f"tell me about the interview guide by {NAMED}")
    assert not tells_of_named(f"what were the results of {NAMED} on pain intensity")


@pytest.mark.parametrize(
    ("reply", "topic"),
    [
        ("the holy basil genome one", "holy basil genome"),
        ("the paper about rats and pain", "rats and pain"),
        ("garden seeds", "garden seeds"),
        ("please list papers about caffeine", None),
        ("forget it", None),
        ("i don't know", None),
        ("what is caffeine", None),
        ("hello", None),
    ],
)
def test_a_reply_describes_a_paper_or_not(reply: str, topic: str | None) -> None:
    assert reply_topic(reply) == topic


@pytest.mark.parametrize(
    ("question", "asked"),
    [
        (
            "how heavy were the rats in N neuropathy study compared with those in N sperm study",
            "how heavy were the rats",
        ),
        ("which library does N lesson teach, and which one does N course teach", "which library does this paper teach"),
        ("compare the students of N course and N course", "what are the students"),
        ("compare N and N: how many rats did each study use", "how many rats did this study use"),
        ("how do N and N differ in the solvent", "what is the solvent"),
        ("is the dose in N higher than in N", "what is the dose"),
        ("compare N with N", None),
        ("which of N and N used more plants", None),
        ("do N and N agree", None),
        ("how many rats did N and N inject with morphine", "how many rats did this paper inject with morphine"),
        ("what side effects do N and N report for ketamine", "what side effects does this paper report for ketamine"),
        ("compare the doses in N and the side effects in N", None),
        ("how does the age in N's course compare with that in N's trial", "what is the age"),
        ("do N and N differ in the outgroup for the trees", "what is the outgroup for the trees"),
        ("did N and N use the same kind of rats", "what kind of rats did this paper use"),
        ("N and N: which drugs served as controls in each paper", "which drugs served as controls"),
        ("both N and N reviewed trials. compare up to what date each searched", "up to what date this paper searched"),
        ("N did the statistics with which program? and N", "this paper did the statistics with which program"),
        ("how old were the rats in N as opposed to N", "how old were the rats"),
        ("were the leaves dried in the same way in N and in N", "how were the leaves dried"),
        ("N and N both tested an extract - on which cells did each work", "on which cells did this paper work"),
        ("compare N and N: what strength did each of them use", "what strength did this paper use"),
        ("N and N: how many patients were in each group", "how many patients were in each group"),
        ("is the dose the same in N and in N", "is the dose the same"),
        ("what do N and N say about the same drug", "what does this paper say about the same drug"),
        ("compare the bias in N and N", "what is the bias"),
        ("N and N: how did each measure stress", "how did this paper measure stress"),
        ("N and N: what did each participant do each day", "what did each participant do each day"),
        ("N and N: how old were the people in each study group", "how old were the people in each study group"),
        ("did N and N use the same scale and the same sample", "what scale and what sample did this paper use"),
        ("did N and N find that the same genes are expressed", "did this paper find that the same genes are expressed"),
        ("how old were the rats in N and in N at baseline", "how old were the rats"),
        ("what does N conclude and how does it compare with N", "what does this paper conclude"),
        ("what is the difference in dose between N and N", "what is dose"),
        ("do N and N agree on whether basil lowers stress", None),
        ("compare N and N in a table", None),
    ],
)
def test_each_paper_is_asked_without_the_other(question: str, asked: str | None) -> None:
    found = asked_of_each(question.replace("N", NAMED))
    assert len(set(found or ())) <= 1
    assert (found or ("",))[0].removesuffix(" in this paper") == (asked or "")


def test_each_paper_may_be_asked_something_else() -> None:
    asked = "how many people joined the hackathon of N, and how long was N's course".replace("N", NAMED)
    assert asked_of_each(asked) == ("how many people joined the hackathon of this paper", "how long was this paper")


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ("what dose was given in the hek-293 paper versus N", ("what dose was given in N versus N", ("hek-293", None))),
        (
            "were the leaves dried in the same way in the 2015 caries paper and in the 2011 rat sperm paper",
            ("were the leaves dried in the same way in N and in N", ("caries", "rat sperm")),
        ),
        ("what is the dose in the paper and in the other study", None),
        ("which software was used in the citrus seed paper", None),
        ("is the pilot study as large as the control trial", None),
        ("is the user study larger than the ablation study", None),
        ("were side effects more common in the human trials than in the mouse trials", None),
        ("is the numpy package faster than the scipy package", None),
        ("did the yoga course reduce pain more than the pilates course", None),
        ("did the framingham study find the same risk as the whitehall study", None),
        (
            "what dose does N give compared with the germination paper",
            ("what dose does N give compared with N", (None, "germination")),
        ),
    ],
)
def test_two_papers_may_be_described(question: str, found: tuple | None) -> None:
    made = described_papers(question.replace("N", NAMED))
    assert (made and (made.text, made.topics)) == (found and (found[0].replace("N", NAMED), found[1]))


def test_a_workshop_is_not_asked_about_as_a_paper() -> None:
    made = described_papers(
        "how long are the genomics workshop and the moth chemistry course, compared with each other"
    )
    assert made is not None
    assert made.topics == ("genomics", "moth chemistry")
    assert made.asked() == ("how long is the workshop", "how long is the course")


def test_a_topic_of_papers_is_what_remains_of_the_question() -> None:
    topic = topic_of_papers("Which of my papers report anxiolytic effects?")
    assert says("The anxiolytic effect was strong.", topic)
    assert not says("The effect was strong.", topic)
    assert not says("Anything.", topic_of_papers("Which papers are there?"))
