"""Have Ragas judge the answers of a comparison, in an environment of its own, by a model on this machine.

    python3 -m venv ragas
    ragas/bin/pip install ragas==0.4.3 langchain-community==0.4.1 "instructor>=1.11"
    ragas/bin/python bench/ragas_judge.py evaluations/compare-NAME --judge http://127.0.0.1:11434/v1#MODEL [--limit N]

Ragas pins other versions of openai than Scholion, so it is not part of it; 0.4.3 alone does not import, hence the two
other packages. It measures FactualCorrectness: the claims of the answer against those of the expected answer. Only
questions with an expected answer are judged, once for each model. A judgement that fails is missing, never 0, and the
share of judgements that came (the coverage) is printed first: a small judge often writes no valid JSON. Only judges on
this machine are accepted, because Ragas knows nothing of Scholion's privacy gate; its telemetry is switched off.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections import defaultdict
from math import isnan
from pathlib import Path
from statistics import mean
from urllib.parse import urlsplit

os.environ["RAGAS_DO_NOT_TRACK"] = "true"  # before the import

LOOPBACK = {"127.0.0.1", "::1", "localhost"}


def answers_of(folder):
    """(model, question id) → (answer, expected answer), from the run's first warm call of each."""
    told = json.loads((folder / "compare.json").read_text(encoding="utf-8"))
    golds = {row["id"]: row["golds"][0] for row in told["questions"] if row["golds"]}
    found = {}
    for line in (folder / "calls.jsonl").read_text(encoding="utf-8").splitlines():
        call = json.loads(line)
        if not call["error"] and call["state"] == "warm" and call["question"] in golds:
            found.setdefault((call["model"], call["question"]), (call["text"], golds[call["question"]]))
    return found


async def judged(metric, answer, expected, *, seconds):
    """The judgement; None if it failed, took too long, or is not a number."""
    try:
        async with asyncio.timeout(seconds):
            value = float((await metric.ascore(response=answer, reference=expected)).value)
    except Exception as error:  # noqa: BLE001 - whatever it is, the judgement is missing
        print(f"  missing: {type(error).__name__}", file=sys.stderr)
        return None
    return None if isnan(value) else value


async def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--judge", required=True, help="http://127.0.0.1:PORT/v1#MODEL")
    parser.add_argument("--limit", type=int, help="so many answers only")
    parser.add_argument("--seconds", type=float, default=300.0, help="for one judgement")
    options = parser.parse_args()
    address, _, model = options.judge.partition("#")
    if urlsplit(address).hostname not in LOOPBACK or not model:
        sys.exit("The judge must be a model on this machine: http://127.0.0.1:PORT/v1#MODEL")
    try:
        from openai import AsyncOpenAI
        from ragas.llms import llm_factory
        from ragas.metrics.collections import FactualCorrectness
    except ImportError as error:
        sys.exit(f"Ragas is not in this environment ({error.name}): see the first lines of this file.")
    client = AsyncOpenAI(base_url=address, api_key="none", max_retries=0)
    metric = FactualCorrectness(llm=llm_factory(model, client=client))
    scores = defaultdict(list)
    answers = list(answers_of(options.folder).items())[: options.limit]
    for (who, _), (answer, expected) in answers:
        scores[who].append(await judged(metric, answer, expected, seconds=options.seconds))
    came = sum(score is not None for values in scores.values() for score in values)
    print(f"coverage {came} of {len(answers)} judgements")
    for who, values in scores.items():
        known = [score for score in values if score is not None]
        print(f"{who:40} " + (f"{mean(known):.3f}, n={len(known)} of {len(values)}" if known else "all missing"))


if __name__ == "__main__":
    asyncio.run(main())
