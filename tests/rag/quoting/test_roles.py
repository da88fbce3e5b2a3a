"""The sentences that sum up a paper: its aim and its results, not its background."""

from __future__ import annotations

import pytest

from ingest import Chunk
from ingest import Paper as Document
from rag.answer import Passage
from rag.quoting.roles import telling_sentences, told_in

BACKGROUND = "Holy basil has been revered in India for its medicinal uses since ancient times."
AIM = "In this study we examined whether an extract of its leaves slows the growth of oral bacteria."
METHOD = "Three concentrations were tested on agar plates for two days at body temperature."
RESULT = "The 10 % extract showed the largest zone of inhibition and was significantly better than water."
WEAK = "The zones of the 5 % extract were higher than those of the 2.5 % extract in every plate."
CONCLUSION = "We conclude that the extract is effective against the bacteria that cause dental caries."
ABSTRACT = f"{BACKGROUND} {AIM} {METHOD} {RESULT} {WEAK}"


def passage(marker: int, text: str, *, section: str | None = None, paper: str = "p", abstract: str | None = None):
    document = Document(id=paper, title="On basil", n_pages=4, file_name="p.pdf", abstract=abstract)
    chunk = Chunk(
        id=f"{paper}:{marker:04d}", paper_id=paper, ordinal=marker, text=text, start=0, end=len(text), first_page=1,
        last_page=1, section=section, n_tokens=100,
    )  # fmt: skip
    return Passage(marker, chunk, document, 1 / marker, ("outline",))


def outline(paper: str = "p") -> list[Passage]:
    return [passage(1, ABSTRACT, section="Abstract", paper=paper), passage(2, CONCLUSION, section="5. Conclusions")]


@pytest.mark.parametrize(
    ("sentence", "role"),
    [
        (BACKGROUND, None),
        (AIM, "aim"),
        ("The aim of this article is to compile herbal products that were used in dentistry.", "aim"),
        ("We present a set of materials that teach participants how to write code for machine learning.", "aim"),
        (METHOD, None),
        (RESULT, "result"),
        ("Our model outperforms the baseline by 4.5 points on both test sets of the shared task.", "result"),
        ("Thus, markers of this kind resolve the status of the genus better than sequences do.", "result"),
        (CONCLUSION, "result"),
        ("Little is known about the effects of the plant on patients with a higher blood pressure.", None),
    ],
)
def test_the_role_of_a_sentence_is_told_by_its_words(sentence, role) -> None:
    assert [told.role for told in told_in(sentence)] == [role]


def test_labels_of_a_structured_abstract_say_more_than_the_words_and_are_not_quoted() -> None:
    text = (
        "Objectives: To analyze the efficacy of three concentrations of the extract against bacteria. "
        "Results:Fe levels were the highest and Se levels were the lowest in all of the plants. "
        "Keywords: basil, iron, selenium, and other words that are no sentence of the abstract."
    )
    told = list(told_in(text))
    assert [sentence.role for sentence in told] == ["aim", "result"]
    assert told[0].text.startswith("To analyze")
    assert all(sentence.text in text for sentence in told)


def test_a_summary_tells_the_aim_the_main_result_and_the_conclusion_in_their_order() -> None:
    assert telling_sentences(outline(), n=3) == [AIM, RESULT, CONCLUSION]


def test_of_several_aims_the_one_with_the_words_of_the_title_is_told() -> None:
    other = "In this review we describe how plants have always been a part of medicine in many countries."
    own = "In this review we describe what basil has been used for in dentistry and in cooking."
    assert telling_sentences([passage(1, f"{other} {own}")], n=1) == [own]
    filler = "Medicine has always used plants in many ways and in many countries. Basil is one of the best-known ones."
    assert telling_sentences([passage(1, filler)], n=1) == ["Basil is one of the best-known ones."]


def test_a_stated_aim_is_told_before_what_was_done_with_more_words_of_the_title() -> None:
    aim = "We aimed to find out whether chewing the leaves helps people with sore gums."
    done = "Basil was compared with water for this."
    assert telling_sentences([passage(1, f"{done} {aim}")], n=1) == [aim]


def test_what_was_done_says_the_aim_only_where_nothing_says_it_better() -> None:
    done = "Bacteria were identified on the plates, and their growth was studied for two whole days."
    assert [told.role for told in told_in(done)] == ["aim"]
    assert telling_sentences([passage(1, f"{done} {AIM} {RESULT}")], n=2) == [AIM, RESULT]
    assert telling_sentences([passage(1, f"{BACKGROUND} {done} {RESULT}")], n=2) == [done, RESULT]


def test_findings_are_results_only_and_one_sentence_is_a_result() -> None:
    findings = telling_sentences(outline(), n=3, question="What are the main findings of this paper?")
    assert findings == [RESULT, WEAK, CONCLUSION]
    assert telling_sentences(outline(), n=1) == [RESULT]


def test_of_two_papers_each_is_told_by_aim_and_result_and_of_many_by_one_sentence() -> None:
    two = [*outline(), passage(3, ABSTRACT.replace("basil", "thyme"), section="Abstract", paper="q")]
    assert telling_sentences(two, n=2) == [AIM, RESULT, AIM, RESULT]
    many = [passage(n, ABSTRACT, section="Abstract", paper=f"p{n}") for n in range(1, 6)]
    assert telling_sentences(many, n=3) == [RESULT] * 5


def test_what_stands_around_the_abstract_on_the_page_is_left_out() -> None:
    noise = "Figure 3 shows that the values of the first group are higher. Amit Kumar ¹ | Priyanka Mishra ² | Ann Lee ¹"
    before = "We found that this journal was ranked better than all others by its readers in 2019."
    around = [passage(1, f"{before} {ABSTRACT} {noise}", abstract=ABSTRACT)]
    assert telling_sentences(around, n=3) == [AIM, RESULT, WEAK]
    assert list(told_in(noise)) == []


def test_a_paper_without_results_is_told_by_its_aim_and_what_follows() -> None:
    text = f"{BACKGROUND} {AIM} {METHOD}"
    assert telling_sentences([passage(1, text)], n=1) == [AIM]
    assert telling_sentences([passage(1, text)], n=2) == [AIM, METHOD]
    assert telling_sentences([], n=3) == []


def test_an_abstract_without_results_is_not_left_for_a_result_from_the_text() -> None:
    abstract = f"{AIM} {METHOD} {BACKGROUND}"
    text = "QLoRA stores the weights in four bits, and 0.78 % of them are trained, which is lower than before."
    sample = [passage(1, abstract, section="Abstract"), passage(2, text, section="3.2 Memory")]
    assert telling_sentences(sample, n=3) == [AIM, METHOD, BACKGROUND]


def test_text_without_sentences_gives_its_beginning() -> None:
    slides = "基于大型语言模型的论文检索" * 60
    (told,) = telling_sentences([passage(1, slides)], n=1)
    assert told == slides[:500]
    measured = "The corresponding accuracy was 92 % higher, and Table 2 shows that our method outperforms all others."
    assert telling_sentences([passage(1, measured)], n=1) == [measured]
