"""The noun: what Zotero said of a paper when it was asked last."""

from __future__ import annotations

from dataclasses import dataclass

from ingest.annotation import Annotation  # noqa: TC001 - read when it is told as JSON


@dataclass(frozen=True, slots=True)
class FromZotero:
    """Empty for a paper of which Zotero knows nothing."""

    tags: tuple[str, ...] = ()
    """All tags and collections."""
    set_here: tuple[str, ...] = ()
    """Those of them that the paper did not have before."""
    notes: tuple[Annotation, ...] = ()
