"""Citation markers in every form that models write: read as what they mean, also while they are still being written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.markers import Markers, normalised, round_ones, without_notes

FORMS = [
    ("It is so [1, 2].", "It is so [1][2]."),
    ("It is so [1][2].", "It is so [1][2]."),
    ("It is so [1-3].", "It is so [1][2][3]."),
    ("It is so [1 and 2].", "It is so [1][2]."),
    ("It is so [1, p. 3].", "It is so [1]."),
    ("It is so [1, pp. 3-4; 2, S. 7].", "It is so [1][2]."),
    ("It is so [1: 3].", "It is so [1]."),
    ("It is so [^1].", "It is so [1]."),
    ("It is so [Source 1].", "It is so [1]."),
    ("It is so [source: 1].", "It is so [source: 1]."),
    ("It is so [Passage 1; Passage 2].", "It is so [1][2]."),
    ("It is so [Passages 1 and 3].", "It is so [1][3]."),
    ("It is so [Doc 1, Doc 2].", "It is so [1][2]."),
    ("It is so [ref. 4].", "It is so [4]."),
    ("It is so [#1].", "It is so [1]."),
    ("It is so 【1†source】.", "It is so [1]."),
    ("It is so 【2】.", "It is so [2]."),
    ("It is so [1†L3-L5].", "It is so [1]."),
    ("It is so.<sup>1,2</sup> And so.", "It is so.[1][2] And so."),
    ("It is said<sup>[1]</sup>.", "It is said[1]."),
    ("It is so (Source 1).", "It is so [1]."),
    ("It is so (see Passage 2, p. 4).", "It is so [2]."),
    # and what is none
    ("10<sup>6</sup> cells per cm<sup>2</sup>", "10<sup>6</sup> cells per cm<sup>2</sup>"),
    ("as in [2019] and [see Table 3]", "as in [2019] and [see Table 3]"),
    ("in the range [0, 1]", "in the range [0, 1]"),
    ("a 95% CI of [2, 8] in adults [1].", "a 95% CI of [2, 8] in adults [1]."),
    ("(95% CI [12, 18]), on a scale of [1-5]", "(95% CI [12, 18]), on a scale of [1-5]"),
    ("rats or mice, 3 or 4 [1, 2]; at intervals [1, 2]", "rats or mice, 3 or 4 [1][2]; at intervals [1][2]"),
    ("Kliniken nutzen KI [1, 2]; built with CI [1, 2].", "Kliniken nutzen KI [1][2]; built with CI [1][2]."),
    ("95-%-KI [1, 2], CI: [1, 2], 95 % ДИ [1, 2]", "95-%-KI [1, 2], CI: [1, 2], 95 % ДИ [1, 2]"),
    ("a link [1](http://example.org)", "a link [1](http://example.org)"),
    ("x[i] = [0.5, 1.2] (p < .05)", "x[i] = [0.5, 1.2] (p < .05)"),
    ("not closed [1", "not closed [1"),
    *(
        (same, same)
        for same in (
            "by <sup>1</sup>H NMR and <sup>13</sup>C NMR, with <sup>18</sup>F-FDG",
            "<sup>1</sup>H",
            "(<sup>3</sup>He) and **<sup>2</sup>D**",
            "χ<sup>2</sup> was 3, R<sup>2</sup> 0.9, μ<sup>2</sup>, E = mc<sup>2</sup>",
            "10 <sup>6</sup> cells and 5 × 10<sup>9</sup>",
            "per hectare<sup>2</sup>, kilometres<sup>2</sup>, seconds<sup>2</sup>, sigma<sup>2</sup>",
            "(no. 5), (No 5), (nr. 5), (paper 2), (papers 1 and 2), (document 3), (context 2)",
            "[no 5] and [Nr. 5]",
            "a link [1, 2](x) and [1][2](x)",
            "a link [1, 2](http://example.org/a_long_address_that_goes_on_and_on_and_on_and_on_and_on)",
            "【1】(x)",
        )
    ),
    ("It was so in rats<sup>1</sup>, and доказано<sup>2</sup>.", "It was so in rats[1], and доказано[2]."),
    ("It is so [Paper 2], [Document 3], [Context 1].", "It is so [2], [3], [1]."),
    ("It is so [1, 2] (x).", "It is so [1][2] (x)."),
    ("It is so [1, 2](", "It is so [1, 2]("),
]


@pytest.mark.parametrize(("text", "meant"), FORMS)
def test_a_form_is_read_as_what_it_means(text, meant):
    assert normalised(text) == meant


@pytest.mark.parametrize(("text", "meant"), FORMS)
@pytest.mark.parametrize("size", [1, 2, 5])
def test_a_stream_gives_the_same_however_it_is_cut(text, meant, size):
    markers = Markers()
    pieces = [markers.feed(text[at : at + size]) for at in range(0, len(text), size)]
    assert "".join([*pieces, markers.finish()]) == meant


@given(
    st.lists(
        st.sampled_from(
            ["[1", ", 2", "]", "(", ")", "<sup>", "1", "</sup>", "H", " ", "x", "rats", "【", "】", "Source 1"]
        )
    )
)
def test_a_stream_of_any_pieces_gives_what_the_whole_gives(pieces):
    markers = Markers()
    assert "".join([*map(markers.feed, pieces), markers.finish()]) == normalised("".join(pieces))


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("It is so (1). And so (2).", "It is so [1]. And so [2]."),
        ("It is so (1, 2).", "It is so [1][2]."),
        ("It follows from Equation (1).", "It follows from Equation (1)."),
        ("There are three (3) of them.", "There are three (3) of them."),
        ("It is so [1]. In a group (2).", "It is so [1]. In a group (2)."),
        ("It was shown (2019).", "It was shown (2019)."),
        ("It is so (9).", "It is so (9)."),
    ],
)
def test_round_brackets_are_markers_only_where_nothing_else_is_meant(text, meant):
    assert round_ones(text, {1, 2, 3}) == meant


def test_the_list_of_footnotes_below_a_text_goes():
    assert without_notes("It is so [1].\n\n[^1]: Smith 2019, p. 3\n[2]: Jones").strip() == "It is so [1]."


def test_footnotes_that_are_the_whole_text_stay():
    assert without_notes("[1]: It is so.\n\n[2]: It is not.").split("\n") == ["It is so. [1]", "", "It is not. [2]", ""]
