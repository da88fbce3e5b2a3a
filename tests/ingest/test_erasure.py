"""What is deleted is gone from the bytes of the library's folder, and others may read none of it before."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import numpy as np
import pytest

from fake_embedder import HashEmbedder
from ingest import Library, ingest_pdf, open_library
from ingest.__main__ import main as ingest
from ingest.chroma import HNSW_HEADER
from ingest.vectors import ChromaIndex
from pdfs import Text, write_pdf
from places import SAMPLES

WORD = "quoxalumin"


@pytest.fixture
def fake():
    return HashEmbedder()


def paper_with(path: Path, word: str) -> Path:
    """Twelve pages on which a word and its own variants stand everywhere, so that they reach every kind of page."""
    pages = [
        [
            Text(72, 720 - 14 * n, f"{word} number {word}{page}x{n} is about the {word} of {n * page} cases and more.")
            for n in range(40)
        ]
        for page in range(12)
    ]
    return write_pdf(path, *pages, title=f"On the {word}")


def traces(folder: Path, word: str) -> list[str]:
    """The files in whose names or raw bytes the word stands, in any capitals."""
    needle = word.lower().encode()
    return [
        path.relative_to(folder).as_posix()
        for path in sorted(folder.rglob("*"))
        if needle in str(path.relative_to(folder)).lower().encode()
        or (path.is_file() and needle in path.read_bytes().lower())
    ]


def test_a_removed_paper_leaves_no_word_in_the_bytes_of_the_folder(settings, fake, tmp_path):
    pdf = paper_with(tmp_path / f"{WORD}.pdf", WORD)
    with open_library(settings) as library:
        for sample in sorted(SAMPLES.glob("*.pdf"))[:2]:
            ingest_pdf(sample, library=library, embedder=fake)
        paper_id = ingest_pdf(pdf, library=library, embedder=fake).paper_id
        attached = library.folder / "uploads" / "user" / "element" / "paper.pdf"
        stray = library.folder / "stray" / "copy.pdf"
        for copy in (attached, stray):
            copy.parent.mkdir(parents=True)
            shutil.copyfile(pdf, copy)
        other = attached.with_name("other.pdf")
        shutil.copyfile(sample, other)
        (library.folder / "chroma.broken-1").mkdir()
        (library.folder / "chroma.broken-1" / "old").write_text(WORD)
        assert {"library.db", "library.db-wal"} & set(traces(library.folder, WORD)), "it was there"
        library.remove(paper_id)
        assert traces(library.folder, WORD) == [], "while the library is open"
        assert other.is_file(), "attachments that are another file stay"
    assert traces(settings.library, WORD) == [], "and after it was closed"


def test_a_removed_paper_leaves_no_word_when_another_reader_was_in_the_middle_of_one(settings, fake, tmp_path):
    pdf = paper_with(tmp_path / "p.pdf", WORD)
    with open_library(settings) as library, open_library(settings) as reader:
        paper_id = ingest_pdf(pdf, library=library, embedder=fake).paper_id
        rows = reader._db.execute("SELECT text FROM chunks")
        rows.fetchone()
        library.remove(paper_id)
        rows.close()
    assert traces(settings.library, WORD) == []


def test_what_chroma_reserves_on_disk_holds_nothing_that_was_in_memory(tmp_path):
    def elements(folder: Path) -> int:
        return HNSW_HEADER.unpack(next(folder.glob("*/header.bin")).read_bytes()[: HNSW_HEADER.size])[3]

    vectors = np.random.default_rng(0).random((1200, 8), dtype=np.float32)
    index = ChromaIndex(tmp_path, collection="papers")
    before = [bytearray(WORD.encode() * n) for n in range(1, 900)]
    del before  # the memory that Chroma gets next
    index.add([f"a:{n}" for n in range(10)], vectors[:10])
    assert elements(tmp_path) == 0, "so few are in Chroma's log only"
    for name in ("length.bin", "data_level0.bin"):
        written = next(tmp_path.glob(f"*/{name}")).read_bytes()
        assert len(written) >= 400, name
        assert not any(written), name
    index.add([f"a:{n}" for n in range(10, 1200)], vectors[10:])
    assert elements(tmp_path) >= 1000, "they were written, and are left alone"
    assert index.search(vectors[7] / np.linalg.norm(vectors[7]), 1)[0][0] == "a:7"
    index.close()


# -- other users ------------------------------------------------------------------------------------------------------


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=oct)
def umask(request):
    before = os.umask(request.param)
    yield
    os.umask(before)


def open_to_others(folder: Path) -> list[str]:
    """What others could read, were the library's folder itself open; a folder in it that is closed hides its files."""
    found = [str(folder)] if stat.S_IMODE(folder.stat().st_mode) & 0o077 else []
    for path in folder.iterdir():
        if path.is_symlink() or not stat.S_IMODE(path.stat().st_mode) & 0o077:
            continue
        found += [str(path), *(open_to_others(path) if path.is_dir() else [])]
    return found


@pytest.mark.usefixtures("umask")
def test_nothing_of_a_library_is_readable_by_others_whatever_the_umask(settings, fake):
    with open_library(settings) as library:
        ingest_pdf(SAMPLES / "lora-for-terms.pdf", library=library, embedder=fake)
        assert stat.S_IMODE(library.folder.stat().st_mode) == 0o700
        for name in ("library.db", "library.db-wal", "library.db-shm", "owner.lock", "owner.json"):
            assert stat.S_IMODE((library.folder / name).stat().st_mode) == 0o600, name
    Library(settings).close()
    assert open_to_others(settings.library) == []


def test_a_command_closes_everything_that_it_writes(tmp_path, monkeypatch):
    folder = tmp_path / "library"
    monkeypatch.setenv("SCHOLION_LIBRARY", str(folder))
    os.umask(0)  # the fixture `_umask` puts it back
    assert ingest(["add", str(SAMPLES / "lora-for-terms.pdf")]) == 0
    assert open_to_others(folder) == []


def test_a_library_that_was_open_is_closed_at_the_next_start_and_foreign_files_are_left_alone(settings, fake):
    with open_library(settings) as library:
        ingest_pdf(SAMPLES / "lora-for-terms.pdf", library=library, embedder=fake)
    for path in (settings.library, *settings.library.rglob("*")):
        path.chmod(0o777 if path.is_dir() else 0o666)
    for name in ("chats.db", "chats.db-wal", "secret", "audit.jsonl", "audit.head", "uploads/u/e/x.pdf", "notes.txt"):
        (settings.library / name).parent.mkdir(parents=True, exist_ok=True)
        (settings.library / name).touch(mode=0o644)
    outside = settings.library.parent / "outside"
    outside.touch(mode=0o644)
    (settings.library / "papers" / "link.pdf").symlink_to(outside)
    Library(settings).close()
    assert [Path(path).name for path in open_to_others(settings.library)] == ["notes.txt"]
    for path in (settings.library / "papers").glob("*.pdf"):
        assert path.is_symlink() or stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(outside.stat().st_mode) == 0o644, "a link is not followed"


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
def test_a_file_that_goes_while_the_folder_is_being_closed_does_not_stop_the_start(settings, monkeypatch):
    Library(settings).close()
    gone = settings.library / "chats.db-shm"
    listed = Path.iterdir
    seen = []
    monkeypatch.setattr(Path, "iterdir", lambda folder: (seen.append(folder), iter([*listed(folder), gone]))[1])
    (settings.library / "owner.json").touch(mode=0o644)
    Library(settings).close()
    assert settings.library in seen
    assert stat.S_IMODE((settings.library / "owner.json").stat().st_mode) == 0o600, "the others are closed all the same"
