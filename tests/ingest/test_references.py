"""References in five styles against what the styles' own manuals print, and BibTeX and CSL-JSON that are read back."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from ingest.bibliography import write_bibtex
from ingest.bibtex import apply, parse_bibtex, read_csl
from ingest.csl import csl_item, csl_items
from ingest.metadata import Description, read_xmp
from ingest.paper import Page, Paper, ParsedPaper, Publication
from ingest.references import OFFERED, References, StyleError, find_style, styles


def paper(number: int, title: str, authors: tuple[str, ...] = (), **facts) -> Paper:
    return Paper(id=f"{number:016x}", title=title, authors=authors, n_pages=9, file_name="x.pdf", **facts)


PEAT = Publication(kind="article-journal", container="Journal of Peat", volume="14", issue="2", pages="101-109")
DUNES = paper(
    1,
    "Dunes that move: a survey of 12 beaches",
    ("Sven A. van der Burg", "John Smith Jr."),
    families=("van der Burg", "Smith"),
    year=2021,
    doi="10.1234/abc.5",
    publication=PEAT,
)
SEEDS = paper(2, "Guidelines on seeds", ("World Health Organization",), year=2019)
LORA = paper(
    3,
    "LoRA: Low-Rank Adaptation of Large Language Models",
    tuple(f"Ann B. {name}" for name in "Ash Beech Cedar Dogwood Elm Fir Gorse".split()),
    year=2021,
    arxiv_id="2106.09685",
)
NOBODY = paper(4, "A paper without an author", year=2001)
UNDATED = paper(
    5,
    "Is a year needed?",
    ("Gabriel García Márquez",),
    families=("García Márquez",),
    publication=Publication(kind="paper-conference", container="Proceedings of Seeds", pages="1-9"),
)
SAND = paper(6, "Deep seeds in sand", ("Min-Ho Lee",), year=2020, doi="10.5555/1")
SIX = (DUNES, SEEDS, LORA, NOBODY, UNDATED, SAND)

BY_HAND = {
    "apa": {
        DUNES: "van der Burg, S. A., & Smith, J., Jr. (2021). Dunes that move: a survey of 12 beaches. "
        "Journal of Peat, 14(2), 101–109. https://doi.org/10.1234/abc.5",
        SEEDS: "World Health Organization. (2019). Guidelines on seeds.",
        LORA: "Ash, A. B., Beech, A. B., Cedar, A. B., Dogwood, A. B., Elm, A. B., Fir, A. B., & Gorse, A. B. (2021). "
        "LoRA: Low-Rank Adaptation of Large Language Models (arXiv:2106.09685). arXiv. "
        "https://arxiv.org/abs/2106.09685",
        NOBODY: "A paper without an author. (2001).",
        UNDATED: "García Márquez, G. (n.d.). Is a year needed? Proceedings of Seeds, 1–9.",
        SAND: "Lee, M.-H. (2020). Deep seeds in sand. https://doi.org/10.5555/1",
    },
    "chicago": {
        DUNES: "Burg, Sven A. van der, and John Smith Jr. 2021. “Dunes That Move: A Survey of 12 Beaches.” "
        "Journal of Peat 14 (2): 101–9. https://doi.org/10.1234/abc.5.",
        SEEDS: "World Health Organization. 2019. “Guidelines on Seeds.”",
        LORA: "Ash, Ann B., Ann B. Beech, Ann B. Cedar, et al. 2021. "
        "“LoRA: Low-Rank Adaptation of Large Language Models.” arXiv:2106.09685. Preprint, arXiv. "
        "https://arxiv.org/abs/2106.09685.",
        NOBODY: "“A Paper Without an Author.” 2001.",
        UNDATED: "García Márquez, Gabriel. n.d. “Is a Year Needed?” Proceedings of Seeds, 1–9.",
        SAND: "Lee, Min-Ho. 2020. “Deep Seeds in Sand.” https://doi.org/10.5555/1.",
    },
    "mla": {
        DUNES: "van der Burg, Sven A., and John Smith Jr. “Dunes That Move: A Survey of 12 Beaches.” "
        "Journal of Peat, vol. 14, no. 2, 2021, pp. 101–09, https://doi.org/10.1234/abc.5.",
        SEEDS: "World Health Organization. “Guidelines on Seeds.” 2019.",
        LORA: "Ash, Ann B., et al. “LoRA: Low-Rank Adaptation of Large Language Models.” arXiv:2106.09685, arXiv, "
        "2021, https://arxiv.org/abs/2106.09685.",
        NOBODY: "“A Paper Without an Author.” 2001.",
        UNDATED: "García Márquez, Gabriel. “Is a Year Needed?” Proceedings of Seeds, pp. 1–9.",
        SAND: "Lee, Min-Ho. “Deep Seeds in Sand.” 2020, https://doi.org/10.5555/1.",
    },
    "vancouver": {
        DUNES: "1. van der Burg SA, Smith J Jr. Dunes that move: a survey of 12 beaches. Journal of Peat. "
        "2021;14(2):101–9. doi:10.1234/abc.5",
        SEEDS: "2. World Health Organization. Guidelines on seeds. 2019.",
        LORA: "3. Ash AB, Beech AB, Cedar AB, Dogwood AB, Elm AB, Fir AB, et al. "
        "LoRA: Low-Rank Adaptation of Large Language Models [Internet]. arXiv; 2021. "
        "Available from: https://arxiv.org/abs/2106.09685",
        NOBODY: "4. A paper without an author. 2001.",
        UNDATED: "5. García Márquez G. Is a year needed? In: Proceedings of Seeds. p. 1–9.",
        SAND: "6. Lee MH. Deep seeds in sand. 2020. doi:10.5555/1",
    },
    "ieee": {
        DUNES: "[1] S. A. van der Burg and J. Smith Jr., “Dunes that move: a survey of 12 beaches,” Journal of Peat, "
        "vol. 14, no. 2, pp. 101–109, 2021, doi: 10.1234/abc.5.",
        SEEDS: "[2] World Health Organization, “Guidelines on seeds.” 2019.",
        LORA: "[3] A. B. Ash et al., “LoRA: Low-Rank Adaptation of Large Language Models,” 2021, arXiv:2106.09685. "
        "[Online]. Available: https://arxiv.org/abs/2106.09685",
        NOBODY: "[4] “A paper without an author.” 2001.",
        UNDATED: "[5] G. García Márquez, “Is a year needed?” in Proceedings of Seeds, pp. 1–9.",
        SAND: "[6] M.-H. Lee, “Deep seeds in sand.” 2020. doi: 10.5555/1.",
    },
}


@pytest.mark.parametrize("style", BY_HAND)
def test_six_papers_in_each_style_read_as_written_by_hand(style, tmp_path) -> None:
    written = dict(References(SIX, find_style(style, tmp_path)).entries())
    assert written == {one.id: text for one, text in BY_HAND[style].items()}


@pytest.mark.parametrize(
    ("style", "cited"),
    [
        ("apa", "(van der Burg & Smith, 2021, p. 103)"),
        ("chicago", "(van der Burg and Smith 2021, 103)"),
        ("mla", "(van der Burg and Smith 103)"),
        ("vancouver", "(1)"),
        ("ieee", "[1, p. 103]"),
    ],
)
def test_the_text_cites_as_the_style_does(style, cited, tmp_path) -> None:
    references = References(SIX, find_style(style, tmp_path))
    assert references.in_text(DUNES.id, "103") == cited
    assert references.is_numbered == (style in {"vancouver", "ieee"})


def test_styles_with_years_are_sorted_by_name_and_tell_two_papers_of_a_year_apart(tmp_path) -> None:
    twice = [replace(SAND, id="b" * 16, title="Zinnias"), SAND]
    references = References(twice, find_style("apa", tmp_path))
    assert [text[:16] for _, text in references.entries()] == ["Lee, M.-H. (2020", "Lee, M.-H. (2020"]
    assert [references.in_text(one.id) for one in (SAND, twice[0])] == ["(Lee, 2020a)", "(Lee, 2020b)"]


@pytest.mark.parametrize("style", OFFERED)
def test_numbers_that_look_like_a_year_with_its_letter_stay_as_they_are(style, tmp_path) -> None:
    numbers = "9720219997", "9783540597"
    papers = [replace(SAND, doi=f"10.1007/{numbers[0]}"), replace(DUNES, doi=f"10.1007/{numbers[1]}123"), SEEDS]
    said = " ".join(text for _, text in References(papers, find_style(style, tmp_path)).entries())
    if "10.1007" in said:
        assert all(number in said for number in numbers)
    twins = [SAND, replace(SAND, id="f" * 16, title="Other seeds", doi=f"10.1007/{numbers[1]}")]
    said = " ".join(text for _, text in References(twins, find_style(style, tmp_path)).entries())
    assert "2020" in said
    assert numbers[1] in said or "10.1007" not in said


def test_pages_are_a_range_however_a_person_wrote_the_dash() -> None:
    for pages in ("101--109", "101–109", "101 – 109", "101-109"):
        assert "pages = {101--109}" in write_bibtex([replace(DUNES, publication=replace(PEAT, pages=pages))])


def test_no_value_ends_its_field(tmp_path) -> None:
    hostile = "x},\n note = {y"
    stated = Publication(kind="article-journal", container=hostile, volume=hostile, issue=hostile, publisher=hostile)
    text = write_bibtex(
        [
            replace(
                DUNES,
                title=hostile,
                authors=(hostile,),
                families=(),
                isbn=hostile,
                arxiv_id=hostile,
                publication=stated,
            )
        ]
    )
    entries, problems = parse_bibtex(text)
    assert (len(entries), problems) == (1, [])
    assert "note =" not in text.replace("note = \\textbraceleft", "")


def test_what_a_title_says_is_text_in_every_form(tmp_path) -> None:
    hostile = paper(7, 'A <script>alert("x")</script> & <i>more</i>', ("<b>Eve</b> Lee",), year=2020)
    references = References([hostile], find_style("apa", tmp_path))
    ((_, markup),) = references.markup()
    assert "<script" not in markup
    assert "<b>" not in markup
    assert "&lt;script&gt;" in markup
    assert '<script>alert("x")</script> & <i>more</i>' in references.entries()[0][1]


def test_the_users_own_style_file_is_found_and_meant_first(tmp_path) -> None:
    folder = tmp_path / "styles"
    folder.mkdir()
    packaged = find_style("nature", tmp_path)
    (folder / "our-journal.csl").write_bytes(packaged.path.read_bytes())
    assert [style.name for style in styles(tmp_path)] == [*OFFERED, "our-journal"]
    ((_, text),) = References([SAND], find_style("Our-Journal", tmp_path)).entries()
    assert text.startswith("1. Lee, M.-H. Deep seeds in sand.")


def test_a_style_that_only_names_another_uses_that_one(tmp_path) -> None:
    (tmp_path / "styles").mkdir()
    link = '<link href="http://www.zotero.org/styles/{}" rel="independent-parent"/>'
    text = '<style xmlns="http://purl.org/net/xbiblio/csl" version="1.0"><info>{}</info></style>'
    (tmp_path / "styles" / "mine.csl").write_text(text.format(link.format("apa")))
    (tmp_path / "styles" / "lost.csl").write_text(text.format(link.format("../../etc/passwd-x")))
    ((_, said),) = References([SAND], find_style("mine", tmp_path)).entries()
    assert said == BY_HAND["apa"][SAND]
    with pytest.raises(StyleError, match="needs another one"):
        References([SAND], find_style("lost", tmp_path))


@pytest.mark.parametrize(
    "content",
    [
        b"not XML",
        b"<html/>",
        b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><style xmlns="http://purl.org/net/xbiblio/csl"/>',
        b'<style xmlns="http://purl.org/net/xbiblio/csl" version="1.0"/>',
    ],
)
def test_a_file_that_is_no_style_is_said_to_be_none(content, tmp_path) -> None:
    (tmp_path / "styles").mkdir()
    (tmp_path / "styles" / "bad.csl").write_bytes(content)
    with pytest.raises(StyleError, match="citation style 'bad'"):
        References([SAND], find_style("bad", tmp_path))


@pytest.mark.parametrize("name", ["none-such", "../../../etc/passwd", "", "a" * 300])
def test_an_unknown_style_names_those_that_there_are(name, tmp_path) -> None:
    with pytest.raises(StyleError, match="chicago"):
        find_style(name, tmp_path)


# ---- BibTeX and CSL-JSON --------------------------------------------------------------------------------------------


def test_bibtex_has_the_type_the_journal_the_volume_and_the_pages() -> None:
    written = write_bibtex([DUNES, UNDATED, LORA])
    assert written.startswith("@article{vanderburg2021dunes,")
    for line in ("journal = {Journal of Peat}", "volume = {14}", "number = {2}", "pages = {101--109}"):
        assert line in written
    assert "@inproceedings{garciamarquezyear," in written
    assert "booktitle = {Proceedings of Seeds}" in written
    assert "@misc{ash2021lora," in written
    entries, problems = parse_bibtex(written)
    assert problems == []
    assert entries[0].publication == PEAT
    assert entries[1].publication == UNDATED.publication
    assert entries[2].publication is None


def test_a_type_whose_own_field_is_unknown_is_misc() -> None:
    known = replace(SAND, publication=Publication(kind="article-journal", volume="3"))
    assert write_bibtex([known]).startswith("@misc{")


def test_csl_json_is_read_back(tmp_path) -> None:
    file = tmp_path / "library.json"
    file.write_text(json.dumps(csl_items(SIX)), encoding="utf-8")
    entries = read_csl(file)
    assert [entry.title for entry in entries] == [one.title for one in SIX]
    assert [entry.authors for entry in entries] == [one.authors for one in SIX]
    assert [entry.families for entry in entries] == [one.family_names for one in SIX]
    assert entries[0].publication == PEAT
    assert entries[2].arxiv_id == LORA.arxiv_id


def test_names_are_parted_as_csl_wants_them() -> None:
    first, second = csl_item(DUNES)["author"]
    assert first == {"family": "Burg", "given": "Sven A.", "non-dropping-particle": "van der"}
    assert second == {"family": "Smith", "given": "John", "suffix": "Jr."}
    assert csl_item(SEEDS)["author"] == [{"literal": "World Health Organization"}]
    assert "author" not in csl_item(NOBODY)
    assert "issued" not in csl_item(UNDATED)


def test_what_a_bibliography_and_prism_say_of_the_journal_is_kept() -> None:
    (entry,), _ = parse_bibtex(
        "@article{x, title={T}, journaltitle={Journal of Peat}, volume=14, number=2, pages={101 -- 109}}"
    )
    assert entry.publication == PEAT
    described = apply(entry, Description("t", (), None, None))
    assert described.publication == PEAT
    (preprint,), _ = parse_bibtex("@article{x, title={T}, journal={arXiv preprint arXiv:1706.03762}, year=2017}")
    assert preprint.publication is None
    stated = read_xmp(
        b"<prism:publicationName>Journal of Peat</prism:publicationName><prism:volume>14</prism:volume>"
        b"<prism:number>2</prism:number><prism:startingPage>101</prism:startingPage>"
        b"<prism:endingPage>109</prism:endingPage>"
    )
    assert stated.publication == PEAT
    assert read_xmp(b"<prism:volume>14</prism:volume>").publication is None


def test_pages_printed_on_the_page_count_where_the_journal_is_known() -> None:
    bare = replace(PEAT, pages=None)
    labels = tuple(map(str, range(101, 110)))
    assert replace(DUNES, publication=bare, page_labels=labels).pages_in_print == "101-109"
    assert replace(DUNES, publication=bare, page_labels=tuple("123456789")).pages_in_print is None
    assert replace(DUNES, publication=None, page_labels=labels).pages_in_print is None


def test_a_library_keeps_where_a_paper_was_published(library) -> None:
    pdf = library.folder / "x.pdf"
    pdf.write_bytes(b"%PDF-1.7")
    known = replace(DUNES, n_pages=1)
    library.add(ParsedPaper(known, (Page(1, "Text."),)), [], np.zeros((0, 3), np.float32), embedder="fake@0", pdf=pdf)
    assert library.paper(known.id).publication == PEAT
    corrected = library.describe(known.id, publication={"container": "Annals of Peat", "pages": "e7", "x": 1})
    assert corrected.publication == Publication(container="Annals of Peat", pages="e7")
    assert library.paper(known.id) == corrected
