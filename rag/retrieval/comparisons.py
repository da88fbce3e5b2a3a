"""What a comparison asks of each paper by itself: search and reader understand a question better without the other."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rag.retrieval.forms import NAMED, NOUN, POLITE
from rag.retrieval.topics import IN_A_PAPER
from rag.words import content_words

_KIND = (
    rf"(?:{NOUN}|courses?|lessons?|works?|experiments?|trials?|methods?|models?|packages?|teams?|modules?|workshops?"
    r"|projects?|tutorials?|books?|guidebooks?)"
)
_VERB = r"(?:report|study|review|model|work|survey|experiment)"
_OF_PAPER = re.compile(
    rf"(?<=do ){NAMED}(?= {_VERB})|(?<=does ){NAMED}(?= {_VERB})|(?<=did ){NAMED}(?= {_VERB})"
    rf"|(?:the )?{NAMED}(?:(?: [\w-]+){{0,3}}? {_KIND})?"
)
_NO_TOPIC = (
    r"(?:the|an?|of|in|this|that|these|and|or|for|to|with|between|from|by|at|used|which|what|same|other|first|second|two"
    r"|own|new|present|current|previous|whole|each|control|clinical|pilot|follow-up)"
)
_DESCRIBED = re.compile(
    rf"\bthe (?P<topic>(?:(?!{_NO_TOPIC} )[\w'-]+ ){{1,5}}?)(?:(?P<paper>paper|article|publication|preprint|review)"
    r"|(?P<taught>course|lesson|workshop|tutorial|guidebook)"
    r"|study|report|survey|thesis|trial|module|project|book|school|package|toolkit)(?:'s)?\b"
)
_YEAR = re.compile(r"\b(?:19|20)\d\d\b")
_COLON = re.compile(rf"(?:{POLITE}(?:compare|contrast) [^:]*{NAMED}[^:]*|(?:the )?{NAMED}[^:]*{NAMED}): (?P<asked>.+)")
_BOTH_DO = re.compile(
    rf"(?:both )?(?:the )?{NAMED}.*{NAMED}[^.;]*?(?:[.;:]| [-–—]) (?:{POLITE}(?:compare|contrast|say|tell me) )?"
    r"(?P<asked>.*\beach\b.*)"
)
_GROUP = r"(?:days?|times?|weeks?|months?|years?|groups?|arms?|sites?)\b"
_TO = r"(?:on|in|with|for|at|to)\b"
_DOES = (
    r"(?:use|say|find|measure|define|conclude|give|take|need|search|apply|treat|choose|include|recruit"
    r"|train|suggest|recommend|describe|rely)"
)
_EACH: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(rf"\b(?:each|either|both) of (?:them|these|the two)(?: {_KIND})?\b"), "this paper"),
    (re.compile(rf"(?:(?<=do )|(?<=does )|(?<=did ))(?:each(?: one)?|both)(?= {_DOES}\b)"), "this paper"),
    (re.compile(rf"(?:(?<=do )|(?<=does )|(?<=did ))each(?= (?!{_GROUP})\w+(?:$| {_TO}))"), "this paper"),
    (re.compile(rf"\beach(?= {_KIND}\b(?! {_GROUP}))"), "this"),
    (re.compile(r"\beach(?: one)?(?=$| (?:was|were|is|are|has|have|had|did|does|do|\w+ed)\b)"), "this paper"),
)
"""What "each" means for one paper; "each group" and "each day" stay."""
_COMPARE = rf"{POLITE}(?:compare|contrast)"
_ON = r"(?:on|in|regarding|concerning|by|with (?:respect|regard) to|in terms of)"
_TWO = rf".*{NAMED}.*{NAMED}"
_OF = r"(?:of|in|from|by|between|across|for|used by|used in)"
_DIFFERENCE = r"(?:what(?: is|'s| are)|explain|describe) the (?:main |key )?(?:differences?|similarit(?:y|ies))"
_FORM = r"(?:an? |one |two |three )?(?:table|detail|short|brief|few|sentence)s?\b"
"""How a comparison is to be told: "in a table"."""
_DIFFERS = r"(?:compares?|differs?) (?:with|to|from)"
_REST = r"(?: [\w-]+){0,5}"
_AND = r"(?:and|with|to|versus|vs\.?|against)(?: (?:those|that|the ones?))?(?: (?:in|of|from|by))?"
_IN_WHAT = tuple(
    re.compile(pattern)
    for pattern in (
        rf"{_COMPARE} (?P<topic>(?!{NAMED}).+?) {_OF} (?:the )?{NAMED}{_REST}?,? {_AND} (?:the )?{NAMED}{_REST}",
        rf"{_COMPARE} {NAMED}.*{NAMED} {_ON} (?!{_FORM})(?P<topic>.+)",
        rf"(?:how|in what way) (?:do|does|did) {_TWO} (?:differ|compare|disagree|agree) {_ON} (?P<topic>.+)",
        rf"(?:do|does|did) {_TWO} differ in (?P<topic>.+)",
        rf"what(?: is|'s| are) the differences? in (?P<topic>.+?) between {_TWO}",
        rf"how (?:do|does|did) (?P<topic>[^{NAMED}]+?) {_OF} (?:the )?{NAMED}.* {_DIFFERS} .*{NAMED}.*",
        rf"{_DIFFERENCE} (?:between|of) {_TWO} {_ON} (?P<topic>.+)",
        rf"(?:is|are|was|were) (?P<topic>(?:the |there )?[^{NAMED}]+?) (?:in|of) {NAMED}.*\b(?:than|as) .*{NAMED}.*",
    )
)
_JOINS = r"(?:of|for|in|that|which|on|with|to|used|and|from|by|at)\b"
_PLURAL = re.compile(
    rf"(?:the )?(?:(?!{_JOINS})[\w-]+ ){{0,3}}?[\w-]*[^\Wsiu]s(?<!bias)(?<!tes)(?<!eas)(?<!gas)(?<!ies)(?= {_JOINS}|$)"
)
_SINGULAR = {"do": "does", "are": "is", "were": "was", "have": "has"}
_WH = r"(?:which|what|how|whom?|when|where)"
_ASKING = r"(?:which|what|how|whom?|when|where|those|that|the one|in|of|from)"
_SECOND_PAPER = re.compile(
    rf"(?<={NAMED})(?P<said>(?: [\w-]+){{0,6}}?),? (?:(?:as )?compared (?:with|to)|in comparison (?:with|to)"
    r"|as opposed to|relative to|versus|vs\.?|than|(?:and|or|while|whereas|but),? (?:(?:for|in|by|of|at|from) )?"
    rf"{_ASKING}?)(?=\W).*{NAMED}.*"
)
"""The other paper and what is said of it: ", and which one does Lee's course teach"."""
_CLAUSES = re.compile(
    rf"(?<=[\w{NAMED}])(?:\?|,)? (?:and|while|whereas|but),? (?=(?:(?:for|in|by|of|at|from|on) )?{_WH} )"
)
_BOTH = re.compile(
    rf"{NAMED},? (?:and|or) (?:the )?{NAMED}(?= (?!differ|agree|disagree|compare|contradict|relate|have in common)\w)"
)
"""Two names that share what is asked: "What doses did Smith and Lee give to children?"."""
_COMPARING = content_words(
    "compare compared compares contrast contrasted differ differs agree agrees disagree relate better"
)
_SAME = re.compile(
    r"(?P<does>do|does|did|is|are|was|were) (?P<said>this paper .*?)(?<!about )(?<!that )the same (?!way\b|time\b|as\b)"
    r"(?P<what>(?!in\b|this\b)[\w-]+.*)"
)
_SAME_WAY = re.compile(r"(?P<said>(?:do|does|did|is|are|was|were) .+?)(?: in)?(?: exactly| much)? the same way\b")
_WITH_EACH_OTHER = re.compile(r",? (?:(?:as )?compared (?:with|to)|versus) (?:each other|one another)$")
_ONE_AND_ONE = re.compile(rf"(?P<first>.*{NAMED}.*?)(?:\?|,)? and (?:(?:for|in|by|of|at|from|with) )?(?:the )?{NAMED}")
"""The second paper is only named: "A used which program? And B?"."""
_SET = re.compile(r"\b(?:between|compar\w+|contrast\w*|differ\w*|papers|studies|two|same)\b")


def asked_of_each(text: str) -> tuple[str, ...] | None:
    """What a comparison asks of each paper, in small letters and without their names; None if that is not clear.

    "How heavy were the rats in Kaur's study compared with Ahmed's?" asks each "how heavy were the rats in this
    paper", and "Compare the doses in Smith 2019 and Lee 2020" asks "what is the doses". "How many rats had Smith, and
    how old were Lee's?" asks each something else.

    Args:
        text: the question, folded, with `NAMED` for each paper that it names.

    Returns:
        As many questions as `text` has names, in their order.
    """
    text = _WITH_EACH_OTHER.sub("", re.sub(rf"{NAMED}'s?(?!\w)", NAMED, text))
    n = text.count(NAMED)
    for pattern in (_COLON, _BOTH_DO):
        if (match := pattern.fullmatch(text)) and NAMED not in match["asked"]:
            asked = match["asked"]
            for each, this in _EACH:
                asked = each.sub(this, asked)
            return (asked,) * n
    for pattern in _IN_WHAT:
        if match := pattern.fullmatch(text):
            return (f"what {'are' if _PLURAL.match(match['topic']) else 'is'} {match['topic']}",) * n
    if n != 2:
        return None
    return _of_two(text)


@dataclass(frozen=True, slots=True)
class DescribedPapers:
    """Two papers that a question names or describes."""

    text: str
    """The question with `NAMED` for both."""
    topics: tuple[str | None, str | None]
    """What each described one is about; None for one that was named before."""
    nouns: tuple[str | None, str | None]
    """What each is called where that is no paper: "workshop"."""

    def asked(self) -> tuple[str, str] | None:
        """What each is asked; None if that is not clear."""
        questions = asked_of_each(self.text)
        if questions is None:
            return None
        one, other = (
            its.replace("this paper", f"the {noun}") if noun else its
            for its, noun in zip(questions, self.nouns, strict=True)
        )
        return one, other


def described_papers(text: str) -> DescribedPapers | None:
    """The two papers that are named or described: "in the HEK-293 paper versus the citrus seed paper".

    Args:
        text: the question, folded, with `NAMED` for the papers that it names.
    """
    found: list[tuple[int, int, str | None, str | None]] = [
        (*match.span(), None, None) for match in re.finditer(NAMED, text)
    ]
    for match in _DESCRIBED.finditer(text):
        topic = " ".join(_YEAR.sub("", match["topic"]).split())
        enough = len(content_words(topic)) > (0 if match["paper"] or match["taught"] else 1)  # "the Framingham study"
        if NAMED not in match[0] and enough and not IN_A_PAPER.fullmatch(topic):
            found.append((*match.span(), topic, match["taught"]))
    found.sort(key=lambda place: place[0])
    topics = [topic for *_, topic, _ in found]
    if len(found) != 2 or (any(topics) and topics[0] == topics[1]):
        return None
    (a, b, *_), (c, d, *_) = found
    nouns = found[0][3], found[1][3]
    if all(nouns) and max(len(content_words(topic or "")) for topic in topics) < 2:
        return None  # arms of one trial, most likely: "the yoga course" and "the pilates course"
    return DescribedPapers(f"{text[:a]}{NAMED}{text[b:c]}{NAMED}{text[d:]}", (topics[0], topics[1]), nouns)


def _of_two(text: str) -> tuple[str, ...] | None:
    if clauses := _own_clauses(text):
        return clauses
    if not re.search(r"\b(?:which of|both|either|more|less|than)\b|^(?:compare|contrast)\b", text):
        joint = _BOTH.sub("this paper", text)
        if joint != text:
            return (_as_what(_singular(joint)),) * 2
    if (match := _ONE_AND_ONE.fullmatch(text)) and not _SET.search(text):
        return (_singular(_OF_PAPER.sub("this paper", match["first"])),) * 2
    first = _SECOND_PAPER.sub(r"\g<said>", text)
    if first.count(NAMED) != 1 or not content_words(first.replace(NAMED, "")) - _COMPARING:
        return None
    return (_singular(_OF_PAPER.sub("this paper", _as_what(first))),) * 2


def _singular(text: str) -> str:
    return re.sub(r"\b(do|are|were|have) this paper", lambda match: f"{_SINGULAR[match[1]]} this paper", text)


def _as_what(text: str) -> str:
    """A question for a difference as one for what it is: "did they use the same rats" asks "what rats did they use"."""
    if match := _SAME_WAY.match(text):
        return f"how {match['said']}{text[match.end() :]}"
    match = _SAME.fullmatch(text)
    if match is None:
        return text
    return f"what {match['what'].replace('the same ', 'what ')} {match['does']} {match['said']}".rstrip()


def _own_clauses(text: str) -> tuple[str, str] | None:
    """The two halves of a question that asks the second paper something else; None if it asks the same of both."""
    for match in _CLAUSES.finditer(text):
        halves = text[: match.start()], text[match.end() :]
        if any(half.count(NAMED) != 1 for half in halves):
            continue
        first, second = (_OF_PAPER.sub("this paper", half) for half in halves)
        before, colon, _ = first.rpartition(": ")
        second = f"{before}{colon}{second}"  # "Staining: what did Lee use, and what did Smith use?"
        if content_words(second) - content_words(f"{first} this paper one ones") - _COMPARING:
            return first, second
    return None
