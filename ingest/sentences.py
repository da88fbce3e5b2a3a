"""Where each sentence of a text begins and ends: one splitter for papers, passages and answers.

Our own because the libraries for it are made for one language at a time and for prose: none keeps citation markers with
their sentence or knows "O. sanctum", "Fig. S1" and "z. B." in one text, and these rules are a page.

A full stop ends a sentence unless the word before it is an abbreviation, or what follows does not look like the
beginning of one. Abbreviations are of three kinds: those that something always follows (NEVER), those that are followed
by a number (NUMBERED), and those that are followed by a name, whose capital therefore says nothing (NAMED).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def _forms(words: str, *more: Iterable[str]) -> frozenset[str]:
    """The words as written, and as at the beginning of a sentence."""
    listed = [*words.split(), *(word for some in more for word in some)]
    return frozenset(form for word in listed for form in (word, word[0].upper() + word[1:]))


NEVER: Final = _forms(
    """
    Dr Drs Prof Mr Mrs Ms Mx St Ste Mt Rev Hon Messrs Capt Gov Sen Lt Sgt
    Dipl Ing Ph Acad Natl Proc Univ Dept Inst Int Conf Symp Trans
    Assoc Comput Sci approx appr e.g eg i.e ie cf vs v.s viz w.r.t s.t a.k.a i.a et ca c.f aka incl excl esp
    z.B d.h u.a v.a z.T i.d d.R u.U s.o s.u d.i m.a a.W bzw vgl sog bspw evtl ggf gem entspr insb zzgl inkl exkl geb
    т.е напр вж ср т.нар нар проф доц инж акад св фиг табл сб
    """
)
"""Something belongs to these always, whatever its first letter is: "Dr. Lee", "e.g. BERT", "т.е. Тест"."""

NUMBERED: Final = _forms(
    """
    al no nos No Nos nr Nr vol vols p pp ch chap sec secs sect sects Sec Sect tab tabs Tab fig figs Fig Figs eq eqs Eq
    Eqs eqn eqns ref refs Ref Refs app App art pt def thm prop cor lem alg ex para ver v var. ed eds ser min max avg
    hr hrs h mins yr yrs wk wks mo ft lb lbs oz est temp conc std dev init engl
    jan feb mar apr jun jul aug sep sept oct nov dec abb Abb Abs abs Kap kap Bd bd Aufl aufl S Art Gl gl Anm Tel
    стр чл ал т г гл разд прил изд бр № ок
    """,
    "FIG FIGS EQ EQS NO NOS REF REFS SEC TAB VOL CH APP".split(),
)
"""A number belongs to these: "Fig. 3", "et al. 2020", "No. 5". Before anything else they end one: "5 min. Then"."""

NAMED: Final = _forms(
    """
    Inc Ltd resp Acc Ann Adv Co Corp Bros LLC GmbH Jr Sr Esq sp spp ssp subsp var cv pv f nov comb Ph.D M.D D.Sc B.Sc
    M.Sc B.A M.A гр ул бул Calif Mass Conn Ont Linn Benth Willd Mill Lour Burm Cham Poit Mio Mrd
    """
)
"""A name may follow these, as it may follow initials and "U.S.", so only a word of OPENERS begins a sentence there."""

OPENERS: Final = frozenset(
    """
    The This These Those That There Then They Their It Its We Our You Your She His Her I A An In On At For From With
    Without By To Of As After Before During When Where While If Although Though However Moreover Furthermore
    Therefore Thus Hence Additionally Also And But Or Because Since Here How What Which Who Why Such Some Many Most
    Both Each All Another Other Finally First Second Next Not No Yes Our Overall Instead Using Similarly Similar
    Table Figure Results Under Between Among Within Through Despite Due Based Given Recently Currently
    Der Die Das Den Dem Des Ein Eine Einen Es Er Sie Wir Im Am Bei Mit Nach Vor Für Von Zu Zur Zum Auch Dies Diese
    Dieser Dieses Dabei Daher Damit Danach Dann Dort Hier Jedoch Wenn Wie Als Aber Und Auf Aus Durch
    Това Този Тази Тези Те Той Тя Ние В Във На При За От До С Със По Но И А Като Когато След Освен Затова
    """.split()
)
"""Words that begin a sentence far more often than a name."""

_SURNAMES: Final = frozenset("A An I To".split())  # openers that an initial makes a name, or that follow "vitamin"

_ORDINAL_AFTER: Final = frozenset("am im der die das dem den des vom zum zur beim bis seit ab und jeden".split())
_ORDINAL_BEFORE: Final = frozenset(
    """
    Januar Jänner Februar März April Mai Juni Juli August September Oktober November Dezember Jahrhundert Jh Auflage
    Tag Woche Monat Quartal Lebensjahr Semester Weltkrieg
    """.split()
)

_CLOSE = r"[\"'”’“‘»«›‹)\]}*_]"
_MARKER = r"\s*[\[【]\s*(?:passage\s*)?\d{1,3}(?:\s*[,;–-]\s*\d{1,3})*\s*[\]】]"
_RAISED = r"\s*[⁰¹²³⁴-⁹]+(?:[,–⁻-]\s?[⁰¹²³⁴-⁹]+)*"  # how raised marks stand in a stored page
_BREAK = re.compile(
    rf"""[.!?…\n](?:
        (?<!\n)(?<![.!?…]{{2}})[.!?…]*+               # a run of marks,
        ((?:{_CLOSE}|{_MARKER}(?:[–-]{_MARKER})?[.!?]*|{_RAISED})*+)  # what closes after them, markers,
        (\s+(?=\S)|\s*\Z)                             # and space
        |(?<=\n)\s*)""",
    re.VERBOSE | re.IGNORECASE,
)
_MARKER_FIRST = re.compile(r"\s+[\[【]")
_OPEN = re.compile(r"[\"'“”„«»‘’‚‹›(\[{¿¡*_#]*(?:[-–—•·●▪]\s+)?")
_OPENING = "\"'“”„«»‘’‚‹›([{*_"
_BEGINS = frozenset("-–—•·●▪$\\<> ")  # a bullet, a formula, a tag
_SPACE = re.compile(r"\s*")
_WORD = re.compile(r"[^\W\d_]+")
_INITIAL = re.compile(r"[^\W\d_]\.")
_NUMBER = re.compile(r"[(\[#§]*(?:[^\W\d_]*[.-]?\d|[IVXLC]{2,}\b)")
_LETTER = re.compile(r"[\"“„]|[(\[]?[A-Z]+\b")
_MIXED = re.compile(r"[^\W\d_]{1,12}-?(?:\d|[^\W\d_]{0,12}[A-ZА-Я])|[α-ω]")
_LABEL = re.compile(
    r"[\W_]*(?:\d{1,2}|[^\W\d_]|[ivx]{1,4}|(?:fig|figure|figs|tab|table|box|scheme|algorithm|abb|abbildung|tabelle"
    r"|фиг|фигура|табл|таблица)\.?\s*[a-z]?\d{1,3}[a-z]?)",
    re.IGNORECASE,
)
_LOOK_BACK = 32  # characters before a full stop in which its word is looked for
_WHOLE = 4  # letters from which on a word that is in no list is taken for no abbreviation


def sentence_spans(text: str, start: int = 0, end: int | None = None) -> list[tuple[int, int]]:
    """Where each sentence of text[start:end] begins and ends, in order, without the white space around it.

    Markers such as [1] or ³ behind a full stop belong to its sentence. An empty line ends a sentence; so does a
    line's end, unless the next line goes on with a small letter (a sentence that runs over the end of a page).
    """
    text = text.rstrip() if end is None else text  # else white space at the end would pass for what follows a mark
    stop = start + len(text[start:end].rstrip())
    spans, at = [], _next(text, start, stop)
    for match in _BREAK.finditer(text, at, stop):
        if match.end() >= stop:  # nothing follows that could be another sentence
            break
        cut = _end_of_line(text, at, match) if match[2] is None else _end_at_mark(text, at, match)
        if cut is not None:
            spans.append((at, cut))
            at = _next(text, cut, stop)
    if at < stop:
        spans.append((at, stop))
    return spans


def _next(text: str, at: int, stop: int) -> int:
    """The beginning of the next word."""
    space = _SPACE.match(text, at, stop)
    return space.end() if space else at


def is_unfinished(text: str) -> bool:
    """Whether a text ends with an abbreviation that needs a continuation: "as shown in Fig."."""
    words = text[-_LOOK_BACK:].split()
    return bool(words) and words[-1].endswith(".") and words[-1][:-1].lstrip("([") in NEVER


def _end_of_line(text: str, at: int, match: re.Match[str]) -> int | None:
    """Where the sentence that began at `at` ends before a line's end without a full stop; None: it goes on."""
    here, after = match.span()
    before = text[max(at, here - _LOOK_BACK) : here].rstrip()
    if "\n" not in text[here + 1 : after] and (text[after].islower() or before.endswith((",", ";"))):
        return None
    return at + len(text[at:here].rstrip())


def _end_at_mark(text: str, at: int, match: re.Match[str]) -> int | None:
    """Where the sentence that began at `at` ends behind these marks; None: it goes on."""
    here, after = match.span()
    tail, end = match.span(1)
    if text.count("\n", end, after) > 1:  # an empty line
        return end
    opening = _OPEN.match(text, after)
    follows = opening.end() if opening else after
    first, marks = text[follows : follows + 1], text[here:tail]
    words = text[max(at, here - _LOOK_BACK) : here].split()
    if marks == ".":
        is_label = here - at <= _LOOK_BACK and _LABEL.fullmatch(text, at, here)
        closed = text[tail : tail + 1] in {")", "]"}
        ends = not is_label and _ends(text, words, after, follows, closed=closed)
    elif "…" in marks or ".." in marks:
        ends = first.isupper()
    else:
        ends = not first.islower() and words[-1:] != ["Yahoo"]
    if ends and first.islower() and (cited := _MARKER_FIRST.search(text, tail, end)):
        return cited.start()  # "It works. [12] showed that": what is cited begins a sentence
    return end if ends else None


def _ends(  # noqa: PLR0911 - one kind a line
    text: str, words: Sequence[str], after: int, follows: int, *, closed: bool
) -> bool:
    """Whether a full stop ends a sentence.

    Args:
        text: all of it.
        words: those before the full stop; the last one is the word that it follows.
        after: where the text goes on.
        follows: where that text's first word begins, behind an opening bracket or quotation mark.
        closed: whether the full stop stands before a closing bracket.
    """
    word = words[-1].lstrip(_OPENING) if words else ""
    before = words[-2].lstrip(_OPENING) if len(words) > 1 else ""
    first, parts = text[follows : follows + 1], word.split(".")
    letters = (len(word) == 1 or len(parts) > 1) and all(len(part) < 3 and part.isalpha() for part in parts)
    spaced = letters and len(word) == 1 and (before + word in NEVER or (word.islower() and _INITIAL.match(text, after)))
    if word in NEVER or spaced:
        return False
    if closed and (letters or word in NAMED or word in NUMBERED):
        return False
    if word in NAMED or (letters and word[0].isupper()):
        return _opens(text, follows, initial=len(word) == 1)
    if letters or word in NUMBERED:
        numbered = _NUMBER.match(text, after) or (word[0].isupper() and _LETTER.match(text, after))
        return not numbered and first.isupper()
    if first.islower():
        return _is_whole(word) or bool(_MIXED.match(text, follows))
    named = _WORD.match(text, follows)
    if len(word) < 3 and word.isdigit() and named:
        return not (before.casefold() in _ORDINAL_AFTER or named[0] in _ORDINAL_BEFORE)
    return first.isalnum() or first in _BEGINS


def _is_whole(word: str) -> bool:
    """Whether a word that is in no list is certainly not an abbreviation."""
    letters = len(word) >= _WHOLE and word.isalpha() and word.islower()
    return letters or word[-1:] in {")", "]"} or (len(word) > 2 and word[-1].isdigit())


def _opens(text: str, at: int, *, initial: bool) -> bool:
    """Whether the word here begins a sentence where it could also be a name."""
    word = _WORD.match(text, at)
    if not word or word[0] not in OPENERS or _INITIAL.match(text, at):
        return False
    return not (initial and word[0] in _SURNAMES)
