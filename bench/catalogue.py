"""60 questions about 20 real papers, answered from the library's records: exactly right, wrong, or invented.

The answers were written by hand from the publishers' data (truth.jsonl: titles, authors, numbers of references; the
full text for words) and, for years, from the printed page. A reply is right where it has every expected string and is
about exactly the expected papers; "invented" is a reply that states something else than what was expected.

Run: python bench/catalogue.py [--library DIR] [--wrong]    (no model is asked; DIR keeps the library for the next run)
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ingest import IngestSettings, embedder_from, ingest_pdf, open_library
from rag.answer import Scope
from rag.catalogue.catalogue import Catalogue
from rag.retrieval.naming import titles_in

DATA = Path(os.environ.get("SCHOLION_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
FILES = {
    "kaur": "PMC2832770", "rastogi": "PMC4445982", "lam": "PMC4889806", "gupta": "PMC4930629", "cohen": "PMC5376420",
    "mandhwani": "PMC5771181", "kusindarta": "PMC5891864", "hening": "PMC6200556", "kumar": "PMC6093152",
    "brima": "PMC5884149", "bilal": "PMC5758638", "burg": "10.21105.jose.00307", "nemogb": "10.21105.jose.00303",
    "manim": "10.21105.jose.00206", "argo": "10.21105.jose.00193", "spatial": "10.21105.jose.00173",
    "practices": "10.21105.jose.00279", "villano": "10.21105.jose.00184", "govan": "10.21105.jose.00302",
    "pytorch": "10.21105.jose.00239",
}  # fmt: skip
ASK = "Which"  # the reply asks which paper is meant
UNKNOWN = "The library has no"
WITHOUT_PYTHON = "kaur rastogi lam gupta cohen mandhwani kusindarta hening kumar brima bilal nemogb spatial govan"
# (question, strings in the reply or None where it is no question for the catalogue, papers of the reply or None: any);
# a question that begins with "> " goes on with the chat of the one before
QUESTIONS: tuple[tuple[str, tuple[str, ...] | None, str | None], ...] = (
    ("Who wrote Manim Slides?", ("Jérome Eertmans",), "manim"),
    ("> And when was it published?", ("2023",), "manim"),
    ("> Where?", (UNKNOWN, "10.21105/jose.00206"), "manim"),
    ("Who wrote the paper by van der Burg et al., and when?", ("Sven A. van der Burg", "Wittke", "2026"), "burg"),
    ("When was Gonzalez-Santana published?", ("2024",), "argo"),
    ("Who is the last author of Kaur et al. 2010?", ("Nirmal Singh",), "kaur"),
    ("Give me the BibTeX of Govan (2026)", ("@article", "Govan, Paul B.", "10.21105/jose.00302"), "govan"),
    ("Which papers are by Wihadmadyatami?", (), "kusindarta hening"),
    ("> Who wrote the second one?", ("Puspa Hening", "Nastiti Wijayanti"), "hening"),
    ("Which papers are by Shasany?", (), "rastogi kumar"),
    ("What has Marc Cohen written?", (), "cohen"),
    ("Which papers are by Einstein?", ("No paper", "Einstein"), ""),
    ("How many papers do I have?", ("20 papers",), ""),
    ("Which papers are from 2010?", (), "kaur"),
    ("List my papers published in 2023", (), "manim villano"),
    ("How many references does the orientin review cite?", ("78",), "lam"),
    ("How many references does Rastogi 2015 have?", ("81",), "rastogi"),
    ("> And how many pages?", ("15",), "rastogi"),
    ("Which of my papers cite Cohen 2014?", (), "cohen kusindarta"),
    ("Which of my papers cite Pattanayak?", (), "rastogi lam cohen"),
    ("Which papers cite Paszke?", (), "pytorch"),
    ("Which of my papers cite Einstein 1905?", ("None of your 20 papers",), ""),
    ("Which of my papers mention eugenol?", (), "rastogi cohen mandhwani kumar hening"),
    ("Which papers mention Jupyter?", (), "villano argo pytorch"),
    ("Which papers mention PyTorch?", (), "pytorch"),
    ("Which of my papers mention glutathione, and on which pages?", (), "rastogi lam"),
    ("> On which page is that?", (), "rastogi lam"),
    ("Which papers mention streptozotocin?", ("None of your 20 papers",), ""),
    ("In which papers is neem mentioned?", (), "rastogi cohen mandhwani"),
    ("Which papers contain the phrase “machine learning”?", (), "pytorch burg"),
    ("Which papers do not mention Python?", (), WITHOUT_PYTHON),
    ("How many papers mention GitHub?", ("6 of your 20",), "spatial argo manim pytorch practices burg"),
    ("Wer hat NemoGB geschrieben?", ("Nikita Jayaprakash", "Andrew Bray"), "nemogb"),
    ("> Und wann wurde es veröffentlicht?", ("2025",), "nemogb"),
    ("Welche Paper erwähnen Eugenol?", (), "rastogi cohen mandhwani kumar hening"),
    ("Wie viele Quellen zitiert Brima 2018?", ("29",), "brima"),
    ("Wie viele Paper habe ich?", ("20 papers",), ""),
    ("Кой е написал NemoGB?", ("Nikita Jayaprakash",), "nemogb"),
    ("Кога е публикувана статията на Rastogi?", ("2015",), "rastogi"),
    ("Кои статии споменават glutathione?", (), "rastogi lam"),
    ("Колко статии имам?", ("20 papers",), ""),
    ("Who wrote “Insights into bovine endometritis”?", ("Ritika Mandhwani", "Ranjit Aich"), "mandhwani"),
    ("When was Prudencio-Vazquez published?", ("2024",), "spatial"),
    ("What is the DOI of PMC5884149.pdf?", ("10.1155/",), "brima"),
    ("Who wrote the dark matter paper?", ("Kitty C. Harris",), "villano"),
    ("Who wrote the paper about citrus seed oils?", ("Hazrat Bilal",), "bilal"),
    ("Who wrote Zielinski et al. 2025?", ("Tomasz Zieliński", "Edward W. J. Wallace"), "practices"),
    ("What is the title of Jamshidi and Cohen 2017?", ("Tulsi in Humans",), "cohen"),
    ("When was Gupta Wadhwa et al. published?", ("2016",), "gupta"),
    ("Who wrote the Ocimum paper?", (ASK,), "kaur kusindarta hening kumar"),
    ("> The third one", ("Puspa Hening",), "hening"),
    ("Who wrote Smith 2018?", ("No paper", "Smith 2018"), ""),
    ("Compare Kaur 2010 and Khan 2011", ("No paper", "Khan 2011"), ""),
    ("Who wrote the annotation guidelines in the study?", None, None),
    ("How many papers did the authors review?", None, None),
    ("When were the samples collected?", None, None),
    ("Which studies did the review include?", None, None),
    ("How many references to eugenol are there in the text of the trials?", None, None),
    ("What do the authors say about gabapentin?", None, None),
    ("Where was the study conducted?", None, None),
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", type=Path, default=None)
    parser.add_argument("--wrong", action="store_true", help="show the replies that are not right")
    options = parser.parse_args()
    folder = options.library or Path(tempfile.mkdtemp())
    with open_library(IngestSettings(library=folder)) as library:
        there = {paper.file_name for paper in library.papers()}
        embedder = embedder_from(None)
        for name in FILES.values():
            if f"{name}.pdf" not in there:
                ingest_pdf(DATA / "papers" / f"{name}.pdf", library=library, embedder=embedder)
        by_file = {paper.file_name.removesuffix(".pdf"): paper for paper in library.papers()}
        papers = tuple(by_file[name] for name in FILES.values())
        keys = {by_file[name].id: key for key, name in FILES.items()}
        catalogue, scope = Catalogue(library), Scope(papers, whole=True)
        history: list[tuple[str, str]] = []
        right = invented = 0
        began = time.perf_counter()
        for asked, expected, about in QUESTIONS:
            history = history if asked.startswith("> ") else []
            question = asked.removeprefix("> ")
            reply = catalogue.answer(question, scope=scope, history=history)
            text = reply.text if reply else None
            named = {keys[paper.id] for paper in titles_in(text or "", papers)}
            if expected is None or text is None:
                good = expected is None and text is None
            else:
                good = all(part in text for part in expected) and (about is None or named == set(about.split()))
            right += good
            states = text is not None and not text.startswith(("No paper", "None of", UNKNOWN)) and ASK not in text
            invented += not good and states
            if not good and options.wrong:
                print(f"{question}\n  expected {expected} {about}\n  got {text and text[:600]}\n")
            history = [*history, (question, text or "")]
        seconds = (time.perf_counter() - began) / len(QUESTIONS)
    print(f"{right} of {len(QUESTIONS)} exactly right, {invented} invented, {1000 * seconds:.0f} ms a question")


if __name__ == "__main__":
    main()
