"""A larger model looks again: what takes a draft's place, what does not, and what is said about it."""

from __future__ import annotations

import json
import socket
from contextlib import aclosing
from dataclasses import replace

import pytest

from fake_embedder import HashEmbedder
from fake_reader import WordReader
from fakes import ScriptedChatModel
from impatience import impatient
from ingest import ingest_pdf
from places import SAMPLES
from rag import Answered, Assistant, Drafted, Escalated, RagSettings, TextDelta
from rag.answer import QUOTED_ANSWER
from rag.errors import ModelFileError, NoExpertError, NotAllowedError, UnknownModelError
from rag.expert import Expert
from rag.models.chat import EndpointChatModel, fixed
from rag.models.local import embedded_drafter
from rag.models.thoughts import Thoughts
from rag.privacy.destination import Endpoint
from rag.render import changed, full_answer
from rag.saved_answer import load_answer, save_answer
from rag.verify.attempts import changes, declines
from rag.verify.citations import without_markers
from stub_server import DONE, delta, http, refusal, serving
from waiting import PATIENCE, events_of

QUESTION = "How many bytes does the key-value cache need per token?"
GOOD = "The key-value cache of this model takes 128 KiB for each token."
POOR = "The key-value cache of this model takes 999 KiB for each token and was invented in Paris."
BETTER = "In this model each token takes 128 KiB in the key-value cache [1]."


@pytest.fixture
def papers(library):
    ingest_pdf(SAMPLES / "before-you-run.pdf", library=library, embedder=HashEmbedder())
    return library


def over(library, draft, expert=None, **options):
    settings = RagSettings(drafter_sentences=0, **options)
    return Assistant(
        library=library,
        embedder=HashEmbedder(),
        drafter=ScriptedChatModel(draft, name="small"),
        settings=settings,
        expert=Expert(expert, settings=settings) if expert else None,
    )


@pytest.fixture
async def sentence(papers):
    """A sentence that stands in the paper: what is repeated from it is supported."""
    passages = (await over(papers, "Yes.").answer(QUESTION)).passages
    return (
        next(part for p in passages for part in p.chunk.text.replace("\n", " ").split(". ") if "128 KiB" in part).strip(
            " ."
        )
        + "."
    )


async def test_in_draft_mode_no_larger_model_is_asked(papers):
    expert = ScriptedChatModel(BETTER, name="large")
    answer = await over(papers, POOR, expert).answer(QUESTION, mode="draft")
    assert expert.seen == []
    assert not answer.escalated


async def test_auto_asks_only_where_the_draft_is_weak_and_says_why(papers, sentence):
    expert = ScriptedChatModel(sentence, name="large")
    fine = await over(papers, sentence, expert).answer(QUESTION, mode="auto")
    assert not fine.escalated
    assert fine.notice is None
    events = await events_of(over(papers, POOR, expert).ask(QUESTION, mode="auto"))
    escalated = next(event for event in events if isinstance(event, Escalated))
    assert escalated.model == "large"
    assert "not supported by your papers" in escalated.reason
    assert [event.draft for event in events if isinstance(event, TextDelta)][-1] == 1
    answer = events[-1].answer
    assert answer.shown == 1
    assert answer.drafts[1].refines == answer.drafts[0]
    assert "128 KiB" in answer.text
    assert all(s.support == "supported" for s in answer.sentences)


async def test_auto_has_a_quoted_summary_written_by_the_larger_model_and_says_why(papers):
    settings, expert = RagSettings(drafter_sentences=3, auto_threshold=0.01), ScriptedChatModel(BETTER, name="large")
    asked = Assistant(
        library=papers,
        embedder=HashEmbedder(),
        drafter=ScriptedChatModel("It is about caches [1].", name="small"),
        settings=settings,
        expert=Expert(expert, settings=settings),
        reader=WordReader(),
        quotes_first=True,
    )
    events = await events_of(asked.ask("Summarise this paper.", mode="auto", paper_ids=[papers.papers()[0].id]))
    escalated = next(event for event in events if isinstance(event, Escalated))
    assert escalated.reason == "your papers were only quoted"
    assert QUOTED_ANSWER in {draft.model for draft in events[-1].answer.drafts}


async def test_refine_always_asks_and_shows_the_same_passages_the_draft_and_what_is_bare(papers, sentence):
    expert = ScriptedChatModel(sentence, name="large")
    events = await events_of(over(papers, POOR, expert).ask(QUESTION, mode="refine"))
    answer = events[-1].answer
    prompt = expert.seen[0][-1]["content"]
    assert [type(event) for event in events].count(Drafted) == 2
    assert all(" ".join(p.chunk.text.split()) in prompt for p in answer.passages)
    assert f"Unverified draft: {POOR}" in prompt
    assert f"nothing stands in the passages:\n- {POOR}" in prompt
    assert prompt.rstrip().endswith(QUESTION)


async def test_a_good_draft_is_not_replaced_by_less(papers, sentence):
    expert = ScriptedChatModel(POOR, name="large")
    answer = await over(papers, sentence, expert).answer(QUESTION, mode="refine")
    assert answer.shown == 0
    assert len(answer.drafts) == 2
    assert "999" not in answer.text
    assert "support its answer less" in answer.notice


async def test_more_of_what_nothing_supports_is_worse(papers):
    expert = ScriptedChatModel(f"{POOR} The moon is made of 777 cheeses in Berlin.", name="large")
    answer = await over(papers, POOR, expert).answer(QUESTION, mode="refine")
    assert answer.shown == 0


async def test_what_the_larger_model_invents_is_not_shown_as_supported(papers):
    expert = ScriptedChatModel("The cache takes 777 KiB [99].", name="large")
    answer = await over(papers, POOR, expert).answer(QUESTION, mode="refine")
    assert all(sentence.support != "supported" for sentence in answer.sentences)
    assert all(citation.marker in {p.marker for p in answer.passages} for citation in answer.citations)


@pytest.mark.parametrize(
    "words",
    ["The passages do not answer this.", "I'm sorry, but I can't help with that.", "I cannot assist with this."],
)
async def test_a_refusal_keeps_the_draft_and_is_told_in_its_words(papers, words):
    answer = await over(papers, POOR, ScriptedChatModel(words, name="large")).answer(QUESTION, mode="refine")
    assert answer.shown == 0
    assert "999" in answer.text
    assert "did not answer from these passages" in answer.notice
    assert words[:20] in answer.notice


async def test_the_button_refines_an_answer_that_was_given(papers, sentence):
    asked = over(papers, POOR, ScriptedChatModel(sentence, name="large"))
    answer = await asked.answer(QUESTION)
    again = (await events_of(asked.refine(answer)))[-1].answer
    assert again.shown == len(again.drafts) - 1
    assert again.passages == answer.passages
    assert again.drafts[0] == answer.drafts[0]


async def test_the_button_leaves_the_words_of_a_quotation_as_the_paper_has_them(papers):
    asked = over(papers, "Ack! I'm glad you're on it!", ScriptedChatModel(POOR, name="large"))
    answer = await asked.answer(QUESTION)
    assert answer.drafts[answer.shown].model == QUOTED_ANSWER
    assert "key-value head" in answer.text
    (papers.folder / "glossary.csv").write_text("term,preferred\nkey-value head,Key-Value Head\n")
    again = (await events_of(asked.refine(answer)))[-1].answer
    assert [draft.text for draft in again.drafts[:2]] == [draft.text for draft in answer.drafts]
    assert again.shown == answer.shown
    assert again.text == answer.text


async def test_a_draft_that_the_button_does_not_better_keeps_its_citations_and_verdicts(papers, sentence):
    asked = over(papers, sentence, ScriptedChatModel(POOR, name="large"))
    answer = await asked.answer(QUESTION)
    kept = load_answer(json.loads(json.dumps(save_answer(answer))), library=papers)
    again = (await events_of(asked.refine(kept)))[-1].answer
    assert again.shown == 0
    assert (again.text, again.sentences) == (answer.text, answer.sentences)
    assert [(c.marker, c.page, c.quote) for c in again.citations] == [
        (c.marker, c.page, c.quote) for c in answer.citations
    ]


async def test_without_a_larger_model_the_button_says_what_to_set(papers):
    asked = over(papers, GOOD)
    answer = await asked.answer(QUESTION)
    with pytest.raises(NoExpertError, match="SCHOLION_EXPERT"):
        await events_of(asked.refine(answer))


async def test_a_larger_model_that_is_not_there_is_named_and_drafts_go_on(papers):
    opened = Assistant.open(RagSettings(expert="no-such-model"), library=papers)
    opened.drafter, opened._retriever = ScriptedChatModel(GOOD, GOOD), over(papers, GOOD)._retriever
    assert (await opened.answer(QUESTION)).notice is None
    assert "There is no model “no-such-model”." in (await opened.answer(QUESTION, mode="refine")).notice


@pytest.mark.parametrize(("threshold", "asked"), [(0.0, False), (1.0, True)])
async def test_a_threshold_that_was_set_decides_what_auto_sends_on(papers, sentence, threshold, asked):
    expert = ScriptedChatModel(sentence, name="large")
    answer = await over(papers, sentence, expert, auto_threshold=threshold).answer(QUESTION, mode="auto")
    assert bool(expert.seen) is asked
    assert (answer.confidence.score < threshold) is asked
    weak = ScriptedChatModel(BETTER, name="large")  # a veto sends it on at every threshold
    await over(papers, POOR, weak, auto_threshold=0.0).answer(QUESTION, mode="auto")
    assert weak.seen


async def test_without_a_larger_model_auto_says_so_only_where_the_draft_is_weak(papers, sentence):
    assert (await over(papers, sentence).answer(QUESTION, mode="auto")).notice is None
    assert "No larger model" in (await over(papers, POOR).answer(QUESTION, mode="auto")).notice


async def test_without_a_larger_model_the_nearest_sentence_stands_for_a_draft_of_no_use(papers):
    answer = await over(papers, POOR).answer(QUESTION, mode="refine")
    said = " ".join(without_markers(answer.text).split()).rstrip(".")
    assert (answer.shown, answer.drafts[1].model, answer.escalated) == (1, "quotation", False)
    assert any(said in " ".join(passage.chunk.text.split()) for passage in answer.passages)
    assert all(sentence.support == "supported" for sentence in answer.sentences)
    assert "here is the closest text from your papers" in answer.notice
    assert "999" not in full_answer(answer)
    assert "999" in changed(answer)


async def test_an_expert_with_a_small_window_sees_the_passages_that_fit(papers, sentence):
    expert = ScriptedChatModel(sentence, name="large", window=700)
    answer = await over(papers, POOR, expert, expert_output_tokens=64).answer(QUESTION, mode="refine")
    assert answer.shown == 1
    assert "not shown to large, because they did not fit" in answer.notice


async def test_a_slow_writer_is_cut_off_as_a_whole(papers):
    expert = ScriptedChatModel(["word "] * 100, name="large", delay=0.5)
    answer = await over(papers, POOR, expert, expert_seconds=2.0).answer(QUESTION, mode="refine")
    assert answer.shown == 0
    assert "did not finish within 2 seconds" in answer.notice
    assert expert.left_early == 1


async def test_leaving_during_the_refinement_stops_the_larger_model(papers):
    expert = ScriptedChatModel(["word "] * 50, name="large")
    async with aclosing(over(papers, POOR, expert).ask(QUESTION, mode="refine")) as events:
        async for event in events:
            if isinstance(event, TextDelta) and event.draft == 1:
                break
    assert expert.left_early == 1


async def test_the_stages_explain_the_total(papers, sentence):
    expert = ScriptedChatModel(sentence, name="large", delay=0.02)
    answer = await over(papers, POOR, expert).answer(QUESTION, mode="refine")
    names = [span.name for span in answer.trace.spans]
    assert names == [
        "prepare", "embed", "retrieve", "prompt", "queue", "first token", "decode", "check", "refine", "check",
    ]  # fmt: skip


# A scripted expert behind real HTTP


def said(text: str) -> bytes:
    return http(delta(text) + delta(finish="stop") + DONE)


NO_PROPS = refusal("404 Not Found", "no such path")
ENDS = {
    "worse": (said(POOR), "support its answer less"),
    "empty": (said(" "), "returned an empty answer"),
    "slow": (["hang"], "did not answer in time"),
    "refusing": (said("I'm sorry, but I can't help with that."), "did not answer from these passages"),
    "broken in mid-stream": ([http(delta("The cache takes 12")), 0.05, "reset"], "connection to large broke"),
    "HTML with status 200": (http(b"<html>Sign in</html>", kind="text/html"), "is not an answer"),
    "429": (refusal("429 Too Many Requests", "quota"), "not accepting more requests"),
    "500": (refusal("500 Internal Server Error", "oops"), "an internal error (500)"),
}


def expert_at(url: str) -> EndpointChatModel:
    return EndpointChatModel(fixed(Endpoint(url, "stub", "", 8192)), name="large", timeout=PATIENCE)


async def test_a_better_expert_over_http_takes_the_drafts_place(papers, sentence):
    async with serving(NO_PROPS, said(sentence)) as stub:
        answer = await over(papers, POOR, expert_at(stub.url)).answer(QUESTION, mode="refine")
    assert answer.shown == 1
    assert "999" not in answer.text
    assert answer.notice is None


@pytest.mark.parametrize("how", ENDS)
async def test_any_other_end_keeps_the_draft_and_says_so(papers, sentence, how):
    reply, words = ENDS[how]
    async with serving(NO_PROPS, reply) as stub, impatient(stub, seconds=PATIENCE):
        expert = expert_at(stub.url)
        events = await events_of(over(papers, sentence, expert).ask(QUESTION, mode="refine"))
    answer = events[-1].answer
    assert isinstance(events[-1], Answered)
    assert answer.shown == 0
    assert "128 KiB" in answer.text
    assert words in answer.notice
    assert "draft is kept" in answer.notice


async def test_a_closed_port_keeps_the_draft_and_says_so(papers, sentence):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    answer = await over(papers, sentence, expert_at(f"http://127.0.0.1:{port}/v1")).answer(QUESTION, mode="refine")
    assert answer.shown == 0
    told = "Nothing answers at the address of large. Start its server, or choose another model in Settings."
    assert f"{told} The draft is kept." in answer.notice


# Beyond this machine


async def test_a_model_elsewhere_is_not_asked_without_a_gate(papers, sentence):
    expert = EndpointChatModel(fixed(Endpoint("http://192.0.2.1/v1", "x", "", 8192)), name="large", timeout=5)
    answer = await over(papers, sentence, expert).answer(QUESTION, mode="refine")
    assert "large is not on this machine, so nothing was sent. The draft is kept." in answer.notice


# Settings


def test_an_expert_is_named_by_a_file_an_address_or_the_list(library):
    def opened(setting):
        return Expert.open(RagSettings(expert=setting), library=library.folder)

    assert opened(None) is None
    assert opened("http://127.0.0.1:1/v1#qwen2.5:7b").name == "qwen2.5:7b"
    assert opened(str(embedded_drafter())).name == "SmolLM2-135M-Instruct Q4_1"
    assert opened("smollm2-135m-instruct").name == "SmolLM2-135M-Instruct Q4_1"
    with pytest.raises(UnknownModelError, match="Which model at"):
        opened("http://127.0.0.1:1/v1")
    with pytest.raises(UnknownModelError, match="on one only"):
        opened("http://127.0.0.1:1/v1#a, http://127.0.0.1:2/v1#a")
    with pytest.raises(ModelFileError, match=r"models pull qwen2\.5-7b-instruct"):
        opened("qwen2.5-7b-instruct")


async def test_a_drafter_that_is_not_on_this_machine_is_not_asked(papers):
    asked = over(papers, GOOD)
    asked.drafter = EndpointChatModel(fixed(Endpoint("http://192.0.2.1/v1", "x", "", 8192)), name="far", timeout=5)
    with pytest.raises(NotAllowedError):
        await asked.answer(QUESTION)


# The parts


def test_thoughts_are_taken_out_however_the_text_is_cut():
    text = "<think>Let me see. [1] says 5.</think>\n\nIt is 5 [1]."
    for size in (1, 3, 7, 100):
        thoughts = Thoughts()
        pieces = [thoughts.feed(text[i : i + size]) for i in range(0, len(text), size)]
        assert "".join([*pieces, thoughts.finish()]).strip() == "It is 5 [1]."
    for plain in ("It is <think> a tag.", "<thin air", "<", ""):
        thoughts = Thoughts()
        assert "".join([*map(thoughts.feed, plain), thoughts.finish()]) == plain
    endless = Thoughts()
    assert endless.feed("<think>on and on") + endless.finish() == ""


async def test_a_model_that_only_thinks_has_given_no_answer(papers, sentence):
    expert = ScriptedChatModel("<think>Hm, hm.</think>", name="large")
    answer = await over(papers, sentence, expert).answer(QUESTION, mode="refine")
    assert "large returned only its thoughts and no answer" in answer.notice
    with_thoughts = ScriptedChatModel(f"<think>Hm.</think> {sentence}", name="large")
    again = await over(papers, POOR, with_thoughts).answer(QUESTION, mode="refine")
    assert again.shown == 1
    assert "Hm" not in again.text


def test_changes_are_told_sentence_by_sentence():
    before = "The cache is large [1]. It takes 999 KiB. Paris is a city."
    after = "The cache is large [2]. It takes 128 KiB [1]."
    assert changes(before, after) == [
        ("same", "The cache is large [2]."),
        ("gone", "It takes 999 KiB."),
        ("gone", "Paris is a city."),
        ("new", "It takes 128 KiB [1]."),
    ]
    assert changes("", "New.") == [("new", "New.")]


def test_an_answer_with_sorry_inside_is_no_refusal():
    assert declines("I'm sorry, I can't do that.")
    assert declines("The passages do not answer this [1].")
    assert not declines("The authors say that the sorry state cannot last [1].")
    assert not declines("It cannot be larger than 128 KiB [1].")


async def test_two_real_models_draft_and_refine_in_every_mode(papers, real_model, local_server):
    settings = RagSettings(expert_output_tokens=64, max_output_tokens=48)
    asked = Assistant(
        library=papers,
        embedder=HashEmbedder(),
        drafter=real_model,
        settings=settings,
        expert=Expert.open(
            RagSettings(
                expert=str(embedded_drafter()),
                expert_output_tokens=64,
                expert_seconds=PATIENCE,
                timeout_seconds=PATIENCE,
                drafter_threads=1,
            ),
            library=papers.folder,
        ),
    )
    try:
        for mode in ("draft", "refine"):
            events = await events_of(asked.ask(QUESTION, mode=mode))
            answer = events[-1].answer
            drafts = [text for text in (d.text for d in answer.drafts) if text]
            assert len(drafts) == (2 if mode == "refine" else 1)
            assert {e.draft for e in events if isinstance(e, TextDelta)} == set(range(len(drafts)))
            total = sum(span.seconds for span in answer.trace.spans)
            assert -0.01 <= answer.trace.seconds - total <= max(0.5 * total, 10)  # a busy machine
        again = (await events_of(asked.refine(replace(answer, drafts=answer.drafts[:1], shown=0))))[-1].answer
        assert len(again.drafts) == 2
    finally:
        await asked.expert.close()
