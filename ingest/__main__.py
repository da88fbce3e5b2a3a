"""`python -m ingest add|list|show|tag|remove|verify`: the library from the terminal.

A long file: one short function for each command, to be read beside the parser of its options.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, astuple, fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from tqdm import tqdm

from ingest.bibliography import write_bibtex
from ingest.confine import promises
from ingest.csl import csl_items
from ingest.elsewhere import allow
from ingest.embed import embedder_from
from ingest.environment import shut_out
from ingest.errors import LibraryBusyError, PathError, UserFacingError
from ingest.file_bar import FileBar
from ingest.files import paper_id
from ingest.folder import temporary
from ingest.from_zotero import FromZotero, Item
from ingest.identifiers import isbn13, typed_arxiv_id, typed_doi
from ingest.library import Library, open_library
from ingest.names import given_first
from ingest.on_ray import RayWorkers
from ingest.paper import Publication
from ingest.pipeline import (
    UNFINISHED,
    Ingest,
    IngestReport,
    Source,
    is_companion,
    pdf_files,
    pdfs_below,
    remove_one,
    tag_papers,
)
from ingest.portfolio import save_attached
from ingest.references import References, find_style
from ingest.remote import orders, orders_in_parts
from ingest.repair import rebuild, verify
from ingest.sandbox import Parser
from ingest.settings import IngestSettings, bad_setting
from ingest.terminal import clean_arguments, prepare_output, printable
from ingest.trouble import in_words
from ingest.typed_json import to_json
from ingest.zotero import STORAGE, ZoteroError, zotero_pdfs
from ingest.zotero_api import Zotero
from ingest.zotero_follow import follow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from watchfiles import Change

    from ingest.ledger import State
    from ingest.paper import Paper
    from ingest.pipeline import Progress
    from ingest.zotero import ZoteroPdf


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. 0: all well; 1: something failed for a stated reason; 2: wrong usage."""
    prepare_output()
    options = _parser().parse_args(arguments)
    prepare_output(json=options.json)
    clean_arguments(options)
    os.umask(0o077)  # what is written here is the user's alone
    try:
        if options.run == _sandbox:  # which wants no library
            return _sandbox(options)
        settings = IngestSettings()
        if options.run == _move:  # which opens none
            return _move(settings, options)
        with open_library(settings) as library:
            return int(options.run(library, settings, options))
    except ValidationError as error:
        print(bad_setting(error), file=sys.stderr)
    except BrokenPipeError:  # whoever read our output has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        print("Stopped. Papers already finished are kept.", file=sys.stderr)
    except Exception as error:
        if (said := in_words(error)) is None:
            raise
        print(said, file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:  # noqa: PLR0915 - one list of commands
    parser = argparse.ArgumentParser(prog="python -m ingest", description="Manage the papers in your library.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Any, text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.add_argument("--json", action="store_true", help="print results as JSON")
        sub.set_defaults(run=run)
        return sub

    add = command("add", _add, "add PDFs, or all PDFs in a folder and its subfolders")
    add.add_argument("paths", nargs="+", type=Path)
    add.add_argument("--attached", action="store_true", help="instead, add the PDFs attached to these")
    _ray_options(add)
    zotero = command(
        "zotero", _zotero, "add the PDFs of a Zotero library, with its metadata, collections, tags and notes"
    )
    zotero.add_argument(
        "folder",
        nargs="?",
        type=Path,
        help="Zotero's data folder; if left out, that of the running Zotero, or ~/Zotero",
    )
    zotero.add_argument("--base", type=Path, help="the base directory of linked files, if one is set in Zotero")
    listing = command("list", _list, "list the papers")
    listing.add_argument("--tag", help="only papers with this tag")
    for name, text in (("tag", "tag papers"), ("untag", "remove a tag from papers")):
        sub = command(name, _tag, text)
        sub.add_argument("tag")
        sub.add_argument("ids", nargs="+", metavar="id")
        sub.set_defaults(take=name == "untag")
    command("tags", _tags, "list the tags")
    command("show", _show, "show one paper").add_argument("id")
    command("remove", _remove, "remove every trace of papers").add_argument("ids", nargs="+", metavar="id")
    correct = command("set", _set, "correct a paper's title, authors, year or identifiers")
    correct.add_argument("id")
    correct.add_argument("--title", type=_title)
    correct.add_argument("--authors", metavar='"A. Name; Family Name, Given"', type=_names)
    correct.add_argument("--year", type=_year)
    correct.add_argument("--doi", type=_doi)
    correct.add_argument("--arxiv-id", dest="arxiv_id", type=_arxiv_id)
    correct.add_argument("--isbn", type=_isbn)
    for name, what in (("container", "journal, proceedings or book"), ("volume", None), ("issue", None)):
        correct.add_argument("--journal" if name == "container" else f"--{name}", dest=name, help=what)
    correct.add_argument("--pages", help="first and last, for example 101-109")
    marked = correct.add_mutually_exclusive_group()
    marked.add_argument("--retracted", action="store_const", const=True, help="mark the paper as retracted")
    marked.add_argument(
        "--not-retracted", dest="retracted", action="store_const", const=False, help="take the mark off"
    )
    command("bibtex", _bibtex, "print BibTeX for some papers, or for all").add_argument("ids", nargs="*", metavar="id")
    cite = command("cite", _cite, "print references in a journal's style for some papers, or for all")
    cite.add_argument("--style", default="apa", help="apa, chicago, mla, vancouver, ieee, or a CSL style's name")
    cite.add_argument("ids", nargs="*", metavar="id")
    watch = command("watch", _watch, "add the PDFs in a folder, and new ones as they arrive, until stopped")
    watch.add_argument("folder", type=Path)
    resume = command("resume", _resume, "continue what a crash left unfinished")
    resume.add_argument("--failed", action="store_true", help="instead, retry the PDFs that could not be read")
    _ray_options(resume)
    command("ledger", _ledger, "show what happened to every file")
    rebuild = command("rebuild", _rebuild, "embed all chunks again next to the old index, then swap")
    rebuild.add_argument("--embedder", metavar="FOLDER", help="folder of a sentence-transformers model")
    command("verify", _verify, "check tables, index and files, and repair what can be repaired")
    moving = command("move", _move, "move the catalogue between library.db and the Postgres of SCHOLION_CATALOGUE")
    moving.add_argument("--to", required=True, choices=("postgres", "sqlite"), help="where it is to be")
    command("sandbox", _sandbox, "show what contains a malicious PDF on this system")
    return parser


def _ray_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--ray",
        metavar="auto|HOST:PORT",
        help="parse and embed with workers on Ray: started here for this command, or a cluster (docs/scale.md)",
    )
    command.add_argument("--ray-workers", metavar="N", type=_at_least_one, help="workers on each machine")


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of workers")
    return int(text)


def _sandbox(options: argparse.Namespace) -> int:
    with Parser() as parser:
        parser.warm_up()
        layers = parser.confinement
    kept = promises(layers)
    if options.json:
        print(json.dumps({"layers": layers, "promises": kept}))
        return 0
    print("PDFs are read in a separate process, with limits on time, memory, pages and text.")
    print(f"On this system it is also confined by: {', '.join(layers) or 'nothing'}.")
    for sentence, is_kept in kept.items():
        print(f"  {'yes' if is_kept else 'no '}  {sentence}")
    return 0


def _add(library: Library, _: IngestSettings, options: argparse.Namespace) -> int:
    failed = False
    files: list[Path] = []
    for path in options.paths:
        try:
            files += pdf_files([path])
        except UserFacingError as error:
            _report(IngestReport(file=str(path), status="failed", seconds=0.0, error=str(error)), options)
            failed = True
    if not files:
        if not failed:
            print("These are files that macOS made beside others; there is no PDF among them.", file=sys.stderr)
        return 1
    if not options.attached:
        return _run(library, files, options) or int(failed)
    with suppress(LibraryBusyError):  # an app that starts now would clear away what is unpacked
        library.own()
    with temporary(library.folder) as folder:
        papers: list[Path] = []
        for file in files:
            try:
                saved, refused = save_attached(file, folder, max_mb=library.settings.max_file_mb)
            except UserFacingError as error:
                saved, refused = [], [error]
            papers += saved
            for said in refused:
                _report(IngestReport(file=str(file), status="failed", seconds=0.0, error=str(said)), options)
                failed = True
        return (_run(library, papers, options) if papers else 0) or int(failed)


def _zotero(library: Library, _: IngestSettings, options: argparse.Namespace) -> int:
    """Change nothing in Zotero's folder. Run again, add what is new, and follow tags, collections and notes."""
    running = Zotero()
    open_now = running.folder()
    folder = options.folder or open_now or Path.home() / "Zotero"
    asked = None
    if open_now and folder.resolve() == open_now.resolve():  # else another library was asked for
        asked = running.pdfs(folder, base=options.base)
    every = zotero_pdfs(folder, base=options.base) if asked is None else asked
    there = {one.path: one for one in every if one.is_there}  # two items may link to one file
    if not there:
        raise ZoteroError(f"There is no PDF in {folder} on this machine.", "Let Zotero download the files.")
    known = {paper.id for paper in library.papers()}
    failed = _run(library, list(there), options)
    said: dict[str, FromZotero] = {}
    not_described: dict[str, Paper] = {}
    for one in there.values():
        name = _id_of(one)
        failed = failed or int(not name)
        found = next(iter(library.papers([name])), None)
        if found is None:
            continue
        said[found.id] = _said(one, said.get(found.id, FromZotero()))
        # Nothing was found beside a linked file, nor of what Zotero has not yet written to its database.
        if found.id not in known and (asked is not None or folder / STORAGE not in one.path.parents):
            not_described[found.id] = found
    for paper in not_described.values():
        _describe_as(library, paper, said[paper.id].item)
    if _owned(library):
        rows: Iterable[dict[str, Any]] = follow(library, said)
    else:
        rows = orders_in_parts(library.owner(), {"do": "follow"}, "said", to_json(said))
    for row in rows:
        _tagged(row, options)
    missing = [one for one in every if not one.is_there]
    if missing and not options.json:
        names = ", ".join(printable(one.entry.title or one.path.name) for one in missing[:3])
        print(f"{len(missing)} not on this machine: {names}{', …' if len(missing) > 3 else ''}", file=sys.stderr)
    return failed


def _id_of(one: ZoteroPdf) -> str:
    """The id of its file; empty, and told, if that cannot be opened: closed to us, or removed meanwhile."""
    try:
        return paper_id(one.path)
    except OSError:
        name = printable(one.entry.title or one.path.name)
        print(f"“{name}” cannot be opened; its tags, collections and notes were left out.", file=sys.stderr)
        return ""


def _said(one: ZoteroPdf, others: FromZotero) -> FromZotero:
    """What Zotero says of a PDF, with what it says of others with the same bytes."""
    tags = dict.fromkeys((*others.tags, *one.collections, *one.tags))
    notes = dict.fromkeys((*others.notes, *one.notes))
    item = others.item  # the first that has a title: that of a PDF in its storage described the paper when it was added
    if not item.title:
        item = Item(**{field.name: getattr(one.entry, field.name) for field in fields(Item)})
    return FromZotero(tuple(tags), (), tuple(notes), item)


def _describe_as(library: Library, paper: Paper, item: Item) -> None:
    names = (field.name for field in fields(Item))
    facts = {name: value for name in names if (value := getattr(item, name)) and value != getattr(paper, name)}
    if facts and _owned(library):
        library.describe(paper.id, **facts)
    elif facts:
        published = {"publication": asdict(item.publication)} if item.publication and "publication" in facts else {}
        list(orders(library.owner(), {"do": "describe", "id": paper.id, "facts": facts | published}))


def _run(library: Library, files: list[Path], options: argparse.Namespace) -> int:
    """Add files here, or through the app where that owns the library."""
    if not _owned(library):
        if getattr(options, "ray", None):
            raise LibraryBusyError(
                "Scholion is running and adds papers without Ray.", "Close it first, or leave --ray out."
            )
        return _add_through_app(library, files, options)
    sources = [Source(file, file.name) for file in files]
    papers = _with_ids(files)
    with (
        _ingest(library, papers, len(files), options) as make,
        FileBar(files) as bar,
        closing(make(bar).run(sources)) as reports,  # stopped by Ctrl+C, it ends before its workers do
    ):
        return _report_all(zip(files, reports, strict=True), bar, options)


def _with_ids(files: Iterable[Path]) -> Iterator[tuple[str, str]]:
    """Name and id of each file that can be read."""
    for file in files:
        with suppress(OSError):
            yield file.name, paper_id(file)


@contextmanager
def _ingest(
    library: Library, papers: Iterable[tuple[str, str]], count: int, options: argparse.Namespace
) -> Iterator[Callable[[FileBar], Ingest]]:
    """What adds papers and shows it in a bar: this process alone, or with workers on Ray, which may ask first."""
    choice = library.settings.embedder
    embedder = embedder_from(choice)

    def make(bar: FileBar, workers: RayWorkers | None = None) -> Ingest:
        def tell(at: Progress) -> None:
            bar.tell(*astuple(at))

        return Ingest(library=library, embedder=embedder, workers=workers, on_progress=tell)

    address = getattr(options, "ray", None)
    if not address:
        yield make
        return
    with RayWorkers(
        address,
        embedder=choice,
        name=embedder.name,
        options={"ocr_languages": library.settings.ocr_languages},
        per_machine=options.ray_workers,
        allow=partial(allow, papers=papers, count=count, library=library.folder),
    ) as workers:
        yield partial(make, workers=workers)


def _report_all(reports: Iterable[tuple[Path | None, IngestReport]], bar: FileBar, options: argparse.Namespace) -> int:
    failed = False
    for file, report in reports:
        with tqdm.external_write_mode():
            _report(report, options, path=file)
        bar.finish(file)
        failed = failed or report.status == "failed"
    return int(failed)


def _owned(library: Library) -> bool:
    """Whether this process may write; waits while another command is at work, but not for the app."""
    try:
        library.own()
    except LibraryBusyError:
        if library.owner().get("url"):
            return False
        print("Another Scholion command is using this library; waiting for it (Ctrl+C stops).", file=sys.stderr)
        while True:
            try:
                library.own(seconds=1)
            except LibraryBusyError:
                if library.owner().get("url"):  # the app was faster
                    return False
            else:
                break
    return True


def _add_through_app(library: Library, files: list[Path], options: argparse.Namespace) -> int:
    owner = library.owner()
    rows = orders(owner, {"do": "add", "paths": [str(file.resolve()) for file in files]})
    with FileBar(files) as bar:
        return _report_all(_with_missing(files, rows), bar, options)


def _with_missing(files: list[Path], rows: Iterator[dict[str, Any]]) -> Iterator[tuple[Path, IngestReport]]:
    """A report for each file, also where the app ended before it had answered for all."""
    for file in files:
        row = next(rows, None)
        if row is None:
            error = f"{file.name} was not added: Scholion stopped first. Add it again."
            yield file, IngestReport(file=file.name, status="failed", seconds=0.0, error=error)
        else:
            yield file, IngestReport(**row)


def _watch(library: Library, _: IngestSettings, options: argparse.Namespace) -> int:
    """Add what is in a folder and what comes into it, until stopped."""
    from watchfiles import watch

    folder: Path = options.folder
    if not folder.is_dir():
        raise PathError(f"There is no folder {folder}.", "Give an existing folder to watch.")
    print(f"Watching {folder}; Ctrl+C stops.", file=sys.stderr, flush=True)

    def take(files: list[Path]) -> None:
        if files:
            try:
                _run(library, files, options)
            except UserFacingError as error:
                print(error, file=sys.stderr)
            library.close()  # between two batches the library is anybody's

    begun = False
    # A file counts as arrived when nothing has been written to it for a second. The folder is read once the watch has
    # begun, since what comes while its first papers are added must not be missed.
    for changes in watch(folder, debounce=1600, step=1000, rust_timeout=500, yield_on_timeout=True):
        take(_arrived(changes) if begun else pdfs_below(folder))
        begun = True
    return 0


def _arrived(changes: Iterable[tuple[Change, str]]) -> list[Path]:
    """The PDFs that came. Of a folder that was moved there as a whole, only the folder is told."""
    found: set[Path] = set()
    for change, said in changes:
        path = Path(said)
        if change.name == "added" and path.is_dir() and path.name != "__MACOSX":
            found.update(pdfs_below(path))
        elif change.name != "deleted" and path.suffix.lower() == ".pdf" and path.is_file() and not is_companion(path):
            found.add(path)
    return sorted(found)


def _resume(library: Library, _: IngestSettings, options: argparse.Namespace) -> int:
    _own(library)
    states: tuple[State, ...] = ("failed",) if options.failed else UNFINISHED
    papers = [(entry.file, entry.paper_id) for entry in library.ledger.entries(*states)]
    with _ingest(library, papers, len(papers), options) as make, FileBar([]) as bar:
        work = make(bar)
        with closing(work.retry() if options.failed else work.resume()) as reports:
            return _report_all(((None, report) for report in reports), bar, options)


def _ledger(library: Library, _: IngestSettings, options: argparse.Namespace) -> int:
    entries = library.ledger.entries()
    if options.json:
        print(json.dumps([asdict(entry) for entry in entries], ensure_ascii=False, indent=1))
    else:
        for entry in entries:
            print(printable(f"{entry.state:9} {entry.paper_id}  {entry.file}  {entry.reason or ''}".rstrip()))
    return 0


def _rebuild(library: Library, _: IngestSettings, options: argparse.Namespace) -> int:
    _own(library)
    embedder = embedder_from(options.embedder or library.settings.embedder)
    with tqdm(unit="chunk", disable=None, leave=False) as bar:

        def tell(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        chunks = rebuild(library, embedder, on_progress=tell)
    if options.json:
        print(json.dumps({"embedder": embedder.name, "chunks": chunks}))
    else:
        print(f"{chunks} chunks now have vectors from {embedder.name}.")
        if options.embedder:
            print(f"Set SCHOLION_EMBEDDER={options.embedder} from now on.", file=sys.stderr)
    return 0


def _own(library: Library) -> None:
    """Own the library, or say who does."""
    if not _owned(library):
        library.own()


def _report(report: IngestReport, options: argparse.Namespace, *, path: Path | None = None) -> None:
    if options.json:
        row = asdict(report) | {"file": str(path) if path else report.file, "seconds": round(report.seconds, 3)}
        print(json.dumps(row, ensure_ascii=False), flush=True)
    elif report.error:
        print(printable(f"failed   {report.error}"), file=sys.stderr)
    else:
        print(
            f"{report.status:8} {report.paper_id}  {printable(report.title or '')}  "
            f"({report.pages} pages, {report.chunks} chunks, {report.seconds:.1f} s)",
            *map(printable, report.notes),
            sep="\n         ",
            flush=True,
        )
        if report.like:
            print(f"{'':8} {printable(report.like_sentence)}", file=sys.stderr)


def _row(library: Library, paper: Paper) -> dict[str, Any]:
    """A paper as the command line's JSON shows it."""
    return {
        "paper_id": paper.id,
        "title": paper.title,
        "authors": list(paper.authors),
        "year": paper.year,
        "doi": paper.doi,
        "isbn": paper.isbn,
        "pages": paper.n_pages,
        "chunks": library.n_chunks(paper.id),
        "file": paper.file_name,
        "tags": library.tags_of(paper.id),
        "retracted": paper.retracted,
        "publication": asdict(paper.publication) if paper.publication else None,
    }


def _line(text: str) -> str:
    return " ".join(text.split())


def _list(library: Library, _: IngestSettings, options: argparse.Namespace) -> int:
    papers = library.papers() if options.tag is None else library.tagged(options.tag)
    rows = [_row(library, paper) for paper in papers]
    if options.json:
        print(json.dumps(rows, ensure_ascii=False, indent=1))
    else:
        for row in rows:
            year = row["year"] or "    "
            tags = f"  [{', '.join(row['tags'])}]" if row["tags"] else ""
            title = "RETRACTED: " * row["retracted"] + _line(row["title"])
            print(printable(f"{row['paper_id']}  {year}  {row['pages']:4} p  {title}{tags}"))
        if not rows:
            print("The library is empty. Add papers with `python -m ingest add PATH`.", file=sys.stderr)
    return 0


def _show(library: Library, _: IngestSettings, options: argparse.Namespace) -> int:
    paper = library.paper(options.id)
    texts = [page.text for page in library.pages(paper.id)]
    more: dict[str, Any] = {"arxiv_id": paper.arxiv_id, "abstract": paper.abstract, "report": library.report(paper.id)}
    more |= {"family_names": list(paper.family_names), "page_labels": list(paper.page_labels)}
    row = {**_row(library, paper), **more, "references": library.references(paper.id)}
    if options.json:
        print(json.dumps({**row, "page_texts": texts}, ensure_ascii=False, indent=1))
    else:
        for name, value in row.items():
            if name == "references":
                print(f"{name:10} {len(value)}")
            elif name == "report" and value:
                print(printable(f"{name:10} " + ", ".join(f"{key} {found}" for key, found in value.items())))
            else:
                print(printable(f"{name:10} {', '.join(value) if isinstance(value, list) else value}"))
        for number, text in enumerate(texts, start=1):
            print(printable(f"\n--- page {paper.page_name(number)} ---\n{text}"))
    return 0


def _remove(library: Library, settings: IngestSettings, options: argparse.Namespace) -> int:
    failed = False
    if _owned(library):
        rows: Iterable[dict[str, Any]] = (remove_one(library, paper_id) for paper_id in options.ids)
    else:
        rows = orders(library.owner(), {"do": "remove", "ids": options.ids})
    for row in rows:
        failed = failed or row["status"] == "failed"
        if options.json:
            print(json.dumps(row, ensure_ascii=False))
        else:
            print(
                printable(row["error"] or f"removed {_line(row['title'])}"),
                file=sys.stderr if row["error"] else sys.stdout,
            )
    if (settings.chats or (library.folder / "chats.db").exists()) and not failed:
        print("Answers in your chats still quote it; to remove every trace, delete those chats too.", file=sys.stderr)
    return int(failed)


def _tag(library: Library, _: IngestSettings, options: argparse.Namespace) -> int:
    if _owned(library):
        row = tag_papers(library, options.ids, options.tag, take=options.take)
    else:
        order = {"do": "untag" if options.take else "tag", "ids": options.ids, "tag": options.tag}
        (row,) = orders(library.owner(), order)
    _tagged(row, options)
    return int(bool(row["error"]))


def _tagged(row: dict[str, Any], options: argparse.Namespace) -> None:
    if options.json:
        print(json.dumps(row, ensure_ascii=False))
    elif row["error"]:
        print(printable(row["error"]), file=sys.stderr)
    else:
        n = len(row["papers"])
        print(printable(f"{row['status']} {n} paper{'' if n == 1 else 's'}: {row['tag']}"))


def _tags(library: Library, _: IngestSettings, options: argparse.Namespace) -> int:
    tags = library.tags()
    if options.json:
        print(json.dumps(tags, ensure_ascii=False, indent=1))
    else:
        for tag, papers in tags.items():
            print(printable(f"{len(papers):4}  {tag}"))
    return 0


def _names(text: str) -> list[tuple[str, str]]:
    """Each author with the family name, which a comma parts off: "García Márquez, Gabriel"."""
    return [given_first(name) for name in text.split(";") if name.strip(" ,")]


def _title(text: str) -> str:
    if not (title := _line(text)):
        raise argparse.ArgumentTypeError("the title is empty")
    return title


def _year(text: str) -> int:
    if not (text.isdecimal() and 1000 <= int(text) <= 9999):
        raise argparse.ArgumentTypeError(f"{text!r} is not a year of four digits")
    return int(text)


def _doi(text: str) -> str:
    """Without an address; empty if it is to be taken off."""
    if text.strip() and typed_doi(text) is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a DOI: one looks like 10.1000/xyz123")
    return typed_doi(text) or ""


def _arxiv_id(text: str) -> str:
    """Without its version; empty if it is to be taken off."""
    if text.strip() and typed_arxiv_id(text) is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not an arXiv id: one looks like 1706.03762 or hep-th/9901001")
    return typed_arxiv_id(text) or ""


def _isbn(text: str) -> str:
    if (found := isbn13(text)) is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not an ISBN: the check digit is wrong")
    return found


def _set(library: Library, _: IngestSettings, options: argparse.Namespace) -> int:
    names = ("title", "authors", "year", "doi", "arxiv_id", "isbn", "retracted")
    given = {name: value for name in names if (value := getattr(options, name)) is not None}
    facts: dict[str, Any] = {name: None if value == "" else value for name, value in given.items()}
    printed = ("container", "volume", "issue", "pages")
    published = {name: value for name in printed if (value := getattr(options, name)) is not None}
    if published:
        before = library.paper(options.id).publication or Publication(kind="article-journal")
        facts["publication"] = asdict(replace(before, **{name: value or None for name, value in published.items()}))
    if not facts:
        raise UserFacingError(
            "Nothing to correct.",
            "Give at least one of --title, --authors, --year, --doi, --arxiv-id, --isbn, --journal, --volume, --issue, "
            "--pages, --retracted, --not-retracted.",
        )
    if "authors" in facts:
        facts |= {"authors": tuple(n for n, _ in facts["authors"]), "families": tuple(f for _, f in facts["authors"])}
    if _owned(library):
        paper = library.describe(options.id, **facts)
        row = _row(library, paper)
    else:
        (row,) = orders(library.owner(), {"do": "describe", "id": options.id, "facts": facts})
        if row.get("error"):
            raise UserFacingError(row["error"])
        row = _row(library, library.paper(row["paper_id"]))
    print(
        json.dumps(row, ensure_ascii=False) if options.json else printable(f"{row['paper_id']}  {_line(row['title'])}")
    )
    return 0


def _bibtex(library: Library, _: IngestSettings, options: argparse.Namespace) -> int:
    papers = [library.paper(name) for name in options.ids] or library.papers()
    text = write_bibtex(papers)
    print(json.dumps({"bibtex": text}, ensure_ascii=False) if options.json else text, end="\n" if options.json else "")
    return 0


def _cite(library: Library, _: IngestSettings, options: argparse.Namespace) -> int:
    papers = [library.paper(name) for name in options.ids] or library.papers()
    entries = References(papers, find_style(options.style, library.folder)).entries() if papers else []
    if options.json:
        rows = [{"paper_id": paper_id, "reference": text} for paper_id, text in entries]
        print(json.dumps({"references": rows, "items": csl_items(papers)}, ensure_ascii=False, indent=1))
    else:
        for _paper_id, text in entries:
            print(printable(text))
    return 0


def _move(settings: IngestSettings, options: argparse.Namespace) -> int:
    from ingest.moving import move  # its driver need not be installed otherwise

    if (address := settings.catalogue_database) is None:
        raise UserFacingError(
            "SCHOLION_CATALOGUE does not name a database.",
            "Set it to postgresql://user:password@127.0.0.1/database (docs/postgres.md), and move the library again.",
        )
    place = settings.library.expanduser().resolve()
    done = move(place, address, to=options.to, tell=lambda text: print(text, file=sys.stderr, flush=True))
    if options.json:
        print(json.dumps({"rows": done.rows, "aside": str(done.aside) if done.aside else None}))
        return 0
    print(f"Moved {done.rows['papers']} papers with {done.rows['chunks']} chunks; all tables were compared.")
    if options.to == "sqlite":
        print("Now unset SCHOLION_CATALOGUE, so that Scholion uses library.db.")
    elif done.aside is not None:
        print(printable(f"The file from before is {done.aside}. Delete it when you have seen that all is well."))
    return 0


def _verify(library: Library, _: IngestSettings, options: argparse.Namespace) -> int:
    _own(library)
    problems = verify(library)
    if options.json:
        print(json.dumps({"papers": len(library.papers()), "problems": [asdict(p) for p in problems]}, indent=1))
    else:
        for problem in problems:
            about = f"{problem.paper_id}: " if problem.paper_id else ""
            print(printable(f"{'repaired' if problem.repaired else 'PROBLEM '} {about}{problem.what}"))
        print(f"{len(library.papers())} papers, {len(problems)} problems.")
    return int(any(not problem.repaired for problem in problems))


if __name__ == "__main__":
    shut_out()
    sys.exit(main())
