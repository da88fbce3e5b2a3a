"""Bibliographies beside the papers: what the programs export is read, what we write is read back."""

from __future__ import annotations

import base64
import json
import logging
import plistlib
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_embedder import HashEmbedder
from ingest import ingest_pdf, open_library
from ingest.bibliography import write_bibtex
from ingest.bibtex import (
    Entry,
    apply,
    parse_bibtex,
    read_bibtex,
    read_csl,
)
from ingest.identifiers import doi_in_field
from ingest.latex import from_latex, to_latex
from ingest.metadata import Description
from ingest.paper import Paper
from ingest.sidecar import find_entry, sidecar_entries
from pdfs import column, write_pdf

ZOTERO = r"""
@article{vaswani_attention_2017,
	title = {Attention {Is} {All} {You} {Need}},
	volume = {30},
	url = {http://arxiv.org/abs/1706.03762},
	doi = {10.48550/arXiv.1706.03762},
	abstract = {We cut training by 50\% \& more.},
	urldate = {2024-01-05},
	author = {Vaswani, Ashish and {van der Berg}, Jan and Müller, Jürgen},
	month = jun,
	year = {2017},
	note = {arXiv:1706.03762 [cs]},
	file = {PDF:/home/me/Zotero/storage/ABCD1234/Vaswani.pdf:application/pdf;Snapshot:/home/me/EF/1.html:text/html},
}
"""
JABREF = r"""% Encoding: UTF-8

@Article{Smith2020,
  author    = {Smith, Jr, John A. and de la Tour, Marie and {The {ATLAS} Collaboration}},
  date      = {2020-03-04},
  title     = {On G{\"o}del's \emph{theorem} --- a survey},
  doi       = {10.1000/a\_b(1)},
  file      = {:C\:\\Users\\me\\Papers\\Smith 2020.pdf:PDF;other:notes.txt:Text},
  timestamp = {2020-05-01},
}

@Comment{jabref-meta: databaseType:bibtex;}
"""
MENDELEY = r"""
@article{Garcia2019,
abstract = {Background: {\ldots}},
author = {Garc{\'{i}}a-P{\'{e}}rez, Jos{\'{e}} and O'Neill, Se{\'{a}}n},
doi = {10.1016/j.cell.2019.01.001},
file = {:C$\backslash$:/Users/me/Mendeley/Garc{\_}a - 2019.pdf:pdf},
title = {{Deep learning of {\"{u}}ber-things {\&} others}},
year = {2019}
}
"""
BIBDESK = """
%% This BibTeX bibliography file was created using BibDesk.
%% Created for Me at 2021-01-01 @ home

@string{nat = "Nature " # "Methods"}
@string(pub = {Springer})

@article(knuth84,
	Author = "Donald E. Knuth and others",
	Journal = nat # { Supplement},
	Month = jan # "~1",
	Title = "The {"}Art{"} of (Computer) Programming",
	Year = 1984,
	Bdsk-File-1 = {%s}
)

@comment{BibDesk Static Groups{ <?xml version="1.0"?> @article{no, title = {No}} }}
""" % base64.b64encode(plistlib.dumps({"relativePath": "Papers/knuth84.pdf"}, fmt=plistlib.FMT_BINARY)).decode()  # noqa: UP031


def test_a_zotero_export_is_read():
    [entry], problems = parse_bibtex(ZOTERO)
    assert not problems
    assert (entry.key, entry.title, entry.year) == ("vaswani_attention_2017", "Attention Is All You Need", 2017)
    assert entry.authors == ("Ashish Vaswani", "Jan van der Berg", "Jürgen Müller")
    assert (entry.doi, entry.arxiv_id) == ("10.48550/arXiv.1706.03762", "1706.03762")
    assert entry.abstract == "We cut training by 50% & more."
    assert entry.files == ("/home/me/Zotero/storage/ABCD1234/Vaswani.pdf",)


def test_a_jabref_export_is_read():
    [entry], problems = parse_bibtex(JABREF)
    assert not problems
    assert entry.title == "On Gödel's theorem — a survey"
    assert entry.authors == ("John A. Smith Jr", "Marie de la Tour", "The ATLAS Collaboration")
    assert (entry.year, entry.doi) == (2020, "10.1000/a_b(1)")
    assert entry.files == (r"C:\Users\me\Papers\Smith 2020.pdf",)


def test_a_mendeley_export_is_read():
    [entry], problems = parse_bibtex(MENDELEY)
    assert not problems
    assert entry.title == "Deep learning of über-things & others"
    assert entry.authors == ("José García-Pérez", "Seán O'Neill")
    assert entry.files == ("C:/Users/me/Mendeley/Garc_a - 2019.pdf",)


def test_a_bibdesk_export_is_read_with_its_macros_and_packed_files():
    [entry], problems = parse_bibtex(BIBDESK)
    assert not problems
    assert entry.title == 'The "Art" of (Computer) Programming'
    assert entry.authors == ("Donald E. Knuth",)
    assert entry.year == 1984
    assert entry.files == ("Papers/knuth84.pdf",)


def test_macros_are_put_in_and_pieces_joined():
    [entry], _ = parse_bibtex(
        '@string{who = {Ada Lovelace}}\n@misc{a, author = who # " and " # {Alan Turing}, title={T}}'
    )
    assert entry.authors == ("Ada Lovelace", "Alan Turing")


def test_a_broken_entry_costs_itself_and_a_warning(tmp_path, caplog):
    path = tmp_path / "my.bib"
    path.write_text(
        "@article{one, title = {One},}\n@article{two, title = {Two, year = 1999,\n"
        "@article{three, title = {Three}\n@article{four, title {Four}}\n@article{five, title = {Five}}",
        encoding="utf-8",
    )
    with caplog.at_level(logging.WARNING):
        keys = [entry.key for entry in read_bibtex(path)]
    assert keys == ["one", "three", "five"]  # three lacks but its last brace
    assert [record.getMessage() for record in caplog.records] == [
        "my.bib: line 2: @article was left out: { is never closed",
        "my.bib: line 4: @article was left out: unexpected 'title {Four}'",
    ]


def test_old_encodings_are_read(tmp_path):
    text = "@misc{a, title = {Über Größe}}"
    for number, raw in enumerate([text.encode("cp1252"), text.encode("utf-8-sig"), text.encode("utf-16")]):
        path = tmp_path / f"{number}.bib"
        path.write_bytes(raw)
        assert read_bibtex(path)[0].title == "Über Größe"


@given(st.text(alphabet=st.sampled_from('@{}()"\\#=,%\n ab1~$article'), max_size=200))
def test_whatever_stands_before_it_a_whole_entry_on_a_new_line_is_read_or_the_reason_is_told(text):
    entries, problems = parse_bibtex(f"{text}\n@misc{{last, title = {{Whole}}}}\n")
    assert problems or entries[-1].title == "Whole"
    entries, problems = parse_bibtex(f"@article{{{text}")
    assert entries or problems


def test_many_unclosed_entries_take_linear_time():
    entries, problems = parse_bibtex("@article{a, title = {x\n" * 20_000)
    assert not entries
    assert len(problems) == 20_000


@pytest.mark.parametrize(
    ("latex", "text"),
    [
        (r"{\"u} \"{u} {\"{u}} \"u", "ü ü ü ü"),
        (r"{\'\i} \'{\i} \'i {\'{\i}}", "í í í í"),
        (r"{\c c} \c{c} \v{S} \H{o} \k a \r{a} \u{g} \={a} \.{z}", "ç ç Š ő ą å ğ ā ż"),
        (r"{\ss} \o{} {\L}{\'o}d{\'z} \AA ngstr{\"o}m {\ae}", "ß ø Łódź Ångström æ"),
        (r"A\&B 5\,\% \$1 \#2 x\_y {a}~{b}", "A&B 5% $1 #2 x_y a b"),
        (r"``q'' 1--2 a---b \textit{it} \emph{em} $\alpha$-helix", "“q” 1–2 a—b it em α-helix"),
        (r"\textbackslash{} \textasciitilde{}", "\\ ~"),
    ],
)
def test_latex_becomes_what_it_prints(latex, text):
    assert from_latex(latex) == text


def test_names_are_written_for_old_bibtex():
    assert to_latex("Jürgen Łukasz & Co.") == r"J{\"{u}}rgen {\L}ukasz \& Co."
    assert to_latex("50% of {x} -- y_z").count("{") == to_latex("50% of {x} -- y_z").count("}")


printable = st.text(alphabet=st.characters(exclude_categories=("Cc", "Cs", "Co", "Cn", "Cf")), max_size=60)
tricky = st.text(alphabet=st.sampled_from("{}\\$&%#_^~\"'`-–—?!üéÅßøŁı ,and"), max_size=40)
anything = printable | tricky


def flat(text: str) -> str:
    return unicodedata.normalize("NFC", " ".join(text.split()))


@given(anything)
def test_reading_undoes_writing_latex(text):
    assert flat(from_latex(to_latex(text))) == flat(text)


papers = st.builds(
    Paper,
    id=st.text(alphabet="0123456789abcdef", min_size=16, max_size=16),
    title=anything,
    authors=st.lists(anything.filter(lambda name: name.strip()), max_size=4).map(tuple),
    year=st.none() | st.integers(1900, 2099),
    doi=st.none()
    | st.from_regex(r"10\.[0-9]{4,5}/(\([A-Z]\))?[A-Za-z0-9_/<>%-]{0,10}[A-Za-z0-9]", fullmatch=True).map(doi_in_field),
    arxiv_id=st.none() | st.from_regex(r"(?:1[0-9]|2[0-6])(?:0[1-9]|1[0-2])\.[0-9]{5}", fullmatch=True),
    n_pages=st.just(1),
    file_name=st.just("a.pdf"),
)
"""A DOI is kept as it is read, with `%21` as `!`."""


@given(st.lists(papers, max_size=5, unique_by=lambda paper: paper.id))
def test_reading_undoes_writing_a_bibliography(chosen):
    entries, problems = parse_bibtex(write_bibtex(chosen))
    assert not problems
    assert len({entry.key for entry in entries}) == len(entries) == len(chosen)
    for entry, paper in zip(entries, chosen, strict=True):
        assert flat(entry.title) == flat(paper.title)
        assert [flat(name) for name in entry.authors] == [flat(name) for name in paper.authors]
        assert (entry.year, entry.doi, entry.arxiv_id) == (paper.year, paper.doi, paper.arxiv_id)


def paper(id_: str, title: str, *authors: str, year: int | None = 2021, doi: str | None = None) -> Paper:
    return Paper(id=id_, title=title, authors=authors, year=year, doi=doi, n_pages=1, file_name="a.pdf")


def test_a_written_entry_reads_well():
    text = write_bibtex(
        [paper("a" * 16, "The Deep DNA of PyTorch", "Ana Müller", "The ATLAS Collaboration", doi="10.1/x_y")]
    )
    assert text == (
        "@misc{muller2021deep,\n"
        "  title = {The Deep {DNA} of {PyTorch}},\n"
        '  author = {M{\\"{u}}ller, Ana and {The ATLAS Collaboration}},\n'
        "  year = {2021},\n"
        "  doi = {10.1/x_y},\n"
        "}\n"
    )


def test_keys_do_not_depend_on_the_order_of_the_selection():
    one, two, other = (
        paper("1" * 16, "Deep things", "A Smith"),
        paper("2" * 16, "Deep thoughts", "B Smith"),
        paper("3" * 16, "Wide things", "C Smith", year=None),
    )
    keys = [entry.key for entry in parse_bibtex(write_bibtex([one, two, other]))[0]]
    assert keys == ["smith2021deep-111111", "smith2021deep-222222", "smithwide"]
    assert [entry.key for entry in parse_bibtex(write_bibtex([other, two, one]))[0]] == keys[::-1]


CSL = [
    {
        "id": "http://zotero.org/users/1/items/AB",
        "type": "article-journal",
        "title": "The <i>Ocimum</i> genus &amp; its uses",
        "author": [
            {"family": "Beethoven", "given": "Ludwig", "non-dropping-particle": "van"},
            {"literal": "The ATLAS Collaboration"},
            "nonsense",
        ],
        "issued": {"date-parts": [["2018", 6, 1]]},
        "DOI": "10.1000/XYZ.1",
        "abstract": "We <jats:p>show</jats:p> it.",
    },
    {"id": "2", "type": "article", "title": "Second", "issued": {"raw": "May 2019"}, "number": "arXiv:2101.00001"},
    {"type": "article"},
    None,
]


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_csl_export_is_read(tmp_path, wrapped):
    path = tmp_path / "lib.json"
    path.write_text(json.dumps({"items": CSL} if wrapped else CSL), encoding="utf-8")
    first, second = read_csl(path)
    assert first.title == "The Ocimum genus & its uses"
    assert first.authors == ("Ludwig van Beethoven", "The ATLAS Collaboration")
    assert (first.year, first.doi, first.abstract) == (2018, "10.1000/XYZ.1", "We show it.")
    assert (second.year, second.arxiv_id) == (2019, "2101.00001")


def test_half_a_pair_of_surrogates_in_a_csl_export_costs_no_paper(tmp_path, settings):
    path = write_pdf(tmp_path / "a.pdf", column(72, 600, ["The running text of the paper goes on for a while."] * 8))
    item = {"id": "1", "type": "article", "title": "A study \ud83d of things", "author": [{"family": "M\udce9ller"}]}
    path.with_suffix(".json").write_text(json.dumps([item]), encoding="utf-8")
    with open_library(settings) as library:
        report = ingest_pdf(path, library=library, embedder=HashEmbedder())
        assert (report.status, report.error) == ("added", None)
        (paper,) = library.papers()
        assert paper.title == "A study \N{REPLACEMENT CHARACTER} of things"
        assert "".join(paper.authors).encode()
        assert library.describe(paper.id, authors=("Ana \ud83d",)).authors == ("Ana \N{REPLACEMENT CHARACTER}",)
        assert library.papers()[0].authors == ("Ana \N{REPLACEMENT CHARACTER}",)


@pytest.mark.parametrize("text", ["", "{", '{"name": "npm"}', "[1, 2]", "3", "[" * 100_000])
def test_other_json_files_hold_no_entries(tmp_path, text):
    path = tmp_path / "package.json"
    path.write_text(text, encoding="utf-8")
    assert read_csl(path) == []


def test_half_an_emoji_in_a_csl_export_is_no_text(tmp_path):
    path = tmp_path / "lib.json"
    path.write_text(r'[{"id": "a\ud83d", "title": "A study \ud83d of things", "author": [{"family": "M\ud83d"}]}]')
    (entry,) = read_csl(path)
    assert entry.title == "A study \ufffd of things"
    assert [name.encode() for name in (*entry.authors, entry.key)]


def test_the_bibliography_with_the_papers_name_comes_before_its_neighbours(tmp_path):
    pdf = tmp_path / "smith.pdf"
    (tmp_path / "all.bib").write_text("@misc{a, title = {A}}", encoding="utf-8")
    (tmp_path / "more.json").write_text(json.dumps(CSL), encoding="utf-8")
    assert [entry.title for entry in sidecar_entries(pdf)] == ["A", "The Ocimum genus & its uses", "Second"]
    (tmp_path / "smith.bib").write_text("@misc{b, title = {B}}", encoding="utf-8")
    [own] = sidecar_entries(pdf)
    assert own.title == "B"
    assert find_entry(pdf, [own], title="something else", doi=None) == own


def test_an_entry_is_found_by_file_then_doi_then_title():
    by_file = Entry(key="f", files=(r"D:\Zotero\storage\AB12\Smith 2020.pdf",))
    by_doi, by_title = Entry(key="d", doi="10.1000/ABC"), Entry(key="t", title="The  Title: of {this} paper")
    entries = [by_title, by_doi, by_file]
    known = {"title": "the title of this Paper", "doi": "10.1000/abc"}
    assert find_entry(Path("x/smith 2020.pdf"), entries, **known) == by_file
    assert find_entry(Path("x/other.pdf"), entries, **known) == by_doi
    assert find_entry(Path("x/other.pdf"), entries, title=known["title"], doi=None) == by_title
    assert find_entry(Path("x/other.pdf"), entries, title="Another", doi="10.1000/zzz") is None


def test_of_two_files_with_one_name_the_nearer_path_is_meant():
    one, two = Entry(key="1", files=("storage/AA/paper.pdf",)), Entry(key="2", files=("storage/BB/paper.pdf",))
    assert find_entry(Path("/other/storage/BB/paper.pdf"), [one, two], title="", doi=None) == two
    assert find_entry(Path("/elsewhere/paper.pdf"), [one, two], title="", doi=None) is None


def test_a_title_with_and_without_its_subtitle_is_the_same_paper():
    entry = Entry(key="a", title="Population structure and genetic diversity among Ocimum")
    whole = "Population structure and genetic diversity among Ocimum: a survey"
    assert find_entry(Path("x.pdf"), [entry], title=whole, doi=None) == entry
    assert (
        find_entry(Path("x.pdf"), [Entry(key="a", title="Deep learning")], title="Deep learning: a", doi=None) is None
    )


def test_what_a_person_wrote_wins_and_what_they_left_out_stays():
    guessed = Description("Guess", ("A B",), 2001, "10.1/guess", None, "An abstract.")
    told = apply(Entry(key="a", title="Told", year=2002, arxiv_id="2101.00001"), guessed)
    assert told == Description("Told", ("A B",), 2002, "10.1/guess", "2101.00001", "An abstract.")
