"""The 12 questions on the sample papers: the rank of the right page, and the drafter's answers."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ingest import Ingest, IngestSettings, Source, open_library  # noqa: E402
from rag import Assistant, RagSettings  # noqa: E402
from rag.render import is_quoted  # noqa: E402

SAMPLES = ROOT / "docs" / "papers"


def is_right(text: str, keywords: list[str]) -> bool:
    """Whether the text contains all keywords, not inside other numbers."""
    return all(re.search(rf"(?<![\d.,]){re.escape(k.casefold())}(?!\d)", text.casefold()) for k in keywords)


async def main() -> None:
    rows = [json.loads(line) for line in (SAMPLES / "questions.jsonl").read_text().splitlines()]
    others = [json.loads(line) for line in (SAMPLES / "unanswerable.jsonl").read_text().splitlines()]
    with tempfile.TemporaryDirectory() as folder, open_library(IngestSettings(library=Path(folder))) as library:
        assistant = Assistant.open(RagSettings(), library=library)
        files = sorted(SAMPLES.glob("*.pdf"))
        list(Ingest(library=library, embedder=assistant.embedder).run(Source(file, file.name) for file in files))
        stems = {paper.id: Path(paper.file_name).stem for paper in library.papers()}
        ranks, right, shown, seconds = [], 0, 0, 0.0
        for row in rows:
            answer = await assistant.answer(row["question"])
            at = [
                p.marker
                for p in answer.passages
                if stems[p.paper.id] == row["paper"] and p.chunk.first_page <= row["page"] <= p.chunk.last_page
            ]
            ranks.append(min(at, default=None))
            good = is_right(answer.text, row["keywords"])
            quotes = " ".join(citation.quote for citation in answer.citations) if is_quoted(answer) else ""
            shown += is_right(f"{answer.text} {quotes}", row["keywords"])
            right += good
            seconds += answer.trace.seconds or 0.0
            print(f"{row['id']:9} page at rank {ranks[-1]}  {'right' if good else 'wrong'}  {answer.text[:100]!r}")
        abstained = [(await assistant.answer(row["question"])).abstained for row in others]
        await assistant.close()
    top5, top1 = sum(r is not None and r <= 5 for r in ranks), ranks.count(1)
    print(f"right page among the top 5: {top5} of {len(rows)}, first: {top1}")
    print(f"answered rightly: {right} of {len(rows)} in {seconds:.0f} s; with the sentence that is quoted {shown}")
    print(f"abstained from {sum(abstained)} of {len(others)} questions that the papers do not answer")


if __name__ == "__main__":
    asyncio.run(main())
