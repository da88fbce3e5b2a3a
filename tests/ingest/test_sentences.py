"""The laws of splitting into sentences, for any text, and what an abbreviation does in three languages."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ingest import sentence_spans
from ingest.sentences import is_unfinished


def split(text):
    return [text[start:end] for start, end in sentence_spans(text)]


parts = st.sampled_from(
    (
        "The the A It it 3 12 2019 Dr Fig al U.S J E i.e e.g z B approx min No Nr г т е BERT "
        'Methode резултат (see "So it) [1] [2][3] [12,4] . .. … ! ? , ; : .) ." .” ” “ « » - • * $x$ x.y 3.2 1. '
        "p53 ³ ¹,² mRNA ~ ~~ ~~~ \u00a0"
    )
    .replace("~", "\n")
    .split(" ")
)
texts = st.one_of(
    st.text(max_size=80), st.lists(parts, max_size=25).map(" ".join), st.lists(parts, max_size=25).map("".join)
)


@settings(max_examples=400, deadline=None)
@given(texts)
def test_spans_hold_all_that_is_no_space_once_and_in_order(text):
    spans, at = sentence_spans(text), 0
    for start, end in spans:
        assert at <= start < end <= len(text), "in order, none in another"
        assert not text[at:start].strip(), "nothing lost between two"
        assert text[start:end] == text[start:end].strip(), "no space around"
        at = end
    assert not text[at:].strip(), "nothing lost at the end"


@settings(max_examples=400, deadline=None)
@given(texts)
@example(". - ")
def test_a_sentence_is_one_sentence(text):
    for sentence in split(text):
        assert split(sentence) == [sentence]


@settings(max_examples=100, deadline=None)
@given(texts, texts)
def test_a_part_of_a_text_is_split_where_it_stands(before, text):
    whole = f"{before}\n\n{text}"
    start = len(before) + 2
    assert [whole[a:b] for a, b in sentence_spans(whole, start, len(whole))] == split(text)


@pytest.mark.parametrize(
    "sentence",
    [
        # the issue's own
        "The method of Dr. Lee raised accuracy by approx. 3 points on the U.S. data set [1].",
        # English
        "As Smith et al. 2020 and Lee et al. [3] show in Fig. 3, e.g. Table 2, it holds.",
        "See Figs. 2 and S3, Sec. IV, Tab. II, Eq. (3), Ref. [4], vol. 12, No. 5 and pp. 3–5.",
        "Prof. Ivanova, Mr. Smith and Mrs. Jones of St. Louis met J. R. Smith and K. He.",
        "In E. coli, O. sanctum and S. cerevisiae, i.e. B. Smith's strains, cf. Jones, it is less.",
        "Bacillus sp. strain 5, Lactobacillus spp. and Ocimum basilicum var. Purpurascens grew.",
        "The dose was 5 mg/kg b.w. for i.p. injection, resp. 3.2 mg. per day, for 5 min. after 3 hr. 20 min. of rest.",
        "The difference (p < .05) is at https://doi.org/10.1000/xyz.123 in v. 2.3.1 of www.example.org. for all.",
        "The U.S. Department of Energy and the U.K. Biobank gave it to Apple Inc. Cupertino and Merck Ltd. London.",
        'He asked "Why?" and left, although "it is so." was said.',
        "The words ... and more … of it . . . stay.",
        "It was St. Mary's of Washington D.C. Hospital, vs. Mt. Sinai.",
        "1. The first method is best.",
        "Fig. 3. The results of the second trial.",
        # written after the lists were made; "Capt." was missing
        "Compared with Capt. Cook's maps, viz. Ref. 12, the area is 3.5 ca. 10 times larger.",
        "The isolates of P. aeruginosa (ca. 12) and of K. pneumoniae subsp. ozaenae were typed by Sec. III.B.",
        "Dr. A. B. Jones, Ph.D. candidate at the Univ. Hospital, used approx. 0.5 ml. per tube.",
        "We follow Nguyen et al. (2018b) and Eqs. 2–4 of Ch. 7.",
        "It is written in Proc. Natl. Acad. Sci. 12 and in Proc. Int. Conf. Learning.",
        # German
        "Es gilt z. B. für Proben, d. h. bzw. u. a. Methoden, vgl. Abb. 3, Nr. 5 und S. 12.",
        "Am 3. Mai und im 19. Jahrhundert, i. d. R. Sommer, war es ca. 5 Grad warm.",
        "Die Messung erfolgte am 2. und 14. September nach Prof. Müller.",
        "Dabei wurden z.B. Blutproben gem. Tab. 2 inkl. Kontrolle untersucht.",
        # Bulgarian
        "Това е т.е. Тест, напр. Проба 3, виж фиг. 3 и табл. 4.",
        "Проф. Иванов и д-р Петров, вж. стр. 12, през 2019 г. показаха друго.",
        "Според акад. Попов т. е. Авторът, и т. н. до края.",
    ],
)
def test_this_is_one_sentence(sentence):
    assert split(sentence) == [sentence]


@pytest.mark.parametrize(
    "text",
    [
        "It is so. | It works.",
        "It is so! | Does it work? | It does.",
        "It took 5 min. | After that it rose.",
        "It was shown by Smith et al. | The method failed.",
        "They use BERT, ELMo, etc. | In this work we stop.",
        "We ran it in the U.S. | The data are old.",
        "It was made by Sigma Inc. | We used it.",
        "He came at 5 p.m. | Others left.",
        "It contains vitamin C. | The results agree.",
        "The answer is No. | It is not.",
        "It was in 2019. | 12 papers followed.",
        "It was 12. | The end.",
        "It holds. [1] | Then it ends.",
        "It holds.[1][2] | Then it ends [3]. | So it is.",
        "It is so. [1, 2] | And so, cf. Smith et al. 2020. [2][3] | End",
        "It was found. ³,⁴ | In mice it was not. ¹²⁻¹⁴ | So it is.",
        "It works well. | [12] showed that it fails.",
        'He said "It is so." | Then he left.',
        "“It is so.” | “It is not.”",
        "(It was cold.) | Then it rained (see Fig. 3). | It ended.",
        "The level rose in vivo. | mRNA and pH fell.",
        "The results agree. | however, not all do.",
        "It ended… | Then it began.",
        "Results follow in Table 3. | The rest is lost.",
        "Es war so usw. | Dann kam er.",
        "Es war im Jahr 2019. | Danach kam Abb. 3.",
        "Беше 2019 г. | Резултатите са добри.",
        "Това са котки, кучета и др. | Те са животни и т.н. | Край.",
        # written after the lists were made
        "We washed it with 5 ml. | Cells were then counted.",
        "The trial ended in Feb. | Two patients had left (hepatitis B). | No more came.",
        "Der Wert lag bei 3,5 mg. | Nach der 2. Woche sank er.",
        "Опитът продължи 10 мин. | Пробите бяха 12.",
    ],
)
def test_sentences_end_here(text):
    assert split(text.replace(" | ", " ")) == text.split(" | ")


def test_a_lines_end_ends_a_sentence_unless_it_goes_on_in_small_letters():
    assert split("Methods:\n- one way\n- Another way") == ["Methods:", "- one way", "- Another way"]
    assert split("It begins here and\nends there. It ended") == ["It begins here and\nends there.", "It ended"]
    assert split("It begins here\n\nand stops") == ["It begins here", "and stops"]
    assert split("as shown in Fig.\n3 and by Dr.\nLee") == ["as shown in Fig.\n3 and by Dr.\nLee"]


def test_a_text_may_break_off_after_an_abbreviation():
    assert is_unfinished("as shown by Dr.")
    assert is_unfinished("which is so (e.g.")
    assert not is_unfinished("which is so.")
    assert not is_unfinished("")


@pytest.mark.parametrize(
    "text", [". " * 50_000, "a. " * 30_000, "." * 100_000, ".[1" * 40_000, ". " + "x" * 100_000, ". \n" * 30_000]
)
def test_no_text_takes_more_than_a_look_at_each_letter(text):
    """Squares of the length would take minutes."""
    assert sentence_spans(text)[-1][1] == len(text.rstrip())
