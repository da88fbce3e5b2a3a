"""Find section headings and their levels, by how this document sets the headings that everybody knows."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from ingest.known_headings import (
    ABSTRACT,
    CAPTION,
    CENTRAL,
    DECLARATION,
    MAIN_NAME,
    NUMBER,
    OPENING,
    STATEMENT,
    is_known,
    is_numbered,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest.lines import Line, Style

_STOP = re.compile(rf"{NUMBER}\s+[^.]{{2,}}[^\W\d_]{{3}}[.:](?=\s+[A-Z])")
"""A numbered heading up to its stop, where the sentence after it begins in the same slant, with a species' name."""
_ROOM = "(room around it)"
"""Represents the face of headings that differ from the text only by the space around them."""
_ENDED = (".", "!", "?", ":", ")", "]", '"', "”")


class Head(NamedTuple):
    """A heading: the lines `first` to `last`, and of the last one the first `length` characters."""

    first: int
    last: int
    length: int
    level: int


class Named(NamedTuple):
    """The lines `first` to `last`, of the last the first `length` characters, which the document's outline names."""

    first: int
    last: int
    length: int
    depth: int


class _Look(NamedTuple):
    """The typography of a heading."""

    run_in: bool
    """At the beginning of a paragraph's first line."""
    size: float
    bold: bool
    capitals: bool
    italic: bool
    face: str

    @property
    def weight(self) -> tuple[bool, float, bool, bool, bool]:
        return not self.run_in, self.size, self.bold, self.capitals, not self.italic


@dataclass(frozen=True, slots=True)
class _Candidate:
    first: int
    last: int
    length: int
    text: str
    look: _Look
    apart: bool
    """Whether there is more space above it than between lines of text."""

    @property
    def strong(self) -> bool:
        return is_known(self.text) or is_numbered(self.text)


def find_headings(lines: Sequence[Line], body: Style, *, title: set[int], outline: Sequence[Named] = ()) -> list[Head]:
    """The headings among a document's lines, in order.

    `title` holds the indices of the title's lines, `outline` the lines that the document's outline names.
    """
    start = _front_matter_end(lines, body, title)
    candidates = _followed_by_text([c for c in _candidates(lines, body) if c.first >= start], lines, body)
    accepted = _accepted(candidates, lines[start:], body)
    if outline:
        accepted = _as_outlined(
            accepted, [n for n in outline if n.first >= start and n.first not in title], lines, body
        )
    accepted = _without_statements(_without_margins(_without_labels(accepted)))
    levels = _levels(accepted)
    return [Head(c.first, c.last, c.length, _level(c, levels)) for c in accepted]


def _as_outlined(
    accepted: list[_Candidate], named: Sequence[Named], lines: Sequence[Line], body: Style
) -> list[_Candidate]:
    """The candidates with those that the outline names, and without those set as it names none.

    An outline in which not even two headings are found that everybody knows is one of something else.
    """
    outlined = [c for n in named if (c := _outlined(n, lines, body))]
    if sum(is_known(c.text.rstrip(".:—– ")) for c in outlined) < 2:
        return accepted
    taken = {i for c in outlined for i in range(c.first, c.last + 1)}
    others = [c for c in accepted if taken.isdisjoint(range(c.first, c.last + 1))]
    if len({n.depth for n in named}) >= 2:
        looks = {c.look for c in outlined}  # an outline may end above the headings within lines
        others = [c for c in others if is_known(c.text) or (c.look.run_in and c.look not in looks)]
    return sorted([*outlined, *others], key=lambda c: c.first)


def _outlined(named: Named, lines: Sequence[Line], body: Style) -> _Candidate | None:
    first, last, length, _ = named
    line, run_in = lines[first], length < len(lines[last].text)
    text = " ".join([*(x.text for x in lines[first:last]), lines[last].text[:length]]).strip()
    face, size, bold, italic = line.spans[0][1] if run_in else line.style
    look = None if run_in else _look(line, body)
    look = look or _Look(run_in, round(size * 2) / 2, bold, False, italic, face)
    # that it is one is said; what it looks like does not matter
    good = len(text) <= 300 and sum(map(str.isalpha, text)) >= 3 and not CAPTION.match(text)
    return _Candidate(first, last, length, text, look, True) if good else None


def _front_matter_end(lines: Sequence[Line], body: Style, title: set[int]) -> int:
    """The index of the first line that can be a heading: names and addresses look like some."""
    after = max(title, default=-1) + 1
    first_page = [i for i, line in enumerate(lines) if line.page == lines[0].page]
    for i in first_page:
        opens = len(lines[i].text.split()) <= 3 or len(lines[i].spans) > 1
        if opens and OPENING.match(lines[i].text) and i not in title and i > min(title, default=-1):
            return i
    for i in first_page[after:-1]:
        if all(_is_running_text(line, body) and len(line.text) > 40 for line in lines[i : i + 2]):
            return max(after, i - 1)
    return after


def _is_running_text(line: Line, body: Style) -> bool:
    return abs(line.size - body.size) < 0.12 * body.size and len(line.text.split()) >= 4 and " | " not in line.text


def _candidates(lines: Sequence[Line], body: Style) -> list[_Candidate]:
    found: list[_Candidate] = []
    at = 0
    while at < len(lines):
        candidate = _run_in(lines, at, body) or _whole(lines, at, body)
        if candidate:
            found.append(candidate)
            at = candidate.last
        at += 1
    return found


def _followed_by_text(candidates: list[_Candidate], lines: Sequence[Line], body: Style) -> list[_Candidate]:
    """Those candidates after which running text begins, or a heading of which the same holds: no heads of tables."""
    good: list[_Candidate] = []
    for candidate in reversed(candidates):
        after, known = candidate.last + 1, is_known(candidate.text)
        below = bool(good) and good[-1].first == after
        # statements at the end are set smaller as a whole
        styles = (body, lines[candidate.first].style) if known else (body,)
        running = after < len(lines) and any(_is_running_text(lines[after], style) for style in styles)
        if candidate.look.run_in or running or below or (known and candidate.look.size >= 0.9 * body.size):
            good.append(candidate)
    return good[::-1]


def _look(line: Line, body: Style) -> _Look | None:
    """How a line differs from the body, or None if it does not."""
    text, style = line.text, line.style
    capitals = text.isupper() and sum(char.isalpha() for char in text) >= 4
    smallest = (0.78 if MAIN_NAME.fullmatch(text) else 0.7) if style.bold or is_known(text) else 0.9
    if style.size < smallest * body.size or (" | " in text and not is_numbered(text)):
        return None
    larger = style.size > 1.06 * body.size
    if not (larger or capitals or _set_apart(style, body) or style.face != body.face):
        return None
    # all of the line is to be set so; another slant (a species' name) or a script within does not matter
    ends = [*(start for start, _ in line.spans[1:]), len(text)]
    odd = sum(
        end - start
        for (start, other), end in zip(line.spans, ends, strict=True)
        if (other.bold != style.bold or (other.face == body.face != style.face))
        and text[start:end].strip(" .:|0123456789")
    )
    if odd > 0.34 * len(text):
        return None
    return _Look(False, round(style.size * 2) / 2, style.bold, capitals, style.italic, style.face)


def _set_apart(style: Style, body: Style) -> bool:
    return (style.bold and not body.bold) or (style.italic and not body.italic)


def _whole(lines: Sequence[Line], first: int, body: Style) -> _Candidate | None:
    """The heading that begins here, of one or more lines of its own, if it reads like one."""
    look = _look(lines[first], body)
    if look is None:
        return _apart_only(lines, first, body)
    last = first
    while last + 1 < len(lines) and _continues(lines, last, look, body):
        last += 1
    text = " ".join(line.text for line in lines[first : last + 1])
    known = is_known(text)
    clear = look.bold or look.capitals or look.size > 1.06 * body.size
    ends_well = not text.endswith((".", ":")) or known or clear or is_numbered(text)
    if last - first > 3 or last + 1 == len(lines) or not ends_well or not _reads_as_heading(text):
        return None
    before, line = lines[first - 1] if first else None, lines[first]
    above = _look(before, body) if before else None
    heading_above = above is not None and above.weight > look.weight
    if not (known or clear):
        if before and not heading_above and not before.text.endswith(_ENDED) and len(before.text) > 30:
            return None  # the sentence continues
        if lines[last].x_end > _edge(lines, last) - 6 or _look(lines[last + 1], body) == look:
            return None  # a quotation, an abstract
    drop = before.y - line.y if before and before.page == line.page else 0.0
    apart = heading_above or not 0 < drop < 1.3 * max(line.size, body.size)
    return _Candidate(first, last, len(lines[last].text), text, look, apart)


def _apart_only(lines: Sequence[Line], at: int, body: Style) -> _Candidate | None:
    """A short line set as the text is, with room above and below: a heading only if the document has several."""
    line = lines[at]
    if not 0 < at < len(lines) - 1 or line.style != lines[at + 1].style or len(line.spans) > 1 or " | " in line.text:
        return None
    above, below = lines[at - 1], lines[at + 1]
    room = 1.7 * line.size
    if above.page == line.page and 0 < above.y - line.y < room:
        return None
    if below.page != line.page or not room < line.y - below.y < 3.5 * line.size or abs(below.x - line.x) > line.size:
        return None
    width = _edge(lines, at + 1) - line.x
    full = below.x_end - below.x > 0.9 * width and not below.text[0].islower()
    text = line.text
    if not full or line.x_end - line.x > 0.8 * width or text.endswith(_ENDED) or not _reads_as_heading(text):
        return None
    if not text[0].isupper() or len(text.split()) > 14 or abs(line.size - body.size) > 0.3:
        return None
    return _Candidate(at, at, len(text), text, _Look(False, round(line.size * 2) / 2, False, False, False, _ROOM), True)


def _continues(lines: Sequence[Line], last: int, look: _Look, body: Style) -> bool:
    """Whether the next line continues the same heading."""
    line, following = lines[last], lines[last + 1]
    other = _look(following, body)
    faces = ({style.face for _, style in each.spans} for each in (line, following))
    return (
        other is not None
        and line.page == following.page
        and 0 < line.y - following.y < 1.7 * line.size
        and abs(other.size - look.size) < 0.6
        and other.bold == look.bold
        and (other.capitals == look.capitals or len(following.text) < 6)
        and not next(faces).isdisjoint(next(faces))
        and not is_numbered(following.text)
        and not is_known(following.text)
        and not is_known(line.text)
        and following.x < line.x_end
        and not _would_have_fitted(lines, last)
    )


def _would_have_fitted(lines: Sequence[Line], at: int) -> bool:
    """Whether the next line's first word had room at the end of this line: then it was to begin a new one."""
    line, following = lines[at], lines[at + 1]
    if following.x > line.x + line.size:
        return False  # centred
    width = (following.x_end - following.x) / max(1, len(following.text))
    room = _edge(lines, at) - line.x_end
    return not line.text.endswith("-") and (len(following.text.partition(" ")[0]) + 1.5) * width < room


def _edge(lines: Sequence[Line], at: int) -> float:
    """The right edge of a line's column, where most lines near it end."""
    line = lines[at]
    near = (x for x in lines[max(0, at - 15) : at + 15] if x.page == line.page)
    ends = Counter(round(x.x_end / 3) * 3 for x in near if abs(x.x - line.x) < 2.5 * line.size)
    return max(ends, key=lambda end: (ends[end], end), default=0)


def _reads_as_heading(text: str) -> bool:
    letters = sum(char.isalpha() for char in text)
    name = text.partition(" ")[2] if is_numbered(text) else text  # "2.1 Data" has few letters
    return (
        3 <= len(text) <= 220
        and letters >= max(3, 0.6 * len(name.replace(" ", "")))
        and len(text.split()) <= 28
        and not text.endswith((",", ";", "-"))
        and not text[0].islower()
        and text[0] not in "“\"‘'•"
        and not CAPTION.match(text)
        and not re.search(r"@|https?:|doi\.org|www\.", text)
    )


def _run_in(lines: Sequence[Line], at: int, body: Style) -> _Candidate | None:
    """The heading at the beginning of a paragraph's first line, set apart by its face: "*2.1. Animals.* We kept …"."""
    line, last = lines[at], at
    while last < at + 2 and last + 1 < len(lines) and _leads_on(lines, last, body):
        last += 1
    length = _lead(lines[last], body)
    text = " ".join([*(x.text for x in lines[at:last]), lines[last].text[:length]]).strip()
    name = text.rstrip(".:—– ")
    if not length or not _reads_as_heading(name) or len(text.split()) > 24:
        return None
    if abs(line.size - body.size) > 0.12 * body.size and not is_known(name):
        return None
    before = lines[at - 1] if at else None
    near = before is not None and 0 < before.y - line.y < 1.35 * line.size and before.size == line.size
    if before and near and not before.text.endswith(_ENDED) and len(before.text) > 30:
        return None
    face, size, bold, italic = line.spans[0][1]
    if name == text and (near or not bold or not lines[last].text[length].isupper()):
        return None  # without a stop it is one only if it could not be anything else
    return _Candidate(at, last, length, text, _Look(True, round(size * 2) / 2, bold, False, italic, face), not near)


def _leads_on(lines: Sequence[Line], at: int, body: Style) -> bool:
    """Whether all of a line is set apart, and the next line goes on so."""
    line, following = lines[at], lines[at + 1]
    whole = all(style.face == line.style.face or style.size < 0.88 * line.size for _, style in line.spans)
    return (
        whole
        and _set_apart(line.style, body)
        and following.spans[0][1][:2] == line.style[:2]
        and 0 < line.y - following.y < 1.7 * line.size
        and not _would_have_fitted(lines, at)
    )


def _lead(line: Line, body: Style) -> int:
    """Number of characters set apart at the line's start; 0 if none or all are."""
    opening = line.spans[0][1]
    if " | " in line.text or CAPTION.match(line.text):
        return 0
    if not _set_apart(opening, body) and not (opening.face != body.face and is_numbered(line.text)):
        return 0
    for start, style in line.spans[1:]:
        same = style.bold if opening.bold else style.italic if opening.italic else style.face == opening.face
        if not same and style.size > 0.88 * opening.size:
            stop = _STOP.match(line.text[:start])
            return stop.end() if stop else start if len(line.text) - start > 2 else 0
    return 0


def _accepted(candidates: list[_Candidate], lines: Sequence[Line], body: Style) -> list[_Candidate]:
    """The candidates in those styles that this document keeps for headings, and those with a name that all know."""
    lines_of = Counter(look for line in lines if (look := _look(line, body)))
    by_look: dict[_Look, list[_Candidate]] = defaultdict(list)
    for candidate in candidates:
        by_look[candidate.look].append(candidate)
    good: list[_Candidate] = []
    for look, group in by_look.items():
        strong = sum(c.strong for c in group)
        share = sum(c.last - c.first + 1 for c in group) / max(1, lines_of[look])
        larger = look.size > 1.06 * body.size
        if look.face == _ROOM:
            keep = len(group) >= 3
        elif look.run_in:
            keep = strong > 0 or len(group) >= 2
        elif look.bold or larger or look.capitals:
            keep = strong > 0 or (share > 0.35 and (len(group) >= 2 or (larger and look.bold)))
        else:
            keep = (strong > 0 and share > 0.3) or (len(group) >= 2 and share > 0.6)
            if not keep:
                group = [c for c in group if c.apart]  # noqa: PLW2901
                keep = len(group) >= 2
        good += group if keep else [c for c in group if is_known(c.text)]
    return sorted(good, key=lambda c: c.first)


def _without_labels(heads: list[_Candidate]) -> list[_Candidate]:
    """The headings without "Methods:" and its like inside the abstract, also where they stand on lines of their own."""
    opens = re.compile("introduction|background", re.IGNORECASE)
    body = next((i for i, c in enumerate(heads) if not c.look.run_in and opens.search(c.text)), 0)
    heads = [c for i, c in enumerate(heads) if i >= body or not (c.look.run_in and is_known(c.text.rstrip(".:—– ")))]
    abstract = next((i for i, c in enumerate(heads) if ABSTRACT.fullmatch(c.text)), None)
    if abstract is None:
        return heads
    mains = Counter(c.look for c in heads[abstract + 1 :] if MAIN_NAME.fullmatch(c.text) and not c.look.run_in)
    main = max((look for look in mains if mains[look] >= 2), key=lambda look: look.weight, default=None)
    if main is None:
        return heads
    end = next((i for i, c in enumerate(heads) if i > abstract and c.look.weight >= main.weight), abstract + 1)
    return heads[: abstract + 1] + heads[end:]


def _without_margins(heads: list[_Candidate]) -> list[_Candidate]:
    """The headings without "Funding:" and its like in the margin of a first page, which end no section beside them."""
    first = next((i for i, c in enumerate(heads) if CENTRAL.fullmatch(c.text) and not c.look.run_in), 0)
    return [c for i, c in enumerate(heads) if i > first or not (c.text.endswith(":") and DECLARATION.fullmatch(c.text))]


def _without_statements(heads: list[_Candidate]) -> list[_Candidate]:
    """The headings without the roles, names and file labels that stand below those of the statements at the end."""
    good: list[_Candidate] = []
    statement: _Look | None = None
    for head in heads:
        main = not head.look.run_in and MAIN_NAME.fullmatch(head.text)
        if statement and (head.look.weight >= statement.weight or main):
            statement = None
        if statement:
            continue
        good.append(head)
        if STATEMENT.fullmatch(head.text) and not head.look.run_in:
            statement = head.look
    return good


def _levels(accepted: list[_Candidate]) -> dict[_Look, int]:
    """Styles → levels: 1 for the main sections, deeper for what is set less boldly."""
    looks = sorted({c.look for c in accepted}, key=lambda look: look.weight, reverse=True)
    mains = Counter(c.look for c in accepted if MAIN_NAME.fullmatch(c.text))
    main = mains.most_common(1)[0][0] if mains else next(iter(looks), None)
    below = [look for look in looks if main and look.weight < main.weight]
    return {look: min(2 + below.index(look), 4) if look in below else 1 for look in looks}


def _level(candidate: _Candidate, levels: dict[_Look, int]) -> int:
    numbered = re.match(r"(?:\d{1,2}|[A-H])((?:\.\d{1,2})*)\.?\s", candidate.text)
    if numbered:
        return 1 + numbered[1].count(".")
    return 1 if MAIN_NAME.fullmatch(candidate.text) and not candidate.look.run_in else levels[candidate.look]
