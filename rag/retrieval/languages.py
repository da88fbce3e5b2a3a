"""Which language a question is in, as far as letters and small words say so: the embedded models read English only."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_SMALL: Final = {
    "German": (
        "der die das den dem des und oder ist sind war waren wird werden wurde wurden welche welcher welches "
        "welchen wie was wer wo warum wann nicht ein eine einen einem einer eines mit von für auf bei über zu zum "
        "zur im am als auch hat haben kann können gibt es sich nach aus durch zwischen wirkt zeigt bedeutet "
        "vergleiche erkläre beschreibe nenne fasse zusammen worin wozu wofür womit wodurch wieviel mir bitte "
        "dieser diese dieses viel viele wieviele welchem wem wessen ohne gegen vor unter beim vom sowie aber nur noch "
        "mehr sehr kein keine keinen ihr ihre sie wir ich sein seine soll sollte sollten muss müssen darf dürfen "
        "hatte hatten wenn weil dass ob damit dabei dazu hoch braucht kostet beträgt passiert heißt steht liegt "
        "bewirkt ergab folgt beeinflusst verwendet benutzt untersucht gemessen gefunden gezeigt sagt beschreibt "
        "unterscheiden unterscheidet"
    ),
    "French": (
        "le la les un une des du de et ou est sont était quel quelle quels quelles qui que quoi comment pourquoi "
        "où quand combien dans sur avec pour par pas ne ce cette ces au aux en il elle ils ont été se plus selon "
        "entre quelles"
    ),
    "Spanish": (
        "el la los las un una unos del de y o es son fue fueron qué que cuál cuáles quién cómo por para con en "
        "dónde cuándo cuántos cuántas cuánto se no al su sus según entre sobre ha han este esta estos"
    ),
    "Italian": (
        "i dell dello nell sull il lo la gli le un una di del della dei delle e o è sono che chi cosa come perché "
        "quale quali quanto quanti dove quando con per nel nella si non al alla sul questo questa secondo tra"
    ),
    "Portuguese": (
        "o a os as um uma de do da dos das e ou é são foi foram que qual quais quem como por para com em no na "
        "nos onde quando quantos quantas não ao se seu sua segundo entre sobre este esta"
    ),
    "Dutch": (
        "de het een en of is zijn was waren wordt worden werd welke wat wie waar waarom hoe wanneer niet met van "
        "voor op bij over naar uit door tussen hebben heeft kan kunnen deze dit dat er aan als ook"
    ),
    "Polish": (
        "i lub jest są był była były jaki jaka jakie jakich który która które kto co gdzie kiedy dlaczego jak ile "
        "nie w z na do od dla przez po między się czy tego tej tym"
    ),
    "Turkish": (
        "ve veya bir bu ne nedir nasıl neden niçin hangi kim nerede kaç için ile olarak gibi mi mı var değil daha göre"
    ),
    "Swedish": (
        "och eller är var vad vilka vilken vilket hur varför när inte en ett med av för på till från som det den "
        "de har kan mellan om att"
    ),
    "Czech": (
        "a nebo je jsou byl byla byly jaký jaká jaké kdo co kde kdy proč jak kolik ne v z na do od pro přes mezi "
        "se který která které"
    ),
    "Romanian": (
        "și sau este sunt a fost care ce cine unde când cum cât câte nu în din de la pe pentru cu prin între se un o"
    ),
}
_WORDS: Final = {language: frozenset(words.split()) for language, words in _SMALL.items()}
_IN_NAMES: Final = frozenset("von van der den dem das des zu zum zur".split())
"""German words that stand in names too: without another German word they count only where no English word stands."""
_ENGLISH_TOO: Final = frozenset({"was", "die", "war"})
"""German words that are English as well: they count beside another German word."""
_GERMAN_TOO: Final = _ENGLISH_TOO | {"an", "in", "will"}
"""English words that are German as well: beside a word that is only German, they do not speak for English."""
_ENGLISH: Final = frozenset(
    "the of and or is are were will what which who how where why when not a an with from for on at over to in as also "
    "has have can does do did it its their they by between this that these than was die most no me we i you my show "
    "list paper papers".split()
)
_SCRIPTS: Final = (
    ("HIRAGANA", "Japanese"), ("KATAKANA", "Japanese"), ("HANGUL", "Korean"), ("CJK", "Chinese"), ("ARABIC", "Arabic"),
    ("HEBREW", "Hebrew"), ("DEVANAGARI", "Hindi"), ("THAI", "Thai"), ("GREEK", "Greek"), ("ARMENIAN", "Armenian"),
    ("GEORGIAN", "Georgian"), ("CYRILLIC", "Bulgarian"),
)  # fmt: skip
_CYRILLIC: Final = (("[ыэё]", "Russian"), ("[іїєґ]", "Ukrainian"), ("[ђљњћџј]", "Serbian"))
_LETTER = re.compile(r"[^\W\d_]")
_WORD = re.compile(r"[^\W\d_]+")
_STARTS: Final = frozenset('.?!:;¿¡"“„«(')
_OF_A_NAME: Final = re.compile(r"V[oa]n\s+[^\W\d_a-z]")

NOTICE: Final = (
    "The embedded models only read English, and this question looks {language}. Ask in English, or see "
    "docs/languages.md for other languages."
)

UNREAD: Final = (
    "The embedded model reads English, and this question looks {language}, so it was not answered. Ask it in English, "
    "or set up a model that knows the language (docs/languages.md). The passages below came closest."
)


def language_of(question: str, *, sure: bool = False) -> str | None:
    """The language by its script or its small words; None for English and whatever is not known.

    Args:
        question: in the user's words.
        sure: demand one small word more, where a mistake costs the answer.
    """
    letters = _LETTER.findall(question)
    for script, language in _SCRIPTS:
        n = sum(unicodedata.name(letter, "").startswith(script) for letter in letters)
        if n > 0.5 * len(letters) or (script in {"HIRAGANA", "KATAKANA"} and n):
            if script == "CYRILLIC":
                small = question.casefold()
                return next((other for marks, other in _CYRILLIC if re.search(marks, small)), language)
            return language
    text = unicodedata.normalize("NFC", question)
    words = [word.casefold() for word in _WORD.findall(text)]
    english = sum(word in _ENGLISH for word in words)
    common = _common(text)
    counts = {language: sum(word in small for word in common) for language, small in _WORDS.items()}
    counts["German"] = _german(common, english=english)
    best = max(counts, key=lambda language: counts[language])
    if best == "German" and set(common) & _WORDS["German"] - _IN_NAMES - _ENGLISH_TOO:
        english = sum(word in _ENGLISH - _GERMAN_TOO for word in words)
    foreign = counts[best]
    marked = any(not letter.isascii() and letter.isalpha() for word in words for letter in word)
    enough = (2 if best == "German" else 3) - marked
    if best != "German" and english:
        enough = max(enough, english + 3)  # Dutch shares "is", "of" and "in" with English
    return best if foreign > english and foreign >= enough + sure else None


def _common(text: str) -> list[str]:
    """The words, folded, without what capitals tell to be a name or an abbreviation: `Das`, `Von Neumann`, `DEM`."""
    shouted, before, common = text.isupper(), 0, list[str]()
    for found in _WORD.finditer(text):
        word, begins = found[0], not before or not _STARTS.isdisjoint(text[before : found.start()])
        before = found.end()
        abbreviation = len(word) > 1 and word.isupper()
        if word.islower() or shouted or (begins and not abbreviation and not _OF_A_NAME.match(text, found.start())):
            common.append(word.casefold())
    return common


def _german(words: list[str], *, english: int) -> int:
    """How many of the words are German."""
    german = [word for word in words if word in _WORDS["German"]]
    if set(german) - _IN_NAMES - _ENGLISH_TOO:
        return len(german)
    return 0 if english else len(german)
