"""Check every citation of some hundred answers against the PDFs' text, read with a different library than the parser's.

    python bench/citations.py [--papers qasper|real] [--answers N] [--copied] [--drafts FILE]
                               [--folder FOLDER] [--minutes M]

Asks questions of QASPER dev about its papers, typeset as PDFs (`bench/typeset.py`), or questions made from headings and
sentences of 40 real PDFs about these; the drafter is the app's. In each answer, all markers, links of the message,
quotes and pages are checked. Quotes are compared, by letters and digits only, with poppler's pdftotext of the cited
page, in reading order or file order.

Answers are kept in the folder, so that a run can be stopped and resumed; they are cited again by the current code.
`--copied` uses random sentences of the papers as answers: this asks no model and reaches more places. `--drafts` uses
the drafter's answers to the same questions over the papers' plain text, from `bench/drafts.py`.
Needs Chromium (qasper only) and pdftotext.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gzip
import json
import pickle
import random
import re
import subprocess
import sys
import tempfile
import time
import unicodedata
from bisect import bisect_left
from collections import Counter
from dataclasses import replace
from functools import cache, partial
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "bench"))

from typeset import typeset  # noqa: E402

from ingest import Ingest, IngestSettings, Source, embedder_from, open_library  # noqa: E402 the lines above make it importable
from rag import Assistant, RagSettings  # noqa: E402
from rag.answer import Answer, Passage  # noqa: E402
from rag.costs.accounting import Trace  # noqa: E402
from rag.render import full_answer, is_quoted  # noqa: E402
from rag.retrieval.retrieve import Retriever  # noqa: E402
from rag.sanitise import JOINER  # noqa: E402
from rag.verify.citations import cite, markers_in  # noqa: E402
from rag.words import split_sentences  # noqa: E402

DATA = ROOT.parent / "shared" / "data"
SEED = 20261122
MOST_PIECES, SHORTEST = 4, 15
PAGES = {}


class Asked(NamedTuple):
    """A question about one paper."""

    file: str
    question: str


def qasper(n, folder):
    """Questions of QASPER dev, paper by paper in the order of the names' digests, and the PDFs."""
    with gzip.open(DATA / "qasper" / "dev.json.gz") as file:
        papers = json.load(file)
    chosen, asked = {}, []
    for name in sorted(papers, key=lambda name: sha256(name.encode()).digest()):
        if len(asked) > 1.25 * n:
            break
        chosen[name] = papers[name]
        asked += [Asked(f"{name}.pdf", " ".join(row["question"].split())) for row in papers[name]["qas"]]
    return typeset(chosen, folder), asked


def real(*_):
    """Questions made from words of 40 real papers: two section titles and three sentences of each, in five rounds."""
    files = sorted((DATA / "papers").glob("*.pdf"))
    rows = (DATA / "papers" / "truth.jsonl").read_text(encoding="utf-8").splitlines()
    truth = {row["pdf"]: row for row in map(json.loads, rows)}
    rounds = [[] for _ in range(5)]
    for path in files:
        sections, draw = truth[path.name]["sections"], random.Random(f"{SEED} {path.name}")
        titles = sorted({s["section"] for s in sections if len(s["section"].split()) > 1})
        parts = [part for s in sections for text in s["paragraphs"] for part in split_sentences(text)]
        sentences = [part for part in parts if 10 <= len(part.split()) <= 40]
        drawn = [f"What does the paper say about {title}?" for title in draw.sample(titles, min(2, len(titles)))]
        for sentence in draw.sample(sentences, min(5 - len(drawn), len(sentences))):
            words = re.findall(r"[A-Za-z][\w-]{4,}", sentence)[:6]
            drawn.append(f"What is known about {' '.join(words)}?")
        for some, question in zip(rounds, drawn, strict=False):
            some.append(Asked(path.name, question))
    return files, [asked for some in rounds for asked in some]


async def answers(files, asked, *, n, folder, minutes):
    """Up to n answers, each with its paper's PDF; stops asking the model after some minutes."""
    began = time.monotonic()
    with open_library(IngestSettings(library=folder / "library")) as library:
        assistant = Assistant.open(RagSettings(), library=library)
        for report in Ingest(library=library, embedder=assistant.embedder).run(Source(f, f.name) for f in files):
            if report.status == "failed":
                print(f"left out  {report.file}: {report.error}")
        ids = {paper.file_name: paper.id for paper in library.papers()}
        paths = {path.name: path for path in files}
        todo = [(paths[file], question, ids[file]) for file, question in asked if file in ids]
        try:
            await ask(todo, assistant, notes=folder / "answers.pickle", n=n, until=began + 60 * minutes)
        finally:
            await assistant.close()
        given = [(paths[file], answer) for file, _, answer in noted(folder / "answers.pickle") if not answer.abstained]
        return [(path, checked_anew(answer, library)) for path, answer in given[:n]]


def checked_anew(answer, library):
    """The answer as cited by the current code, from the model's text and the passages it was shown.

    Quoted answers stay as they are, because no model wrote them.
    """
    if is_quoted(answer):
        return answer
    asked, draft = answer.question, answer.drafts[-1]
    cited = cite(draft.text, answer.passages, page_text=partial(page_text, library), question=asked)
    return replace(answer, text=cited.text, sentences=cited.sentences, citations=cited.citations,
                   corrections=cited.corrections, quotations=cited.quotations)  # fmt: skip


def page_text(library, paper_id, number):
    key = library.settings.library, paper_id
    if key not in PAGES:
        PAGES[key] = {page.number: page.text for page in library.pages(paper_id)}
    return PAGES[key].get(number, "")


def noted(path):
    """The rows of an earlier run; an incomplete last one is skipped."""
    rows = []
    if path.is_file():
        with path.open("rb") as file, contextlib.suppress(EOFError, pickle.UnpicklingError):
            while True:
                rows.append(pickle.load(file))
    return rows


async def ask(todo, assistant, *, notes, n, until):
    """Ask the remaining questions until n have an answer; each is saved, so that a run can be stopped."""
    rows = noted(notes)
    known, given = {(file, question) for file, question, _ in rows}, sum(not answer.abstained for *_, answer in rows)
    left = [row for row in todo if (row[0].name, row[1]) not in known]
    for two in [left[i : i + 2] for i in range(0, len(left), 2)]:  # the drafter has two slots
        if given >= n:
            return
        if time.monotonic() > until:
            print(f"{given} of {n} answers so far; run it again to go on")
            sys.exit(3)
        done = await asyncio.gather(*(assistant.answer(q, paper_ids=[paper]) for _, q, paper in two))
        given += sum(not answer.abstained for answer in done)
        with notes.open("ab") as file:
            for (path, question, _), answer in zip(two, done, strict=True):
                file.write(pickle.dumps((path.name, question, answer)))


def recorded(files, path, *, n, folder):
    """Up to n answers made from the drafter's texts over the plain text of the same papers (`bench/drafts.py`)."""
    with gzip.open(DATA / "qasper" / "dev.json.gz") as file:
        names = {row["question_id"]: f"{name}.pdf" for name, paper in json.load(file).items() for row in paper["qas"]}
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    paths, given = {path.name: path for path in files}, []
    with open_library(IngestSettings(library=folder / "library")) as library:
        retriever = Retriever(library, embedder_from(None))
        ids = {paper.file_name: paper.id for paper in library.papers()}
        for row in rows:
            name = names[row["id"]]
            if len(given) < n and row["draft"] and name in ids and name in paths:
                found = retriever.search(
                    row["question"], retriever.embed(row["question"]), k=RagSettings().top_k, paper_ids=[ids[name]]
                )
                given.append((paths[name], cited(row["draft"]["text"], found.passages, library, row["question"])))
    return given


def cited(text, passages, library, question=""):
    made = cite(text, passages, page_text=partial(page_text, library), question=question)
    return Answer(question=question, text=made.text, passages=passages, trace=Trace().finish(),
                  sentences=made.sentences, citations=made.citations, quotations=made.quotations)  # fmt: skip


def copied(files, *, n, folder):
    """n answers, each a random sentence of a random passage: they reach more places than a model's answers."""
    draw, given = random.Random(SEED), []
    with open_library(IngestSettings(library=folder / "library")) as library:
        papers = {paper.file_name: paper for paper in library.papers()}
        passages = [
            (path, Passage(1, chunk, papers[path.name], 1.0, ()))
            for path in files if path.name in papers
            for chunk in library.chunks(library.chunk_ids([papers[path.name].id])).values()
        ]  # fmt: skip
        for path, passage in draw.choices(passages, k=n):
            given.append((path, cited(draw.choice(split_sentences(passage.chunk.text)), (passage,), library)))
    return given


# -- the check ---------------------------------------------------------------------------------------------------------


@cache
def page_texts(path, page):
    """The page's text by poppler, in reading order and in file order, letters and digits only."""
    command = ["pdftotext", "-f", str(page), "-l", str(page), "-enc", "UTF-8"]
    read = [subprocess.run([*command, *order, path, "-"], check=True, capture_output=True) for order in ([], ["-raw"])]
    return tuple(letters(done.stdout.decode()) for done in read)


def letters(text):
    """Letters and digits only, without accents, ligatures, hyphens and spaces."""
    return re.sub(r"[\W_]", "", unicodedata.normalize("NFKD", text)).casefold()


def place(path, page, words):
    """Where poppler finds the words: "page", "page, in pieces", "another page" or "nowhere"; and a note.

    In pieces: all letters are on the page, in at most MOST_PIECES runs of SHORTEST letters or more. The note shows what
    is between the first two: a footnote between columns, or a symbol that the libraries read at different places.
    """
    wanted = letters(words)
    if any(wanted in text for text in page_texts(path, page)):
        return "page", ""
    for text in page_texts(path, page):
        if runs := pieces(wanted, text):
            end = text.find(runs[0]) + len(runs[0])
            gap = text[end : text.find(runs[1], end)] if runs[1] in text[end:] else "(the other way round)"
            return "page, in pieces", gap if len(gap) < 60 else f"{gap[:30]}…{gap[-30:]}"
    if any(wanted in text for n in (page - 1, page + 1) if n > 0 for text in page_texts(path, n)):
        return "another page", ""
    return "nowhere", ""


def pieces(wanted, text):
    """The runs of `wanted` found in the text, longest possible prefix first; [] if they do not cover all of it."""
    runs = []
    while wanted and len(runs) < MOST_PIECES:
        n = bisect_left(range(1, len(wanted) + 1), x=True, key=lambda n: wanted[:n] not in text)
        if n < len(wanted):
            n = min(n, len(wanted) - SHORTEST)  # leave enough for the last run
            if n < SHORTEST:
                return []
        runs.append(wanted[:n])
        wanted = wanted[n:]
    return [] if wanted else runs


CITE = re.compile(r"\[(\d+)\]\(/cite/([0-9a-f]{16})/(\d+)/(\d+)\)")
LISTED = re.compile(r"^- " + CITE.pattern + r"[^\n]*  \n  (\*\*Not verbatim:\*\* )?\*“(.*?)”\*", re.MULTILINE)


def seen(markdown):
    """A quote as a reader sees it: without escapes and joiners, and without the ellipsis of a cut."""
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", markdown.replace(JOINER, "")).removesuffix(" …")


def check(given):
    """Counts of what holds, and one line for each failure."""
    counts, wrong = Counter(), []
    for path, answer in given:
        shown = {passage.marker: passage for passage in answer.passages}
        said = full_answer(answer)
        listed = {int(m[1]): m for m in LISTED.finditer(said)}
        cited = {citation.marker: citation for citation in answer.citations}
        counts["answers"] += 1
        counts["answers with citations"] += bool(cited)
        for marker in markers_in(answer.text):
            counts["markers in the text"] += 1
            counts["markers, valid"] += marker in cited and marker in shown
        for match in CITE.finditer(said):
            chunk = shown[int(match[1])].chunk if int(match[1]) in shown else None
            held = chunk and (chunk.paper_id, chunk.ordinal) == (match[2], int(match[4]))
            counts["links in the message"] += 1
            counts["links, to a passage that was read and a page of it"] += bool(
                held and chunk.first_page <= int(match[3]) <= chunk.last_page
            )
        for marker, citation in cited.items():
            counts["citations"] += 1
            where, note = place(path, citation.page, citation.quote)
            counts[f"quotes, by poppler: {where}"] += 1
            counts["quotes, called verbatim"] += citation.verified
            counts["quotes, short (under 5 words or 20 characters)"] += (
                len(citation.quote.split()) < 5 or len(citation.quote) < 20
            )
            line = listed.get(marker)
            counts["quotes, as shown, in one piece on the page that the message names"] += bool(
                line and place(path, int(line[3]), seen(line[6]))[0] == "page"
            )
            counts["quotes, in one piece by poppler or labelled"] += where == "page" or bool(line and line[5])
            if not line or where != "page":
                note = f" ({note!r} between)" if note else ""
                wrong.append(f"{where}{note}  {path.name} p. {citation.page} [{marker}] {citation.quote!r}")
        for quotation in answer.quotations:
            counts["quotations of the model's own"] += 1
            counts["quotations, verified"] += quotation.verified
            if quotation.verified:
                chunk = shown[quotation.marker].chunk
                pages = range(chunk.first_page, chunk.last_page + 1)
                there = any(place(path, n, quotation.text)[0].startswith("page") for n in pages)
                counts["quotations, verified and on the page by poppler"] += there
            wrong.append(f"{'verified' if quotation.verified else 'labelled'}  {path.name} {quotation.text!r}")
    return counts, wrong


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--papers", default="qasper", choices=("qasper", "real"))
    options.add_argument("--answers", type=int, default=300)
    options.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "scholion-citations")
    options.add_argument("--copied", action="store_true", help="sentences of the papers instead of a model's answers")
    options.add_argument("--drafts", type=Path, metavar="FILE", help="dev.jsonl of bench/drafts.py: ask no model")
    options.add_argument("--minutes", type=float, default=1e9, help="stop after so many and go on in the next run")
    chosen = options.parse_args()
    folder = chosen.folder / chosen.papers
    folder.mkdir(parents=True, exist_ok=True)
    files, asked = {"qasper": qasper, "real": real}[chosen.papers](300 if chosen.copied else chosen.answers, folder)
    if chosen.copied:
        given = copied(files, n=chosen.answers, folder=folder)
    elif chosen.drafts:
        given = recorded(files, chosen.drafts, n=chosen.answers, folder=folder)
    else:
        given = asyncio.run(answers(files, asked, n=chosen.answers, folder=folder, minutes=chosen.minutes))
    counts, wrong = check(given)
    print("\n".join(wrong), end="\n\n" if wrong else "")
    for name, n in counts.items():
        print(f"{n:5}  {name}")


if __name__ == "__main__":
    main()
