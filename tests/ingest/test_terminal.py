"""Whatever the terminal's encoding, and whatever bytes names and arguments have, every command says what it has to."""

from __future__ import annotations

import io
import json
import os
import sys

import pytest

from fake_embedder import HashEmbedder
from ingest import Library, ingest_pdf, open_library
from ingest.__main__ import main as ingest
from ingest.errors import StorageError
from ingest.settings import IngestSettings
from ingest.terminal import all_well_formed, printable, well_formed
from pdfs import Text, column, write_pdf

NAME = os.fsdecode(b"caf\xe9.pdf")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("plain é “q” 😀", "plain é “q” 😀"),
        ("half \ud83d an emoji", "half \N{REPLACEMENT CHARACTER} an emoji"),
        ("\ud83d\ude00", "😀"),
        ("\ude00\ud83d", "\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}"),
        (os.fsdecode(b"caf\xe9"), "café"),
        (os.fsdecode(b"na\xefve \xe9t\xe9"), "naïve été"),
    ],
)
def test_text_is_made_well_formed(text, told):
    assert well_formed(text) == told
    assert all_well_formed({"a": [text, 1, None]}) == {"a": [told, 1, None]}
    assert printable(f"\x1b[2J{text}").encode()


@pytest.fixture
def filled(settings, tmp_path, monkeypatch):
    rows = ["This is the running text of the paper, which goes on for a while."] * 8
    path = write_pdf(
        tmp_path / "a.pdf", [Text(72, 720, "Über naïve Größen – “quoted” titles", 18), *column(72, 600, rows)]
    )
    with open_library(settings) as library:
        paper_id = ingest_pdf(path, library=library, embedder=HashEmbedder(), file_name=NAME).paper_id
        library.describe(paper_id, title="Über naïve Größen – “quoted” 𝒙 → 😀", authors=("Ana Müller",))
        library.tag([paper_id], "thèse")
    monkeypatch.setenv("SCHOLION_LIBRARY", str(settings.library))
    monkeypatch.setattr("ingest.__main__.embedder_from", lambda _: HashEmbedder())
    return paper_id


def said(monkeypatch, encoding, *arguments):
    """What a command writes to a standard output of this encoding, as text."""
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict", newline="\n")
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", out)
        assert ingest(list(arguments)) == 0
        out.flush()
    return out.buffer.getvalue().decode(encoding)


@pytest.mark.parametrize("encoding", ["ascii", "cp1251", "iso8859-2", "cp437", "cp1252", "latin-1", "utf-8"])
@pytest.mark.parametrize("command", ["list", "show", "tags", "ledger", "bibtex"])
def test_every_encoding_takes_what_is_said(filled, monkeypatch, encoding, command):
    more = [filled] if command == "show" else []
    plain = said(monkeypatch, encoding, command, *more)
    assert plain
    told = json.loads(said(monkeypatch, encoding, command, "--json", *more))
    if command == "list":
        assert told[0]["title"] == "Über naïve Größen – “quoted” 𝒙 → 😀", "JSON loses nothing"
        known = {"ascii": "Uber naive Grossen -", "cp1251": "Uber naive Grossen –", "iso8859-2": "Über naive Größen -"}
        assert known.get(encoding, "Über naïve Größen") in plain


def test_nothing_that_a_terminal_obeys_is_printed(filled, tmp_path, monkeypatch, capsys):
    from ingest.pipeline import IngestReport

    report = IngestReport(
        file="a.pdf", status="added", paper_id=filled, title="T", pages=1, chunks=1, seconds=0.1,
        notes=["A note\x1b[2J."], like="“Title\x1b[2J” (a\u202e.pdf)",
    )  # fmt: skip
    monkeypatch.setattr("ingest.__main__.Ingest.run", lambda *_: (one for one in [report]))
    assert ingest(["add", str(tmp_path / "a.pdf")]) == 0
    assert ingest(["tag", "a\x1b[2Jtag", filled]) == 0
    assert ingest(["tag", "tag", "no\x1b[2Jid"]) == 1
    monkeypatch.setattr("ingest.library.Library.report", lambda *_: {"ocr_error": "x\x1b[2J"})
    assert ingest(["show", filled]) == 0
    said = "".join(capsys.readouterr())
    assert all(word in said for word in ("A note", "“Title", "tag", "id", "ocr_error x"))
    assert not {"\x1b", "\u202e"} & set(said)


def test_names_and_arguments_of_other_bytes_are_taken(filled, settings, tmp_path, monkeypatch, capsysbinary):
    place = os.fsencode(tmp_path) + b"/caf\xe9.pdf"
    with open(place, "wb") as file:  # noqa: PTH123 a name of bytes
        file.write((tmp_path / "a.pdf").read_bytes() + b"\n% another\n")
    assert ingest(["add", os.fsdecode(place)]) == 0
    assert ingest(["add", "--json", os.fsdecode(place)]) == 0
    assert ingest(["add", os.fsdecode(os.fsencode(tmp_path) + b"/nicht\xe9.pdf")]) == 1
    assert ingest(["tag", os.fsdecode(b"th\xe8se"), filled]) == 0
    assert ingest(["list", "--tag", os.fsdecode(b"th\xe8se")]) == 0
    assert ingest(["set", filled, "--title", os.fsdecode(b"caf\xe9"), "--authors", os.fsdecode(b"M\xfcller, Ana")]) == 0
    for command in (["show", os.fsdecode(b"\xff")], ["remove", os.fsdecode(b"\xff")], ["bibtex", os.fsdecode(b"\xff")]):
        assert ingest(command) == 1
    assert b"Traceback" not in capsysbinary.readouterr().err
    with open_library(settings) as library:
        paper = library.paper(filled)
        assert (paper.title, paper.short_cite) == ("café", "Müller")
        assert library.tags() == {"thèse": [filled]}


def test_a_library_whose_name_is_not_utf_8_is_a_sentence(tmp_path):
    if sys.platform == "darwin":
        pytest.skip("this system takes no such names")
    folder = tmp_path / os.fsdecode(b"lib\xe9")
    with pytest.raises(StorageError, match=r"is not UTF-8: .*libé"):
        Library(IngestSettings(library=folder))
    assert not folder.exists()
