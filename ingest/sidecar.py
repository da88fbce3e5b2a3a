"""The bibliography beside a paper: find it in the paper's folder or one above, and find the entry for this file."""

from __future__ import annotations

import logging
import re
import unicodedata
from functools import lru_cache
from itertools import takewhile
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING

from ingest.bibtex import MAX_BYTES, read_bibtex, read_csl
from ingest.lines import squash

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest.entry import Entry

_log = logging.getLogger(__name__)

LEVELS = 4
"""How many folders above a PDF's own are searched for a bibliography: Zotero exports `x.bib` with `files/12/x.pdf`."""

_GENERIC = re.compile(
    r"(?:full[ _-]?text(?:[ _-]?pdf)?|pdf|(?:accepted|submitted|published|preprint|updated)(?:[ _-]version| pdf)?|"
    r"paper|article|main|download|document|file|manuscript|print|full|untitled|(?:[\w.]+ )?(?:full text|snapshot|pdf))"
    r"[ _-]?\(?\d{0,3}\)?\.pdf",
    re.IGNORECASE,
)
"""File names that programs give to any paper: they mean nothing without their folder."""

_PREPRINT = re.compile(
    r"10\.(?:48550/arxiv\.|1101/(?:\d{4}\.\d\d\.\d\d\.)?\d{6,}|21203/|2139/ssrn\.|(?:31219|3123\d|35542)/osf\.io"
    r"|26434/chemrxiv|20944/preprints|36227/techrxiv|5281/zenodo\.)",
    re.IGNORECASE,
)
"""DOIs of arXiv, bioRxiv and medRxiv, Research Square, SSRN, OSF's servers, ChemRxiv, Preprints.org, TechRxiv and
Zenodo: an article has another one later."""
_PART = re.compile(r"(?:part|pt|teil|no|nr)?(?:[ivx]{1,5}|\d{1,3})|(?:part|teil)(?:one|two|three|four|five)")
"""What makes another paper of a title without punctuation: "…: Part II"."""


# ---- which bibliographies? ------------------------------------------------------------------------------------------


def bibliographies(pdf: Path) -> list[Path]:
    """The bibliography with the PDF's own name; else all in its folder and in the `LEVELS` folders above.

    Above it, only `.bib` files count, and none in the user's home folder or above that. If the PDF is reached through a
    link, the folders of the file itself count too.
    """
    own = [path for suffix in (".bib", ".json") if (path := pdf.with_suffix(suffix)).is_file()]
    if own:
        return own
    found: dict[Path, None] = {}
    for place in dict.fromkeys((pdf.absolute(), pdf.resolve())):
        found |= dict.fromkeys(_listed(place.parent, "*.bib", "*.json"))
        for above in list(place.parent.parents)[:LEVELS]:
            if above in _OUTSIDE or above == Path(above.anchor):
                break
            found |= dict.fromkeys(_listed(above, "*.bib"))
    return list(found)


def _home() -> set[Path]:
    try:
        home = Path.home()
    except RuntimeError:  # an account without a home folder
        return set()
    return {home, *home.parents}


_OUTSIDE = _home()


def _listed(folder: Path, *patterns: str) -> list[Path]:
    try:
        return sorted(
            path for pattern in patterns for path in folder.glob(pattern) if path.is_file() and path.name[:2] != "._"
        )
    except OSError as error:
        _log.warning("%s: %s", folder.name, error.strerror or error)
        return []


def sidecar_entries(pdf: Path) -> list[Entry]:
    """The entries of the bibliography with the PDF's own name, else of those in its folder and above."""
    found: list[Entry] = []
    for path in bibliographies(pdf):
        try:
            state = path.stat()
            if state.st_size <= MAX_BYTES:
                found += _entries_of(path, state.st_mtime_ns, state.st_size)
        except OSError as error:
            _log.warning("%s: %s", path.name, error.strerror or error)
    return found


@lru_cache(maxsize=32)
def _entries_of(path: Path, changed: int, size: int) -> tuple[Entry, ...]:  # noqa: ARG001 a changed file is read anew
    """The same for all papers below a bibliography, which may be large."""
    return tuple(read_bibtex(path) if path.suffix == ".bib" else read_csl(path))


# ---- which entry is it? ---------------------------------------------------------------------------------------------


def find_entry(pdf: Path, entries: Sequence[Entry], *, title: str, doi: str | None) -> Entry | None:
    """The entry for a PDF: by its attached file, its bibliography's name, its DOI, then its title; else None.

    An entry with another DOI does not come in by its title, unless one of the two DOIs is a preprint's.

    An entry whose path leads to this very file comes first. Otherwise, of several entries with a file of that name, the
    one whose path shares the most folders wins. A tie decides nothing, nor does a name that any file may have: `Full
    Text PDF.pdf`.
    """
    there = [entry for entry in entries if any(_leads_to(path, entry, pdf) for path in entry.files)]
    if there and all(entry == there[0] for entry in there):
        return there[0]
    attached = [
        (_shared_tail(path, pdf), entry)
        for entry in entries
        for path in entry.files
        if not _is_another(path, entry, pdf)
    ]
    best = max((agreed for agreed, _ in attached), default=0)
    named = [entry for agreed, entry in attached if agreed == best]
    if best > (1 if _GENERIC.fullmatch(pdf.name) else 0) and all(entry == named[0] for entry in named):
        return named[0]
    own = [entry for entry in entries if entry.source and entry.source.stem == pdf.stem]
    if len(own) == 1:
        return own[0]
    if doi and (same := [entry for entry in entries if entry.doi and entry.doi.lower() == doi.lower()]):
        return same[0]
    sought = squash(title)
    others = [entry for entry in entries if not _is_of_another(entry.doi, doi)]
    exact = [entry for entry in others if len(sought) >= 8 and squash(entry.title) == sought]
    begun = [entry for entry in others if _is_begun(squash(entry.title), sought)]
    return exact[0] if exact else begun[0] if len(begun) == 1 else None


def _is_of_another(said: str | None, own: str | None) -> bool:
    """Whether two different DOIs tell two papers apart. An article and its preprint have one each."""
    return bool(said and own) and bool(_PREPRINT.match(said or "")) == bool(_PREPRINT.match(own or ""))


def _is_begun(title: str, other: str) -> bool:
    """Whether one is the other with a subtitle, where both are long; a part's number is no subtitle."""
    short, long = sorted((title, other), key=len)
    return len(short) >= 30 and long.startswith(short) and not _PART.fullmatch(long[len(short) :])


def _place(path: str, entry: Entry) -> Path | None:
    """Where a path leads, relative to its bibliography; None for a path of another system or machine.

    Windows would contact the machine in `//host/share/x.pdf` to look for the file.
    """
    bare = re.sub(r"^file:(?://(?:localhost)?(?=/))?", "", path.replace("\\", "/"), flags=re.IGNORECASE)
    if entry.source is None or re.match(r"[A-Za-z]:/|//", bare):
        return None
    return entry.source.absolute().parent / PurePosixPath(bare)


def _leads_to(path: str, entry: Entry, pdf: Path) -> bool:
    if not (_shared_tail(path, pdf) or _shared_tail(path, pdf.resolve())):  # cheap, because there may be many entries
        return False
    place = _place(path, entry)
    try:
        return place is not None and place.is_file() and place.samefile(pdf)
    except (OSError, ValueError):
        return False


def _is_another(path: str, entry: Entry, pdf: Path) -> bool:
    """Whether a path with this file's name leads to an existing file that is not this one."""
    if not _shared_tail(path, pdf):
        return False
    place = _place(path, entry)
    try:
        return place is not None and place.is_file() and not place.samefile(pdf)
    except (OSError, ValueError):
        return False


def _shared_tail(path: str, pdf: Path) -> int:
    """How many path parts agree, counted from the end; 0 if the file names differ."""
    ends = (
        [unicodedata.normalize("NFC", part).casefold() for part in reversed(parts)]
        for parts in (PureWindowsPath(path).parts, pdf.absolute().parts)  # accepts both slashes
    )
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(*ends, strict=False)))
