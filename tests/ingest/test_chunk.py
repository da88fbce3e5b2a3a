"""The laws of chunking, for any text."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.chunk import chunk_paper
from ingest.layout import PARAGRAPH_BREAK
from ingest.paper import Heading, Page, Paper, ParsedPaper, pages_of


def count_words(texts):
    """A fake tokenizer: one token for every four characters of a word."""
    return [sum(-(-len(word) // 4) for word in text.split()) for text in texts]


def make_paper(page_texts, headings=()):
    paper = Paper(id="0123456789abcdef", title="T", n_pages=len(page_texts), file_name="t.pdf")
    return ParsedPaper(paper, tuple(Page(i, text) for i, text in enumerate(page_texts, 1)), tuple(headings))


words = st.text(st.characters(categories=("L", "N"), max_codepoint=0x2FF), min_size=1, max_size=60)
sentences = st.lists(words, min_size=1, max_size=40).map(lambda ws: " ".join(ws).capitalize() + ".")
paragraphs = st.lists(sentences, min_size=1, max_size=5).map(" ".join)
page_texts = st.lists(st.lists(paragraphs, max_size=4).map(PARAGRAPH_BREAK.join), min_size=1, max_size=4)


@settings(max_examples=150, deadline=None)
@given(page_texts, st.integers(8, 60))
def test_laws(texts, max_tokens):
    parsed = make_paper(texts)
    chunks = chunk_paper(parsed, max_tokens=max_tokens, count_tokens=count_words)
    text, starts = parsed.text, parsed.page_starts()
    for chunk in chunks:
        assert text[chunk.start : chunk.end] == chunk.text, "the slice law"
        assert chunk.text == chunk.text.strip() != "", "no white space around"
        assert chunk.n_tokens == count_words([chunk.text])[0] <= max_tokens, "the size bound"
        assert (chunk.first_page, chunk.last_page) == pages_of(starts, chunk.start, chunk.end)
        first = texts[chunk.first_page - 1]
        assert chunk.text[:5].split()[0] in first, "the right page"
    assert "".join("".join(c.text for c in chunks).split()) == "".join(text.split()), "nothing lost, nothing doubled"
    assert [c.ordinal for c in chunks] == list(range(len(chunks)))
    assert len({c.id for c in chunks}) == len(chunks)


def test_a_chunk_never_crosses_a_section_and_knows_it():
    text = "Opening words.\n\n1 Methods\n\nWe did it.\n\n2 Results\n\nIt worked."
    headings = [Heading(m.start(), m.end(), m[0], 1) for m in re.finditer(r"\d \w+", text)]
    chunks = chunk_paper(make_paper([text], headings), max_tokens=100, count_tokens=count_words)
    assert [(c.section, c.text) for c in chunks] == [
        (None, "Opening words."),
        ("1 Methods", "We did it."),
        ("2 Results", "It worked."),
    ]


def test_the_reference_list_is_left_out_and_what_follows_it_is_kept():
    text = "1 Results\n\nIt worked.\n\nReferences\n\n[1] A. Nyone. Old work. 1999.\n\nA Appendix\n\nMore detail."
    headings = [Heading(text.index(t), text.index(t) + len(t), t, 1) for t in ("1 Results", "References", "A Appendix")]
    chunks = chunk_paper(make_paper([text], headings), max_tokens=100, count_tokens=count_words)
    assert [c.text for c in chunks] == ["It worked.", "More detail."]


def test_sentences_are_not_cut_at_abbreviations():
    text = "As Smith et al. 2020 show in Fig. 3, e.g. Table 2, it holds. Next sentence here."
    chunks = chunk_paper(make_paper([text]), max_tokens=20, count_tokens=count_words)
    assert [c.text for c in chunks] == [text[: text.index(" Next")], "Next sentence here."]


def test_a_sentence_over_a_page_break_stays_whole_and_names_both_pages():
    chunks = chunk_paper(make_paper(["It begins here and", "ends there."]), max_tokens=50, count_tokens=count_words)
    assert [(c.text, c.first_page, c.last_page) for c in chunks] == [("It begins here and\nends there.", 1, 2)]


def test_the_embedder_never_truncates_a_chunk(embedder):
    text = " ".join(f"Compound C{i}H{i * 2}N{i}O-{i}-methylphenyl-cyclohexanone was measured." for i in range(200))
    chunks = chunk_paper(make_paper([text]), max_tokens=160, count_tokens=embedder.count_tokens)
    assert all(count <= embedder.max_tokens for count in embedder.count_tokens([c.text for c in chunks]))
    assert len(chunks) > 5
