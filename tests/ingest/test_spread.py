"""Adding papers with workers leaves the library that one process alone leaves, whatever happens to the workers.

One contract for workers that are threads and, where Ray is installed, for those on Ray.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import CancelledError
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from unittest.mock import MagicMock

import psutil
import pytest

from fake_embedder import HashEmbedder
from ingest import Ingest, IngestSettings, Library, Source, elsewhere
from ingest.__main__ import main
from ingest.elsewhere import NotSentError, allow
from ingest.files import paper_id
from ingest.on_ray import RayError, RayWorkers, code_digest
from ingest.repair import verify
from ingest.sandbox import Parser
from ingest.spread import TRIES, FarEmbedder, WorkerLostError
from pdfs import Text, write_pdf
from places import ROOT, SAMPLES
from rag.errors import NotAllowedError
from rag.privacy.audit import HEAD_FILE, LOG_FILE, AuditLog
from rag.privacy.policy import POLICY_FILE, Policy, load_policy, save_policy
from thread_workers import ThreadWorkers
from waiting import PATIENCE, until

PAPERS = sorted(SAMPLES.glob("*.pdf"))
OF_RAY = (
    *("RAY_USAGE_STATS_ENABLED", "RAY_USAGE_STATS_REPORT_URL", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"),
    *("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "http_proxy", "https_proxy", "all_proxy", "no_proxy"),
)
"""What is set for Ray."""
NO_RAY = "Ray is not installed (make ray)"


def sources(paths):
    return [Source(path, path.name) for path in paths]


def contents(library):
    """All of a library but its times, to the last bit of the vectors."""
    ids = library.chunk_ids()
    assert library.vectors.ids() == set(ids)
    vectors = library.vectors_of(ids)
    papers = {paper.id: paper for paper in library.papers()}
    return {
        "papers": papers,
        "pages": {name: library.pages(name) for name in papers},
        "references": {name: library.references(name) for name in papers},
        "chunks": library.chunks(ids),
        "vectors": {name: vectors[name].tobytes() for name in ids},
        "ledger": {(one.paper_id, one.file, one.state, one.reason) for one in library.ledger.entries()},
    }


def gates(folder, n):
    """Papers of one page, all different."""
    made = []
    for number in range(n):
        lines = [Text(72, 700 - 14 * i, f"Gate {number} opened {i + 2} times in the trial.") for i in range(30)]
        made.append(write_pdf(folder / f"gate-{number}.pdf", lines, title=f"Gate {number}"))
    return made


@pytest.fixture
def opened(tmp_path):
    """Open libraries by name; they are closed at the end."""
    made = []

    def open_one(name):
        made.append(Library(IngestSettings(library=tmp_path / name)))
        return made[-1]

    yield open_one
    for library in made:
        library.close()


@pytest.fixture(scope="module", params=["threads", "ray"])
def team(request, tmp_path_factory):
    """(workers, embedder): two workers that live for the whole module."""
    if request.param == "threads":
        embedder = HashEmbedder()
        workers = ThreadWorkers(embedder)
        yield workers, embedder
        workers.close()
        return
    if importlib.util.find_spec("ray") is None:  # to import it would be too early: it reads its settings then
        pytest.skip(NO_RAY)
    embedder = request.getfixturevalue("embedder")
    with pytest.MonkeyPatch.context() as patched:
        for name in [*OF_RAY, *(name for name in os.environ if name.startswith("RAY_"))]:
            patched.setenv(name, "")  # restored at the end
            patched.delenv(name)
        with RayWorkers(
            "auto",
            embedder=None,
            name=embedder.name,
            options={"ocr_languages": "eng"},
            per_machine=2,
            allow=lambda machines: pytest.fail(f"asked for {machines}"),
        ) as workers:
            yield workers, embedder


def poisoned(folder):
    path = folder / "poisoned.pdf"
    path.write_bytes(PAPERS[0].read_bytes()[:4000])
    return path


@pytest.fixture(scope="module")
def peace(team, tmp_path_factory):
    """(reports, contents) of a library that one process has made of PAPERS and a poisoned PDF among them."""
    folder = tmp_path_factory.mktemp("peace")
    files = sources([*PAPERS[:2], poisoned(folder), *PAPERS[2:]])
    with closing(Library(IngestSettings(library=folder / "library"))) as library:
        reports = list(Ingest(library=library, embedder=team[1]).run(files))
        return reports, contents(library)


def without_failures(rows):
    return rows | {"ledger": {row for row in rows["ledger"] if row[2] != "failed"}}


def test_the_library_is_the_one_of_a_single_process_and_a_poisoned_pdf_fails_alone(team, peace, opened, tmp_path):
    workers, embedder = team
    files = sources([*PAPERS[:2], poisoned(tmp_path), *PAPERS[2:]])
    library, steps = opened("spread"), []
    work = Ingest(library=library, embedder=embedder, workers=workers, on_progress=steps.append)
    reports = list(work.run(files))

    def said(reports):
        return [(one.file, one.status, one.error, one.paper_id, one.chunks, one.notes) for one in reports]

    assert said(reports) == said(peace[0])
    assert [one.status for one in reports] == ["added", "added", "failed", "added", "added"]
    assert contents(library) == peace[1]
    assert not verify(library)
    assert {at.step for at in steps if at.file == PAPERS[0].name} == {"reading", "embedding", "storing"}
    assert [one.status for one in work.run(files)] == ["skipped", "skipped", "failed", "skipped", "skipped"]


def test_it_can_be_stopped_and_carries_on(team, peace, opened):
    workers, embedder = team
    library, stop = opened("stopped"), threading.Event()

    def at_the_first_stored(at):
        if at.step == "storing" and at.done:
            stop.set()

    work = Ingest(library=library, embedder=embedder, workers=workers, on_progress=at_the_first_stored, cancel=stop)
    reports = list(work.run(sources([*PAPERS, *PAPERS])))
    stopped = [one for one in reports if one.status == "failed"]
    assert stopped
    assert all("was stopped" in one.error for one in stopped)
    assert not verify(library)
    list(Ingest(library=library, embedder=embedder, workers=workers).run(sources(PAPERS)))
    assert contents(library) == without_failures(peace[1])


def test_what_a_crash_left_unfinished_is_resumed(team, peace, opened):
    workers, embedder = team
    library = opened("left")
    library.own()
    for path in PAPERS:
        library.keep(path, paper_id(path))
        library.ledger.set(paper_id(path), "parsing", file=path.name)
    reports = list(Ingest(library=library, embedder=embedder, workers=workers).resume())
    assert {one.status for one in reports} == {"added"}
    assert contents(library) == without_failures(peace[1])


def test_a_run_that_is_given_up_is_carried_on_with(team, peace, opened):
    workers, embedder = team
    library = opened("given up")
    run = Ingest(library=library, embedder=embedder, workers=workers).run(sources(PAPERS))
    assert next(run).status == "added"
    run.close()
    again = Ingest(library=library, embedder=embedder, workers=workers)
    list(again.resume())
    list(again.run(sources(PAPERS)))
    assert contents(library) == without_failures(peace[1])


# ---- lost workers ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "lose",
    [lambda number: number % 2, lambda number: number <= 10, lambda number: True],
    ids=["every other", "the first ten", "all"],
)
def test_a_lost_worker_costs_a_retry_and_never_a_paper(opened, tmp_path, lose):
    embedder = HashEmbedder()
    workers = ThreadWorkers(embedder, lose=lose)
    files = sources([*PAPERS, poisoned(tmp_path)])
    plain, library = opened("plain"), opened("lost")
    list(Ingest(library=plain, embedder=embedder).run(files))
    reports = list(Ingest(library=library, embedder=embedder, workers=workers).run(files))
    workers.close()
    assert [r.status for r in reports] == ["added"] * len(PAPERS) + ["failed"]
    assert workers.lost >= len(PAPERS)
    assert contents(library) == contents(plain)


def test_after_ctrl_c_no_paper_of_lost_workers_is_begun_here(monkeypatch, opened):
    """All four workers are lost: one paper is being read here and three wait, when Ctrl+C arrives."""
    embedder = HashEmbedder()
    workers = ThreadWorkers(embedder, papers=5, lose=lambda number: True)
    begun, reached, run = [], threading.Event(), Parser._run

    def noting(parser, child, job, cancel, on_page):
        begun.append(job.name)
        if len(begun) == 1:
            reached.set()
            assert until(lambda: parser._closing.is_set() or (cancel and cancel.is_set()))
        return run(parser, child, job, cancel, on_page)

    monkeypatch.setattr(Parser, "_run", noting)

    def stopped_by_ctrl_c():
        yield from sources(PAPERS)
        assert reached.wait(PATIENCE)
        assert until(lambda: workers.lost == 3 * len(PAPERS))
        raise KeyboardInterrupt

    library = opened("stopped")
    with pytest.raises(KeyboardInterrupt):
        list(Ingest(library=library, embedder=embedder, workers=workers).run(stopped_by_ctrl_c()))
    workers.close()
    assert len(begun) == 1
    assert not library.papers()


@pytest.mark.parametrize("command", ["add", "resume"])
def test_after_ctrl_c_the_run_ends_before_its_workers(monkeypatch, opened, tmp_path, capsys, command):
    """Else what they were at would be done here, while the command waits for it."""
    embedder, left = HashEmbedder(), []
    library, papers = opened("library"), gates(tmp_path, 2)
    library.own()
    for path in papers if command == "resume" else ():
        library.keep(path, paper_id(path))
        library.ledger.set(paper_id(path), "parsing", file=path.name)
    library.close()

    @contextmanager
    def on_threads(_, **__):
        workers = ThreadWorkers(embedder)
        try:
            yield workers
        finally:
            left.extend(one.name for one in threading.enumerate() if one.name.startswith(("paper", "store")))
            workers.close()

    def ctrl_c(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("ingest.__main__.RayWorkers", on_threads)
    monkeypatch.setattr("ingest.__main__.embedder_from", lambda _: embedder)
    monkeypatch.setattr("ingest.__main__._report", ctrl_c)
    monkeypatch.setenv("SCHOLION_LIBRARY", str(tmp_path / "library"))
    assert main([command, *(map(str, papers) if command == "add" else ()), "--ray", "auto"]) == 1
    assert capsys.readouterr().err == "Stopped. Papers already finished are kept.\n"
    assert left == []


def test_texts_of_lost_workers_are_not_embedded_here_once_nobody_waits():
    stopped, embedder = threading.Event(), HashEmbedder()

    def check():
        if stopped.is_set():
            raise CancelledError

    def lose(number):
        if number == TRIES:  # the last that is asked
            stopped.set()
        return True

    workers = ThreadWorkers(embedder, lose=lose)
    with pytest.raises(CancelledError):
        FarEmbedder(embedder, workers, check).embed_documents(["a gate"])
    workers.close()


@pytest.mark.parametrize("papers", [1, 3])
def test_no_more_papers_are_in_work_than_the_workers_want(opened, papers, tmp_path):
    embedder = HashEmbedder()
    workers = ThreadWorkers(embedder, papers=papers)
    taken = []

    def given():
        for path in gates(tmp_path, 12):
            taken.append(path)
            yield Source(path, path.name)

    run = Ingest(library=opened("bounded"), embedder=embedder, workers=workers).run(given())
    assert next(run).status == "added"
    assert len(taken) <= 2 * papers + 1, "a file is only looked at when there is room for it"
    assert {report.status for report in run} == {"added"}
    workers.close()
    assert 0 < workers.most_open <= papers


# ---- on Ray alone ---------------------------------------------------------------------------------------------------


@pytest.fixture
def on_ray(team):
    workers, embedder = team
    if not isinstance(workers, RayWorkers):
        pytest.skip("for Ray alone")
    return workers, embedder


def test_a_worker_on_ray_is_in_the_same_sandbox(on_ray):
    import ray

    workers, _ = on_ray
    with Parser() as parser:
        parser.warm_up()
        assert ray.get(workers._places[0].actor.confinement.remote()) == parser.confinement


def test_a_worker_on_another_machine_gets_the_bytes(on_ray, monkeypatch):
    workers, _ = on_ray
    for place in workers._places:
        monkeypatch.setattr(place, "here", False)
    with Parser() as parser:
        assert workers.parse(PAPERS[0], "Given.pdf").result() == parser.parse(PAPERS[0], file_name="Given.pdf")


def of_ray(name=""):
    """Processes that Ray has started for this one, those with a name or all."""
    found = []
    for one in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            shown = one.cmdline()
            if shown and (shown[0].startswith(name) if name else any("ray" in part for part in shown[:3])):
                found.append(one)
    return found


def test_ten_killed_workers_cost_no_paper(on_ray, opened, tmp_path):
    workers, embedder = on_ray
    files = sources([*PAPERS, *gates(tmp_path, 12)])
    plain, library = opened("plain"), opened("killed")
    list(Ingest(library=plain, embedder=embedder).run(files))
    killed, over = set(), threading.Event()

    def kill():
        while len(killed) < 10 and not over.wait(0.05):
            for one in of_ray("ray::Worker"):
                if len(killed) < 10:
                    with suppress(psutil.NoSuchProcess):
                        one.send_signal(signal.SIGKILL)
                        killed.add(one.pid)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        while True:
            reports = list(Ingest(library=library, embedder=embedder, workers=workers).run(files))
            assert {report.status for report in reports} == {"added"}, [report.error for report in reports]
            assert contents(library) == contents(plain)
            assert not verify(library)
            if len(killed) >= 10:
                break
            for paper in library.papers():
                library.remove(paper.id)
    finally:
        over.set()
        killer.join()
    assert len(workers._places) == 2, "each was replaced"


def test_ray_listens_and_talks_on_this_machine_alone_and_has_no_dashboard(on_ray):
    found = [
        (one.name(), connection) for one in [*of_ray(), psutil.Process()] for connection in one.net_connections("inet")
    ]
    assert found
    for name, connection in found:
        for end in (connection.laddr, connection.raddr):
            assert not end or end.ip.removeprefix("::ffff:") in ("127.0.0.1", "::1"), (name, connection)
    assert 8265 not in {connection.laddr.port for _, connection in found}, "the dashboard"


def test_ray_contacts_nobody_and_leaves_nothing_behind(on_ray, embedder, tmp_path):
    """In a process of its own, since this one's Ray still runs. Ray asks early which cloud it is in, if it can."""
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    code = (
        "import sys, time, psutil\n"
        "from ingest.on_ray import RayWorkers\n"
        "workers = RayWorkers('auto', embedder=None, name=sys.argv[1], options={}, per_machine=1, allow=print)\n"
        "started = psutil.Process().children(recursive=True)\n"
        "time.sleep(4)\n"
        "workers.close()\n"
        "psutil.wait_procs(started, timeout=60)\n"
        "print([one.name() for one in started if one.is_running() and one.status() != 'zombie'])\n"
    )
    home, trace = tmp_path / "home", tmp_path / "trace"
    home.mkdir()
    temporary = Path(tempfile.mkdtemp(prefix="t"))  # a short path, or Ray would not use it
    done = subprocess.run(
        ["strace", "-f", "-qq", "-e", "trace=connect,sendto", "-o", trace, sys.executable, "-c", code, embedder.name],
        cwd=ROOT, env=os.environ | {"HOME": str(home), "TMPDIR": str(temporary)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.splitlines() == ["[]"], done.stderr
    assert not list(home.iterdir())
    temporary.rmdir()  # it is empty
    calls = trace.read_text(errors="replace")
    addresses = set(re.findall(r"inet_(?:addr\(|pton\(AF_INET6, )\"([^\"]+)\"", calls))
    assert addresses
    assert {address.removeprefix("::ffff:") for address in addresses} <= {"127.0.0.1", "::1", "::"}
    assert "htons(9)" in calls, "it tried, and was sent nowhere"


def test_a_lost_machine_costs_a_retry_and_if_none_is_left_the_papers_are_read_here(on_ray, peace, opened, monkeypatch):
    """The last test with these workers: they are lost for good."""
    workers, embedder = on_ray
    monkeypatch.setattr(workers, "_nodes", list)
    calls = [workers.parse(PAPERS[0], PAPERS[0].name) for _ in range(8)]
    for one in of_ray("ray::Worker"):
        one.send_signal(signal.SIGKILL)
    for call in calls:
        with suppress(WorkerLostError):
            assert call.result(timeout=120).paper.id == paper_id(PAPERS[0])
    assert until(lambda: workers.parse(PAPERS[0], "x").exception(timeout=120) and not workers._places)
    library = opened("alone")
    list(Ingest(library=library, embedder=embedder, workers=workers).run(sources(PAPERS)))
    assert contents(library) == without_failures(peace[1])


# ---- what is refused ------------------------------------------------------------------------------------------------


def test_without_ray_the_option_says_how_to_get_it(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setenv("SCHOLION_LIBRARY", str(tmp_path / "library"))
    for name in OF_RAY:
        monkeypatch.setenv(name, "")  # restored at the end
    assert main(["add", str(PAPERS[0]), "--ray", "auto"]) == 1
    assert capsys.readouterr().err == "--ray needs the package ray, which is not installed. Run `make ray` once.\n"
    assert main(["add", str(PAPERS[0])]) == 0


@pytest.mark.parametrize(
    "address", ["203.0.113.7:6379", "ray.example:6379", "ray://127.0.0.1:10001", "127.0.0.1", "127.0.0.1:", ""]
)
def test_an_address_that_is_not_of_this_machine_is_refused_before_ray_is_loaded(monkeypatch, address):
    monkeypatch.setitem(sys.modules, "ray", None)
    before = dict(os.environ)
    with pytest.raises(RayError, match="whose head is on this machine"):
        RayWorkers(address, embedder=None, name="", options={}, allow=lambda _: None)
    assert os.environ == before


def test_a_machine_that_joins_during_the_question_gets_no_worker(monkeypatch):
    """Ray itself is played: only which machines it is asked to put workers on matters."""

    def node(name, address):
        return {"NodeID": name, "NodeManagerAddress": address, "Alive": True, "Resources": {"CPU": 4.0}}

    there = [node("head", "127.0.0.1"), node("named", "192.168.1.7")]
    ray = MagicMock()
    ray.nodes.side_effect = lambda: list(there)
    ray.get.side_effect = lambda calls, timeout: [("name", code_digest())] * len(calls)
    for name in ("ray", "ray.util", "ray.util.scheduling_strategies"):
        monkeypatch.setitem(sys.modules, name, ray)
    monkeypatch.setattr(RayWorkers, "_start", lambda *_: None)
    asked = []

    def allow(machines):
        asked.extend(machines)
        there.append(node("late", "192.168.1.8"))

    with RayWorkers("192.168.1.2:6379", embedder=None, name="name", options={}, allow=allow) as workers:
        assert asked == ["192.168.1.7"]
        assert [place.node for place in workers._places] == ["head", "named"]
        assert [call.args[0] for call in ray.NodeAffinitySchedulingStrategy.call_args_list] == ["head", "named"]


class _Terminal(io.StringIO):
    def isatty(self):
        return True


def named(files):
    return [(file.name, paper_id(file)) for file in files]


@pytest.mark.parametrize(
    ("machine", "policy", "answer_and_result"),
    [
        ("8.8.8.8", None, ("yes", "public internet")),
        ("worker-1.example", None, ("yes", r"gives a name instead of an IP address \(worker-1\.example\)")),
        ("192.168.1.7", Policy("local only"), ("yes", "library is local only")),
        ("192.168.1.7", Policy("ask", frozenset([paper_id(PAPERS[0])])), ("yes", f"{PAPERS[0].name} is local")),
        ("192.168.1.7", None, ("", "Nothing was sent")),
        ("192.168.1.7", None, ("no", "Nothing was sent")),
        ("192.168.1.7", None, ("yes", None)),
        ("192.168.1.7", Policy("ask", frozenset(["0" * 16])), ("YES ", None)),
    ],
)
def test_papers_go_to_other_machines_only_if_the_library_and_the_user_allow_it(
    monkeypatch, tmp_path, machine, policy, answer_and_result
):
    answer, said = answer_and_result
    monkeypatch.setattr(sys, "stdin", _Terminal())
    if policy is not None:
        save_policy(policy, tmp_path, AuditLog(tmp_path))

    def ask():
        allow([machine], papers=named(PAPERS), count=4, library=tmp_path, ask=lambda: answer)

    if said is None:
        ask()
    else:
        with pytest.raises(NotSentError, match=said):
            ask()


def test_where_nobody_can_be_asked_nothing_is_sent(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "stdin", io.StringIO("yes\n"))
    with pytest.raises(NotSentError, match="nobody is here to agree"):
        allow(["192.168.1.7"], papers=named(PAPERS), count=4, library=tmp_path)


@pytest.mark.parametrize("answer", ["no\n", ""])
def test_the_question_comes_before_the_bar_and_not_into_the_output(monkeypatch, tmp_path, capsys, answer):
    monkeypatch.setattr(sys, "stdin", _Terminal(answer))
    monkeypatch.setattr("ingest.__main__.RayWorkers", lambda _, allow, **__: allow(["192.168.1.7"]))
    monkeypatch.setattr("ingest.__main__.FileBar", lambda _: pytest.fail("the bar is there already"))
    monkeypatch.setenv("SCHOLION_LIBRARY", str(tmp_path))
    assert main(["add", str(PAPERS[0]), "--ray", "192.168.1.2:6379", "--json"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    *lines, last = err.splitlines()
    assert lines[0] == "These machines will get whole papers, both PDF and text: 192.168.1.7."
    assert "Send them? Type yes: " in err
    assert last.endswith("Nothing was sent. Use --ray auto to stay on this machine.")


def _edit_policy(folder):
    file = folder / POLICY_FILE
    file.write_text(file.read_text().replace('"local only"', '"ask"'))


def _roll_back_policy(folder):
    save_policy(Policy("local only", revision=1), folder, AuditLog(folder))
    (folder / POLICY_FILE).write_text((folder / "first").read_text())


def _link_policy(folder):
    (folder / POLICY_FILE).rename(folder / "second")
    (folder / POLICY_FILE).symlink_to("second")


def _cut_log(folder):
    """Policy and log as they were before the last change, but not what anchors the log."""
    _roll_back_policy(folder)
    file = folder / LOG_FILE
    file.write_bytes(file.read_bytes().splitlines(keepends=True)[0])


def _remove_policy_and_log(folder):
    for name in (POLICY_FILE, LOG_FILE):
        (folder / name).unlink()


def _edit_policy_and_log(folder):
    before = hashlib.sha256((folder / POLICY_FILE).read_bytes()).hexdigest()
    _edit_policy(folder)
    after = hashlib.sha256((folder / POLICY_FILE).read_bytes()).hexdigest()
    (folder / LOG_FILE).write_text((folder / LOG_FILE).read_text().replace(before, after))


def _tear_log(folder):
    AuditLog(folder).append("refused", {})
    file = folder / LOG_FILE
    file.write_bytes(file.read_bytes()[:-1])


BREAKS = {
    "a damaged policy": lambda folder: (folder / POLICY_FILE).write_text("{"),
    "an edited one": _edit_policy,
    "one from before": _roll_back_policy,
    "none any more": lambda folder: (folder / POLICY_FILE).unlink(),
    "a link": _link_policy,
    "no log": lambda folder: (folder / LOG_FILE).unlink(),
    "no head": lambda folder: (folder / HEAD_FILE).unlink(),
    "a damaged head": lambda folder: (folder / HEAD_FILE).write_text("{}"),
    "a cut log": _cut_log,
    "neither policy nor log": _remove_policy_and_log,
    "an edited policy and log": _edit_policy_and_log,
    "a torn log": _tear_log,
}


@pytest.mark.parametrize("broken", BREAKS.values(), ids=BREAKS)
def test_a_policy_that_the_gate_refuses_is_refused_here_too(monkeypatch, tmp_path, broken):
    """`ingest` may not import `rag`, so both read the policy and the log: they have to agree."""
    monkeypatch.setattr(sys, "stdin", _Terminal())
    first = save_policy(Policy("ask"), tmp_path, AuditLog(tmp_path))
    ask = partial(allow, ["192.168.1.7"], papers=(), count=0, library=tmp_path, ask=lambda: "yes")
    ask()
    assert load_policy(tmp_path, AuditLog(tmp_path)) == first
    if broken not in (_roll_back_policy, _cut_log):
        save_policy(Policy("local only", revision=1), tmp_path, AuditLog(tmp_path))
    (tmp_path / "first").write_text((tmp_path / POLICY_FILE).read_text())
    broken(tmp_path)
    with pytest.raises(NotSentError) as refused:
        ask()
    assert "This library is local only" not in refused.value.message
    with pytest.raises(NotAllowedError):
        load_policy(tmp_path, AuditLog(tmp_path))


def test_the_names_of_the_files_are_those_of_the_gate():
    assert (elsewhere.POLICY_FILE, elsewhere.LOG_FILE, elsewhere.HEAD_FILE) == (POLICY_FILE, LOG_FILE, HEAD_FILE)


@pytest.mark.parametrize("place", ["kept_path", "quarantine_path"])
def test_a_local_only_paper_that_was_left_unfinished_is_not_sent_wherever_its_copy_is(
    monkeypatch, tmp_path, capsys, place
):
    monkeypatch.setattr(sys, "stdin", _Terminal("yes\n"))
    monkeypatch.setattr("ingest.__main__.RayWorkers", lambda _, allow, **__: allow(["192.168.1.7"]))
    monkeypatch.setenv("SCHOLION_LIBRARY", str(tmp_path))
    known = paper_id(PAPERS[0])
    with closing(Library(IngestSettings(library=tmp_path))) as library:
        library.own()
        copy = getattr(library, place)(known)
        copy.parent.mkdir(exist_ok=True)
        shutil.copy(PAPERS[0], copy)
        library.ledger.set(known, "queued", file=PAPERS[0].name)
    save_policy(Policy("ask", frozenset([known])), tmp_path, AuditLog(tmp_path))
    assert main(["resume", "--ray", "192.168.1.2:6379"]) == 1
    assert f"{PAPERS[0].name} is local only" in capsys.readouterr().err
