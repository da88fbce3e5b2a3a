"""An answer in the papers' own words, out of what the reader found."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fake_reader import WordReader
from ingest import Chunk, Paper
from rag.answer import QUOTED_ANSWER, Passage
from rag.quoting.extract import best_sentences, cited, confidence_in, extract, is_sure, quoted_draft, whole_brackets
from rag.quoting.no_answer import is_beside_the_point, is_caption, may_answer
from rag.reading.readings import Reading, Sentence, Span
from rag.verify.citations import markers_in

QUESTION = "Which data sets are used?"
TEXTS = (
    "Earlier work had rules. We use SST-2, MNLI and QNLI for all experiments. It took two hours.",
    "We also evaluate on SQuAD. Training is rather short.",
)


def passage(marker: int, text: str, *, title: str = "A paper") -> Passage:
    chunk = Chunk(
        id=f"p:{marker:04d}", paper_id="p", ordinal=marker, text=text, start=0, end=len(text), first_page=4,
        last_page=4, section=None, n_tokens=50,
    )  # fmt: skip
    return Passage(marker, chunk, Paper(id="p", title=title, n_pages=9, file_name="a.pdf"), 0.8, ("dense",))


def reading(text: str, *words: str, kind="span", relevance=1.0, carrying: str | None = None) -> Reading:
    """A reading in which these words are the spans, the first one with the best score."""
    at = [text.index(word) for word in words]
    spans = tuple(Span(a, a + len(word), 5.0 - i) for i, (a, word) in enumerate(zip(at, words, strict=True)))
    sentences, start = [], 0
    for part in text.split(". "):
        end = min(len(text), start + len(part) + 1)
        chance = 0.9 if (carrying or (words or ["#"])[0]) in text[start:end] else 0.1
        sentences.append(Sentence(start, end, chance))
        start = end + 1
    return Reading(relevance, spans, 0.1, kind, 0.9, tuple(sentences))


PASSAGES = tuple(passage(n, text) for n, text in enumerate(TEXTS, start=1))


def test_the_best_span_of_all_passages_is_the_answer_with_the_sentence_that_it_stands_in() -> None:
    found = extract(QUESTION, PASSAGES, [reading(TEXTS[0], "SST-2", relevance=0), reading(TEXTS[1], "SQuAD")])
    assert (found.said, found.markers) == ("SQuAD", (2,))
    start, end = found.items[0].sentence
    assert TEXTS[1][start:end] == "We also evaluate on SQuAD."


def test_of_a_list_with_respectively_the_number_of_the_thing_that_was_asked_about_is_taken() -> None:
    text = "Ocimum sanctum and Curcuma longa showed clot lysis of 30.01% and 28.62%, respectively."
    found = extract("What clot lysis did Ocimum sanctum show?", [passage(1, text)], [reading(text, "28.62%")])
    assert found.said == "30.01%"
    assert extract("What clot lysis was seen?", [passage(1, text)], [reading(text, "28.62%")]).said == "28.62%"


def test_several_numbers_of_such_a_list_are_one_if_one_thing_was_asked_about() -> None:
    text = "At 0.06%, 0.125% and 0.25% of oil, the growth of the cells was 87.38%, 83.36% and 57.12%, respectively."
    read = [reading(text, "87.38%", "83.36%", kind="list")]
    assert extract("How large was the growth of the cells at 0.125%?", [passage(1, text)], read).said == "83.36%"
    assert extract("How large was the growth of the cells?", [passage(1, text)], read).said == "87.38%, 83.36%"
    read = [reading(text, "87.38%, 83.36%")]
    assert extract("How large was the growth of the cells at 0.125%?", [passage(1, text)], read).said == "83.36%"
    assert extract("How large was the growth of the cells at 0.06%?", [passage(1, text)], read).said == "87.38%"
    assert extract("How large was the growth of the cells?", [passage(1, text)], read).said == "87.38%, 83.36%"
    named = "Basil, mint and thyme gave 5, 7 and 9 mg, respectively."
    read = [reading(named, "5", "9", kind="list")]
    assert extract("How much did mint give?", [passage(1, named)], read).said == "7"
    assert extract("How much did basil and thyme give?", [passage(1, named)], read).said == "5, 9"


def test_a_sentence_with_the_quantity_that_was_asked_about_wins_over_one_with_another() -> None:
    three = "With three hours of upkeep a month the costs are the same at 12,105 questions."
    two = "If it needs two hours of upkeep, the point falls to 9,047 questions."
    texts = [reading(three, "12,105 questions"), reading(two, "9,047 questions", relevance=-0.5)]
    found = [passage(1, three), passage(2, two)]
    asked = "At what number of questions do they cost the same with two hours of upkeep?"
    assert extract(asked, found, texts).said == "9,047 questions"
    assert extract("At what number of questions do they cost the same?", found, texts).said == "12,105 questions"


def test_a_sentence_with_another_quantity_loses_nothing() -> None:
    text, other = "We enrolled 240 adults with a mean age of 45 years.", "In the pilot 12 adults took part."
    texts = [reading(text, "240 adults"), reading(other, "12 adults", relevance=0.0)]
    found = [passage(1, text), passage(2, other)]
    assert extract("How many adults over 18 years took part?", found, texts).said == "240 adults"


def test_that_number_is_not_looked_for_inside_another() -> None:
    text = "In 15 runs the extracts of basil and neem took 5 and 7 seconds, respectively."
    found = extract("How long did basil take?", [passage(1, text)], [reading(text, "7")])
    assert found.said == "5"
    assert text[slice(*found.items[0].words)] == "5"
    assert found.items[0].words[0] > text.index("took")


@pytest.mark.parametrize(
    ("sentence", "caption"),
    [
        ("Figure 2: Bands of DNA.", True),
        ("Fig. 3. Growth over a week.", True),
        ("Table 3 shows that the accuracy rose to 91.2 %.", False),
        ("The dose was 5 mg per kg (Fig. 2).", False),
    ],
)
def test_a_caption_begins_with_its_number_and_has_no_verb(sentence, caption) -> None:
    assert is_caption(sentence) is caption


def test_a_caption_is_quoted_only_where_the_text_does_not_say_it() -> None:
    caption, text = "Figure 2: Bands of DNA markers in the heart.", "Five ISSR primers were used in the heart."
    texts = [reading(caption, "DNA markers"), reading(text, "Five ISSR primers", relevance=0.0)]
    found = [passage(1, caption), passage(2, text)]
    assert extract("Which markers were used?", found, texts).said == "Five ISSR primers"
    assert extract("What does figure 2 show?", found, texts).said == "DNA markers"


def test_a_bare_number_is_not_the_quantity_that_was_asked_about() -> None:
    right, other = "Pain scored 31 points shortly after surgery.", "Table 2 gives the score of 64 points before it."
    texts = [reading(right, "31 points"), reading(other, "64 points", relevance=0.0)]
    found = [passage(1, right), passage(2, other)]
    assert extract("What was the pain score two hours after surgery?", found, texts).said == "31 points"


def test_cells_of_a_table_are_an_answer_only_where_no_text_is() -> None:
    table, text = "Nobody | 0 | 5 | 6 | 19", "Nineteen people agreed with it on the whole."
    texts = [reading(table, "0 | 5 | 6"), reading(text, "Nineteen people", relevance=0.0)]
    found = [passage(1, table), passage(2, text)]
    assert extract("How many people agreed?", found, texts).said == "Nineteen people"
    assert extract("How many people agreed?", found[:1], texts[:1]).said == "0 | 5 | 6"
    assert extract("What does Table 2 show?", found, texts).said == "0 | 5 | 6"


def test_words_of_the_type_that_is_asked_for_win_over_slightly_better_ones() -> None:
    text = "A load of 360 questions a day gives a wait of 33.3 s in the queue."
    spans = [reading(text, "360 questions a day", "33.3 s")]
    assert extract("How long does a question wait?", [passage(1, text)], spans).said == "33.3 s"
    assert extract("Which load was assumed?", [passage(1, text)], spans).said == "360 questions a day"


def test_an_abbreviated_unit_of_time_is_a_length_of_time() -> None:
    text = "The treatment lasted 90 d in all groups, with a session of about 8 hours on Monday."
    spans = [reading(text, "90 d", "8 hours")]
    assert extract("How long did the treatment last?", [passage(1, text)], spans).said == "90 d"


def test_how_much_of_the_question_the_passages_have_is_told() -> None:
    def covered(question: str) -> float:
        return extract(question, PASSAGES, [reading(TEXTS[0], "SST-2"), reading(TEXTS[1], "SQuAD")]).features["covered"]

    assert covered("Which experiments were evaluated?") == 1.0
    assert covered("Which experiments cured malaria?") == pytest.approx(1 / 3)
    assert covered("What is it?") == 1.0


def test_a_papers_own_reference_marks_are_not_taken_for_ours() -> None:
    text = "The corpus is that of IMDb by [12] and GMB [13, 14] for all experiments here."
    found = extract(QUESTION, [passage(1, text)], [reading(text, "IMDb by [12] and GMB [13, 14]")])
    assert found.said == "IMDb by and GMB"
    assert markers_in(quoted_draft(found, instead_of=None, seconds=0.0).text) == [1]
    assert markers_in(found.streamed) == [1, 1]
    alone = extract(QUESTION, [passage(1, text)], [reading(text, "[12]")])
    assert markers_in(quoted_draft(alone, instead_of=None, seconds=0.0).text) == [1]


def test_an_interval_is_not_taken_for_reference_marks_and_a_quotation_shows_what_it_leaves_out() -> None:
    text = "The delay was 15 days (95% CI [12, 18]) in all adults of the cohort [3, 4]."
    found = extract(QUESTION, [passage(1, text)], [reading(text, "15 days (95% CI [12, 18])")])
    assert found.said == "15 days (95% CI [12, 18])"
    assert found.streamed.endswith("“The delay was 15 days (95% CI [12, 18]) in all adults of the cohort ….” [1]")


def test_a_list_takes_several_spans_in_the_order_of_the_text() -> None:
    found = extract(QUESTION, PASSAGES, [reading(TEXTS[0], "MNLI", "SST-2", "QNLI", kind="list"), reading(TEXTS[1])])
    assert found.said == "SST-2, MNLI, QNLI"
    assert found.markers == (1,)


def test_yes_and_no_are_tied_to_the_sentence_that_says_so_and_not_called_supported() -> None:
    found = extract(
        "Is it short?",
        PASSAGES,
        [reading(TEXTS[0], relevance=-2), reading(TEXTS[1], "SQuAD", kind="yes", carrying="short")],
    )
    assert found.said == "Yes"
    whole = cited(found, page_text=lambda *_: TEXTS[1])
    assert whole.sentences[0].support is None
    assert "Training is rather short." in whole.citations[0].quote


def test_the_quotes_are_word_for_word_on_their_page_and_the_draft_is_a_quotation() -> None:
    found = extract(QUESTION, PASSAGES, [reading(TEXTS[0], "SST-2, MNLI and QNLI"), reading(TEXTS[1], relevance=-2)])
    whole = cited(found, page_text=lambda *_: TEXTS[0])
    assert whole.text == "SST-2, MNLI and QNLI [1]"
    assert [(s.text, s.support, s.markers) for s in whole.sentences] == [("SST-2, MNLI and QNLI", "supported", (1,))]
    quote = whole.citations[0]
    assert (quote.page, quote.verified) == (4, True)
    assert quote.quote == "We use SST-2, MNLI and QNLI for all experiments."
    draft = quoted_draft(found, instead_of=None, seconds=0.1)
    assert (draft.model, draft.text, draft.usage.output_tokens) == (QUOTED_ANSWER, whole.text, 0)


def test_where_no_sentence_may_be_an_answer_there_is_none() -> None:
    asks = "Which data sets are used in this work, and why are they chosen?"
    only = passage(1, asks)
    assert (
        extract(QUESTION, [only], [Reading(1.0, (Span(6, 15, 3.0),), 0.1, "span", 0.9, (Sentence(0, len(asks), 0.9),))])
        is None
    )
    assert extract(QUESTION, PASSAGES, [reading(TEXTS[0]), reading(TEXTS[1])]) is None


@pytest.mark.parametrize(
    ("sentence", "question", "may"),
    [
        ("The extract inhibited the enzyme by 49.8 %.", "How strong is the inhibition?", True),
        ("The aim of this study was to evaluate the anxiolytic activity.", "How was activity measured?", False),
        ("The aim of this study was to evaluate the anxiolytic activity.", "What is the aim of the study?", True),
        ("Keywords: Ocimum sanctum, clot lysis, streptokinase.", "Which plant dissolves clots?", False),
        ("Department of Pharmacy, University of Asia Pacific, Dhaka.", "How were mice kept?", False),
        ("Department of Pharmacy, University of Asia Pacific, Dhaka.", "Where do the authors work?", True),
        ("J. Ethnopharmacol. 2011;137:359-365.", "Which dose was given?", False),
        ("Which dose was given to the animals?", "Which dose was given?", False),
        ("Results and discussion", "What are the results?", False),
        ("Amit Kumar ¹ | Priyanka Mishra ¹ | Kuppusamy Baskaran ² | Ashutosh Shukla ¹", "Which plants grew?", False),
        ("Amit Kumar ¹ | Priyanka Mishra ¹ | Kuppusamy Baskaran ² | Ashutosh Shukla ¹", "Who are the authors?", True),
        ("Fayza M. Aly, ¹ Amnah Othman, ² and Mohie A. M. Haridy", "Which rats were used?", False),
        ("Citation: Ahmad A, Lee B, Mujeeb M (2018) Carriers ameliorate arthritis.", "What are carriers?", False),
        ("The mean BMI was 24.5 kg/m², 26.1 kg/m², and 28.0 kg/m² in the three groups.", "What was the BMI?", True),
        ("Rates of 10³, 10⁴, and 10⁵ per second were seen.", "Which rates were seen?", True),
        ("The change was significant for LDL*, HDL*, and glucose.", "What changed?", True),
        ("Health Journal (2018) 18:55 https://doi.org/10.1186/s1-1-z", "Which drugs were controls?", False),
        ("R = ring chromosome, D = deletion in chromatid, F = fragmentation, and P = polyploidy", "What grew?", False),
        ("R = ring chromosome, D = deletion in chromatid, F = fragmentation", "What does D stand for?", True),
        ("G1: control rats; G2: diabetic rats; G3: rats treated with basil.", "What did group 3 get?", True),
        ("Sex: male, strain: Wistar albino, diet: standard pellets from the shop.", "Which strain was used?", True),
        ("Analysis was performed with SPSS© version 20 for all the groups.", "Which software was used?", True),
        ("We used 3,200 videos with a Creative Commons licence.", "How many videos were used?", True),
        ("Twelve of the reviews cite the work of Beck on the matter.", "How many reviews mention Beck?", True),
        ("Patients came from New York¹ Los Angeles² and San Diego³ in 2018.", "Where did patients live?", True),
        ("Doses: low = 5 mg for ten days, and high = 10 mg for twenty days.", "Which doses were given?", True),
        ("Authors of papers retain copyright and release the work under CC BY.", "Who paid for the school?", False),
        ("Authors of papers retain copyright and release the work under CC BY.", "Which licence has it?", True),
        ("We thank the University of Dhaka for the animals used in this study.", "What was used?", True),
    ],
)
def test_titles_aims_keywords_addresses_and_references_answer_only_who_asks_for_them(sentence, question, may) -> None:
    assert may_answer(sentence, question) is may


@pytest.mark.parametrize(
    ("section", "question", "beside"),
    [
        ("Acknowledgements", "Which of the two studied people?", True),
        ("7. Acknowledgments", "How many participants were there?", True),
        ("Conflicts of Interest", "What was measured?", True),
        ("Declaration of competing interest", "What was measured?", True),
        ("Authors’ Contributions", "What was measured?", True),
        ("Funding", "Who paid for the study?", False),
        ("Acknowledgements", "Which grants supported it?", False),
        ("3 Results", "What was measured?", False),
        ("References", "What was measured?", False),
        ("Acknowledgments and Funding", "What was measured?", True),
        ("4.1 Ethics of machine learning", "What was measured?", False),
        ("HIV disclosure and adherence", "Does telling partners improve adherence?", False),
        ("3 Disclosure of medical errors", "What was measured?", False),
        ("Funding models of open access", "What was measured?", False),
        (None, "What was measured?", False),
    ],
)
def test_thanks_and_declarations_answer_only_who_asks_for_them(section, question, beside) -> None:
    found = passage(1, "Some text.")
    for page in (4, 8):
        there = replace(found, chunk=replace(found.chunk, section=section, first_page=page, last_page=page))
        assert is_beside_the_point(there, question) is beside


def test_what_a_heading_in_the_margin_of_a_first_page_seems_to_begin_is_the_introduction() -> None:
    found = passage(1, "Some text.")
    early = replace(found, chunk=replace(found.chunk, section="Competing interests:", first_page=2, last_page=2))
    assert not is_beside_the_point(early, "What was measured?")
    late = replace(early, chunk=replace(early.chunk, first_page=8, last_page=8))
    assert is_beside_the_point(late, "What was measured?")


def test_a_sentence_of_thanks_is_not_quoted_for_a_question_about_results() -> None:
    thanks = "The authors who studied 21 people thank the university for its kind support."
    result = "The dose was given to 30 people in two groups."
    passages = [passage(1, thanks), passage(2, result)]
    passages[0] = replace(passages[0], chunk=replace(passages[0].chunk, section="Acknowledgements"))
    readings = WordReader().read("How many people were studied?", [thanks, result])
    found = extract("How many people were studied?", passages, readings)
    assert found.markers == (2,)
    assert [p.marker for p, _ in best_sentences("How many people were studied?", passages, readings, n=3)] == [2]


def test_a_papers_title_is_no_answer() -> None:
    title = "Anxiolytic activity of basil in mice"
    assert not may_answer("Anxiolytic activity of basil in mice", "How was activity measured?", title=title)
    assert may_answer("Activity was measured in the elevated plus maze.", "How was activity measured?", title=title)


def test_the_sentences_that_carry_the_answer_come_first() -> None:
    readings = [reading(TEXTS[0], relevance=0, carrying="hours"), reading(TEXTS[1], carrying="SQuAD")]
    best = best_sentences(QUESTION, PASSAGES, readings, n=2)
    assert next(p.chunk.text[a:b] for p, (a, b) in best) == "We also evaluate on SQuAD."
    assert len(best) == 2


def test_the_words_agree_with_the_figure() -> None:
    found = extract(QUESTION, PASSAGES, [reading(TEXTS[0], "SST-2"), reading(TEXTS[1])])
    calibration = WordReader.calibration
    sure = confidence_in(found, calibration)
    assert sure.score == pytest.approx(0.731, abs=0.001)  # logistic of a relevance of 1
    assert is_sure(sure)
    assert "Check" not in sure.reason
    unsure = confidence_in(found, replace(calibration, check=0.9))
    assert not is_sure(unsure)
    assert unsure.reason.endswith("Check that it answers your question.")


@pytest.mark.parametrize(
    ("text", "words", "kept"),
    [
        (
            "A rise (hyperalgesia), and pain from a touch (allodynia).",
            "hyperalgesia), and pain from a touch",
            "pain from a touch",
        ),
        ("There were 30 male rats (Wistar rats), aged 3.", "30 male rats (Wistar rats", "30 male rats (Wistar rats)"),
        ("Steps: 1) collection, 2) washing.", "1) collection, 2) washing", "1) collection, 2) washing"),
        ("Groups: a) rats, b) mice and c) rabbits.", "b) mice and c) rabbits", "b) mice and c) rabbits"),
        ("It is 12 mg.", "12 mg", "12 mg"),
    ],
)
def test_no_half_bracket_is_quoted(text: str, words: str, kept: str) -> None:
    start = text.index(words)
    low, high = whole_brackets(text, start, start + len(words), high=len(text), kind=None)
    assert text[low:high] == kept


def test_of_two_halves_the_one_of_the_kind_asked_for_is_kept() -> None:
    text = "The lowest value (200.79 ppm) which is high (0.001), was seen."
    words = "200.79 ppm) which is high (0.001"
    start = text.index(words)
    low, high = whole_brackets(text, start, start + len(words), high=len(text), kind="number")
    assert text[low:high] == "200.79 ppm"
