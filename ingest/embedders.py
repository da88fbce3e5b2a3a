"""Embedders that are known by name: what they need, what they are good for, and the words they want before a text."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownEmbedder:
    """One embedding model, as its authors describe it. Sizes are those of the published weights."""

    name: str
    repository: str
    """Where the user may download it from a model hub, by their own word."""
    parameters: int
    """In millions."""
    dimension: int
    max_tokens: int
    """Word pieces that it reads, special ones included."""
    languages: str
    licence: str
    query_prefix: str = ""
    """What its authors put before a question; a model that was trained with it loses accuracy without."""
    document_prefix: str = ""


KNOWN_EMBEDDERS = (
    KnownEmbedder(
        name="all-MiniLM-L6-v2",
        repository="sentence-transformers/all-MiniLM-L6-v2",
        parameters=22,
        dimension=384,
        max_tokens=256,
        languages="English",
        licence="Apache-2.0",
    ),
    KnownEmbedder(
        name="bge-small-en-v1.5",
        repository="BAAI/bge-small-en-v1.5",
        parameters=33,
        dimension=384,
        max_tokens=512,
        languages="English",
        licence="MIT",
        query_prefix="Represent this sentence for searching relevant passages: ",
    ),
    KnownEmbedder(
        name="bge-base-en-v1.5",
        repository="BAAI/bge-base-en-v1.5",
        parameters=109,
        dimension=768,
        max_tokens=512,
        languages="English",
        licence="MIT",
        query_prefix="Represent this sentence for searching relevant passages: ",
    ),
    KnownEmbedder(
        name="multilingual-e5-small",
        repository="intfloat/multilingual-e5-small",
        parameters=118,
        dimension=384,
        max_tokens=512,
        languages="about 100, German and Bulgarian among them",
        licence="MIT",
        query_prefix="query: ",
        document_prefix="passage: ",
    ),
    KnownEmbedder(
        name="paraphrase-multilingual-MiniLM-L12-v2",
        repository="sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2",
        parameters=118,
        dimension=384,
        max_tokens=128,
        languages="about 50, German and Bulgarian among them",
        licence="Apache-2.0",
    ),
)
"""The default first. Any other folder of a sentence-transformers model works too, with the prompts that it names."""


def known_embedder(name: str) -> KnownEmbedder | None:
    """The entry with this name, or with the repository of this name, in whatever case."""
    wanted = name.casefold()
    return next(
        (known for known in KNOWN_EMBEDDERS if wanted in (known.name.casefold(), known.repository.casefold())), None
    )
