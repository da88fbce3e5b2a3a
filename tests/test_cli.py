"""The command line is a contract: JSON on standard output, words on standard error, exit codes 0, 1, 2."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pypdf import PdfReader, PdfWriter

from ingest.__main__ import main as ingest
from places import ROOT, SAMPLES
from rag.__main__ import main as rag
from waiting import PATIENCE

PAPER_FIELDS = {
    "paper_id", "title", "authors", "year", "doi", "isbn", "pages", "chunks", "file", "tags", "retracted",
    "publication",
}  # fmt: skip
PASSAGE_FIELDS = {
    "marker", "chunk_id", "paper_id", "title", "first_page", "last_page", "page_name", "section", "score", "text",
}  # fmt: skip
ANSWER_FIELDS = {
    "question", "text", "abstained", "escalated", "confidence", "citations", "sentences", "drafts", "cost", "trace",
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A library with two papers, made by the command line."""
    path = tmp_path_factory.mktemp("cli") / "library"
    os.environ["SCHOLION_LIBRARY"] = str(path)
    assert ingest(["add", str(SAMPLES / "before-you-run.pdf"), str(SAMPLES / "lora-for-terms.pdf")]) == 0
    yield path
    del os.environ["SCHOLION_LIBRARY"]


@pytest.fixture
def run(folder, capsys):
    """Run a command; the result is its exit code, standard output and standard error."""

    def call(main, *arguments):
        capsys.readouterr()
        try:
            code = main([str(a) for a in arguments])
        except SystemExit as stop:
            code = stop.code
        out, err = capsys.readouterr()
        return code, out, err

    return call


def test_add_reports_one_line_for_each_file(run):
    code, out, _ = run(ingest, "add", SAMPLES / "before-you-run.pdf", "--json")
    (row,) = map(json.loads, out.splitlines())
    assert code == 0
    assert set(row) == {
        "file",
        "status",
        "paper_id",
        "title",
        "pages",
        "chunks",
        "seconds",
        "error",
        "notes",
        "attached",
        "like",
    }
    assert (row["status"], row["error"]) == ("skipped", None)
    assert row["file"] == str(SAMPLES / "before-you-run.pdf")


def test_list_and_show(run):
    code, out, _ = run(ingest, "list", "--json")
    rows = json.loads(out)
    assert code == 0
    assert len(rows) == 2
    assert all(set(row) == PAPER_FIELDS for row in rows)
    code, out, _ = run(ingest, "show", rows[0]["paper_id"], "--json")
    shown = json.loads(out)
    assert set(shown) == PAPER_FIELDS | {
        "page_texts",
        "arxiv_id",
        "abstract",
        "report",
        "references",
        "page_labels",
        "family_names",
    }
    assert shown["report"]["n_pages"] == shown["pages"]
    assert len(shown["page_texts"]) == shown["pages"]
    assert "quantisation" in " ".join(shown["page_texts"]).lower()


def test_what_is_known_can_be_corrected_and_written_as_bibtex(run):
    paper_id = json.loads(run(ingest, "list", "--json")[1])[0]["paper_id"]
    code, out, _ = run(ingest, "set", paper_id, "--title", "A Better Title", "--authors", "Ada Lovelace; C. Babbage",
                       "--year", 1843, "--json")  # fmt: skip
    assert (code, json.loads(out)["title"]) == (0, "A Better Title")
    code, out, _ = run(ingest, "bibtex", paper_id)
    assert code == 0
    assert "Lovelace, Ada and Babbage, C." in out
    assert "1843" in out
    assert run(ingest, "set", paper_id)[0] == 1


def test_a_bibliography_beside_the_pdf_wins(run, tmp_path):
    (tmp_path / "mine.pdf").write_bytes((SAMPLES / "draft-and-refine.pdf").read_bytes())
    (tmp_path / "refs.bib").write_text(
        "@article{x, title = {Draft and Refine with a Small and a Large Model}, author = {Curie, Marie}, year = 1903}"
    )
    _, out, _ = run(ingest, "add", tmp_path / "mine.pdf", "--json")
    row = json.loads(out)
    listed = {r["paper_id"]: r for r in json.loads(run(ingest, "list", "--json")[1])}
    assert (listed[row["paper_id"]]["authors"], listed[row["paper_id"]]["year"]) == (["Marie Curie"], 1903)
    run(ingest, "remove", row["paper_id"])


def test_search(run):
    code, out, _ = run(rag, "search", "memory of the key-value cache", "--k", "3", "--json")
    rows = json.loads(out)
    assert code == 0
    assert [row["marker"] for row in rows] == [1, 2, 3]
    assert all(set(row) == PASSAGE_FIELDS for row in rows)
    only = rows[0]["paper_id"]
    code, out, _ = run(rag, "search", "rank of the adapter", "--paper", only, "--json")
    assert {row["paper_id"] for row in json.loads(out)} == {only}


def test_ask_with_the_real_model(run):
    code, out, _ = run(rag, "ask", "How is the size of the key-value cache computed?", "--json")
    answer = json.loads(out)
    assert code == 0
    assert set(answer) >= ANSWER_FIELDS
    assert answer["drafts"][0]["usage"]["output_tokens"] > 0
    assert answer["text"].strip()
    pages = {
        name: json.loads(run(ingest, "show", name, "--json")[1])["page_texts"]
        for name in {c["paper_id"] for c in answer["citations"]}
    }
    assert all(c["quote"] in pages[c["paper_id"]][c["page"] - 1] for c in answer["citations"] if c["verified"])


def test_questions_from_a_file_are_answered_in_order_with_the_models_loaded_once(run, tmp_path):
    file = tmp_path / "q.jsonl"
    questions = {"a": "What is a rank?", "b": "What is the boiling point of ethanol?"}
    rows = [{"id": name, "question": question} for name, question in questions.items()]
    file.write_text("\n".join(map(json.dumps, rows)))
    code, out, _ = run(rag, "search", "--questions", file, "--k", 2)
    found = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [(row["id"], len(row["passages"])) for row in found] == [("a", 2), ("b", 2)]
    code, out, _ = run(rag, "ask", "--questions", file)
    answers = [json.loads(line) for line in out.splitlines()]
    assert [answer["id"] for answer in answers] == ["a", "b"]
    assert answers[1]["abstained"]


def test_a_bad_row_among_the_questions_costs_no_other(run, tmp_path):
    file = tmp_path / "q.jsonl"
    rows = [
        b'{"id": "a", "question": "What is a rank \\ud83d?"}',
        b'{"id": "b", "question": "What \xed\xa0\xbd is it?"}',
    ]
    rows += [b'{"id": "c", "question": 3}', b"{", b'{"id": "e", "question": "What is a rank?"}']
    file.write_bytes(b"\n".join(rows))
    code, out, _ = run(rag, "search", "--questions", file, "--k", 2)
    found = [json.loads(line) for line in out.splitlines()]
    assert code == 1
    assert [(row["id"], len(row["passages"])) for row in found] == [("a", 2), ("b", 2), ("c", 0), (None, 0), ("e", 2)]
    assert ["cannot be read" in row.get("error", "") for row in found] == [False, False, True, True, False]
    assert out.encode()


def bad_pdf(tmp_path, name):
    path = tmp_path / f"{name}.pdf"
    whole = (SAMPLES / "draft-and-refine.pdf").read_bytes()
    if name == "encrypted":
        writer = PdfWriter(clone_from=PdfReader(SAMPLES / "draft-and-refine.pdf"))
        writer.encrypt("secret", algorithm="AES-256")
        writer.write(path)
    elif name == "no-text":
        writer = PdfWriter()
        writer.add_blank_page(612, 792)
        writer.write(path)
    else:
        path.write_bytes(
            {
                "zero-bytes": b"",
                "not-a-pdf": b"PK\x03\x04 this is a zip",
                "html": b"<!doctype html><title>Please log in</title>",
                "truncated": whole[:2000],
                "cut-late": whole[: len(whole) // 2],
                "noise": b"%PDF-1.7\n" + os.urandom(5000),
            }[name]
        )
    return path


BAD_PDFS = ["zero-bytes", "not-a-pdf", "html", "truncated", "cut-late", "noise", "encrypted", "no-text"]


def one_sentence(text):
    text = text.strip()
    assert text, "something must be said"
    assert "\n" not in text
    assert "Traceback" not in text
    assert text[0].isupper() or text[0].isalnum()
    assert text.endswith(".")
    return text


@pytest.mark.parametrize("name", BAD_PDFS)
def test_a_bad_pdf_gets_one_sentence_and_harms_nothing(run, tmp_path, name):
    before = run(ingest, "list", "--json")[1]
    path = bad_pdf(tmp_path, name)
    code, out, _ = run(ingest, "add", path, "--json")
    (row,) = map(json.loads, out.splitlines())
    if name == "cut-late" and row["status"] == "added":  # a reader may rescue it
        run(ingest, "remove", row["paper_id"])
    else:
        assert (code, row["status"], row["paper_id"]) == (1, "failed", None)
        assert path.name in one_sentence(row["error"])
    assert run(ingest, "list", "--json")[1] == before
    code, out, _ = run(ingest, "verify", "--json")
    assert (code, json.loads(out)["problems"]) == (0, [])


def test_bad_files_do_not_stop_the_good_ones(run, tmp_path):
    bad_pdf(tmp_path, "html")
    (tmp_path / "good.pdf").write_bytes((SAMPLES / "local-or-cloud.pdf").read_bytes())
    code, out, _ = run(ingest, "add", tmp_path, "--json")
    rows = {Path(row["file"]).name: row for row in map(json.loads, out.splitlines())}
    assert code == 1
    assert (rows["good.pdf"]["status"], rows["html.pdf"]["status"]) == ("added", "failed")
    assert run(ingest, "remove", rows["good.pdf"]["paper_id"])[0] == 0


@pytest.mark.parametrize("what", ["missing", "empty folder", "text file"])
def test_a_bad_path_gets_one_sentence(run, tmp_path, what):
    path = tmp_path / "thing"
    if what == "empty folder":
        path.mkdir()
    elif what == "text file":
        path.write_text("hello")
    code, out, _ = run(ingest, "add", path, "--json")
    assert code == 1
    assert "thing" in one_sentence(json.loads(out)["error"])


def test_an_unreadable_file_gets_one_sentence(run, tmp_path):
    path = tmp_path / "link.pdf"
    path.symlink_to(tmp_path / "nowhere.pdf")
    code, out, _ = run(ingest, "add", path, "--json")
    assert code == 1
    one_sentence(json.loads(out)["error"])


@pytest.mark.parametrize(
    ("main", "arguments", "words"),
    [
        (ingest, ["show", "ffffffffffffffff"], "no paper with the id"),
        (ingest, ["remove", "nonsense"], "no paper with the id"),
        (rag, ["search", "x", "--paper", "ffffffffffffffff"], "no paper with the id"),
        (rag, ["ask", "x", "--paper", "ffffffffffffffff"], "no paper with the id"),
        (rag, ["ask", "why " * 5000], "characters"),
        (rag, ["ask", "   "], "empty"),
        (rag, ["search", ""], "empty"),
        (rag, ["ask", "--questions", "/nowhere.jsonl"], "cannot be read"),
        (rag, ["api"], "python -m ui api add NAME"),
    ],
)
def test_other_bad_input_gets_one_sentence_and_exit_1(run, main, arguments, words):
    code, out, err = run(main, *arguments)
    assert code == 1
    assert out == ""
    assert words in one_sentence(err)


@pytest.mark.parametrize(
    ("main", "arguments"),
    [
        (ingest, []),
        (ingest, ["add"]),
        (ingest, ["explode"]),
        (rag, ["ask"]),
        (rag, ["ask", "q", "--mode", "best"]),
        (rag, ["search", "q", "--k", "0"]),
        (rag, ["ask", "q", "--questions", "f"]),
    ],
)
def test_wrong_usage_is_exit_2(run, main, arguments):
    assert run(main, *arguments)[0] == 2


def test_an_app_that_owns_the_library_and_does_not_answer_is_named(run, folder):
    from ingest import IngestSettings, open_library

    with open_library(IngestSettings(library=folder)) as library:
        library.own(url="http://127.0.0.1:9")
        code, _, err = run(ingest, "add", SAMPLES / "local-or-cloud.pdf")
        assert code == 1
        assert "http://127.0.0.1:9" in one_sentence(err)
        assert run(rag, "search", "memory", "--json")[0] == 0, "reading goes on"


def test_a_command_waits_for_another_command(tmp_path):
    from ingest import IngestSettings, open_library

    command = [sys.executable, "-m", "ingest", "add", str(SAMPLES / "local-or-cloud.pdf"), "--json"]
    with open_library(IngestSettings(library=tmp_path)) as library:
        library.own()
        waiting = subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | {"SCHOLION_LIBRARY": str(tmp_path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert "waiting for it" in waiting.stderr.readline()
        assert waiting.poll() is None
    out, _ = waiting.communicate(timeout=PATIENCE)
    assert (waiting.returncode, json.loads(out)["status"]) == (0, "added")


def test_a_watched_folder_adds_what_is_there_and_what_comes(tmp_path):
    folder = tmp_path / "inbox"
    folder.mkdir()
    (folder / "first.pdf").write_bytes((SAMPLES / "local-or-cloud.pdf").read_bytes())
    watching = subprocess.Popen(
        [sys.executable, "-m", "ingest", "watch", str(folder), "--json"],
        cwd=ROOT,
        env=os.environ | {"SCHOLION_LIBRARY": str(tmp_path / "library")},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert json.loads(watching.stdout.readline())["status"] == "added"
        (folder / "second.pdf").write_bytes((SAMPLES / "before-you-run.pdf").read_bytes())
        row = json.loads(watching.stdout.readline())
        assert (Path(row["file"]).name, row["status"]) == ("second.pdf", "added")
    finally:
        watching.terminate()
        watching.wait(PATIENCE)


def test_standard_output_holds_nothing_but_json(folder):
    """In a process of its own, with everything that libraries print."""
    command = [sys.executable, "-m", "rag", "search", "memory", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ, check=False)
    assert done.returncode == 0
    assert len(json.loads(done.stdout)) == 10
    assert done.stderr == ""


def test_terms_lists_what_papers_and_the_team_say(run, folder):
    code, out, _ = run(rag, "terms", "--json")
    assert code == 0
    mined = {row["term"]: row for row in json.loads(out)}
    assert set(mined["LoRA"]) == {"source", "term", "long", "papers"}
    assert mined["LoRA"]["papers"][0]["count"] >= 1
    glossary = folder / "glossary.csv"
    glossary.write_text("term,synonyms,definition\nzorble,quantisation,fewer bits\n")
    try:
        rows = json.loads(run(rag, "terms", "Zorble", "--json")[1])
        assert [(row["source"], row["definition"], row["line"]) for row in rows] == [("glossary", "fewer bits", 2)]
        assert "zorble: fewer bits; also quantisation" in run(rag, "terms")[1]
        assert "zorble: also searched for quantisation" in run(rag, "search", "What is a zorble?", "--k", 1)[1]
        glossary.write_text("word\nx\n")
        code, out, err = run(rag, "terms")
        assert (code, out) == (1, "")
        assert 'unknown column "word"' in err
    finally:
        glossary.unlink()
    assert run(rag, "terms", "rank-one update of nothing")[:2] == (0, "No matching term.\n")


def test_tags_scope_lists_searches_and_answers(run):
    ids = [row["paper_id"] for row in json.loads(run(ingest, "list", "--json")[1])]
    code, out, _ = run(ingest, "tag", "thesis", ids[0], "--json")
    assert (code, json.loads(out)) == (0, {"tag": "thesis", "status": "tagged", "papers": ids[:1], "error": None})
    assert [row["paper_id"] for row in json.loads(run(ingest, "list", "--tag", "Thesis", "--json")[1])] == ids[:1]
    assert "[thesis]" in run(ingest, "list")[1]
    assert json.loads(run(ingest, "tags", "--json")[1]) == {"thesis": ids[:1]}
    rows = json.loads(run(rag, "search", "memory and rank", "--tag", "thesis", "--json")[1])
    assert {row["paper_id"] for row in rows} == set(ids[:1])
    answer = json.loads(run(rag, "ask", "What is the boiling point of ethanol?", "--tag", "thesis", "--json")[1])
    assert (answer["asked_of"], answer["kind"], answer["searched"]) == (ids[:1], "fact", None)
    code, _, err = run(rag, "search", "memory", "--tag", "theses")
    assert (code, "thesis" in err) == (1, True)
    assert run(ingest, "tag", "thesis", "ffffffff")[0] == 1
    assert run(ingest, "untag", "thesis", ids[0])[0] == 0
    assert run(ingest, "list", "--tag", "thesis")[0] == 1


def test_further_questions_refer_to_the_earlier_ones(run):
    code, out, _ = run(rag, "ask", "How large is a LoRA adapter?", "Why is it so small?")
    assert code == 0
    assert "Searched for: Why is it so small (LoRA adapter" in out
    code, out, _ = run(rag, "ask", "How large is a LoRA adapter?", "Why is it so small?", "--json")
    first, second = map(json.loads, out.splitlines())
    assert first["searched"] is None
    assert second["searched"].startswith("Why is it so small (LoRA adapter")


def test_the_keys_of_the_json_stay_when_a_name_in_the_code_changes() -> None:
    from rag.__main__ import answer_row
    from rag.answer import PARTIALLY_SUPPORTED, Answer, Confidence, Sentence
    from rag.costs.accounting import Trace

    sure = Confidence(0.01, "The draft only repeats the question.", {"carried": None}, ("echo",))
    partly = Sentence("It runs.", PARTIALLY_SUPPORTED, (1,), ("only a part of its words is there",))
    answer = Answer(question="?", text="…", passages=(), trace=Trace().finish(), confidence=sure, sentences=(partly,))
    row = answer_row(answer)
    reason = "The draft only repeats the question."
    assert row["confidence"] == {"score": 0.01, "reason": reason, "signals": {"carried": None}, "gates": ("echo",)}
    assert row["sentences"][0]["support"] == "weak"


def test_the_terminal_labels_what_a_model_quotes_wrongly() -> None:
    from rag.__main__ import answer_row, misquoted_lines
    from rag.answer import Answer, Quotation
    from rag.costs.accounting import Trace

    diff = (("same", "trained for"), ("struck", "four"), ("added", "3.5"), ("same", "days"))
    quotations = (
        Quotation(0, "it was on one machine", 1, verified=True),
        Quotation(0, "trained for four days", 2, verified=False, diff=diff),
        Quotation(1, "nothing of the kind", None, verified=False),
    )
    answer = Answer(question="?", text="…", passages=(), trace=Trace().finish(), quotations=quotations)
    assert misquoted_lines(answer) == [
        "Not verbatim: “trained for four days”",
        "  closest, in [2]: trained for [-four-] {+3.5+} days",
        "Not verbatim: “nothing of the kind”",
        "  no passage is close",
    ]
    assert answer_row(answer)["confidence"] is None
    rows = answer_row(answer)["quotations"]
    assert [row["verified"] for row in rows] == [True, False, False]
    assert rows[1]["diff"] == diff
