"""Rewrite a follow-up question by rules, using the chat's history, so that it can be searched for on its own.

Precision comes first: a complete question stays unchanged. "They", "the authors" and "this paper" refer to a paper, not
to the chat, so they do not make a follow-up.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rag.words import STOP_WORDS, content_words, split_sentences, words_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

TOPIC_WORDS = 8
"""Words taken from earlier questions, at most."""

ANSWER_TERMS = 2
"""Terms taken from the cited sentences of the last answer; twice as many for "this" and "that"."""

MAX_WORDS = 16
"""A longer question says what it is about."""

_AUXILIARIES = frozenset(
    """
    is are was were be been am does do did has have had can could will would shall should may might must isn't
    aren't wasn't weren't doesn't don't didn't hasn't haven't can't couldn't won't wouldn't
    """.split()
)
_ASKING = frozenset("what which who whom whose where when why how".split())
_PREPOSITIONS = frozenset(
    "for on in with without at under from by to of using against versus vs compared about within across".split()
)
_PLAIN = frozenset(
    """
    well much many often long large big small fast slow good bad better worse best worst high low far exactly also
    please still even really actually true right wrong so enough too happen happens happened mean means meant work
    works worked matter matters use uses used using make makes made get gets go goes say says said call called know
    known proposed proposes propose introduced introduces invented invents defined defines define train trained
    trains test tested evaluate evaluated measure measured compute computed compare compares compared differ differs
    relate related mention mentions explain explained describe describes described handle run runs help helps come
    comes need needs show shows shown find found cause causes caused solve solves tell give gives papers paper one
    ones significant important different similar useful necessary possible realistic expensive cheap reliable public
    available new novel kind type sort way able done like look looks
    """.split()
)
"""Everyday words: next to a pronoun, they do not name the topic."""

_OF_THE_PAPER = frozenset(
    "paper papers work works study studies article articles research survey thesis report section table figure "
    "equation appendix author authors question questions library".split()
)
"""Nouns after "this" that do not refer to the chat."""

_ABOUT_ASKING = _PLAIN | _OF_THE_PAPER | frozenset(
    """
    number amount take takes took build built reach reached reaches per
    summarise summarize summary main finding findings contribution contributions difference differences list compare
    according show shown tell give please thing things exist exists there example examples detail details more et al
    """.split()
)  # fmt: skip
"""Words of a question that are not its topic."""

_WHOLE = re.compile(
    r"(?:and |but |so |ok(?:ay)? |hm+ )?(?:"
    r"why(?: not| so| is (?:that|this)(?: so)?)?|how(?: so| come)?|where|when|who"
    r"|which(?: ones?)?|what(?: for| else| then)?|(?:who|where|how) else|anything else|any(?:thing)? more"
    r"|how (?:much|many)(?: exactly| more)?|by how much|(?:since|until) when"
    r"|in (?:what|which) (?:way|sense|respect)s?|to what extent|compared (?:to|with) what"
    r"|for example|such as|like what|for instance|really|are you sure|is (?:that|this|it) (?:so|true|right|all)"
    r"|(?:please )?(?:(?:can|could) you )?(?:please )?"
    r"(?:tell me more|say more|go on|continue|elaborate|be more specific"
    r"|explain(?: it| that| this)?(?: further| more| again| better| (?:in|with) [\w ]+)?"
    r"|give (?:me )?(?:an |some |more |another )?(?:examples?|details?))(?: on (?:that|this|it))?(?: please)?"
    r"|more details?|more about (?:that|this|it)|(?:an|another) example|examples)"
)
_LEAD = re.compile(r"(?:and|but|or)\b")
_WHAT_ABOUT = re.compile(r"(?:and |but |so )?(?:what|how) about\b")
_BARE_COUNT = re.compile(r"(?:how many|how much|which|what) (?:[\w-]+ ?){1,2}")
_EMPTY_IT = re.compile(
    r"\bit (?:(?:is|was|seems|not|also|ever|really|always|still|\w+ly) )*"
    r"(?:possible|impossible|true|false|necessary|needed|required|valid|clear|important|hard|difficult|easy|safe"
    r"|common|known|likely|unlikely|reasonable|ok|okay|worth|fair|correct|allowed|enough|sufficient|useful|feasible"
    r"|advisable|best|better|good|bad|helpful|legal|ethical|realistic|assumed|said|claimed|argued|believed|shown"
    r"|evident|obvious|surprising|normal|usual|standard) (?:for .* )?(?:to|that|whether)\b"
    r"|\bit (?:makes? sense|matters? (?:if|whether|that|how|which)|means? (?:to|that|if))\b"
    r"|\bit be (?:said|shown|assumed) that\b|\bit takes? .*\bto\b"
)
"""Expletive "it": "Is it possible to …", "How long does it take to …"."""

_THEY = re.compile(
    r"(?:\w+ ){0,2}(?:are|were) they\b|(?:\w+ ){0,2}(?:can|could|should|must|may) they be\b"
    r"|how do they (?:differ|compare|work|relate|overlap|interact)$"
)
"""As the subject of a passive, "they" means things; otherwise it means the authors."""

_ONE_OF_THEM = re.compile(
    r"which (?:other )?ones?(?![-\w])|which of (?:them|these|those|the two|both)\b(?! \w+s\b)"
    r"|.*\b(?:between|of) (?:the two|them|these|those)$"
    r"|.*\bthe (?:first|second|third|last|other|others|former|latter|rest|larger|smaller|newer|older)(?: ones?)?$"
    r"|.*\b(?:former|latter) one$|.*\bthe other (?:two|three|four|ones?)\b(?! \w+s\b).*"
    r"|(?:is|are|was|were) there .*\bones?$|.*\binstead$"
    r"|(?:why|how|is|are|does|do|was|were) (?:is |are |does |do |was |were )?"
    r"the (?:former|latter|other one|second one|first one)\b.*"
)


@dataclass(frozen=True, slots=True)
class FollowUp:
    """A follow-up question made self-contained."""

    text: str
    """The question with the missing words in brackets: "Why is it better (LoRA, full fine-tuning)?"."""
    of: str
    """The last complete question of the chat."""


def follow_up(question: str, history: Sequence[tuple[str, str]]) -> FollowUp | None:
    """The question completed from the chat; None if it is complete or there is nothing to use.

    Args:
        question: in the user's words.
        history: earlier (question, answer) pairs, oldest first. Each may be a follow-up itself.
    """
    if not history:
        return None
    earlier, answer = history[-1]
    points_back = _points_back(question, said=f"{earlier} {answer}")
    if points_back is None:
        return None
    before = follow_up(earlier, history[:-1])
    own = content_words(question)
    phrases = _topic(before.text if before else earlier, without=own)
    taken = own | {stem for phrase in phrases for stem in content_words(phrase)}
    n_terms = ANSWER_TERMS * (2 if points_back == "answer" or not phrases else 1)
    phrases += _terms(answer, without=taken)[:n_terms]
    if not phrases:
        return None
    return FollowUp(f"{question.strip().rstrip('?.! ')} ({', '.join(phrases)})?", before.of if before else earlier)


def _points_back(question: str, *, said: str) -> str | None:
    """Whether the missing words are likelier in the last "question" or "answer"; None if the question is complete."""
    words = [word.replace("’", "'") for word in re.findall(r"[\w'’-]+(?:[.,]\w+)*", question.casefold())]
    text = " ".join(words)
    if not words or len(words) > MAX_WORDS:
        return None
    if _WHOLE.fullmatch(text) or _THEY.match(text) or _ONE_OF_THEM.match(text):
        return "answer"
    if _WHAT_ABOUT.match(text) or _is_fragment(words):
        return "question"
    if _LEAD.match(text) and len(set(words) - STOP_WORDS - _ABOUT_ASKING) <= 3:
        return "question"
    if _has_it(words, text, question):
        return "question"
    return "answer" if _has_this(words, said) else None


def _is_fragment(words: Sequence[str]) -> bool:
    """Whether it has no verb: "For the base model?", "How many layers?", "Any limitations?"."""
    start = 1 if words[0] in {"and", "but", "or", "also", "only", "even", "not"} else 0
    rest = words[start:]
    if not rest or len(rest) > 7 or any(word in _AUXILIARIES for word in rest):
        return False
    if rest[0] in _PREPOSITIONS and len(rest) <= 4 and rest[1:2] and rest[1] in _ASKING:
        return True
    if rest[0] in _PREPOSITIONS or (rest[:2] == ["the", "same"] and len(rest) <= 6):
        return not any(word in _ASKING for word in rest)
    if rest[0] in {"any", "other"}:
        return len(rest) <= 3
    return bool(_BARE_COUNT.fullmatch(" ".join(rest))) and not (
        rest[-1].endswith("ed") or any(word in _PLAIN for word in rest[2:])
    )


def _has_it(words: Sequence[str], text: str, question: str) -> bool:
    """Whether "it", "its" or "them" refers to something the question has not named before."""
    at = next((i for i, word in enumerate(words) if word in {"it", "its", "it's", "them"}), None)
    if at is None or _EMPTY_IT.search(text):
        return False
    before = words[:at]
    said_before = re.split(rf"\b{words[at]}\b", question.casefold().replace("’", "'"), maxsplit=1)[0]
    if re.search(r"[,;:?.]\s", said_before) or {"if", "and", "when"} & set(before):
        return False
    if all(word in STOP_WORDS | _PLAIN | _AUXILIARIES for word in before):
        return not (words[at] == "them" and "they" in before)
    # "How many parameters does it have?": nothing between the question word and the subject can be the referent
    asks = before[0] in _ASKING or (before[0] in _PREPOSITIONS and before[1:2] and before[1] in _ASKING)
    if not asks or "they" in before or any(word in _AUXILIARIES for word in before[:-1]):
        return False
    return (before[-1] in _AUXILIARIES and words[at] != "them" and len(before) <= 6) or len(words) == at + 1 <= 4


def _has_this(words: Sequence[str], said: str) -> bool:
    """Whether "this", "that", "these" or "those" stands alone or with a noun from the last question and answer."""
    known = content_words(said)
    for at, word in enumerate(words):
        if word not in {"this", "that", "these", "those"}:
            continue
        before, after = words[at - 1] if at else "", words[at + 1 : at + 3]
        plain = all(earlier in STOP_WORDS | _PLAIN | _AUXILIARIES for earlier in words[:at])
        pointing = before in _AUXILIARIES | _PREPOSITIONS | _ASKING | {"", "after", "before", "because", "than", "only"}
        alone = not after or (
            after[0] in STOP_WORDS | _PLAIN | _AUXILIARIES
            and (not set(after) & _OF_THE_PAPER or (before in {"do", "does", "did"} and after[0] == "work"))
            and after[0] != "way"
        )
        if plain and alone and (pointing or (not after and at <= 3)):
            return True
        if pointing and after and not set(after[:1]) & (_OF_THE_PAPER | STOP_WORDS | _PLAIN):
            nouns = content_words(" ".join(after))
            if nouns & known and not set(after) & _OF_THE_PAPER:
                return True
    return False


def _topic(question: str, *, without: Iterable[str]) -> list[str]:
    """The phrases that name a question's topic, in order; adjacent words form one phrase."""
    known, last_end, n_words = set(without), 0, 0
    phrases: list[str] = []
    for match in re.finditer(r"\w+(?:[-.,'’]\w+)*", question):
        word = re.sub(r"['’]s$", "", match[0])
        stems = content_words(word)
        if word.casefold() in STOP_WORDS | _AUXILIARIES | _ABOUT_ASKING or not stems or stems <= known:
            continue
        if n_words == TOPIC_WORDS:
            break
        known |= stems
        n_words += 1
        if phrases and question[last_end : match.start()].isspace():
            phrases[-1] += f" {word}"
        else:
            phrases.append(word)
        last_end = match.end()
    return phrases


def _terms(answer: str, *, without: set[str]) -> list[str]:
    """Names, acronyms and the like from the answer's sentences with markers, most frequent first."""
    found: Counter[str] = Counter()
    for sentence in (sentence for line in answer.splitlines() for sentence in split_sentences(line)):
        if not re.search(r"\[\d+\]", sentence):
            continue
        plain = re.sub(r"\s*\[\d+\]", "", sentence)
        for match in re.finditer(r"\w+(?:[-.]\w+)*", plain):
            word = match[0]
            named = any(char.isupper() for char in word[1:]) or (match.start() > 0 and word[0].isupper())
            mixed = not word[0].isdigit() and any(char.isdigit() for char in word)
            if (named or mixed) and word.casefold() not in STOP_WORDS | _ABOUT_ASKING:
                found[word] += 1
    return [word for word, _ in found.most_common() if not content_words(word) <= without and words_of(word)]
