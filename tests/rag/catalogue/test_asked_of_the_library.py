"""Questions about the library and its papers: answered from the records, exactly; questions about content never."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace

import pytest

from ingest import Paper
from rag.answer import Scope
from rag.catalogue.catalogue import Catalogue
from rag.retrieval.naming import titles_in


def paper(number: int, title: str, *authors: str, year: int | None = 2019, file_name: str | None = None) -> Paper:
    return Paper(
        id=f"{number:016x}", title=title, authors=authors, year=year, n_pages=9, file_name=file_name or f"{number}.pdf"
    )


BURG = paper(
    1, "Introduction to deep learning: lesson material", "Sven A. van der Burg", "Dafne van Kuppevelt", year=2026
)
GARCIA = paper(2, "The Argo Online School", "Gabriel García Márquez", year=2019)
SMITH = paper(3, "Keeping Garden Seeds", "John Smith Jr.", "Bob Jones", year=2018)
WHO = paper(4, "Malaria in numbers", "World Health Organization", year=2017, file_name="who-malaria.pdf")
KUMAR = paper(5, "Markers of Ocimum", "Amit Kumar", "Priyanka Mishra", year=2016)
KUMAR2 = paper(6, "Ocimum sanctum in rats", "Nirmal Kumar", "Gurpreet Kaur", year=None)
PAPERS = (BURG, GARCIA, SMITH, WHO, KUMAR, KUMAR2)
ALL = Scope(PAPERS, whole=True)


@pytest.fixture
def ask(library):
    catalogue = Catalogue(library)

    def asked(question, *, history=(), scope=ALL, cited=()):
        reply = catalogue.answer(question, scope=scope, history=history, cited=cited)
        return reply and reply.text

    return asked


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("Who wrote van der Burg et al.?", "was written by Sven A. van der Burg and Dafne van Kuppevelt."),
        ("When was Burg et al. published?", "is from 2026."),
        ("Who wrote Garcia Marquez (2019)?", "Gabriel García Márquez"),
        ("When was García Márquez published?", "is from 2019."),
        ("When was Smith 2018 published?", "“Keeping Garden Seeds” is from 2018."),
        ("Who is the last author of Smith and Jones 2018?", "is Bob Jones."),
        ("Who wrote the WHO 2017 report?", "by World Health Organization."),
        ("Who wrote who-malaria.pdf?", "by World Health Organization."),
        ("Who wrote the garden seeds paper?", "John Smith Jr."),
        ("Who wrote the paper about malaria?", "World Health Organization"),
        ("Who wrote Introduction to deep learning?", "Sven A. van der Burg"),
        ("Who wrote “Malaria in numbers”, and when?", "Organization. It is from 2017."),
        ("What is the title of Kumar 2016?", "“Markers of Ocimum”"),
        ("When was Kaur published?", "The library has no year for “Ocimum sanctum in rats”."),
        ("Where was Smith 2018 published?", "The library has no journal for “Keeping Garden Seeds”."),
        ("What is the DOI of Smith 2018?", "The library has no DOI for “Keeping Garden Seeds”."),
        ("How many references does Smith 2018 cite?", "The library has no reference list for"),
        ("How many pages does Smith 2018 have?", "has 9 pages."),
        ("What's the title of the garden seeds paper?", "“Keeping Garden Seeds”"),
        ("BibTeX of Smith 2018", "author = {Smith, Jr., John and Jones, Bob}"),
        ("Wer hat Smith 2018 geschrieben?", "John Smith Jr."),
        ("Wann wurde die Studie von van der Burg veröffentlicht?", "2026"),
        ("Von wem ist “Malaria in numbers”?", "World Health Organization"),
        ("Кой е написал “Malaria in numbers”?", "World Health Organization"),
        ("Кога е публикувана статията на Burg?", "2026"),
        ("Кои са авторите на Smith 2018?", "John Smith Jr. and Bob Jones"),
        ("Who wrote Smith 2020?", "No paper in your library matches “Smith 2020”."),
        ("Who wrote Nobody et al.?", "No paper in your library matches “Nobody et al"),
        ("How many papers do I have?", "Your library has 6 papers."),
        ("Wie viele Artikel habe ich?", "6 papers"),
        ("Колко статии имам?", "6 papers"),
        ("Which papers are by Nobody?", "No paper in your library has an author called “Nobody”."),
        ("Compare Smith 2018 and Khan 2011", "No paper in your library matches “Khan 2011”"),
    ],
)
def test_a_fact_of_a_paper_is_told_from_the_records(ask, question, said):
    assert said in (ask(question) or "")


@pytest.mark.parametrize(
    ("question", "papers"),
    [
        ("Which papers are by Jones?", [SMITH]),
        ("Which papers are by Smith and Jones?", [SMITH]),
        ("What did Priyanka Mishra write?", [KUMAR]),
        ("Welche Paper sind von García Márquez?", [GARCIA]),
        ("Кои статии са от Kumar?", [KUMAR, KUMAR2]),
        ("Papers by kumar", [KUMAR, KUMAR2]),
        ("Do I have anything by Jones?", [SMITH]),
        ("List my papers", list(PAPERS)),
        ("How many papers do I have, and which are they?", list(PAPERS)),
        ("Wie viele Artikel habe ich und welche sind es?", list(PAPERS)),
        ("Zeig mir alle meine Artikel", list(PAPERS)),
        ("Покажи всички статии", list(PAPERS)),
        ("Which papers are from 2018?", [SMITH]),
        ("Which papers were published since 2018?", [SMITH, GARCIA, BURG]),
        ("Which paper is the oldest?", [KUMAR]),
        ("Who wrote the Ocimum paper?", [KUMAR, KUMAR2]),
        ("When was Kumar published?", [KUMAR, KUMAR2]),
        ("When was Kumar et al. published?", [KUMAR, KUMAR2]),
    ],
)
def test_papers_are_listed_exactly_and_a_name_that_fits_more_is_asked_about(ask, question, papers):
    assert titles_in(ask(question) or "", PAPERS) == papers


def test_follow_ups_mean_the_paper_that_was_spoken_of(ask):
    first = ask("Who wrote Smith 2018?")
    history = [("Who wrote Smith 2018?", first)]
    assert "2018" in ask("And when was it published?", history=history)
    assert "2018" in ask("When?", history=history)
    assert "no DOI" in ask("and the DOI?", history=history)
    assert "2018" in ask("Und wann wurde es veröffentlicht?", history=history)
    assert "2018" in ask("А кога е публикувана?", history=history)
    assert ask("When?") is None
    assert "Which paper do you mean?" in ask("When was it published?")


def test_it_is_the_paper_that_the_last_answer_cites(ask):
    history = [("How long do seeds keep?", "They keep for ten years [1].")]
    assert "John Smith Jr." in ask("Who wrote it?", history=history, cited=[(SMITH.id, 4)])
    assert ask("On which page is that?", history=history, cited=[(SMITH.id, 4)]) == (
        "It is on page 4 of “Keeping Garden Seeds”."
    )


def test_the_only_paper_that_is_asked_is_meant(ask):
    assert "Bob Jones" in ask("Who are the authors?", scope=Scope((SMITH,)))
    assert "Bob Jones" in ask("Wer hat das geschrieben?", scope=Scope((SMITH,)))
    assert "Bob Jones" in ask("Кой е написал това?", scope=Scope((SMITH,)))


def test_the_second_one_is_that_of_the_list_just_shown(ask):
    question = "Who wrote the Ocimum paper?"
    history = [(question, ask(question))]
    assert "Nirmal Kumar" in ask("The second one", history=history)
    assert "Amit Kumar" in ask("Kumar 2016", history=history)
    listed = [("List my papers", ask("List my papers"))]
    assert "John Smith Jr." in ask("Who wrote the third one?", history=listed)
    assert "World Health Organization" in ask("Who wrote number 4?", history=listed)
    assert "Nirmal Kumar" in ask("Who wrote the last one?", history=listed)


def test_a_title_with_quotation_marks_and_a_twin_is_read_back_from_a_list(ask):
    odd = replace(SMITH, title="The “best” seeds")
    scope = Scope((GARCIA, odd), whole=True)
    listed = [("List my papers", ask("List my papers", scope=scope))]
    assert "John Smith Jr." in ask("Who wrote the second one?", history=listed, scope=scope)


CONTENT = (
    "Who wrote the annotation guidelines in the study?",
    "How many papers did the authors review?",
    "How many papers were included in the review?",
    "When were the samples collected?",
    "Who developed the score that Smith 2018 uses?",
    "Where was the study conducted?",
    "What does Smith 2018 say about seeds?",
    "Which studies did the authors exclude?",
    "Which papers build on Smith 2018?",
    "Which papers mention how seeds are stored in the cold over many years?",
    "What is new about the method?",
    "What year were the participants recruited?",
    "How many references to malaria are there in the interviews?",
    "Which journals did they search?",
    "Who published the data set that was used?",
    "How long is the lesson?",
    "What is the title of the survey that the participants filled in?",
    "Wer hat die Proben gesammelt?",
    "Wie viele Studien wurden eingeschlossen?",
    "Кой е събрал пробите?",
    "Колко пациенти са включени?",
    "Does the paper mention limitations of the approach?",
    "Do the authors mention side effects?",
    "Compare the yields of Ocimum and basil.",
    "When was the first case of malaria reported?",
    "Where is it released?",
    "How old are they?",
    "When did they appear?",
    "When were they added?",
    "Who made them?",
    "What is it called?",
    "What are the sources?",
    "Wie heißt es?",
    "What are the sources of emissions in 2019?",
    "What are the data for Germany in 2020?",
    "Show me the data on mortality in 2015",
    "Who made the vaccine in 2020?",
    "Who published the guidelines in 2016?",
    "Where did COVID 2019 appear?",
    "What is 'dropout' called?",
    'Who made "ImageNet"?',
    'Who wrote "ImageNet"?',
    "Was sind die Quellen für Blei im Jahr 2019?",
    "Compare the results of Smith 2018 with those from 2015",
    "Compare Smith 2018 with the situation before 2010",
    "Compare Smith 2018 with the one from 2001",
    "Compare Smith 2018 with summer 2015",
    "Compare Smith 2018 with March 2020",
    "Compare Smith 2018 with 'the control group'",
    "What are the sources of garden seeds?",
    "What are the sources of keeping garden seeds?",
    "When is introduction to deep learning released?",
    "How old are keeping garden seeds?",
    "Give me the data on malaria in numbers",
    "How many studies does it include?",
    "How many studies does the review include?",
    "How many papers does this review contain?",
    "How many studies are there in this review?",
    "Wie viele Arbeiten enthält die Studie?",
    "How many studies?",
    "How many articles are there?",
    "Wie viele Studien gibt es?",
    "Which papers refer to dropout?",
    "Which studies cite lack of power as a limitation?",
    "Which papers quote patients?",
    "Which papers reference WHO guidelines?",
    "Do any papers mention a control group?",
    "Which papers contain a randomized trial?",
    "In which studies was toxicity found?",
    "In which studies did bleeding occur?",
    "do any studies contain women",
    "Where are side effects named?",
    "Wo werden Nebenwirkungen genannt?",
    "How long is the study?",
    "What is the study called?",
    "What is the name of the study?",
    "List the studies",
    "Which studies are there?",
    "Which study is the oldest?",
    "What is the latest study?",
    "What works by RNA interference?",
    "Which papers by Brown discuss dopamine?",
    "Which papers are by Brown and discuss dopamine?",
    "",
)


@pytest.mark.parametrize("question", CONTENT)
def test_a_question_about_what_papers_say_is_never_caught(ask, question):
    assert ask(question) is None
    assert ask(question, scope=Scope((SMITH,))) is None


BARE = (
    "When?",
    "Where?",
    "And where?",
    "Where exactly?",
    "Who?",
    "By whom?",
    "How old are they?",
    "What is it called?",
)


@pytest.mark.parametrize("question", BARE)
def test_a_bare_follow_up_of_an_answer_from_the_papers_is_about_what_they_say(ask, question):
    history = [("Were the samples collected in the field?", "They were collected in the field [1].")]
    assert ask(question, history=history, cited=[(KUMAR2.id, 4)]) is None
    assert ask(question, history=history, cited=[(KUMAR2.id, 4)], scope=Scope((KUMAR2,))) is None
    named = [("Were the seeds of Smith 2018 collected in the field?", "They were [1].")]
    assert ask(question, history=named, cited=[(SMITH.id, 4)]) is None


@pytest.mark.parametrize(
    "question",
    [
        "What are the sources of heavy metal pollution?",
        "Where is dopamine released?",
        "When is dopamine released?",
        "Give me the data on dopamine",
        "How old are deep bidirectional transformers?",
        "What is dopamine called?",
    ],
)
def test_a_topic_that_stands_in_a_title_is_not_the_paper(ask, question):
    titles = (
        "Heavy metal pollution in the Black Sea",
        "Dopamine: a review",
        "BERT: Pre-training of deep bidirectional transformers",
    )
    papers = tuple(paper(n, title, "Jane Brown") for n, title in enumerate(titles))
    assert ask(question, scope=Scope(papers, whole=True)) is None
    for one in papers:
        assert ask(question, scope=Scope((one,))) is None


def test_of_some_papers_nothing_is_said_about_the_whole_library(ask, two_papers):
    first, *_ = two_papers.papers()
    catalogue = Catalogue(two_papers)
    none = catalogue.answer("How many papers do I have?", scope=Scope(()))
    assert "Your library is empty" not in none.text
    assert none.text == "This chat asks none of your 2 papers: choose some in the Library and ask again."
    for question in (
        "Which papers are by Nobody?",
        "Which papers are from 1903?",
        "Who wrote Nobody 2018?",
        "Which papers mention xylophone?",
        "Which papers cite Nobody 1999?",
        "Which papers are from 2018?",
        "Which papers are by Jones?",
    ):
        for papers in ((SMITH, KUMAR), (first, SMITH)):
            reply = catalogue.answer(question, scope=Scope(papers))
            assert reply, question
            said = reply.text
            assert "your" not in said, said
            assert "that this chat asks" in said, said


def test_papers_are_sorted_by_year_and_not_by_an_author_called_so(ask):
    assert titles_in(ask("list papers by Year"), PAPERS)[:2] == [BURG, GARCIA]


def test_both_facts_are_told_where_one_is_bibtex(ask):
    history = [("Who wrote Smith 2018?", ask("Who wrote Smith 2018?"))]
    both = ask("The DOI and bibtex?", history=history)
    assert "The library has no DOI for" in both
    assert "```bibtex" in both


def test_pages_are_called_as_printed(ask):
    labelled = replace(SMITH, page_labels=tuple(str(n) for n in range(1123, 1132)))
    history = [("How long do seeds keep?", "They keep for ten years [1].")]
    said = ask("On which page is that?", history=history, cited=[(SMITH.id, 2)], scope=Scope((labelled,)))
    assert said == "It is on page 1124 (2) of “Keeping Garden Seeds”."


def test_questions_of_qasper_are_not_caught(ask, shared_data):
    rows = json.loads(gzip.decompress((shared_data / "qasper" / "dev.json.gz").read_bytes())).items()
    caught, n = [], 0
    for number, (_, row) in enumerate(rows):
        scope = Scope((paper(number, row["title"], "Jane Smith"),))
        for qa in row["qas"]:
            n += 1
            caught += [qa["question"]] if ask(qa["question"], scope=scope) else []
    assert n == 1005
    assert caught == ["When is this paper published?"]  # which the records do answer


def test_an_empty_library_says_so(ask):
    empty = Scope((), whole=True)
    assert "empty" in ask("How many papers do I have?", scope=empty)
    assert "empty" in ask("Which papers mention eugenol?", scope=empty)


# Words, pages and references, over real papers


@pytest.fixture
def stored(two_papers):
    return Scope(tuple(two_papers.papers()), whole=True), Catalogue(two_papers), two_papers


def test_every_hit_of_a_word_is_found_and_nothing_else(stored):
    scope, catalogue, library = stored
    reply = catalogue.answer("Which of my papers mention quantisation?", scope=scope)
    counted = {
        p.id: {page.number for page in library.pages(p.id) if "quantisation" in page.text.casefold()}
        for p in scope.papers
    }
    for citation in reply.citations:
        assert citation.page in counted[citation.passage.paper.id]
        assert "quantisation" in citation.quote.casefold()
        assert citation.verified
    assert {c.passage.paper.id for c in reply.citations} <= {name for name, pages in counted.items() if pages}
    assert catalogue.answer("Кои статии споменават quantisation?", scope=scope).text == reply.text
    assert (
        "None of your 2 papers mentions “xylophone”"
        in catalogue.answer("Which papers mention xylophone?", scope=scope).text
    )


def test_parts_of_words_do_not_count_and_acronyms_are_capitals(stored):
    scope, catalogue, _ = stored
    assert "None of your" in catalogue.answer("Which papers mention quantisatio?", scope=scope).text
    assert "None of your" in catalogue.answer("Which papers mention THE?", scope=scope).text
    assert "2 of your 2" in catalogue.answer("Which papers mention the word “the”?", scope=scope).text


def test_on_which_page_is_that_follows_a_search(stored):
    scope, catalogue, _ = stored
    first = catalogue.answer("Which papers mention LoRA?", scope=scope)
    again = catalogue.answer(
        "On which page is that?", scope=scope, history=[("Which papers mention LoRA?", first.text)]
    )
    assert again.text == first.text


def test_references_are_searched_for_authors_and_years(stored):
    scope, catalogue, library = stored
    entries = [entry for p in scope.papers for entry in library.references(p.id)]
    assert any("Hu" in entry and "2021" in entry for entry in entries)
    found = catalogue.answer("Which of my papers cite Hu et al. 2021?", scope=scope).text
    assert "of your 2 papers cite" in found
    assert (
        "None of your 2 papers cites “Nobody 1999”"
        in catalogue.answer("Which of my papers cite Nobody 1999?", scope=scope).text
    )


def test_lists_that_would_be_empty_are_said_to_be_so(stored):
    scope, catalogue, library = stored
    all_of_them = catalogue.answer("Which papers do not mention the word “the”?", scope=scope).text
    assert all_of_them == "All of your 2 papers mention “the”."
    (one,) = [p for p in scope.papers if library.references(p.id)][:1]
    entry = library.references(one.id)[0]
    cited = catalogue.answer(f"Which papers do not cite “{entry[:60]}”?", scope=Scope((one,))).text
    assert "0 papers" not in cited


def test_what_is_new_bears_a_paper_without_a_date(stored):
    scope, catalogue, _ = stored
    assert "added on" in catalogue.answer("What is new?", scope=Scope((*scope.papers, SMITH), whole=True)).text


def test_what_is_new_is_what_was_added_last(stored):
    scope, catalogue, library = stored
    added = library.added_at()
    newest = max(scope.papers, key=lambda p: added[p.id])
    for question in ("What is new?", "Was ist neu?", "Какво е ново?", "Which papers did I add last?"):
        assert titles_in(catalogue.answer(question, scope=scope).text, scope.papers)[0] == newest
