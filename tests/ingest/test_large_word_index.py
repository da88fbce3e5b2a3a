"""The search for words in a large library: few papers as FTS5 finds them, frequencies from samples, bounded queries."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing

import pytest

from fake_embedder import HashEmbedder
from ingest import IngestSettings, open_library, word_index
from ingest.paper import Chunk, Page, Paper, ParsedPaper
from ingest.scope_words import varints

PAPERS, CHUNKS = 24, 12
VOCABULARY = [f"{a}{b}ing" for a in "bcdfghjklmnprstvwz" for b in ("ark", "ell", "int", "on", "ump")]


def text(dice: random.Random) -> str:
    """Words of very different frequency, in texts of very different length."""
    return " ".join(VOCABULARY[min(int(dice.paretovariate(0.7)) - 1, 89)] for _ in range(dice.randint(3, 60)))


def add(library, paper_id: str, texts: list[str], sections: list[str | None]) -> None:
    embedder, pdf = HashEmbedder(), library.folder.parent / "blank.pdf"
    pdf.write_bytes(b"%PDF-1.4\n")
    chunks = [
        Chunk(
            id=f"{paper_id}:{n:04d}", paper_id=paper_id, ordinal=n, text=said, start=0, end=len(said),
            first_page=1, last_page=1, section=section, n_tokens=9,
        )
        for n, (said, section) in enumerate(zip(texts, sections, strict=True))
    ]  # fmt: skip
    paper = Paper(id=paper_id, title=f"Paper {paper_id}", n_pages=1, file_name="a.pdf")
    parsed = ParsedPaper(paper, (Page(1, "\n".join(texts)),))
    library.add(parsed, chunks, embedder.embed_documents(texts), embedder=embedder.name, pdf=pdf)


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    dice = random.Random(1)
    with open_library(IngestSettings(library=tmp_path_factory.mktemp("large") / "library")) as library:
        for number in range(PAPERS):
            texts = [text(dice) for _ in range(CHUNKS)]
            texts[3] = texts[2]  # a tie
            add(library, f"{number:016x}", texts, [text(dice)[:40] if n % 3 == 0 else None for n in range(CHUNKS)])
        yield library


def queries(n: int) -> list[str]:
    dice = random.Random(2)
    terms = [
        [VOCABULARY[min(int(dice.paretovariate(0.5)) - 1, 89)] for _ in range(dice.randint(1, 7))] for _ in range(n)
    ]
    phrases = [" ".join(words[:2]) for words in terms]
    return [
        " OR ".join(f'"{word}"' for word in dict.fromkeys([*words, *([phrase] if at % 3 == 0 else []), "unheardof"]))
        for at, (words, phrase) in enumerate(zip(terms, phrases, strict=True))
    ]


def test_in_few_papers_the_same_is_found_with_the_same_scores_as_by_fts5(library, monkeypatch) -> None:
    dice, ids = random.Random(3), [paper.id for paper in library.papers()]
    scopes = [dice.sample(ids, dice.choice((1, 1, 2, 5, 10))) for _ in range(300)]
    asked = list(zip(queries(300), scopes, strict=True))
    by_fts5 = [library.search_words(match, 25, paper_ids=scope) for match, scope in asked]
    monkeypatch.setattr("ingest.word_index.MANY", 0)
    monkeypatch.setattr("ingest.scope_words.ROOM", 150)
    found = [library.search_words(match, 25, paper_ids=scope) for match, scope in asked]
    for one, other in zip(found, by_fts5, strict=True):
        assert [score for _, score in one] == pytest.approx([score for _, score in other], rel=1e-9)
    same = sum([name for name, _ in a] == [name for name, _ in b] for a, b in zip(found, by_fts5, strict=True))
    assert same == len(asked)
    assert sum(len(hits) == 25 for hits in by_fts5) > 50, "some are cut"
    assert any(len({round(score, 9) for _, score in hits}) < len(hits) for hits in by_fts5), "some are equally good"


def test_what_is_kept_of_few_papers_follows_the_library(library, monkeypatch) -> None:
    monkeypatch.setattr("ingest.word_index.MANY", 0)
    one, other = "f" * 16, library.papers()[0].id
    add(library, one, ["a quince tree"], [None])
    assert [name for name, _ in library.search_words('"quince" OR "pears"', 5, paper_ids=[one, other])] == [
        f"{one}:0000"
    ]
    add(library, one, ["an apple tree", "two pears"], [None, None])
    assert [name for name, _ in library.search_words('"quince" OR "pears"', 5, paper_ids=[one, other])] == [
        f"{one}:0001"
    ]
    library.close()  # SQLite counts changes anew for each connection
    assert library.search_words('"pears"', 5, paper_ids=[one, other])
    library.close()
    with closing(sqlite3.connect(library.folder / "library.db")) as db, db:
        db.execute("UPDATE chunks SET text = 'two quinces' WHERE id = ?", (f"{one}:0001",))
    assert [name for name, _ in library.search_words('"quince"', 5, paper_ids=[one, other])] == [f"{one}:0001"]
    assert not library.search_words('"pears"', 5, paper_ids=[one, other])
    library.remove(one)
    assert library.search_words('"quince" OR "pears"', 5, paper_ids=[one, other]) == []


def test_frequent_words_are_counted_in_samples(library, monkeypatch) -> None:
    words = [f'"{word}"' for word in VOCABULARY]
    library._words.forget()
    exact = {word: library._words.n_with(word) for word in ["", *words]}
    assert max(exact[word] for word in words) > 150
    for name, value in {"MANY": 0, "FEW": 30, "WINDOWS": 6, "WINDOW": 24}.items():  # half of the chunks
        monkeypatch.setattr(f"ingest.word_index.{name}", value)
    library._words.forget()
    counted = {word: library._words.n_with(word) for word in exact}
    library._words.forget()
    assert counted[""] == exact[""] == PAPERS * CHUNKS
    rare = [word for word in words if exact[word] < 30]
    assert rare
    assert all(counted[word] == exact[word] for word in rare)
    assert all(counted[word] == pytest.approx(exact[word], rel=0.35) for word in words)
    assert any(counted[word] != exact[word] for word in words), "these are samples"


def test_a_query_counts_a_bounded_number_of_matches(library, monkeypatch) -> None:
    counts = {f'"{word}"': library._words.n_with(f'"{word}"') for word in VOCABULARY[:40]}
    match = " OR ".join(counts)
    assert sum(counts.values()) > 400
    for name, value in {"ENOUGH": 60, "COUNTED": 150, "COMMON": 1}.items():
        monkeypatch.setattr(f"ingest.word_index.{name}", value)
    needed, scored = library._words._pruned(match).split(" AND ")
    kept = [word for word in counts if word in scored]
    assert sum(counts[word] for word in counts if word in needed) <= 60
    assert 100 < sum(counts[word] for word in kept) <= 150
    assert max(counts[word] for word in kept) <= min(n for word, n in counts.items() if word not in kept)
    assert library.search_words(match, 25)[0][1] <= library.highest_score(match)


def test_of_common_words_alone_several_must_be_there(library, monkeypatch) -> None:
    words = [f'"{word}"' for word in VOCABULARY[:4]]
    assert min(library._words.n_with(word) for word in words) > 20
    for name, value in {"FEW": 20, "ENOUGH": 40, "LEAST": 5}.items():
        monkeypatch.setattr(f"ingest.word_index.{name}", value)
    found = library.search_words(" OR ".join([*words, '"unheardof"']), 100)
    assert 5 <= len(found) < min(library._words.n_with(word) for word in words)
    rarest = sorted(words, key=library._words.n_with)[:2]
    assert {name for name, _ in found} <= {name for name, _ in library.search_words(" AND ".join(rarest), 288)}
    assert found[0][1] <= library.highest_score(" OR ".join(words))
    monkeypatch.setattr("ingest.word_index.LEAST", 1000)
    assert len(library.search_words(" OR ".join(words), 288)) == library._words.n_with(rarest[0])


def test_numbers_as_sqlite_writes_them() -> None:
    assert varints(b"\x00\x7f\x81\x00\x82\x80\x01") == [0, 127, 128, 32769]


def test_words_that_are_everywhere_in_a_very_large_library_are_told(library, monkeypatch) -> None:
    common, other, rare = (f'"{VOCABULARY[n]}"' for n in (2, 4, 60))
    few = [library.papers()[0].id]
    together = library._words.n_with(f"{common} AND {other}")
    for name, value in {"MANY": 10, "RANKED": together + 1, "ENOUGH": 100, "ENOUGH_OF_MANY": 20, "LEAST": 5}.items():
        monkeypatch.setattr(word_index, name, value)
    assert library._words.n_with(common) > together > 5
    assert library._words.n_with(other) > together > 40 > library._words.n_with(rare) > 0
    every = [paper.id for paper in library.papers()]
    for scope in (None, every):
        assert library.is_everywhere(common, paper_ids=scope)
        assert not library.is_everywhere(f"{common} OR {rare}", paper_ids=scope), "one of the words says something"
        assert not library.is_everywhere(f"{common} OR {other}", paper_ids=scope), "together, they do"
    assert not library.is_everywhere(common, paper_ids=few), "in few papers, every word says something"
    assert not library.is_everywhere('"unheardof"')
    assert len(library.search_words(common, 1000)) == library._words.n_with(common), "who asks all the same finds all"
