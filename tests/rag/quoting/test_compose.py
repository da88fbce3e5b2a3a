"""What is shown: the papers' own words where a draft would be worse, and no nonsense in any mode."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fake_reader import WordReader
from fakes import ScriptedChatModel
from ingest import UserFacingError
from rag import Answered, Assistant, RagSettings, Retrieved, TextDelta
from rag.answer import ABSTENTION, QUOTED_ANSWER
from rag.insight.figures import figures_of, read_figures
from rag.quoting.compose import asks_yes_or_no, says_yes_or_no
from rag.render import changed, full_answer
from rag.verify.citations import without_markers
from waiting import events_of

QUESTION = "How many bytes does the key-value cache need per token?"
NONSENSE = "Ack! I'm glad you're on it!"


def assistant(library, embedder, reply=NONSENSE, *, reader=None, quotes_first=True, taught=False, floor=None):
    return Assistant(
        taught=taught,
        library=library,
        embedder=embedder,
        drafter=ScriptedChatModel(*[reply] * 3),
        settings=RagSettings(drafter_sentences=3, answer_floor=floor),
        reader=reader,
        quotes_first=quotes_first and reader is not None,
    )


async def test_the_readers_words_come_before_any_model_writes_and_the_draft_is_never_streamed(
    two_papers, hash_embedder
) -> None:
    asked = assistant(two_papers, hash_embedder, reader=WordReader())
    events = await events_of(asked.ask(QUESTION))
    streamed = [event for event in events if isinstance(event, TextDelta)]
    assert isinstance(events[0], Retrieved)
    assert isinstance(events[1], TextDelta)
    assert len(streamed) == 1
    assert "Ack" not in streamed[0].text
    answer = events[-1].answer
    assert [draft.model for draft in answer.drafts][1:] == [QUOTED_ANSWER]
    assert answer.shown == 1
    assert "Ack" not in full_answer(answer)
    assert "Ack" in changed(answer)
    assert streamed[0].text.startswith(answer.text)


async def test_the_readers_time_is_a_stage_of_its_own(two_papers, hash_embedder) -> None:
    answer = await assistant(two_papers, hash_embedder, reader=WordReader()).answer(QUESTION)
    names = [span.name for span in answer.trace.spans]
    assert names[names.index("retrieve") + 1] == "read"
    assert all(span.seconds >= 0 for span in answer.trace.spans if span.name in {"retrieve", "read"})
    told = read_figures(figures_of(answer, first_word=None))
    assert told.stages["reading"] >= 0
    assert [part.larger for part in told.written] == [False], "the quotation is nobody's writing"
    unread = await assistant(two_papers, hash_embedder).answer(QUESTION)
    assert "reading" not in read_figures(figures_of(unread, first_word=None)).stages


async def test_its_sentences_are_quoted_with_their_page_and_verified(two_papers, hash_embedder) -> None:
    answer = await assistant(two_papers, hash_embedder, reader=WordReader()).answer(QUESTION)
    assert answer.citations
    for citation in answer.citations:
        assert citation.verified
        assert f"page {citation.page}" in full_answer(answer)
        assert answer.sentences[0].text in " ".join(citation.quote.split())
    assert answer.confidence.signals["sure"] in {0.0, 1.0}


async def test_the_readers_order_is_that_of_the_passages_and_its_sentences_are_what_the_drafter_reads(
    two_papers, hash_embedder
) -> None:
    reader = WordReader()
    asked = assistant(two_papers, hash_embedder, reader=reader)
    answer = await asked.answer(QUESTION)
    relevance = [r.relevance for r in reader.read(QUESTION, [p.chunk.text for p in answer.passages])]
    assert relevance[0] == max(relevance)
    assert [passage.marker for passage in answer.passages] == list(range(1, len(relevance) + 1))
    assert " ".join(answer.citations[0].quote.split()) in asked.drafter.seen[0][-1]["content"]


async def test_what_the_reader_finds_in_no_passage_is_not_in_the_papers_and_no_model_is_asked(
    two_papers, hash_embedder
) -> None:
    strict = WordReader()
    strict.calibration = replace(WordReader.calibration, floor=0.99, floor_yes_no=0.99)  # more than it ever gives
    asked = assistant(two_papers, hash_embedder, reader=strict)
    events = await events_of(asked.ask(QUESTION))
    answer = events[-1].answer
    assert answer.abstained
    assert answer.text == ABSTENTION
    assert [type(event) for event in events] == [Retrieved, Answered]
    assert asked.drafter.seen == []


async def test_the_floor_can_be_set_higher_or_lower_than_measured(two_papers, hash_embedder) -> None:
    strict = WordReader()
    strict.calibration = replace(WordReader.calibration, floor=0.99, floor_yes_no=0.99)
    for reader, floor, abstains in ((WordReader(), 0.99, True), (strict, 0.0, False)):
        answer = await assistant(two_papers, hash_embedder, reader=reader, floor=floor).answer(QUESTION)
        assert answer.abstained is abstains


@pytest.mark.parametrize(
    ("question", "abstains"),
    [
        ("Does the key-value cache need many bytes per token?", False),
        ("Does the key-value cache need migraines per token?", True),
    ],
)
async def test_a_word_that_no_paper_has_makes_a_yes_less_likely(
    two_papers, hash_embedder, question, abstains, monkeypatch
) -> None:
    monkeypatch.setattr("rag.quoting.compose.SEVERAL", 2)
    reader = WordReader()
    reader.calibration = replace(WordReader.calibration, floor=0.99, floor_yes_no=0.0)
    asked = assistant(two_papers, hash_embedder, "Yes.", reader=reader, taught=True)
    assert (await asked.answer(question)).abstained is abstains


async def test_passages_that_the_reader_has_not_read_cost_no_answer(two_papers, hash_embedder, monkeypatch) -> None:
    monkeypatch.setattr("rag.retrieval.retrieve.READ", 2)
    answer = await assistant(two_papers, hash_embedder, reader=WordReader()).answer(QUESTION)
    assert len(answer.passages) > 2
    assert answer.citations


@pytest.mark.parametrize("question", ["Summarise this paper.", "What are the main findings of this paper?"])
async def test_a_paper_is_summed_up_in_its_own_words_before_a_small_model_writes(
    two_papers, hash_embedder, question
) -> None:
    asked = assistant(two_papers, hash_embedder, "It is about caches [1].", reader=WordReader())
    events = await events_of(asked.ask(question, paper_ids=[two_papers.papers()[0].id]))
    answer = events[-1].answer
    assert answer.kind == "summary"
    assert answer.drafts[answer.shown].model == QUOTED_ANSWER
    assert 1 < len(answer.text.splitlines()) <= 3
    assert answer.text != answer.passages[0].paper.title
    assert all(citation.verified for citation in answer.citations)
    assert isinstance(events[1], TextDelta)
    assert events[1].text == answer.text
    assert answer.notice is None
    assert "caches" in changed(answer)


@pytest.mark.parametrize("question", ["Compare these papers.", "How do these papers differ in their memory?"])
async def test_papers_are_compared_in_their_own_words(two_papers, hash_embedder, question) -> None:
    asked = assistant(two_papers, hash_embedder, "They differ [1].", reader=WordReader())
    answer = await asked.answer(question)
    assert answer.kind == "comparison"
    assert answer.drafts[answer.shown].model == QUOTED_ANSWER
    assert {citation.passage.paper.id for citation in answer.citations} == {p.id for p in two_papers.papers()}
    assert answer.confidence.reason == f"Quoted from {len(answer.text.splitlines())} sentences in your papers."


async def test_a_model_of_ones_own_sums_up_by_itself(two_papers, hash_embedder) -> None:
    asked = assistant(two_papers, hash_embedder, "A cache is compared [1].", reader=WordReader(), quotes_first=False)
    answer = await asked.answer("Compare these papers.")
    assert answer.drafts[answer.shown].text.startswith("A cache is compared")


YES_OR_NO = "Does the key-value cache need bytes per token?"


@pytest.mark.parametrize("kind", ["span", "explanation"])
@pytest.mark.parametrize("said", ["Yes", "No"])
async def test_a_taught_drafter_says_yes_or_no_and_the_sentence_stands_below(
    two_papers, hash_embedder, said, kind
) -> None:
    asked = assistant(two_papers, hash_embedder, f"{said}.", reader=WordReader(kind=kind), taught=True)
    events = await events_of(asked.ask(YES_OR_NO))
    answer = events[-1].answer
    assert without_markers(answer.text) == said
    assert answer.citations
    assert all(citation.verified for citation in answer.citations)
    assert "".join(event.text for event in events if isinstance(event, TextDelta)).startswith(said)


async def test_a_taught_drafter_that_says_neither_yes_nor_no_leaves_the_answer_to_the_reader(
    two_papers, hash_embedder
) -> None:
    reader = WordReader()
    by_reader = await assistant(two_papers, hash_embedder, reader=reader).answer(YES_OR_NO)
    answer = await assistant(two_papers, hash_embedder, reader=reader, taught=True).answer(YES_OR_NO)
    assert answer.text == by_reader.text


@pytest.mark.parametrize(
    ("question", "asks"),
    [
        ("Does it need memory?", True),
        ("Is the effect seen in rats when they are old?", True),
        ("Should it be used alone?", True),
        ("Can you explain how LoRA works?", False),
        ("Could you tell me which dose was used?", False),
        ("Does the paper say how long it took?", False),
        ("Is it given orally or intravenously?", False),
        ("What is it?", False),
    ],
)
def test_a_question_for_yes_or_no_asks_for_nothing_else(question, asks) -> None:
    assert asks_yes_or_no(question) is asks


@pytest.mark.parametrize(
    ("text", "said"),
    [("Yes.", "yes"), ("No, it does not.", "no"), ("No information is given.", None), ("Nothing.", None), ("", None)],
)
def test_a_draft_says_yes_or_no_as_a_word_on_its_own(text, said) -> None:
    assert says_yes_or_no(text) == said


async def test_an_explanation_is_quoted_although_the_drafter_is_taught(two_papers, hash_embedder) -> None:
    reader = WordReader(kind="explanation")
    asked = assistant(two_papers, hash_embedder, "It needs 128 KiB per token [1].", reader=reader, taught=True)
    answer = await asked.answer(QUESTION)
    assert answer.drafts[answer.shown].model == QUOTED_ANSWER


@pytest.mark.parametrize("reader", [None, WordReader()])
@pytest.mark.parametrize("question", [QUESTION, "Summarise the paper on terms.", "Compare these papers."])
async def test_nonsense_is_shown_in_no_mode_and_for_no_kind_of_question(
    two_papers, hash_embedder, reader, question
) -> None:
    for mode in ("draft", "auto", "refine"):
        asked = assistant(two_papers, hash_embedder, reader=reader, quotes_first=False)
        answer = await asked.answer(question, mode=mode)
        assert answer.shown == 1, mode
        assert "Ack" not in full_answer(answer)
        assert {sentence.support for sentence in answer.sentences} == {"supported"}


async def test_another_drafters_answer_that_holds_is_shown_as_it_was_written(two_papers, hash_embedder) -> None:
    asked = assistant(
        two_papers, hash_embedder, "It needs 128 KiB per token [1].", reader=WordReader(), quotes_first=False
    )
    answer = await asked.answer(QUESTION)
    assert answer.shown == 0
    assert without_markers(answer.text) == "It needs 128 KiB per token."


@pytest.mark.parametrize(
    ("error", "asked_again"), [(RuntimeError("no memory"), True), (UserFacingError("Damaged.", "Install it."), False)]
)
async def test_a_reader_that_fails_costs_its_own_step_and_is_asked_again_unless_it_cannot_be_loaded(
    two_papers, hash_embedder, caplog, error, asked_again
) -> None:
    reader = WordReader(error=error)
    asked = assistant(two_papers, hash_embedder, "It needs 128 KiB per token [1].", reader=reader)
    answer = await asked.answer(QUESTION)
    assert answer.text == "It needs 128 KiB per token [1]."
    reader.error = None
    assert (await asked.answer(QUESTION)).shown == int(asked_again)
    assert caplog.text.count("The reader failed") == 1
