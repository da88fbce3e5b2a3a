"""How many numbers given to the wrong thing the support check catches: lists with "respectively", and table rows.

    python bench/ties.py [--show wrong|right] [--n 600]

Uses the papers of COVID-QA and QASPER (train) and the tables of ../shared/data/papers. For a sentence like "A and B
reached 80 % and 60 %, respectively" the claims are "A reached 80 %" (right) and "A reached 60 %" (wrong), each judged
against its whole paragraph; for a table "The value for A is 60 %.", with a number that only another row has. The claims
are built from lists that `rag.verify.ties` itself reads, so lists it cannot read are not counted; the bench prints how
many sentences have "respectively" and a number, and how many of them are read.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from reader_cases import passages_of  # noqa: E402
from reader_data import clean, qasper_papers  # noqa: E402
from reader_rows import DATA, windows  # noqa: E402

from ingest.parse import parse_pdf  # noqa: E402
from ingest.sentences import sentence_spans  # noqa: E402
from rag.verify.numbers import same_number  # noqa: E402
from rag.verify.support import judge  # noqa: E402
from rag.verify.ties import Tied, ties  # noqa: E402


def paragraphs() -> list[str]:
    found = []
    with gzip.open(DATA / "reading" / "covidqa_docs.jsonl.gz", "rt") as file:
        for line in file:
            text = json.loads(line)["text"]
            found += [text[a:b] for a, b in windows(text)]
    found += [clean(p) for d in qasper_papers("train").values() for s in d["full_text"] for p in s["paragraphs"]]
    return [text for text in found if re.search(r"\brespectively\b", text)]


def tables() -> list[str]:
    """Runs of table lines in the sample of real papers."""
    found = []
    for path in sorted((DATA / "papers").glob("*.pdf")):
        for page in parse_pdf(path).pages:
            run: list[str] = []
            for line in (*page.text.split("\n"), ""):
                if " | " in line:
                    run.append(line)
                elif len(run) > 2:
                    found.append("\n".join(run))
                    run = []
                else:
                    run = []
    return found


def condensed(text: str, tied: Tied, name: int, value: int) -> str:
    """The sentence with one thing and one number instead of the lists."""
    start, end = next((a, b) for a, b in sentence_spans(text) if a <= tied.places[0][0] < b)
    regions = sorted(
        [
            (tied.places[0][0], tied.places[-1][1], text[slice(*tied.places[name])]),
            (tied.values[0][0], tied.values[-1][1], text[slice(*tied.values[value])]),
        ]
    )
    parts, at = [], start
    for low, high, instead in regions:
        parts += [text[at:low], instead]
        at = high
    whole = "".join((*parts, text[at:end]))
    return " ".join(re.sub(r",?\s*\brespectively\b,?", "", whole).split())


def claims_of_lists(texts: list[str]) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    wrong, right = [], []
    for text in texts:
        for tied in ties(text):
            if not tied.values or tied.places[0][0] < tied.values[0][0] < tied.places[-1][1]:
                continue
            if len(re.findall(r"\brespectively\b", text[tied.start : tied.end])) > 1:
                continue  # the rest of the other list would make no sense
            for i in range(len(tied.names)):
                right.append((text, condensed(text, tied, i, i)))
                wrong += [
                    (text, condensed(text, tied, i, j))
                    for j in range(len(tied.names))
                    if not any(same_number(a, b) for a in tied.numbers[i] for b in tied.numbers[j])
                ]
    return wrong, right


def claims_of_tables(texts: list[str]) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    wrong, right = [], []
    for text in texts:
        for tied in ties(text):
            if tied.values:
                continue
            for i, name in enumerate(tied.names):
                right += [(text, f"The value for {name} is {n.shown}.") for n in tied.numbers[i][:1]]
                if not tied.numbers[i]:
                    continue  # the headings of the columns, which are no row
                for j, numbers in enumerate(tied.numbers):
                    own = [n for n in numbers if not any(same_number(n, o) for o in tied.numbers[i])]
                    wrong += [(text, f"The value for {name} is {n.shown}.") for n in own[:1] if i != j]
    return wrong, right


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--show", choices=("wrong", "right"))
    parser.add_argument("--n", type=int, default=600, help="claims of each kind, at most")
    options = parser.parse_args()
    if not DATA.is_dir():
        print("The data sets are not here: nothing measured")
        return
    texts, cells = paragraphs(), tables()
    sentences = [t[a:b] for t in texts for a, b in sentence_spans(t) if re.search(r"\brespectively\b", t[a:b])]
    with_number = [s for s in sentences if re.search(r"\d", s)]
    print(
        f'{len(with_number)} sentences with "respectively" and a digit, {sum(bool(ties(s)) for s in with_number)} read'
    )
    print(f"{len(cells)} runs of cells, {sum(any(not t.values for t in ties(c)) for c in cells)} read as tables")
    for what, (wrong, right) in (("lists", claims_of_lists(texts)), ("tables", claims_of_tables(cells))):
        for kind, claims in (("wrong", wrong), ("right", right)):
            drawn = random.Random(7).sample(claims, min(options.n, len(claims)))
            alarms = [judge(claim, passages_of([text], "")).support == "unsupported" for text, claim in drawn]
            share = sum(alarms) / len(alarms) if alarms else None
            print(f"{what}, {kind}: {sum(alarms)} of {len(alarms)} called unsupported ({share})", flush=True)
            if options.show == kind:
                for (text, claim), alarm in zip(drawn, alarms, strict=True):
                    if alarm == (kind == "right"):
                        print("   ", claim[:300], "|", judge(claim, passages_of([text], "")).reasons)


if __name__ == "__main__":
    main()
