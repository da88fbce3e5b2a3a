"""Question sets are read as their authors meant them, and a mistake in a file is named with its line."""

from __future__ import annotations

import csv
import json

import pytest

from ingest import Chunk, Paper
from places import SAMPLES
from question_files import write_beir, write_qasper
from rag.answer import Passage
from rag.errors import QuestionSetError
from rag.evaluation.cases import Target
from rag.evaluation.corpora import load, read_beir, read_csv, read_qasper

PAPERS = [
    Paper(id="a1b2c3d4e5f60718", title="Adapting a Model", n_pages=4, file_name="lora.pdf"),
    Paper(id="b1b2c3d4e5f60718", title="Before You Run", n_pages=9, file_name="Before.pdf"),
]


@pytest.mark.parametrize("zipped", [False, True])
def test_a_beir_folder_is_read_zipped_or_not(tmp_path, zipped):
    found = load(write_beir(tmp_path / "tiny", zipped=zipped))
    assert (found.name, found.kind) == ("tiny/test", "beir")
    assert [document.units for document in found.documents][:2] == [("Mice\nMice eat cheese.",), ("Cats chase mice.",)]
    assert [(case.id, case.question) for case in found.cases] == [("q1", "What do mice eat?"), ("q2", "rates")]
    assert {target.key: target.grade for target in found.cases[0].targets} == {"d1": 2.0, "d2": 1.0}
    assert found.cases[0].targets[0].paper_id == found.documents[0].paper_id


def test_a_split_of_a_beir_folder_can_be_named(tmp_path):
    found = load(write_beir(tmp_path / "tiny") / "qrels" / "train.tsv")
    assert (found.name, [case.id for case in found.cases]) == ("tiny/train", ["q3"])


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("corpus.jsonl", '{"_id": "d1", "text": "x"}\n{broken\n', "Line 2 of corpus.jsonl"),
        ("corpus.jsonl", '{"text": "x"}\n', "Line 1 of corpus.jsonl cannot be used: it has no text field '_id'"),
        ("queries.jsonl", "[1]\n", "Line 1 of queries.jsonl"),
        ("qrels/test.tsv", "q1\td1\t1\nq1 d1 1\n", "Line 2 of test.tsv"),
        ("qrels/test.tsv", "query-id\tcorpus-id\tscore\nq9\td1\t1\n", "Line 2 of test.tsv cannot be used: the query"),
    ],
)
def test_a_mistake_in_a_beir_folder_is_named_with_its_line(tmp_path, file, text, words):
    folder = write_beir(tmp_path / "tiny")
    (folder / file).write_text(text)
    with pytest.raises(QuestionSetError, match=words):
        read_beir(folder)


# -- QASPER ------------------------------------------------------------------------------------------------------------


def test_qasper_is_read_as_its_evaluator_reads_it(tmp_path):
    found = load(write_qasper(tmp_path / "dev.json.gz"))
    (document,) = found.documents
    assert document.units == ("We use labeled features. They are words.", "We train on three corpora.")
    assert document.sections == ("Method", "Data")
    q1, q2, q3, q4 = found.cases
    assert [r.text for case in found.cases for r in case.references] == [
        "labeled, features", "words", "No", "Unanswerable", "Unanswerable", "Unanswerable", "Yes",
    ]  # fmt: skip
    assert {case.paper_ids for case in found.cases} == {(document.paper_id,)}
    assert q1.references[0].evidence == {"1234.5678#0"}
    assert len(q1.references[1].evidence) == 2, "a table is left out; a part of a paragraph is not that paragraph"
    assert "1234.5678#0" not in q1.references[1].evidence
    assert [target.key for target in q1.targets] == ["1234.5678#0"], "to be found is the paragraph with the part"
    assert [document.text[slice(*t.span)] for t in q2.targets] == ["We train on three corpora."]
    assert (q3.targets, q3.references[0].evidence) == ((), frozenset())
    assert [case.answerable for case in (q1, q2, q3, q4)] == [True, True, False, None]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{\n]", "Line 2 of x.json"),
        ("[]", "does not match the QASPER format"),
        ('{"a": {"title": 1}}', "x.json cannot be used"),
    ],
)
def test_a_file_that_is_not_qaspers_is_refused(tmp_path, text, words):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(QuestionSetError, match=words):
        read_qasper(tmp_path / "x.json")


def test_the_real_sets_are_read_whole(shared_data):
    scifact, qasper = load(shared_data / "scifact"), load(shared_data / "qasper" / "dev.json.gz")
    assert (len(scifact.cases), len(scifact.documents), scifact.name) == (809, 5183, "scifact/train")
    assert (len(qasper.cases), len(qasper.documents)) == (1005, 281)
    assert sum(bool(case.targets) for case in qasper.cases) > 850


# -- a CSV of one's own ------------------------------------------------------------------------------------------------


def own(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "mine.csv"
    path.write_bytes(text.encode(encoding))
    return read_csv(path, papers=PAPERS)


def test_papers_are_named_by_id_file_or_title_and_pages_in_any_usual_way(tmp_path):
    found = own(
        tmp_path,
        "question,answer,paper,page\nOne?,1,a1b2,3\nTwo?,,BEFORE.pdf,3-4\nThree?,,adapting a model,\n"
        'Four?,,before,"p. 2, 5"\nFive?,unanswerable,,\nSix?,,,\n',
    )
    targets = [[(t.paper_id[0], t.pages) for t in case.targets] for case in found.cases]
    assert targets == [[("a", (3, 3))], [("b", (3, 4))], [("a", None)], [("b", (2, 2)), ("b", (5, 5))], [], []]
    assert [case.answerable for case in found.cases] == [True, True, True, True, False, None]
    assert [[r.text for r in case.references] for case in found.cases] == [["1"], [], [], [], ["Unanswerable"], []]


def test_rows_with_the_same_question_are_one_case(tmp_path):
    found = own(tmp_path, "question,answer,paper,page\nWhy?,because,lora,1\nwhy? ,so,before,2\n")
    (case,) = found.cases
    assert [target.paper_id[0] for target in case.targets] == ["a", "b"]
    assert [reference.text for reference in case.references] == ["because", "so"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_spreadsheets_may_write_their_own_delimiter_and_mark(tmp_path, delimiter):
    text = delimiter.join(["Question", "answerable"]) + "\r\n" + delimiter.join(["Naïve?", "no"]) + "\r\n"
    (case,) = own(tmp_path, text, encoding="utf-8-sig").cases
    assert (case.question, case.answerable) == ("Naïve?", False)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (",x,,", "Line 2 of mine.csv cannot be used: the question is empty"),
        ("Q?,,nothing,", "Line 2 of mine.csv cannot be used: there is no paper 'nothing'"),
        ("Q?,,lora,5", "lora.pdf has pages 1 to 4, not 5"),
        ("Q?,,lora,iv", "'iv' is not a page"),
        ("Q?,,,3", "a page is given without a paper"),
        ('"Two\nlines?",,lora,1\nQ?,,lora,9', "Line 4 of mine.csv"),
        ("Q?,unanswerable,lora,", "unanswerable but has a paper"),
        ("Q?,unanswerable,,\nQ?,yes,,", "Line 3 of mine.csv"),
    ],
)
def test_a_mistake_in_a_csv_is_named_with_its_line(tmp_path, rows, words):
    with pytest.raises(QuestionSetError, match=words):
        own(tmp_path, f"question,answer,paper,page\n{rows}\n")


def test_half_a_pair_of_surrogates_in_a_csv_costs_no_row(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_bytes("question,answer\nOne \ud83d?,a\nTwo 😀?,b\n".encode("utf-8", "surrogatepass"))
    asked = [case.question for case in read_csv(path, papers=PAPERS).cases]
    assert asked[1] == "Two 😀?"
    assert asked[0].startswith("One ")
    assert asked[0].encode()


def test_a_csv_without_questions_or_in_another_encoding_is_refused(tmp_path):
    with pytest.raises(QuestionSetError, match="no column `question`"):
        own(tmp_path, "frage,antwort\nWas?,Das\n")
    with pytest.raises(QuestionSetError, match="has no question"):
        own(tmp_path, "question\n")
    with pytest.raises(QuestionSetError, match=r"Line 2 of .* cannot be used: it is not UTF-8"):
        own(tmp_path, "question\nNaïve?\n", encoding="latin-1")
    with pytest.raises(QuestionSetError, match="There is no file"):
        load(tmp_path / "nowhere.csv")


def test_the_samples_csv_says_what_the_samples_jsonl_say():
    rows = [json.loads(line) for line in (SAMPLES / "questions.jsonl").read_text().splitlines()]
    none = [json.loads(line) for line in (SAMPLES / "unanswerable.jsonl").read_text().splitlines()]
    with (SAMPLES / "questions.csv").open(newline="") as file:
        written = list(csv.DictReader(file))
    assert [(r["id"], r["question"], r["answer"], r["paper"], str(r["page"])) for r in rows] == [
        (w["id"], w["question"], w["answer"], w["paper"], w["page"]) for w in written[: len(rows)]
    ]
    assert [(r["id"], r["question"], "no") for r in none] == [
        (w["id"], w["question"], w["answerable"]) for w in written[len(rows) :]
    ]


# -- targets -----------------------------------------------------------------------------------------------------------


def passage(*, pages=(2, 3), span=(100, 200)):
    chunk = Chunk(
        id="a1b2c3d4e5f60718:0001", paper_id="a1b2c3d4e5f60718", ordinal=1, text="x" * 100, start=span[0], end=span[1],
        first_page=pages[0], last_page=pages[1], section=None, n_tokens=9,
    )  # fmt: skip
    return Passage(1, chunk, PAPERS[0], 0.5, ("dense",))


def test_a_target_is_found_where_its_pages_or_its_range_are_touched():
    paper = PAPERS[0].id
    assert Target("k", paper).is_in(passage())
    assert not Target("k", PAPERS[1].id).is_in(passage())
    assert [Target("k", paper, pages=p).is_in(passage()) for p in ((1, 1), (1, 2), (3, 3), (4, 4))] == [
        False, True, True, False,
    ]  # fmt: skip
    assert [Target("k", paper, span=s).is_in(passage()) for s in ((0, 100), (0, 101), (199, 300), (200, 300))] == [
        False, True, True, False,
    ]  # fmt: skip
