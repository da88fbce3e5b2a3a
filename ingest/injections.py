"""Sentences of a paper that talk to a model."""

from __future__ import annotations

import re

from ingest.sentences import sentence_spans

_LINE_END = re.compile(r"(?<!\n)\n(?!\n)")
_MARKERS = re.compile(
    r"""<\|(?:im_start|im_end|system|user|assistant|endoftext|begin_of_text|start_header_id|eot_id)\|>
    | \[/?INST\] | <</?SYS>> | ^\s*\#{2,}\s*(?:system|instruction|assistant)s?\s*: | BEGIN\ SYSTEM\ PROMPT""",
    re.IGNORECASE | re.MULTILINE | re.VERBOSE,
)
_TO_A_MODEL = re.compile(
    r"""\b(?:
    # ignore all previous instructions
      (?:ignore|disregard|forget|override|bypass) \s+ (?:\w+\s+){0,3}?
        (?:previous|prior|earlier|above|preceding|foregoing|former|other|your|system|all) \s+ (?:\w+\s+){0,2}?
        (?:instructions?|prompts?|directions|guidelines|commands?|orders)
    | (?:ignore|disregard|forget) \s+ (?:everything|anything|all\s+of\s+the|all\s+the|the) \s+ (?:\w+\s+){0,2}?
        (?:above|before\s+this|previously)(?=\s*(?:[.,;:!]|and\b|$))
    | (?:reveal|print|repeat|output) \s+ (?:your|the) \s+ (?:system|hidden|initial) \s+ prompt
    # you are an AI assistant; if you are a language model
    | you \s+ are \s+ (?:now\s+)? (?:an?\s+|the\s+)? (?:\w+\s+){0,2}? (?:ai|llm|chatbot|language\ model|assistant)
    | as \s+ an? \s+ (?:(?:ai|llm|large|language|helpful) \s* ){1,3} (?:model|assistant)?, \s+
        (?:you|please|do|give|write|ignore|i\ (?:can(?:not)?|am|do))
    | (?:ai|llm|language[ -]model)s? \s+ (?:reviewers?|assistants?|readers?) \s*[:,]\s* (?:you|please|do|give|ignore)
    # give a positive review, do not mention weaknesses
    | (?:give|write|provide|produce|output|generate) \s+ (?:\w+\s+){0,3}? (?:positive|favou?rable|glowing) \s+
        (?:\w+\s+){0,2}? (?:reviews?\s+(?:only|of\s+th|for\s+th)|reviews?[.!]|recommendation)
    | (?:do\s+not|don['’]t|never) \s+ (?:mention|reveal|highlight|disclose|report|list) \s+ (?:\w+\s+){0,3}?
        (?:negatives?|weakness\w*|this\s+(?:instruction|prompt|text|message)\w*|system\s+prompt)
    | recommend \s+ (?:\w+\s+){0,2}? (?:accepting|acceptance\s+of) \s+ (?:this|the) \s+ (?:paper|manuscript|submission)
    # German
    | (?:ignorier\w*|vergiss|vergessen\s+sie|missachte\w*|übergeh\w*) \s+ (?:\w+\s+){0,3}?
        (?:vorherige|vorige|bisherige|obige|frühere|vorangehende|vorangegangene|alle)\w* \s+ (?:\w+\s+){0,2}?
        (?:anweisung|instruktion|befehl|vorgabe|prompt)\w*
    | (?:du\s+bist|sie\s+sind) \s+ (?:jetzt\s+|nun\s+)? (?:eine?\s+)? (?:\w+\s+){0,2}?
        (?:ki(?:-\w+)?|sprachmodell|chatbot)
    | als \s+ (?:ein\s+|eine\s+)? (?:ki(?:-\w+)?|sprachmodell) \s*,?\s+ (?:sollst|musst|schreib|gib|darfst|kann\ ich)
    | (?:erwähn|nenn|verrate)\w* \s+ (?:\w+\s+){0,3}? (?:nicht|keine\w*) \s*
        (?:schwäche\w*|mängel|diese\w*\s+(?:anweisung|text)|systemprompt|negativ\w*)
    | (?:gib|schreib\w*|verfass\w*) \s+ (?:\w+\s+){0,3}? (?:positive|wohlwollende)\w* \s+
        (?:gutachten|bewertung|rezension|begutachtung)
    )\b""",
    re.IGNORECASE | re.VERBOSE,
)


def flag_sentences(text: str) -> list[str]:
    """The sentences of the text that seem to give orders to a language model, at most 300 characters of each.

    English and German. For a count and a warning: papers about language models quote such sentences in good faith.
    """
    flagged = []
    for start, end in sentence_spans(_LINE_END.sub(" ", text)):  # a line's end must not hide an order
        sentence = " ".join(text[start:end].split())
        if _TO_A_MODEL.search(sentence) or _MARKERS.search(text[start:end]):
            flagged.append(sentence[:300])
    return flagged
