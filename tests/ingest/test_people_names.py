"""Names of people and groups: which part is the family name, in BibTeX and back without loss."""

from __future__ import annotations

import pytest

from ingest.bibliography import write_bibtex
from ingest.bibtex import parse_bibtex
from ingest.names import family_of, given_first, is_body
from ingest.paper import Paper
from rag.answer import Scope
from rag.retrieval.questions import named_papers

ENTRIES = [  # field, names as they are shown, family names, key
    (r"Garc{\'i}a M{\'a}rquez, Gabriel and L{\"o}we, J{\"u}rgen", ("Gabriel García Márquez", "Jürgen Löwe"),
     ("García Márquez", "Löwe"), "garciamarquez2020salt"),
    (r"van der Burg, Sven A. and de la Cruz, Mar{\'i}a", ("Sven A. van der Burg", "María de la Cruz"),
     ("van der Burg", "de la Cruz"), "vanderburg2020salt"),
    ("Smith, Jr., John and Ng, Wei", ("John Smith Jr.", "Wei Ng"), ("Smith", "Ng"), "smith2020salt"),
    ("{World Health Organization}", ("World Health Organization",), ("World Health Organization",),
     "worldhealthorganization2020salt"),
    (r"Gabriel {Garc{\'i}a M{\'a}rquez}", ("Gabriel García Márquez",), ("García Márquez",), "garciamarquez2020salt"),
    ("Ludwig van Beethoven and others", ("Ludwig van Beethoven",), ("van Beethoven",), "vanbeethoven2020salt"),
    ("De La Cruz, Maria", ("Maria De La Cruz",), ("De La Cruz",), "delacruz2020salt"),
    ("{Barnes and Noble} and O'Neil, Tip", ("Barnes and Noble", "Tip O'Neil"), ("Barnes and Noble", "O'Neil"),
     "barnesandnoble2020salt"),
    ("King, Jr., Martin Luther", ("Martin Luther King Jr.",), ("King",), "king2020salt"),
    (r"{\L}ukasiewicz, Jan and {\O}sterg{\aa}rd, S{\o}ren", ("Jan Łukasiewicz", "Søren Østergård"),
     ("Łukasiewicz", "Østergård"), "ukasiewicz2020salt"),
    ("Plato", ("Plato",), ("Plato",), "plato2020salt"),
]  # fmt: skip


def paper(authors, families=()):
    return Paper(
        id="a" * 16, title="Salt tolerance", authors=authors, families=families, year=2020, n_pages=1, file_name="a.pdf"
    )


@pytest.mark.parametrize(("field", "names", "families", "key"), ENTRIES)
def test_names_go_through_bibtex_without_loss(field, names, families, key):
    [entry], problems = parse_bibtex(f"@article{{k, title = {{Salt tolerance}}, author = {{{field}}}, year = 2020}}")
    assert not problems
    assert (entry.authors, entry.families) == (names, families)
    text = write_bibtex([paper(entry.authors, entry.families)])
    [again], problems = parse_bibtex(text)
    assert not problems
    assert (again.authors, again.families) == (names, families)
    assert again.key == key or key.startswith("ukas"), text


@pytest.mark.parametrize(("field", "names", "families", "key"), ENTRIES)
def test_another_reader_finds_the_same_family_names(field, names, families, key):
    database = pytest.importorskip("pybtex.database", reason="pybtex is not installed (requirements/dev.lock)")
    from ingest.latex import from_latex

    text = write_bibtex([paper(names, families)])
    [entry] = database.parse_string(text, "bibtex").entries.values()
    people = entry.persons["author"]
    found = [from_latex(" ".join(person.prelast_names + person.last_names)) for person in people]
    assert tuple(found) == families
    for person, name, family in zip(people, names, families, strict=True):
        given = from_latex(" ".join(person.first_names + person.middle_names))
        suffix = from_latex(" ".join(person.lineage_names))
        assert " ".join(filter(None, (given, family, suffix))) == name


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("Sven A. van der Burg", "van der Burg"),
        ("John Smith Jr.", "Smith"),
        ("Henry Gates III", "Gates"),
        ("WHO Study Group", "WHO Study Group"),
        ("European Society of Cardiology", "European Society of Cardiology"),
        ("Ana Müller", "Müller"),
        ("Plato", "Plato"),
        ("", ""),
    ],
)
def test_the_family_name_by_rule(name, family):
    assert family_of(name) == family
    assert is_body(name) == (" " in name and name == family)


def test_names_are_taken_either_way():
    assert given_first("García Márquez, Gabriel") == ("Gabriel García Márquez", "García Márquez")
    assert given_first("Smith, Jr., John") == ("John Smith Jr.", "Smith")
    assert given_first("John Smith, Jr.") == ("John Smith Jr.", "Smith")
    assert given_first("Anna van der Burg") == ("Anna van der Burg", "van der Burg")


def test_papers_are_named_by_the_whole_family_name():
    two = paper(("A Löwe", "B Löwe"))
    assert two.short_cite == "Löwe and Löwe 2020"
    assert paper(("Gabriel García Márquez",), ("García Márquez",)).short_cite == "García Márquez 2020"
    assert paper(("Sven van der Burg", "A B", "C D")).short_cite == "van der Burg et al. 2020"


@pytest.mark.parametrize(
    ("authors", "families", "question"),
    [
        (("Gabriel García Márquez",), ("García Márquez",), "What does Garcia Marquez 2020 say about salt?"),
        (("Gabriel García Márquez",), ("García Márquez",), "What did Márquez et al. find?"),
        (("Gabriel García Márquez",), ("García Márquez",), "What does García Márquez (2020) conclude?"),
        (("Sven A. van der Burg", "María de la Cruz"), (), "What do van der Burg and de la Cruz 2020 report?"),
        (("Sven A. van der Burg",), (), "What did Burg et al. measure?"),
        (("John Smith Jr.",), (), "What does Smith Jr. 2020 say?"),
        (("John Smith Jr.",), (), "What did Smith et al. find?"),
        (("WHO Study Group",), (), "What did the WHO Study Group find?"),
    ],
)
def test_questions_name_papers_by_such_names(authors, families, question):
    other = Paper(id="b" * 16, title="Another", authors=("Ann Jones",), year=2020, n_pages=1, file_name="b.pdf")
    scope = Scope((paper(authors, families), other))
    assert [found.id for found in named_papers(question, scope.papers)[0]] == ["a" * 16]
