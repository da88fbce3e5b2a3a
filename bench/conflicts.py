"""How many synthetic conflicts are found, and how many real questions show one, on QASPER.

    python bench/conflicts.py [--split train|dev] [--n 1000] [--questions 1005] [--library FOLDER] [--show KIND]

**Synthetic conflicts.** A sentence of an evidence paragraph is retold in a passage of a made-up second paper, among the
sentences of a paragraph of a third paper. The six passages are that paragraph, this passage, two more of the same paper
and two of other papers. Retold means that "we" becomes "the authors" and "in this paper" is dropped. Reworded means,
in addition, other words from a short list, a phrase moved from the front to the end, and small words dropped. Kinds:

- number with a unit, number of things, number alone: one digit is changed, by at least a tenth of the number: "12 %" or
  "20 GB"; "12 annotators"; "set to 0.5".
- negation: "not" inserted after the first auxiliary verb or removed, or a comparative replaced by its opposite.
- no quantity, for which nothing needs to be shown: the changed number is a year, a label ("Figure 3"), in a formula, or
  changed by less than a tenth.
- not by name: a changed number or a negation in a sentence that begins with "this", "it", "they" or the like, so that
  it does not name its subject; such sentences are in none of the kinds above.
- the same: nothing is changed, so any conflict is a false alarm.

The question is the one that the paragraph is evidence for; the answer is the original sentence.

**False alarms.** Questions, each with the six passages that the search finds for it, unchanged: QASPER's over all
papers of the split, SciFact's claims over its 5,183 abstracts. The answer is the reference answer, if there is one, and
the four sentences of the passages that share most words with the question. `--show real` prints the conflicts shown.
`--library` keeps the embedded corpora; embedding takes minutes.

**Any two sentences** (`--documents`): for this many documents of QASPER and SciFact, every pair of their sentences that
shares enough words, as if the answer were about each. `--show pairs` prints the conflicts.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import random
import re
import sys
import tempfile
import time
from collections import Counter, defaultdict
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench.support import (  # noqa: E402 the line above makes it importable
    DATA,
    NUMBER,
    clean,
    evidence_of,
    paragraphs_of,
    passage,
    turned,
    with_number,
)  # fmt: skip
from ingest import embedder_from  # noqa: E402
from rag.evaluation.corpora import load  # noqa: E402
from rag.evaluation.corpus_library import corpus_library  # noqa: E402
from rag.retrieval.retrieve import Retriever  # noqa: E402
from rag.verify import conflicts as rules  # noqa: E402
from rag.verify.citations import cite  # noqa: E402
from rag.verify.claims import read  # noqa: E402
from rag.verify.conflicts import conflicts  # noqa: E402
from rag.words import content_words, split_sentences  # noqa: E402

SCIFACT = DATA.parent / "scifact"
PASSAGES = 6
SENTENCES = 4
KINDS = ("number with a unit", "number of things", "number alone", "negation", "no quantity", "not by name", "the same")
BY_NAME = re.compile(r"^(?!(?:This|That|These|Those|It|Its|They|Their|Such|Here)\b)")
NO_QUANTITY = re.compile(
    r"(?:\b(?i:table|fig\w*|sec\w*|eq\w*|step|stage|phase|task|module|version|level|group|class|model|type|layer|part)\W*"
    r"|[A-Z][\w-]* |\(|^|[-/^{(=]|\d [.,x:×]?)$"
)
"""Text before a number that is a label, or part of a formula or a list."""
APART = Decimal("0.1")
FORMULA = re.compile(r"(?:INLINE|DISPLAY)FORM\d+")
REFERENCE = re.compile(r"(?:TAB|FIG|SEC|EQ)REF(?=\d)")
OTHER_WORDS = {
    "use": "employ", "uses": "employs", "used": "employed", "using": "with", "show": "demonstrate",
    "shows": "demonstrates", "obtain": "get", "obtained": "got", "contains": "comprises", "consists of": "comprises",
    "contain": "comprise", "approach": "method", "method": "approach", "results": "findings", "performs": "does",
    "evaluate": "assess", "evaluated": "assessed", "compared to": "in comparison with", "in order to": "to",
    "dataset": "data set", "datasets": "data sets", "a total of": "", "collected": "gathered", "each": "every",
    "because": "since", "such as": "like", "significantly": "considerably", "propose": "suggest",
    "achieves": "reaches", "achieve": "reach", "achieved": "reached", "select": "choose",
    "selected": "chosen", "number of": "count of",
}  # fmt: skip
SMALL = re.compile(
    r"\b(?:also|however|furthermore|moreover|finally|therefore|thus|hence|then|specifically),? ", re.IGNORECASE
)
FRONT = re.compile(r"^((?:In|On|For|At|From|During|With) [^,.;]{4,60}), (.+?)([.!]?)$")


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--split", default="dev", choices=("train", "dev"))
    options.add_argument("--n", type=int, default=1000, help="made conflicts of each kind, at most")
    options.add_argument("--questions", type=int, default=1005, help="real questions, at most")
    options.add_argument(
        "--documents", type=int, default=400, help="documents of each corpus whose sentences are paired"
    )
    options.add_argument("--library", type=Path, help="folder for the embedded corpus")
    options.add_argument("--show", help="print what is shown (real, pairs), or what is wrong of a kind")
    options.add_argument("--seed", type=int, default=0)
    taken = options.parse_args()
    path = DATA / f"{taken.split}.json.gz"
    if not path.is_file():
        print(f"{path} is not here: nothing measured")
        return
    with gzip.open(path) as file:
        made = make(json.load(file), taken.n, random.Random(taken.seed))
    print(f"QASPER {taken.split}\n\n| made | n | told again | reworded |\n|---|---|---|---|")
    for kind, rows in made.items():
        shares = f"{share(rows['told again']):.3f} | {share(rows['reworded']):.3f}"
        print(f"| {kind} | {len(rows['reworded'])} | {shares} |", flush=True)
        if kind == taken.show:
            show_made(rows["reworded"], wanted=kind == "the same")
    numbers = [row for kind in KINDS[:3] for row in made[kind]["reworded"]]
    again = [row for kind in KINDS[:3] for row in made[kind]["told again"]]
    print(f"| numbers, all three | {len(numbers)} | {share(again):.3f} | {share(numbers):.3f} |")
    speed(made)
    print("\n| documents | sentences | pairs shown |\n|---|---|---|")
    for corpus in (path, SCIFACT):
        everywhere(corpus, taken.documents, random.Random(taken.seed), show=taken.show == "pairs")
    print("\n| corpus | questions | with a conflict | share |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for corpus in (path, SCIFACT):
            real(corpus, taken.library or Path(folder), n=taken.questions, show=taken.show == "real", seed=taken.seed)


def make(papers, n, rng):
    """kind → way → up to n rows (question, sentence, changed sentence, passages)."""
    made = {kind: {"told again": [], "reworded": []} for kind in KINDS}
    names = list(papers)
    rng.shuffle(names)
    cleaned = {name: [plain(text) for text in paragraphs_of(papers[name])] for name in names}
    cleaned = {name: texts for name, texts in cleaned.items() if len(texts) > PASSAGES}
    pool = [(name, question_of(papers[name], evidence), plain(evidence), sentence)
            for name in cleaned for evidence in evidence_of(papers[name])
            for sentence in split_sentences(plain(evidence)) if 6 <= len(sentence.split()) <= 60]  # fmt: skip
    rng.shuffle(pool)
    for name, question, evidence, sentence in pool:
        changed = {"negation": turned(sentence, rng), "the same": sentence}
        if number := with_number(sentence, [], rng):
            changed[kind_of(sentence, number)] = number
        if not BY_NAME.match(sentence):
            told = [text for kind, text in changed.items() if kind not in {"no quantity", "the same"} and text]
            changed = {"not by name": rng.choice(told)} if told else {}
        for kind, text in changed.items():
            rows = made[kind]
            if text and len(rows["reworded"]) < n:
                for way, tell in (("told again", told_again), ("reworded", reworded)):
                    shown = between(evidence, tell(text), cleaned, name, rng)
                    rows[way].append((question, sentence, tell(text), shown))
        if all(len(rows["reworded"]) >= n for rows in made.values()):
            break
    return made


def plain(text):
    """The text as a PDF would have it: "Table 3" for "Table TABREF3"; the contents of formulas are unknown."""
    return clean(REFERENCE.sub("", FORMULA.sub("x", text)))


def question_of(paper, evidence):
    for row in paper["qas"]:
        if any(clean(e) == evidence for a in row["answers"] for e in a["answer"]["evidence"]):
            return row["question"]
    return paper["title"]


def kind_of(sentence, changed):
    """The kind of a changed number."""
    at = next(i for i, (a, b) in enumerate(zip(sentence, changed, strict=False)) if a != b)
    start = max(m.start() for m in NUMBER.finditer(sentence) if m.start() <= at)
    pairs = zip(read(sentence).numbers, read(changed).numbers, strict=False)
    before, after = next(((a, b) for a, b in pairs if a != b), (None, None))
    year = before and before.unit is None and before.value % 1 == 0 and 1900 <= before.value <= 2100
    if not before or year or NO_QUANTITY.search(sentence[:start]) or sentence[:start].count("$") % 2:
        return "no quantity"
    if abs(before.value - after.value) < APART * max(before.value, after.value):
        return "no quantity"
    return KINDS[0] if before.unit else KINDS[1] if before.noun else KINDS[2]


def told_again(sentence):
    for pattern, new in (
        (r"\bWe\b", "The authors"), (r"\bwe\b", "the authors"),
        (r"\bOur\b", "The authors'"), (r"\bour\b", "the authors'"),
        (r"\bus\b", "them"), (r",? ?\b[Ii]n (?:this|the present) (?:paper|work|study|article)\b,? ?", " "),
        (r"\bproposed ", ""),
    ):  # fmt: skip
        sentence = re.sub(pattern, new, sentence)
    return sentence.strip()


def reworded(sentence):
    sentence = told_again(SMALL.sub("", sentence))
    for old, new in OTHER_WORDS.items():
        sentence = re.sub(rf"\b{old}\b", new, sentence)
    if match := FRONT.match(sentence):
        front, rest, end = match.groups()
        sentence = f"{rest[0].upper()}{rest[1:]} {front[0].lower()}{front[1:]}{end}"
    return re.sub(" +", " ", sentence[0].upper() + sentence[1:])


def between(evidence, told, cleaned, name, rng):
    """Six passages: the evidence, the retold sentence within a paragraph of a third paper, two more of each side."""
    others = [other for other in rng.sample(sorted(cleaned), 4) if other != name][:3]
    around = split_sentences(rng.choice(cleaned[others[0]]))[:5]
    around.insert(rng.randrange(len(around) + 1), told)
    own = [text for text in cleaned[name] if text != evidence]
    texts = [(evidence, name), (" ".join(around), "made"), *((text, name) for text in rng.sample(own, 2))]
    texts += [(rng.choice(cleaned[other]), other) for other in others[1:]]
    rng.shuffle(texts)
    return [of_paper(passage(marker, text), paper) for marker, (text, paper) in enumerate(texts, start=1)]


def of_paper(shown, paper):
    return replace(shown, paper=replace(shown.paper, id=paper))


def share(rows):
    return sum(map(found, rows)) / max(1, len(rows))


def found(row):
    question, sentence, told, shown = row
    return any(told in c.quotes for c in conflicts(question, [sentence], passages=shown))


def show_made(rows, *, wanted):
    for row in [row for row in rows if found(row) == wanted][:25]:
        print(f"\n  S {row[1]}\n  T {row[2]}")


def speed(made):
    """Time for ten new sentences against eight passages: conflicts alone, and together with the support check."""
    rows = made["the same"]["told again"]
    alone, together = [], []
    for k in range(0, min(len(rows), 400) - 10, 10):
        shown = [p for row in rows[k : k + 2] for p in row[3]][:8]
        shown = [of_paper(passage(m, f"{p.chunk.text} {k}"), p.paper.id) for m, p in enumerate(shown, start=1)]
        text = " ".join(row[1] for row in rows[k : k + 10])
        began = time.process_time()
        cited = cite(text, shown, page_text=lambda *_: "")
        checked = time.process_time()
        conflicts(rows[k][0], [sentence.text for sentence in cited.sentences], passages=shown)
        ended = time.process_time()
        alone.append(ended - checked)
        together.append(ended - began)
    print("\nten sentences, eight passages, ms of processor time:", end="")
    for name, times in (("conflicts alone", sorted(alone)), ("with the check", sorted(together))):
        print(
            f" {name}: median {times[len(times) // 2] * 1e3:.1f}, 95 % {times[int(len(times) * 0.95)] * 1e3:.1f};",
            end="",
        )
    print()


def everywhere(path, n, rng, *, show):
    """How many pairs among all sentences of n documents would be shown.

    Only pairs that share one of their rarer stems can be similar enough (prefix filtering, Chaudhuri et al. 2006).
    """
    documents = list(load(path).documents)
    rng.shuffle(documents)
    found = [(d, s) for d in documents[:n] for unit in d.units for s in rules.sentences(plain(unit))]
    counts = Counter(stem for _, s in found for stem in s.statement.stems)
    weights = {stem: math.log(1 + len(found) / count) for stem, count in counts.items()} | {
        "": math.log(1 + 2 * len(found))
    }
    index, shown = defaultdict(list), {}
    for i, (document, sentence) in enumerate(found):
        stems = sorted(sentence.statement.stems, key=lambda stem: -rules.weight({stem}, weights))
        rare, least = [], (1 - rules.ALIKE) * rules.weight(stems, weights)
        while stems and rules.weight(rare, weights) <= least:
            rare.append(stems.pop(0))
        for j in {j for stem in rare for j in index[stem]}:
            other, before = found[j]
            if other is document or (sentence.own and before.own):
                continue
            if kind := rules.disagreement(before, sentence, weights=weights):
                shown[before.text, sentence.text] = (kind[0], other, document)
        for stem in rare:
            index[stem].append(i)
    print(f"| {len(documents[:n])} of {path.name} | {len(found)} | {len(shown)} |", flush=True)
    if show:
        for quotes, (kind, *of) in shown.items():
            print(f"\n{kind}", *(f"\n  [{d.title[:50]}] {quote}" for d, quote in zip(of, quotes, strict=True)), sep="")


def real(path, folder, *, n, show, seed):
    """The share of questions that show a conflict although none was inserted."""
    questions, embedder = load(path), embedder_from(None)
    cases = list(questions.cases)
    random.Random(seed).shuffle(cases)
    seen = []
    with corpus_library(questions, folder, embedder=embedder) as library:
        retriever = Retriever(library, embedder)
        for case in cases[:n]:
            passages = retriever.search(case.question, retriever.embed(case.question), k=PASSAGES).passages
            passages = [replace(p, chunk=replace(p.chunk, text=plain(p.chunk.text))) for p in passages]
            answer = [*(r.text for r in case.references), *nearest(case.question, passages)]
            if some := conflicts(case.question, answer, passages=passages):
                seen.append((case.question, some, passages))
    print(f"| {path.name} | {len(cases[:n])} | {len(seen)} | {len(seen) / max(1, len(cases[:n])):.4f} |", flush=True)
    if show:
        for question, conflict, passages in [(q, c, p) for q, some, p in seen for c in some]:
            titles = [next(p.paper.title for p in passages if p.marker == m) for m in conflict.markers]
            print(f"\n{conflict.kind} · {question} · about: {conflict.about}")
            for title, quote in zip(titles, conflict.quotes, strict=True):
                print(f"  [{title[:50]}] {quote}")


def nearest(question, passages):
    asked = content_words(question)
    sentences = [s for p in passages for s in split_sentences(p.chunk.text)]
    return sorted(sentences, key=lambda s: -len(asked & content_words(s)))[:SENTENCES]


if __name__ == "__main__":
    main()
