"""A library and a chat that an older Scholion stored: their tables as its own SQL made them, opened by this one."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing

import chainlit as cl
import pytest
from chainlit.types import Pagination, ThreadFilter
from test_render import make_answer

from fake_embedder import HashEmbedder
from ingest import IngestSettings, ingest_pdf, open_library
from ingest.files import paper_id
from ingest.repair import verify
from pdfs import column, write_pdf
from places import ROOT
from rag.answer import Answered, Retrieved
from rag.retrieval.retrieve import Retriever

SQL = ROOT / "tests" / "support" / "older"
PAGES = ("Keeping garden seeds dry.", "Seeds keep for five years in a closed jar at four degrees.")
WHEN = "2026-11-22T09:00:00.000000Z"
CHAT, ASKED, ANSWERED, ATTACHED = (f"{n}0000000-0000-4000-8000-000000000000" for n in range(1, 5))


@pytest.fixture
def pdf(tmp_path):
    return write_pdf(tmp_path / "seeds.pdf", *(column(72, 720, [text] * 20) for text in PAGES), title="Garden Seeds")


@pytest.fixture
def older_library(pdf, tmp_path):
    """A function that makes the folder of a library of that version, with one paper of two passages; returns its id."""

    def made(version: int) -> str:
        folder, name = tmp_path / "library", paper_id(pdf)
        (folder / "papers").mkdir(parents=True)
        shutil.copyfile(pdf, folder / "papers" / f"{name}.pdf")
        vectors = HashEmbedder().embed_documents(PAGES)
        with closing(sqlite3.connect(folder / "library.db")) as db, db:
            db.executescript((SQL / f"library-{version}.sql").read_text())
            db.execute("INSERT INTO facts VALUES ('embedder', ?)", (HashEmbedder().name,))
            db.execute(
                "INSERT INTO papers (id, title, authors, year, doi, n_pages, file_name, added_at, finished_at) "
                "VALUES (?, 'Garden Seeds', '[\"Ada Miller\"]', 1987, '10.1/x', 2, 'seeds.pdf', ?, ?)",
                (name, WHEN, WHEN),
            )
            for number, text in enumerate(PAGES):
                db.execute("INSERT INTO pages VALUES (?, ?, ?)", (name, number + 1, text))
                place = (number, text, 0, len(text), number + 1, number + 1, "Storing", 12, vectors[number].tobytes())
                db.execute(
                    'INSERT INTO chunks (id, paper_id, ordinal, text, start, "end", first_page, last_page, section, '
                    "n_tokens, vector) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (f"{name}:{number:04d}", name, *place),
                )
            if version > 1:
                db.execute("INSERT INTO ledger VALUES (?, 'seeds.pdf', 'finished', NULL, ?)", (name, WHEN))
        return name

    return made


@pytest.mark.parametrize("version", [1, 2])
def test_the_papers_of_an_older_version_are_listed_read_searched_and_removed(older_library, tmp_path, pdf, version):
    name = older_library(version)
    for _ in range(2):  # as it was, and as the first opening left it
        with open_library(IngestSettings(library=tmp_path / "library")) as library:
            (paper,) = library.papers()
            assert (paper.id, paper.title, paper.authors, paper.year) == (name, "Garden Seeds", ("Ada Miller",), 1987)
            assert (paper.abstract, paper.arxiv_id, library.report(name), library.references(name)) == (None,) * 3 + (
                [],
            )
            assert tuple(page.text for page in library.pages(name)) == PAGES
            assert library.pdf_path(name[:6]).read_bytes() == pdf.read_bytes()
            assert [found for found, _ in library.search_words('section : "storing"', 5)], "headings are found, too"
            retriever = Retriever(library, HashEmbedder())
            question = "How long do seeds keep in a jar?"
            found = retriever.search(question, retriever.embed(question), k=2).passages
            assert found[0].chunk.id == f"{name}:0001"
            assert {source for passage in found for source in passage.sources} == {"lexical", "dense"}
    with open_library(IngestSettings(library=tmp_path / "library")) as library:
        assert [problem for problem in verify(library) if not problem.repaired] == []
        assert verify(library) == []
        assert ingest_pdf(pdf, library=library, embedder=HashEmbedder()).status == "skipped"
        assert library.tag([name], "seeds") == "seeds"
        library.remove(name)
        assert (library.papers(), library.vectors.ids(), library.tags()) == ([], set(), {})


@pytest.fixture
async def history(app, chat, pdf, tmp_path, monkeypatch):
    """The chat history in a file that the first version made: one chat, with a question, an answer and a file."""
    from ui.chats.history import ChatHistory, UploadFolder

    file = tmp_path / "chats.db"
    metadata = {"question": "How long do seeds keep?", "answer": "For five years [1]."}
    shown = f"For five years [1](/cite/{paper_id(pdf)}/2/0001)."
    with closing(sqlite3.connect(file)) as db, db:
        db.executescript((SQL / "chats-1.sql").read_text())
        db.execute("INSERT INTO users VALUES ('u', 'local', '{}', ?)", (WHEN,))
        db.execute(
            "INSERT INTO threads VALUES (?, ?, 'How long do seeds keep?', 'u', 'local', NULL, '{}')", (CHAT, WHEN)
        )
        for step, kind, output, more in (
            (ASKED, "user_message", metadata["question"], {}),
            (ANSWERED, "assistant_message", shown, metadata),
        ):
            db.execute(
                'INSERT INTO steps (id, type, "threadId", metadata, output, "createdAt", start, "end", streaming, name)'
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, 'Scholion')",
                (step, kind, CHAT, json.dumps(more), output, WHEN.replace("09", "1" + step[0]), WHEN, WHEN),
            )
        db.execute(
            'INSERT INTO elements (id, "threadId", type, url, name, display, "objectKey", "forId", mime) '
            "VALUES (?, ?, 'file', '/uploads/u/e/a.pdf', 'a.pdf', 'inline', 'u/e/a.pdf', ?, 'application/pdf')",
            (ATTACHED, CHAT, ASKED),
        )
        db.execute(  # the list of the papers, which was part of the chat
            'INSERT INTO elements (id, "threadId", type, name, display, "forId") '
            "VALUES (?, ?, 'custom', 'Library', 'inline', ?)",
            (ATTACHED.replace("4", "5", 1), CHAT, ANSWERED),
        )
    made = ChatHistory(file, UploadFolder(tmp_path / "uploads"))
    monkeypatch.setattr("chainlit.data._data_layer", made)
    monkeypatch.setattr("chainlit.data._data_layer_initialized", True)
    chat.session.user = await made.create_user(cl.User(identifier="local"))
    yield made
    await made.close()


async def test_a_chat_of_the_first_version_is_read_and_goes_on(
    older_library, history, app, chat, assistant, *, tmp_path, monkeypatch
):
    from ui import core

    name = older_library(1)
    user = await history.get_user("local")
    (thread,) = (await history.list_threads(Pagination(first=20), ThreadFilter(userId=user.id))).data
    assert (thread["id"], thread["name"]) == (CHAT, "How long do seeds keep?")
    thread = await history.get_thread(CHAT)
    asked, answered = thread["steps"]
    assert (asked["id"], asked["output"]) == (ASKED, "How long do seeds keep?")
    assert answered["output"] == f"For five years [1](/cite/{name}/2/0001)."
    assert [(element["id"], element["url"]) for element in thread["elements"]] == [(ATTACHED, "/uploads/u/e/a.pdf")]

    await app.on_chat_resume(thread)
    with open_library(IngestSettings(library=tmp_path / "library")) as library:
        monkeypatch.setattr(core, "library", lambda: library)
        await app.on_window_message({"type": "scholion:cite", "path": f"/cite/{name}/2/0001"})
        assert chat.of("set_sidebar_title") == ["Garden Seeds"], "a click on its citation opens the page"
        answer = make_answer()
        assistant.script = [Retrieved(answer.passages), Answered(answer)]
        await app.on_message(cl.Message(content="And in a warm room?"))
    assert assistant.asked[0]["history"] == [("How long do seeds keep?", "For five years [1].")]
    await history.delete_thread(CHAT)
    assert (await history.list_threads(Pagination(first=20), ThreadFilter(userId=user.id))).data == []
