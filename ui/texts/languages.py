"""The languages of the interface: which one a browser gets, and its texts, read from the files beside this one."""

from __future__ import annotations

import json
import re
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from babel import Locale
from babel.dates import format_date
from babel.messages.pofile import read_po
from babel.numbers import format_decimal, format_percent
from starlette.requests import cookie_parser

from rag.texts import ENGLISH, N_, Texts, reading_in
from ui.api.keys import PATH as API

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

FOLDER: Final = Path(__file__).parent
NAMES: Final = {"en": "English", "de": "Deutsch", "bg": "Български"}
"""By code; each as its own speakers call it."""
COOKIE: Final = "scholion_language"
KEPT_SECONDS: Final = 400 * 24 * 3600
"""The longest that a browser keeps a cookie."""

UNGROUPED: Final = {"bg": 10_000}
"""Below this, digits are not grouped: CLDR's minimum, which a pattern of our own would pass over."""
LONGEST: Final = 1000
"""Characters of a sentence that is looked for; none of ours is as long."""
AS_THEY_ARE: Final = frozenset({"name", "file", "model", "tag", "title", "paper", "folder", "path", "host"})
"""Values that are names: somebody's tag "yes" stays so."""
TOGETHER: Final = 6
"""Sentences that one text of ours has at most."""
LEAST_LETTERS: Final = 9
LEAST_AT_BEGIN: Final = 5
"""A pattern with fewer letters between its values, or before the first, would fit anything."""
_ACCEPTED = re.compile(r"([A-Za-z]{2,3})(?:-[\w-]*)?\s*(?:;\s*q=([01](?:\.\d{0,3})?))?\s*(?:,|$)")
_SENTENCE = re.compile(r".*[.?!”]$|number |name |the passage", re.DOTALL)
"""What is born as a finished text: a sentence, or the reason for a doubt."""
_VALUE = re.compile(r"\{(\w+)\}")
_SENTENCE_END = re.compile(r"(?<=[.!?:…]) +")
_SIZE = re.compile(r"(\d{1,3}(?:,\d{3})+|\d+\.\d+)((?: (?:[kMGT]?B|s|Wh|[MB]))?)")
_COUNT = re.compile(r"(\d[\d,.]*) (\D+)")

_WORDS: Final = frozenset({N_("yes"), N_("no"), N_("today"), N_("this month")})
_PARTS: Final = (
    (re.compile(r"The draft's only sentence is"), N_("the only sentence of the draft")),
    (re.compile(r"Both sentences are"), N_("both sentences")),
    (re.compile(r"All (?P<n>\w+) sentences are"), N_("all {n} sentences")),
    (re.compile(r"(?P<n>\w+) of (?P<total>\w+) sentences (?:is|are)"), N_("{n} of {total} sentences")),
    (re.compile(r"Neither sentence"), N_("neither of the two sentences")),
    (re.compile(r"None of the (?P<n>\w+) sentences"), N_("none of the {n} sentences")),
    (re.compile(r"(?P<papers>[\d,]+ papers?) with (?P<passages>[\d,]+ passages?)\."), N_("{papers} with {passages}.")),
    (re.compile(r"(?P<cores>\d+ cores?); (?P<features>.+)\."), N_("{cores}; {features}.")),
    (re.compile(r"Page (?P<page>\d+)"), N_("Page {page}")),
    (re.compile(r"Pages (?P<pages>[\d, toand]+)"), N_("Pages {pages}")),
)
"""What may be a value in a sentence and is ours: `rag.verify.confidence` and `ingest.notes` say it."""
_COUNTED: Final = "no one two three four five six seven eight nine ten eleven twelve".split()


@cache
def _languages() -> dict[str, str]:
    """English names of the languages that `rag.retrieval.languages` knows → their codes."""
    codes = "ar bg cs da de el es fr he hi hu hy it ja ka ko nl pl pt ro ru sr sv th tr uk zh".split()
    return {str(Locale("en").languages[code]): code for code in codes}


class Translated(Texts):
    """The texts of a language that is not English.

    Args:
        code: of the language.
        texts: English text → its translation, or its two forms by the number 1 and by others.
    """

    def __init__(self, code: str, texts: Mapping[str, str | tuple[str, str]]) -> None:
        self.code = code
        self._locale = Locale.parse(code)
        self._texts = texts
        self._patterns = [*_patterns(texts)]
        self.sentence = lru_cache(maxsize=2000)(self._sentence)  # type: ignore[method-assign]

    def text(self, english: str) -> str:  # noqa: D102 - as in Texts
        found = self._texts.get(english, english)
        return found if isinstance(found, str) else found[0]

    def plural(self, one: str, many: str, n: float) -> str:  # noqa: D102 - as in Texts
        found = self._texts.get(one)
        if isinstance(found, tuple):
            return found[n != 1]
        return one if n == 1 else many

    def _sentence(self, english: str) -> str:
        """The whole, or as many of its sentences at a time as are known; what is not known stays English."""
        if len(english) > LONGEST:
            return english
        if (found := self._known(english)) is not None:
            return found
        parts, done = _SENTENCE_END.split(english), list[str]()
        while parts:
            for n in range(min(len(parts), TOGETHER), 0, -1):
                if (found := self._known(" ".join(parts[:n]))) is not None:
                    break
            done.append(parts[0] if found is None else found)
            del parts[: 1 if found is None else n]
        return " ".join(done)

    def _known(self, english: str) -> str | None:
        if (found := self._texts.get(english)) is not None:
            return found if isinstance(found, str) else found[0]
        for begin, end, pattern, text in self._patterns:
            if english.startswith(begin) and english.endswith(end) and (match := pattern.fullmatch(english)):
                found_values = match.groupdict().items()
                return text.format(**{name: v if name in AS_THEY_ARE else self.value(v) for name, v in found_values})
        if english and english[-1].isalnum():  # a sentence in the middle of another has no full stop
            whole = self._known(f"{english}.")
            return whole and whole.rstrip(".")
        shown = self.value(english)
        return shown if shown != english else None

    def value(self, english: str) -> str:  # noqa: D102 - as in Texts
        value = english
        if value in _WORDS:
            return self.text(value)
        known = _languages()
        if all(name in known for name in value.split(", ")):
            return ", ".join(str(self._locale.languages[known[name]]) for name in value.split(", "))
        for pattern, text in _PARTS:
            if match := pattern.fullmatch(value):
                parts = {name: self._part(part) for name, part in match.groupdict().items()}
                return self.text(text).format(**parts)
        if size := _SIZE.fullmatch(value):
            return self.number(float(size[1].replace(",", "")), len(size[1].partition(".")[2])) + size[2]
        count = _COUNT.fullmatch(value)
        forms = self._texts.get(f"{{n}} {count[2].removesuffix('s')}") if count else None
        if count is None or not isinstance(forms, tuple):
            return value
        n = float(count[1].replace(",", ""))
        return forms[n != 1].format(n=self.number(n, 0))

    def _part(self, part: str) -> str:
        """Of what `_PARTS` found: a number in digits, page numbers joined as this language joins them."""
        if part.lower() in _COUNTED:
            return str(_COUNTED.index(part.lower()))
        if _COUNT.fullmatch(part):
            return self.value(part)
        return part.replace(" to ", "–").replace(" and ", self.text(" and "))

    def number(self, value: float, digits: int) -> str:  # noqa: D102 - as in Texts
        whole = "0" if abs(value) < UNGROUPED.get(self.code, 0) else "#,##0"
        form = whole + ("." + "0" * digits if digits else "")
        return str(format_decimal(value, format=form, locale=self._locale))

    def day(self, at: datetime) -> str:  # noqa: D102 - as in Texts
        return str(format_date(at, format="long", locale=self._locale))

    def percent(self, share: float) -> str:  # noqa: D102 - as in Texts
        return str(format_percent(share, locale=self._locale))

    def dollars(self, amount: str) -> str:  # noqa: D102 - as in Texts
        value, digits = float(amount.replace(",", "")), len(amount.partition(".")[2])
        form = self._locale.currency_formats["standard"].pattern.partition(";")[0]
        form = form.replace("¤", "$")  # CLDR's Bulgarian sign ends with a full stop, which reads badly in a sentence
        return str(format_decimal(value, format=form.replace("0.00", "0." + "0" * digits), locale=self._locale))


def _patterns(texts: Mapping[str, str | tuple[str, str]]) -> Iterable[tuple[str, str, re.Pattern[str], str]]:
    """Each text with values in it as what a finished sentence looks like; those with the most letters first.

    Yields its beginning, its end, the pattern and the translation.
    """
    found = []
    for english, translated in texts.items():
        parts = _VALUE.split(english)
        letters = _letters("".join(parts[::2]))
        told = letters >= LEAST_LETTERS or _letters(parts[0]) >= LEAST_AT_BEGIN
        if len(parts) > 1 and told and _SENTENCE.match(english) and isinstance(translated, str):
            names = dict.fromkeys(parts[1::2])
            pattern = "".join(_group(part, names) if n % 2 else re.escape(part) for n, part in enumerate(parts))
            found.append((letters, parts[0], parts[-1], re.compile(pattern, re.DOTALL), translated))
    return [one[1:] for one in sorted(found, key=lambda one: -one[0])]


def _letters(text: str) -> int:
    return sum(char.isalpha() for char in text)


def _group(name: str, left: dict[str, None]) -> str:
    """The first time a value, then the same again."""
    if name in left:
        del left[name]
        return f"(?P<{name}>.*?)"
    return f"(?P={name})"


@cache
def texts_in(code: str) -> Texts:
    """The texts of a language; English for one that there is none of."""
    if code not in NAMES or code == "en":
        return ENGLISH
    return Translated(code, {english: text for english, text, _ in _read(code)})


@cache
def texts_for_pages(code: str) -> dict[str, str | tuple[str, str]]:
    """Those that the scripts in `public/` use."""
    if code not in NAMES or code == "en":
        return {}
    return {english: text for english, text, places in _read(code) if any(p.startswith("public/") for p in places)}


@cache
def _read(code: str) -> list[tuple[str, str | tuple[str, str], list[str]]]:
    with (FOLDER / f"{code}.po").open("rb") as file:
        catalogue = read_po(file, locale=code)
    found: list[tuple[str, str | tuple[str, str], list[str]]] = []
    for message in catalogue:
        if message.id and message.string and all(message.string):
            english, text = message.id, message.string
            places = [str(path) for path, _ in message.locations]
            if isinstance(english, str):
                found.append((english, str(text), places))
            else:
                found.append((english[0], (text[0], text[-1]), places))
    return found


@cache
def chainlits_texts(code: str) -> dict[str, Any]:
    """Chainlit's own texts in a language that is not English."""
    return dict(json.loads((FOLDER / f"chainlit.{code}.json").read_text(encoding="utf-8")))


def language_of(accepted: str, cookie: str = "") -> str:
    """The code of the language for a browser: what was chosen, else the first that it accepts and we have.

    Args:
        accepted: the header Accept-Language.
        cookie: the header Cookie.
    """
    chosen = cookie_parser(cookie).get(COOKIE, "")
    return chosen if chosen in NAMES else _wanted(accepted[:500])


@lru_cache(maxsize=200)
def _wanted(accepted: str) -> str:
    wanted: list[tuple[float, str]] = []
    for name, weight in _ACCEPTED.findall(accepted):
        wanted.append((-float(weight or 1), name.lower()))
    return next((code for weight, code in sorted(wanted, key=lambda one: one[0]) if code in NAMES and weight), "en")


class ReaderLanguage:
    """Everything that a request causes is shown in the language of its browser; of a websocket, all its events.

    Programs that use the API get English, whatever languages they accept.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 - the ASGI protocol
        if scope["type"] not in {"http", "websocket"}:
            await self.app(scope, receive, send)
            return
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        code = language_of(headers.get(b"accept-language", ""), headers.get(b"cookie", ""))
        if scope["path"].startswith(f"{API}/"):
            code = "en"

        async def with_language(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", []), (b"content-language", code.encode())]}
            await send(message)

        with reading_in(texts_in(code)):
            await self.app(scope, receive, with_language)
