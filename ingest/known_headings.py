"""Things recognised by their words alone: headings of any paper, their numbers, captions, names of journals."""

from __future__ import annotations

import re

NUMBER = r"(?:(?:\d{1,2}(?:\.\d{1,2}){0,3}|[IVX]{1,5}|[A-H](?:\.\d{1,2}){0,2})[.)]?)"
_LABEL = rf"(?:{NUMBER}\s+(?:\|\s+)?)?"
_NUMBERED = re.compile(rf"({NUMBER})\s+(?:\|\s+)?([^\W\d_][^|]*)", re.DOTALL)
_MAIN_NAMES = (
    r"introduction|background|methods?|methodology|(?:materials?|patients?|subjects?) (?:and|&) methods?|"
    r"methods? and materials?|experimental(?: section)?|results?(?: (?:and|&) discussions?)?|discussions?|conclusions?|"
    r"summary|statement of need|acknowledge?ments?|references"
)
_KNOWN = re.compile(
    rf"{_LABEL}(?:{_MAIN_NAMES}|(?:structured )?abstract|related works?|experiments?|general discussion|"
    r"experimental (?:procedures?|methods|setup)|(?:summary and )?conclusions? and .{3,30}|concluding remarks|"
    r"limitations|references and notes|bibliography|literature cited|works cited|appendi(?:x|ces).{0,60}|"
    r"(?:data|code) availability.{0,20}|availability of .{3,40}|authors?[’']? ?contributions?|"
    r"(?:declaration of )?(?:competing|conflicting) interests?|"
    r"(?:declaration of )?conflicts? of interests?(?: statement)?|"
    r"funding(?: .{3,20})?|keywords|abbreviations|supplementa(?:ry|l) .{3,30}|additional files?|ethics? .{3,40})\W*",
    re.IGNORECASE,
)
MAIN_NAME = re.compile(rf"{_LABEL}(?:{_MAIN_NAMES})\W*", re.IGNORECASE)
_REFERENCES = re.compile(
    rf"{_LABEL}(?:r\s*e\s*f\s*e\s*r\s*e\s*n\s*c\s*e\s*s(?: and notes| cited)?|(?:notes and )?references|reference list|"
    r"bibliography|literature(?: cited)?|works cited|literatur(?:verzeichnis)?|références(?: bibliographiques)?|"
    r"bibliographie|referencias(?: bibliográficas)?|bibliograf[ií]a|referências(?: bibliográficas)?|参考文献)\W*",
    re.IGNORECASE,
)
ABSTRACT = re.compile(rf"{_LABEL}(?:structured )?a\s*b\s*s\s*t\s*r\s*a\s*c\s*t\W*", re.IGNORECASE)
STATEMENT = re.compile(
    rf"{_LABEL}(?:authors?[’']? ?contributions?|credit .{{3,40}}|supporting information(?: legends)?|"
    r"supplementa(?:ry|l) .{3,30}|additional (?:files?|information))\W*",
    re.IGNORECASE,
)
DECLARATION = re.compile(
    r"(?:(?:data|code) availability(?: statement)?|funding(?: .{3,20})?|(?:competing|conflicting) interests?"
    r"|conflicts? of interests?|citation|(?:academic )?editor|copyright|received)\W*",
    re.IGNORECASE,
)
CENTRAL = re.compile(
    rf"{_LABEL}(?:methods?|(?:materials?|patients?|subjects?) (?:and|&) methods?|results?(?: (?:and|&) discussions?)?"
    r"|discussions?|conclusions?)\W*",
    re.IGNORECASE,
)
OPENING = re.compile(
    rf"{_LABEL}(?:summary|introduction|background|statement of need|a\s*b\s*s\s*t\s*r\s*a\s*c\s*t)\b", re.IGNORECASE
)
CAPTIONED = r"(?:fig(?:ure|s)?|table|scheme|chart|box|plate|algorithm|listing)"
CAPTION = re.compile(
    rf"(?:supplementa(?:ry|l) |extended data |online )?{CAPTIONED}\.?\s*(?:[A-Z]?\d{{1,3}}[A-Za-z]?|[IVX]{{1,4}})\b",
    re.IGNORECASE,
)


def is_references(heading: str) -> bool:
    """Whether a heading begins the list of references."""
    return bool(_REFERENCES.fullmatch(heading.strip()))


def is_known(text: str) -> bool:
    """Whether this is a heading that any paper may have."""
    return bool(_KNOWN.fullmatch(text))


def is_numbered(text: str) -> bool:
    """Whether a heading begins with a number, as "2.1 Methods" or "IV. Results" does."""
    numbered = _NUMBERED.fullmatch(text)
    if not numbered:
        return False
    number, text = numbered[1], numbered[2]
    return (text[0].isupper() or "." in number[:-1]) and (len(number) > 1 or number.isdigit())


_ISSUE = re.compile(
    r"\b(?:vol(?:ume)?|no|nr|issue|issn)\b\.?:?\s*\d|\((?:19|20)\d\d\)\s*\d|\b\d+\s*\((?:\d+|(?:19|20)\d\d)\)",
    re.IGNORECASE,
)
_DATED = r"[\s,.;:(|–-]*(?:vol(?:ume)?\b\.?\s*\d|(?:19|20)\d\d\b|\d+\s*(?:\(\d+\)\s*)?:\s*\d+)"


def is_periodical(text: str, shown: str) -> bool:
    """Whether a text on the first page names a journal: it gives the issue, or elsewhere a year or volume follows it.

    Args:
        text: set in large type, or given as the title.
        shown: the first pages in full, running heads included.
    """
    if _ISSUE.search(text):
        return True
    words = re.findall(r"\w+", text)
    if not 1 <= len(words) <= 10:
        return False
    return bool(re.search(r"\b" + r"\W+".join(words) + _DATED, shown, re.IGNORECASE))


_RETRACTED = re.compile(
    r"\W*(?:this )?(?:article |paper |publication )?(?:has been |was )?(?:retracted|withdrawn)"
    r"(?: article| paper| publication)?\W*",
    re.IGNORECASE,
)
_NOTICE_TITLE = re.compile(
    r"\W{0,3}(?:retracted(?: article| paper| publication)?|retraction(?: (?:note|notice)(?: to)?| to)|withdrawn)"
    r"\s*[:–—]",
    re.IGNORECASE,
)
_PAPER = r"(?:article|paper|publication|manuscript)"
_NOTICE = re.compile(
    rf"^\W{{0,3}}(?:This\s+{_PAPER}\s+(?:has\s+been|is)\s+(?:formally\s+|fully\s+)?retracted"
    rf"|(?:The|At)\b(?:[^\w.?!]{{1,3}}[\w-]+){{0,20}}?[^\w.?!]{{1,3}}(?:has|have)\s+retracted\s+this\s+{_PAPER})\b",
    re.MULTILINE,
)
"""A sentence at the beginning of a line; within a line it may be a question in a paper about retractions."""
_RETRACTION = re.compile(r"\W{0,3}retraction\s*[:–—]", re.IGNORECASE)
_RETRACTS = re.compile(rf"\bretracts?\s+(?:this|our|the\s+above)\s+{_PAPER}\b", re.IGNORECASE)


def is_retraction_stamp(text: str, *, large: bool) -> bool:
    """Whether a line says only "RETRACTED", in capitals: in several words, or in large type.

    "WITHDRAWN" alone may count participants who left a trial.
    """
    spaced = re.fullmatch(r"\W*(?:\w\s+)+\w\W*", text)
    plain = "".join(text.split()) if spaced else text
    return (
        plain.isupper()
        and bool(_RETRACTED.fullmatch(plain))
        and (len(plain.split()) > 1 or (large and re.sub(r"\W", "", plain) != "WITHDRAWN"))
    )


def is_notice(title: str, text: str = "") -> bool:
    """Whether a title or the text of the first page says that this paper has been retracted."""
    if _NOTICE_TITLE.match(title) or _NOTICE.search(text):
        return True
    return bool(_RETRACTION.match(title) and _RETRACTS.search(text))  # or it is about retractions
