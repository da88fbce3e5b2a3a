"""Embedders known by name: their sources, and the prefixes they expect.

Everything else known about them (size, licence, languages) is on their cards in `models.json`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownEmbedder:
    """One embedding model as described by its authors."""

    name: str
    repository: str
    """Repository on a model hub from which the user can download it."""
    query_prefix: str = ""
    """Prefix for questions; a model trained with one loses accuracy without it."""
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
"""The default first. Any other sentence-transformers folder works too, with the prompts that it defines."""


def known_embedder(name: str) -> KnownEmbedder | None:
    """The entry with this name or repository name, ignoring case."""
    wanted = name.casefold()
    return next(
        (known for known in KNOWN_EMBEDDERS if wanted in (known.name.casefold(), known.repository.casefold())), None
    )
