"""A whole chat as JSON, Markdown and a page to print: complete, escaped, and only for its owner."""

from __future__ import annotations

import errno
import json
import uuid
from html.parser import HTMLParser

import chainlit as cl
import pytest

from ingest.bibtex import parse_bibtex
from stored_chats import EVIL, answered, asked, keep, thread


class Tags(HTMLParser):
    """The tags of a page, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


def references(chat, library, style="apa"):
    from ingest.references import References, find_style

    return References(list(chat.papers.values()), find_style(style, library.folder))


def test_json_has_the_passages_quotes_pages_verdicts_confidence_model_and_costs(app, shelf_library, paper) -> None:
    from ui.exports.chat import as_json, read_chat

    reading = {"type": "tool", "output": "not exported"}
    run = {"type": "run", "id": "the run", "feedback": {"value": 0, "comment": "too short"}}
    step = answered(paper) | {"parentId": "the run"}
    said = json.loads(as_json(read_chat(thread(asked(), run, reading, step), shelf_library), shelf_library))
    assert said["format"] == "scholion-chat/1"
    question, answer = said["turns"]
    assert (question["role"], question["text"]) == ("question", "How far?")
    assert answer["text"] == "It moved by four metres [2]."
    assert answer["citations"] == [
        {
            "marker": 2,
            "paper": paper.id,
            "page": 1,
            "printed_page": "101",
            "quote": "The dune moved by four metres.",
            "verbatim": True,
        }
    ]
    (passage,) = answer["passages"]
    assert (passage["section"], passage["pages"], passage["text"][:8]) == ("2 Results", [1, 1], "The dune")
    assert answer["sentences"][0]["support"] == "weak"
    assert answer["confidence"]["score"] == 0.83
    assert answer["models"][0]["output_tokens"] == 4
    assert answer["feedback"] == {"value": "bad", "comment": "too short"}
    assert said["costs"] == {"answers": 1, "usd": 0.0, "seconds": 2.5}
    assert said["papers"][0]["container-title"] == "Journal of Peat"


def test_an_unknown_cost_is_null_and_a_lost_paper_keeps_its_quote(app, shelf_library, paper) -> None:
    from ui.exports.chat import as_json, read_chat

    step = answered(paper)
    step["metadata"]["figures"]["written"][0]["usd"] = None
    shelf_library.remove(paper.id)
    chat = read_chat(thread(asked(), step), shelf_library)
    said = json.loads(as_json(chat, shelf_library))
    assert said["costs"]["usd"] is None
    answer = said["turns"][1]
    assert answer["citations"][0]["quote"] == "The dune moved by four metres."
    assert answer["passages"][0]["text"] is None
    assert said["papers"] == []


def test_an_answer_of_an_older_version_is_exported_with_what_it_has(app, shelf_library, paper) -> None:
    from ui.exports.chat import read_chat

    metadata = {"question": "Q?", "answer": "Four [3].", "cited": [[3, paper.id, 1]]}
    metadata["quotes"] = {f"/cite/{paper.id}/1/0000": ["The dune moved."]}
    damaged = {"type": "assistant_message", "metadata": {"answer": 7, "cited": [7, [1, 2]], "facts": 7, "quotes": 7}}
    old = {"type": "assistant_message", "output": "x", "metadata": metadata}
    chat = read_chat(thread(asked(), old, damaged, {"type": "assistant_message"}), shelf_library)
    (cited,) = chat.turns[1].cited
    assert (cited.marker, cited.page, cited.quote, cited.verbatim) == (3, 1, "The dune moved.", None)
    assert [turn.role for turn in chat.turns] == ["question", "answer", "answer"]


@pytest.mark.parametrize(("style", "cited"), [("apa", "(van der Burg, 2021, p. 101)"), ("ieee", "[1, p. 101]")])
def test_the_report_escapes_everything_and_cites_in_the_style(app, shelf_library, paper, style, cited) -> None:
    from ui.exports.chat import read_chat
    from ui.exports.report import as_html

    steps = (asked(f"How far? {EVIL}"), answered(paper, f"Four metres [2]. {EVIL}"), {
        "type": "assistant_message", "output": EVIL,
    })  # fmt: skip
    chat = read_chat(thread(*steps, name=EVIL), shelf_library)
    page = as_html(chat, references(chat, shelf_library, style))
    tags = Tags(page)
    assert {tag for tag, _ in tags.seen} <= set(
        "html head meta title style body h1 h2 h3 p blockquote span ul ol li i b".split()
    )
    assert not any(name.startswith("on") or name in {"src", "href"} for _, names in tags.seen for name in names)
    assert f"Four metres {cited}." in tags.text
    assert tags.text.count("<script>alert(1)</script>") >= 4, "as text, where somebody wrote it"
    assert "Journal of Peat" in tags.text
    assert "@media print" in page
    assert "http" not in page.replace("http://evil.example", ""), "it loads nothing"


def test_markdown_says_nothing_that_markdown_acts_on_but_ours(app, shelf_library, paper) -> None:
    from ui.exports.chat import read_chat
    from ui.exports.report import as_markdown

    chat = read_chat(thread(asked(f"# {EVIL}"), answered(paper), name=EVIL), shelf_library)
    text = as_markdown(chat, references(chat, shelf_library))
    assert "![" not in text
    assert "<script" not in text.replace("\\<script", "")
    assert "It moved by four metres (van der Burg, 2021, p. 101)." in text
    assert "## References" in text
    assert "/cite/" not in text


def test_a_table_is_exported_whole_and_what_its_cells_took_is_part_of_the_costs(app, shelf_library, paper) -> None:
    from ui.exports.chat import as_json, read_chat
    from ui.exports.report import as_html, as_markdown

    rows = [["Paper", "How far?"], [f"Dunes | {EVIL}", "The dune moved by four metres. " * 20]]
    figures = {"seconds": 1.5, "stayed": True, "written": [{"model": "Small", "here": True, "usd": 0.25}]}
    step = {"type": "assistant_message", "output": "| cut … |", "metadata": {"table": rows, "spent": [figures] * 2}}
    chat = read_chat(thread(asked(), step, answered(paper)), shelf_library)
    said = json.loads(as_json(chat, shelf_library))
    assert said["costs"] == {"answers": 3, "usd": 0.5, "seconds": 5.5}
    assert said["turns"][1]["table"] == rows
    page = Tags(html := as_html(chat, None))
    assert [tag for tag, _ in page.seen if tag in {"table", "tr", "th", "td", "script"}] == [
        *("table", "tr", "th", "th", "tr", "td", "td"),
    ]
    assert rows[1][1] in page.text
    assert "3 answers" in html
    text = as_markdown(chat, None)
    assert "| Paper | How far? |\n| --- | --- |\n| Dunes \\| " in text.replace("\\?", "?")
    assert rows[1][1].strip().replace(".", "\\.") in text
    assert "<script" not in text.replace("\\<script", "")


@pytest.mark.parametrize(
    "metadata", [{"stopped": "Q?"}, {"table": [["Paper"]], "spent": [{"stayed": True, "lost": True}]}]
)
def test_the_costs_of_a_chat_with_a_stopped_answer_are_unknown(app, shelf_library, paper, metadata) -> None:
    from ui.exports.chat import as_json, read_chat
    from ui.exports.report import as_markdown

    step = {"type": "assistant_message", "output": "Half", "metadata": metadata}
    chat = read_chat(thread(asked(), answered(paper), step), shelf_library)
    costs = {"answers": 2, "usd": None, "seconds": None}
    assert json.loads(as_json(chat, shelf_library))["costs"] == costs
    assert "2 answers · 1 paper cited · unknown cost" in as_markdown(chat, references(chat, shelf_library))


@pytest.mark.parametrize("damaged", [{"table": 7, "spent": 7}, {"table": [7, [7]], "spent": [7]}, {"table": []}])
def test_a_damaged_table_is_exported_as_far_as_it_goes(app, shelf_library, damaged) -> None:
    from ui.exports.chat import as_json, read_chat
    from ui.exports.report import as_html, as_markdown

    step = {"type": "assistant_message", "output": "shown", "metadata": damaged}
    chat = read_chat(thread(asked(), step), shelf_library)
    assert json.loads(as_json(chat, shelf_library))["turns"][1]["text"] == "shown"
    assert as_html(chat, None)
    assert as_markdown(chat, None)


# ---- the routes -----------------------------------------------------------------------------------------------------


async def test_every_kind_is_downloaded_by_the_chats_owner(stored, owner, paper) -> None:
    history, mine, _ = stored
    await keep(history, mine, asked(), answered(paper))
    for kind, words in {
        "json": '"format": "scholion-chat/1"',
        "md": "## How far",
        "html": "<blockquote>“The dune moved by four metres.”",
        "bib": "@article{vanderburg2021dunes",
        "csl.json": '"container-title": "Journal of Peat"',
        "txt": "van der Burg, S. (2021).",
    }.items():
        reply = await owner.get(f"/export/chat/{mine}.{kind}")
        assert reply.status_code == 200, kind
        assert words in reply.text
        assert reply.headers["content-disposition"] == f'attachment; filename="how-far.{kind}"'
    assert parse_bibtex((await owner.get(f"/export/chat/{mine}.bib")).text)[1] == []
    shown = await owner.get(f"/export/chat/{mine}.html?show=true&style=ieee")
    assert shown.headers["content-disposition"].startswith("inline")
    assert "[1] S. van der Burg" in shown.text
    assert "chicago" in (await owner.get(f"/export/chat/{mine}.txt?style=none-such")).json()["detail"]


async def test_nobody_elses_chat_is_exported(stored, owner, paper) -> None:
    history, mine, theirs = stored
    for name in (theirs, str(uuid.uuid4()), "x", "%27%20OR%201"):
        for kind in ("json", "md", "html", "bib"):
            reply = await owner.get(f"/export/chat/{name}.{kind}")
            assert (reply.status_code, reply.json()["detail"]) == (404, "There is no such chat of yours.")
    await keep(history, mine, asked())
    assert (await owner.get(f"/export/chat/{mine}.exe")).status_code == 404


# ---- in the chat ----------------------------------------------------------------------------------------------------


async def test_the_command_sends_the_links_and_a_chosen_style_is_used_for_copying(app, chat, assistant, paper) -> None:
    from ui import export

    await app.on_message(cl.Message("", type="user_message", command="Export"))
    (element,) = chat.of("element")
    assert element["name"] == "Export"
    assert element["props"]["chat"] == chat.session.thread_id
    assert ["apa", "APA"] in element["props"]["styles"]
    assert element["props"]["style"] == ""
    assert (await app.choose_style(cl.Action(name=export.STYLE, payload={"style": "ieee"})))["style"] == "ieee"
    wrong = await app.choose_style(cl.Action(name=export.STYLE, payload={"style": "../x"}))
    assert "no citation style" in wrong["error"]
    assert wrong["style"] == "ieee"
    payload = {"answer": "Four metres [2]. Far [9].", "cited": [[2, paper.id, 1]]}
    await app.take_along(cl.Action(name=export.COPY, payload=payload))
    text = chat.of("window_message")[-1]["text"]
    assert text.startswith("Four metres [1, p. 101]. Far.\n\n[1] S. van der Burg, “Dunes")
    assert (await app.choose_style(cl.Action(name=export.STYLE, payload={"style": ""})))["style"] == ""
    await app.take_along(cl.Action(name=export.COPY, payload=payload))
    assert chat.of("window_message")[-1]["text"].startswith("Four metres [1]. Far.\n\n[1] Sven van der Burg (2021).")


def test_plain_text_has_no_escapes_no_bold_and_no_addresses_of_ours() -> None:
    from ui.exports.plain import plain

    written = "## It is\\* **so** [1](/cite/0123456789abcdef/2/0001)[2]. `a \\* b` $x\\_1$"
    assert plain(written) == "It is* so [1][2]. `a \\* b` $x\\_1$"


async def test_a_style_that_cannot_be_kept_is_said_in_a_sentence(app, chat, shelf_library, monkeypatch) -> None:
    from ui import export

    def full(name, folder) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(export, "choose_style", full)
    said = await app.choose_style(cl.Action(name="reference_style", payload={"style": "apa"}))
    assert said["error"].startswith("The disk is full.")
    assert said["style"] == ""
    assert said["styles"]


async def test_a_library_that_cannot_be_read_is_a_sentence(owner, stored, shelf_library, *, paper, monkeypatch):
    def failing(*_) -> None:
        raise OSError(errno.EIO, "Input/output error")

    history, mine, _ = stored
    await keep(history, mine, asked(), answered(paper))
    monkeypatch.setattr(shelf_library, "papers", failing)
    reply = await owner.get(f"/export/chat/{mine}.md")
    assert (reply.status_code, reply.json()["detail"][:20]) == (507, "The disk with the li")
