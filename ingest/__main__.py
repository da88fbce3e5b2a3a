"""`python -m ingest add|list|show|remove|verify`: the library from the terminal."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from ingest.embed import embedder_from
from ingest.errors import UserFacingError
from ingest.library import Library, open_library
from ingest.pipeline import IngestReport, Progress, ingest_pdf, pdf_files
from ingest.settings import IngestSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest.paper import Paper


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. 0: all well; 1: something failed for a stated reason; 2: wrong usage."""
    options = _parser().parse_args(arguments)
    try:
        settings = IngestSettings()
        with open_library(settings) as library:
            return int(options.run(library, settings, options))
    except UserFacingError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped; papers that were finished are kept.", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ingest", description="The papers of your library.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Any, text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.add_argument("--json", action="store_true", help="results as JSON on standard output")
        sub.set_defaults(run=run)
        return sub

    command("add", _add, "add PDFs, or all PDFs below a folder").add_argument("paths", nargs="+", type=Path)
    command("list", _list, "list the papers")
    command("show", _show, "show one paper").add_argument("id")
    command("remove", _remove, "remove every trace of papers").add_argument("ids", nargs="+", metavar="id")
    command("verify", _verify, "compare tables, index and files, and mend what can be mended")
    return parser


def _add(library: Library, settings: IngestSettings, options: argparse.Namespace) -> int:
    embedder = embedder_from(settings.embedder)
    failed = False
    files: list[Path] = []
    for path in options.paths:
        try:
            files += pdf_files([path])
        except UserFacingError as error:
            _report(IngestReport(file=str(path), status="failed", seconds=0.0, error=str(error)), options)
            failed = True
    if not files:
        return 1
    library.own()
    with tqdm(total=len(files), unit="file", disable=None, leave=False) as bar:
        for file in files:
            bar.set_description(file.name[:40])

            def tell(progress: Progress) -> None:
                bar.set_postfix_str(f"{progress.step} {progress.done}/{progress.total}")

            report = ingest_pdf(file, library=library, embedder=embedder, on_progress=tell)
            with tqdm.external_write_mode():
                _report(report, options, path=file)
            failed = failed or report.status == "failed"
            bar.update()
    return int(failed)


def _report(report: IngestReport, options: argparse.Namespace, *, path: Path | None = None) -> None:
    if options.json:
        row = asdict(report) | {"file": str(path) if path else report.file, "seconds": round(report.seconds, 3)}
        print(json.dumps(row, ensure_ascii=False), flush=True)
    elif report.error:
        print(f"failed   {report.error}", file=sys.stderr)
    else:
        print(
            f"{report.status:8} {report.paper_id}  {report.title}  "
            f"({report.pages} pages, {report.chunks} chunks, {report.seconds:.1f} s)",
            flush=True,
        )


def _row(library: Library, paper: Paper) -> dict[str, Any]:
    return {
        "paper_id": paper.id,
        "title": paper.title,
        "authors": list(paper.authors),
        "year": paper.year,
        "doi": paper.doi,
        "pages": paper.n_pages,
        "chunks": library.n_chunks(paper.id),
        "file": paper.file_name,
    }


def _list(library: Library, _: IngestSettings, options: argparse.Namespace) -> int:
    rows = [_row(library, paper) for paper in library.papers()]
    if options.json:
        print(json.dumps(rows, ensure_ascii=False, indent=1))
    else:
        for row in rows:
            year = row["year"] or "    "
            print(f"{row['paper_id']}  {year}  {row['pages']:4} p  {row['title']}")
        if not rows:
            print("The library is empty. Add papers with `python -m ingest add PATH`.", file=sys.stderr)
    return 0


def _show(library: Library, _: IngestSettings, options: argparse.Namespace) -> int:
    paper = library.paper(options.id)
    texts = [page.text for page in library.pages(paper.id)]
    row = _row(library, paper)
    if options.json:
        print(json.dumps({**row, "page_texts": texts}, ensure_ascii=False, indent=1))
    else:
        for name, value in row.items():
            print(f"{name:9} {', '.join(value) if isinstance(value, list) else value}")
        for number, text in enumerate(texts, start=1):
            print(f"\n--- page {number} ---\n{text}")
    return 0


def _remove(library: Library, _: IngestSettings, options: argparse.Namespace) -> int:
    failed = False
    for paper_id in options.ids:
        row: dict[str, Any] = {"paper_id": paper_id, "status": "removed", "title": None, "error": None}
        try:
            paper = library.remove(paper_id)
            row |= {"paper_id": paper.id, "title": paper.title}
        except UserFacingError as error:
            failed = True
            row |= {"status": "failed", "error": str(error)}
        if options.json:
            print(json.dumps(row, ensure_ascii=False))
        else:
            print(row["error"] or f"removed {row['title']}", file=sys.stderr if row["error"] else sys.stdout)
    return int(failed)


def _verify(library: Library, _: IngestSettings, options: argparse.Namespace) -> int:
    problems = library.verify()
    if options.json:
        print(json.dumps({"papers": len(library.papers()), "problems": [asdict(p) for p in problems]}, indent=1))
    else:
        for problem in problems:
            about = f"{problem.paper_id}: " if problem.paper_id else ""
            print(f"{'repaired' if problem.repaired else 'PROBLEM '} {about}{problem.what}")
        print(f"{len(library.papers())} papers, {len(problems)} problems.")
    return int(any(not problem.repaired for problem in problems))


if __name__ == "__main__":
    sys.exit(main())
