"""The library as one person sees it: nothing finds, counts, names or answers from what is another's."""

from __future__ import annotations

import asyncio
import inspect
import threading
from dataclasses import replace

import numpy as np
import pytest

from fake_embedder import HashEmbedder
from ingest import Ingest, Library, Source, ingest_pdf
from ingest.annotation import Annotation
from ingest.errors import TagError, UnknownPaperError
from ingest.from_zotero import FromZotero
from ingest.ledger import Ledger
from ingest.vectors import VectorIndex
from pdfs import column, write_pdf
from rag import Answered, RagSettings, Retrieved
from rag.privacy.gate import Gate
from rag.retrieval.retrieve import Retriever
from two_people import SECRET, pdf_about
from ui.people import rules
from ui.people.store import NotYoursError
from ui.people.view import SeenLedger, SeenVectors, View
from waiting import events_of


def test_every_public_name_of_the_library_is_decided_on() -> None:
    names = {name for name, _ in inspect.getmembers(Library) if not name.startswith("_")}
    assert names <= vars(View).keys(), "what is not narrowed is passed on by name"
    for whole, narrowed in ((Ledger, SeenLedger), (VectorIndex, SeenVectors)):
        assert {name for name in vars(whole) if not name.startswith("_")} <= vars(narrowed).keys()


@pytest.fixture
def views(two):
    from ui import core

    with two.as_("ada"):
        hers = core.library()
    with two.as_("bob"):
        his = core.library()
    return hers, his


async def test_nothing_of_another_persons_paper_is_found_listed_or_counted(two, views) -> None:
    hers, his = views
    assert {paper.id for paper in hers.papers()} == {two.private, two.shared}
    assert [paper.id for paper in his.papers()] == [two.shared]
    assert his.papers([two.private]) == []
    for unknown in (two.private, two.private[:6], ""):
        with pytest.raises(UnknownPaperError):
            his.paper(unknown)
        with pytest.raises(UnknownPaperError):
            his.pdf_path(unknown)
    two.whole.keep_from_zotero(
        two.private, FromZotero(("a secret tag",), (), (Annotation(page=1, kind="note", note="a secret"),))
    )
    assert hers.from_zotero(two.private).notes
    assert hers.from_zotero(two.private).tags == ()
    assert hers.annotations(two.private)
    assert his.from_zotero(two.private) == FromZotero()
    with pytest.raises(NotYoursError):
        his.keep_from_zotero(two.shared, FromZotero())
    nothing = (his.pages, his.references, his.tags_of, his.annotations, his.report)
    assert not any(one(two.private) for one in nothing)
    chunks = two.whole.chunk_ids([two.private])
    assert his.chunk_ids([two.private]) == []
    assert (his.chunks(chunks), his.vectors_of(chunks), his.chunk(chunks[0])) == ({}, {}, None)
    assert set(his.chunk_ids()) == set(two.whole.chunk_ids([two.shared])) == his.vectors.ids()
    assert (his.n_chunks(), his.n_chunks(two.private)) == (two.whole.n_chunks(two.shared), 0)
    assert hers.n_chunks() == two.whole.n_chunks()
    assert (his.tags(), list(his.added_at()), [one.paper.id for one in his.overview()]) == (
        {},
        [two.shared],
        [two.shared],
    )
    with pytest.raises(TagError) as error:
        his.tagged("nothing")
    assert SECRET not in str(error.value)
    assert his.ledger.get(two.private) is None
    assert [entry.paper_id for entry in his.ledger.entries()] == [], "he has added nothing"
    assert hers.search_words(f'"{SECRET}"', 5)
    assert his.search_words(f'"{SECRET}"', 5) == his.search_words(f'"{SECRET}"', 5, paper_ids=[two.private]) == []
    vector = HashEmbedder().embed_query(f"How was the {SECRET} measured?")
    assert {name.partition(":")[0] for name, _ in hers.vectors.search(vector, 9)} == {two.private, two.shared}
    for among in (None, chunks, two.whole.chunk_ids()):
        assert not {name.partition(":")[0] for name, _ in his.vectors.search(vector, 9, among=among)} - {two.shared}


async def test_a_search_that_finds_mostly_what_is_hidden_looks_on(two, views, monkeypatch) -> None:
    _, his = views
    monkeypatch.setattr("ui.people.view.EXACT", 1)
    vector = HashEmbedder().embed_query(f"How was the {SECRET} measured?")
    found = [name for name, _ in his.vectors.search(vector, 1)]
    assert found
    assert found[0].startswith(two.shared)


async def test_a_large_scope_of_somebody_who_does_not_see_all_is_not_named_chunk_by_chunk(
    two, views, monkeypatch
) -> None:
    _, his = views
    embedder, question = HashEmbedder(), f"How was the {SECRET} measured?"

    def search():
        found = Retriever(his, embedder).search(question, embedder.embed_query(question), k=3, paper_ids=[two.shared])
        return [(one.chunk.id, one.score) for one in found.passages]

    monkeypatch.setattr("rag.retrieval.retrieve.CANDIDATES", 1)
    monkeypatch.setattr("rag.retrieval.retrieve.EXACT", 0)
    named = []
    real = View.chunk_ids
    monkeypatch.setattr(View, "chunk_ids", lambda self, ids=None: named.append(ids) or real(self, ids))
    quick = search()
    assert quick
    assert named == []
    monkeypatch.setattr("ui.people.view.DEEPEST", 0)
    assert search() == quick
    assert named == [[two.shared]], "too deep, so they are named"


async def test_another_person_changes_nothing_of_it(two, views) -> None:
    _, his = views
    for change in (
        lambda: his.describe(two.private, title="x"),
        lambda: his.tag([two.private], "x"),
        lambda: his.untag([two.private], f"{SECRET}-tag"),
        lambda: his.remove(two.private),
        lambda: his.share([two.private], on=True),
        lambda: his.remove(two.shared),
        lambda: his.share([two.shared], on=False),
    ):
        with pytest.raises((UnknownPaperError, TagError)) as error:
            change()
        assert SECRET not in str(error.value)
    assert len(two.whole.papers()) == 2


QUESTIONS = (
    f"How was the {SECRET} measured?",
    f"Which papers mention {SECRET}?",
    "How many papers do I have?",
    "Which papers did I add last?",
    f"Summarise “On the {SECRET}”.",
    "Which papers are there?",
)


@pytest.mark.parametrize("question", QUESTIONS)
async def test_no_answer_reads_or_names_it(two, question) -> None:
    from ui import core

    with two.as_("bob"):
        assistant = core.assistant()
        events = await events_of(assistant.ask(question, paper_ids=None))
        assert core.assistant() is assistant, "made once"
    for event in events:
        if isinstance(event, Retrieved):
            assert two.private not in {passage.paper.id for passage in event.passages}
    answer = events[-1].answer
    assert isinstance(events[-1], Answered)
    assert SECRET not in answer.text.replace(question, "").replace(f"“{SECRET}”", ""), "but as he asked it"
    assert f"On the {SECRET}" not in str([passage.paper.title for passage in answer.passages])
    assert "2 papers" not in answer.text
    assert not [
        m for seen in assistant.drafter.seen for m in seen if f"the {SECRET} was measured in the field" in m["content"]
    ]


async def test_its_owner_gets_answers_from_it(two) -> None:
    from ui import core

    with two.as_("ada"):
        events = await events_of(core.assistant().ask(QUESTIONS[0]))
        assert events[-1].answer.passages[0].paper.id == two.private
        told = await events_of(core.assistant().ask("How many papers do I have?"))
        assert "2 papers" in told[-1].answer.text


async def test_asked_of_by_its_id_it_is_not_there(two) -> None:
    from ui import core

    with two.as_("bob"), pytest.raises(UnknownPaperError):
        await events_of(core.assistant().ask("What is it about?", paper_ids=[two.private]))


async def test_terms_are_those_of_the_papers_that_are_seen(two, tmp_path) -> None:
    from ui import core

    lines = ["The Secret Spectrum Index (SSI) was high. We use the Secret Spectrum Index (SSI) again."]
    path = write_pdf(tmp_path / "ssi.pdf", column(72, 720, ["On an index", "", *lines * 8]))
    with two.as_("ada"):
        core.bring(path, path.name)
        assert ingest_pdf(path, library=core.library(), embedder=HashEmbedder()).status == "added"
        assert core.assistant().search.terms.definitions("What is SSI?", [])
    with two.as_("bob"):
        assert core.assistant().search.terms.definitions("What is SSI?", []) == ()


async def test_a_likely_duplicate_of_a_hidden_paper_is_not_mentioned(two, views) -> None:
    hers, his = views
    two.whole.describe(two.private, doi="10.1/x")
    twin = replace(two.whole.paper(two.private), id="f" * 16)
    assert his.like(twin) is None
    assert hers.like(twin) == hers.paper(two.private)


async def test_what_has_no_owner_is_seen_by_nobody_and_goes_to_the_first_administrator_at_the_start(two, tmp_path):
    from ui import core

    path = pdf_about(tmp_path / "c" / "command.pdf", "wombat")
    paper = ingest_pdf(path, library=two.whole, embedder=HashEmbedder()).paper_id
    for name in ("ada", "bob"):
        with two.as_(name):
            assert core.library().papers([paper]) == []
    assert two.people.claim(two.whole.added_at(), shared=True) == 1
    with two.as_("bob"):
        assert core.library().papers([paper])
        assert core.library().state_of(paper) == "another's"
    with two.as_("ada"):
        assert core.library().state_of(paper) == "shared"


async def test_a_file_whose_account_is_gone_is_not_stored(two, tmp_path) -> None:
    from ui import core

    path = pdf_about(tmp_path / "d" / "late.pdf", "dugong")
    with two.as_("bob"):
        core.bring(path, path.name)
        his = core.library()
    two.people.remove(two.bob, papers_to=two.ada)
    report = await asyncio.to_thread(lambda: ingest_pdf(path, library=his, embedder=HashEmbedder()))
    assert report.status == "failed"


async def test_without_accounts_everything_is_there_as_before(two) -> None:
    from ui import core
    from ui.people import who

    core.share(None)
    assert core.library() is two.whole
    assert {paper.id for paper in core.library().papers()} == {two.private, two.shared}
    who.end()
    with pytest.raises(RuntimeError):
        who.people()


async def test_the_vectors_of_what_is_seen_are_those_of_the_library(two, views) -> None:
    hers, _ = views
    names = two.whole.chunk_ids([two.private])
    assert np.array_equal(hers.vectors_of(names)[names[0]], two.whole.vectors_of(names)[names[0]])


def brought(two, name: str, path, **more):
    """The report of a person's file."""
    from ui import core

    with two.as_(name):
        core.bring(path, path.name)
        return ingest_pdf(path, library=core.library(), embedder=HashEmbedder(), **more)


async def test_a_removal_that_fails_leaves_the_paper_its_owners(two, views, monkeypatch) -> None:
    hers, his = views
    monkeypatch.setattr(two.whole, "remove", lambda _, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        hers.remove(two.private)
    from ui import core

    core._shares.take_over()
    core._shares.take_over()
    assert hers.state_of(two.private) == "private"
    assert his.papers([two.private]) == []


async def test_what_lost_its_owner_is_shared_at_the_first_start_alone(two, views) -> None:
    from ui import core

    hers, his = views
    core._shares.take_over()
    two.people.forget(two.private)
    core._shares.take_over()
    assert his.papers([two.private]) == []
    assert hers.state_of(two.private) == "private"


async def test_a_hold_of_nothing_ends_at_the_start_and_after_an_upload_that_was_stopped(two, tmp_path) -> None:
    from ui import core
    from ui.people.shares import Shares

    path = pdf_about(tmp_path / "e" / "bilby.pdf", "bilby")
    two.people.hold(two.bob, "f" * 16, file="gone.pdf")
    Shares(lambda: two.whole).take_over()
    assert two.people.held("f" * 16) == {}
    with two.as_("bob"):
        core.bring(path, path.name)
        core.settle(path)
    paper = brought(two, "ada", path).paper_id
    assert list(two.people.held(paper)) == [two.ada.id]
    with two.as_("bob"):
        core.settle(path)
        core.settle(two.files["shared"])
    assert list(two.people.held(paper)) == [two.ada.id]


async def test_nobody_gets_a_paper_while_the_last_who_has_it_removes_it(two, views, monkeypatch) -> None:
    hers, _ = views
    remove, got = two.whole.remove, []

    def removed(paper_id: str, **claimed: bool):
        other = threading.Thread(target=lambda: got.append(two.people.hold(two.bob, paper_id, file="x.pdf")))
        other.start()
        other.join(0.3)
        assert got == [], "it waits until the paper is gone"
        paper = remove(paper_id, **claimed)
        removed.thread = other
        return paper

    monkeypatch.setattr(two.whole, "remove", removed)
    hers.remove(two.private)
    removed.thread.join()
    assert list(two.people.held(two.private)) == [two.bob.id]


async def test_who_adds_a_shared_paper_too_changes_it_for_themselves_alone(two, views, tmp_path) -> None:
    hers, his = views
    for change in (
        lambda: his.describe(two.shared, title="Mine"),
        lambda: his.tag([two.shared], "mine"),
        lambda: his.note_local([two.shared], on=True),
    ):
        with pytest.raises(rules.NotYoursError):
            change()
    hers.tag([two.shared], "hers")
    assert brought(two, "bob", two.files["shared"]).status == "skipped"
    his.describe(two.shared, title="Mine")
    his.tag([two.shared], "mine")
    his.untag([two.shared], "mine")
    his.tag([two.shared], "his")
    his.share([two.shared], on=True)
    assert (his.paper(two.shared).title, his.tags_of(two.shared)) == ("Mine", ["hers", "his"])
    assert hers.paper(two.shared).title != "Mine"
    assert hers.tags_of(two.shared) == ["hers"]
    with pytest.raises(rules.NotYoursError):
        his.note_local([two.shared], on=True)
    hers.describe(two.shared, title="Of all")
    assert two.whole.paper(two.shared).title == "Of all"


async def test_tags_stay_each_holders_when_a_paper_is_shared_no_more(two, views) -> None:
    hers, his = views
    brought(two, "bob", two.files["shared"])
    hers.tag([two.shared], "both")
    hers.share([two.shared], on=False)
    assert hers.tags_of(two.shared) == his.tags_of(two.shared) == ["both"]
    assert two.whole.tags_of(two.shared) == []
    hers.untag([two.shared], "both")
    assert his.tags_of(two.shared) == ["both"]


async def test_what_is_claimed_stays_on_this_machine_if_the_policy_says_so(two) -> None:
    two.people.forget(two.shared)
    two.people.claim([two.shared], shared=True, local={two.shared})
    assert two.people.held(two.shared)[two.ada.id].local


async def test_reading_again_makes_nobody_a_holder_and_keeps_names_and_descriptions(two, views, tmp_path) -> None:
    from ui import core

    hers, _ = views
    path = pdf_about(tmp_path / "b" / "bobs.pdf", "numbat")
    bobs = brought(two, "bob", path).paper_id
    with two.as_("bob"):
        core.library().share([bobs], on=True)
    two.whole._db.execute("UPDATE papers SET title = 'From a bibliography', year = 1999 WHERE id = ?", (bobs,))
    two.whole._db.commit()
    source = Source(hers.pdf_path(bobs), "hers.pdf")
    with two.as_("ada"):
        (report,) = Ingest(library=core.library(), embedder=HashEmbedder(), again=True).run([source])
    assert report.status == "added", report.error
    paper = two.whole.paper(bobs)
    assert (paper.file_name, paper.title, paper.year) == ("bobs.pdf", "From a bibliography", 1999)
    assert two.whole.ledger.get(bobs).file == "bobs.pdf"
    assert list(two.people.held(bobs)) == [two.bob.id]


async def test_what_a_command_adds_is_shared_whoever_else_has_it(two, views) -> None:
    from ui import core

    hers, his = views
    with two.as_("ada"):
        core.removals().put_off([two.private])
        core.came([two.private])
        assert core.removals().waiting() == set()
        core.forget_removals()
    assert hers.state_of(two.private) == "shared"
    assert his.papers([two.private])


async def test_the_gate_names_no_local_paper_of_another(two) -> None:
    from rag.privacy.audit import AuditLog
    from rag.privacy.policy import load_policy, save_policy
    from ui import core

    core.serving().current.gate = Gate.of(two.whole, RagSettings())
    log = AuditLog(two.whole.folder)
    policy = load_policy(two.whole.folder, log).with_papers([two.private], local_only=True)
    save_policy(policy, two.whole.folder, log)
    words = two.whole.pages(two.private)[0].text
    for name, quoted in (("ada", {two.private}), ("bob", set())):
        with two.as_(name):
            gate = core.assistant().gate
            assert gate is not core.serving().current.gate
            assert gate.local_words(words) == quoted


async def test_papers_come_in_the_order_in_which_each_person_added_them(two, views) -> None:
    hers, his = views
    assert [paper.id for paper in hers.papers()] == [two.private, two.shared]
    brought(two, "bob", two.files["shared"])
    brought(two, "bob", two.files["private"])
    assert [paper.id for paper in his.papers()] == [two.shared, two.private], "she added them the other way round"
    assert [one.paper.id for one in his.overview()] == list(his.added_at()) == [two.shared, two.private]


async def test_the_list_asks_once_who_holds_what(two, views, monkeypatch) -> None:
    hers, _ = views
    asked, now = [], two.people._now
    monkeypatch.setattr(two.people, "_now", lambda: asked.append(1) or now())
    for n in range(50):
        two.people.hold(two.ada, f"{n:016}", file="x.pdf")
    asked.clear()
    for read in (hers.overview, hers.papers, hers.added_at, hers.tags):
        read()
    assert len(asked) < 20
