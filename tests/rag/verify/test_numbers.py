"""Numbers mean the same however they are written, and their unit, sign and power of ten are part of what they mean."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest import Chunk, Paper
from rag.answer import Passage
from rag.verify.claims import read
from rag.verify.conflicts import conflicts
from rag.verify.support import judge

BESIDE = (
    " Soil samples were collected in the northern valley during spring. The authors thank all farmers who took part."
)


def passage(text, marker=1):
    chunk = Chunk(
        id=f"{marker:016x}:0000", paper_id=f"{marker:016x}", ordinal=0, text=text, start=0, end=len(text),
        first_page=1, last_page=1, section=None, n_tokens=30,
    )  # fmt: skip
    return Passage(marker, chunk, Paper(id=chunk.paper_id, title="T", n_pages=9, file_name="t.pdf"), 1.0, ("dense",))


FRAMES = {
    "power": "The bacterial load after treatment was {} per gram of soil.",
    "rate": "The learning rate was set to {} for the whole fine-tuning run.",
    "dose": "Patients in the first arm received {} of melatonin every evening.",
    "stored": "The samples were stored at {} until they were analysed.",
    "pump": "The pump had a power of {} in all experiments of the study.",
    "price": "The device costs {} including the sensors and the battery.",
    "p": "The difference between the two groups was significant at {} in the trial.",
    "age": "Patients aged {} years were included in the trial of melatonin.",
    "sign": "The correlation between depth and moisture was {} in all plots.",
    "ratio": "The hazard ratio for death was {} in the treated group of the trial.",
    "corpus": "The corpus contains {} abstracts from medical journals.",
    "who": "{} patients completed the trial in the northern hospital.",
    "part": "About {} of the farmers used irrigation in summer.",
    "dosis": "Die mittlere Dosis betrug {} pro Tag in der ersten Gruppe.",
    "доза": "Средната доза беше {} на ден в първата група от пациентите.",
}
OTHER = [
    ("power", "3.2 × 10⁶", "3.2 × 10⁴"), ("power", "10⁵", "10⁷"), ("rate", "1e-5", "1e5"), ("rate", "1e-5", "1E-3"),
    ("dose", "5 mg", "5 ng"), ("dose", "250 pg/ml", "250 ng/ml"), ("dose", "10 µM", "10 mM"), ("dose", "5 mM", "5 mm"),
    ("stored", "37 °C", "37 °F"), ("stored", "37 °C", "37 degrees Fahrenheit"), ("stored", "5 m", "5 cm"),
    ("pump", "5 kW", "5 W"), ("pump", "5 mW", "5 MW"), ("stored", "12 m³", "12 m²"), ("price", "$500", "€500"),
    ("price", "500 USD", "£500"), ("p", "p < 0.05", "p > 0.05"), ("age", "≥ 65", "≤ 65"), ("age", "> 5", "< 5"),
    ("age", r"\geq 65", "< 65"), ("sign", "–0.45", "0.45"), ("sign", "-0.45", "0.45"), ("dosis", "0,5 mg", "5,0 mg"),
    ("dosis", "1,125 mg", "1125 mg"), ("доза", "1,125 mg", "1125 mg"), ("доза", "0,5 mg", "5 mg"),
]  # fmt: skip
SAME = [
    ("power", "3.2 × 10⁶", "3.2 × 10^6"), ("power", "3.2×10⁶", "3.2e6"), ("power", "3.2·10⁶", "3,200,000"),
    ("power", r"3.2 \times 10^{6}", "3.2 million"), ("power", "10<sup>6</sup>", "10⁶"), ("rate", "1e-5", "10⁻⁵"),
    ("rate", "1e−5", "0.00001"), ("sign", "–0.45", "-0.45"), ("sign", "−0.45", "–0.45"), ("ratio", "0·82", "0.82"),
    ("corpus", "12 345", "12,345"), ("corpus", "12\u2009345", "12345"), ("who", "Twenty", "20"),
    ("who", "Twenty-three", "23"), ("who", "20", "Twenty"), ("part", "fifty percent", "50%"), ("part", "half", "50%"),
    ("stored", "37 °C", "37 °C"), ("price", "$500", "500 dollars"),
    ("price", "$3 million", "3,000,000 dollars"), ("p", "p < 0.05", "p<.05"), ("p", "p = 0.05", "p < 0.05"),
    ("age", "≥ 65", ">= 65"), ("dosis", "0,5 mg", "0.5 mg"), ("dosis", "1,125 mg", "1.125 mg"),
    ("corpus", "1,125", "1125"), ("dose", "5 mg", "5 mg/kg"), ("corpus", "one million", "1,000,000"),
]  # fmt: skip


@pytest.mark.parametrize(("frame", "there", "said"), OTHER)
@pytest.mark.parametrize("turned", [False, True])
def test_another_unit_sign_or_power_of_ten_is_unsupported(frame, there, said, turned):
    there, said = (said, there) if turned else (there, said)
    judged = judge(FRAMES[frame].format(said), [passage(FRAMES[frame].format(there) + BESIDE)])
    assert judged.support == "unsupported", judged
    assert all(
        " is " not in reason or len({*reason.split("number ")[-1].split(" is ")}) > 1 for reason in judged.reasons
    )


@pytest.mark.parametrize(("frame", "there", "said"), SAME)
def test_the_same_number_in_another_form_is_supported(frame, there, said):
    judged = judge(FRAMES[frame].format(said), [passage(FRAMES[frame].format(there) + BESIDE)])
    assert judged.support == "supported", judged


@pytest.mark.parametrize("text", [f"{before} {frame}" for frame in FRAMES.values() for before in ("", "Then:")])
def test_verbatim_is_supported_whatever_the_number(text):
    for _, there, said in OTHER:
        for number in (there, said):
            sentence = text.format(number)
            assert judge(sentence, [passage(sentence + BESIDE)]).support == "supported"


def test_degrees_may_be_spelt():
    judged = judge(FRAMES["stored"].format("37 degrees Celsius"), [passage(FRAMES["stored"].format("37 °C") + BESIDE)])
    assert judged.reasons == ("the passages mention only part of this",)


def test_a_sign_is_told_where_only_that_differs():
    judged = judge(FRAMES["p"].format("p > 0.05"), [passage(FRAMES["p"].format("p < 0.05") + BESIDE)])
    assert judged.reasons[0] == "number > 0.05 is < 0.05 in the passage"
    judged = judge(FRAMES["corpus"].format("3 billion"), [passage(FRAMES["corpus"].format("3 million") + BESIDE)])
    assert judged.reasons[0] == "number 3 billion is 3 million in the passage"


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("in group 2 150 patients", "2 150"), ("see Table 12 345 papers", "12 345"),
        ("in 2019 345 were read", "2019 345"),
        ("columns of 5 120 300 40", "5 120 300 40"), ("layers 1,2 and 3", "1 2 3"), ("labels {0,1}", "0 1"),
        ("1,2-dimethyl compounds", "1 2"), ("aged 18–65 years", "18 65"), ("in 18 – 65 years", "18 65"),
        ("x<sup>10</sup> of it", "10"), ("a depth of 5 m here", "5"), ("on July 1, M was told", "1"),
        ("10² and 12³", "100 12"),
        ("H<sub>2</sub>O 5 times", "2 5"), ("the value 10⁴⁰", "1E+40"), ("9" * 40 + " units", "1E+40"),
    ],
)  # fmt: skip
def test_what_only_looks_like_another_number(text, values):
    numbers = read(text).numbers
    assert [number.value for number in numbers] == [Decimal(value) for value in values.split()]
    assert not any(number.bound for number in numbers)


def test_numbers_beyond_any_precision_are_compared():
    for said in ("9" * 40, "10⁶⁰", "about 5"):
        assert judge(FRAMES["corpus"].format(said), [passage(FRAMES["corpus"].format("10⁵⁰") + BESIDE)]).reasons


@given(st.text(alphabet="0123456789 ,.·×^eE-–−⁰⁶⁻<>≤$€°CmgKM%{}()[]\u2009aλбн", max_size=40))
def test_no_text_stops_the_reading(text):
    for number in read(text).numbers:
        assert number.whole in {True, False}
        assert len(number.form) < 200


def test_two_papers_with_two_kinds_of_minus_do_not_disagree():
    one, other = (f"Yield of the wheat field was {sign}0.45 tons below the control plots." for sign in "−–")
    passages = [passage(f"{one} Some filler about farmers.", 1), passage(f"{other} Other filler on towns.", 2)]
    assert conflicts("Yield of the wheat field below the control plots?", [one], passages=passages) == ()


@pytest.mark.parametrize(
    ("there", "said"),
    [
        ("verbesserte den Schlaf der Patienten deutlich", "verbesserte den Schlaf der Patienten nicht deutlich"),
        ("zeigte in der Studie eine Wirkung auf Patienten", "zeigte in der Studie keine Wirkung auf Patienten"),
        ("подобри съня на пациентите в болницата", "не подобри съня на пациентите в болницата"),
        ("е ефективна с допълнителна терапия при деца", "е ефективна без допълнителна терапия при деца"),
    ],
)
def test_a_not_in_german_or_bulgarian_is_seen(there, said):
    there, said = (f"Melatonin oder мелатонин {words}." for words in (there, said))
    assert judge(said, [passage(there + BESIDE)]).support == "unsupported"
    assert judge(there, [passage(said + BESIDE)]).support == "unsupported"
    assert judge(said, [passage(said + BESIDE)]).support == "supported"


def test_the_double_negation_of_bulgarian_is_one():
    never, did = "Терапията никога не подобри съня на пациентите.", "Терапията подобри съня на пациентите."
    assert judge(did, [passage(never + BESIDE)]).support == "unsupported"


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("It was stimulated at 10,20 and 30 Hz in the trial.", "10 20 30"),
        ("It was weighed after 20,30,40 days of the trial.", "20 30 40"),
        ("Die Menge betrug 3,4 und 5,6 kg in der Gruppe.", "3.4 5.6"),
        ("The amount was 3,4 and 5,6 kg in the group.", "3.4 5.6"),
        ("There were 1,250 and 300 of them in the plots.", "1250 300"),
    ],
)
def test_a_list_without_spaces_is_several_numbers(text, values):
    assert [number.value for number in read(text).numbers] == [Decimal(value) for value in values.split()]


def test_half_is_a_share_and_no_dose():
    there = [passage("Patients received lorazepam daily for anxiety, and half of them were women." + BESIDE)]
    assert judge("Patients received lorazepam daily for anxiety at 0.5 mg.", there).support != "supported"
    assert judge("Of the patients who received lorazepam for anxiety, 50% were women.", there).support == "supported"


@pytest.mark.parametrize("said", ["$5 m", "$5m", "$5 million", "$5 mn", "US$5M"])
def test_money_is_no_length(said):
    (number,) = read(f"The method cost {said} in the first year.").numbers
    assert (number.value, number.unit) == (5_000_000, "usd")
    (length,) = read("The pole was 5 m high in the first year.").numbers
    assert (length.value, length.unit) == (5, "metre")
