"""How one asks for one's own highlights and notes in English, German and Bulgarian: fixed patterns, as in `grammar`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rag.retrieval.naming import NAMED, NOUN

if TYPE_CHECKING:
    from collections.abc import Iterator

_ACCENTS = str.maketrans({"й": "и", "ä": "a", "ö": "o", "ü": "u", "ß": "ss"})

_ONE = rf"(?:{NAMED}|it|this|that|(?:this|that|the) {NOUN}|all(?: of)?(?: my)? papers|my papers|my library|the library)"
_IN = rf"(?: (?:in|from|of|for) (?P<s>{_ONE}|.+?))?"
_ON = r"(?: (?:on|about|regarding|concerning|to) (?P<x>.+?))?"
_DID = (
    r"(?:highlight(?:ed)?|mark(?:ed)?(?: up)?|underlined?|annotated?|noted?(?: down)?|struck out|strike out"
    r"|comment(?:ed)?(?: on)?|wr[io]te(?: down)?|written(?: down)?)"
)
_NOTES = (
    r"(?:own )?(?:notes?|highlights?|annotations?|comments?|marks|markings|highlightings?|underlinings?"
    r"|(?:highlighted|marked|underlined) (?:passages|sentences|places|text|words))"
)
_SHOW = (
    r"(?:(?:show|list|give|find|see|read)(?: me)? |what (?:are|were|do|is in) |which are |where are |are there "
    r"|do i have )?"
)
_IN_DE = r"(?: (?:in|aus|von|im|bei) (?P<s>ƥ|dem paper|diesem paper|der arbeit|dem artikel|diesem artikel|.+?))?"
_ON_DE = r"(?: (?:zu|zum|zur|uber) (?P<x>.+?))?"
_DID_DE = r"(?:markiert|angestrichen|unterstrichen|hervorgehoben|notiert|angemerkt|kommentiert|durchgestrichen)"
_IN_BG = r"(?: (?:в|от|във) (?P<s>.+?))?"
_ON_BG = r"(?: (?:за|относно|по) (?P<x>.+?))?"
_NOTES_BG = r"(?:бележк(?:и|ите)|коментари(?:те)?|маркировк(?:и|ите)|отметк(?:и|ите))"
_DID_BG = r"(?:отбелязал|подчертал|маркирал|записал|оцветил|коментирал|задраскал)[аи]?"

_PATTERNS = tuple(
    re.compile(pattern.translate(_ACCENTS))
    for each in (
        rf"(?:what|which (?:passages?|sentences?|places?|words|parts)) (?:did|have) (?:i|we) {_DID}{{}}",
        rf"where (?:did|have) (?:i|we) {_DID}(?: (?:something|anything|text|words|passages))?{{}}",
        rf"(?:did|have) (?:i|we) {_DID} (?:anything|something|any (?:passages?|sentences?|words)){{}}",
        rf"{_SHOW}(?:all )?(?:of )?my {_NOTES}(?: and (?:my )?{_NOTES})?{{}}",
        (
            r"(?:what|which) (?:notes|comments|highlights|annotations) (?:did|have|do) (?:i|we) "
            r"(?:made?|write|written|have|leave|left|taken?|add(?:ed)?){}"
        ),
    )
    for pattern in (each.format(_IN + _ON), each.format(_ON + _IN))
) + tuple(
    re.compile(pattern.translate(_ACCENTS))
    for pattern in (
        rf"was (?:habe|hab) ich{_IN_DE}{_ON_DE} {_DID_DE}",
        rf"was (?:habe|hab) ich{_ON_DE}{_IN_DE} {_DID_DE}",
        (
            r"(?:(?:zeig|zeige|liste)(?: mir)? )?(?:alle )?meine "
            rf"(?:notizen|markierungen|anmerkungen|kommentare|hervorhebungen){_IN_DE}{_ON_DE}(?: auf)?"
        ),
        rf"(?:какво|къде) (?:съм|сме) {_DID_BG}{_IN_BG}{_ON_BG}",
        rf"(?:какво|къде) (?:съм|сме) {_DID_BG}{_ON_BG}{_IN_BG}",
        rf"(?:покажи(?: ми)? )?(?:всички )?(?:моите {_NOTES_BG}|{_NOTES_BG} ми){_IN_BG}{_ON_BG}",
    )
)


def read(marked: str) -> Iterator[tuple[str | None, str | None]]:
    """The paper and the topic that a question for one's own notes names, the likeliest first; nothing for any other.

    Args:
        marked: the question, folded, with `NAMED` for each paper that it names.
    """
    found = dict[tuple[str | None, str | None], None]()
    for pattern in _PATTERNS:
        if match := pattern.fullmatch(marked):
            paper, topic = match["s"], match["x"]
            if topic and paper is None and re.fullmatch(_ONE, topic):
                paper, topic = topic, None
            found[paper, topic] = None
    yield from sorted(found, key=lambda one: not (one[0] and re.fullmatch(_ONE, one[0])))
