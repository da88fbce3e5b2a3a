"""`python -m rag COMMAND`: ask questions, look up terms, evaluate, manage models, control what leaves the machine."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import sys
from contextlib import aclosing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from ingest import IngestSettings, Library, UserFacingError, embedder_from, open_library
from ingest.environment import shut_out
from ingest.settings import bad_setting
from ingest.terminal import all_well_formed, clean_arguments, prepare_output
from ingest.trouble import in_words as disk_trouble
from rag.answer import Answer, Answered, Confidence, Escalated, Passage, Retrieved, TextDelta
from rag.assistant import Assistant
from rag.choices import kept
from rag.commands import (
    adapt,
    api,
    calibrate,
    compare,
    curve,
    discover,
    doctor,
    evaluate,
    foundry,
    models,
    ownership,
    privacy,
    ratings,
)
from rag.commands.options import positive
from rag.errors import QuestionError
from rag.expert import AskedBy
from rag.privacy.consent import in_terminal
from rag.reading.reader import trained_reader
from rag.render import is_quoted, scope_words
from rag.retrieval.retrieve import Found, Retriever
from rag.retrieval.terms import Terms
from rag.sanitise import printable
from rag.sentence_marks import marks_in_words

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOMS = (
    evaluate, privacy, models, discover, foundry, calibrate, adapt, doctor, compare, curve, ownership, ratings, api,
)  # fmt: skip
"""The commands that have a file of their own, in the order of the help."""

OPEN_THEMSELVES = tuple(room.run for room in ROOMS if room is not privacy)
"""Commands that open the library themselves, if they need one."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. 0: success; 1: failure with a stated reason; 2: wrong usage."""
    parser = _parser()
    prepare_output()
    options = parser.parse_args(arguments)
    prepare_output(json=bool(getattr(options, "json", False) or getattr(options, "questions", None)))
    clean_arguments(options)
    os.umask(0o077)  # files written here are for the user only
    try:
        if options.run in OPEN_THEMSELVES:
            return int(options.run(options))
        if "questions" in options and (options.question in (None, [])) == (options.questions is None):
            parser.error("give either QUESTION or --questions FILE")
        with open_library(IngestSettings()) as library:
            return int(options.run(library, options))
    except ValidationError as error:
        print(bad_setting(error), file=sys.stderr)
    except BrokenPipeError:  # the reader of our output closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
    except Exception as error:
        if (said := disk_trouble(error)) is None:
            raise
        print(said, file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m rag", description="Ask questions about your papers.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Any, text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.add_argument("--questions", type=Path, metavar="FILE.jsonl", help='rows {"id","question","papers":[…]}')
        sub.add_argument("--paper", action="append", metavar="ID", help="ask only this paper; repeat for more")
        sub.add_argument("--tag", help="ask only the papers with this tag")
        sub.add_argument("--json", action="store_true", help="print results as JSON")
        sub.set_defaults(run=run)
        return sub

    search = command("search", _search, "find passages")
    search.add_argument("question", nargs="?", metavar="QUESTION")
    search.add_argument("--k", type=positive, default=10, help="maximum number of passages (default: 10)")
    ask = command("ask", _ask, "answer a question with citations; later questions may refer to earlier ones")
    ask.add_argument("question", nargs="*", metavar="QUESTION")
    ask.add_argument("--mode", choices=("draft", "auto", "refine"), default="draft")
    text = "list the abbreviations in your papers and the terms in your glossary"
    terms = commands.add_parser("terms", help=text, description=text)
    terms.add_argument(
        "term", nargs="?", metavar="TERM", help="only this term, by its short form or part of its long form"
    )
    terms.add_argument("--json", action="store_true", help="print results as JSON")
    terms.set_defaults(run=_terms)
    for room in ROOMS:
        room.add_to(commands)
    return parser


def _rows(options: argparse.Namespace) -> list[dict[str, Any]]:
    """The questions of this run as `{"id", "question", "papers"}`; from a file also `"history"`."""
    if options.questions is None:
        questions = [options.question] if isinstance(options.question, str) else options.question
        return [{"id": None, "question": question, "papers": options.paper} for question in questions]
    try:
        lines = options.questions.read_bytes().splitlines()
    except OSError as error:
        raise QuestionError(
            f"The questions in {options.questions} cannot be read ({error.strerror}).",
            "Check that the file is there and that you may read it.",
        ) from error
    rows = [_row(line, number, options) for number, line in enumerate(lines, start=1) if line.strip()]
    if rows and all("fault" in row for row in rows):
        raise QuestionError(
            f"The questions in {options.questions} cannot be read ({rows[0]['fault']}).",
            'Each line must be a JSON object like {"id": "1", "question": "…", "papers": ["…"]}.',
        )
    return rows


def _row(line: bytes, number: int, options: argparse.Namespace) -> dict[str, Any]:
    """One line of a question file; an unreadable line gets a "fault", and the other lines are still asked."""
    row: Any = {}
    try:
        row = all_well_formed(json.loads(line.decode("utf-8-sig", "surrogateescape")))
        return {
            "id": row["id"],
            "question": row["question"] + "",
            "papers": row.get("papers") or options.paper,
            "history": [(asked + "", answered + "") for asked, answered in row.get("history") or ()],
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        name = row.get("id") if isinstance(row, dict) else None
        fault = f"line {number}: {error!r}" if isinstance(error, KeyError) else f"line {number}: {error}"
        return {"id": name, "question": "", "papers": None, "fault": fault}


def _checked(row: dict[str, Any]) -> None:
    if fault := row.get("fault"):
        raise QuestionError(f"This row cannot be read ({fault}).", 'It needs an "id" and a "question".')


def _search(library: Library, options: argparse.Namespace) -> int:
    terms = Terms(library)
    embedder = embedder_from(library.settings.embedder)
    retriever = Retriever(library, embedder, terms=terms, reader=trained_reader())
    failed = False
    for row in _rows(options):
        try:
            found = _find(retriever, library, row, k=options.k, tag=options.tag)
        except UserFacingError as error:
            if not options.questions:
                raise
            failed = True
            print(json.dumps({"id": row["id"], "passages": [], "error": str(error)}), flush=True)
            continue
        passages = [passage_row(passage) for passage in found.passages]
        if options.questions:
            print(json.dumps({"id": row["id"], "passages": passages}, ensure_ascii=False), flush=True)
        elif options.json:
            print(json.dumps(passages, ensure_ascii=False, indent=1))
        else:
            for match in terms.expand(row["question"], _papers(library, row)).matches:
                if match.words:
                    print(f"{match.asked}: also searched for {', '.join(match.words)}")
            _print_passages(found.passages)
    return int(failed)


def _find(retriever: Retriever, library: Library, row: dict[str, Any], *, k: int, tag: str | None) -> Found:
    _checked(row)
    papers = _papers(library, row)
    if tag is not None:
        papers = [paper.id for paper in library.tagged(tag) if papers is None or paper.id in papers]
    if not row["question"].strip():
        raise QuestionError("The question is empty.", "Type what you want to know.")
    return retriever.search(row["question"], retriever.embed(row["question"]), k=k, paper_ids=papers, read=True)


def _papers(library: Library, row: dict[str, Any]) -> list[str] | None:
    return None if row["papers"] is None else [library.paper(name).id for name in row["papers"]]


def _terms(library: Library, options: argparse.Namespace) -> int:
    rows = term_rows(library)
    if options.term is not None:
        rows = [row for row in rows if _speaks_of(row, options.term)]
    if options.json:
        print(json.dumps(rows, ensure_ascii=False, indent=1))
        return 0
    for row in rows:
        if row["source"] == "glossary":
            told = [row["definition"], *(f"also {name}" for name in row["synonyms"])]
            told += [f"preferred: {row['preferred']}"] if row["preferred"] else []
            print(f"{row['term']}: {'; '.join(filter(None, told))}  (glossary, line {row['line']})")
        else:
            papers = ", ".join(f"{p['title']} ({p['paper_id']}, {p['count']}×)" for p in row["papers"])
            print(f"{row['term']}: {row['long']}  {papers}")
    if not rows:
        print("No matching term." if options.term else "No terms yet: add papers or write a glossary (docs/terms.md).")
    return 0


def term_rows(library: Library) -> list[dict[str, Any]]:
    """The glossary's entries and then the papers' abbreviations, as JSON for the command line."""
    terms = Terms(library)
    rows: list[dict[str, Any]] = [{"source": "glossary", **asdict(entry)} for entry in terms.glossary.entries()]
    titles = {paper.id: paper.title for paper in library.papers()}
    for meanings in terms.index().shorts.values():
        for meaning in meanings:
            papers = [{"paper_id": name, "title": titles.get(name, ""), "count": n} for name, n in meaning.papers]
            rows.append({"source": "papers", "term": meaning.short, "long": meaning.long, "papers": papers})
    return rows


def _speaks_of(row: dict[str, Any], term: str) -> bool:
    told = "; ".join((row["term"], *row.get("synonyms", ()), row.get("preferred") or "", row.get("long", "")))
    return re.search(rf"(?<!\w){re.escape(term)}(?!\w)", told, re.IGNORECASE) is not None


def _ask(library: Library, options: argparse.Namespace) -> int:
    return asyncio.run(_ask_all(library, options))


async def _ask_all(library: Library, options: argparse.Namespace) -> int:
    assistant = Assistant.open(kept(library.folder).settings, library=library)
    failed = False
    history: list[tuple[str, str]] = []
    cited: list[tuple[str, int]] = []
    try:
        for row in _rows(options):
            try:
                answer = await _one(assistant, row, options, history=row.get("history", history), cited=cited)
            except UserFacingError as error:
                if not options.questions:
                    raise
                failed = True
                print(json.dumps({"id": row["id"], "question": row["question"], "error": str(error)}), flush=True)
                continue
            if options.questions:
                print(json.dumps({"id": row["id"], **answer_row(answer)}, ensure_ascii=False), flush=True)
            elif options.json:
                alone = len(options.question) == 1  # else print one line per question
                print(json.dumps(answer_row(answer), ensure_ascii=False, indent=1 if alone else None))
            else:
                _print_answer(answer)
            history.append((row["question"], answer.text))
            cited = [] if options.questions else [(c.passage.paper.id, c.page) for c in answer.citations]
    finally:
        await assistant.close()
    return int(failed)


async def _one(
    assistant: Assistant,
    row: dict[str, Any],
    options: argparse.Namespace,
    *,
    history: Sequence[tuple[str, str]],
    cited: Sequence[tuple[str, int]],
) -> Answer:
    _checked(row)
    spoken = not (options.json or options.questions)
    live = spoken and sys.stdout.isatty()
    titles = {paper.id: paper.title for paper in assistant.library.papers()}
    asked = assistant.ask(
        row["question"],
        mode=options.mode,
        paper_ids=row["papers"],
        tag=options.tag,
        history=history,
        asked_by=AskedBy(in_terminal(titles), chat="terminal"),
        cited=cited,
    )
    async with aclosing(asked) as events:
        async for event in events:
            match event:
                case Retrieved(searched=str(searched)) if spoken:
                    print(f"Searched for: {searched}\n", flush=True)
                case TextDelta(text) if live:
                    print(f"\033[2m{printable(text)}\033[0m", end="", flush=True)
                case Escalated(model, reason) if spoken:
                    print(f"\n{model} is reviewing this draft: {reason}.\n", flush=True)
                case Answered(answer):
                    if live:
                        print("\n")
                    return answer
    raise AssertionError("a question ends with Answered")


def _print_passages(passages: Sequence[Passage]) -> None:
    for passage in passages:
        chunk = passage.chunk
        pages = passage.paper.page_name(chunk.first_page, chunk.last_page)
        where = printable(f"{passage.paper.title}, p. {pages}  {chunk.section or ''}")
        print(f"[{passage.marker}] {passage.score:.3f}  {where}")
        print(f"    {' '.join(printable(chunk.text).split())}\n")


def _print_answer(answer: Answer) -> None:  # noqa: C901 - one part of an answer a line
    for label, *cells in answer.records:
        print(printable(f"{label or 'Title'}: {' | '.join(cells)}"))
    print(printable(marks_in_words(answer.text, answer.sentences, reasons=True)))
    if is_quoted(answer):
        for citation in answer.citations:
            quote = " ".join(printable(citation.quote).split())
            place = citation.passage.paper.page_name(citation.page)
            print(f"\n  “{quote}” [{citation.marker}], p. {printable(place)}")
    for conflict in answer.conflicts:
        print("\nYour papers disagree:")
        for marker, quote in zip(conflict.markers, conflict.quotes, strict=True):
            print(f"[{marker}] “{' '.join(printable(quote).split())}”")
    for line in misquoted_lines(answer):
        print(printable(line))
    if answer.notice:
        print(f"\n{answer.notice}")
    if answer.escalated:
        print(f"\n{printable(' → '.join(draft.model for draft in answer.drafts))}", end=": ")
        print("the refinement is shown" if answer.shown else "the draft is shown")
    cited = {citation.marker: citation.page for citation in answer.citations}
    shown = [p for p in answer.passages if p.marker in cited] or list(answer.passages)
    if shown:
        print("\nSources:" if cited else "\nClosest passages:")
    for passage in shown:
        page = cited.get(passage.marker, passage.chunk.first_page)
        where = printable(f"{passage.paper.title}, p. {passage.paper.page_name(page)}")
        print(f"[{passage.marker}] {where}  ({passage.paper.id})")
    if answer.scope and not answer.scope.whole:
        print(f"\nSearched {scope_words(answer.scope)}")


def misquoted_lines(answer: Answer) -> list[str]:
    """The model's quotations that no passage contains verbatim, with word diffs: [-removed-] and {+added+}."""
    shown = {"same": "{}", "struck": "[-{}-]", "added": "{{+{}+}}"}
    lines = []
    for quotation in answer.quotations:
        if not quotation.verified:
            lines.append(f"Not verbatim: “{quotation.text}”")
            diff = " ".join(shown[kind].format(words) for kind, words in quotation.diff)
            lines.append(f"  closest, in [{quotation.marker}]: {diff}" if diff else "  no passage is close")
    return lines


def passage_row(passage: Passage) -> dict[str, Any]:
    """A passage as JSON for the command line."""
    return {
        "marker": passage.marker,
        "chunk_id": passage.chunk.id,
        "paper_id": passage.paper.id,
        "title": passage.paper.title,
        "first_page": passage.chunk.first_page,
        "last_page": passage.chunk.last_page,
        "page_name": passage.paper.page_name(passage.chunk.first_page, passage.chunk.last_page),
        "section": passage.chunk.section,
        "score": passage.score,
        "text": passage.chunk.text,
    }


def _confidence_row(confidence: Confidence) -> dict[str, Any]:
    """The vetoes are under "gates", the name used in every version so far."""
    return {"gates" if name == "vetoes" else name: value for name, value in asdict(confidence).items()}


def answer_row(answer: Answer) -> dict[str, Any]:
    """An answer as JSON for the command line; unknown values are null."""
    return {
        "question": answer.question,
        "text": answer.text,
        "abstained": answer.abstained,
        "escalated": answer.escalated,
        "confidence": _confidence_row(answer.confidence) if answer.confidence else None,
        "citations": [
            {
                "marker": c.marker,
                "paper_id": c.passage.paper.id,
                "page": c.page,
                "page_name": c.passage.paper.page_name(c.page),
                "quote": c.quote,
                "verified": c.verified,
                "diff": c.diff,
            }
            for c in answer.citations
        ],
        "sentences": [asdict(sentence) for sentence in answer.sentences],
        "quotations": [asdict(quotation) for quotation in answer.quotations],
        "corrections": [asdict(correction) for correction in answer.corrections],
        "conflicts": [asdict(conflict) for conflict in answer.conflicts],
        "drafts": [
            {
                "model": d.model,
                "text": d.text,
                "usage": asdict(d.usage) if d.usage else None,
                "seconds": d.seconds,
                "locality": d.locality,
                "cost": d.cost,
            }
            for d in answer.drafts
        ],
        "shown": answer.shown,
        "sent_to": answer.sent_to,
        "cost": answer.cost,
        "notice": answer.notice,
        "kind": answer.kind,
        "asked_of": answer.scope.paper_ids if answer.scope else None,
        "searched": answer.searched,
        "records": answer.records,
        "trace": {"spans": [asdict(span) for span in answer.trace.spans], "seconds": answer.trace.seconds},
    }


if __name__ == "__main__":
    shut_out()
    code = main()
    sys.stdout.flush()
    os._exit(code)  # skip the model libraries' teardown, which takes up to two seconds
