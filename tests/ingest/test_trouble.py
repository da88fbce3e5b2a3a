"""A damaged catalogue, a full disk, a folder that cannot be written: one sentence each, and nothing is half there."""

from __future__ import annotations

import errno
import os
import random
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from fake_embedder import HashEmbedder
from ingest import Library, ingest_pdf, open_library
from ingest.__main__ import main as ingest
from ingest.errors import LibraryMismatchError, StorageError
from ingest.repair import verify
from places import ROOT, SAMPLES
from rag.__main__ import main as rag
from waiting import PATIENCE

ONE, TWO = SAMPLES / "lora-for-terms.pdf", SAMPLES / "before-you-run.pdf"


@pytest.fixture
def fake():
    return HashEmbedder()


@pytest.fixture
def filled(settings, fake):
    """A closed library with a paper."""
    with open_library(settings) as library:
        paper_id = ingest_pdf(ONE, library=library, embedder=fake).paper_id
        library._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return settings.library, paper_id


def spoil(folder, table, *, leave=0):
    """Garbage on all pages of a table but the first `leave`."""
    file = folder / "library.db"
    with closing(sqlite3.connect(file)) as db:
        try:
            pages = [row[0] for row in db.execute("SELECT pageno FROM dbstat WHERE name = ?", (table,))]
        except sqlite3.OperationalError:
            pytest.skip("this SQLite has no dbstat")
        size = db.execute("PRAGMA page_size").fetchone()[0]
    dice = random.Random(3)
    with file.open("r+b") as raw:
        for page in pages[leave:]:
            raw.seek((page - 1) * size)
            raw.write(dice.randbytes(size))


# -- the catalogue is gone --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["empty", "gone"])
def test_papers_without_a_catalogue_are_no_new_library_and_what_is_advised_brings_them_back(
    filled, settings, fake, how, tmp_path
):
    folder, paper_id = filled
    (folder / "library.db").unlink()
    if how == "empty":
        (folder / "library.db").touch()
    with pytest.raises(LibraryMismatchError, match=how) as raised:
        Library(settings)
    assert "There is 1 paper in" in str(raised.value)
    assert "python -m ingest add FOLDER" in str(raised.value)
    assert sorted(path.name for path in (folder / "papers").iterdir()) == [f"{paper_id}.pdf"]
    (folder / "papers").rename(tmp_path / "saved")  # as the sentence says
    (folder / "library.db").unlink(missing_ok=True)
    with open_library(settings) as library:
        ingest_pdf(tmp_path / "saved" / f"{paper_id}.pdf", library=library, embedder=fake)
        assert [paper.id for paper in library.papers()] == [paper_id]
        assert library.vectors.ids() == set(library.chunk_ids())
        assert verify(library) == []


def test_a_cut_off_copy_alone_is_a_new_library(settings):
    (settings.library / "papers").mkdir(parents=True)
    (settings.library / "papers" / "0123456789abcdef.partial").write_bytes(b"%PDF")
    with open_library(settings) as library:
        library.own()
        assert library.papers() == []


# -- the catalogue is damaged -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "command"),
    [
        ("papers", ["list"]),
        ("pages", ["show"]),
        ("chunks", ["remove"]),
        ("words_data", ["verify"]),
        ("ledger", ["ledger"]),
    ],
)
def test_garbage_in_the_catalogue_is_a_sentence_in_the_terminal(filled, monkeypatch, capsys, table, command):
    folder, paper_id = filled
    spoil(folder, table)
    monkeypatch.setenv("SCHOLION_LIBRARY", str(folder))
    code = ingest([*command, paper_id] if command[0] in ("show", "remove") else command)
    said = capsys.readouterr()
    if table == "words_data" and code == 0:
        assert "repaired" in said.out, "the word index is made anew from the chunks"
        return
    assert code == 1
    assert "database is damaged" in said.err + said.out
    assert "library.db" in said.err + said.out
    assert "Traceback" not in said.err


def test_garbage_in_the_catalogue_is_a_sentence_at_the_start_and_in_a_command(filled, monkeypatch, capsys):
    folder, _ = filled
    spoil(folder, "papers")
    monkeypatch.setenv("SCHOLION_LIBRARY", str(folder))
    assert rag(["terms"]) == 1
    assert "database is damaged" in capsys.readouterr().err
    done = subprocess.run(
        [sys.executable, "-m", "ui", "--no-browser", "--port", "18431"],
        env=os.environ,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 1, done.stdout
    assert "database is damaged" in done.stderr
    assert "Traceback" not in done.stderr


def test_garbage_that_comes_while_the_library_is_open_has_words(filled, settings):
    from ingest.trouble import in_words

    folder, _ = filled
    with open_library(settings) as library:
        assert library.papers()
        spoil(folder, "chunks")
        with pytest.raises(sqlite3.DatabaseError) as raised:
            library._db.execute("SELECT sum(length(text)) FROM chunks").fetchall()
    said = in_words(raised.value)
    assert isinstance(said, LibraryMismatchError)
    assert "python -m ingest add FOLDER" in str(said)


def test_a_bug_stays_a_bug():
    from ingest.trouble import in_words

    for error in (KeyError("x"), ValueError("(code: 13)"), sqlite3.OperationalError("no such table: x")):
        assert in_words(error) is None


def test_the_index_of_meanings_is_told_apart_from_the_catalogue():
    from chromadb.errors import InternalError

    from ingest.trouble import in_words

    damaged = in_words(InternalError("error returned from database: (code: 11) database disk image is malformed"))
    assert isinstance(damaged, StorageError)
    assert "chroma/" in str(damaged)
    assert "library.db" not in str(damaged)


# -- the disk is full, or cannot be written ---------------------------------------------------------------------------


@pytest.fixture
def disk(tmp_path):
    """A file system of 24 MB of its own: `fill(left)` leaves so many bytes free, `read_only` lets nobody write."""
    place = tmp_path / "disk"
    place.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", place], capture_output=True, check=False
    ).returncode:
        pytest.skip("this account may not mount a file system")

    class Disk:
        folder = place / "library"

        def fill(self, left: int) -> None:
            free = os.statvfs(place).f_bavail * os.statvfs(place).f_frsize
            with (place / "ballast").open("ab") as file:
                file.write(bytes(max(0, free - left)))

        def free(self) -> None:
            (place / "ballast").unlink()

        def read_only(self) -> None:
            """Lay a read-only view of the same files over them: it works while some are still open for writing."""
            subprocess.run(["mount", "--bind", place, place], check=True)
            subprocess.run(["mount", "-o", "remount,bind,ro", place], check=True)

        def writable(self) -> None:
            subprocess.run(["umount", "-l", place], check=True)

    yield Disk()
    while os.path.ismount(place):
        subprocess.run(["umount", "-l", place], check=True)


def on(disk):
    from ingest import IngestSettings

    return IngestSettings(library=disk.folder)


def test_a_full_disk_is_a_sentence_while_adding_and_nothing_is_half_there(disk, fake):
    """Room for a little more each time, so that it gives out at the copy, the tables and the index in turn."""
    said = set()
    for left in range(0, 2_400_000, 400_000):
        with open_library(on(disk)) as library:
            ingest_pdf(ONE, library=library, embedder=fake)
            assert library.vectors.ids()
            before = library.vectors.ids()
            disk.fill(left)
            report = ingest_pdf(TWO, library=library, embedder=fake)
            said.add(report.error)
            disk.free()
            if report.status == "failed":
                assert [paper.title for paper in library.papers()] == [library.papers()[0].title]
                assert before <= library.vectors.ids()
        with open_library(on(disk)) as library:
            library.own()
            papers = library.papers()
            assert library.vectors.ids() == set(library.chunk_ids())
            copies = {path.name for path in (library.folder / "papers").iterdir()}
            assert copies == {f"{paper.id}.pdf" for paper in papers}, "whole papers only"
            assert [problem for problem in verify(library) if "word index" not in problem.what] == []
            assert ingest_pdf(TWO, library=library, embedder=fake).status in ("added", "skipped")
            library.remove(next(paper.id for paper in library.papers() if paper.id != papers[0].id))
    assert said <= {None, "The disk is full. Free some space and try again. Nothing stored before is lost."}
    assert len(said) == 2, "with most room it was added, with least it was not"


@pytest.mark.parametrize("left", [0, 4096, 20_000, 60_000, 120_000, 200_000, 300_000, 500_000])
def test_a_full_disk_is_a_sentence_at_the_start(disk, fake, monkeypatch, capsys, left):
    disk.fill(left)
    monkeypatch.setenv("SCHOLION_LIBRARY", str(disk.folder))
    monkeypatch.setattr("ingest.__main__.embedder_from", lambda _: fake)
    assert ingest(["add", str(ONE)]) == 1
    said = capsys.readouterr()
    assert said.err.strip().endswith("Free some space and try again. Nothing stored before is lost.")
    assert said.err.count("The disk is full") == 1
    assert len(said.err.strip().splitlines()) == 1, said.err
    disk.free()
    with open_library(on(disk)) as library:
        library.own()
        assert library.papers() == []
        assert library.ledger.entries() == []
        assert list((library.folder / "papers").iterdir()) == []
        assert ingest_pdf(ONE, library=library, embedder=fake).status == "added"


def test_a_folder_that_cannot_be_written_is_a_sentence_at_the_start_and_while_adding(disk, fake, monkeypatch, capsys):
    monkeypatch.setenv("SCHOLION_LIBRARY", str(disk.folder))
    with open_library(on(disk)) as library:
        ingest_pdf(ONE, library=library, embedder=fake)
    disk.read_only()
    for command in (["list"], ["add", str(TWO)], ["verify"]):
        assert ingest(command) == 1
        said = capsys.readouterr()
        assert "cannot be" in said.err
        assert str(disk.folder) in said.err
        assert "Put a copy" not in said.err, "nothing is damaged"
        assert not {"delete", "remove", "chmod", "777"} & set(said.err.lower().split()), "no harm is advised"
        assert "Traceback" not in said.err
    disk.writable()
    with open_library(on(disk)) as library:
        assert len(library.papers()) == 1


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT])
@pytest.mark.parametrize("step", ["keep", "ledger", "chunks", "vectors", "finish"])
def test_whatever_step_the_disk_fails_at_the_file_gets_its_sentence_and_leaves_nothing(
    library, fake, monkeypatch, step, number
):
    ingest_pdf(ONE, library=library, embedder=fake)
    library.vectors.ids()
    before = sorted(path.name for path in (library.folder / "papers").iterdir())

    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), str(library.folder / "x"))

    with monkeypatch.context() as patched:
        if step == "keep":
            patched.setattr("ingest.files.put_in_place", fail)
        elif step == "ledger":
            patched.setattr(library.ledger, "advance", fail)
        elif step == "chunks":
            patched.setattr(library._tags, "put_back", fail)
        elif step == "vectors":
            patched.setattr(type(library.vectors), "add", fail)
        else:
            patched.setattr(library, "_finish", fail)
        report = ingest_pdf(TWO, library=library, embedder=fake)
    assert report.status == "failed"
    full = number in (errno.ENOSPC, errno.EDQUOT)
    assert ("The disk is full" if full else "cannot be used") in report.error
    assert sorted(path.name for path in (library.folder / "papers").iterdir()) == before
    assert len(library.papers()) == 1
    left = library.vectors.ids() - set(library.chunk_ids())
    assert library.chunks(left) == {}, "vectors that are left until the next opening are found by no search"
    assert [entry.state for entry in library.ledger.entries()] == ["finished"]
    assert ingest_pdf(TWO, library=library, embedder=fake).status == "added"
