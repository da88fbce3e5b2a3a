"""How many synthetic false sentences the support check catches, and how many true ones it doubts, on QASPER's evidence.

    python bench/support.py [--split train|dev] [--n 1200] [--show KIND]

Each sentence of an evidence paragraph is judged against that paragraph and five others of its paper. "alarm" is the
verdict unsupported; "doubt" is unsupported or partially supported. Kinds of sentences:

- verbatim: unchanged.
- number, number nearby: one number is changed by a random step, or to another number of the six paragraphs.
- negation: "not" inserted after the first auxiliary verb or removed, or a comparative replaced by its opposite.
- entity: a run of capitalised words inside the sentence, replaced by another such run of the same paper.
- other paper: a sentence of another paper's evidence.
- free-form: answers written by QASPER's annotators, each sentence judged against their evidence paragraphs, plus others
  up to six. Answers with a table or figure in the evidence are left out (its content is not in the data), and so are
  answers marked "content missing".
"""

from __future__ import annotations

import argparse
import gc
import gzip
import json
import random
import re
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ingest import Chunk, Paper  # noqa: E402 the line above makes it importable
from rag.answer import PARTIALLY_SUPPORTED, Passage  # noqa: E402
from rag.verify import support  # noqa: E402
from rag.words import split_sentences  # noqa: E402

DATA = ROOT.parent / "shared" / "data" / "qasper"
OTHERS = 5
FALSE = ("number", "number nearby", "negation", "entity", "other paper")
TRUE = ("verbatim", "free-form")
NUMBER = re.compile(r"(?<![\w.,-])\d+(?:,\d{3})*(?:\.\d+)?(?![\w,-]|\.\d)")
NAME = re.compile(r"(?<=[a-z,] )(?:[A-Z][\w-]*)(?: [A-Z][\w-]*)*")
NO_NAME = re.compile(
    r"REF\d|INLINEFORM|DISPLAYFORM|^I$|^[A-Z]$|^(?:Section|Table|Figure|Fig|Eq|Equation|Appendix|The|We|In)\b"
)
AUXILIARY = re.compile(r"\b(is|are|was|were|can|could|will|would|does|do|did|has|have|should|may|might)\b(?! not\b)")
TURNED = {
    "higher": "lower", "lower": "higher", "better": "worse", "worse": "better", "more": "less", "less": "more",
    "larger": "smaller", "smaller": "larger", "increases": "decreases", "decreases": "increases",
    "outperforms": "underperforms", "outperform": "underperform", "improves": "degrades", "longer": "shorter",
    "faster": "slower", "best": "worst", "increase": "decrease", "highest": "lowest",
}  # fmt: skip


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--split", default="dev", choices=("train", "dev"))
    options.add_argument("--n", type=int, default=1200, help="sentences of each kind, at most")
    options.add_argument("--show", help="print wrong verdicts of this kind")
    options.add_argument("--seed", type=int, default=0)
    taken = options.parse_args()
    with gzip.open(DATA / f"{taken.split}.json.gz") as file:
        made = make(json.load(file), taken.n, random.Random(taken.seed))
    judged = {kind: [(s, p, support.judge(s, p)) for s, p in rows] for kind, rows in made.items()}
    print(f"QASPER {taken.split}\n\n| sentences | n | unsupported | partially supported | supported |\n|" + 5 * "---|")
    for kind, rows in judged.items():
        verdicts = [j.support for _, _, j in rows]
        shares = [
            sum(v == verdict for v in verdicts) / len(rows)
            for verdict in ("unsupported", PARTIALLY_SUPPORTED, "supported")
        ]
        print(f"| {kind} | {len(rows)} | " + " | ".join(f"{share:.3f}" for share in shares) + " |")
    if taken.show:
        show(judged[taken.show], wrong="supported" if taken.show in FALSE else "unsupported")
    curve(made)
    speed(made["verbatim"])


def make(papers, n, rng):
    """Up to n sentences of each kind, with the passages to judge them against."""
    made = {kind: [] for kind in (*TRUE, *FALSE)}
    names = list(papers)
    rng.shuffle(names)
    pool = [(name, evidence, sentence) for name in names for evidence in evidence_of(papers[name])
            for sentence in split_sentences(evidence) if 6 <= len(sentence.split()) <= 60]  # fmt: skip
    rng.shuffle(pool)
    cleaned = {name: [clean(text) for text in paragraphs_of(papers[name])] for name in names}
    entities = {name: sorted({m[0] for text in cleaned[name] for m in NAME.finditer(text) if not NO_NAME.search(m[0])})
                for name in names}  # fmt: skip
    for k, (name, evidence, sentence) in enumerate(pool):
        shown = passages([evidence], cleaned[name], rng)
        other = pool[(k + len(pool) // 2) % len(pool)]
        changed = {
            "verbatim": sentence,
            "number": with_number(sentence, [], rng),
            "number nearby": with_number(sentence, NUMBER.findall(" ".join(p.chunk.text for p in shown)), rng),
            "negation": turned(sentence, rng),
            "entity": with_entity(sentence, entities[name], rng),
            "other paper": other[2] if other[0] != name else None,
        }
        for kind, text in changed.items():
            if text and len(made[kind]) < n:
                made[kind].append((text, shown))
        if all(len(made[kind]) >= n for kind in changed):
            break
    made["free-form"] = [row for name in names for row in answers_of(papers[name], cleaned[name], rng)]
    return made


def clean(text):
    return re.sub(r"\s+", " ", re.sub(r"\s*(?:BIBREF\d+\s*[,;]?\s*)+", " ", text)).replace(" .", ".").strip()


def paragraphs_of(paper):
    return [text for section in paper["full_text"] for text in section["paragraphs"] if len(text) > 80]


def evidence_of(paper):
    found = {e for row in paper["qas"] for a in row["answers"] for e in a["answer"]["evidence"]}
    return sorted({clean(e) for e in found if "FLOAT SELECTED" not in e and len(e) > 80})


def answers_of(paper, cleaned, rng):
    for row in paper["qas"]:
        for answer in row["answers"]:
            text, evidence = clean(answer["answer"]["free_form_answer"]), answer["answer"]["evidence"]
            if not text or not evidence or any("FLOAT" in e for e in evidence) or "content missing" in text.lower():
                continue
            shown = passages([clean(e) for e in evidence], cleaned, rng)
            for sentence in split_sentences(text[0].upper() + text[1:] + ("" if text.endswith(".") else ".")):
                yield sentence, shown


def passages(evidence, others, rng):
    rest = [text for text in others if text not in evidence]
    texts = evidence + rng.sample(rest, min(max(0, OTHERS + 1 - len(evidence)), len(rest)))
    rng.shuffle(texts)
    return [passage(marker, text) for marker, text in enumerate(texts, start=1)]


def passage(marker, text):
    chunk = Chunk(id=f"{marker:016x}:0000", paper_id=f"{marker:016x}", ordinal=0, text=text, start=0, end=len(text),
                  first_page=1, last_page=1, section=None, n_tokens=1)  # fmt: skip
    return Passage(marker, chunk, Paper(id=chunk.paper_id, title="", n_pages=1, file_name=""), 1.0, ())


def with_number(sentence, others, rng):
    found = list(NUMBER.finditer(sentence))
    if not found:
        return None
    match = rng.choice(found)
    if others:
        choice = sorted({other for other in others if other.replace(",", "") != match[0].replace(",", "")})
        if not choice:
            return None
        new = rng.choice(choice)
    else:
        digits = [i for i, c in enumerate(match[0]) if c.isdigit()]
        at = rng.choice(digits)
        least = 1 if at == 0 and len(digits) > 1 else 0
        new = rng.choice([str(d) for d in range(least, 10) if str(d) != match[0][at]])
        new = match[0][:at] + new + match[0][at + 1 :]
    return sentence[: match.start()] + new + sentence[match.end() :]


def turned(sentence, rng):
    ways = []
    if match := AUXILIARY.search(sentence):
        ways.append(f"{sentence[: match.end()]} not{sentence[match.end() :]}")
    if match := re.search(r"(?<=\w) not\b(?! only)", sentence):
        ways = [sentence[: match.start()] + sentence[match.end() :]]
    for match in re.finditer(r"\w+", sentence):
        if match[0] in TURNED:
            ways.append(sentence[: match.start()] + TURNED[match[0]] + sentence[match.end() :])
    return rng.choice(ways) if ways else None


def with_entity(sentence, entities, rng):
    found = [match for match in NAME.finditer(sentence) if not NO_NAME.search(match[0])]
    choice = [name for name in entities if name.lower() not in sentence.lower()]
    if not found or not choice:
        return None
    match = rng.choice(found)
    choice = [name for name in choice if match[0].lower() not in name.lower()]
    return sentence[: match.start()] + rng.choice(choice) + sentence[match.end() :] if choice else None


def show(rows, *, wrong):
    for sentence, shown, judgement in [row for row in rows if row[2].support == wrong][:25]:
        at = next((p.chunk.text for p in shown if p.marker == judgement.marker), "")
        print(f"\n{judgement.support} {judgement.score:.2f} {judgement.reasons}\n  S {sentence}")
        print(f"  W {at[slice(*judgement.window)] if judgement.window else ''}")


def curve(made):
    """The share that is unsupported at other values of PARTLY_AT, with all else equal.

    Kinds that hardly depend on it are left out.
    """
    kinds, kept = ("free-form", "other paper"), support.PARTLY_AT
    support.PARTLY_AT = -9.0
    judged = {kind: [support.judge(s, p) for s, p in made[kind]] for kind in kinds}
    support.PARTLY_AT = kept
    print("\nUnsupported at each value of PARTLY_AT\n\n| PARTLY_AT | " + " | ".join(kinds) + " |\n|---|---|---|")
    for at in (-0.2, -0.1, 0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4):
        shares = [sum(j.support == "unsupported" or (j.support is not None and j.score < support.SUPPORTED_AT
                                                     and j.tie < at) for j in js) / len(js)
                  for js in judged.values()]  # fmt: skip
        print(f"| {at:.2f} | " + " | ".join(f"{share:.3f}" for share in shares) + " |")


def speed(rows):
    """CPU time for ten new sentences against eight passages; other programs do not count."""
    gc.collect()
    gc.freeze()  # keep the garbage collector's passes over this bench's data out of the times
    taken = []
    for k in range(0, min(len(rows), 400) - 10, 10):
        shown = [p for _, some in rows[k : k + 2] for p in some][:8]
        shown = [passage(p.marker, f"{p.chunk.text} {k}") for p in shown]  # defeat caching of parsed texts
        began = time.process_time()
        for sentence, _ in rows[k : k + 10]:
            support.judge(sentence, shown)
        taken.append(time.process_time() - began)
    taken.sort()
    print(f"\nten sentences, eight passages: median {taken[len(taken) // 2] * 1e3:.0f} ms, ", end="")
    print(f"95th percentile {taken[int(len(taken) * 0.95)] * 1e3:.0f} ms of processor time")


if __name__ == "__main__":
    main()
