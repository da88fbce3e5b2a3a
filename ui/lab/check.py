"""Check an answer of the lab as answers in the chat are checked, against the documents that the model was shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ingest import Chunk
from ingest.paper import Paper
from rag.answer import Passage
from rag.texts import said
from rag.verify import cite

if TYPE_CHECKING:
    from collections.abc import Sequence


def checked(answer: str, documents: Sequence[str], *, question: str) -> list[dict[str, Any]]:
    """Each sentence with its verdict, the numbers of its documents, and what speaks against it.

    Args:
        answer: what the model wrote.
        documents: the texts it was shown, numbered from 1.
        question: what was asked.
    """
    passages = [_passage(n, text) for n, text in enumerate(documents, start=1)]
    texts = {passage.paper.id: passage.chunk.text for passage in passages}
    found = cite(answer, passages, page_text=lambda paper, _: texts[paper], question=question)
    return [
        {
            "text": sentence.text,
            "support": sentence.support,
            "markers": sentence.markers,
            "reasons": [said(reason) for reason in sentence.reasons],
        }
        for sentence in found.sentences
    ]


def _passage(marker: int, text: str) -> Passage:
    name = f"document-{marker}"
    paper = Paper(id=name, title=name, n_pages=1, file_name=name)
    chunk = Chunk(
        id=f"{name}:0000",
        paper_id=name,
        ordinal=0,
        text=text,
        start=0,
        end=len(text),
        first_page=1,
        last_page=1,
        section=None,
        n_tokens=0,
    )
    return Passage(marker, chunk, paper, 1.0, ())
