"""A team's preferred spellings stand in what a model writes, and never in what it quotes."""

from __future__ import annotations

import pytest

from rag.retrieval.glossary import read_glossary
from rag.retrieval.spelling import as_preferred

ENTRIES = read_glossary(
    "term,synonyms,preferred,definition\n"
    "SLM,small LM; small language model,small language model,\n"
    "LM,,language model,\n"
    "KV cache,key-value cache,KV-cache,\n"
    "tulsi,holy basil,Ocimum sanctum,\n"
    "epoch,,,one pass\n"
    "LoRA,low-rank adaptation,LoRA,\n"
)


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("An SLM drafts.", "A small language model drafts."),
        ("SLM drafts are short.", "Small language model drafts are short."),
        ("It runs a small language model.", "It runs a small language model."),
        ("The key-value cache grows. Holy basil does not.", "The KV-cache grows. Ocimum sanctum does not."),
        ('They write "the SLM drafts" there.', 'They write "the SLM drafts" there.'),
        ("“SLM” is their word; an SLM is small.", "“SLM” is their word; a small language model is small."),
        ("SLMs and pre-LM models", "SLMs and pre-LM models"),
        ("an epoch", "an epoch"),
        ("LORA and low-rank adaptation; a lora", "LoRA and LoRA; a LoRA"),
        (
            "Small language models are small. Small language model.",
            "Small language models are small. Small language model.",
        ),
        ("A tulsi leaf", "An Ocimum sanctum leaf"),
        ("", ""),
    ],
)
def test_a_term_is_written_as_the_glossary_wants_it(written, shown) -> None:
    assert as_preferred(written, ENTRIES) == shown


def test_without_preferred_spellings_nothing_changes() -> None:
    assert as_preferred("An SLM.", read_glossary("term,definition\nSLM,small\n")) == "An SLM."
