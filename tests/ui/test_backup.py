"""A backup is made while papers are added and chats written, is whole when it is there, and restores as a whole."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import shutil
import sqlite3
import stat
import threading
import zipfile
import zlib
from contextlib import closing, nullcontext
from functools import partial

import pytest
from test_postgres import everything, kept

from chat_places import FilePlace, PostgresPlace
from fake_embedder import HashEmbedder
from ingest import Ingest, IngestSettings, Source, UserFacingError, ingest_pdf, open_library
from ingest.from_zotero import FromZotero
from ingest.repair import verify
from two_people import pdf_about
from ui.backup import archive, contents, copying
from ui.backup.copying import backup, restore

ANIMALS = ("quokka", "otter", "heron", "badger", "lynx", "marten", "stoat", "plover", "beaver", "curlew")


@pytest.fixture(scope="module")
def once(tmp_path_factory):
    """A library with two papers and a file of every kind, closed, and a backup of it."""
    tmp_path = tmp_path_factory.mktemp("once")
    folder = tmp_path / "library"
    with opened(folder) as library:
        for animal in ANIMALS[:2]:
            ingest_pdf(pdf_about(tmp_path / f"{animal}.pdf", animal), library=library, embedder=HashEmbedder())
    for name in ("choices.json", "glossary.csv", "secret", "votes.jsonl", "uploads/a/b.pdf", "adapters/one/card.json"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    for name in ("models/big.gguf", "incoming/x.pdf", "papers/0123456789abcdef.partial", ".choices.json.1.new"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder, backup(folder, tmp_path / "backup.zip", models=False, chats=None).file


@pytest.fixture
def filled(once, tmp_path):
    """That library, opened, to be changed."""
    shutil.copytree(once[0], tmp_path / "library")
    with opened(tmp_path / "library") as library:
        yield library


@pytest.fixture
def made(once, tmp_path):
    """That backup, to be changed."""
    return shutil.copy2(once[1], tmp_path / "backup.zip")


def opened(folder):
    return open_library(IngestSettings(library=folder))


async def chats_of(place) -> dict[str, list]:
    """Every chat with its messages, as the page gets it when it is opened."""
    history = place.open()
    user = await history.get_user("local")
    ids = [one["id"] for one in await history.get_all_user_threads(user_id=user.id)]
    found = {name: await history.get_thread(name) for name in ids}
    await history.close()
    return {name: [step["output"] for step in thread["steps"]] for name, thread in found.items()}


async def test_while_papers_are_added_every_backup_restores_to_a_library_without_a_fault(
    chat, library, tmp_path
) -> None:
    chat.session.has_first_interaction = True
    place = FilePlace(library.folder)
    await kept(place, 3)
    before = await chats_of(place)
    sources = [Source(pdf_about(tmp_path / f"{name}.pdf", name), name) for name in ANIMALS]
    thread = threading.Thread(target=lambda: list(Ingest(library=library, embedder=HashEmbedder()).run(sources)))
    thread.start()
    sizes = []
    for n in range(4):
        if n == 3:
            thread.join()  # and one more of all of them
        there = {paper.id for paper in library.papers()}
        done = backup(library.folder, tmp_path / f"{n}.zip", models=False, chats=None)
        folder = tmp_path / f"restored {n}"
        restore(done.file, folder)
        with opened(folder) as again:
            sizes.append((done.manifest.papers, done.manifest.adding))
            assert {paper.id for paper in again.papers()} >= there, "what was acknowledged is in it"
            assert done.lost == ()
            assert all("is still" in problem.what for problem in verify(again)), "nothing but what is being added"
            assert all(report.status != "failed" for report in Ingest(library=again, embedder=HashEmbedder()).resume())
            assert verify(again) == []
            assert len(again.papers()) == sum(sizes[-1])
            assert again.vectors.ids() == set(again.chunk_ids())
        assert await chats_of(FilePlace(folder)) == before
    assert sizes[3] == (10, 0), sizes


def test_everything_comes_back_but_what_only_this_machine_needs(once, made, tmp_path) -> None:
    folder = tmp_path / "new" / "library"
    restore(made, folder)
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    papers = {f"papers/{path.name}" for path in (once[0] / "papers").glob("*.pdf")}
    extra = {"choices.json", "glossary.csv", "secret", "votes.jsonl", "uploads/a/b.pdf", "adapters/one/card.json"}
    assert len(papers) == 2
    assert names == {"library.db", *papers, *extra}
    assert all((folder / name).read_text() == name for name in extra)
    assert {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in folder.rglob("*")} == {0}
    assert stat.S_IMODE(made.stat().st_mode) == 0o600


def test_models_come_along_if_asked(filled, tmp_path) -> None:
    restore(backup(filled.folder, tmp_path / "b.zip", models=True, chats=None).file, tmp_path / "new")
    assert (tmp_path / "new" / "models" / "big.gguf").read_text() == "models/big.gguf"


def test_a_paper_that_is_removed_while_its_pdf_waits_to_be_copied_leaves_no_word(filled, tmp_path, monkeypatch) -> None:
    gone, stays = (paper.id for paper in filled.papers())
    filled.keep_from_zotero(gone, FromZotero(tags=("wombat",)))

    def files(folder, *, models):
        filled.remove(gone)
        yield from contents_files(folder, models=models)

    contents_files = contents.files
    monkeypatch.setattr(contents, "files", files)
    done = backup(filled.folder, tmp_path / "b.zip", models=False, chats=None)
    assert (done.manifest.papers, done.lost) == (1, ())
    restore(done.file, tmp_path / "new")
    restored = (tmp_path / "new" / "library.db").read_bytes()
    assert b"quokka" not in restored
    assert b"wombat" not in restored, "Zotero's notes and tags"
    with opened(tmp_path / "new") as again:
        assert [paper.id for paper in again.papers()] == [stays]
        assert verify(again) == []


def test_a_paper_whose_pdf_was_lost_before_is_named_and_kept(filled, tmp_path) -> None:
    lost = filled.papers()[0].id
    filled.kept_path(lost).unlink()
    done = backup(filled.folder, tmp_path / "b.zip", models=False, chats=None)
    assert (done.manifest.papers, done.lost) == (2, (lost,))


def test_a_file_that_goes_while_it_is_listed_is_no_fault_and_a_backup_that_fails_leaves_nothing(
    filled, tmp_path, monkeypatch
) -> None:
    real = archive.Writer.add

    def add(self, name, source, *, tell):
        if name == "votes.jsonl":
            source.unlink()
        return real(self, name, source, tell=tell)

    monkeypatch.setattr(archive.Writer, "add", add)
    (tmp_path / "there").mkdir()
    done = backup(filled.folder, tmp_path / "there", models=False, chats=None)
    assert "votes.jsonl" not in {one.name for one in done.manifest.files}
    assert done.file.parent == tmp_path / "there"
    monkeypatch.setattr(archive.Writer, "finish", lambda self, **facts: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        backup(filled.folder, tmp_path / "there" / "b.zip", models=False, chats=None)
    assert list((tmp_path / "there").iterdir()) == [done.file]


def test_attachments_with_any_name_come_along(filled, tmp_path) -> None:
    for name in ("uploads/a/mine.part", "uploads/a/mine.partial", "models/x.gguf.partial", "papers/x.partial"):
        (filled.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (filled.folder / name).write_text(name)
    done = backup(filled.folder, tmp_path / "b.zip", models=True, chats=None)
    names = {one.name for one in done.manifest.files}
    assert {name for name in names if ".part" in name} == {"uploads/a/mine.part", "uploads/a/mine.partial"}


@pytest.mark.parametrize(("fault", "stops"), [(PermissionError, True), (FileNotFoundError, False)])
def test_a_folder_that_cannot_be_listed_is_not_skipped_in_silence(filled, tmp_path, monkeypatch, fault, stops) -> None:
    real = os.scandir

    def scandir(place):
        if str(place).endswith("uploads"):
            raise fault(errno.EACCES, "No", str(place))
        return real(place)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(fault) if stops else nullcontext():
        backup(filled.folder, tmp_path / "b.zip", models=False, chats=None)
    assert (tmp_path / "b.zip").exists() != stops


def test_chats_that_are_in_neither_place_of_a_backup_stop_it(filled, tmp_path) -> None:
    with closing(sqlite3.connect(filled.folder / "chats.db")) as db, db:
        db.execute("CREATE TABLE threads (id TEXT)")
    backup(filled.folder, tmp_path / "a.zip", models=False, chats=no_chats)
    with closing(sqlite3.connect(filled.folder / "chats.db")) as db, db:
        db.execute("INSERT INTO threads VALUES ('one')")
    with pytest.raises(UserFacingError, match="not in Postgres"):
        backup(filled.folder, tmp_path / "b.zip", models=False, chats=no_chats)


def no_chats(file) -> None:
    with closing(sqlite3.connect(file)) as db, db:
        db.execute("CREATE TABLE threads (id TEXT)")


def test_a_backup_is_packed_at_the_fastest_level(filled, tmp_path) -> None:
    words = json.dumps([f"{n * n} {n}" for n in range(20_000)])
    (filled.folder / "glossary.csv").write_text(words)
    done = backup(filled.folder, tmp_path / "b.zip", models=False, chats=None)
    with zipfile.ZipFile(done.file) as packed:
        one = packed.getinfo("glossary.csv")
        assert one.external_attr >> 16 == 0o600
    fastest = zlib.compressobj(1, zlib.DEFLATED, -15)
    assert one.compress_size == len(fastest.compress(words.encode()) + fastest.flush())


def test_a_backup_goes_nowhere_where_it_would_do_harm(filled, tmp_path) -> None:
    taken = tmp_path / "taken.pdf"
    taken.touch()
    for file, why in (
        (filled.folder / "b.zip", "cannot be in the library"),
        (taken, "is there already"),
        (tmp_path / "nowhere" / "b.zip", "There is no folder"),
    ):
        with pytest.raises(UserFacingError, match=why):
            backup(filled.folder, file, models=False, chats=None)
    with pytest.raises(UserFacingError, match="There is no library"):
        backup(tmp_path, tmp_path / "b.zip", models=False, chats=None)


def test_a_damaged_database_is_not_passed_off_as_a_backup(filled, tmp_path) -> None:
    with closing(sqlite3.connect(filled.folder / "people.db")) as db:
        db.executescript("CREATE TABLE t (x); INSERT INTO t VALUES (zeroblob(100000));")
    raw = bytearray((filled.folder / "people.db").read_bytes())
    raw[4096:12288] = b"\x07" * 8192
    (filled.folder / "people.db").write_bytes(raw)
    with pytest.raises(UserFacingError, match=r"people\.db is damaged, so no backup was made"):
        backup(filled.folder, tmp_path / "b.zip", models=False, chats=None)
    assert not list(tmp_path.glob(".b.zip*"))


@pytest.mark.parametrize("keep", [0.0, 0.1, 0.5, 0.99])
def test_a_torn_backup_is_refused(made, tmp_path, keep) -> None:
    whole = made.read_bytes()
    made.write_bytes(whole[: int(len(whole) * keep)])
    refused(made, tmp_path, "not a whole one")


def test_a_byte_that_changed_anywhere_is_noticed_or_makes_no_difference(made, tmp_path) -> None:
    def contents_of(folder):
        return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    whole, noticed = made.read_bytes(), 0
    restore(made, tmp_path / "new")
    for part in range(20):
        altered = bytearray(whole)
        altered[len(whole) * part // 20] ^= 0x55
        made.write_bytes(altered)
        try:
            restore(made, tmp_path / "altered")
        except UserFacingError:
            noticed += 1
            assert not (tmp_path / "altered").exists()
        else:  # a date of the archive's own list, for example
            assert contents_of(tmp_path / "altered") == contents_of(tmp_path / "new")
            shutil.rmtree(tmp_path / "altered")
    assert noticed > 10


@pytest.mark.parametrize(
    "name",
    [
        "../outside.txt",
        "/etc/outside.txt",
        "papers/../../outside.txt",
        "papers//outside.txt",
        "C:/outside.txt",
        "papers\\..\\outside.txt",
        "./outside.txt",
        "owner.json",
        "chroma/outside.txt",
        ".restoring/outside.txt",
        "papers/a\n.pdf",
    ],
)
def test_a_backup_that_somebody_made_to_write_elsewhere_is_refused(made, tmp_path, name) -> None:
    def add(manifest, files):
        files[name] = b"x"
        manifest["files"].append(
            {"name": name, "bytes": 1, "sha256": "2d711642b726b04401627ca9fbac32f5c8530fb1" + "0" * 24}
        )

    rewrite(made, add)
    refused(made, tmp_path, "names a file that no backup has")
    assert not list(tmp_path.rglob("outside.txt"))


def test_a_file_that_is_longer_than_its_manifest_says_fills_no_disk(made, tmp_path) -> None:
    def grow(_, files):
        files["secret"] = b"\0" * 50_000_000

    rewrite(made, grow)
    refused(made, tmp_path, "secret in it is not as it was written")


def test_a_backup_with_other_files_than_its_list_is_refused(made, tmp_path) -> None:
    rewrite(made, lambda _, files: files.pop("secret"))
    refused(made, tmp_path, "does not have the files")


def test_a_backup_of_a_newer_scholion_says_so(made, tmp_path) -> None:
    rewrite(made, lambda manifest, _: manifest.update(format=2, more="things"))
    refused(made, tmp_path, "newer version")


def test_nothing_is_restored_over_anything_and_a_failure_leaves_the_folder_as_it_was(
    made, tmp_path, monkeypatch
) -> None:
    folder = tmp_path / "full"
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    with pytest.raises(UserFacingError, match="is not empty"):
        restore(made, folder)
    assert [path.name for path in folder.iterdir()] == ["mine.txt"]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 0))
    with pytest.raises(UserFacingError, match="are free"):
        restore(made, tmp_path / "new")
    monkeypatch.undo()
    monkeypatch.setattr(copying, "sync_folder", lambda _: 1 / 0)
    (tmp_path / "empty").mkdir()
    for target in (tmp_path / "new", tmp_path / "empty"):
        with pytest.raises(ZeroDivisionError):
            restore(made, target)
    assert not (tmp_path / "new").exists()
    assert not list((tmp_path / "empty").iterdir())


def test_a_scholion_that_opens_the_folder_while_it_is_restored_is_noticed(made, tmp_path, monkeypatch) -> None:
    folder, whole = tmp_path / "new", archive.unpack

    def unpack(*args, **kwargs):
        whole(*args, **kwargs)
        with opened(folder):
            pass

    monkeypatch.setattr(archive, "unpack", unpack)
    with pytest.raises(UserFacingError, match="meanwhile"):
        restore(made, folder)
    with opened(folder) as library:
        assert library.papers() == []
    assert not (folder / ".restoring").exists()


async def test_chats_in_postgres_come_into_the_backup_as_a_file(filled, chat, tmp_path, postgres_server) -> None:
    from ui.chats.move import copy_to_file

    chat.session.has_first_interaction = True
    database = await PostgresPlace.made(tmp_path, postgres_server)
    await kept(database, 2)
    before = await everything(database)
    done = await asyncio.to_thread(
        backup, filled.folder, tmp_path / "b.zip", models=False, chats=partial(copy_to_file, database.address)
    )
    assert (done.manifest.chats, done.manifest.from_postgres) == (2, True)
    restore(done.file, tmp_path / "new")
    assert await everything(FilePlace(tmp_path / "new")) == before
    assert await everything(database) == before


def test_the_commands_say_what_they_did(filled, tmp_path, monkeypatch, capsys) -> None:
    from ui.__main__ import main

    monkeypatch.setenv("SCHOLION_LIBRARY", str(filled.folder))
    assert main(["backup", str(tmp_path / "b.zip")]) == 0
    assert "has 2 papers and 0 chats. Keep it as safe as the library itself." in capsys.readouterr().out
    assert main(["restore", str(tmp_path / "b.zip"), "--to", str(tmp_path / "new")]) == 0
    assert "has 2 papers and 0 chats, as of 20" in capsys.readouterr().out
    assert main(["restore", str(tmp_path / "b.zip"), "--to", str(tmp_path / "new")]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def refused(file, tmp_path, why: str) -> None:
    folder = tmp_path / "refused"
    with pytest.raises(UserFacingError, match=why) as caught:
        restore(file, folder)
    assert "\n" not in str(caught.value)
    assert not folder.exists()


def rewrite(file, change) -> None:
    """The same archive with its manifest and files changed by whoever can compute hashes too."""
    with zipfile.ZipFile(file) as old:
        files = {name: old.read(name) for name in old.namelist()}
    manifest = json.loads(files.pop("manifest.json"))
    change(manifest, files)
    with zipfile.ZipFile(file, "w") as new:
        for name, content in {**files, "manifest.json": json.dumps(manifest)}.items():
            new.writestr(name, content)
