"""A paper as CSL-JSON (citationstyles.org, schema 1.0.2), as reference managers and citation processors take it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ingest.names import is_body, parted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ingest.paper import Paper

_PARTICLES = re.compile(r"((?:[a-zà-ÿ'’]+\s+|[dl]['’](?=\w))+)(\S.*)")
"""Small words before a family name: "van der Burg", "d’Alembert"."""


def csl_items(papers: Iterable[Paper]) -> list[dict[str, Any]]:
    """The papers as CSL-JSON, one item each, with the paper's id; what is not known is left out."""
    return [csl_item(paper) for paper in papers]


def csl_item(paper: Paper) -> dict[str, Any]:
    """One paper as a CSL-JSON item; what is not known is left out.

    A retracted paper's title says so, as publishers write it.
    """
    stated = paper.publication
    item: dict[str, Any] = {"id": paper.id, "type": _kind(paper), "title": paper.marked_title or paper.file_name}
    people = [
        _name(name, family) for name, family in zip(paper.authors, paper.family_names, strict=True) if name.strip()
    ]
    if people:
        item["author"] = people
    if paper.year:
        item["issued"] = {"date-parts": [[paper.year]]}
    if stated:
        said = {
            "container-title": stated.container,
            "volume": stated.volume,
            "issue": stated.issue,
            "page": paper.pages_in_print,
            "publisher": stated.publisher,
        }
        item |= {name: value for name, value in said.items() if value}
    if paper.doi:
        item["DOI"] = paper.doi
    if paper.isbn:
        item["ISBN"] = paper.isbn
    if paper.arxiv_id and not item.get("container-title"):
        item |= {"number": f"arXiv:{paper.arxiv_id}", "publisher": "arXiv"}
    if paper.arxiv_id and not paper.doi:
        item["URL"] = f"https://arxiv.org/abs/{paper.arxiv_id}"
    return item


def _kind(paper: Paper) -> str:
    stated = paper.publication
    if stated and stated.kind:
        return stated.kind
    if paper.arxiv_id and not (stated and stated.container):
        return "article"  # CSL's word for a preprint
    return "article-journal" if stated and stated.container else "document"


def _name(name: str, family: str) -> dict[str, str]:
    """One author: a person's name in its parts, a group's as a whole."""
    given, family, suffix = parted(name, family)
    if not given or is_body(name):
        return {"literal": " ".join(name.split())}
    said = {"family": family, "given": given}
    if small := _PARTICLES.fullmatch(family):
        said |= {"family": small[2], "non-dropping-particle": small[1].strip()}
    return said | ({"suffix": suffix} if suffix else {})
