"""Several processes that write to one library: a real Postgres, a real Chroma server, each library as if in a process.

Two `Library` objects are to Postgres what two processes are: each has its own connections and locks.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydantic import ValidationError

import fake_embedder
from catalogue_places import new_schema
from chroma_server import Server
from fake_embedder import HashEmbedder
from ingest import IngestSettings, Library
from ingest.errors import LibraryBusyError, UnknownPaperError
from ingest.files import paper_id
from ingest.pipeline import Ingest, Source
from ingest.repair import verify
from pdfs import column, write_pdf
from ui.operate import among_others
from ui.web.removals import Removals
from waiting import PATIENCE, until


@pytest.fixture(scope="module")
def chroma(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("chroma"))
    yield server.url
    server.kill()


@pytest.fixture
def settings(tmp_path, postgres_server, chroma):
    address = new_schema(postgres_server)
    return IngestSettings(library=tmp_path / "library", catalogue=address, chats=address, chroma=chroma, several=True)


@pytest.fixture
def two(settings):
    """Two processes that both write."""
    one, other = Library(settings), Library(settings)
    one.own(with_others=True)
    one.let_others_in()
    other.own(with_others=True)
    yield one, other
    for library in (one, other):
        library.close()


def text_of(n: int) -> str:
    return f"Paper number {n} keeps barrels of sand for {n} days. " * 8


def file_of(folder, n: int):
    return write_pdf(folder / f"{n}.pdf", column(72, 700, textwrap.wrap(text_of(n), 80)))


def add(library, path):
    (report,) = Ingest(library=library, embedder=HashEmbedder()).run([Source(path, path.name)])
    return report


def test_several_need_servers_for_everything(tmp_path) -> None:
    with pytest.raises(ValidationError, match="SCHOLION_CATALOGUE, SCHOLION_CHATS and SCHOLION_CHROMA"):
        IngestSettings(library=tmp_path, several=True)


def test_the_first_is_alone_until_it_lets_others_in(settings) -> None:
    one, other, command = Library(settings), Library(settings), Library(settings)
    try:
        one.own(with_others=True)
        assert one.is_alone
        with pytest.raises(LibraryBusyError):
            other.own(with_others=True)
        one.let_others_in()
        other.own(with_others=True)
        assert not one.is_alone
        assert not other.is_alone
        with pytest.raises(LibraryBusyError):
            command.own()  # `verify`, say: while the apps run, nobody is alone
        one.close()
        with pytest.raises(LibraryBusyError):
            command.own()
        other.close()
        command.own()
        assert command.is_alone
    finally:
        for library in (one, other, command):
            library.close()


def test_what_one_writes_the_other_finds(two, tmp_path) -> None:
    one, other = two
    assert other.vectors.count() == 0, "opened before there was a paper"
    assert other.papers() == []
    first, second = add(one, file_of(tmp_path, 1)), add(other, file_of(tmp_path, 2))
    assert [first.status, second.status] == ["added", "added"]
    for library in two:
        assert [paper.id for paper in library.papers()] == [first.paper_id, second.paper_id]
        assert library.n_chunks() == library.vectors.count() == len(library.search_words('"barrels"', 50))
        asked = HashEmbedder().embed_query(text_of(2))
        assert library.vectors.search(asked, 1)[0][0].startswith(second.paper_id)
    one.tag([second.paper_id], "sand")
    assert other.tags() == {"sand": [second.paper_id]}
    other.remove(first.paper_id)
    assert [paper.id for paper in one.papers()] == [second.paper_id]
    assert one.n_chunks() == one.vectors.count() == second.chunks
    with pytest.raises(UnknownPaperError):
        one.paper(first.paper_id)


def test_one_paper_is_added_once_whoever_gets_it(two, tmp_path) -> None:
    reports, paths = [], [file_of(tmp_path, n) for n in range(6)]

    def work(library) -> None:
        reports.extend(Ingest(library=library, embedder=HashEmbedder()).run(Source(path, path.name) for path in paths))

    threads = [threading.Thread(target=work, args=(library,)) for library in two]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert sorted(report.status for report in reports) == ["added"] * 6 + ["skipped"] * 6, reports
    one, other = two
    assert len(one.papers()) == len(other.papers()) == 6
    assert one.vectors.ids() == set(other.chunk_ids())
    one.close()
    other.close()
    assert verify(one) == []


def test_a_paper_in_work_is_not_removed_and_not_taken_over(two, tmp_path) -> None:
    one, other = two
    added = add(one, file_of(tmp_path, 1))
    assert one.claim(added.paper_id)
    assert not one.claim(added.paper_id), "not twice in one process either"
    assert not other.claim(added.paper_id)
    one.ledger.set(added.paper_id, "embedding")
    assert list(Ingest(library=other, embedder=HashEmbedder()).resume()) == []
    one.give_back(added.paper_id)
    assert [report.status for report in Ingest(library=other, embedder=HashEmbedder()).resume()] == ["skipped"]
    assert other.claim(added.paper_id)


def test_a_removal_that_waits_gives_way_to_who_adds_the_paper_elsewhere(two, tmp_path) -> None:
    one, other = two
    added = add(one, path := file_of(tmp_path, 1))
    removals = Removals(lambda: one, seconds=1e6)
    key = removals.put_off([added.paper_id])
    time.sleep(0.01)
    assert add(other, path).status == "skipped"
    removals.carry_out(key)
    assert other.paper(added.paper_id).id == added.paper_id
    key = removals.put_off([added.paper_id])
    time.sleep(0.01)
    removals.carry_out(key)
    assert other.papers() == []


_CHILD = """
import os, signal, sys, time
from pathlib import Path
sys.path[:0] = {support!r}
from fake_embedder import HashEmbedder
from ingest import IngestSettings, Library
from ingest.pipeline import Ingest, Source
library = Library(IngestSettings())
library.own(url="http://127.0.0.1:1", key="k", seconds=60, with_others=True)
library.let_others_in()
class Stuck(HashEmbedder):
    def embed_documents(self, texts):
        print("embedding", flush=True)
        time.sleep(600)
if sys.argv[1] == "removing":
    library._erase = lambda paper_id: (print("removing", flush=True), time.sleep(600))
    library.remove(sys.argv[2])
path = Path(sys.argv[2])
list(Ingest(library=library, embedder=Stuck()).run([Source(path, path.name)]))
"""


@contextmanager
def process(settings, what: str, argument: object):
    """Another process that writes, and stands in the middle of something."""
    support = [str(Path(fake_embedder.__file__).parent), str(Path.cwd())]
    secrets = {"SCHOLION_CATALOGUE": settings.catalogue, "SCHOLION_CHATS": settings.chats}
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD.format(support=support), what, str(argument)],
        env=os.environ | {
            **{name: value.get_secret_value() for name, value in secrets.items()},
            "SCHOLION_LIBRARY": str(settings.library), "SCHOLION_CHROMA": settings.chroma, "SCHOLION_SEVERAL": "1",
        },
        stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    try:
        assert child.stdout
        assert child.stdout.readline().strip() == what
        yield child
    finally:
        child.kill()
        child.wait()


def test_the_work_of_a_killed_process_is_taken_over(two, settings, tmp_path) -> None:
    one, _ = two
    one._noted = ("http://127.0.0.1:2", "ours")
    path, later = file_of(tmp_path, 1), {}

    def resume(but) -> None:
        list(Ingest(library=one, embedder=HashEmbedder()).resume(but=but))

    with process(settings, "embedding", path) as child:
        among_others.carry_on(one, resume, later)
        assert one.papers() == [], "it is still at work"
        assert json.loads((one.folder / "owner.json").read_text())["pid"] == child.pid
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        assert until(lambda: among_others.carry_on(one, resume, later) or one.papers())
        one.take_over()
    assert [paper.file_name for paper in one.papers()] == ["1.pdf"]
    assert one.vectors.count() == one.n_chunks() > 0
    assert one.owner()["url"] == "http://127.0.0.1:2", "commands find the app that is left"


def test_the_removal_of_a_killed_process_is_completed(two, settings, tmp_path) -> None:
    one, _ = two
    added = add(one, file_of(tmp_path, 1))
    with process(settings, "removing", added.paper_id) as child:
        one.take_over()
        assert one.ledger.get(added.paper_id).state == "removing"
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        assert until(lambda: one.take_over() or one.ledger.get(added.paper_id) is None)
    assert one.vectors.count() == one.n_chunks() == 0
    assert not one.kept_path(added.paper_id).exists()


def test_what_fails_again_is_tried_after_a_longer_and_longer_pause(two, tmp_path) -> None:
    one, _ = two
    one.keep(file_of(tmp_path, 1), "0" * 16)
    one.ledger.set("0" * 16, "queued", file="1.pdf")
    tries, later = [], {}
    for _ in range(3):
        among_others.carry_on(one, tries.append, later)
    assert len(tries) == 1
    later["0" * 16] = (0.0, later["0" * 16][1])
    among_others.carry_on(one, tries.append, later)
    assert len(tries) == 2
    assert later["0" * 16][1] == 4 * among_others.FIRST_PAUSE
    one.ledger.forget("0" * 16)
    among_others.carry_on(one, tries.append, later)
    assert later == {}


def test_a_lost_connection_is_made_again_and_its_claims_are_free(two, settings, tmp_path) -> None:
    one, other = two
    one._noted = ("http://127.0.0.1:2", "ours")
    added = add(one, file_of(tmp_path, 1))
    assert one.claim(added.paper_id)
    one._database._pool.run(_ended(one._owner._connection))
    assert until(lambda: not one._owner.is_locked)
    assert until(lambda: other.claim(added.paper_id)), "the claim went with the connection"
    assert not one.claim(added.paper_id)
    assert one._owner.is_locked, "owned again, together with the other"
    assert one.owner()["url"] == "http://127.0.0.1:2"
    other.give_back(added.paper_id)
    assert one.claim(added.paper_id)
    command = Library(settings)
    with pytest.raises(LibraryBusyError):
        command.own()
    command.close()


async def _ended(connection) -> None:
    connection.terminate()


def test_a_process_waits_for_no_file_that_it_takes_over(two, tmp_path) -> None:
    one, other = two
    one.keep(file_of(tmp_path, 1), known := paper_id(tmp_path / "1.pdf"))
    one.ledger.set(known, "queued", file="1.pdf")
    work = Ingest(library=one, embedder=HashEmbedder()).resume()
    assert other.claim(known), "the other was faster"
    assert [report.status for report in work] == ["skipped"]
    assert one.ledger.get(known).state == "queued"
