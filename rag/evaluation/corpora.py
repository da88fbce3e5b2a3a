"""Read question sets: BEIR folders, QASPER files, and CSV files with questions about the user's own library."""

from __future__ import annotations

import csv
import gzip
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from io import StringIO
from typing import TYPE_CHECKING, Any

from ingest.terminal import well_formed
from rag.errors import QuestionSetError
from rag.evaluation.cases import Case, Document, Kind, QuestionSet, Reference, Target, paper_id_of
from rag.evaluation.metrics import UNANSWERABLE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from ingest import Paper

SPLITS = ("test", "dev", "train")
"""Relevance judgements of a BEIR folder, in order of preference: the first split that exists is used."""


def load(path: Path, *, papers: Sequence[Paper] = ()) -> QuestionSet:
    """Read questions from a CSV file, a BEIR folder (or one of its qrels files) or a QASPER file.

    Args:
        path: what the user named.
        papers: the user's library, to look up the papers named in a CSV.

    Raises:
        QuestionSetError: the file cannot be read; the message names the line.
    """
    if path.is_dir():
        return read_beir(path)
    if not path.is_file():
        raise QuestionSetError(f"There is no file or folder {path}.", "Check the spelling of the path.")
    name = path.name.removesuffix(".gz")
    if name.endswith(".json"):
        return read_qasper(path)
    if name.endswith(".tsv") and path.parent.name == "qrels":
        return read_beir(path.parent.parent, qrels=path)
    if name.endswith((".csv", ".tsv")):
        return read_csv(path, papers=papers)
    raise QuestionSetError(
        f"{path.name} is not a question set.", "Give a .csv file, a QASPER .json file, or a folder in BEIR's layout."
    )


# -- BEIR (Thakur et al. 2021): corpus.jsonl, queries.jsonl, qrels/<split>.tsv -----------------------------------------


def read_beir(folder: Path, *, qrels: Path | None = None) -> QuestionSet:
    """Read a BEIR folder. Each document is one unit, its title followed by its text, as in BEIR's own evaluation."""
    corpus, queries = _existing(folder, "corpus.jsonl"), _existing(folder, "queries.jsonl")
    qrels = qrels or _one_split(folder)
    documents = []
    for where, row in _json_lines(corpus):
        text = "\n".join(part for part in (_text(row, "title", where, ""), _text(row, "text", where, "")) if part)
        if text:
            name = _text(row, "_id", where)
            documents.append(Document(name, _text(row, "title", where, "") or _beginning(text), (text,)))
    questions = {_text(row, "_id", where): _text(row, "text", where) for where, row in _json_lines(queries)}
    judged: dict[str, list[Target]] = {}
    for number, line in enumerate(_read(qrels).splitlines(), start=1):
        columns, where = line.split("\t"), f"Line {number} of {qrels.name}"
        if (number == 1 and columns[0] == "query-id") or not line.strip():
            continue
        try:
            query, document, grade = columns[0], columns[1], float(columns[2])
        except (IndexError, ValueError) as error:
            raise _unreadable(where, "it is not `query, document, score` with tabs between them") from error
        if query not in questions:
            raise _unreadable(where, f"the query {query!r} is not in {queries.name}")
        judged.setdefault(query, []).append(Target(document, paper_id_of(document), grade))
    cases = [
        Case(id=query, question=questions[query], group=query, targets=tuple(targets), answerable=True)
        for query, targets in judged.items()
    ]
    split = qrels.name.removesuffix(".gz").removesuffix(".tsv")
    return _question_set(f"{folder.resolve().name}/{split}", "beir", cases, documents, files=(corpus, queries, qrels))


def _one_split(folder: Path) -> Path:
    found = {path.name.removesuffix(".gz").removesuffix(".tsv"): path for path in (folder / "qrels").glob("*.tsv*")}
    for split in (*SPLITS, *sorted(found)):
        if split in found:
            return found[split]
    raise QuestionSetError(f"The folder {folder} has no qrels/*.tsv.", "Name a folder in BEIR's layout.")


def _existing(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise QuestionSetError(f"The folder {folder} has no {name}.", "Name a folder in BEIR's layout.")


# -- QASPER (Dasigi et al. 2021) ---------------------------------------------------------------------------------------


def read_qasper(path: Path) -> QuestionSet:
    """Read a QASPER file: paragraphs are the units and the evidence, and each question searches its own paper.

    Figures and tables in the evidence are left out, as with the evaluator's `--text_evidence_only`. Evidence that is
    part of a paragraph stands for that paragraph. Evidence in no paragraph (mostly section titles) is not a target, and
    counts in evidence F1 as something that cannot be found.
    """
    try:
        papers = json.loads(_read(path))
        documents, cases = [], []
        for name, paper in papers.items():
            document = _qasper_document(name, paper)
            if document.units:
                documents.append(document)
                cases += [_qasper_case(document, row) for row in paper["qas"]]
    except json.JSONDecodeError as error:
        raise _unreadable(f"Line {error.lineno} of {path.name}", f"it is not JSON: {error.msg}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise _unreadable(path.name, f"{error} does not match the QASPER format") from error
    name = path.name.removesuffix(".gz").removesuffix(".json")
    return _question_set(f"{path.resolve().parent.name}/{name}", "qasper", cases, documents, files=(path,))


def _qasper_document(name: str, paper: Mapping[str, Any]) -> Document:
    sections: dict[str, str | None] = {}  # paragraph text → section; a dict drops duplicates
    for section in paper["full_text"]:
        for paragraph in section["paragraphs"]:
            if text := _clean(paragraph).strip():
                sections.setdefault(text, section["section_name"])
    return Document(name, _clean(paper["title"]), tuple(sections), tuple(sections.values()))


def _qasper_case(document: Document, row: Mapping[str, Any]) -> Case:
    references: list[Reference] = []
    wanted: set[int] = set()
    for annotation in row["answers"]:
        answer = annotation["answer"]
        pieces = [_clean(piece).strip() for piece in answer["evidence"] if "FLOAT SELECTED" not in piece]
        if answer["unanswerable"]:
            references.append(Reference(UNANSWERABLE, frozenset()))
            continue
        exact = frozenset(_unit_key(document, piece) for piece in pieces)
        references.append(Reference(_qasper_answer(answer), exact))
        wanted.update(i for i in (_unit_with(document, piece) for piece in pieces) if i is not None)
    spans = document.spans()
    refused = [reference.text == UNANSWERABLE for reference in references]
    return Case(
        id=row["question_id"],
        question=_clean(row["question"]),
        group=document.title,
        paper_ids=(document.paper_id,),
        targets=tuple(Target(f"{document.id}#{i}", document.paper_id, span=spans[i]) for i in sorted(wanted)),
        references=tuple(references),
        answerable=None if not refused or any(refused) != all(refused) else not refused[0],
    )


def _qasper_answer(answer: Mapping[str, Any]) -> str:
    if answer["extractive_spans"]:
        return ", ".join(_clean(span) for span in answer["extractive_spans"])
    if answer["free_form_answer"]:
        return _clean(answer["free_form_answer"])
    return "Yes" if answer["yes_no"] else "No"


def _unit_key(document: Document, piece: str) -> str:
    if piece in document.units:
        return f"{document.id}#{document.units.index(piece)}"
    return f"{document.id}#no paragraph {sha256(piece.encode()).hexdigest()[:8]}"


def _unit_with(document: Document, piece: str) -> int | None:
    if piece in document.units:
        return document.units.index(piece)
    return next((i for i, unit in enumerate(document.units) if piece and piece in unit), None)


# -- the user's own CSV ------------------------------------------------------------------------------------------------

COLUMNS = ("question", "answer", "paper", "page", "answerable", "id")
_YES, _NO = ("", "yes", "y", "true", "1"), ("no", "n", "false", "0")


def read_csv(path: Path, *, papers: Sequence[Paper]) -> QuestionSet:
    """Read questions about the user's library; see `COLUMNS`, of which only `question` is required.

    A paper is given by the start of its id, its file name or its title; pages as "3", "3-4" or "3, 7". Rows with the
    same question are one case: their answers are alternatives, and all their pages should be found.
    """
    text = _read(path)
    lines = csv.DictReader(StringIO(text, newline=""), delimiter=_delimiter(text))
    named = {(name or "").strip().lower(): name for name in lines.fieldnames or ()}
    if "question" not in named:
        raise _unreadable(
            f"Line 1 of {path.name}", "there is no column `question`", hint=f"Columns are {', '.join(COLUMNS)}."
        )
    cases: dict[str, Case] = {}
    at = lines.line_num
    for row in lines:
        where, at = f"Line {at + 1} of {path.name}", lines.line_num
        cells = {column: (row.get(named.get(column, "")) or "").strip() for column in COLUMNS}
        if not any(cells.values()):
            continue
        case = _own_case(cells, papers, where)
        cases[case.id] = _merged(cases.get(case.id), case, where)
    return _question_set(path.name, "own", list(cases.values()), (), files=(path,))


def _own_case(cells: Mapping[str, str], papers: Sequence[Paper], where: str) -> Case:
    question, answer = cells["question"], cells["answer"]
    if not question:
        raise _unreadable(where, "the question is empty")
    if cells["answerable"].lower() not in _YES + _NO:
        raise _unreadable(where, f"{cells['answerable']!r} is neither yes nor no")
    refused = cells["answerable"].lower() in _NO or answer.lower() == UNANSWERABLE.lower()
    if refused and cells["paper"]:
        raise _unreadable(where, "the question is marked unanswerable but has a paper")
    if cells["page"] and not cells["paper"]:
        raise _unreadable(where, "a page is given without a paper")
    paper = _paper_named(cells["paper"], papers, where) if cells["paper"] else None
    pages = [_pages(part, paper, where) for part in re.split(r"[,;]", cells["page"]) if part.strip()] if paper else []
    case_id = cells["id"] or sha256(" ".join(question.casefold().split()).encode()).hexdigest()[:8]
    expected = UNANSWERABLE if refused else answer
    targets = [Target(_page_key(paper, page), paper.id, pages=page) for page in pages] if paper else []
    if paper and not targets:
        targets = [Target(paper.id, paper.id)]
    answerable = False if refused else (True if answer or paper or cells["answerable"] else None)
    return Case(
        id=case_id,
        question=question,
        group=paper.title if paper else case_id,
        targets=tuple(targets),
        references=(Reference(expected),) if expected else (),
        answerable=answerable,
    )


def _merged(first: Case | None, second: Case, where: str) -> Case:
    if first is None:
        return second
    if first.question.casefold().split() != second.question.casefold().split():
        raise _unreadable(where, f"the id {second.id!r} is already used by another question")
    if False in (first.answerable, second.answerable) and first.answerable != second.answerable:
        raise _unreadable(where, "the same question is answerable in one line and unanswerable in another")
    return Case(
        id=first.id,
        question=first.question,
        group=first.group,
        targets=tuple({target.key: target for target in first.targets + second.targets}.values()),
        references=tuple(dict.fromkeys(first.references + second.references)),
        answerable=second.answerable if first.answerable is None else first.answerable,
    )


def _paper_named(name: str, papers: Sequence[Paper], where: str) -> Paper:
    wanted = " ".join(name.casefold().split())

    def names(paper: Paper) -> tuple[str, ...]:
        file = paper.file_name.casefold()
        return paper.id, file, file.removesuffix(".pdf"), " ".join(paper.title.casefold().split())

    exact = [paper for paper in papers if wanted in names(paper)]
    begun = [p for p in papers if len(wanted) >= 4 and (p.id.startswith(wanted) or names(p)[3].startswith(wanted))]
    found = exact or begun
    if len(found) == 1:
        return found[0]
    hint = "`python -m ingest list` shows the ids, titles and file names."
    if found:
        raise _unreadable(where, f"{len(found)} papers in the library match {name!r}", hint=hint)
    raise _unreadable(where, f"there is no paper {name!r} in the library", hint=hint)


def _pages(part: str, paper: Paper, where: str) -> tuple[int, int]:
    match = re.fullmatch(r"(?:pp?\.?\s*)?(\w{1,8})(?:\s*[-–]\s*(\w{1,8}))?", part.strip(), re.IGNORECASE)
    first, last = (_position(name, paper) for name in (match[1], match[2] or match[1])) if match else (None, None)
    if first is None or last is None:
        raise _unreadable(where, f"{part.strip()!r} is not a page", hint='Write a page as "3", "3-4" or "3, 7".')
    if not 1 <= first <= last <= paper.n_pages:
        hint = "Count from the first page of the file, or write the number printed on the page."
        raise _unreadable(where, f"{paper.file_name} has pages 1 to {paper.n_pages}, not {part.strip()}", hint=hint)
    return first, last


def _position(name: str, paper: Paper) -> int | None:
    """The page at this position in the file, else the one with this printed label; None if there is no number."""
    if name.isdecimal() and 1 <= int(name) <= paper.n_pages:
        return int(name)
    return next(iter(paper.pages_called(name)), int(name) if name.isdecimal() else None)


def _page_key(paper: Paper, page: tuple[int, int]) -> str:
    return f"{paper.id} p. {page[0]}" + (f"-{page[1]}" if page[1] > page[0] else "")


def _delimiter(text: str) -> str:
    """Guess the delimiter from the first line: spreadsheets use ; or a tab if the comma is the decimal mark."""
    first = text.partition("\n")[0]
    return max(",;\t", key=first.count)


# -- files -------------------------------------------------------------------------------------------------------------


def _question_set(
    name: str, kind: Kind, cases: Sequence[Case], documents: Sequence[Document], *, files: Sequence[Path]
) -> QuestionSet:
    if not cases:
        raise QuestionSetError(f"{name} has no question.", "Add at least one.")
    digest = sha256(b"".join(sha256(path.read_bytes()).digest() for path in files)).hexdigest()[:16]
    return QuestionSet(name=name, kind=kind, cases=tuple(cases), documents=tuple(documents), digest=digest)


def _read(path: Path) -> str:
    try:
        data = path.read_bytes()
        data = gzip.decompress(data) if path.suffix == ".gz" else data
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        with suppress(UnicodeDecodeError):  # half an emoji, as some programs cut them off
            return well_formed(data.decode("utf-8-sig", "surrogatepass"))
        line = error.object.count(b"\n", 0, error.start) + 1
        raise _unreadable(
            f"Line {line} of {path.name}", "it is not UTF-8", hint='Save it as "CSV UTF-8" or as UTF-8 text.'
        ) from error
    except (OSError, EOFError) as error:
        raise _unreadable(path.name, str(error)) from error


def _json_lines(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The objects of a file, each with its location for messages."""
    for number, line in enumerate(_read(path).split("\n"), start=1):
        where = f"Line {number} of {path.name}"
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise _unreadable(where, f"it is not JSON: {error.msg}") from error
        if not isinstance(row, Mapping):
            raise _unreadable(where, "it is not a JSON object")
        yield where, row


def _text(row: Mapping[str, Any], name: str, where: str, default: str | None = None) -> str:
    value = row.get(name, default)
    if not isinstance(value, str):
        raise _unreadable(where, f"it has no text field {name!r}")
    return _clean(value)


def _clean(text: str) -> str:
    """The text with lone surrogates replaced: JSON can hold them, a database cannot."""
    return text.encode("utf-8", "replace").decode()


def _beginning(text: str) -> str:
    words = text.split()
    return " ".join(words[:10]) + (" …" if len(words) > 10 else "")


def _unreadable(where: str, what: str, *, hint: str = "Correct it and start again.") -> QuestionSetError:
    return QuestionSetError(f"{where} cannot be used: {what}.", hint)
