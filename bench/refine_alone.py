"""Whether several drafts of the embedded model, of which one is kept, beat its one draft: refining without an expert.

    python bench/drafts.py --cache FOLDER --split dev [--limit N]
    python bench/refine_alone.py --cache FOLDER [--limit N] [--write] [--threads N] [--candidates NAME ...]

`--write` asks the model for what is not in FOLDER/alternatives.jsonl yet; without it the table is made of what is
there. The first draft is the product's, from the four sentences nearest to the question. The candidates beside it:

- later: from the third to the eighth nearest sentence.
- passage: from the best passage alone, whole.
- sample: from the same four sentences at temperature 0.7.

A draft is kept by its support first (share of supported, then of unsupported sentences) and its confidence second. The
rows below are other ways to choose; "oracle" looks at the answer and bounds them all. Abstentions count as they are:
the floor stands before any draft, and no draft is written.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from pathlib import Path

from drafts import DATA, read_drafts

from rag.chat import Completion, EndpointChatModel
from rag.local import LocalServer, embedded_model
from rag.prompts import sentence_messages

MAX_TOKENS = 320


def sentences_for(candidate, row):
    """What the model reads for a candidate, with the temperature."""
    if candidate == "later":
        return row["ranked"][2:8], 0.0
    if candidate == "passage":
        return [row["passages"][0]["chunk"]["text"]], 0.0
    return row["ranked"][:4], 0.7


async def write(rows, candidates, out, threads):
    """Add what is not in the file yet: one line for each question and candidate."""
    from rag.assistant import is_repeating, without_repetition

    there = {(line["id"], line["candidate"]) for line in read_drafts(out)}
    server = LocalServer(embedded_model(), context=4096, slots=1, threads=threads)
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


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--limit", type=int, help="so many questions only")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--candidates", nargs="+", default=["later", "sample"], choices=("later", "passage", "sample"))
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    if not DATA.is_dir():
        print("QASPER is not here: nothing asked")
        return
    rows = read_drafts(options.cache / "dev.jsonl")[: options.limit]
    out = options.cache / "alternatives.jsonl"
    if options.write:
        asyncio.run(write([row for row in rows if row["draft"]], options.candidates, out, options.threads))


if __name__ == "__main__":
    main()
