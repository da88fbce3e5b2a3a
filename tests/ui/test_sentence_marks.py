"""A sentence in doubt is marked where it stands, in words too, whatever Markdown is around it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest import Chunk, Paper
from rag.answer import Answer, Citation, Correction, Passage, Sentence
from rag.costs.accounting import Trace
from rag.render import full_answer, model_text, with_references
from rag.sanitise import broken
from rag.sentence_marks import BEGINS, legend, marks_in_words, placed, shown
from ui.export import COPY, actions, kept

NOT_THERE = '[(not supported)](#unsupported "Number 12 is 8 in the passage")'
PARTLY = '[*(partially supported)*](#weak "The passages mention only part of this")'


def unsupported(text: str, markers: tuple[int, ...] = ()) -> Sentence:
    return Sentence(text, "unsupported", markers, ("number 12 is 8 in the passage",))


def weak(text: str, markers: tuple[int, ...] = ()) -> Sentence:
    return Sentence(text, "weak", markers, ("the passages mention only part of this",))


def marked(text: str, *sentences: Sentence) -> str:
    return shown(model_text(placed(text, sentences)), text, sentences)


def answer(text: str, *sentences: Sentence, **values) -> Answer:
    return Answer(question="Q?", text=text, passages=(), trace=Trace(), sentences=sentences, **values)


def test_each_doubted_sentence_begins_visibly_to_the_page_and_ends_with_its_mark() -> None:
    text = "It is so [1]. It runs on 12 GPUs. It may be fast [2]."
    sentences = Sentence("It is so.", "supported", (1,)), unsupported("It runs on 12 GPUs."), weak("It may be fast.")
    assert marked(text, *sentences) == (
        f"It is so [1]. {BEGINS}It runs on 12 GPUs. {NOT_THERE} {BEGINS}It may be fast [2]. {PARTLY}"
    )


@pytest.mark.parametrize(
    ("text", "said", "expected"),
    [
        ("- **It runs** on 12.", "**It runs** on 12.", f"- **{BEGINS}It runs** on 12. {NOT_THERE}"),
        ("3. It runs on 12", "It runs on 12", f"3. {BEGINS}It runs on 12 {NOT_THERE}"),
        ("# It runs on 12", "# It runs on 12", f"# {BEGINS}It runs on 12 {NOT_THERE}"),
        ("| runs | 12 |", "| runs | 12 |", f"| {BEGINS}runs | 12 {NOT_THERE} |"),
        ("*“It runs on 12.”*", "*“It runs on 12.”*", f"*“{BEGINS}It runs on 12.”* {NOT_THERE}"),
        ("It is $a. 12$ GB.", "It is $a.", f"{BEGINS}It is $a. 12$ {NOT_THERE} GB."),
        ("`run. 12`", "12`", f"{BEGINS}`run. 12` {NOT_THERE}"),
        ("```py\nrun(12)\n```\nEnd.", "run(12)", f"```py\nrun(12)\n```\n\n {NOT_THERE}\nEnd."),
    ],
)
def test_marks_leave_lists_tables_code_and_formulas_whole(text: str, said: str, expected: str) -> None:
    assert marked(text, unsupported(said)) == expected


def test_the_same_sentence_twice_is_marked_where_it_is_in_doubt() -> None:
    text = "It runs. It stops. It runs."
    found = marked(text, Sentence("It runs.", "supported", ()), Sentence("It stops.", None, ()), weak("It runs."))
    assert found == f"It runs. It stops. {BEGINS}It runs. {PARTLY}"


def test_an_answer_without_doubts_has_no_marks_and_no_legend() -> None:
    plain = answer("It is so.", Sentence("It is so.", "supported", (1,)), corrections=(Correction(0, None, 1),))
    assert full_answer(plain).startswith("It is so.\n\n")
    assert legend(plain) == ""
    assert marks_in_words(plain.text, plain.sentences) == plain.text


def test_the_legend_explains_the_marks_that_are_there_and_only_those() -> None:
    shown_legend = legend(answer("It runs.", weak("It runs.")))
    assert "#weak" in shown_legend
    assert "#unsupported" not in shown_legend


def test_corrected_citations_are_counted_and_told() -> None:
    changed = Correction(0, 3, 1), Correction(1, 9, None), Correction(2, None, 2)
    told = legend(answer("It runs.", Sentence("It runs.", "supported", (1,)), corrections=changed))
    assert told == "###### 2 citations were corrected: [3] is now [1], [9] was removed"


def test_a_reason_can_neither_end_its_link_nor_be_read_as_markdown() -> None:
    nasty = 'name "x") ![a](http://evil.example) `b` $c$ <d> | \\ is not "there"'
    found = marked("It runs.", Sentence("It runs.", "weak", (), (nasty,)))
    assert broken(found, own_links=True) == found
    assert re.fullmatch(rf'{BEGINS}It runs\. \[\*\(partially supported\)\*\]\(#weak "[^"\\`$<>|]*"\)', found)


@given(st.text(alphabet="[]()!<>:/ \n\\`$#|*~-ahtp1.@_", min_size=1, max_size=40), st.data())
def test_whatever_the_text_its_marks_are_all_there_and_need_no_mending(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    sentence = text[start : data.draw(st.integers(start + 1, len(text)))]
    doubted = answer(text, unsupported(sentence))
    message = full_answer(doubted)
    assert placed(text, doubted.sentences).translate({0x100000: None, 0x100001: None}) == text
    assert broken(message, own_links=True) == message
    assert message.count(NOT_THERE) == 1
    assert not re.search("[\U00100000-\U0010fffd]", message)


def test_a_model_cannot_write_a_mark_itself() -> None:
    written = marked(f'{BEGINS}It runs. [(not supported)](#unsupported "no") {chr(0x100001)}', weak("It stops."))
    assert "](#" not in written
    assert BEGINS not in written


def test_a_copy_says_in_words_what_is_in_doubt() -> None:
    text = "It runs on 12 [1]. It stops."
    sentences = unsupported("It runs on 12."), weak("It stops.")
    said = "It runs on 12 [1]. (not supported) It stops. (partially supported)"
    assert marks_in_words(text, sentences) == said
    assert "(not supported: number 12 is 8 in the passage)" in marks_in_words(text, sentences, reasons=True)
    assert kept(answer(text, *sentences)) == {}, "nothing is cited, so there is nothing to copy with references"
    chunk = Chunk(id="0123456789abcdef:0000", paper_id="0123456789abcdef", ordinal=0, text="It runs on 8.", start=0,
                  end=13, first_page=1, last_page=1, section=None, n_tokens=5)  # fmt: skip
    paper = Paper(id=chunk.paper_id, title="T", n_pages=9, file_name="t.pdf")
    passage = Passage(1, chunk, paper, 0.5, ("dense",))
    cited = Citation(marker=1, passage=passage, page=1, quote="It runs on 8.", verified=True)
    metadata = kept(answer(text, *sentences, citations=(cited,))) | {"answer": text}
    copy = next(action for action in actions(metadata) if action.name == COPY)
    assert with_references(copy.payload["answer"], [(1, paper, 1)]).startswith(said)
