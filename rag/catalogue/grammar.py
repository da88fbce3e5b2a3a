"""Fixed patterns for questions about the library's records, in English, German and Bulgarian.

Precision comes first: a question that no pattern covers from its first word to its last is about what a paper says,
and is answered as such. It is a long file because it is a table of patterns in three languages.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from rag.retrieval.forms import MARKS, NAMED, NOUN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Verb = Literal["facts", "by", "years", "count", "list", "newest", "cites", "mentions", "page"]
Field = Literal[
    "authors", "year", "venue", "doi", "title", "bibtex", "pages", "references", "cited", "abstract", "file", "added"
]

_ACCENTS = str.maketrans({"й": "и", "ä": "a", "ö": "o", "ü": "u", "ß": "ss"})


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked about the records."""

    verb: Verb
    fields: tuple[Field, ...] = ()
    """The facts asked for, in order."""
    subject: str | None = None
    """The words for the paper in question, folded, with names as `NAMED`; None if it is left to the chat."""
    words: str | None = None
    """What is mentioned or cited, or who wrote, folded."""
    negated: bool = False
    years: tuple[int | None, int | None] = (None, None)
    """First and last year, inclusive; None if open."""
    place: int | None = None
    """Which author: 0 the first, -1 the last; None for all."""
    order: Literal["year", "oldest", "title", "authors"] | None = None
    strict: bool = False
    """Whether the library must know `words`, because the question may mean something else."""
    named: bool = False
    """Whether `words` must be a name, with a capital or a digit: what is used is often told in other words."""
    loose: bool = False
    """Whether the same words may ask what papers say ("where is it released?"): then only an unmistakable name counts.
    """


def _compiled(*patterns: str) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(pattern.translate(_ACCENTS)) for pattern in patterns)


_POLITE = re.compile(
    r"(?:(?:and|but|so|also|ok(?:ay)?|well|then|now|hi|hello|und|aber|dann|и|а|ами),? )*"
    r"(?:(?:please|kindly|bitte|моля),? )?"
    r"(?:(?:can|could|would|will) you (?:please )?(?:tell me |give me |show me |list |say )?|(?:do you|i(?:'d| would) like"
    r" to|i want to) know |tell me |konnen sie mir (?:bitte )?sagen,? |kannst du mir (?:bitte )?sagen,? |sag(?:e|en sie)? mir,? "
    r"|можеш ли да ми кажеш,? |кажи ми,? )?(?:please )?"
)
_AT_END = re.compile(r"(?:,? (?:please|exactly|again|bitte|genau|моля|точно|thanks|thank you|danke|благодаря))+$")

_P = r"(?:papers?|articles?|stud(?:y|ies)|publications?|preprints?|documents?|pdfs?|works?)"
_OF = r"(?: of)?(?: the| these| those| my| our| all)*"
_LIB = r"(?:my|the|our|this) (?:library|collection|catalogue|catalog)"
_IN = rf"(?: here| in {_LIB}| of mine| (?:do )?i have| (?:do )?we have| are there(?: in {_LIB})?)?"
_LIST = r"(?:list|find|show|give|name|search for|look for|display)(?: me)?(?: all| every| any)*"
_P_DE = r"(?:papers?n?|artikeln?|arbeiten|studien|publikationen|veröffentlichungen|aufsätzen?|dokumenten?|texten?)"
_OF_DE = r"(?: der| meiner| dieser| von meinen| meine| die| all(?:e|en|er)?)*"
_LIB_DE = r"(?:(?:meine|die|der|meiner|dieser|diese) (?:bibliothek|sammlung))"
_P_BG = r"(?:стати[ия]|статиите|публикаци[ия]|публикациите|документ(?:и|а|ите)|файлове?)"
_OF_BG = r"(?: от)?(?: моите| тези| всички| мои)*"
_LIB_BG = r"(?:(?:моята |тази )?библиотека(?:та)?(?: ми)?)"

_NOT_EN = r"(?P<no>not |don't |do not |doesn't |does not |never )?"
_WORD = r"(?:words?|term|phrase|name|expression)"
_MENTION = rf"(?:(?:mentions?|(?P<strict>refers? to|brings? up|touch(?:es)? (?:on|upon)|speaks? of|talks? about))(?: the)?(?: {_WORD})?|contains?(?: the)?(?: {_WORD}|(?= ?[{MARKS}])))"
_X = r"(?P<x>.+?)"
_X_WORD = rf"(?P<x>(?:the )?{_WORD} .+?|[{MARKS}].+?[{MARKS}])"
_S = rf"(?P<s>{NAMED}|it|this|that|(?:this|that|the) {NOUN})"
_ANYWHERE = rf"(?: (?:anywhere|at all|(?:in|by) (?:any|which|what|one|some|all)?{_OF} ?{_P}{_IN}|in {_LIB}))?"
_PAGES = r"(?:,? and (?:on|at) (?:which|what) pages?|,? and where)?(?:[?.,;]* (?:(?:and )?(?:which|what) (?:ones?|papers?)|if so,? which(?: ones?)?))?"

_MENTIONS = _compiled(
    rf"(?:which|what|how many){_OF} {_P}{_IN}(?: that)? (?:do |does |also )?{_NOT_EN}{_MENTION} {_X}{_PAGES}",
    rf"(?:in )?(?:which|what|how many){_OF} {_P}{_IN} (?:is|are|was|were) {_X} (?P<no>not )?mentioned(?: in)?{_PAGES}",
    rf"(?:in )?(?:which|what|how many){_OF} {_P}{_IN} (?:is|are|does|do) {_X_WORD} (?:(?P<no>not )?found|appear|occur|come up|stand){_PAGES}",
    rf"in (?:which|what|how many){_OF} (?:papers?|articles?|documents?|pdfs?){_IN} does {_X} (?P<named>appear){_PAGES}",
    rf"{_LIST}{_OF} {_P}{_IN} (?:(?:that|which) (?:do |does )?{_NOT_EN}{_MENTION}|mentioning|(?:containing|with) the (?:word|term|phrase)) {_X}{_PAGES}",
    rf"(?:all |my )*{_P} (?:that {_NOT_EN}{_MENTION}|mentioning|containing the word) {_X}",
    rf"where (?:is|are|was|were) {_X} mentioned{_ANYWHERE}",
    rf"(?:on|at) (?:which|what) pages? (?:is|are|was|were|does|do) {_X} (?:mentioned|appear|occur){_ANYWHERE}",
    rf"(?:do|does) (?:any|one|some|how many)(?: of)?{_OF} {_P}{_IN} {_MENTION} {_X}",
    rf"(?:is|are) there(?: any| an?| one| some)?(?: other)? {_P}{_IN} (?:(?:that|which) (?:do |does )?{_MENTION}|mentioning) {_X}{_PAGES}",
    rf"(?:is|are) {_X} (?:ever )?mentioned (?:anywhere|in (?:any|one)(?: of)?{_OF} ?{_P}{_IN}|in {_LIB})",
    rf"(?:how often|how many times) (?:is|are|was|were) {_X} mentioned{_ANYWHERE}",
    rf"(?:{_LIST}|search(?: for)?|look up)(?: the)? (?:mentions?|occurrences?) of (?:the (?:word|term) )?{_X}{_ANYWHERE}",
    rf"who mentions {_X}",
    rf"(?:which|what|how many){_OF} {_P}{_IN}(?: that)? (?:do |does |also |have |has )?(?P<named>uses?|used|employ(?:s|ed)?) {_X}",
    rf"{_LIST}{_OF} {_P}{_IN} (?:that|which) (?:do |does |have |has )?(?P<named>uses?|used|employ(?:s|ed)?) {_X}",
    rf"(?:welche|wie viele){_OF_DE} {_P_DE} (?:erwähnen|erwähnt|(?:enthalten|enthält) (?:das wort|den begriff|den ausdruck)) {_X}(?P<no> nicht)?",
    rf"in (?:welche[nmr]|wie vielen){_OF_DE} {_P_DE} (?:wird|werden|kommt|kommen|ist|sind) {_X} (?P<no>nicht )?(?:erwähnt|vor)",
    rf"wo (?:wird|werden|kommt|kommen) {_X} (?:erwähnt|vor)",
    rf"auf welche[rn] seiten? (?:wird|werden|kommt|kommen) {_X} (?:erwähnt|vor)",
    rf"(?:wie oft) (?:wird|werden|kommt|kommen) {_X} (?:erwähnt|vor)",
    rf"(?:кои|кой|колко){_OF_BG} {_P_BG}(?: ми)? (?P<no>не )?(?:споменава|споменават|(?:съдържа|съдържат) (?:думата|термина|израза)) {_X}",
    rf"в (?:кои|коя|кое|колко){_OF_BG} {_P_BG}(?: ми)? (?P<no>не )?се (?:споменава|споменават|среща|срещат) {_X}",
    rf"къде се (?:споменава|споменават|среща|срещат) {_X}",
    rf"на (?:коя страница|кои страници) се (?:споменава|споменават|среща|срещат) {_X}",
    rf"(?:колко пъти) се (?:споменава|споменават|среща|срещат) {_X}",
)
_MENTIONS_OF = _compiled(  # in one paper: matched against the question with names marked
    rf"(?:does|do|did) (?P<s>{NAMED}) (?:ever )?mention {_X}",
    rf"where (?:in {_S} )?(?:does|do|did) (?P<s2>{NAMED}) mention {_X}",
    rf"where in {_S} (?:is|are|was|were) {_X} mentioned",
    rf"where (?:is|are|was|were) {_X} mentioned in {_S}",
    rf"(?:on|at) (?:which|what) pages? (?:of {_S} )?(?:is|are|was|were) {_X} mentioned(?: in (?P<s2>{NAMED}|it|(?:this|the) {NOUN}))?",
    rf"(?:on|at) (?:which|what) pages? (?:does|do|did) {_S} mention {_X}",
    rf"(?:how often|how many times) (?:is|are) {_X} mentioned in {_S}",
    rf"(?:how often|how many times) (?:does|do|did) {_S} mention {_X}",
    rf"(?:is|are) {_X} mentioned in (?P<s>{NAMED})",
    rf"erwähnt (?P<s>{NAMED}) {_X}",
    rf"auf welche[rn] seiten? erwähnt {_S} {_X}",
    rf"споменава ли (?P<s>{NAMED}) {_X}",
    rf"на (?:коя страница|кои страници) {_S} споменава {_X}",
)
_CITES = _compiled(
    rf"(?:which|what|how many){_OF} {_P}{_IN}(?: that)? (?:do |does |also )?{_NOT_EN}(?:cites?|references?) {_X}",
    rf"who (?:has )?(?:cites?|cited) {_X}(?: in {_LIB})?",
    rf"(?:in|by) (?:which|what|how many){_OF} {_P}{_IN} (?:is|are|was|were) {_X} cited",
    rf"{_LIST}{_OF} {_P}{_IN} (?:(?:that|which) cites?|citing|(?:that|which) references?) {_X}",
    rf"(?:do|does) (?:any|one)(?: of)?{_OF} {_P}{_IN} cites? {_X}",
    rf"(?:is|are) {_X} cited (?:anywhere|by any{_OF} {_P}{_IN}|in any{_OF} {_P}{_IN}|in {_LIB})",
    rf"(?:welche|wie viele){_OF_DE} {_P_DE} (?:zitieren|zitiert) {_X}",
    rf"in (?:welche[nmr]|wie vielen){_OF_DE} {_P_DE} (?:wird|werden|ist|sind) {_X} zitiert",
    rf"wer zitiert {_X}",
    rf"(?:кои|кой|колко){_OF_BG} {_P_BG}(?: ми)? (?:цитира|цитират) {_X}",
    rf"в (?:кои|коя){_OF_BG} {_P_BG}(?: ми)? се (?:цитира|цитират) {_X}",
    rf"кой цитира {_X}",
)
_BY = _compiled(
    rf"(?:which|what|how many){_OF} {_P}{_IN} (?:are |were |is |was )?(?:(?:there|written|published|authored|co-?authored) )?by {_X}",
    rf"(?:which|what|how many){_OF} {_P}{_IN} (?:are|were|is) (?P<strict>from|of) {_X}",
    rf"(?:do i have|do we have|have i got|are there|is there)(?: any| an?| other| more)* {_P}{_IN} (?:written )?by {_X}",
    rf"(?:what|(?:which|what|how many) {_P}) (?:else )?(?:has|have|did|does|had) {_X} (?:also )?(?:co-?)?(?:write|written|wrote|publish(?:ed)?|author(?:ed)?)",
    rf"(?:which|what|how many){_OF} {_P}{_IN} (?:are|is|were) {_X}'s",
    rf"{_LIST}{_OF} {_P}{_IN} (?:written |published )?by {_X}",
    rf"(?:all |the |my |other |any )*{_P} by {_X}",
    rf"(?:do i have |do we have |is there )?(?:anything|something|everything|what else|what|is anything|what do i have)(?: is there)?(?: here)?(?: else)? by {_X}",
    rf"(?:welche|wie viele){_OF_DE} {_P_DE} (?:sind|stammen|gibt es|habe ich|wurden)(?: hier)? von {_X}(?: geschrieben| verfasst)?",
    rf"(?:was|(?:welche|wie viele) {_P_DE}) (?:hat|haben) {_X} (?:geschrieben|veröffentlicht|publiziert|verfasst)",
    rf"(?:(?:zeig|zeige|liste|nenne)(?: mir)? )?(?:alle )?{_P_DE} von {_X}(?: auf)?",
    rf"(?:кои|колко){_OF_BG} {_P_BG}(?: ми)?(?: в {_LIB_BG})? (?:са |имам |има )?(?:написани )?(?:от|на) {_X}",
    rf"(?:какво|(?:кои|колко) {_P_BG}) (?:е|са) (?:написал[аи]?|публикувал[аи]?) {_X}",
    rf"(?:(?:покажи|изброй|дай)(?: ми)? )?(?:всички )?{_P_BG} от {_X}",
)
_YEARS = r"(?P<y>(?:in|from|of|aus|von|aus dem jahr|от|през) (?P<y1>(?:19|20)\d\d)(?: г(?:одина)?)?|(?P<open>since|after|before|until|up to|seit|nach|vor|bis|след|преди|до) (?P<y3>(?:19|20)\d\d)|(?:between|from|zwischen|между|от) (?P<y4>(?:19|20)\d\d) (?:and|to|und|bis|и|до) (?P<y5>(?:19|20)\d\d))"
_BY_YEAR = _compiled(
    rf"(?:which|what|how many){_OF} {_P}{_IN}(?: that)? ?(?:(?:are|were|was|is|have been)(?: there)? )?(?:(?:published|written|printed|appeared) )?{_YEARS}",
    rf"(?:{_LIST} )?(?:my |the |all )*{_P}{_IN} (?:published |written )?{_YEARS}",
    rf"(?:do i have|are there)(?: any)? {_P}{_IN} {_YEARS}",
    rf"(?:welche|wie viele){_OF_DE} {_P_DE} (?:sind|stammen|erschienen|wurden|gibt es|habe ich) {_YEARS}(?: erschienen| veröffentlicht)?",
    rf"(?:кои|колко){_OF_BG} {_P_BG}(?: ми)? (?:са |имам |има )?(?:публикувани |издадени |излезли )?{_YEARS}",
)
_COUNT = _compiled(
    rf"how many {_P} (?:do i have|do we have|have i(?: added| got)?|are stored|can you (?:see|read)|do you (?:have|know))(?: in {_LIB})?(?: so far| now| in total| altogether)?",
    rf"how many {_P} (?:(?:are there |are |is )?in {_LIB}|(?:are|does|is) {_LIB}(?: (?:have|contain|hold))?)(?: so far| now| in total)?",
    r"how many papers(?: are (?:there|here))?(?: so far| now| in total| altogether)?",
    rf"(?:what is )?the (?:number|count) of (?:papers|(?:my |the )?{_P} in {_LIB})|how (?:big|large) is {_LIB}|count{_OF} (?:papers|{_P} in {_LIB})",
    rf"wie viele {_P_DE} (?:(?:habe ich|haben wir|kennst du)(?: hier| in {_LIB_DE})?|(?:gibt es|sind|enthält|hat) (?:hier|da|es in {_LIB_DE}|(?:in )?{_LIB_DE}))",
    rf"wie gro(?:ß|ss) ist {_LIB_DE}|wie viele papers?(?: gibt es)?",
    rf"колко {_P_BG} (?:(?:имам|имаме|съм добавил[а]?)(?: в {_LIB_BG})?|(?:има|съдържа) (?:в )?{_LIB_BG})|колко статии(?: има)?",
)
_SHOW = _compiled(
    rf"how many {_P} (?:(?:do i|do we) have|are (?:there )?in {_LIB}|are there)(?: in {_LIB})?,? and (?:which|what)(?: ones)?(?: are (?:they|these|there))?",
    rf"wie viele {_P_DE} (?:(?:habe ich|haben wir)(?: in {_LIB_DE})?|(?:gibt es|sind)(?: hier| in {_LIB_DE})?),? und welche(?: sind (?:es|das))?",
    rf"колко {_P_BG} (?:имам|имаме|има)(?: в {_LIB_BG})?,? и кои(?: са(?: те| това)?)?",
    rf"{_LIST}{_OF} {_P}{_IN}(?P<sort>.*?)",
    rf"(?:which|what){_OF} {_P} (?:do i have|do we have|have i(?: added| got)|are there|are here|are in {_LIB}|does {_LIB} (?:have|contain|hold)|can i ask(?: about)?|do you (?:have|know))(?: in {_LIB}| here)?(?P<sort>.*?)",
    rf"what(?: is|'s| do i have| papers are)? in {_LIB}|(?:show|list)(?: me)? {_LIB}|(?:a |the )?list of{_OF} {_P}(?: in {_LIB})?|my papers|all (?:my )?papers",
    rf"welche {_P_DE} (?:habe ich|haben wir|gibt es|sind|enthält|kennst du)(?: (?:in|hier in))?(?: (?:{_LIB_DE}|hier|da))?",
    rf"(?:zeig|zeige|zeigen sie|liste|nenne|listen sie|gib)(?: mir)?(?: alle)?(?: meine| die)? {_P_DE}(?: in {_LIB_DE})?(?: auf| an)?|was (?:ist|habe ich) in {_LIB_DE}",
    rf"кои {_P_BG} (?:имам|имаме|има|са|съдържа)(?: (?:в )?{_LIB_BG})?",
    rf"(?:покажи|изброй|дай|изведи|покажете)(?: ми)?(?: всички)?(?: моите)? {_P_BG}(?: ми)?(?: в {_LIB_BG})?|(?:списък|списъкът?) (?:на|с|със|от)(?: моите| всички)? {_P_BG}(?: ми)?|какво има в {_LIB_BG}",
)
_SORTS = (
    ("year", r",? (?:sorted |ordered )?(?:by (?:year|date)(?: of publication)?|newest first|chronologically)"),
    ("oldest", r",? (?:sorted by year,? )?oldest first"),
    ("title", r",? (?:sorted |ordered )?(?:by titles?|alphabetically)"),
    ("authors", r",? (?:sorted |ordered )?by (?:first )?authors?"),
)
_ADDED = r"(?:last|latest|most recently|recently|newly|just) (?:added|uploaded|imported)"
_NEW = _compiled(
    rf"what(?: is|'s) new(?: (?:here|in {_LIB}))?|any(?:thing)? new(?: {_P})?(?: in {_LIB})?|what {_P} are new|(?:which|what) {_P} (?:is|are) (?:the )?(?:new|newest|latest)(?: (?:ones?|in {_LIB}))?",
    rf"(?:which|what)(?:{_OF} {_P}(?:s)?)? (?:did|have) (?:i|we) (?:last |recently |just |most recently )?(?:add|added|upload|uploaded|import|imported)(?: (?:last|recently|lately|most recently|latest))?(?: to {_LIB})?",
    rf"(?:which|what)(?:{_OF} {_P})? (?:was|were|is|are|has been|have been) (?:the )?(?:{_ADDED}|added (?:last|most recently|recently|lately|latest))(?: to {_LIB})?",
    rf"(?:what (?:is|are|was|were) |{_LIST} ?)?(?:the |my )*(?:{_ADDED}|new|latest) (?:{_P}|ones?)(?: in {_LIB})?",
    rf"was (?:ist|gibt es) neu(?:es)?(?: in {_LIB_DE})?|(?:was|welche {_P_DE}) (?:wurde|wurden|habe ich|ist|sind) (?:zuletzt|als letztes|neu|kürzlich) (?:hinzugefügt|hinzugekommen|dazugekommen)(?: worden)?|(?:zeig mir )?(?:die )?neue(?:n|ste|sten)? {_P_DE}",
    rf"какво(?: е| има)? ново(?: в {_LIB_BG})?|(?:какво|кои {_P_BG}) (?:е|са|съм|беше) (?:добавен[аои]?|добавил[аи]?) (?:последно|наскоро)|(?:какво|кои {_P_BG}) (?:последно|наскоро) (?:е|са|съм) (?:добавен[аои]?|добавил[аи]?)|(?:последно добавен(?:ите|ата|и)|най-нов(?:ите|ата|и)|нов(?:ите|и)) {_P_BG}",
)
_LATEST = _compiled(
    rf"(?:which|what)(?:{_OF} {_P})?(?:{_IN})? (?:is|was|are) (?:the )?(?:(?P<new>newest|most recent|youngest|published last)|(?P<old>oldest|earliest|published first))(?: (?:{_P}|ones?))?(?: in {_LIB})?",
    rf"(?:what is |{_LIST} ?)?(?:the |my )*(?:(?P<new>newest|most recent|most recently published)|(?P<old>oldest|earliest)) {_P}(?: in {_LIB})?",
    rf"(?:which|what) {_P}{_IN} (?:was|is) (?:the )?(?:(?P<new>last|newest)|(?P<old>first|oldest)) (?:to be )?published",
    rf"(?:welches|welche) {_P_DE} ist (?:das|die|der) (?:(?P<new>neueste|jüngste)|(?P<old>älteste))",
    rf"коя {_P_BG} е (?:най-(?:(?P<new>нова(?:та)?)|(?P<old>стара(?:та)?)))",
)
_PAGE = _compiled(
    r"(?:on|at) (?:which|what) pages? (?:is|was|are|does|do|did) (?:that|this|it|they)(?: (?:written|said|mentioned|stand|say (?:that|this|so)|appear|found|stated))?",
    r"(?:what|which) pages? (?:is|was) (?:that|this|it) (?:on|from)|(?:on |at )?(?:what|which) pages?|where (?:exactly )?(?:in (?:it|the paper) )?(?:does|do) (?:it|they|the paper) say (?:that|this|so)|where (?:is|does) (?:that|this) (?:written|stand|come from)",
    r"auf welche[rn] seiten? (?:steht|stehen|ist|findet sich|wird)(?: das| es| dies)?(?: erwähnt)?|auf welche[rn] seiten?|wo (?:genau )?steht (?:das|es|dies)(?: genau)?",
    r"на (?:коя страница|кои страници)(?: (?:е|пише|се намира|стои)(?: това)?)?|къде (?:точно )?пише (?:това|така)",
)

_Q = r"(?P<s>.+?)"
_PUB = r"(?:published|written|released|printed|issued|made public)"
_PUB_DE = r"(?:veröffentlicht|publiziert|erschienen|geschrieben|verfasst|herausgegeben|gedruckt)"
_PUB_BG = r"(?:публикуван\w*|издаден\w*|написан\w*|излязл\w*|излезл\w*|излиза|излезе|отпечатан\w*)"
_ASK = r"(?:(?:what|which) (?:is|are|was|were) |what's |show (?:me )?|give (?:me )?|tell me |list |name |do you know )?"
_ASK_DE = r"(?:(?:was|wie|wer) (?:ist|sind|lautet|lauten) |nenne (?:mir )?|zeig(?:e)? (?:mir )?|gib (?:mir )?)?"
_VON = r"(?:von|vom|des|der|dieser|dieses|zu|zum|für)"
_FIRST = r"(?:(?P<first>first|lead|main|erst|първи(?:ят)? )|(?P<last>last|senior|letzt|последни(?:ят)? ))?"

_FACTS: dict[Field, tuple[re.Pattern[str], ...]] = {
    "authors": _compiled(
        rf"(?:who|by whom)(?: all)? (?:has |have )?(?:wrote|written|write|(?:co-?)?authored|published|made) {_Q}",
        rf"who (?:is|are|was|were)(?: the)?(?: names of the)? {_FIRST} ?(?:co-?)?authors?(?: (?:of|for|on|behind) {_Q})?",
        rf"{_ASK}(?:all )?(?:the )?(?:names? of the )?{_FIRST} ?(?:co-?)?authors?(?: names?)?(?: (?:of|for) {_Q})?(?: called)?",
        rf"by whom (?:is|was|were) {_Q}(?: {_PUB})?|who (?:is|was|were) (?P<s2>.+?) (?:{_PUB} )?by",
        rf"(?P<s>{NAMED}) authors?",
        rf"wer (?:hat|haben) {_Q} (?:geschrieben|verfasst|veröffentlicht|publiziert)|von wem (?:ist|stammt|stammen|wurde|sind) (?P<s2>.+?)(?: {_PUB_DE})?",
        rf"{_ASK_DE}(?:der |die |das |alle |den )?{_FIRST}(?:haupt)?(?:e )?(?:autor|autorin|autoren|verfasser|verfasserin|autorinnen und autoren)(?: {_VON} {_Q})?",
        rf"(?:кои|кой|коя) (?:е |са )?(?:(?P<s2>го|я|ги) )?(?:е |са )?(?:написал[аи]?|написа|писал[аи]?|публикувал[аи]?)(?: {_Q})?",
        rf"(?:(?:кои|кой|коя) (?:е|са) )?{_FIRST}(?:автор|авторите|авторът|автора|авторката|автори)(?: на {_Q})?|от кого е (?:написан[ао]? )?(?P<s2>.+?)",
    ),
    "year": _compiled(
        rf"when (?:is|was|were|are) {_Q} {_PUB}|when (?:did|does) (?P<s2>.+?) (?:appear|come out|get published)|when (?:is|was) (?P<s3>.+?) from",
        rf"(?:in |from )?(?:what|which) year (?:is|was|were) {_Q}(?: (?:{_PUB}|from))?|(?:in )?(?:what|which) year did (?P<s2>.+?) (?:appear|come out)|how old (?:is|are) (?P<s3>.+?)",
        rf"{_ASK}(?:the |its )?(?:publication |publishing )?(?:year|date)(?: of publication)?(?: of {_Q})?",
        rf"wann (?:wurde|wurden|ist|sind|war|waren) {_Q} {_PUB_DE}|wann erschien (?P<s2>.+?)|von wann (?:ist|stammt) (?P<s3>.+?)|wie alt ist (?P<s4>.+?)",
        rf"(?:in|aus) welchem jahr (?:wurde|ist|erschien|stammt|war) {_Q}(?: {_PUB_DE})?|{_ASK_DE}(?:das )?(?:erscheinungs|publikations)?(?:jahr|datum)(?: {_VON} (?P<s2>.+?))?",
        rf"кога (?:(?P<s2>.+?) )??(?:е |беше |са |бе )?(?:бил[аои]? )?{_PUB_BG}(?: {_Q})?",
        rf"(?:през|в|от) (?:коя|кой) година (?:е |беше |са )?(?:бил[аои]? )?(?:{_PUB_BG})?(?: ?{_Q})?|(?:каква е )?годината(?: на(?: издаване(?: на)?)? (?P<s2>.+?))?",
    ),
    "venue": _compiled(
        rf"where (?:is|was|were|are|has|have) {_Q} (?:been )?{_PUB}|where did (?P<s2>.+?) (?:appear|come out)",
        rf"(?:in )?(?:what|which) (?:journal|conference|venue|magazine|proceedings|book) (?:is|was|were|did|has) {_Q}(?: (?:been )?(?:{_PUB}|appear|from))?(?: in)?|(?:which|what) journal (?:has )?published (?P<s2>.+?)",
        rf"{_ASK}(?:the |its )?(?:journal|venue|publisher|conference)(?: (?:name )?of {_Q})?|who is the publisher of (?P<s2>.+?)",
        rf"wo (?:wurde|wurden|ist|sind|war) {_Q} {_PUB_DE}|wo erschien (?P<s2>.+?)|(?:in )?welche[mrs] (?:zeitschrift|journal|magazin|konferenz) (?:wurde|ist|erschien|war|hat) (?P<s3>.+?)(?: {_PUB_DE})?",
        rf"къде (?:(?P<s2>.+?) )??(?:е |беше |са |бе )?(?:бил[аои]? )?{_PUB_BG}(?: {_Q})?|в (?:кое|кой) (?:списание|журнал) (?:е |беше )?(?:{_PUB_BG})?(?: ?(?P<s3>.+?))?",
    ),
    "doi": _compiled(
        rf"{_ASK}(?:the |its )?(?:doi|arxiv id|arxiv number|link)(?: (?:of|for|to) {_Q})?|does (?P<s2>.+?) have (?:a|an) (?:doi|arxiv id)",
        rf"{_ASK_DE}(?:die |der |das )?doi(?: {_VON} {_Q})?|welche doi hat (?P<s2>.+?)",
        rf"(?:(?:какъв|какво|кой) е )?doi(?:-то|-то е)?(?: (?:на|за) {_Q})?",
    ),
    "title": _compiled(
        rf"{_ASK}(?:the |its )?(?:full |exact |complete |whole )*title(?: (?:of|for) {_Q})?|what is (?P<s2>.+?) called|what is the name of (?P<s3>{NAMED}|(?:this|that|the) {NOUN})",
        rf"{_ASK_DE}(?:der |den )?(?:volle |genaue |ganze )?titel(?: {_VON} {_Q})?|wie heißt (?P<s2>.+?)",
        rf"(?:(?:какво|кое|какъв) е )?заглавието(?: на {_Q})?|как се (?:казва|нарича) (?P<s2>.+?)",
    ),
    "bibtex": _compiled(
        rf"{_ASK}(?:i need )?(?:the |a |its |an )?(?:bibtex|bib|biblatex|citation|bibliographic)(?: ?(?:entry|entries|reference|record|key|data|citation|code|file|format))?(?: (?:of|for|to) {_Q})?(?: in bibtex)?",
        rf"(?:how (?:do|can|should|would) (?:i|we|one) )?(?:cite|reference) {_Q}(?: (?:as|in) bibtex)?|(?:export|give me|show me|show) (?P<s2>.+?) (?:as|in) bibtex|how is (?P<s3>.+?) cited in bibtex",
        rf"{_ASK_DE}(?:den |einen |die |das )?(?:bibtex|literaturangabe|zitation)(?:-?(?: )?(?:eintrag|einträge|format))?(?: {_VON} {_Q})?|wie (?:zitiere ich|zitiert man|kann ich) (?P<s2>.+?)(?: zitieren)?",
        rf"(?:дай(?: ми)? |покажи(?: ми)? |искам )?(?:bibtex|библиографски запис|цитат в bibtex)(?: запис)?(?: (?:на|за) {_Q})?|как да (?:се )?цитирам? (?P<s2>.+?)",
    ),
    "pages": _compiled(
        rf"how many pages (?:does|do|has|have) {_Q}(?: have)?|how many pages (?:are (?:there )?in|long is) (?P<s2>.+?)|how long (?:is|are) (?P<s3>{NAMED}|it|(?:this|that|the) {NOUN})|how many pages",
        rf"wie viele seiten (?:hat|haben|umfasst) {_Q}|wie lang ist (?P<s2>{NAMED}|(?:dieses|diese|der|die|das) {NOUN})",
        rf"(?:от )?колко страници (?:има|е|съдържа)(?: {_Q})?",
    ),
    "references": _compiled(
        rf"how many (?:references|sources|citations|entries) (?:does|do|did|has|have) {_Q} (?:cite|have|list|contain|include|reference)",
        rf"how many (?:works|papers|publications|articles|studies) (?:does|do|did) {_Q} (?:cite|list|reference)",
        rf"how many (?:(?:references|sources) (?:are|were)(?: cited| listed| there| given)?|(?:works|papers|publications|articles|studies) (?:are|were) (?:cited|listed)) (?:in|by) (?:the (?:reference list|bibliography) of )?(?P<s>{NAMED}|it|(?:this|that) {NOUN})|how many (?:references|sources)|(?:what is )?(?:the )?number of references (?:in|of) (?P<s2>.+?)|how long is the (?:reference list|bibliography)(?: of (?P<s3>.+?))?",
        rf"wie viele (?:referenzen|quellen|literaturangaben|literaturverweise|verweise) (?:zitiert|zitieren|hat|haben|nennt|enthält|führt) {_Q}(?: an| auf)?",
        rf"wie viele (?:arbeiten|papers?|werke|publikationen|artikel|studien) (?:zitiert|zitieren) {_Q}|wie viele (?:referenzen|quellen|literaturangaben)",
        rf"колко (?:литературни )?(?:източник\w*|цитат\w*|цитирания|препратки|референции) (?:цитира|цитират|има|са цитирани в|съдържа|ползва)(?: {_Q})?|колко (?:публикации|статии|труда) (?:цитира|цитират|са цитирани в)(?: (?P<s2>.+?))?|колко (?:литературни )?(?:източника|цитата|препратки)",
    ),
    "cited": _compiled(
        rf"(?:(?:which|what)(?: other)? (?:papers|works|references|sources|publications|articles|studies) (?:does|do|did) )(?P<s>{NAMED}|it|(?:this|that) {NOUN}) (?:cite|reference|list|refer to)",
        rf"{_ASK}(?:all )?(?:the |its )?(?:references|reference list|bibliography|sources)(?: (?:of|in|from|cited (?:in|by)) {_Q})?|(?:which|what) (?:references|sources|works|papers) (?:are|were) cited (?:in|by) (?P<s2>{NAMED}|it|(?:this|that) {NOUN})",
        rf"welche (?:arbeiten|quellen|papers?|referenzen|werke) zitiert {_Q}|{_ASK_DE}(?:das |die )?(?:literaturverzeichnis|referenzen|literaturliste|quellen)(?: {_VON} (?P<s2>.+?))?",
        rf"(?:какво|кои (?:източници|статии|публикации|работи)) цитира(?: {_Q})?|(?:покажи(?: ми)? )?(?:списъкът? с )?(?:литературата|източниците|референциите)(?: на (?P<s2>.+?))?",
    ),
    "abstract": _compiled(
        rf"{_ASK}(?:the |its )?abstract(?: of {_Q})?",
        rf"{_ASK_DE}(?:das |den |die )?(?:abstract|kurzfassung)(?: {_VON} {_Q})?",
        rf"(?:покажи(?: ми)? |какво е )?(?:резюмето|абстрактът?|анотацията)(?: на {_Q})?",
    ),
    "file": _compiled(
        rf"{_ASK}(?:the |its )?(?:file ?name|name of the file)(?: (?:of|for) {_Q})?|(?:which|what) file is (?P<s2>.+?)(?: in)?",
        rf"wie heißt die datei(?: {_VON} {_Q})?",
    ),
    "added": _compiled(
        rf"when (?:was|were) {_Q} (?:added|uploaded|imported)(?: to {_LIB})?|when did (?:i|we) (?:add|upload|import) (?P<s2>.+?)(?: to {_LIB})?",
        rf"wann (?:wurde|habe ich) {_Q} hinzugefügt",
        rf"кога (?:е|съм) (?:добавен[ао]?|добавил[а]?) {_Q}",
    ),
}
_EVERYTHING = _compiled(
    rf"{_ASK}(?:all )?(?:the )?(?:(?:bibliographic )?(?:details|metadata|record|bibliographic data|data)|catalogue entry) (?:of|for|about|on) {_Q}|what (?:do you|does {_LIB}) know about (?P<s2>{NAMED})",
)
_PAIRS = _compiled(  # two facts at once: "when and where was it published?", "who wrote it and when?"
    rf"(?P<a>when|where|by whom),? and (?P<b>when|where|by whom) (?:is|was|were) {_Q} {_PUB}(?: by)?",
    rf"(?P<a>wann|wo|von wem),? und (?P<b>wann|wo|von wem) (?:wurde|ist|war) {_Q} {_PUB_DE}",
    rf"(?P<a>кога|къде|от кого) и (?P<b>кога|къде|от кого) (?:е |беше )?{_PUB_BG}(?: {_Q})?",
)
_LOOSE = re.compile(  # words used for papers and for their subjects alike
    r"\b(?:released?|printed|issued|made|added|uploaded|imported|appear|come out|how old|how long|name|called|link|date|sources?|data|details|record"
    r"|wie alt|wie lang|heisst|erschien(?:en)?|gedruckt|herausgegeben|quellen|hinzugefugt|datum"
    r"|казва|нарича|излиза|излезе|излязл\w*|излезл\w*|източни\w+|добав\w+)\b"
)
_BARE: dict[str, Field] = {
    "who": "authors", "by whom": "authors", "wer": "authors", "von wem": "authors", "кои": "authors", "от кого": "authors",
    "when": "year", "in which year": "year", "in what year": "year", "wann": "year", "in welchem jahr": "year", "кога": "year",
    "през коя година": "year", "where": "venue", "in which journal": "venue", "in what journal": "venue", "wo": "venue",
    "in welcher zeitschrift": "venue", "къде": "venue", "в кое списание": "venue",
}  # fmt: skip
ALL_FIELDS: tuple[Field, ...] = (
    "authors", "year", "venue", "doi", "pages", "references", "file", "added",
)  # fmt: skip


def read(plain: str, marked: str) -> Iterator[Request]:
    """What a question may ask about the records, likeliest first; empty if it is about what papers say.

    Args:
        plain: the question, folded.
        marked: the same with `NAMED` for each paper that it names.
    """
    plain, marked = core(plain), core(marked)
    yield from _words_and_lists(plain, marked)
    yield from _facts(marked)


def is_bare(text: str) -> bool:
    """Whether the question is only a question word, which asks for a fact only after an answer about a paper."""
    return core(text) in _BARE


def core(text: str) -> str:
    """The question without polite words at its beginning and its end."""
    text = _AT_END.sub("", text)
    lead = _POLITE.match(text)
    return text[lead.end() :] if lead and lead.end() < len(text) else text


def _words_and_lists(plain: str, marked: str) -> Iterator[Request]:  # noqa: C901, PLR0912 - one table a line
    for match in _all(_MENTIONS_OF, marked):
        yield Request("mentions", words=match["x"], subject=_slot(match))
    for match in _all(_MENTIONS, plain):
        named = bool(_group(match, "named"))
        strict = named or bool(_group(match, "strict"))
        yield Request("mentions", words=match["x"], negated=bool(_group(match, "no")), strict=strict, named=named)
    for text in dict.fromkeys((marked, plain)):
        for match in _all(_CITES, text):
            yield Request("cites", words=match["x"], negated=bool(_group(match, "no")))
    if any(_all(_PAGE, plain)):
        yield Request("page")
    for match in _all(_BY_YEAR, plain):
        yield Request("years", years=_range(match))
    for match in _all(_BY, plain):
        yield Request("by", words=match["x"], strict=bool(_group(match, "strict")))
    if any(_all(_COUNT, plain)):
        yield Request("count")
    for match in _all(_SHOW, plain):
        sort = _group(match, "sort") or ""
        order = next((name for name, pattern in _SORTS if re.fullmatch(pattern, sort)), None)
        if order or not (sort or _is_of_others(plain)):
            yield Request("list", order=order)  # type: ignore[arg-type]
    if _is_of_others(plain):
        return
    if any(_all(_NEW, plain)):
        yield Request("newest")
    for match in _all(_LATEST, plain):
        yield Request("newest", order="oldest" if _group(match, "old") else "year")


def _is_of_others(plain: str) -> bool:
    """Whether "studies" may be those that a paper reports, because nothing says that they are the user's."""
    others = re.search(r"\b(?:stud(?:y|ies)|works?|studien?|arbeit(?:en)?)\b", plain)
    return bool(others) and not re.search(
        r"\b(?:my|our|i|we|library|collection|here|added|uploaded|meiner?|ich|wir|hier|bibliothek|sammlung)\b", plain
    )


def _facts(marked: str) -> Iterator[Request]:
    if marked in _BARE:
        yield Request("facts", (_BARE[marked],))
    for match in _all(_PAIRS, marked):
        yield Request("facts", (_BARE[match["a"]], _BARE[match["b"]]), _slot(match))
    for joint in re.finditer(r",? (?:and|und|и|or) |, ", marked):
        first, second = marked[: joint.start()], marked[joint.end() :]
        for one in _single(first):
            rest = [Request("facts", (_BARE[second],))] if second in _BARE else list(_single(second))
            for other in rest:
                if other.subject is None or _is_pronoun(other.subject):
                    fields = tuple(dict.fromkeys((*one.fields, *other.fields)))
                    yield replace(one, fields=fields, loose=one.loose or other.loose)
    yield from _single(marked)


def _single(marked: str) -> Iterator[Request]:
    for field, patterns in _FACTS.items():
        for match in _all(patterns, marked):
            place = 0 if _group(match, "first") else -1 if _group(match, "last") else None
            yield Request("facts", (field,), _slot(match), place=place, loose=_is_loose(match))
    for match in _all(_EVERYTHING, marked):
        yield Request("facts", ALL_FIELDS, _slot(match), loose=True)


def _is_loose(match: re.Match[str]) -> bool:
    name = next((name for name in ("s", "s2", "s3", "s4") if _group(match, name)), None)
    start, end = match.span(name) if name else (0, 0)
    return bool(_LOOSE.search(f"{match.string[:start]} {match.string[end:]}"))


def _is_pronoun(text: str) -> bool:
    return text in {"it", "this", "that", "es", "das", "dies", "това", "го", "я", "they", "them"}


def _slot(match: re.Match[str]) -> str | None:
    found = (_group(match, name) for name in ("s", "s2", "s3", "s4"))
    return next((text.strip() for text in found if text and text.strip()), None)


def _group(match: re.Match[str], name: str) -> str | None:
    return match.groupdict().get(name)


def _all(patterns: Iterable[re.Pattern[str]], text: str) -> Iterator[re.Match[str]]:
    return (match for pattern in patterns if (match := pattern.fullmatch(text)))


def _range(match: re.Match[str]) -> tuple[int | None, int | None]:
    if match["y1"]:
        return int(match["y1"]), int(match["y1"])
    if match["y4"]:
        return int(match["y4"]), int(match["y5"])
    year = int(match["y3"])
    match match["open"]:
        case "since" | "seit":
            return year, None
        case "after" | "nach" | "след":
            return year + 1, None
        case "until" | "up to" | "bis" | "до":
            return None, year
        case _:
            return None, year - 1
