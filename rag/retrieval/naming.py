"""Papers as people name them: by author and year, "et al.", words of the title, file name, DOI, or "the second one".

Nothing is guessed: a name that fits several papers gives all of them, and one that fits none gives nothing.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from rag.retrieval.forms import MARKS, NAMED, NOUN, family_forms, fold, folded_words, is_body, last_words
from rag.words import STOP_WORDS, words_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ingest import Paper

TITLE_WORDS = 5
"""So many words of a title, from its beginning, name the paper; fewer only in quotation marks or before "paper"."""

FRAGMENT_WORDS = 3
"""So many words that carry meaning, in a row somewhere in a title, name the paper where a name is expected."""


_LONGEST_TITLE = 1000
_OTHERS = (
    r",? et al\b\.?|,? (?:and|&) (?:colleagues|others|co-?authors|co-?workers|collaborators|co\b)\.?|,? et coll\b\.?"
    r"|,? u\.? ?a\.(?!\w)|,? (?:und|&) (?:kolleg\w*|mitarbeiter\w*|andere)|,? и (?:др\b\.?|колеги|съавтори|съавт\b\.?)"
)
_OTHERS_RE = re.compile(_OTHERS)
_YEAR = re.compile(r",? ?(?:'s )?(?:(?:from|of|aus|von|от) )?[(\[]?((?:19|20)\d\d)[a-z]?\b[)\]]?")
_YEAR_BEFORE = re.compile(rf"\b((?:19|20)\d\d)(?: {NOUN}(?: by| of| from| von| от| на)?)? $")
_BY = re.compile(rf"\b{NOUN} (?:by|of|from|von|от|на) (?:the )?$")
_BEFORE_NOUN = re.compile(rf"(?:'s?)? (?:{NOUN}\b(?! (?:by|of|from)\b)|(?:19|20)\d\d {NOUN}\b)")
_ORDINALS = {
    name: n
    for n, names in enumerate(
        (
            "first 1st erste ersten erstes първата първия първият първи първото",
            "second 2nd zweite zweiten zweites втората втория вторият втори второто",
            "third 3rd dritte dritten drittes третата третия третият трети третото",
            "fourth 4th vierte vierten viertes четвъртата четвъртия четвърти",
            "fifth 5th funfte funften funftes петата петия пети",
            "sixth 6th sechste sechsten шестата шестия",
            "seventh 7th siebte siebten седмата седмия",
            "eighth 8th achte achten осмата осмия",
            "ninth 9th neunte neunten деветата деветия",
            "tenth 10th zehnte zehnten десетата десетия",
        ),
        start=1,
    )
    for name in names.split()
} | dict.fromkeys("last letzte letzten letztes последната последния последният".split(), -1)
_ORDINAL_ALONE = rf"(?:the |der |die |das |den |dem )?(?P<word>{'|'.join(_ORDINALS)})"
_IN_LIST_NOUN = r"(?:papers?|articles?|artikels?|статия|публикация)"  # a "second study" stands in a paper
_NAMING = "wrote by of about and or with is does did summarise compare the von und ist на и".split()
_BEFORE_NUMBER = "|".join(rf"(?<=\b{word} )" for word in _NAMING)  # "who wrote number 4", but not "trial number 4"
_IN_LIST = re.compile(
    rf"\b{_ORDINAL_ALONE} (?:one|ones|of (?:them|these|those)|{_IN_LIST_NOUN}|davon)\b"
    rf"|(?:\b{_IN_LIST_NOUN}(?: number| no\.?)?|(?:^|{_BEFORE_NUMBER})(?:number|no\.?|nr\.?|nummer|номер|№|(?=#))) ?#?"
    r"(?P<n>\d{1,2})\b(?![.,:]?\d)"
)
_ALONE = re.compile(rf"(?:no[, ]+|i mean(?:t)? |ich meine |имам предвид )?{_ORDINAL_ALONE}(?: please| bitte| моля)?")
_LISTED = re.compile(r"^\d{1,3}\. (“.*)$", re.MULTILINE)


class Plain:
    """A question on one line, folded, without the marks at its end; and which of its characters came from where."""

    def __init__(self, question: str) -> None:
        self.original = " ".join(unicodedata.normalize("NFC", question).split())
        pieces = [fold(char) for char in self.original]
        self._origin = [n for n, piece in enumerate(pieces) for _ in piece]
        self.text = "".join(pieces).rstrip("?.!;。？ ")

    def said(self, start: int, end: int) -> str:
        """The half-open range [start, end) of `text` as the user wrote it."""
        return self.original[self._origin[start] : self._origin[end - 1] + 1] if start < end else ""


@dataclass(frozen=True, slots=True)
class Name:
    """A place in a question where a paper is named: the half-open range [start, end) of the plain question."""

    start: int
    end: int
    papers: tuple[Paper, ...]
    """More than one: the name fits each of them."""
    text: str
    """As the user wrote it."""
    by_words: bool = False
    """Whether only words of the title name it: "the study on rats"."""
    sure: bool = True
    """Whether it can hardly mean anything but a paper of the library: a title, a file, an author with a year."""


@dataclass(frozen=True, slots=True)
class _Found:
    start: int
    end: int
    paper: Paper
    strength: int
    """0 what can only be this paper; 1 author, year; 2 "et al." or two authors; 3 "the Smith paper"; 4 a bare name."""
    first: bool = True
    """Whether it is the first author who is named."""
    by_words: bool = False


def find_names(
    plain: Plain,
    papers: Sequence[Paper],
    *,
    listed: Sequence[Paper] = (),
    bare: bool = False,
    short: bool = False,
) -> tuple[Name, ...]:
    """The names of papers in a question, in order; they do not overlap.

    Args:
        plain: the question.
        papers: those that may be meant.
        listed: the list that was shown last, for "the second one".
        bare: whether a capitalised family name alone is a name.
        short: whether the one word before a title's colon is, "LoRA" of "LoRA: Low-Rank Adaptation".
    """
    words = set(words_of(plain.text)) | set(re.findall(r"\w+", plain.text))
    found = [hit for paper in papers for hit in _hits(plain, paper, words, bare=bare)]
    found += _by_place(plain.text, [paper for paper in listed if paper in papers])
    found += _by_title_words(plain.text, papers)
    found += _by_short_title(plain, papers) if short else ()
    names: list[Name] = []
    for hit in sorted(found, key=lambda hit: (hit.strength, hit.start - hit.end)):
        if any(hit.start < name.end and name.start < hit.end for name in names):
            continue
        same = [o for o in found if (o.start, o.end) == (hit.start, hit.end) and o.strength == hit.strength]
        same = [o for o in same if o.first] or same
        fitting = tuple({o.paper.id: o.paper for o in same}.values())
        names.append(Name(hit.start, hit.end, fitting, plain.said(hit.start, hit.end), hit.by_words, hit.strength < 2))
    return tuple(sorted(names, key=lambda name: name.start))


def marked_text(plain: Plain, names: Sequence[Name]) -> str:
    """The plain question with `NAMED` for each name; "the … paper" and quotation marks around it are part of it."""
    text = plain.text
    for name in reversed(names):
        text = f"{text[: name.start]}{NAMED}{text[name.end :]}"
    text = re.sub(rf"[{MARKS}]{NAMED}[{MARKS}]", NAMED, text)
    article = r"(?:the |der |die |das |den |dem |des )?"
    text = re.sub(rf"{article}{NAMED}(?:'s)?(?: (?:19|20)\d\d)? {NOUN}\b", NAMED, text)
    text = re.sub(rf"{article}{NOUN}(?: (?:by|of|from|von|от|на))?(?: the)? {NAMED}", NAMED, text)
    return text.replace(f"{NAMED}'s", NAMED)


def listed_in(answer: str, papers: Sequence[Paper]) -> list[Paper]:
    """The papers of the numbered list that an answer from the catalogue shows, in its order."""
    return [paper for line in _LISTED.findall(answer) for paper in titles_in(line, papers)[:1] if line.startswith("“")]


def titles_in(text: str, papers: Sequence[Paper]) -> list[Paper]:
    """The papers whose title stands in a text between “ and ”, in its order; of those with one title the first."""
    by_title = {title_of(paper): paper for paper in reversed(papers)}
    found, at = [], 0
    while (start := text.find("“", at)) >= 0:
        ends = [match.start() for match in re.finditer("”", text[start : start + _LONGEST_TITLE])]
        titles = [(end, text[start + 1 : start + end]) for end in reversed(ends)]
        known = next(((end, by_title[title]) for end, title in titles if title in by_title), None)
        at = start + (known[0] if known else 1)
        found += [known[1]] if known else []
    return found


def place_alone(question: str) -> bool:
    """Whether a question says no more than a place in a list: "the second one"."""
    text = Plain(question).text
    return bool(_ALONE.fullmatch(text) or _IN_LIST.fullmatch(text.removesuffix(" please")))


def title_of(paper: Paper) -> str:
    """The title on one line; the file's name where there is none."""
    return " ".join(paper.title.split()) or paper.file_name


def unquoted_title(paper: Paper) -> str:
    """The title without the quotation marks that its publisher put it in: ours come around it."""
    title = title_of(paper)
    return title[1:-1] if re.fullmatch(r'[“"„«][^“"„«”»]+[”"“»]', title) else title


def title_fragment(text: str, papers: Sequence[Paper], *, quoted: bool = False) -> tuple[Paper, ...]:
    """The papers of whose title this is a part: the whole, what stands before its colon, or `FRAGMENT_WORDS` in a row.

    Quoted, any words in a row will do.
    """
    words = folded_words(text)
    while words and words[0] in {"the", "a", "an"} and not quoted:
        words = words[1:]
    if not words:
        return ()
    meaning = [word for word in words if word not in STOP_WORDS]
    whole, part = [], []
    for paper in papers:
        title = folded_words(paper.title)
        short = folded_words(paper.title.partition(":")[0])
        if words in (title, short) or (title[:1] in (("the",), ("a",), ("an",)) and words in (title[1:], short[1:])):
            whole.append(paper)
        elif len(meaning) >= (1 if quoted else FRAGMENT_WORDS) and _stands(words, title):
            part.append(paper)
    return tuple(whole or part)


def _hits(plain: Plain, paper: Paper, words: set[str], *, bare: bool) -> Iterator[_Found]:
    """Where one paper is named by what is known of it."""
    text = plain.text
    for pattern in _sure(paper, words, text):
        yield from (_Found(m.start(), m.end(), paper, 0) for m in pattern.finditer(text))
    for place, author in enumerate(paper.authors):
        forms = family_forms(author)
        if not forms or words.isdisjoint(last_words(author)):
            continue
        pattern = re.compile(
            r"(?<![\w-])(?:" + "|".join(map(_loose, sorted(forms, key=len, reverse=True))) + r")(?![\w-])"
        )
        for match in pattern.finditer(text):
            yield from _by_author(plain, paper, place, match, bare=bare)


def _by_author(  # noqa: C901 - one form of naming a line
    plain: Plain, paper: Paper, place: int, match: re.Match[str], *, bare: bool
) -> Iterator[_Found]:
    text, start, end = plain.text, match.start(), match.end()
    end += len(re.match(r"(?:,? (?:jr|sr)\b\.?)?", text[end:])[0])  # type: ignore[index]
    owner = re.match(r"'s?(?!\w)", text[end:])
    if place and _OTHERS_RE.match(text, end + (owner.end() if owner else 0)):
        return  # "Kumar et al." is named by its first author
    after = end + (owner.end() if owner else 0)
    others = _OTHERS_RE.match(text, after)
    second = None if others else _second(text, after, paper, place)
    at = others.end() if others else second or after
    at += len(re.match(r"(?:'s)?", text[at:])[0])  # type: ignore[index]
    if year := _YEAR.match(text, at):
        if paper.year in (int(year[1]), None):
            yield _Found(start, year.end(), paper, 1 if paper.year else 2, place == 0)
        return
    if before := _YEAR_BEFORE.search(text, 0, start):
        if paper.year in (int(before[1]), None):
            yield _Found(before.start(), at, paper, 1 if paper.year else 2, place == 0)
        return
    if noun := re.match(rf"(?:'s?)? ((?:19|20)\d\d) (?={NOUN}\b)", text[at:]):
        if paper.year in (int(noun[1]), None):
            yield _Found(start, at + noun.end() - 1, paper, 1, place == 0)
        return
    if others or second or (place == 0 and " " in match[0] and is_body(match[0].split())):
        yield _Found(start, at, paper, 2, place == 0)
    elif _BY.search(text, 0, start) or _BEFORE_NOUN.match(text, after):
        yield _Found(start, end, paper, 3, place == 0)
    elif bare and _is_capital(plain, match) and match[0] not in STOP_WORDS:
        yield _Found(start, after, paper, 4, place == 0)


def _is_capital(plain: Plain, match: re.Match[str]) -> bool:
    said = plain.said(match.start(), match.end())
    return any(char.isupper() for char in said)


def _second(text: str, at: int, paper: Paper, place: int) -> int | None:
    """Where " and Jones" ends, if Jones is another author of the paper."""
    joined = re.match(r"(?:, [\w' -]{1,40}?)*,? (?:and|&|und|и) ", text[at:])
    if not joined:
        return None
    start = at + joined.end()
    ends = [
        start + len(found[0])
        for n, author in enumerate(paper.authors)
        if n != place
        for form in family_forms(author)
        if (found := re.match(rf"{_loose(form)}(?![\w-])", text[start:]))
    ]
    return max(ends, default=None)


def _sure(paper: Paper, words: set[str], text: str) -> Iterator[re.Pattern[str]]:
    """Patterns for what can only be this paper: its title, its file, its DOI, its id."""
    title = folded_words(paper.title)
    if len(title) >= TITLE_WORDS and words.issuperset(title[:TITLE_WORDS]):
        rest = "".join(rf"(?:\W+{re.escape(word)}" for word in title[TITLE_WORDS:]) + ")?" * len(title[TITLE_WORDS:])
        yield re.compile(r"(?<!\w)" + r"\W+".join(map(re.escape, title[:TITLE_WORDS])) + rest + r"(?!\w)")
    if title and words.issuperset(title):
        whole = r"\W+".join(map(re.escape, title))
        yield re.compile(rf"(?<=[{MARKS}]){whole}(?=[{MARKS}])" if len(title) > 1 else rf"(?!){whole}")
        if len(title) < TITLE_WORDS:
            yield re.compile(rf"(?<=paper ){whole}\b(?! {NOUN})|\b{whole}(?= (?:paper|article|study)\b)")
    short = _short_title(paper)
    if short in words:
        yield re.compile(
            rf"(?<!\w){re.escape(short)}(?= (?:paper|article|study)\b)|(?<=paper ){re.escape(short)}(?!\w)"
        )
    for known in (paper.file_name, paper.doi, paper.arxiv_id, paper.id):
        if known and len(known) > 5:
            stem = _stem_of_file(known)
            if len(stem) > 3 and stem in text and (re.search(r"\d", stem) or fold(known).endswith(".pdf")):
                ending = r"\.pdf(?!\w)" if not re.search(r"\d", stem) else r"(?:\.pdf)?(?!\w)"
                yield re.compile(rf"(?<![\w/.-])(?:https?://(?:dx\.)?doi\.org/|doi:? ?)?{re.escape(stem)}{ending}")


def _short_title(paper: Paper) -> str:
    """The one word before the title's colon, folded; empty where there is no such word of three letters or more."""
    name, colon, _ = paper.title.partition(":")
    short = fold(name).strip() if colon and len(name.split()) == 1 else ""
    return short if len(short) > 2 else ""


def _by_short_title(plain: Plain, papers: Sequence[Paper]) -> Iterator[_Found]:
    """Find "LoRA" however it is written; a word that is a name by its first letter alone, "Stroke", only with that."""
    for paper in papers:
        if short := _short_title(paper):
            coined = any(char.isupper() or char.isdigit() for char in paper.title.partition(":")[0].strip()[1:])
            for match in re.finditer(rf"(?<![\w-]){re.escape(short)}(?![\w-])", plain.text):
                if coined or _is_capital(plain, match):
                    yield _Found(match.start(), match.end(), paper, 4)


def _by_place(text: str, listed: Sequence[Paper]) -> Iterator[_Found]:
    """Find "the second one", "paper 3", "#3" in the list that was shown last."""
    if not listed:
        return
    for match in [*_IN_LIST.finditer(text), *([alone] if (alone := _ALONE.fullmatch(text)) else [])]:
        number = match.groupdict().get("n")
        n = int(number) if number else _ORDINALS[match["word"]]
        if n == -1 or 1 <= n <= len(listed):
            yield _Found(match.start(), match.end(), listed[n - 1 if n > 0 else -1], 0)


_ARTICLE = re.compile(r"\b(?:the|that|der|die|das|den|dem|my|our|статията|публикацията|изследването|обзора|обзорът)\b")
_PHRASES = (
    re.compile(
        rf"\b(?:the|der|die|das|den|dem|my|our) (?P<words>(?:[\w'-]+ ){{1,6}}?)(?P<noun>{NOUN})\b"
        r"(?! (?:on|about|by|of|from)\b)"
    ),
    re.compile(
        rf"\b(?:the|that|der|die|das|den|dem|my|our) (?P<year>(?:19|20)\d\d )?(?P<noun>{NOUN}) "
        r"(?:about|on|uber|zu|zum|zur|за|относно) (?P<words>(?:[\w'-]+ ){0,7}[\w'-]+)"
    ),
    re.compile(
        r"\b(?P<noun>статията|публикацията|изследването|обзорът|обзора) (?:за|относно) "
        r"(?P<words>(?:[\w'-]+ ){0,7}[\w'-]+)"
    ),
)


def _by_title_words(text: str, papers: Sequence[Paper]) -> Iterator[_Found]:
    """Find "the downy mildew paper", "the review on orientin": each of the words stands in the title."""
    for n, pattern in enumerate(_PHRASES):
        begins = [found.start() for found in _ARTICLE.finditer(text)]  # "the DOI of the downy mildew paper"
        for match in filter(None, (pattern.match(text, at) for at in begins)):
            words = match["words"].split()
            tries = [words] if n == 0 else [words[:end] for end in range(len(words), 0, -1)]
            for tried in tries:
                if fitting := _with_words(tried, papers):
                    end = match.end() if n == 0 else match.start("words") + len(" ".join(tried))
                    yield from (_Found(match.start(), end, paper, 3, by_words=True) for paper in fitting)
                    break


def _with_words(words: Sequence[str], papers: Sequence[Paper]) -> list[Paper]:
    years = {int(word) for word in words if re.fullmatch(r"(?:19|20)\d\d", word)}
    meaning = {stem(word) for word in words if word not in STOP_WORDS and not word.isdigit() and len(word) > 2}
    if not meaning or words[-1] in STOP_WORDS:
        return []
    return [paper for paper in papers if meaning <= _title_stems(paper.title) and (not years or paper.year in years)]


@lru_cache(maxsize=16_384)
def _title_stems(title: str) -> frozenset[str]:
    return frozenset(stem(word) for word in re.findall(r"\w+", fold(title)))


def stem(word: str) -> str:
    """A word without the ending of its plural, so that "rat" meets "rats"."""
    return re.sub(r"(?<=\w\w\w)s$", "", re.sub(r"ies$", "y", word))


@lru_cache(maxsize=65_536)
def _stem_of_file(name: str) -> str:
    return fold(name).removesuffix(".pdf")


def _stands(words: Sequence[str], title: Sequence[str]) -> bool:
    n = len(words)
    return any(tuple(title[at : at + n]) == tuple(words) for at in range(len(title) - n + 1))


def _loose(form: str) -> str:
    """A pattern for a name whose parts may be joined by spaces or hyphens."""
    return r"[\s.-]+".join(re.escape(part) for part in re.split(r"[\s-]+", form))
