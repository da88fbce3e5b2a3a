"""What a library keeps in memory is what is in its tables, whoever changes them."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from ingest import open_library
from ingest.errors import TagError
from ingest.kept import FEW, SCOPES
from ingest.paper import Chunk, Page, Paper, ParsedPaper


@pytest.fixture
def add(library, tmp_path):
    pdf = tmp_path / "x.pdf"
    pdf.write_bytes(b"%PDF-1.7")

    def added(n: int, title: str = "") -> Paper:
        paper = Paper(id=f"{n:016x}", title=title or f"Paper {n}", n_pages=1, file_name="x.pdf")
        chunk = Chunk(
            id=f"{paper.id}:0000", paper_id=paper.id, ordinal=0, text="Sand.", start=0, end=5, first_page=1,
            last_page=1, section=None, n_tokens=1,
        )  # fmt: skip
        parsed = ParsedPaper(paper, (Page(1, "Sand."),))
        library.add(parsed, [chunk], np.ones((1, 3), np.float32), embedder="fake@0", pdf=pdf)
        return paper

    return added


def titles(library) -> list[str]:
    return [paper.title for paper in library.papers()]


def test_every_change_is_seen_at_once_in_this_and_in_other_threads(library, add) -> None:
    def elsewhere() -> list[str]:
        found = []
        thread = threading.Thread(target=lambda: found.append(titles(library)))
        thread.start()
        thread.join()
        return found[0]

    assert titles(library) == []
    add(2)
    add(1)
    assert titles(library) == elsewhere() == ["Paper 2", "Paper 1"], "in the order of adding"
    library.describe(f"{1:016x}", title="Corrected")
    assert titles(library) == elsewhere() == ["Paper 2", "Corrected"]
    library.tag([f"{1:016x}", f"{2:016x}"], "sand")
    assert library.tags() == {"sand": [f"{2:016x}", f"{1:016x}"]}
    assert [paper.title for paper in library.tagged("SAND")] == ["Paper 2", "Corrected"]
    library.remove(f"{2:016x}")
    assert titles(library) == elsewhere() == ["Corrected"]
    assert library.tags() == {"sand": [f"{1:016x}"]}
    assert list(library.added_at()) == [f"{1:016x}"]


def test_what_another_process_changes_is_seen(library, settings, add) -> None:
    paper = add(1)
    assert titles(library) == ["Paper 1"]
    with open_library(settings) as other:  # another connection is to SQLite as another process
        assert titles(other) == ["Paper 1"]
        library.describe(paper.id, title="By the owner")
        assert titles(other) == ["By the owner"]
    with closing(sqlite3.connect(library.folder / "library.db")) as db, db:
        db.execute("UPDATE papers SET title = 'By hand'")
    assert titles(library) == ["By hand"]


def test_a_tag_is_read_once_and_again_when_anybody_has_changed_one(library, settings, add) -> None:
    first, second = add(1), add(2)
    library.tag([first.id], "sand")
    assert [paper.id for paper in library.tagged("Sand")] == [first.id]
    asked = []
    library._db.set_trace_callback(asked.append)
    assert [paper.id for paper in library.tagged("sand")] == [first.id]
    library._db.set_trace_callback(None)
    assert not [query for query in asked if "tags" in query]
    with closing(sqlite3.connect(library.folder / "library.db")) as db, db:
        db.execute("INSERT INTO tags VALUES (?, 'sand')", (second.id,))
    assert [paper.id for paper in library.tagged("sand")] == [first.id, second.id]
    library.untag([first.id, second.id], "sand")
    with pytest.raises(TagError):
        library.tagged("sand")
    library._db.execute("INSERT INTO tags VALUES (?, 'undone')", (first.id,))
    assert [paper.id for paper in library.tagged("undone")] == [first.id]
    library._db.rollback()
    with pytest.raises(TagError):
        library.tagged("undone")


def test_more_scopes_than_are_kept_are_counted_rightly(library, add) -> None:
    every = [add(n).id for n in range(4)]
    scopes = [every[: 1 + n % 4] + [f"{100 + n:016x}" for n in range(n, n + FEW)] for n in range(SCOPES + 5)]
    for _ in range(2):
        assert [library.n_chunks_of(scope) for scope in scopes] == [1 + n % 4 for n in range(len(scopes))]
    assert len(library._kept._scopes) == SCOPES
    library.remove(every[0])
    assert [library.n_chunks_of(scope) for scope in scopes] == [n % 4 for n in range(len(scopes))]


def test_what_is_not_stored_yet_is_kept_by_nobody(library, add) -> None:
    add(1)
    library._db.execute("UPDATE papers SET title = 'Undone'")
    assert titles(library) == ["Undone"]
    library._db.rollback()
    assert titles(library) == ["Paper 1"]


def test_an_unfinished_paper_is_neither_listed_nor_counted(library, add) -> None:
    paper, ids = add(1), [f"{n:016x}" for n in range(FEW + 5)]
    assert library.n_chunks_of(ids) == 1
    with library._db as db:
        db.execute("UPDATE papers SET finished_at = NULL")
    assert titles(library) == []
    assert library.n_chunks_of(ids) == 0
    assert library.papers([paper.id]) == []


def test_few_and_many_ids_give_the_same(library, add) -> None:
    every = [add(n) for n in range(3)]
    some = [every[2].id, "unknown", every[0].id, every[0].id]
    few = library.papers(some)
    assert few == [every[0], every[2]] == [replace(paper) for paper in few]
    add(9)  # so that what is in memory is old
    assert library.papers([*some, *(f"{n:016x}" for n in range(100, 100 + FEW))]) == few
    assert library.n_chunks_of(some) == 2
    assert library.n_chunks_of([*some, *(f"{n:016x}" for n in range(100, 100 + FEW))]) == 2


def test_a_closed_library_that_is_used_again_reads_again(library, add) -> None:
    paper = add(1)
    library.tag([paper.id], "sand")
    library.close()  # SQLite counts changes anew for each connection
    assert titles(library) == ["Paper 1"]
    assert library.tagged("sand")
    library.close()
    with closing(sqlite3.connect(library.folder / "library.db")) as db, db:
        db.execute("UPDATE papers SET title = 'Changed while closed'")
        db.execute("UPDATE tags SET tag = 'clay'")
    assert titles(library) == ["Changed while closed"]
    assert library.tagged("clay")
    with pytest.raises(TagError):
        library.tagged("sand")


def test_a_new_thread_waits_for_no_writer_and_holds_up_nobody(library, add) -> None:
    add(1)
    began, begun, done = threading.Event(), threading.Event(), threading.Event()

    def write() -> None:
        with library._guard:
            began.set()
            done.wait(20)

    def ask() -> None:
        begun.set()
        library.papers()

    threads = [threading.Thread(target=write), threading.Thread(target=ask)]
    threads[0].start()
    assert began.wait(20)
    threads[1].start()
    assert begun.wait(20)
    threads[1].join(5)
    alive = threads[1].is_alive()
    done.set()
    for thread in threads:
        thread.join()
    assert not alive


def test_the_number_of_chunks_is_right_after_a_removal(library, add) -> None:
    first, _ = add(1), add(2)
    assert library.n_chunks() == 2
    library.remove(first.id)
    assert library.n_chunks() == 1
