"""An evaluation measures what it says, survives a kill, refuses what does not belong together, and can be shown."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path

import pytest

from fake_embedder import HashEmbedder
from fakes import ScriptedChatModel
from ingest import ingest_pdf
from ingest.repair import verify
from places import ROOT, SAMPLES
from question_files import write_beir, write_qasper
from rag import Assistant, RagSettings
from rag.__main__ import main as rag
from rag.errors import RunError
from rag.evaluation.cases import Case, QuestionSet, Reference
from rag.evaluation.corpora import load, read_csv
from rag.evaluation.corpus_library import corpus_library
from rag.evaluation.report import as_json, report
from rag.evaluation.report_html import to_html
from rag.evaluation.report_page import to_markdown
from rag.evaluation.rows import appending, whole_lines
from rag.evaluation.run import code_digest, evaluate, forget_run, read_run, sampled
from waiting import PATIENCE


def ask(questions, out, **options):
    """Evaluate on the set's own corpus, with the fake embedder."""
    import asyncio

    embedder = HashEmbedder()
    with corpus_library(questions, out.parent / "corpus", embedder=embedder) as library:
        return asyncio.run(evaluate(questions, library=library, embedder=embedder, out=out, **({"k": 3} | options)))


def figures(run):
    return {f.name: e.mean if e else None for f, e in report(run).measures}


def test_a_beir_corpus_is_searched_and_measured(tmp_path):
    run = ask(load(write_beir(tmp_path / "tiny")), tmp_path / "run")
    q1, q2 = run.results
    assert (q1.ranked[0], q1.relevant, q1.expected[0]) == ("d1", {"d1": 2.0, "d2": 1.0}, "Mice")
    assert q2.ranked[0] == "d3"
    assert (q1.top[0].right, q1.top[0].text) == (True, "Mice Mice eat cheese.")
    assert figures(run)["Hit@1"] == figures(run)["nDCG@3"] == 1.0
    assert set(q1.stages) == {"embed", "retrieve"}


def test_qasper_is_searched_paper_by_paper_and_paragraphs_are_the_units(tmp_path):
    run = ask(load(write_qasper(tmp_path / "dev.json.gz")), tmp_path / "run")
    by_id = {result.id: result for result in run.results}
    assert set(by_id["q1"].ranked) <= {"1234.5678#0", by_id["q2"].ranked[0]} | set(by_id["q1"].ranked)
    assert by_id["q2"].expected == ("A Paper, paragraph 2",)
    assert by_id["q3"].relevant == {}
    found = figures(run)
    assert found["Recall@3"] == 1.0, "the paper has two paragraphs"
    assert 0 < found["Evidence-F1@3"] < 1


def test_the_corpus_is_embedded_once(tmp_path):
    questions = load(write_beir(tmp_path / "tiny"))
    said = []
    for _ in range(2):
        with corpus_library(questions, tmp_path / "c", embedder=HashEmbedder(), tell=lambda *a: said.append(a)) as lib:
            assert len(lib.papers()) == 3
            assert verify(lib) == [] or all("PDF" in problem.what for problem in verify(lib)), "there are no PDFs"
    assert said == [("embedding", 0, 3)]


@pytest.fixture
def samples(library):
    for name in ("before-you-run.pdf", "lora-for-terms.pdf"):
        ingest_pdf(SAMPLES / name, library=library, embedder=HashEmbedder())
    return library


@pytest.fixture
def mine(samples, tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text(
        "question,answer,paper,page\n"
        "How many hours of writing do 512 training examples take?,42.7 hours,lora-for-terms,4\n"
        "How many KiB of key-value cache does one token take?,128 KiB,before-you-run,1\n"
        "Which vaccine was tested?,unanswerable,,\n"
    )
    return read_csv(path, papers=samples.papers())


async def test_answers_are_measured_too(samples, mine, tmp_path):
    embedder = HashEmbedder()
    drafter = ScriptedChatModel("It takes 42.7 hours [1].", "128 KiB [1], see [77].", "No idea at all.")
    assistant = Assistant(library=samples, embedder=embedder, drafter=drafter, settings=RagSettings())
    run = await evaluate(
        mine, library=samples, embedder=embedder, out=tmp_path / "run", k=10, assistant=assistant,
        answer_settings={"model": drafter.name},
    )  # fmt: skip
    first, second, third = (result.answer for result in run.results)
    assert first.text == "It takes 42.7 hours."
    assert (second.markers, 77 in second.shown) == ((1, 77), False)
    found = report(run)
    by_name = {f.name: e for f, e in found.measures}
    assert by_name["Valid markers"].mean == pytest.approx((1 + 0.5) / 2)
    assert by_name["Valid markers"].n == 2, "an answer without markers says nothing about them"
    assert by_name["Answer F1"].n == 3
    assert found.answer_abstentions.n_unanswerable == 1
    assert found.answer_abstentions.right == int(third.abstained)
    assert found.tokens is not None
    assert "retrieve" in found.stages
    assert found.stages["in all"][3] >= found.stages["decode"][3]
    for name in ("Valid citations", "Citation recall", "Citation precision", "Exact quotes", "Right page"):
        assert by_name[name].n >= 1, name
    assert by_name["Valid citations"].mean == by_name["Right page"].mean == 1.0
    shares = [by_name[f"{verdict} sentences"].mean for verdict in ("Supported", "Weak", "Unsupported")]
    assert sum(shares) == pytest.approx(1.0)
    assert by_name["Abstention recall"].n == 1
    assert by_name["Abstention recall"].mean == float(third.abstained)


async def test_a_run_of_before_citations_were_counted_says_not_measured_and_compares(samples, mine, tmp_path):
    async def go(out):
        drafter = ScriptedChatModel("It takes 42.7 hours [1].", "128 KiB [1].", "No idea.")
        assistant = Assistant(library=samples, embedder=HashEmbedder(), drafter=drafter, settings=RagSettings())
        return await evaluate(mine, library=samples, embedder=HashEmbedder(), out=out, k=5, assistant=assistant)

    new = await go(tmp_path / "new")
    assert new.results == read_run(tmp_path / "new").results, "what is written comes back"
    await go(tmp_path / "old")
    rows = [json.loads(line) for line in (tmp_path / "old" / "cases.jsonl").read_text().splitlines()]
    for row in rows:
        del row["answer"]["attribution"]
    (tmp_path / "old" / "cases.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    old = read_run(tmp_path / "old")
    assert figures(old)["Right page"] is None
    assert figures(old)["Verified quotes"] == figures(new)["Verified quotes"]
    page = to_markdown(report(old))
    assert re.search(r"Right page \|[^\n]*not measured", page)
    assert not re.search(r"Answer F1 \|[^\n]*not measured", page)
    both = report(new, other=old)
    assert "Not measured in old: Valid citations, Citation recall" in to_markdown(both)
    assert not any(row.measure.name == "Right page" for row in both.compared)


async def test_a_question_that_fails_is_told_and_asked_again(samples, mine, tmp_path):
    from rag.errors import ModelUnreachableError

    def assistant(*replies):
        return Assistant(
            library=samples, embedder=HashEmbedder(), drafter=ScriptedChatModel(*replies), settings=RagSettings()
        )

    async def go(assistant):
        return await evaluate(
            mine, library=samples, embedder=HashEmbedder(), out=tmp_path / "run", k=5, assistant=assistant
        )

    broken = await go(assistant("Fine [1].", ModelUnreachableError("The model does not answer.", "Start it."), "Yes."))
    assert [bool(result.error) for result in broken.results] == [False, True, False]
    page = to_markdown(report(broken))
    assert "1 question could not be asked" in page
    assert "The model does not answer." in page
    mended = await go(assistant("128 KiB [1]."))
    assert not any(result.error for result in mended.results)
    assert len({result.id for result in mended.results}) == 3


# -- resuming ----------------------------------------------------------------------------------------------------------

SLOW = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, "tests/support")
from fake_embedder import SlowEmbedder
from rag.evaluation.corpora import load
from rag.evaluation.corpus_library import corpus_library
from rag.evaluation.run import evaluate
folder, out = map(Path, sys.argv[1:])
questions, embedder = load(folder), SlowEmbedder(0.1, stops_after=10)
with corpus_library(questions, out.parent / "corpus", embedder=embedder) as library:
    asyncio.run(evaluate(questions, library=library, embedder=embedder, out=out, k=3))
"""


def many(folder, n=40):
    write_beir(folder)
    (folder / "queries.jsonl").write_text(
        "".join(json.dumps({"_id": f"q{i}", "text": f"mice {i}"}) + "\n" for i in range(n))
    )
    (folder / "qrels" / "test.tsv").write_text("".join(f"q{i}\td1\t1\n" for i in range(n)))
    return folder


def test_a_killed_run_goes_on_where_it_was(tmp_path):
    folder, out = many(tmp_path / "tiny"), tmp_path / "run"
    child = subprocess.Popen([sys.executable, "-c", SLOW, str(folder), str(out)], cwd=ROOT)
    lines = out / "cases.jsonl"
    while not lines.is_file() or lines.read_bytes().count(b"\n") < 5:
        assert child.poll() is None
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait(PATIENCE)
    before = lines.read_bytes()
    assert before.count(b"\n") < 40
    with lines.open("ab") as file:
        file.write(b'{"id": "q39", "quest')  # a kill can come in the middle of a line
    whole = before[: before.rfind(b"\n") + 1]
    run = ask(load(folder), out)
    assert lines.read_bytes().startswith(whole), "what was finished is not asked again"
    assert lines.read_bytes().count(b"\n") == 40
    assert [json.loads(line)["id"] for line in lines.read_text().splitlines()] == [f"q{i}" for i in range(40)]
    assert len(run.results) == 40


def test_a_reader_leaves_the_line_alone_that_another_process_is_writing(tmp_path):
    rows = tmp_path / "rows.jsonl"
    rows.write_bytes(b'{"n": 1}\n{"n": ')
    assert whole_lines(rows) == [{"n": 1}]
    with rows.open("ab") as file:
        file.write(b"2}\n")
    assert whole_lines(rows) == [{"n": 1}, {"n": 2}]


def test_two_runs_do_not_write_into_one_file(tmp_path):
    rows = tmp_path / "rows.jsonl"
    with appending(rows) as append:
        append({"n": 1})
        with pytest.raises(RunError, match="Another Scholion command"), appending(rows):
            pass
        append({"n": 2})
    rows.write_bytes(rows.read_bytes() + b'{"n": ')
    with appending(rows) as append:
        append({"n": 3})
    assert [row["n"] for row in whole_lines(rows)] == [1, 2, 3]


def test_a_run_goes_on_only_with_the_same_questions_settings_and_papers(tmp_path):
    folder, out = write_beir(tmp_path / "tiny"), tmp_path / "run"
    ask(load(folder), out)
    with pytest.raises(RunError, match="because these have changed: the number of passages"):
        ask(load(folder), out, k=2)
    with (folder / "queries.jsonl").open("a") as file:
        file.write('{"_id": "q9", "text": "new"}\n')
    with pytest.raises(RunError, match="the questions"):
        ask(load(folder), out)
    forget_run(out)
    assert len(ask(load(folder), out).results) == 2


def test_a_sample_is_the_same_each_time_and_part_of_a_larger_one():
    cases = [Case(id=str(n), question="?", group=str(n)) for n in range(100)]
    ten, fifty = sampled(cases, 10), sampled(cases, 50)
    assert len(ten) == 10
    assert [case for case in fifty if case in ten] == ten
    assert sampled(cases, 1000) == sampled(cases, None) == cases


def test_a_limit_is_raised_without_asking_again(tmp_path):
    questions = load(many(tmp_path / "tiny"))
    assert len(ask(questions, tmp_path / "run", limit=5).results) == 5
    before = (tmp_path / "run" / "cases.jsonl").read_text()
    assert len(ask(questions, tmp_path / "run", limit=9).results) == 9
    assert (tmp_path / "run" / "cases.jsonl").read_text().startswith(before)
    assert len(ask(questions, tmp_path / "run", limit=5).results) == 5


# -- the report --------------------------------------------------------------------------------------------------------


class Links(HTMLParser):
    """What a page would load or lead to, and whether its tags close."""

    def __init__(self):
        super().__init__()
        self.out, self.open = [], []

    def handle_starttag(self, tag, attributes):
        self.out += [v for k, v in attributes if k in ("href", "src", "srcset", "action", "data")]
        assert tag not in ("script", "iframe", "img", "link", "object")
        if tag not in ("meta", "line", "rect", "circle", "polyline", "polygon", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_stands_alone_and_nothing_from_a_paper_acts_in_it(tmp_path):
    folder = write_beir(tmp_path / "tiny")
    nasty = '<script>alert(1)</script> | [x](http://evil.example) "quoted" mice'
    (folder / "corpus.jsonl").write_text(
        json.dumps({"_id": "d1", "title": nasty, "text": nasty})
        + "\n"
        + json.dumps({"_id": "d2", "text": "mice mice mice"})
    )
    (folder / "queries.jsonl").write_text(json.dumps({"_id": "q1", "text": "mice"}))
    (folder / "qrels" / "test.tsv").write_text("q1\td1\t1\n")
    run = ask(load(folder), tmp_path / "run")
    page = to_html(report(run))
    parser = Links()
    parser.feed(page)
    assert (parser.out, parser.open) == ([], [])
    assert "url(" not in page
    assert "@import" not in page
    assert "prefers-color-scheme: dark" in page
    assert "&lt;script&gt;alert(1)" in page
    markdown = to_markdown(report(run))
    assert "<script>" not in markdown
    assert not re.search(r"(?<!\\)\]\(", markdown)


def test_the_worst_cases_are_shown_with_what_was_found_instead(tmp_path):
    folder = write_beir(tmp_path / "tiny")
    (folder / "qrels" / "test.tsv").write_text("q1\td3\t1\nq2\td3\t1\n")  # nobody would look there for q1
    done = report(ask(load(folder), tmp_path / "run", k=1))
    assert [result.id for result in done.worst] == ["q1"]
    text = to_markdown(done)
    assert "not among the first 1" in text
    assert "Mice eat cheese" in text


def test_two_runs_are_compared_question_by_question(tmp_path):
    folder = many(tmp_path / "tiny")
    ours = ask(load(folder), tmp_path / "ours", k=3)
    theirs = ask(load(folder), tmp_path / "theirs", k=1)
    done = report(ours, other=theirs)
    assert done.n_common == 40
    rows = {row.measure.name: row for row in done.compared}
    assert rows["Hit@1"].difference.same == 40
    assert "Compared with theirs" in to_markdown(done)
    assert as_json(done)["compared"][0]["figure"] == "Hit@1"
    other = QuestionSet(name="o", kind="beir", cases=(Case(id="z", question="?", group="z"),), digest="x")
    with pytest.raises(RunError, match="no questions in common"):
        report(ours, other=ask(other, tmp_path / "other"))


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(RunError, match="has no readable run"):
        read_run(tmp_path)


def test_a_question_set_without_anything_expected_still_has_a_report(samples, tmp_path):
    questions = QuestionSet(
        name="bare", kind="own", digest="x", cases=(Case(id="1", question="rank?", group="1", references=()),)
    )
    import asyncio

    run = asyncio.run(evaluate(questions, library=samples, embedder=HashEmbedder(), out=tmp_path / "r", k=2))
    assert "1 question" in to_markdown(report(run))
    assert "<html" in to_html(report(run))
    assert Reference("x").evidence is None


# -- the command -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """A library with one paper, made by the command line with the real embedder."""
    from ingest.__main__ import main as ingest

    path = tmp_path_factory.mktemp("evaluate") / "library"
    os.environ["SCHOLION_LIBRARY"] = str(path)
    assert ingest(["add", str(SAMPLES / "before-you-run.pdf")]) == 0
    yield path
    del os.environ["SCHOLION_LIBRARY"]


def command(capsys, *arguments):
    capsys.readouterr()
    try:
        code = rag(["evaluate", *map(str, arguments)])
    except SystemExit as stop:
        code = stop.code
    out, err = capsys.readouterr()
    return code, out, err


def test_one_command_evaluates_a_csv_on_ones_own_library(shelf, tmp_path, capsys):
    (tmp_path / "mine.csv").write_text(
        "question,paper,page\nHow many KiB of key-value cache does one token take?,before-you-run,1\n"
    )
    code, out, _ = command(capsys, tmp_path / "mine.csv", "--out", tmp_path / "run", "--json")
    assert code == 0
    done = json.loads(out)
    assert done["figures"]["Hit@10"]["mean"] == 1.0
    assert done["figures"]["Hit@10"]["low"] is None
    names = {"run.json", "cases.jsonl", "cases.jsonl.lock", "report.md", "report.html"}
    assert {path.name for path in (tmp_path / "run").iterdir()} == names
    for name in names:
        assert str(tmp_path) not in (tmp_path / "run" / name).read_text(), "a report can be sent to a colleague"
    code, out, err = command(capsys, tmp_path / "mine.csv", "--out", tmp_path / "run", "--k", 3)
    assert (code, out) == (1, "")
    assert "--fresh" in err
    code, out, _ = command(
        capsys, tmp_path / "mine.csv", "--out", tmp_path / "two", "--k", 3, "--compare", tmp_path / "run"
    )
    assert code == 0
    assert "against run" in out


def test_a_corpus_is_evaluated_in_one_command_without_touching_ones_library(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("SCHOLION_LIBRARY", str(tmp_path / "untouched"))
    code, out, _ = command(capsys, write_beir(tmp_path / "tiny"), "--out", tmp_path / "run")
    assert code == 0
    assert re.search(r"^Hit@1 +\d\.\d{3}", out, re.MULTILINE)
    assert not (tmp_path / "untouched").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [(None, "There is no file"), ("question,paper\nQ?,nobody\n", "Line 2"), ("x\n1\n", "no column `question`")],
)
def test_bad_input_gets_one_sentence_and_exit_1(shelf, tmp_path, capsys, text, words):
    path = tmp_path / "mine.csv"
    if text:
        path.write_text(text)
    code, out, err = command(capsys, path, "--out", tmp_path / "run")
    assert (code, out) == (1, "")
    assert words in err
    assert "Traceback" not in err
    assert not Path(tmp_path / "run").exists()


@pytest.mark.parametrize("arguments", [[], ["x.csv", "--k", "0"], ["x.csv", "--limit", "none"]])
def test_wrong_usage_is_exit_2(capsys, arguments):
    assert command(capsys, *arguments)[0] == 2


def test_only_code_that_makes_the_results_makes_a_run_another_one(tmp_path):
    for room in ("ingest", "rag"):
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("*.npz", "__pycache__"))
    before = code_digest(tmp_path)
    assert before == code_digest()
    for name in ("metrics", "measures", "report_html", "plots", "calibrate"):
        (tmp_path / "rag" / "evaluation" / f"{name}.py").write_text("changed = True\n")
    (tmp_path / "rag" / "commands" / "evaluate.py").write_text("changed = True\n")
    assert code_digest(tmp_path) == before
    (tmp_path / "rag" / "quoting" / "extract.py").write_text("changed = True\n")
    assert code_digest(tmp_path) != before
