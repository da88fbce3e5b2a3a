"""Who wrote it: the names in author fields of any form, and those that stand below the title."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ingest.lines import squash, unescaped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest.layout import Layout
    from ingest.lines import Line

_MAX_AUTHORS = 9_000
"""Characters of an author field that are looked at."""

_ACCENTS = dict(
    zip("´`¨ˆ˜ˇ˘¸˚¯˙˝˛", "\u0301\u0300\u0308\u0302\u0303\u030c\u0306\u0327\u030a\u0304\u0307\u030b\u0328", strict=True)
)
_LOOSE_ACCENT = re.compile(f"(?<!\\d)([^\\W\\d_]?)([{''.join(_ACCENTS)}])(\\s?)([^\\W\\d_]?)")
_MARK = r"\d¹²³⁰⁴-⁹⁺*∗⁎†‡§¶‖#♯✉⋆☆★☯¤◊□■△▲○●ǂªºʰ-ʸˡˢˣᴬ-ᵡᶛ-ᶿⁱⁿ"
_MARKS = re.compile(rf"[{_MARK}]+(?:\s*,\s*[{_MARK}]+)*")
_BETWEEN = re.compile(
    r"[,;•·∙|/:\x1f\t、，；()\[\]{}]|(?<!\S)(?:and|und|et|with|by|for|on behalf of)(?![^\s:])|&|(?<!\S)\ufffd(?!\S)",
    re.IGNORECASE,
)
_CONTACTS = re.compile(
    r"https?://\S+|\{[^}]{1,200}\}\s?@\s?\S{1,99}|\S{1,64}\s?@\s?\S{1,99}|\borcid(?:\.org)?\S*|"
    r"\d{4}-\d{4}-\d{4}-\d{3}[\dX]|\bet al\b\.?",
    re.IGNORECASE,
)
_DEGREE = re.compile(
    r"(?<=[\s,;\d*†‡])(?:(?:Ph\.?\s?D|M\.?\s?D|D\.?\s?Sc|M\.?\s?Sc|B\.?\s?Sc|M\.?P\.?H|M\.?B\.?B\.?S|D\.?D\.?S|B\.?D\.?S|"
    r"M\.?D\.?S|D\.?V\.?M|Pharm\.?\s?D|Dr\.?\s?P\.?H|F\.?R\.?C\.?[SP]|Ed\.?D|Psy\.?D|Dipl\.?-?\s?Ing)\.?\s*)+"
    rf"(?=[,;•·∙|&()\x1f{_MARK}]|and\b|$)"
)
_HONORIFIC = re.compile(r"^(?:(?:Prof|Professor|Dr|Mr|Mrs|Ms|Sir)\b\.?\s*)+", re.IGNORECASE)
_NOT_A_PERSON = re.compile(
    r"(?:senior |student |life |graduate student )?(?:member|fellow)|ieee|acm|equal contribution|stable url",
    re.IGNORECASE,
)
_PARTICLES = frozenset(
    "van von der den de da di do du dos das del della dello degli la le los las el al bin ibn ben ter ten te zu zum "
    "zur af av e y i 't ’t ‘t".split()
)
_BROKEN = re.compile(rf"(?: (?:{'|'.join(sorted(_PARTICLES))}))+$")
"""Particles at a line's end, whose family name stands on the next."""
_COLLECTIVE = re.compile(
    r"\b(?:consortium|collaboration|investigators|initiative|(?:study|working) group|network)\b", re.IGNORECASE
)
PLACE = re.compile(
    r"universi|institut|departament|department|\bdept|école|\bschool|college|facult|fakult|hospital|clinic|klinik|"
    r"laborator|\blabs?\b|\bcent(?:re|er|ro)\b|academy|academia|ministr|division|\bunit\b|\binc\b|\bltd|gmbh|\bcorp|"
    r"company|council|foundation|\bprogram|research|scien[ct]|technolog|engineering|medicin|medical|national|agency|"
    r"associat|society|campus|avenue|\broad\b|p\.?\s?o\.? box|consulting|organi[sz]ation|bibliot|\blibrary\b|"
    r"hochschule|observator|museum|大学|学院|研究|公司|医院|대학|@|\d{4}|"
    r"\b(?:eth|epfl|kth|mit|cnrs|inria|csic|google|microsoft|facebook|meta ai|deepmind|openai|nvidia|amazon|ibm)\b|"
    r",\s*(?:usa|u\.s\.a|uk|united (?:states|kingdom)|india|china|germany|france|italy|spain|japan|korea|canada|"
    r"australia|brazil|iran|pakistan|malaysia|indonesia|egypt|turkey|netherlands|belgium|sweden|norway|finland|denmark|"
    r"austria|switzerland|poland|portugal|greece|russia|mexico|israel|saudi arabia|singapore|taiwan|thailand)\.?$",
    re.IGNORECASE,
)
_END = re.compile(
    r"\W*(?:a\s?b\s?s\s?t\s?r\s?a\s?c\s?t|summary|(?:\d\.?\s*|i\.\s*)?introduction|background|key\s?words|index terms|"
    r"received|submitted|accepted|published|correspond|edited by|reviewed by|academic\s?editor|copyright|©|"
    r"article (?:info|hist)|a r t i c l e|doi\b|how to cite|citation|highlights|open access|statement of need)",
    re.IGNORECASE,
)
_ABOVE_NAMES = re.compile(r"\W*(?:received|submitted|accepted|published|copyright|©|doi\b|open access)", re.IGNORECASE)
"""What can stand between the title and the names, too."""
_AUTHORS_FIELD = re.compile(r"\W*(?:author(?:\(s\)|s)?|review by)\s*:\s*", re.IGNORECASE)
_FIELD = re.compile(r"\W*[^\W\d_](?:[\w()]|\s(?=\S)){2,24}\s?:(?=\s|$)")
"""Cover sheets, such as JSTOR's, have a line for each fact: "Author(s): …", "Source: …", "Stable URL: …"."""
_MAIL = re.compile(r"([^\s@{},;]{2,64})\s?@\s?\S{3,99}")
_INITIALS = re.compile(r"(?:[^\W\d_]\.[\s-]?){1,4}")
_ICON = re.compile(r"(?<=[^\W\d_])\s*(?<![A-Z\d])i?ID$|\s(?:ID|iD)$")
"""What is left of ORCID's sign behind a name."""
_MAX_ROWS, _MAX_ROW = 60, 1000
"""Rows under the title, and characters in each, that are looked at: a hostile page must not cost time."""


@dataclass(frozen=True, slots=True)
class _Row:
    """What stands at one height of the page."""

    text: str
    size: float
    bold: bool


def printed_authors(layout: Layout, title: str) -> list[str]:
    """The names between the title and the abstract or the affiliations, in the order printed."""
    names = _names_in(_rows(_below_title(layout.first_page, title, layout.title_lines)))
    if names:
        return names
    # behind a cover sheet the paper itself begins on the second page
    text = layout.pages[1].text[:4000] if len(layout.pages) > 1 else ""
    after = _after(squash(title), text)
    return _names_in([_Row(composed(line), 0.0, bold=False) for line in after.split("\n")])


def _after(sought: str, text: str) -> str:
    """What follows the first place at which the text says what is sought, spaces and accents put aside."""
    squashed, ends = "", []
    for end, char in enumerate(text, start=1):
        plain = squash(char)
        squashed += plain
        ends += [end] * len(plain)
    at = squashed.find(sought) if sought else -1
    return text[ends[at + len(sought) - 1] :].lstrip(" .*\n") if at >= 0 else ""


def _below_title(lines: Sequence[Line], title: str, title_lines: Sequence[Line]) -> list[Line]:
    """The lines under the title, without those that stand beside its column."""
    whole = squash(title)
    shown = [line for line in lines if len(key := squash(line.text)) >= 4 and key in whole] or list(title_lines)
    first = max(shown, key=lambda line: (round(line.size), line.y), default=None)
    if first is None:
        return []
    block = [first]
    for line in sorted(shown, key=lambda line: -line.y):
        if 0 < block[-1].y - line.y < 2.6 * first.size:
            block.append(line)
    left, bottom = min(line.x for line in block), min(line.y for line in block)
    flush = len(block) > 1 and all(abs(line.x - left) < 2 for line in block)
    return [line for line in lines if line.y < bottom - 0.3 * first.size and (not flush or line.x > left - 20)]


def _rows(lines: Sequence[Line]) -> list[_Row]:
    """The lines from top to bottom, pieces at one height joined; a tab stands for a gap between columns."""
    rows: list[list[Line]] = []
    for line in sorted(lines, key=lambda line: -line.y):
        height = max(line.size, *(other.size for other in rows[-1])) if rows else 0.0
        if rows and rows[-1][0].y - line.y < 0.6 * height:
            rows[-1].append(line)
        else:
            rows.append([line])
    built = []
    for row in rows[:_MAX_ROWS]:
        row.sort(key=lambda line: line.x)
        text, end = row[0].text, row[0].x_end
        for line in row[1:]:
            text += ("\t" if line.x - end > 2 * line.size else " ") + line.text
            end = line.x_end
        widest = max(row, key=lambda line: len(line.text))
        built.append(_Row(composed(text[:_MAX_ROW]), widest.size, widest.bold))
    return built


def _names_in_field(rows: Sequence[_Row]) -> list[str]:
    """The names of a field that is called "Author(s):", however many rows it takes; none where there is no such."""
    start = next((n for n, row in enumerate(rows[:7]) if _AUTHORS_FIELD.match(row.text)), len(rows))
    texts = [_AUTHORS_FIELD.sub("", row.text, count=1) for row in rows[start : start + 1]]
    for row in rows[start + 1 :]:
        if _FIELD.match(row.text) or _END.match(row.text) or PLACE.search(row.text) or is_prose(row.text):
            break
        texts.append(row.text)
    return [_in_title_case(name) for name in stated_authors([" ".join(texts)]) if _is_name(name)]


def _names_in(rows: Sequence[_Row]) -> list[str]:
    if named := _names_in_field(rows):
        return named
    blocks: list[list[_Row]] = []
    previous: _Row | None = None
    marked_first = False
    for number, row in enumerate(rows):
        if not blocks and _ABOVE_NAMES.match(row.text) and not is_prose(row.text):
            continue
        if _END.match(row.text) or (not blocks and number > 6):
            break
        names = _is_row_of_names(row.text, continues=bool(blocks) and previous is blocks[-1][-1])
        if not blocks:
            if names or (names := bool(_leading_names(row.text))):
                blocks.append([row])
                marked_first = bool(_MARKS.match(row.text))
        elif (
            names
            and previous is blocks[-1][-1]
            and _is_set_as(row, blocks[-1][0])
            and (marked_first or not _MARKS.match(row.text))
        ):
            blocks[-1].append(row)
        elif names and previous and _opens_a_block(row, blocks[0][0], previous):
            blocks.append([row])
        previous = row
    found = [name for block in blocks for name in _names_of_block(block)]
    if blocks:
        found = _apart(found, rows[rows.index(blocks[-1][-1]) + 1 :])
    return list(dict.fromkeys(_without_letter_marks(found, rows)))


def _apart(names: list[str], below: Sequence[_Row]) -> list[str]:
    """The names, those of two people side by side taken apart where two addresses stand below them."""
    if len(names) != 1 or len(words := names[0].split()) < 4:
        return names
    near = []
    for row in below[:5]:
        if _END.match(row.text):
            break
        near.append(row.text)
    mails = [squash(mail) for mail in _MAIL.findall(" ".join(near))]
    if len(mails) < 2 and not any("\t" in text or " | " in text for text in near):
        return names
    splits = [(" ".join(words[:n]), " ".join(words[n:])) for n in range(2, len(words) - 1)]
    splits = [pair for pair in splits if all(map(_is_name, pair)) and not pair[0].endswith(".")]

    def mailed(pair: tuple[str, str]) -> int:
        return sum(any(squash(name.split()[-1]) in mail for mail in mails) for name in pair)

    best = max(splits, key=mailed, default=None)
    return list(best) if best else names


def _is_set_as(row: _Row, other: _Row) -> bool:
    return row.bold == other.bold and abs(row.size - other.size) < 0.6


def _opens_a_block(row: _Row, first: _Row, previous: _Row) -> bool:
    """Whether a row under an affiliation is set as the first names are, and the affiliation is not."""
    mailed = "@" in previous.text or ("@" in row.text and "@" in first.text)
    return _is_set_as(row, first) and (mailed or not _is_set_as(row, previous))


def _names_of_block(rows: Sequence[_Row]) -> list[str]:
    pieces = [[piece for piece in _pieces(row.text) if piece] for row in rows]
    alone = len(rows) > 1 and all(len(row) == 1 and _is_name(row[0]) for row in pieces)
    text = ("\x1f" if alone else " ").join(row.text for row in rows)
    bare = _without_contacts(text)
    names = [name for name in _pieces(text) if _is_name(name)] if not PLACE.search(bare) else _leading_names(text)
    return [_in_title_case(name) for name in names]


def _leading_names(text: str) -> list[str]:
    """The names at the head of a line that goes on with an affiliation."""
    pieces = [piece for piece in _pieces(text) if piece]
    count = next((n for n, piece in enumerate(pieces) if not _is_name(piece) or PLACE.search(piece)), len(pieces))
    return pieces[:count] if re.search(r"[,\d(]", text) else []


def _is_row_of_names(text: str, *, continues: bool) -> bool:
    if "@" in text:  # a name and an e-mail address
        text = _without_contacts(text)
        if sum(map(str.isalpha, text)) < 4:
            return False
    if PLACE.search(text) or is_prose(text):
        return False
    pieces = [piece for piece in _pieces(text) if piece and not _NOT_A_PERSON.fullmatch(piece)]
    names = [piece for piece in pieces if _is_name(piece)]
    parts = [_BROKEN.sub("", piece) for piece in pieces if piece not in names]
    # a name that is broken at a line's end leaves one word on either side
    ends = bool(pieces and continues and _INITIALS.fullmatch(pieces[-1]))
    allowed = 2 if names or ends else int(continues)
    return (
        bool(names or continues)
        and len(parts) <= allowed
        and all(_INITIALS.fullmatch(part) or _is_name(f"A. {part}") for part in parts)
    )


def is_prose(text: str) -> bool:
    """Whether a text has three small words or more, as sentences have."""
    small = [word for word in re.findall(r"[^\W\d_]{3,}", text) if word.islower() and word not in _PARTICLES]
    return len([word for word in small if word != "and"]) >= 3


def _without_contacts(text: str) -> str:
    return _CONTACTS.sub(" ", text)


def _pieces(text: str) -> list[str]:
    """The text between commas, marks and "and", without e-mail addresses, degrees and titles."""
    plain = _DEGREE.sub(" ", _without_contacts(composed(text)))
    plain = re.sub(r",\s*(?=(?:Jr|Sr|I{2,3})\b)", " ", plain)
    pieces = _BETWEEN.split(_MARKS.sub("\x1f", plain))
    plain_pieces = (re.sub(r"(?:^|\s)[a-h]$", "", " ".join(piece.split()).strip(" -–—~_")) for piece in pieces)
    return [_ICON.sub("", _HONORIFIC.sub("", piece)) for piece in plain_pieces]


def composed(text: str) -> str:
    """The text with accents that stand beside their letter put onto it, as old TeX fonts draw them."""

    def put(found: re.Match[str]) -> str:
        before, accent, space, after = found[1], _ACCENTS[found[2]], found[3], found[4]
        on_before, on_after = (
            unicodedata.normalize("NFC", letter.replace("ı", "i") + accent) if letter else ""
            for letter in (before, after)
        )
        # the letter after is the usual one; it is not where the accent ends a word or fits the one before better
        ends = before == "ı" or (space and before.lower() in "aeiou") or len(on_after) != 1
        if before and ends and len(on_before) == 1:
            return f"{on_before}{space}{after}"
        return f"{before}{on_after}" if len(on_after) == 1 else f"{before}{space}{after}"

    return unicodedata.normalize("NFC", _LOOSE_ACCENT.sub(put, text))


def _is_name(piece: str) -> bool:
    """Whether a text is built as a person's or a consortium's name is."""
    words = piece.split()
    if _COLLECTIVE.search(piece):
        return 2 <= len(words) <= 12
    if len(words) == 1 and re.fullmatch(r"[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af·]{2,6}", piece):
        return True
    if not 2 <= len(words) <= 7 or PLACE.search(piece) or _NOT_A_PERSON.fullmatch(piece):
        return False
    if any(
        not re.fullmatch(r"[^\W\d_][^\W\d_.'’`´‘-]*(?:[-.'’‐‑][^\W\d_]*)*[.'’]?|d['’][^\W\d_]+|['’‘]t", word)
        for word in words
    ):
        return False
    strong = [word for word in words if word not in _PARTICLES and not word.startswith(("d'", "d’"))]
    return (
        bool(strong)
        and all(not word[0].islower() or re.match(r"(?:al|el|d|ul)[-‐‑'’]", word) for word in strong)
        and any(sum(char.isalpha() for char in word) >= 2 for word in strong)
        and words[-1] not in _PARTICLES
    )


def _without_letter_marks(names: list[str], rows: Sequence[_Row]) -> list[str]:
    """The names without the letters that refer to affiliations, where the affiliations begin with such letters."""
    letters = {
        found[1] for row in rows if (found := re.match(r"([a-h])\s?(?=[A-Z])", row.text)) and PLACE.search(row.text)
    }
    marked = [name for name in names if name[-1] in letters]
    if "a" not in letters or len(marked) < len(names):
        return [re.sub(r"\s[a-h]$", "", name) for name in names]
    return [name[:-1].rstrip() for name in names]


def _in_title_case(name: str) -> str:
    """A name set in capitals throughout as one writes it in a sentence."""
    if sum(char.isalpha() for char in name) < 6 or not name.isupper():
        return name

    def cased(word: re.Match[str]) -> str:
        small = word[0].lower()
        return small if small in _PARTICLES else word[0].capitalize() if len(small) > 2 else word[0]

    return re.sub(r"[^\W\d_]+", cased, name)


# ---- what the file states -------------------------------------------------------------------------------------------


def stated_authors(texts: Sequence[str]) -> list[str]:
    """The names in author fields of any form: one field per person, or all in one field."""
    texts = [_without_contacts(unescaped(text[:_MAX_AUTHORS])) for text in texts]
    if len(texts) > 1:
        return [name for text in texts if (name := _given_first(text))]
    names = []
    for text in texts:
        parts = [part for part in re.split(r";|\s+and\s+|&", text) if part.strip()]
        if all(_is_inverted(part) for part in parts):
            names += [_given_first(part) for part in parts]
        else:
            names += _pieces(text)
    return [name for name in names if squash(name)]


def _is_inverted(text: str) -> bool:
    """Whether a text is one name written "Family, Given" and not two names."""
    family, comma, given = (piece.strip() for piece in text.partition(","))
    return bool(comma and given) and "," not in given and not (_is_name(family) and _is_name(given))


def _given_first(text: str) -> str:
    """One person's name with the given names first, without marks and degrees."""
    pieces = [piece for piece in _pieces(_MARKS.sub(" ", text)) if piece]
    return " ".join(reversed(pieces)) if len(pieces) == 2 else " ".join(pieces[:1])


def shown_in(names: Sequence[str], text: str) -> list[str]:
    """The names whose family name the text shows as a word, or, if it is long, anywhere."""
    words, letters = set(re.findall(r"[^\W\d_]+", text.casefold())), squash(text)
    families = [name.split()[-1].casefold() for name in names]
    return [
        name
        for name, family in zip(names, families, strict=True)
        if set(re.findall(r"[^\W\d_]+", family)) <= words or (len(squash(family)) > 5 and squash(family) in letters)
    ]


def chosen(stated: list[str], printed: list[str]) -> list[str]:
    """The printed list, unless it lacks somebody whom a stated list of several people names."""
    families = {squash(name.split()[-1]) for name in printed}
    if len(stated) < 2 <= len(printed) or (printed and families >= {squash(name.split()[-1]) for name in stated}):
        return printed
    return stated or printed
