"""Drafts of the embedded model for QASPER's questions, with everything a confidence score could use.

    python bench/drafts.py --cache FOLDER [--split train|dev] [--papers N] [--limit N] [--threads N] [--embed-only]

Asks each question of its own paper through `Assistant.ask`, over the same paragraphs as `python -m rag evaluate`, and
appends one line of JSON to FOLDER/<split>.jsonl; questions already there are skipped. The order is by digest, so that
any prefix is an even sample: of papers for train (only these are embedded), of questions for dev. Besides what the
product itself uses, a line has the log-probability of each token, the twelve sentences nearest to the question, and the
cosines of question, draft and these sentences.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ingest import Chunk, Paper, UserFacingError, embedder_from  # noqa: E402 the line above makes it importable
from rag.answer import Answered, Passage  # noqa: E402
from rag.assistant import Assistant  # noqa: E402
from rag.evaluation.corpora import read_qasper  # noqa: E402
from rag.evaluation.corpus_library import corpus_library  # noqa: E402
from rag.models.chat import EndpointChatModel  # noqa: E402
from rag.models.local import LocalServer, embedded_drafter  # noqa: E402
from rag.retrieval.retrieve import Retriever  # noqa: E402
from rag.settings import RagSettings  # noqa: E402

DATA = ROOT.parent / "shared" / "data" / "qasper"
RANKED = 12


class RecordingChatModel(EndpointChatModel):
    """An endpoint that keeps its last prompt and tokens."""

    messages: list
    tokens: list

    async def _request(self, messages, **rest):
        self.messages, self.tokens = list(messages), []
        return Recorded(await super()._request(messages, **rest), self.tokens)


class Recorded:
    """A stream of chunks that records its tokens."""

    def __init__(self, chunks, tokens):
        self.chunks, self.tokens = chunks, tokens

    async def __aenter__(self):
        await self.chunks.__aenter__()
        return self

    async def __aexit__(self, *error):
        return await self.chunks.__aexit__(*error)

    async def __anext__(self):
        chunk = await anext(self.chunks)
        if chunk.choices and chunk.choices[0].logprobs and chunk.choices[0].logprobs.content:
            self.tokens += [[token.token, token.logprob] for token in chunk.choices[0].logprobs.content]
        return chunk


class RecordingRetriever(Retriever):
    """A retriever that keeps its last ranking of sentences, longer than was asked for."""

    ranked: list

    def sentences(self, question, vector, passages, *, n):
        self.ranked = super().sentences(question, vector, passages, n=max(n, RANKED))
        return self.ranked[:n]


def digest(name):
    return sha256(name.encode()).hexdigest()


def questions_of(split, n_papers):
    """The split's questions with their papers, in the order they are asked."""
    questions = read_qasper(DATA / f"{split}.json.gz")
    if n_papers is None:
        return replace(questions, cases=tuple(sorted(questions.cases, key=lambda case: digest(case.id))))
    documents = sorted(questions.documents, key=lambda document: digest(document.id))[:n_papers]
    place = {document.paper_id: i for i, document in enumerate(documents)}
    cases = [case for case in questions.cases if case.paper_ids[0] in place]
    cases.sort(key=lambda case: (place[case.paper_ids[0]], digest(case.id)))
    return replace(questions, cases=tuple(cases), documents=tuple(documents))


def recording_assistant(library, embedder, threads):
    """The product's assistant with one slot, and with its model and search recorded."""
    settings = RagSettings(drafter=None, drafter_slots=1, drafter_context=4096, drafter_threads=threads)
    server = LocalServer(embedded_drafter(), context=4096, slots=1, threads=threads)
    drafter = RecordingChatModel(server.connect, name=server.name, timeout=settings.timeout_seconds)
    assistant = Assistant(library=library, embedder=embedder, drafter=drafter, settings=settings, server=server)
    assistant._retriever = RecordingRetriever(library, embedder, terms=assistant._terms)  # noqa: SLF001 a recorder
    return assistant


async def one(case, assistant, embedder):
    """The line for one question."""
    retriever, drafter = assistant._retriever, assistant.drafter  # noqa: SLF001
    retriever.ranked, drafter.messages, drafter.tokens = [], [], []
    began = time.monotonic()
    events = [event async for event in assistant.ask(case.question, paper_ids=case.paper_ids)]
    seconds = time.monotonic() - began
    answer = next(event.answer for event in events if isinstance(event, Answered))
    row = {
        "id": case.id,
        "question": case.question,
        "paper": case.group,
        "paper_id": case.paper_ids[0],
        "golds": [reference.text for reference in case.references],
        "answerable": case.answerable,
        "kind": answer.kind,
        "abstained": answer.abstained,
        "seconds": seconds,
        "stages": {span.name: span.seconds for span in answer.trace.spans},
        "passages": [
            {"marker": p.marker, "score": p.score, "sources": p.sources, "chunk": asdict(p.chunk)}
            for p in answer.passages
        ],
        "right": [p.marker for p in answer.passages if any(target.is_in(p) for target in case.targets)],
        "draft": None,
    }
    if answer.abstained:
        return row
    draft = answer.drafts[0]
    texts = [*retriever.ranked, draft.text]
    vectors, asked = embedder.embed_documents(texts), retriever.embed(case.question)
    return row | {
        "draft": {
            "text": draft.text,
            "model": draft.model,
            "finish_reason": draft.finish_reason,
            "usage": draft.usage and asdict(draft.usage),
            "mean_logprob": draft.mean_logprob,
            "seconds": draft.seconds,
            "first_token_seconds": draft.first_token_seconds,
        },
        "tokens": drafter.tokens,
        "messages": drafter.messages,
        "ranked": retriever.ranked,
        "sentence_cosines": (vectors[:-1] @ asked).tolist(),
        "draft_cosines": (vectors[:-1] @ vectors[-1]).tolist(),
        "question_draft_cosine": float(vectors[-1] @ asked),
    }


def read_drafts(path):
    """The lines of a file; a last line cut off by a crash is skipped."""
    if not path.is_file():
        return []
    data = path.read_bytes()
    return [json.loads(line) for line in data[: data.rfind(b"\n") + 1].splitlines()]


def passages_of(row):
    """The passages of a line, as in the product."""
    paper = Paper(id=row["paper_id"], title=row["paper"], n_pages=1, file_name="")
    return tuple(
        Passage(p["marker"], Chunk(**p["chunk"]), paper, p["score"], tuple(p["sources"])) for p in row["passages"]
    )


async def ask_all(todo, assistant, embedder, out):
    await assistant.warm_up()
    began = time.monotonic()
    try:
        with out.open("a", encoding="utf-8") as file:
            for n, case in enumerate(todo, start=1):
                try:
                    row = await one(case, assistant, embedder)
                except UserFacingError as error:
                    print(f"{case.id}: {error}", flush=True)
                    continue
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
                file.flush()
                if n % 20 == 0:
                    print(f"{n} of {len(todo)}, {(time.monotonic() - began) / n:.2f} s each", flush=True)
    finally:
        await assistant.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--split", default="dev", choices=("train", "dev"))
    parser.add_argument("--papers", type=int, help="so many papers only")
    parser.add_argument("--limit", type=int, help="so many questions only")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--embed-only", action="store_true")
    options = parser.parse_args()
    if not DATA.is_dir():
        print("QASPER is not here: nothing asked")
        return
    import torch

    torch.set_num_threads(options.threads)
    embedder = embedder_from(None)
    questions = questions_of(options.split, options.papers)
    out = options.cache / f"{options.split}.jsonl"
    there = {row["id"] for row in read_drafts(out)}
    todo = [case for case in questions.cases[: options.limit] if case.id not in there]

    def tell(what, done, total):
        print(f"{what} {done} of {total}", flush=True)

    with corpus_library(questions, options.cache / "corpus", embedder=embedder, tell=tell) as library:
        print(f"{len(questions.documents)} papers, {len(todo)} questions to ask", flush=True)
        if not options.embed_only:
            asyncio.run(ask_all(todo, recording_assistant(library, embedder, options.threads), embedder, out))


if __name__ == "__main__":
    main()
