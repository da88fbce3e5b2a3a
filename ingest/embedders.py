"""Embedders that are known by name: where they are from, and the words they want before a text.

What else is known of them (size, licence, languages) stands on their cards in `models.json`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownEmbedder:
    """One embedding model, as its authors describe it."""

    name: str
    repository: str
    """Where the user may download it from a model hub, by their own word."""
    query_prefix: str = ""
    """What its authors put before a question; a model that was trained with it loses accuracy without."""
    document_prefix: str = ""


KNOWN_EMBEDDERS = (
    KnownEmbedder(
        name="all-MiniLM-L6-v2",
        repository="sentence-transformers/all-MiniLM-L6-v2",
    ),
    KnownEmbedder(
        name="bge-small-en-v1.5",
        repository="BAAI/bge-small-en-v1.5",
        query_prefix="Represent this sentence for searching relevant passages: ",
    ),
    KnownEmbedder(
        name="bge-base-en-v1.5",
        repository="BAAI/bge-base-en-v1.5",
        query_prefix="Represent this sentence for searching relevant passages: ",
    ),
    KnownEmbedder(
        name="multilingual-e5-small",
        repository="intfloat/multilingual-e5-small",
        query_prefix="query: ",
        document_prefix="passage: ",
    ),
    KnownEmbedder(
        name="paraphrase-multilingual-MiniLM-L12-v2",
        repository="sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2",
    ),
)
"""The default first. Any other folder of a sentence-transformers model works too, with the prompts that it names."""


def known_embedder(name: str) -> KnownEmbedder | None:
    """The entry with this name, or with the repository of this name, in whatever case."""
    wanted = name.casefold()
    return next(
        (known for known in KNOWN_EMBEDDERS if wanted in (known.name.casefold(), known.repository.casefold())), None
    )
