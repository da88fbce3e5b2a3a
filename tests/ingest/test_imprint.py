"""The journal as the first page prints it: running heads, and the reference to the paper itself."""

from __future__ import annotations

import pytest

from ingest.imprint import is_short_for, printed_publication

TITLE = "Growth of basil under water"


@pytest.mark.parametrize(
    ("page", "told"),
    [
        ("Lee et al. BMC Plant Biology (2018) 18:69\nResearch", ("BMC Plant Biology", "18", None, "69")),
        ("Lee and Park Pain Journal of Nerves 2018, 5:3\nhttp", ("Pain Journal of Nerves", "5", None, "3")),
        ("Hindawi\nJournal of Plants\nVolume 2018, Article ID 7264892", ("Journal of Plants", "2018", None, "7264892")),
        (
            "Iranian Journal of Plants Vol.9. No.3. pp: 177-186, Summer 2018",
            ("Iranian Journal of Plants", "9", "3", "177-186"),
        ),
        ("ORIGINAL ARTICLE Journal of Pain (2018) 19: 5-9", ("Journal of Pain", "19", None, "5-9")),
        ("214 The Open Plant Journal, 2018, 10, (Suppl-1) 214-226", ("The Open Plant Journal", "10", None, "214-226")),
        ("Ecology and Plants 2018; 6: 7671–7682", ("Ecology and Plants", "6", None, "7671-7682")),
        ("J Food Sci (2019) 52:697–707", ("J Food Sci", "52", None, "697-707")),
        (
            f"{TITLE}\nA. Lee\nHow to cite this article: Lee A. {TITLE}. Int J Plant Res 2018;8(2):99-101.",
            ("Int J Plant Res", "8", "2", "99-101"),
        ),
        (
            f"{TITLE}\nCitation: Lee A (2018) {TITLE}.\nFront. Plants. 9:1096. doi: 10.1/x",
            ("Front. Plants", "9", None, "1096"),
        ),
        (
            f"{TITLE}\nLee, A. (2018). {TITLE}. Journal of Open Plants, 7(75), 90. https",
            ("Journal of Open Plants", "7", "75", "90"),
        ),
    ],
)
def test_a_journal_is_read_with_volume_and_pages(page: str, told: tuple[str | None, ...]) -> None:
    found = printed_publication([page], TITLE, 2018, ["Ann Lee", "Bo Park"])
    assert found is not None
    assert (found.container, found.volume, found.issue, found.pages) == told
    assert found.kind == "article-journal"


@pytest.mark.parametrize(
    "page",
    [
        "",
        f"{TITLE}\nThe Lee authors\nLee project, 2018\nAbstract.",
        f"{TITLE}\nAnn Lee 1, 2, Bo Park 1, 3\nDepartment of Plants",
        f"{TITLE}\n" + "Text. \n" * 20 + "Park et al. Other Journal (2018) 3:4\n" + "Text. \n" * 20,
        f"{TITLE}\nPark B (2001) Another title. Int J Plant Res 2001;8(2):99-101.",
        "Received: 3 May 2018; 12: 4",
        "Berlin, 2018, 12 May",
        "Elsevier Ltd, 2018, 12 pages",
        "Vienna, Austria, 2018, 17-22 July",
        "Master Thesis, Vienna, June, 2018, 84 pages",
        "Journal of Sleep, 2018; 12",
        "Text.\n1 Smith J, Lee K. Nature 2018; 521: 436-444",
        "Text.\n1 Kim, Neuron, 2018, 85: 101-115",
        "as was shown by Jones et al. Cell (2018) 162: 55-67",
        "Jones et al. Cell Reports (2018) 162: 55-67",
        "Available at Vol. 10, 2018",
    ],
)
def test_nothing_is_read_from_headings_authors_and_other_works(page: str) -> None:
    assert printed_publication([page], TITLE, 2018, ["Ann Lee", "Bo Park"]) is None


def test_a_year_far_from_the_papers_belongs_to_another_work() -> None:
    assert printed_publication(["Lee et al. BMC Plants (2009) 18:69"], TITLE, 2018, ["A. Lee"]) is None
    assert printed_publication(["J Plant Sci (2009) 52:697–707"], TITLE, 2018) is None
    assert printed_publication(["J Plant Sci (2019) 52:697–707"], TITLE, 2018)


def test_an_abbreviation_is_told_from_another_journal() -> None:
    assert is_short_for("Microb Cell Fact", "Microbial Cell Factories")
    assert is_short_for("J. Open Source Education", "Journal of Open Source Education")
    assert not is_short_for("Microb Cell Fact", "Microbial Biotechnology")
