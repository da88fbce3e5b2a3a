"""The catalogue and the index: nothing is lost, nothing is half there."""

from __future__ import annotations

import gc
import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path, PureWindowsPath

import numpy as np
import pytest

from fake_embedder import HashEmbedder
from ingest import Ingest, IngestSettings, Library, Source, embedder_from, ingest_pdf, open_library
from ingest.embed import embedded_model
from ingest.errors import (
    CancelledParseError,
    LibraryBusyError,
    LibraryMismatchError,
    TagError,
    UnknownPaperError,
    UserFacingError,
)
from ingest.repair import rebuild, verify
from ingest.vectors import ChromaIndex, ExactIndex
from places import ROOT, SAMPLES

ONE, TWO = SAMPLES / "lora-for-terms.pdf", SAMPLES / "before-you-run.pdf"


@pytest.fixture
def fake():
    return HashEmbedder()


def add(library, path, embedder, **options):
    return ingest_pdf(path, library=library, embedder=embedder, **options)


def words_of(library, match, k=5, **scope):
    return [name for name, _ in library.search_words(match, k, **scope)]


def test_a_search_of_words_with_a_common_word_finds_what_the_rare_one_names(library, fake, monkeypatch):
    one, two = (add(library, path, fake).paper_id for path in (ONE, TWO))
    everything = {scope: library.search_words('"the" OR "matrices"', 100, paper_ids=scope) for scope in (None, (one,))}
    rare = set(words_of(library, '"matrices"', 100))
    monkeypatch.setattr("ingest.word_index.ENOUGH", 5)
    for scope, before in everything.items():
        found = library.search_words('"the" OR "matrices"', 100, paper_ids=scope)
        assert {name for name, _ in found} == {name for name, _ in before} & rare
    assert words_of(library, '"the"') == words_of(library, '"the" OR "unheardof"'), "common words alone are searched"
    assert words_of(library, '"unheardof" OR "matrices" OR "the"', 100) == words_of(
        library, '"matrices" OR "the"', 100
    ), "a word that is nowhere excludes nothing"
    assert words_of(library, '("the" AND "model") OR "matrices"', 100), "other queries are left as they are"
    assert words_of(library, '"model"', paper_ids=[]) == []
    assert {name.partition(":")[0] for name in words_of(library, '"the" OR "model"', 100, paper_ids=[two])} == {two}


def test_the_frequency_of_a_word_follows_what_is_added(library, fake, monkeypatch):
    monkeypatch.setattr("ingest.word_index.ENOUGH", 5)
    add(library, ONE, fake)
    before = library._words.n_with('"the"')
    add(library, TWO, fake)
    assert library._words.n_with('"the"') > before


def test_papers_can_be_asked_for_by_id(library, fake):
    one, two = (add(library, path, fake).paper_id for path in (ONE, TWO))
    assert [paper.id for paper in library.papers({two, "unknown"})] == [two]
    assert [paper.id for paper in library.papers()] == [one, two]


# -- the seams: the real thing and its stand-in through the same assertions ------------------------------------------


@pytest.fixture(params=["chroma", "exact", "server"])
def index(request, tmp_path):
    if request.param == "exact":
        return ExactIndex()
    place = tmp_path / "chroma" if request.param == "chroma" else request.getfixturevalue("server").url
    return ChromaIndex(place, collection=f"chunks-{tmp_path.name}")


def test_among_many_the_nearest_are_those_of_an_exact_search(index, monkeypatch):
    monkeypatch.setattr("ingest.vectors.EXACT", 20)
    dice = np.random.default_rng(1)
    rows = dice.normal(size=(400, 16)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    names = [f"m{i % 8}:{i:04d}" for i in range(400)]
    index.add(names, rows)
    for share in (200, 30):
        among = names[:share]
        exact = sorted(zip(among, rows[:share] @ rows[7], strict=True), key=lambda pair: -pair[1])[:10]
        found = index.search(rows[7], 10, among=among)
        assert [name for name, _ in found] == [name for name, _ in exact]
        assert index.search(rows[7], 300, among=among)[-1][0] in among
        assert len(index.search(rows[7], 300, among=among)) == share


def test_a_scope_far_from_the_question_is_found_by_asking_for_more(index, monkeypatch):
    monkeypatch.setattr("ingest.vectors.EXACT", 20)
    monkeypatch.setattr("ingest.vectors.DEEPEST", 280)
    dice = np.random.default_rng(2)
    rows = dice.normal(size=(400, 16)).astype(np.float32)
    rows[:, 0] += np.where(np.arange(400) < 240, 9, -9)  # the last 160 are on the other side
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    names = [f"{i:04d}:0000" for i in range(400)]
    index.add(names, rows)
    asked = []
    nearest = index.nearest
    monkeypatch.setattr(index, "nearest", lambda query, depth: (asked.append(depth), nearest(query, depth))[1])
    exact = [names[240 + i] for i in np.argsort(-(rows[240:] @ rows[7]))]
    found = [name for name, _ in index.search(rows[7], 20, among=names[240:])]
    assert len({*found} & {*exact[:20]}) >= 14, "HNSW is not exact so far away"
    fewer = [name for name, _ in index.search(rows[7], 40, among=names[240:])]
    assert {*fewer} <= {*exact}
    if isinstance(index, ExactIndex):
        assert fewer == exact[:40]
    else:
        assert len(fewer) >= 25
        assert asked == [82, 280, 165, 280]
    few = [name for name, _ in index.search(rows[7], 60, among=names[:80])]
    assert len({*few} & {*names[:80]}) == len(few) == 60
    assert asked[4:] == ([] if isinstance(index, ExactIndex) else [280])


def unit(*values):
    return np.asarray(values, dtype=np.float32) / np.linalg.norm(values)


def test_contract_of_a_vector_index(index):
    vectors = np.stack([unit(1, 0, 0), unit(1, 1, 0), unit(0, 1, 0), unit(0, 0, 1)])
    index.add(["a:0", "a:1", "b:0", "b:1"], vectors)
    found = index.search(unit(1, 0.1, 0), 3)
    assert [name for name, _ in found] == ["a:0", "a:1", "b:0"]
    assert found[0][1] == pytest.approx(float(unit(1, 0.1, 0) @ unit(1, 0, 0)), abs=1e-5)
    assert [name for name, _ in index.search(unit(1, 0.1, 0), 9, among=["b:0", "b:1", "unknown"])] == ["b:0", "b:1"]
    index.add(["a:0"], unit(0, 0, 1)[None])
    assert index.search(unit(1, 0, 0), 1)[0][0] == "a:1", "a second add replaces"
    index.remove(["a:1", "unknown"])
    assert index.ids() == {"a:0", "b:0", "b:1"}
    assert len(index.search(unit(1, 0, 0), 100)) == 3
    assert index.search(unit(1, 0, 0), 5, among=[]) == []


@pytest.fixture(params=["real", "fake"])
def any_embedder(request):
    return embedder_from(None) if request.param == "real" else HashEmbedder()


def test_contract_of_an_embedder(any_embedder):
    texts = ["Cats chase mice in the barn.", "The mice were chased by cats.", "Interest rates rose in spring."]
    vectors = any_embedder.embed_documents(texts)
    assert vectors.shape[0] == 3
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    query = any_embedder.embed_query("cats and mice")
    assert query.shape == vectors.shape[1:]
    scores = vectors @ query
    assert scores[2] < min(scores[0], scores[1]), "it ranks"
    assert np.allclose(vectors[1], any_embedder.embed_documents([texts[1]])[0], atol=1e-3), (
        "alone as in a batch (bf16 sums in another order)"
    )
    assert any_embedder.count_tokens(["", "one", "one two three"])[0] == 0
    assert any_embedder.max_tokens >= 128
    assert "@" in any_embedder.name


@pytest.fixture
def renamed(tmp_path):
    """The embedded weights under the name of another model: real vectors, with what that model wants before a text."""

    def make(name, **config):
        folder = shutil.copytree(embedded_model(), tmp_path / name)
        old = json.loads((folder / "config_sentence_transformers.json").read_text())
        (folder / "config_sentence_transformers.json").write_text(json.dumps(old | config))
        return embedder_from(folder)

    return make


def test_each_embedder_gets_the_prefixes_that_it_was_trained_with(renamed, embedder):
    e5 = renamed("multilingual-e5-small")
    assert np.allclose(e5.embed_query("mice"), embedder.embed_query("query: mice"), atol=1e-6)
    assert np.allclose(e5.embed_documents(["mice"]), embedder.embed_documents(["passage: mice"]), atol=1e-6)
    assert e5.max_tokens == embedder.max_tokens - 2, "the prefix takes its tokens from the text"
    bge = renamed("bge-small-en-v1.5")
    assert np.allclose(bge.embed_documents(["mice"]), embedder.embed_documents(["mice"]), atol=1e-6)
    assert not np.allclose(bge.embed_query("mice"), embedder.embed_query("mice"), atol=1e-2)
    own = renamed("somebodys-model", prompts={"query": "ask: ", "document": ""})
    assert np.allclose(own.embed_query("mice"), embedder.embed_query("ask: mice"), atol=1e-6)


def test_a_library_refuses_another_known_embedder_by_its_name(library, renamed, embedder):
    add(library, ONE, embedder)
    with pytest.raises(LibraryMismatchError, match=r"built with all-MiniLM-L6-v2@\w+, not with multilingual-e5-small@"):
        library.check_embedder(renamed("multilingual-e5-small").name)


def test_an_embedder_that_is_not_here_is_named_with_the_way_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UserFacingError, match=r"hf download BAAI/bge-small-en-v1\.5"):
        embedder_from(Path("bge-small-en-v1.5"))
    with pytest.raises(UserFacingError, match="There is no embedder no-such-model"):
        embedder_from("no-such-model")


def test_the_name_of_a_model_keeps_its_slashes_on_every_system(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    chosen = IngestSettings(embedder="BAAI/bge-small-en-v1.5").embedder
    assert chosen == "BAAI/bge-small-en-v1.5"

    class WindowsPath(PureWindowsPath):
        def expanduser(self):
            return self

        def is_dir(self):
            return False

    monkeypatch.setattr("ingest.embed.Path", WindowsPath)
    with pytest.raises(UserFacingError, match=r"hf download BAAI/bge-small-en-v1\.5"):
        embedder_from(chosen)


# -- the catalogue ----------------------------------------------------------------------------------------------------


def test_a_paper_is_found_after_adding_and_skipped_the_second_time(library, fake):
    steps = []
    report = add(library, ONE, fake, on_progress=lambda p: steps.append(p.step))
    assert (report.status, report.pages) == ("added", library.papers()[0].n_pages)
    assert list(dict.fromkeys(steps)) == ["reading", "embedding", "storing"]
    assert report.chunks == library.n_chunks(report.paper_id) == len(library.vectors.ids())
    assert library.pdf_path(report.paper_id).read_bytes() == ONE.read_bytes()
    again = add(library, ONE, fake)
    assert (again.status, again.paper_id, again.chunks) == ("skipped", report.paper_id, report.chunks)
    assert verify(library) == []


def test_it_is_all_there_after_closing_and_opening_again(settings, fake):
    with open_library(settings) as library:
        ids = set(add(library, ONE, fake) and library.chunk_ids())
    with open_library(settings) as library:
        assert set(library.chunk_ids()) == library.vectors.ids() == ids
        name, score = library.search_words('"rank"', 3)[0]
        assert "rank" in library.chunk(name).text.lower()
        assert score > 0


def test_remove_leaves_no_trace(library, fake):
    one, two = add(library, ONE, fake), add(library, TWO, fake)
    library.remove(one.paper_id)
    assert [paper.id for paper in library.papers()] == [two.paper_id]
    assert all(name.startswith(two.paper_id) for name in library.vectors.ids())
    assert not list(library.folder.rglob(f"{one.paper_id}*"))
    assert not [1 for name, _ in library.search_words('"lora" OR "rank"', 100) if name.startswith(one.paper_id)]
    library.close()
    data = (library.folder / "library.db").read_bytes()
    assert b"Adapting a Model to the Terms" not in data
    with pytest.raises(UnknownPaperError):
        Library(library.settings).remove(one.paper_id)


def test_a_paper_is_found_by_the_beginning_of_its_id(library, fake):
    whole = add(library, ONE, fake).paper_id
    assert library.paper(whole[:6]).id == whole
    with pytest.raises(UnknownPaperError):
        library.paper("0000")


def interrupted(library, path, embedder, monkeypatch):
    """An ingest that ends as by kill -9 just before the finished mark."""
    monkeypatch.setattr(Library, "_finish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        add(library, path, embedder)
    monkeypatch.undo()


def test_an_interrupted_add_is_invisible_and_completed_by_the_next_owner(settings, fake, monkeypatch):
    with open_library(settings) as library:
        interrupted(library, ONE, fake, monkeypatch)
        assert library.papers() == []
        assert library.search_words('"rank"', 5) == []
        expected = library._stored_ids(library.ledger.entries()[0].paper_id)
    with open_library(settings) as library:
        library.own()
        assert library.chunk_ids() == expected
        assert library.vectors.ids() == set(expected)
        assert library.ledger.entries()[0].state == "finished"
        assert verify(library) == []


def test_a_copy_that_was_cut_off_is_gone_at_the_next_start(settings, fake):
    with open_library(settings) as library:
        (library.folder / "papers" / "0123456789abcdef.partial").write_bytes(b"%PDF-1.7 and no mo")
    with open_library(settings) as library:
        library.own()
        assert verify(library) == []
        assert add(library, ONE, fake).status == "added"


def test_an_interrupted_parse_is_resumed_from_the_librarys_own_copy(settings, fake, monkeypatch, tmp_path):
    upload = tmp_path / "upload.pdf"
    upload.write_bytes(ONE.read_bytes())
    with open_library(settings) as library:
        monkeypatch.setattr(Ingest, "_embed", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            add(library, upload, fake)
        monkeypatch.undo()
        assert [(e.file, e.state) for e in library.ledger.entries()] == [("upload.pdf", "embedding")]
    upload.unlink()
    with open_library(settings) as library:
        (problem,) = verify(library)
        assert "still embedding" in problem.what
        (report,) = Ingest(library=library, embedder=fake).resume()
        assert (report.status, report.file) == ("added", "upload.pdf")
        assert verify(library) == []


def test_a_removal_that_was_cut_off_is_completed(settings, fake, monkeypatch):
    with open_library(settings) as library:
        paper_id = add(library, ONE, fake).paper_id
        monkeypatch.setattr(Library, "_erase", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            library.remove(paper_id)
        monkeypatch.undo()
    with open_library(settings) as library:
        library.own()
        assert library.papers() == library.ledger.entries() == []
        assert library.vectors.ids() == set()
        assert not list((library.folder / "papers").iterdir())


def test_an_unreadable_pdf_goes_to_quarantine_and_can_be_tried_again(library, fake, tmp_path, monkeypatch):
    bad = tmp_path / "bad.pdf"
    bad.write_bytes(ONE.read_bytes()[:3000])
    assert add(library, bad, fake).status == "failed"
    (entry,) = library.ledger.entries()
    assert (entry.state, entry.file) == ("failed", "bad.pdf")
    assert "bad.pdf" in entry.reason
    assert library.quarantine_path(entry.paper_id).read_bytes() == bad.read_bytes()
    assert not list((library.folder / "papers").iterdir())
    assert verify(library) == []
    (again,) = Ingest(library=library, embedder=fake).retry()
    assert again.status == "failed"
    assert library.quarantine_path(entry.paper_id).is_file()


def test_the_vectors_of_a_paper_do_not_depend_on_its_company(tmp_path, embedder):
    libraries = [Library(IngestSettings(library=tmp_path / name)) for name in ("alone", "together")]
    add(libraries[0], TWO, embedder)
    list(Ingest(library=libraries[1], embedder=embedder).run(Source(p, p.name) for p in sorted(SAMPLES.glob("*.pdf"))))
    ids = libraries[0].chunk_ids()
    one, two = (library.vectors_of(ids) for library in libraries)
    assert all((one[name] == two[name]).all() for name in ids)
    for library in libraries:
        library.close()


def test_another_embedder_builds_beside_the_old_index_and_swaps_at_the_end(library, fake, monkeypatch):
    add(library, ONE, fake)
    old, other = library.vectors.name, HashEmbedder(dimension=64)
    query = "low rank matrices"
    before = library.vectors.search(fake.embed_query(query), 3)
    monkeypatch.setattr("ingest.repair._swap", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        rebuild(library, other)
    monkeypatch.undo()
    assert library.vectors.search(fake.embed_query(query), 3) == before, "until the swap it answers as before"
    counted = []
    assert rebuild(library, other, on_progress=lambda done, total: counted.append((done, total))) == library.n_chunks(
        library.papers()[0].id
    )
    assert counted == [], "what was embedded before the interruption is not embedded again"
    assert library.embedder_name == other.name
    assert library.vectors.name != old
    assert library.vectors.search(other.embed_query(query), 3)
    assert verify(library) == []


def test_a_broken_chroma_is_set_aside_and_rebuilt(settings, fake):
    with open_library(settings) as library:
        add(library, ONE, fake)
        before = library.vectors.ids()
    (settings.library / "chroma.open").touch()  # as a kill leaves it
    (settings.library / "chroma" / "chroma.sqlite3").write_bytes(b"not a database at all" * 1000)
    with open_library(settings) as library:
        assert library.vectors.ids() == before
        assert list(library.folder.glob("chroma.broken-*"))
        assert verify(library) == []


NEWEST = ("corrected", "annotations", "publication")
"""Columns of `papers` that version 6 brought, one after the other."""
NEWER = ("isbn", "families", "page_labels", "retracted", *NEWEST)
"""Columns of `papers` that versions 4 and 6 brought."""


def test_a_library_of_the_first_version_opens(settings, fake):
    with open_library(settings) as library:
        add(library, ONE, fake)
        db = library._db
        with db:
            for column in ("arxiv_id", "abstract", "report", "refs", *NEWER):
                db.execute(f"ALTER TABLE papers DROP COLUMN {column}")
            db.execute("PRAGMA user_version=1")
    with open_library(settings) as library:
        assert library.papers()[0].abstract is None
        assert library.report(library.papers()[0].id) is None


def test_the_word_index_of_an_older_library_gets_the_headings(settings, fake):
    with open_library(settings) as library:
        add(library, ONE, fake)
        db = library._db
        with db:
            for name in ("chunk_added", "chunk_removed"):
                db.execute(f"DROP TRIGGER {name}")
            db.execute("DROP TABLE words")
            db.execute(
                "CREATE VIRTUAL TABLE words USING fts5(text, content='chunks', content_rowid='row', "
                "tokenize='porter unicode61 remove_diacritics 2')"
            )
            for name in ("chunk_added AFTER INSERT", "chunk_removed AFTER DELETE"):
                db.execute(f"CREATE TRIGGER {name} ON chunks BEGIN SELECT 1; END")
            for column in NEWER:
                db.execute(f"ALTER TABLE papers DROP COLUMN {column}")
            db.execute("PRAGMA user_version=2")
    with open_library(settings) as library:
        assert library.search_words('section : "introduction"', 5)
        add(library, TWO, fake)
        assert len({name.split(":")[0] for name, _ in library.search_words('"model"', 100)}) == 2
        assert verify(library) == []


def test_a_lost_index_is_rebuilt_without_embedding_again(settings, fake):
    with open_library(settings) as library:
        add(library, ONE, fake)
        before = set(library.vectors.ids())
    shutil.rmtree(settings.library / "chroma")
    with open_library(settings) as library:
        assert library.vectors.ids() == before
        assert verify(library) == []


def test_verify_finds_and_mends_a_gap_in_the_index(library, fake):
    add(library, ONE, fake)
    some = sorted(library.vectors.ids())[3:7]
    library.vectors.remove(some)
    library.vectors.add([f"ffff:{n:04d}" for n in range(4)], library.vectors_of(some)[some[0]][None].repeat(4, axis=0))
    assert [problem.what for problem in verify(library)] == [
        "4 chunks were not in the vector index",
        "4 vectors belonged to no chunk",
    ]
    assert verify(library) == []
    assert library.vectors.ids() == set(library.chunk_ids())


def test_verify_reports_a_missing_pdf_and_a_stray_file(library, fake):
    report = add(library, ONE, fake)
    library.pdf_path(report.paper_id).unlink()
    (library.folder / "papers" / "stray.partial").write_bytes(b"x")
    whats = {problem.what: problem.repaired for problem in verify(library)}
    assert whats == {
        f"its PDF {report.paper_id}.pdf is missing; add the file again": False,
        f"stray.partial belonged to no paper and was moved to {library.folder / 'stray'}": True,
    }


def test_cancelling_keeps_nothing(library, fake):
    stop = threading.Event()
    stop.set()
    report = add(library, ONE, fake, cancel=stop)
    assert report.status == "failed"
    assert "stopped" in report.error
    assert library.papers() == [] == list((library.folder / "papers").iterdir())


def test_cancelling_an_upload_that_lies_in_the_librarys_folder_keeps_nothing(library, fake):
    upload = library.folder / "incoming" / ONE.name
    upload.parent.mkdir()
    shutil.copy(ONE, upload)
    stop = threading.Event()
    stop.set()
    assert add(library, upload, fake, cancel=stop).status == "failed"
    assert list((library.folder / "papers").iterdir()) == []
    assert library.ledger.entries("queued", "parsing", "embedding") == []


def test_a_catalogue_from_elsewhere_cannot_name_a_file_outside_the_library(library, fake, tmp_path):
    victim = tmp_path / "thesis.pdf"
    victim.write_text("work that must not be lost")
    name = "../../thesis"
    assert (library.folder / "papers" / f"{name}.pdf").is_file()
    with closing(sqlite3.connect(library.folder / "library.db")) as database, database:
        database.execute("INSERT INTO ledger VALUES (?, 'thesis.pdf', 'removing', NULL, '2026')", (name,))
    with pytest.raises(LibraryMismatchError, match="outside the library"):
        library.own()
    for path_of in (library.kept_path, library.quarantine_path):
        for foreign in (name, str(victim), "..", "", "a/b", "a\\b", "a\0b", ".hidden"):
            with pytest.raises(LibraryMismatchError):
                path_of(foreign)
    assert victim.read_text() == "work that must not be lost"


def test_another_embedder_is_refused_in_words(library, fake):
    add(library, ONE, fake)
    other = HashEmbedder(dimension=16)
    report = add(library, TWO, other)
    assert report.status == "failed"
    assert fake.name in report.error
    assert other.name in report.error
    assert verify(library) == []
    assert LibraryMismatchError.status == 409


def test_a_second_process_can_read_but_not_write(library, fake):
    add(library, ONE, fake)
    code = (
        "import sys, json; from pathlib import Path; sys.path.insert(0, 'tests/support')\n"
        "from ingest import *; from ingest.errors import LibraryBusyError; from fake_embedder import HashEmbedder\n"
        f"library = Library(IngestSettings(library=Path({str(library.folder)!r})))\n"
        "found = library.vectors.search(HashEmbedder().embed_query('low rank matrices'), 3)\n"
        "try: library.own(); busy = None\n"
        "except LibraryBusyError as error: busy = str(error)\n"
        "print(json.dumps([len(library.papers()), [n for n, _ in found], busy]))"
    )
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    papers, found, busy = json.loads(out)
    assert papers == 1
    assert found == [name for name, _ in library.vectors.search(fake.embed_query("low rank matrices"), 3)]
    assert "in use" in busy


def test_the_url_of_the_owner_is_named(library):
    library.own(url="http://127.0.0.1:8421")
    with pytest.raises(LibraryBusyError, match=r"http://127\.0\.0\.1:8421"):
        Library(IngestSettings(library=library.folder)).own()


def test_ownership_ends_with_the_process_however_it_ends(settings):
    code = (
        "import sys, time; from pathlib import Path; from ingest import *\n"
        f"library = Library(IngestSettings(library=Path({str(settings.library)!r}))); library.own()\n"
        "print('owned', flush=True); time.sleep(3600)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "owned\n"
    with open_library(settings) as library:
        with pytest.raises(LibraryBusyError):
            library.own()
        process.send_signal(signal.SIGKILL)
        process.wait()
        library.own()


def test_many_threads_read_while_one_writes(library, fake):
    add(library, ONE, fake)
    errors, stop = [], threading.Event()

    def read():
        query = fake.embed_query("memory of a model")
        while not stop.is_set():
            try:
                assert library.chunks(name for name, _ in library.vectors.search(query, 5))
                assert library.search_words('"model"', 5)
            except Exception as error:  # noqa: BLE001
                errors.append(error)
                return

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for path in sorted(SAMPLES.glob("*.pdf")):
        add(library, path, fake)
    stop.set()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(library.papers()) == 4


def test_threads_that_are_gone_leave_no_connection_open(library, fake):
    for path in sorted(SAMPLES.glob("*.pdf")):
        add(library, path, fake)
    gc.collect()
    assert len(library._database.connections) == 1


def test_stopping_while_a_file_is_read_keeps_nothing_and_quarantines_nothing(library, fake, monkeypatch):
    stop = threading.Event()

    def parse(*_, **__):
        raise CancelledParseError("Adding it was stopped.")

    monkeypatch.setattr("ingest.pipeline.Parser.parse", parse)
    assert add(library, ONE, fake, cancel=stop).status == "failed"
    assert library.ledger.entries() == []
    assert not list(library.folder.glob("quarantine/*"))
    assert not list((library.folder / "papers").iterdir())


def test_adding_again_mends_a_missing_or_changed_copy(library, fake):
    paper_id = add(library, ONE, fake).paper_id
    for damage in (lambda path: path.unlink(), lambda path: path.write_bytes(b"")):
        damage(library.pdf_path(paper_id))
        assert verify(library)[0].repaired is False
        assert add(library, ONE, fake).status == "skipped"
        assert verify(library) == []


def test_the_same_file_twice_in_one_run_is_added_once(library, fake, tmp_path):
    twin = tmp_path / "twin.pdf"
    twin.write_bytes(ONE.read_bytes())
    reports = list(Ingest(library=library, embedder=fake).run([Source(ONE, "a.pdf"), Source(twin, "b.pdf")] * 2))
    assert sorted(report.status for report in reports) == ["added", "skipped", "skipped", "skipped"]
    assert [entry.state for entry in library.ledger.entries()] == ["finished"]
    assert verify(library) == []


def test_a_twin_that_was_noted_before_its_paper_was_finished_does_not_stay_in_the_ledger(library, fake):
    report = add(library, ONE, fake)
    library.ledger.set(report.paper_id, "embedding")  # what a twin does whose reading began before
    assert add(library, ONE, fake).status == "skipped"
    assert [entry.state for entry in library.ledger.entries()] == ["finished"]


def test_a_bug_in_one_file_costs_one_report_and_the_file_can_be_resumed(library, fake, monkeypatch):
    monkeypatch.setattr("ingest.pipeline.chunk_paper", lambda *_, **__: 1 / 0)
    report = add(library, ONE, fake)
    assert report.status == "failed"
    assert "ZeroDivisionError" in report.error
    monkeypatch.undo()
    assert [r.status for r in Ingest(library=library, embedder=fake).resume()] == ["added"]


def test_a_row_whose_file_is_gone_does_not_come_back_for_ever(library, fake):
    library.own()
    library.ledger.set("0123456789abcdef", "queued", file="gone.pdf")
    assert list(Ingest(library=library, embedder=fake).resume()) == []
    (entry,) = library.ledger.entries()
    assert (entry.state, "add it again" in entry.reason) == ("failed", True)


def test_verify_deletes_nothing_that_a_person_may_have_put_there(library, fake):
    add(library, ONE, fake)
    mine = library.folder / "papers" / "my own notes.pdf"
    mine.write_bytes(b"mine")
    (library.folder / "papers" / "folder").mkdir()
    assert all(problem.repaired for problem in verify(library))
    assert (library.folder / "stray" / "my own notes.pdf").read_bytes() == b"mine"


def test_two_runs_take_turns(library, fake):
    done = []
    paths = sorted(SAMPLES.glob("*.pdf"))

    def run():
        done.extend(r.status for r in Ingest(library=library, embedder=fake).run(Source(p, p.name) for p in paths))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == ["added"] * 4 + ["skipped"] * 4
    assert verify(library) == []


def test_a_name_that_is_no_text_is_shown_with_marks():
    assert Source(ONE, "caf\udce9.pdf").name == "caf?.pdf"


def test_the_owner_is_forgotten_when_it_closes(settings):
    with open_library(settings) as library:
        library.own(url="http://127.0.0.1:8421")
    with open_library(settings) as library:
        assert library.owner() == {}


def test_a_damaged_catalogue_is_named(settings):
    settings.library.mkdir()
    (settings.library / "library.db").write_bytes(b"no database " * 500)
    with pytest.raises(LibraryMismatchError, match=r"library\.db"):
        Library(settings)


# -- tags --------------------------------------------------------------------------------------------------------------


def test_a_tag_collects_papers_and_goes_with_its_last_one(library, fake):
    one, two = (add(library, path, fake).paper_id for path in (ONE, TWO))
    assert library.tag([one[:6], two], "  my   Thesis ") == "my Thesis"
    assert library.tag([one], "MY THESIS") == "my Thesis", "upper and lower case are the same"
    library.tag([two], "a lecture")
    assert library.tags() == {"a lecture": [two], "my Thesis": [one, two]}
    assert [paper.id for paper in library.tagged("my thesis")] == [one, two]
    assert library.tags_of(two) == ["a lecture", "my Thesis"]
    library.untag([one], "my thesis")
    library.remove(two)
    assert library.tags() == {}


def test_a_tag_needs_a_name_and_papers_that_are_there(library, fake):
    one = add(library, ONE, fake).paper_id
    for tag in ("", " \n", "x" * 61):
        with pytest.raises(TagError):
            library.tag([one], tag)
    with pytest.raises(UnknownPaperError):
        library.tag([one, "ffffffff"], "thesis")
    assert library.tags() == {}, "none got it"
    with pytest.raises(TagError, match="ingest tag"):
        library.tagged("thesis")


def test_tags_stay_when_a_paper_is_stored_again(library, fake):
    one = add(library, ONE, fake).paper_id
    library.tag([one], "thesis")
    library._db.execute("UPDATE papers SET finished_at = NULL")  # as a crash leaves it
    library._db.commit()
    library.ledger.set(one, "embedding")
    assert library.tags() == {}
    add(library, ONE, fake)
    assert library.tags() == {"thesis": [one]}


def test_a_library_of_the_second_version_gets_tags(settings, fake):
    with open_library(settings) as library:
        one = add(library, ONE, fake).paper_id
        with library._db as db:
            db.execute("DROP TABLE tags")
            for column in NEWER:
                db.execute(f"ALTER TABLE papers DROP COLUMN {column}")
            db.execute("PRAGMA user_version=2")
    for _ in range(2):
        with open_library(settings) as library:
            assert library.tag([one], "thesis") == "thesis"
            assert library.tags() == {"thesis": [one]}


@pytest.mark.parametrize(
    ("version", "missing"),
    [
        (3, NEWER),
        (4, ("isbn", "families", "page_labels")),
        (4, ("retracted",)),
        (4, ("families", "retracted", *NEWEST)),
        (4, ()),
        (5, NEWEST),
        (6, ("annotations", "publication")),
        (6, ("publication",)),
    ],
)
def test_a_library_of_the_third_or_any_later_version_gets_the_columns_that_it_lacks(settings, fake, version, missing):
    with open_library(settings) as library:
        one = add(library, ONE, fake).paper_id
        library.describe(one, isbn="9780262035613", year=1987)
        with library._db as db:
            for column in missing:
                db.execute(f"ALTER TABLE papers DROP COLUMN {column}")
            db.execute(f"PRAGMA user_version={version}")
    for _ in range(2):
        with open_library(settings) as library:
            paper = library.paper(one)
            assert (paper.year, paper.isbn) == (1987, None if "isbn" in missing else "9780262035613")
            assert library.search_words('"model"', 5)
            assert verify(library) == []
            add(library, TWO, fake)
            assert len(library.papers()) == 2
