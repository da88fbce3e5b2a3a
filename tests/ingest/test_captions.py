"""Which figures and tables a paper has, from its captions."""

from __future__ import annotations

import pytest

from ingest.captions import Caption, captions
from ingest.paper import Page


def of(*texts: str) -> list[Caption]:
    return captions(Page(number, text) for number, text in enumerate(texts, 1))


@pytest.mark.parametrize(
    ("paragraph", "name", "text"),
    [
        ("Figure 3: A leaf of basil.", "Figure 3", "A leaf of basil."),
        ("FIGURE 2 Neighbour-joining tree", "Figure 2", "Neighbour-joining tree"),
        ("Fig. 1 – Zone of inhibition", "Figure 1", "Zone of inhibition"),
        ("Fig.4. Yield", "Figure 4", "Yield"),
        ("Table II | Doses", "Table II", "Doses"),
        ("Supplementary Table 1. Primers", "Supplementary Table 1", "Primers"),
        ("Scheme 1", "Scheme 1", ""),
        ("Fig3. Yield", "Figure 3", "Yield"),
        ("TableI. Doses", "Table I", "Doses"),
        ("Tablei. Doses", "Table I", "Doses"),
        ("boxiv. Doses", "Box IV", "Doses"),
        ("\u017fcheme1. Doses", "Scheme 1", "Doses"),
        ("Supplementary Figs1. Doses", "Supplementary Figure 1", "Doses"),
    ],
)
def test_a_caption_is_named_as_it_is_cited(paragraph: str, name: str, text: str) -> None:
    assert of(f"Some text.\n{paragraph}\nMore text.") == [Caption(name, text, 1)]


@pytest.mark.parametrize(
    "paragraph",
    [
        "Figure 3 shows a leaf.",
        "Table 2, which lists doses, is long.",
        "Figures are below.",
        "See Figure 3: it is good.",
    ],
)
def test_a_sentence_about_a_figure_is_none(paragraph: str) -> None:
    assert of(paragraph) == []


def test_each_is_listed_once_in_the_order_of_the_pages() -> None:
    found = of("Table 1: Doses.", "Table 1: Continued.\nFigure 1: A leaf.", "Figure 1: The same leaf.\nTable 1 (cont.)")
    assert [(one.name, one.page) for one in found] == [("Table 1", 1), ("Figure 1", 2)]


def test_captions_that_the_text_has_joined_are_told_apart() -> None:
    found = of("Fig. 3 Reduction of ions, as in Fig. 2 Fig. 4 Stabilisation")
    assert [(one.name, one.text) for one in found] == [
        ("Figure 3", "Reduction of ions, as in Fig. 2"),
        ("Figure 4", "Stabilisation"),
    ]


def test_a_line_of_nothing_but_captions_is_read() -> None:
    found = of(" ".join(f"Fig. {n} A leaf" for n in range(1, 1000)))
    assert len(found) == 999
