"""Which number belongs to which thing: what a sentence with "respectively" and the rows of a table say."""

from __future__ import annotations

import pytest

from ingest import Chunk, Paper
from rag.answer import Passage
from rag.verify.claims import read
from rag.verify.support import judge
from rag.verify.ties import foreign_number, own_number, ties

LYSIS = (
    "Clot lysis was measured in vitro. The extracts of Ocimum sanctum, Azadirachta indica and Curcuma longa showed "
    "clot lysis of 30.01%, 33.79% and 28.62%, respectively, while streptokinase gave 86.2%."
)
TABLE = "Plant | Dose | Lysis\nBasil | 5 mg | 30.01\nNeem | 10 mg | 33.79\nTurmeric | 5 mg | 28.62"


def pairs(text: str) -> list[tuple[str, str]]:
    (tied,) = ties(text)
    return [(name, own[0].shown) for name, own in zip(tied.names, tied.numbers, strict=True)]


@pytest.mark.parametrize(
    ("sentence", "found"),
    [
        ("Fever and cough were seen (90.6% and 90.3%, respectively).", [("Fever", "90.6%"), ("cough", "90.3%")]),
        (
            "The accuracy for annotators A1, A2, and A3 was 80%, 88%, and 81% respectively.",
            [("annotators A1", "80%"), ("A2", "88%"), ("A3", "81%")],
        ),
        (
            "It shares 93%, 89%, and 83% identity with golden hamster, rat, and mouse, respectively.",
            [("golden hamster", "93%"), ("rat", "89%"), ("mouse", "83%")],
        ),
        (
            "At doses of 5, 10 and 20 mg the plants grew by 7, 8 and 9 cm, respectively.",
            [("5", "7"), ("10", "8"), ("20 mg", "9")],
        ),
        (
            "Calves fed with ZM and ZS had a 21.4% (P = 0.027) and 13.0% (P = 0.040) higher chance, respectively.",
            [("ZM", "21.4%"), ("ZS", "13.0%")],
        ),
        ("We got 0.556 and 0.502 for IEMOCAP and MELD respectively.", [("IEMOCAP", "0.556"), ("MELD", "0.502")]),
    ],
)
def test_a_list_with_respectively_is_read_whichever_side_comes_first(sentence, found) -> None:
    assert pairs(sentence) == found


@pytest.mark.parametrize(
    "sentence",
    [
        "",
        "respectively",
        "They used BERT and GPT-2 respectively.",
        "Tables 2 and 3 show this, respectively.",
        "A, B and C reached 80% and 60%, respectively.",
        "Fever and cough were seen in 90.6% and 90.3% of all.",
        "a | b",
        " | | |\n| |",
    ],
)
def test_what_does_not_pair_up_is_not_read(sentence) -> None:
    assert [tied for tied in ties(sentence) if len(tied.names) != len(tied.numbers)] == []
    assert foreign_number(read("Fever was seen in 90.3%."), sentence) is None


@pytest.mark.parametrize(
    ("claim", "owner"),
    [
        ("The extract of Ocimum sanctum showed clot lysis of 33.79%.", "Azadirachta indica"),
        ("Curcuma longa dissolved 30.01 % of the clots.", "Ocimum sanctum"),
        ("The extract of Ocimum sanctum showed clot lysis of 30.01%.", None),
        ("Sanctum reached 30.01% and Azadirachta indica 33.79%.", None),
        ("Clot lysis of 33.79% was seen.", None),
        ("Streptokinase gave 86.2%.", None),
    ],
)
def test_a_number_of_another_thing_of_the_list_is_not_supported(claim, owner) -> None:
    said = foreign_number(read(claim), LYSIS)
    assert (owner in said) if owner else said is None
    judged = judge(claim, [passage(LYSIS)])
    assert (judged.support == "unsupported") is bool(owner)


def passage(text: str) -> Passage:
    chunk = Chunk(
        id="p:0001", paper_id="p", ordinal=1, text=text, start=0, end=len(text), first_page=1, last_page=1,
        section=None, n_tokens=50,
    )  # fmt: skip
    return Passage(1, chunk, Paper(id="p", title="A paper", n_pages=1, file_name="a.pdf"), 0.8, ("dense",))


@pytest.mark.parametrize(
    ("claim", "wrong"),
    [
        ("Lysis was 33.79 with basil.", True),
        ("Lysis was 30.01 with basil.", False),
        ("Neem was given at 10 mg and reached 33.79.", False),
        ("Turmeric reached 30.01.", True),
        ("The highest lysis was 33.79.", False),
    ],
)
def test_a_number_of_another_row_is_not_supported(claim, wrong) -> None:
    assert bool(foreign_number(read(claim), TABLE)) is wrong


def test_a_number_that_the_text_also_gives_to_the_thing_elsewhere_is_left_alone() -> None:
    again = f"{LYSIS} In a second run Ocimum sanctum reached 33.79% as well."
    assert foreign_number(read("The extract of Ocimum sanctum reached 33.79%."), again) is None


def test_the_number_of_what_was_asked_for_is_found_in_the_place_of_anothers() -> None:
    asked, wrong = read("What clot lysis did Ocimum sanctum show?"), read("33.79%").numbers[0]
    assert own_number(asked, LYSIS, wrong).shown == "30.01%"
    assert own_number(asked, LYSIS, read("30.01%").numbers[0]) is None
    assert own_number(read("What clot lysis was seen?"), LYSIS, wrong) is None


def test_a_number_beside_the_list_belongs_to_another_thing_unless_the_thing_stands_there_too() -> None:
    text = (
        "It was 28 mm for S. mutans, followed by 24, 23 and 22 mm for L. acidophilus, S. sanguis and S. mitis "
        "respectively."
    )
    asked = read("How wide was the zone of Streptococcus sanguis?")
    own = own_number(asked, text, read("28 mm").numbers[0], sentence=(0, len(text)))
    assert own is not None
    assert own.shown == "23"
    assert own_number(asked, text, read("28 mm").numbers[0]) is None
    both = "B measured 30 mm at the start, and it was 24 mm and 23 mm for B and C respectively at the end."
    assert (
        own_number(read("What was it for B at the start?"), both, read("30 mm").numbers[0], sentence=(0, len(both)))
        is None
    )


def test_a_unit_after_the_last_dose_names_none_of_them() -> None:
    text = "At doses of 5, 10 and 20 mg the plants grew by 7, 8 and 9 cm, respectively."
    (seven,) = read("7").numbers
    assert own_number(read("How far did the plants grow in mg?"), text, seven) is None
    assert own_number(read("How far did the plants grow with 10 mg?"), text, seven).shown == "8"
    assert foreign_number(read("The plants grew by 7 cm at 10 mg."), text)
    assert not foreign_number(read("The plants grew by 8 cm at 10 mg."), text)
