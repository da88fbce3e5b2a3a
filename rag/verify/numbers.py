"""Numbers as papers and models write them: value, unit, sign of comparison, and when two mean the same."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final

_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺−–", "0123456789-+--")
_POWER = r"(?:\^\s?\{?[-−–+]?\d{1,2}(?!\d)\}?|[⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]{1,2}|<sup>[-−–+]?\d{1,2}</sup>)"
NUMBER: Final = (
    r"(?P<number>(?:(?<![\w.)\]%])[-−]|(?<![\w.)\]%])(?<!\d\s)–)?"
    r"(?:(?:\d{1,3}(?:(?:,\d{3})+(?!,?\d)|(?:[\u2009\u202f\u00a0]\d{3}| 000)+(?!\d))|\d+)"
    rf"(?:\.\d+|·(?!10{_POWER})\d+|(?<!\d,\d{{3}}),(?:\d{{1,2}}|\d{{4,}})(?!\d|[.,]\d|[-‐][^\W\d]))?|(?<!\w)\.\d+))"
    rf"(?P<power>(?:\s?(?:[×x·⋅∙*]|\\times)\s?10|(?<=\b10)){_POWER}|[eE][-−–+]?\d{{1,2}}(?!\w))?"
    r"(?:\s?(?P<percent>%|per\s?cent\b|percent|[Pp]rozent\b|процент\w*)|(?P<suffix>[^\W\d_]+))?"
)
"""A number in a regular expression; `written` says what it means. A comma before three digits groups them, before any
other count of them it is a decimal comma."""

_SPACED = re.compile(
    r"(?:(?P<word>[^\W\d_]+)\.?\s)?(?<![\w.,–-])(?<!\d )[1-9]\d{0,2}(?: \d{3}){1,2}(?!\w|[.,]\d| \d|\s?%)"
)
_LISTED = re.compile(
    r"(?P<word>(?<![^\W\d_])[^\W\d_]+s\s)?(?P<open>[(\[{])?(?<![\w.,])(?P<one>\d+),(?P<other>\d{1,2})(?![\w.,%])(?P<shut>[)\]}])?"
)
_RUN = re.compile(
    r"(?<![\w.,])\d{1,3}(?:,\d{1,2}){2,}(?![\w%]|[.,]\d)|(?<![\w.,])\d+,\d{1,2}(?=,? (?:and|or|&) \d+(?![\d%]|[.,]\d))"
)
_LABELS: Final = frozenset(
    """
    table tables figure figures fig section group groups arm day week month year phase stage type grade level class case
    step cohort study experiment experiments trial line row column page chapter batch version model round set task layer
    layers visit session dose patient subject site plot sample samples equations references tabelle abbildung gruppe tag
    woche таблица фигура група ден
    """.split()
)
"""What follows one of these is a name: "group 1 250 patients" has no 1,250, and "layers 1,2" no 1.2."""

_GERMAN: Final = frozenset(
    """
    der die das den dem des und ist sind waren wird wurde wurden ein eine einen einem einer eines mit von für auf bei zu
    zum zur im am nicht kein keine nach aus durch über betrug betrugen lag sich auch als wie oder pro
    """.split()
)
_ENGLISH: Final = frozenset("the of and is are was were with for to an by from at in on that this".split())

COUNTED: Final = dict(
    zip(
        "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
        "eighteen nineteen".split(),
        range(1, 20),
        strict=True,
    )
)
_TENS: Final = dict(
    zip("twenty thirty forty fifty sixty seventy eighty ninety".split(), range(20, 100, 10), strict=True)
)
SCALES: Final = {
    "k": 3, "thousand": 3, "m": 6, "mn": 6, "million": 6, "millions": 6, "b": 9, "bn": 9, "billion": 9, "hundred": 2,
}  # fmt: skip
_SYNONYMS = (
    "% percent percentage", "s sec secs second seconds", "ms millisecond milliseconds", "min mins minute minutes",
    "h hr hrs hour hours", "day days", "week weeks", "month months", "year years", "kb kib", "mb mib", "gb gib",
    "tb tib", "byte bytes", "bit bits", "µg μg ug mcg", "g gram grams", "kg", "mg", "ng", "pg", "fg", "mm", "cm",
    "µm μm um", "nm", "km", "metre metres meter meters", "m² m2", "m³ m3", "cm² cm2", "cm³ cm3", "mm² mm2", "mm³ mm3",
    "km² km2", "ha hectare hectares", "l litre litres liter liters", "dl", "ml", "µl μl ul", "nl", "hz", "khz", "mhz",
    "ghz", "kw", "kwh", "kv", "kpa", "hpa", "mmhg", "kj", "kcal", "kda", "mol", "mmol", "µmol μmol umol", "nmol",
    "pmol", "ppm", "ppb", "usd dollar dollars", "eur euro euros", "gbp", "°C celsius", "°F fahrenheit",
)  # fmt: skip
UNITS: Final = {form: forms.split()[0] for forms in _SYNONYMS for form in forms.split()}
"""Spellings of units → unit. Different units exclude each other: 12 GB is not 12 MB."""

_EXACT: Final = {
    **{unit: unit for unit in "mM nM pM W mW MW V mV A mA J MJ Pa mPa MPa GPa Da Gy eV keV MeV GeV".split()},
    "µM": "µM", "μM": "µM", "uM": "µM", "m": "metre",
}  # fmt: skip
"""Units that other capitals would make another: mM is not mm, mW not MW."""

_SYMBOLS: Final = {"$": "usd", "€": "eur", "£": "gbp", "¥": "yen", "℃": "°C", "℉": "°F", "C": "°C", "F": "°F", "K": "K"}
MONEY: Final = frozenset({"usd", "eur", "gbp", "yen"})
_UNIT_AFTER = re.compile(
    r"\s?(?:(?:[°º˚]\s?|deg(?:ree)?s?\s)(?P<degree>[CFK])\b|(?P<symbol>[℃℉€£])|(?P<exact>[µμ]?[A-Za-z]{1,3})(?![\w²³]))"
    r"|\s?deg(?:ree)?s?\s(?P<spelt>(?i:celsius|fahrenheit))\b"
)
_MONEY = re.compile(r"([$€£¥])\s?$")
_MATHS = re.compile(r"[^\s$]*\$")
_BOUND = re.compile(r"(?:(?<![-=<>])(?P<sign>[<>≤≥⩽⩾])=?|\\(?P<tex>le|ge|lt|gt)q?\b)\s?[$€£¥]?\s?$")
_TAG = re.compile(r"<[A-Za-z/][^<>\s]*>$")


@dataclass(frozen=True, slots=True)
class Number:
    """A number and what it counts."""

    value: Decimal
    unit: str | None
    """A value of `UNITS`; None if no unit is written."""
    noun: str | None
    """Stem of the content word after it: "12 attention heads" → "attent"."""
    about: bool
    """Whether the text says that it is approximate."""
    shown: str
    bound: str = ""
    """"<" if it stands behind < or ≤, ">" behind > or ≥."""

    @property
    def whole(self) -> bool:
        """Whether it is an integer."""
        return self.value == self.value.to_integral_value()

    @property
    def form(self) -> str:
        """Its plainest form, with its unit and sign of comparison."""
        return f"{self.bound}{self.value:f}{self.unit or ''}"


def evened(text: str) -> str:
    """The text with "12 345" as one number and "1,2" or "10,20 and 30" as several, as the text around it says."""
    text = _SPACED.sub(_as_one, text) if " " in text else text
    if "," not in text:
        return text
    if not has_decimal_commas(text):
        text = _RUN.sub(lambda match: match[0].replace(",", ", "), text)
    return _LISTED.sub(lambda match: _as_two(match, text), text)


def _as_one(match: re.Match[str]) -> str:
    word, start = match["word"] or "", match.end("word") - match.start() if match["word"] else 0
    folded = word.casefold()
    if folded in _LABELS or not (word.islower() or folded in _ENGLISH | _GERMAN or not word):
        return match[0]
    lead = re.match(r"\W*", match[0][start:])
    at = start + (lead.end() if lead else 0)
    return match[0][:at] + match[0][at:].replace(" ", "\u2009")


def _as_two(match: re.Match[str], text: str) -> str:
    labelled = (match["word"] or "").strip().casefold() in _LABELS
    alone = match["open"] and match["shut"] and not has_decimal_commas(text)
    return match[0].replace(",", ", ") if labelled or alone else match[0]


def has_decimal_commas(text: str) -> bool:
    """Whether the text is German or Bulgarian, as far as its letters and small words say: "1,125" is 1.125 there."""
    letters = [char for char in text if char.isalpha()]
    if 2 * sum("а" <= char.casefold() <= "я" for char in letters) > len(letters):
        return True
    words = re.findall(r"[^\W\d_]+", text.casefold())
    german = sum(word in _GERMAN for word in words)
    return german > 1 and german > sum(word in _ENGLISH for word in words)


def written(match: re.Match[str], text: str) -> Decimal:
    """The value of a match of `NUMBER`."""
    digits = re.sub(r"\s", "", match["number"]).replace("·", ".").translate(_RAISED)
    head, comma, tail = digits.rpartition(",")
    if comma and (
        len(tail.partition(".")[0]) != 3 or ("," not in head and "." not in tail and has_decimal_commas(text))
    ):
        digits = f"{head}.{tail}"
    value = Decimal(digits.replace(",", ""))
    if not match["power"]:
        return value
    power = re.sub(r"</?sup>|[\s{}^]", "", match["power"].translate(_RAISED))
    exponent = re.search(r"(?:^|10|e)([-+]?\d+)$", power, re.IGNORECASE)
    alone = power == exponent[1] if exponent else False
    if exponent is None or (alone and abs(value) != 10):
        return value
    return (value if not alone else value / 10).scaleb(int(exponent[1]))


def counted(word: str, following: str) -> int | None:
    """The number that a case-folded word writes out; "one" only before a scale such as "million"."""
    tens, _, ones = word.replace("‐", "-").partition("-")
    if tens in _TENS and (not ones or 0 < COUNTED.get(ones, 0) < 10):
        return _TENS[tens] + COUNTED.get(ones, 0)
    count = COUNTED.get(word)
    return count if count != 1 or (len(following) > 2 and following in SCALES) else None


def unit_beside(text: str, start: int, end: int) -> str | None:
    """The currency before a number, or the unit that is written directly after it.

    Args:
        text: a sentence.
        start: of the number.
        end: of the number.
    """
    money = _MONEY.search(text[max(0, start - 2) : start])
    if money and not (money[1] == "$" and _MATHS.match(text, end)):
        return _SYMBOLS[money[1]]
    if (found := _UNIT_AFTER.match(text, end)) is None:
        return None
    symbol, spelt = found["degree"] or found["symbol"] or "", (found["spelt"] or "").casefold()
    return _SYMBOLS.get(symbol) or UNITS.get(spelt) or _EXACT.get(found["exact"] or "")


def bound_before(text: str, start: int) -> str:
    """The sign of comparison before the number that starts there, as "<" or ">"; empty if there is none."""
    before = text[max(0, start - 24) : start]
    found = _BOUND.search(before)
    if found is None or not before[: found.start()].strip() or _TAG.search(before.rstrip()):
        return ""
    return "<" if (found["sign"] or found["tex"])[0] in "<≤⩽l" else ">"


def to_places(value: Decimal, places: int) -> Decimal:
    """The value to so many decimal places; as it is if it has too many digits for that."""
    try:
        return round(value, places)
    except InvalidOperation:
        return value


def same_number(a: Number, b: Number) -> bool:
    """Whether two numbers mean the same: 12 %, 12 percent and 0.12 do; 12 GB and 12 MB, or < 5 and > 5, do not."""
    if a.bound and b.bound and a.bound != b.bound:
        return False
    if a.value == b.value:
        return a.unit is None or b.unit is None or a.unit == b.unit
    for one, other in ((a, b), (b, a)):
        if one.unit == "%" and other.unit is None and other.value * 100 == one.value and 0 < other.value < 1:
            return True
    if a.about and a.unit in {b.unit, None}:
        exponent = a.value.as_tuple().exponent
        return isinstance(exponent, int) and to_places(b.value, -exponent) == a.value
    return False
