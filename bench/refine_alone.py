"""Refining without an expert: does the best of several drafts of the embedded model beat its single draft?

    python bench/drafts.py --cache FOLDER --split dev [--limit N]
    python bench/refine_alone.py --cache FOLDER [--split train|dev] [--limit N]
    python bench/refine_alone.py --cache FOLDER --write [--limit N] [--threads N] [--candidates NAME ...]

`--write` asks the model for what is missing in FOLDER/alternatives.jsonl; without it the table is made from what is
there. The first draft is the product's, from the four sentences nearest to the question. The other candidates:

- later: from the third to the sixth nearest sentence.
- passage: from the whole best passage alone.
- sample: from the same four sentences at temperature 0.7.
- sentence: no draft, just the nearest sentence.

A draft is chosen by support (share of supported, then of unsupported sentences), then by confidence. The other rows are
other ways to choose; "oracle" looks at the answer and is an upper bound. Abstentions count unchanged: the floor comes
before any draft, so none is written.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from confidence import draft_of
from drafts import DATA, passages_of, read_drafts

from rag.answer import Confidence, Draft
from rag.costs.accounting import Usage
from rag.evaluation.metrics import answer_f1, paired
from rag.models.chat import Completion, EndpointChatModel
from rag.models.draft import is_repeating, without_repetition
from rag.models.local import LocalServer, embedded_drafter
from rag.prompts import sentence_messages
from rag.quoting.quoted_answer import holds, quoted_answer
from rag.verify.calibration import shipped
from rag.verify.citations import cite, without_markers
from rag.verify.confidence import score

MAX_TOKENS = 320


def sentences_for(candidate, row):
    """What the model reads for a candidate, and the temperature."""
    if candidate == "later":
        return row["ranked"][2:6], 0.0
    if candidate == "passage":
        return [row["passages"][0]["chunk"]["text"]], 0.0
    return row["ranked"][:4], 0.7


async def write(rows, candidates, out, threads):
    """Append what is missing in the file: one line per question and candidate."""
    there = {(line["id"], line["candidate"]) for line in read_drafts(out)}
    server = LocalServer(embedded_drafter(), context=4096, slots=1, threads=threads)
    model = EndpointChatModel(server.connect, name=server.name, timeout=120)
    todo = [(row, name) for row in rows for name in candidates if (row["id"], name) not in there]
    began = time.monotonic()
    try:
        with out.open("a", encoding="utf-8") as file:
            for n, (row, name) in enumerate(todo, start=1):
                sentences, temperature = sentences_for(name, row)
                if not sentences:
                    continue
                messages = sentence_messages(row["question"], sentences, kind=row["kind"])
                text, end, at = "", None, time.monotonic()
                stream = model.stream(messages, max_tokens=MAX_TOKENS, temperature=temperature)
                async for piece in stream:
                    if isinstance(piece, Completion):
                        end = piece
                        continue
                    text += piece
                    if is_repeating(text):
                        text = without_repetition(text)
                        break
                await stream.aclose()
                line = {"id": row["id"], "candidate": name, "text": text.strip(), "seconds": time.monotonic() - at}
                line["finish_reason"] = end.finish_reason if end else "repetition"
                line["mean_logprob"], line["low_logprob"] = (end.mean_logprob, end.low_logprob) if end else (None, None)
                line["usage"] = [end.usage.input_tokens, end.usage.output_tokens] if end and end.usage else None
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
                file.flush()
                if n % 20 == 0:
                    print(f"{n} of {len(todo)}, {(time.monotonic() - began) / n:.2f} s each", flush=True)
    finally:
        await server.close()


# -- the table ---------------------------------------------------------------------------------------------------------


def candidates_of(row, lines):
    """All drafts of a question by name, the product's first; "sentence" is the nearest sentence itself."""
    model = row["draft"]["model"]
    drafts = {"first": draft_of(row)}
    if row["ranked"]:
        drafts["sentence"] = replace(drafts["first"], text=row["ranked"][0], finish_reason="stop", seconds=0.0)
        nothing = {"mean_logprob": None, "low_logprob": None, "usage": Usage(0, 0)}
        drafts["sentence"] = replace(drafts["sentence"], **nothing)
    for line in lines:
        drafts[line["candidate"]] = Draft(
            text=line["text"],
            model=model,
            usage=Usage(*line["usage"]) if line["usage"] else None,
            seconds=line["seconds"],
            first_token_seconds=None,
            finish_reason=line["finish_reason"],
            mean_logprob=line["mean_logprob"],
            low_logprob=line["low_logprob"],
        )
    judged = {name: Judged.of(draft, row) for name, draft in drafts.items()}
    first = judged["first"]
    quoted = None
    if not holds(first.confidence, wholly=True):
        asked = {"question": row["question"], "passages": passages_of(row)}
        quoted = quoted_answer(row["ranked"], **asked, instead_of=first.draft)
    return judged | {"product": Judged.of(quoted, row) if quoted else first}


@dataclass(frozen=True, slots=True)
class Judged:
    """A draft with what the product knows about it, and its F1."""

    draft: Draft
    supported: float
    unsupported: float
    confidence: Confidence
    f1: float

    @property
    def vetoed(self):
        return bool(self.confidence.vetoes)

    @classmethod
    def of(cls, draft, row):
        passages = passages_of(row)
        cited = cite(draft.text, passages, page_text=lambda _paper, _page: "")
        judged = [sentence.support for sentence in cited.sentences if sentence.support]
        found = score(
            draft,
            question=row["question"],
            sentences=cited.sentences,
            passages=passages,
            corrections=cited.corrections,
            calibration=shipped(),
        )
        n = max(1, len(judged))
        f1 = answer_f1(without_markers(draft.text), row["golds"])
        return cls(draft, judged.count("supported") / n, judged.count("unsupported") / n, found, f1)


def by_support(drafts):
    return max(drafts, key=lambda d: (not d.vetoed, d.supported, -d.unsupported, d.confidence.score))


def by_confidence(drafts):
    return max(drafts, key=lambda d: d.confidence.score)


def by_veto(drafts):
    """The first one without a veto, in order; else the first."""
    return next((d for d in drafts if not d.vetoed), drafts[0])


def by_logprob(drafts):
    return max(drafts, key=lambda d: -9.0 if d.draft.mean_logprob is None else d.draft.mean_logprob)


CHOICES = {
    "by support, then confidence": by_support,
    "by confidence": by_confidence,
    "another only where the first has a veto": by_veto,
    "by log-probability": by_logprob,
    "oracle": lambda drafts: max(drafts, key=lambda d: d.f1),
}


def table(rows, lines, names):
    """One row per way to choose, over the questions that have all named drafts."""
    of = {}
    for line in lines:
        of.setdefault(line["id"], []).append(line)
    found = [(row, candidates_of(row, of.get(row["id"], ()))) for row in rows if row["draft"]]
    found = [(row, drafts) for row, drafts in found if drafts.keys() >= set(names)]
    if not found:
        print(f"No question has all of {', '.join(names)}.")
        return
    papers = [row["paper_id"] for row, _ in found]
    first = [drafts["first"] for _, drafts in found]
    print(f"\n{' + '.join(names)}: {len(found)} questions with drafts, {len(set(papers))} papers")
    print("| kept | answer-F1 | difference | supported sentences | difference | with a veto | another kept |")
    print("|---|---|---|---|---|---|---|")
    kept = {f"always {name}": [drafts[name] for _, drafts in found] for name in names}
    if "sentence" in names:
        kept["as the product does (rag/quoting/quoted_answer.py)"] = [drafts["product"] for _, drafts in found]
    kept |= {name: [choose([drafts[n] for n in names]) for _, drafts in found] for name, choose in CHOICES.items()}
    for name, drafts in kept.items():
        cells = [name]
        for of_draft in ("f1", "supported"):
            ours, before = ([getattr(d, of_draft) for d in some] for some in (drafts, first))
            cells += [f"{np.mean(ours):.3f}", difference(ours, before, papers)]
        cells.append(f"{np.mean([d.vetoed for d in drafts]):.2f}")
        cells.append(f"{np.mean([d is not f for d, f in zip(drafts, first, strict=True)]):.2f}")
        print("| " + " | ".join(cells) + " |")
    usages = [[drafts[name].draft.usage for name in names] for _, drafts in found]
    counted = [[u.input_tokens + u.output_tokens for u in row] for row in usages if all(row)]
    if counted:
        ratio = sum(map(sum, counted)) / sum(row[0] for row in counted)
        print(f"tokens read and written for all of them, as a multiple of the first alone: {ratio:.2f}")


def difference(ours, before, papers):
    d = paired(ours, before, papers)
    return "" if d.low is None or not (d.higher or d.lower) else f"{d.mean:+.3f} ({d.low:+.3f} to {d.high:+.3f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--split", default="dev", choices=("train", "dev"))
    parser.add_argument("--limit", type=int, help="so many questions only")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--candidates", nargs="+", default=["later"], choices=("later", "passage", "sample"))
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    if not DATA.is_dir():
        print("QASPER is not here: nothing asked")
        return
    rows = read_drafts(options.cache / f"{options.split}.jsonl")[: options.limit]
    out = options.cache / "alternatives.jsonl"
    if options.write:
        asyncio.run(write([row for row in rows if row["draft"]], options.candidates, out, options.threads))
        return
    lines = read_drafts(out)
    written = sorted({line["candidate"] for line in lines})
    alone = [["first", name] for name in written]
    followed = [[*names, "sentence"] for names in alone]
    for names in (["first", "sentence"], *alone, *followed, *([["first", *written]] if len(written) > 1 else [])):
        table(rows, lines, names)


if __name__ == "__main__":
    main()
