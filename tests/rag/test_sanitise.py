"""What a model or a paper writes carries no image, no link and no tag, however it arrives."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rag.sanitise import JOINER, Sanitiser, broken, printable, sanitised

LIVE = [
    re.compile(r"\]\("),
    re.compile(r"(?:\A|\n)[ \t>*+\d.)-]*\[[^\[\]]*\]:"),
    re.compile(r"(?i):\\?/|www\\?\.|[\w.+\\-]@[\w-]|<[a-z][a-z0-9+.-]+:"),
    re.compile(r"&#?\w{1,32};"),
]
"""Without one of these pairs of characters no Markdown parser sees an image, a link or an address.

A reference leads nowhere without a definition, and that begins a line.
"""

PARTS = [
    *"[]()!<>:/\\`$~&;#@*_ \n",
    *("http", "://", "www.", "evil.example", "javascript:", "data:text/html,", "](", "![", "[1]", "1", "a", "word "),
    *("```\n", "~~~\n", "    ", "- ", "> ", "$$", "\\(", "\\)", "\\[", "\\]", "&colon;", "&#58;", "<img src=", ":::"),
    *("\u200b", JOINER, "\r", "é", "w", "mailto:", "[x](http://evil.example)", "![x](//evil.example/a.png)"),
]
TEXTS = st.lists(st.sampled_from(PARTS), max_size=24).map("".join)

NASTY = [
    "![x](http://evil.example/?leak)",
    "![x][r]\n\n[r]: http://evil.example",
    "[a](http://evil.example) [b]( <http://evil.example> 'title' )",
    "[![x](http://a.example)](http://b.example)",
    "<img src=http://evil.example> <script>alert(1)</script> <iframe src=//evil.example></iframe>",
    "<http://evil.example> <me@evil.example> <javascript:alert(1)>",
    "http://evil.example www.evil.example me@evil.example mailto:me@evil.example",
    r"http\://evil.example www\.evil.example me\@evil.example http:\/\/evil.example",
    "http&colon;//evil.example http&#58;//evil.example www&period;evil.example me&commat;evil.example",
    "[a](javascript:alert(1)) [b](data:text/html,x) [c](vbscript:x)",
    "- ```\n  x\n  ```\n![x](http://evil.example)",
    "a ` b\n` ![x](http://evil.example) `",
    "$$\n```\n$$\n![x](http://evil.example)\n```",
    "w[ww.evil.example](x:y) me[@evil.example](x:y)",
    "[a](/cite/0123456789abcdef/1/0001)",
    "http:\u200b//evil.example [a]\u200b(http://evil.example)",
]


def in_pieces(text: str, cuts: list[int]) -> list[str]:
    ends = sorted({min(cut, len(text)) for cut in cuts} | {0, len(text)})
    return [text[start:end] for start, end in pairwise(ends)]


def streamed(pieces: list[str]) -> str:
    stream = Sanitiser()
    return "".join([*map(stream.feed, pieces), stream.finish()])


@pytest.mark.parametrize("text", NASTY)
def test_nothing_that_could_load_or_lead_away_is_left(text: str) -> None:
    assert [pattern.pattern for pattern in LIVE if pattern.search(sanitised(text))] == []


@given(TEXTS)
@settings(max_examples=500)
def test_no_text_at_all_keeps_a_live_pair_of_characters(text: str) -> None:
    shown = sanitised(text)
    assert [pattern.pattern for pattern in LIVE if pattern.search(shown)] == [], shown


@given(TEXTS, st.lists(st.integers(0, 120), max_size=30))
@settings(max_examples=500)
@example("w[ww.evil.example](x:y)", [1, 2, 9])
def test_pieces_give_the_same_as_the_whole(text: str, cuts: list[int]) -> None:
    assert streamed(in_pieces(text, cuts)) == sanitised(text)


@given(TEXTS)
@settings(max_examples=300)
def test_letter_by_letter_gives_the_same_as_the_whole(text: str) -> None:
    assert streamed(list(text)) == sanitised(text)


@pytest.mark.parametrize("size", [1, 7, 499, 500, 501, 3000])
@pytest.mark.parametrize("start", ["[", "![a](", "`", "``a`", "$", "$$", r"\(", r"\[", "```\n", "&", "![a](b("])
def test_what_is_never_closed_is_given_up_alike(start: str, size: int) -> None:
    text = start + "x" * size + " ](http://evil.example) `$) $$ \\] \\) end"
    assert streamed(list(text)) == sanitised(text)


@given(TEXTS)
@settings(max_examples=300)
def test_what_is_stored_is_what_was_shown(text: str) -> None:
    shown = sanitised(text)
    assert broken(shown, own_links=True) == shown


@pytest.mark.parametrize(
    "text",
    [
        "5 < 6 and a_b, a[i] and [1], f(x) [2].",
        "50 % of R&D, see 2.1 (p. 3)! Why? At 5:30, not 6; x > y | z ~ 3.",
        "a * b - c\n\n1. one\n2. two\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n**bold** _it_ # no",
        "`a_b < c` and `` a ` b `` and ```\nin line",
        "so $\\eta = a_1 < b$ and\n\n$$\nx^2 \\\\ y\n$$\n\nend",
        "```python\n@dataclass\nfor i in a[0][1]:\n    if x<y: print('$HOME')  # <b>\n```\nafter",
        "  ~~~~\n  code\n  ~~~\n  ~~~~\n",
        "https",
    ],
)
def test_ordinary_text_code_and_formulas_stay_as_they_are(text: str) -> None:
    assert sanitised(text) == text


def seen(text: str) -> str:
    return sanitised(text).replace(JOINER, "")


def test_links_and_images_become_words_and_an_address() -> None:
    assert seen("see [the page](http://evil.example/a_(b)) now") == "see the page (http://evil.example/a_(b)) now"
    assert seen("![a plot](plot.png) ![](//evil.example)") == "a plot (plot.png) //evil.example"
    assert seen("[1](http://evil.example) [http://a.example](http://a.example)") == (
        "[1] (http://evil.example) http://a.example"
    )
    assert seen("E[X](t) and T[f](x)") == "E[X](t) and T[f](x)", "not every bracket is a link"


def test_formulas_in_the_manner_of_tex_become_dollars_and_money_does_not() -> None:
    assert sanitised(r"so \(x\) and \[ y \]") == "so $x$ and $$y$$"
    assert sanitised("from $5 to $6") == r"from \$5 to \$6"


def test_open_code_does_not_swallow_what_follows() -> None:
    assert sanitised("```\nx") == "```\nx\n```"
    assert sanitised("1. a\n   ```py") == "1. a\n   ```py\n   ```"
    assert sanitised("```\nx\n```") == "```\nx\n```"


def test_a_terminal_is_given_nothing_to_obey() -> None:
    assert printable("\x1b]8;;http://evil.example\x07a\x1b[2J\u202e\nb\tc") == "]8;;http://evil.examplea[2J\nb\tc"


def test_words_flow_while_they_are_written() -> None:
    stream, lag = Sanitiser(), 0
    text = "The cache takes 36 KiB a token [1], with 16-bit numbers: see Table 2 (p. 4). It is so & nothing else."
    shown = ""
    for at, letter in enumerate(text, 1):
        shown += stream.feed(letter)
        lag = max(lag, at - len(shown.replace(JOINER, "")))
    assert lag <= 4, "no more than a marker that is open"


def test_the_gate_for_stored_messages_keeps_our_links_and_no_other() -> None:
    ours = "[1](/cite/0123456789abcdef/2/0001) [A](/cite/0123456789abcdef/2/0001#source)"
    assert broken(ours, own_links=True) == ours
    for other in ("(http://e.example)", "(/cite/../x)", "(/cite/0123456789abcdef/2/0001?x)", "(//e.example)", ": x"):
        assert f"]{JOINER}" in broken(f"[1]{other}", own_links=True)
    for text in NASTY:
        once = broken(text, own_links=True)
        assert broken(once, own_links=True) == once
