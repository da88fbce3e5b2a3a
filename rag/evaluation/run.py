"""Ask a set of questions and store the results. Runs are resumable and reproducible with the same code and papers."""

from __future__ import annotations

import json
import os
import platform
import time
from dataclasses import asdict
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ingest import UserFacingError, write_atomically
from rag.errors import RunError
from rag.evaluation.attribution import attribution
from rag.evaluation.cases import AnswerResult, Case, QuestionSet, Result, Run, Shown
from rag.evaluation.rows import appending, whole_lines
from rag.reading.reader import trained_reader
from rag.retrieval.retrieve import Retriever
from rag.verify.citations import markers_in, without_markers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ingest import Embedder, Library, Paper
    from rag.answer import Answer, Passage

TOP = 5
"""Passages stored per case for the report."""

BEGINNING = 280
"""Characters stored of each such passage."""

ROOT = Path(__file__).resolve().parents[2]
NOT_THE_RUN = (
    "rag/adapt/",
    "rag/commands/",
    "rag/comparison/",
    *(f"rag/evaluation/{name}" for name in ("report", "measures.py", "metrics.py", "plots.py", "calibrate.py")),
)
"""Path prefixes of code that only reads results. Changing it does not make an old run stale."""


class Answers(Protocol):
    """Answers the questions; implemented by the `Assistant`."""

    async def warm_up(self) -> None:
        """Load everything that the first question would otherwise wait for."""

    async def answer(self, question: str, *, paper_ids: Sequence[str] | None = None) -> Answer:
        """Answer from these papers only; None for all papers."""


async def evaluate(
    questions: QuestionSet,
    *,
    library: Library,
    embedder: Embedder,
    out: Path,
    k: int,
    assistant: Answers | None = None,
    answer_settings: Mapping[str, Any] | None = None,
    limit: int | None = None,
    tell: Callable[[str, int, int], None] = lambda *_: None,
) -> Run:
    """Ask the questions that have no result yet, and return the whole run.

    Args:
        questions: the cases; those with a result in `out` are not asked again.
        library: where to search.
        embedder: the one the library was built with.
        out: the run's folder; created if it does not exist.
        k: passages to find for each question.
        assistant: answers the questions; without it they are only searched for.
        answer_settings: the settings that determine its answers.
        limit: number of cases: an even sample, the same each time; a larger sample contains a smaller one.
        tell: called after each case.

    Raises:
        RunError: the folder holds a run of other questions, settings, papers or code.
    """
    cases, reader = sampled(questions.cases, limit), trained_reader()
    settings = {
        "questions": questions.name,
        "questions_digest": questions.digest,
        "k": k,
        "answers": dict(answer_settings or {}) if assistant else None,
        "embedder": embedder.name,
        "reader": reader.name if reader else None,
        "papers_digest": sha256("\n".join(sorted(library.chunk_ids())).encode()).hexdigest()[:16],
        "code_digest": code_digest(),
    }
    about = {
        "kind": questions.kind,
        "n_cases": len(questions.cases),
        "n_papers": len(library.papers()),
        "n_chunks": len(library.chunk_ids()),
        "n_cut": _n_cut(library, embedder),
        "began": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.system()}, {platform.machine()}, {os.cpu_count()} processor cores",
        "python": platform.python_version(),
    }
    _begin(out, settings, about)
    finished = {result.id for result in _results(out / "cases.jsonl") if result.error is None}
    todo = [case for case in cases if case.id not in finished]
    if todo:
        retriever, papers = Retriever(library, embedder, reader=reader), {paper.id: paper for paper in library.papers()}
        retriever.search("warm up", retriever.embed("warm up"), k=1, read=True)  # keep loading out of the timings
        if assistant:
            await assistant.warm_up()
        with appending(out / "cases.jsonl") as append:
            for n, case in enumerate(todo, start=1):
                result = await _one(case, retriever, papers, assistant, library=library, k=k)
                append(asdict(result))
                tell("asking", len(cases) - len(todo) + n, len(cases))
    return read_run(out, ids={case.id for case in cases})


def sampled(cases: Sequence[Case], limit: int | None) -> list[Case]:
    """All cases, or `limit` of them: those whose ids have the smallest digests, in the file's order."""
    if limit is None or limit >= len(cases):
        return list(cases)
    chosen = set(sorted((case.id for case in cases), key=lambda name: sha256(name.encode()).digest())[:limit])
    return [case for case in cases if case.id in chosen]


def code_digest(root: Path = ROOT) -> str:
    """Digest of the source files below `root` that a result can depend on."""
    files = sorted(path for room in ("ingest", "rag") for path in (root / room).rglob("*.py"))
    kept = [path.read_bytes() for path in files if not path.relative_to(root).as_posix().startswith(NOT_THE_RUN)]
    return sha256(b"\0".join(kept)).hexdigest()[:16]


# -- one case ----------------------------------------------------------------------------------------------------------


async def _one(
    case: Case,
    retriever: Retriever,
    papers: Mapping[str, Paper],
    assistant: Answers | None,
    *,
    library: Library,
    k: int,
) -> Result:
    """The result of one case. A user-facing error is recorded, and the run continues."""
    asked: dict[str, Any] = {
        "id": case.id,
        "question": case.question,
        "group": case.group,
        "answerable": case.answerable,
        "expected": tuple(_in_words(case, papers)),
        "relevant": {target.key: target.grade for target in case.targets},
        "golds": tuple(reference.text for reference in case.references),
        "evidence": _evidence(case),
    }
    try:
        began = time.monotonic()
        vector = retriever.embed(case.question)
        embedded = time.monotonic()
        found = retriever.search(case.question, vector, k=k, paper_ids=case.paper_ids, read=True)
        searched = time.monotonic()
        answer = await assistant.answer(case.question, paper_ids=case.paper_ids) if assistant else None
    except UserFacingError as error:
        return Result(**asked, error=str(error))
    return Result(
        **asked,
        ranked=tuple(_keys(case, found.passages)),
        top=tuple(_shown(case, passage) for passage in found.passages[:TOP]),
        on_topic=found.on_topic,
        stages={"embed": embedded - began, "retrieve": searched - embedded},
        answer=_answer_result(case, answer, library) if answer else None,
    )


def _keys(case: Case, passages: Sequence[Passage]) -> Iterator[str]:
    """For each passage, the key of the first target in it that no better passage has, or its chunk's id."""
    left = list(case.targets)
    for passage in passages:
        target = next((target for target in left if target.is_in(passage)), None)
        if target:
            left.remove(target)
        yield target.key if target else passage.chunk.id


def _shown(case: Case, passage: Passage) -> Shown:
    chunk, text = passage.chunk, " ".join(passage.chunk.text.split())
    pages = f"p. {passage.paper.page_name(chunk.first_page, chunk.last_page)}"
    return Shown(
        title=passage.paper.title,
        place=(chunk.section or "") if case.paper_ids or passage.paper.n_pages == 1 else pages,
        text=text[:BEGINNING] + ("…" if len(text) > BEGINNING else ""),
        score=round(passage.score, 4),
        right=any(target.is_in(passage) for target in case.targets),
    )


def _in_words(case: Case, papers: Mapping[str, Paper]) -> Iterator[str]:
    for target in case.targets:
        title = papers[target.paper_id].title if target.paper_id in papers else target.key
        if target.pages:
            paper = papers.get(target.paper_id)
            places = "-".join(map(str, dict.fromkeys(target.pages)))
            yield f"{title}, p. {paper.page_name(*target.pages) if paper else places}"
        else:
            yield title if target.span is None else f"{title}, paragraph {int(target.key.rpartition('#')[2]) + 1}"


def _evidence(case: Case) -> tuple[tuple[str, ...], ...] | None:
    sets = [tuple(sorted(r.evidence)) for r in case.references if r.evidence is not None]
    return tuple(sets) or None


def _answer_result(case: Case, answer: Answer, library: Library) -> AnswerResult:
    draft = answer.drafts[answer.shown] if answer.drafts else None
    usages = [draft.usage for draft in answer.drafts]
    known = [usage for usage in usages if usage]
    complete = bool(known) and len(known) == len(usages)
    stages: dict[str, float] = {}
    for span in answer.trace.spans:
        stages[span.name] = stages.get(span.name, 0.0) + span.seconds
    cited = [citation.passage for citation in answer.citations]
    return AnswerResult(
        text=without_markers(answer.text),
        abstained=answer.abstained,
        markers=tuple(markers_in(draft.text)) if draft else (),
        shown=tuple(passage.marker for passage in answer.passages),
        cited=tuple(_keys(case, cited)),
        n_citations=len(answer.citations),
        n_verified=sum(citation.verified for citation in answer.citations),
        n_sentences=len(answer.sentences),
        n_cited_sentences=sum(bool(sentence.markers) for sentence in answer.sentences),
        model=draft.model if draft else None,
        input_tokens=sum(usage.input_tokens for usage in known) if complete else None,
        output_tokens=sum(usage.output_tokens for usage in known) if complete else None,
        seconds=answer.trace.seconds,
        stages=stages,
        attribution=attribution(
            answer, page_texts=lambda paper_id: ((page.number, page.text) for page in library.pages(paper_id))
        ),
    )


# -- the folder of a run -----------------------------------------------------------------------------------------------


def read_run(folder: Path, *, ids: set[str] | None = None) -> Run:
    """Read a run from its folder; `ids` restricts it to these cases.

    Raises:
        RunError: there is no run.
    """
    try:
        noted = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        results = _results(folder / "cases.jsonl")
        kept = tuple(result for result in results if ids is None or result.id in ids)
        return Run(folder, noted["settings"], noted["about"], kept)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(
            f"{folder} has no readable run ({type(error).__name__}).",
            "Give the --out folder of an earlier `python -m rag evaluate`.",
        ) from error


def forget_run(folder: Path) -> None:
    """Delete the run in a folder so that it starts afresh; an embedded corpus is kept."""
    for name in ("cases.jsonl", "run.json", "report.md", "report.html"):
        (folder / name).unlink(missing_ok=True)


def _begin(folder: Path, settings: Mapping[str, Any], about: Mapping[str, Any]) -> None:
    path = folder / "run.json"
    if not path.is_file():
        text = json.dumps({"settings": settings, "about": about}, indent=1, ensure_ascii=False)
        write_atomically(path, text + "\n")
        return
    before = read_run(folder).settings
    changed = [name for name in settings if before.get(name) != settings[name]]
    if changed:
        what = ", ".join(_CHANGED[name] for name in changed)
        raise RunError(
            f"The run in {folder} cannot be continued because these have changed: {what}.",
            "Give another folder with --out, or restart this one with --fresh.",
        )


_CHANGED = {
    "questions": "the question set",
    "questions_digest": "the questions",
    "k": "the number of passages",
    "answers": "the settings of the answers",
    "embedder": "the embedder",
    "reader": "the reader",
    "papers_digest": "the papers in the library",
    "code_digest": "Scholion's code",
}


def _results(path: Path) -> list[Result]:
    """The results in a file, the last one of each case."""
    return list({row["id"]: Result.from_row(row) for row in whole_lines(path)}.values())


def _n_cut(library: Library, embedder: Embedder) -> int:
    """Chunks longer than the embedder's limit; the part beyond it is only found by the word search."""
    chunks = library.chunks(library.chunk_ids()).values()
    return sum(chunk.n_tokens > embedder.max_tokens for chunk in chunks)
