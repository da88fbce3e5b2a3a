"""The questions offered in a new chat."""

from __future__ import annotations

import threading

import pytest

from fake_embedder import HashEmbedder
from ingest import Paper, ingest_pdf
from pdfs import column, write_pdf
from places import SAMPLES
from ui import samples, starters


def paper(title: str, name: str = "x.pdf", **more) -> Paper:
    return Paper(id=title[:16], title=title, n_pages=1, file_name=name, **more)


HEADINGS = {
    "Effects of basil on sleep: a trial": "Introduction\nMaterials and Methods\nResults",
    "Growing basil in cities": "Methods\nResults",
    "What is an adaptogen?": "Conclusions",
    "A history of basil": "",
    "Basil and pests": "Results",
}


def asked(*papers: Paper) -> list[tuple[str, str]]:
    return starters.about(papers, sections=lambda paper: HEADINGS.get(paper.title, ""))


def test_each_paper_and_each_kind_of_question_is_asked_once() -> None:
    found = asked(*map(paper, HEADINGS))
    assert found == [
        (
            "What does “Effects of basil on sleep” find?",
            "What are the main findings of “Effects of basil on sleep: a trial”?",
        ),
        ("How was “Growing basil in cities” done?", "Which methods are used in “Growing basil in cities”?"),
        ("What does “What is an adaptogen” conclude?", "What does “What is an adaptogen?” conclude?"),
        ("What is “A history of basil” about?", "What is “A history of basil” about?"),
    ]
    assert len({question for _, question in found}) == 4


def test_a_single_paper_gets_two_questions() -> None:
    assert [question for _, question in asked(paper("A history of basil"))] == [
        "What is “A history of basil” about?",
        "Summarise “A history of basil”.",
    ]


@pytest.mark.parametrize(
    ("title", "name", "short"),
    [
        ("seeds", "seeds.pdf", None),
        ("10.1016/j.x.2011", "a.pdf", None),
        ("full text scan", "full text scan.pdf", None),
        ("A “quoted” title – with a dash", "x.pdf", "A quoted title"),
        ("Tulsi: a herb for all reasons", "x.pdf", "Tulsi: a herb for all reasons"),
        (
            "On the measurement of very small doses of light, heat",
            "x.pdf",
            "On the measurement of very small doses of …",
        ),
    ],
)
def test_a_title_is_cut_after_a_word_and_none_is_made_up(title, name, short) -> None:
    assert starters.short_title(paper(title, name)) == short


def test_two_files_of_one_paper_are_asked_about_once() -> None:
    assert len(asked(paper("A history of basil"), paper("A HISTORY of basil"), paper("Basil and pests"))) == 2


def test_samples_are_asked_about_only_while_there_are_no_other_papers(
    app, shelf_library, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(samples, "FOLDER", SAMPLES)
    assert starters.questions() == []
    ingest_pdf(SAMPLES / "lora-for-terms.pdf", library=shelf_library, embedder=HashEmbedder())
    assert [label for label, _ in starters.questions()] == ["How large is a LoRA adapter?"]
    lines = ["Keeping Garden Seeds", "", *(f"Sentence {n} tells how jars were weighed." for n in range(20))]
    path = write_pdf(tmp_path / "x.pdf", column(72, 720, lines))
    mine = ingest_pdf(path, library=shelf_library, embedder=HashEmbedder()).paper_id
    shelf_library.describe(mine, title="Keeping Garden Seeds")
    assert {question.count("Keeping Garden Seeds") for _, question in starters.questions()} == {1}


async def test_the_first_questions_are_found_beside_the_event_loop(app, monkeypatch) -> None:
    from ui import composer

    threads = []
    monkeypatch.setattr(composer, "questions", lambda: threads.append(threading.current_thread()) or [("Q", "Why?")])
    assert [starter.message for starter in await app.starters()][-1] == "Why?"
    assert threads
    assert threading.main_thread() not in threads, "a library of books takes a second"
