"""Reading and embedding for the library gives way to questions."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from ingest.embed import SentenceTransformerEmbedder, embedded_model
from ingest.priority import NICE, work_behind_questions
from ingest.sandbox import Parser

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only on Linux a thread has a priority of its own")


def nice() -> int:
    return os.getpriority(os.PRIO_PROCESS, 0)


def test_only_the_thread_that_asks_for_it_gives_way() -> None:
    before = nice()
    with ThreadPoolExecutor(1, initializer=work_behind_questions) as pool:
        assert pool.submit(nice).result() == max(before, NICE)
        work_behind_questions_twice = pool.submit(lambda: (work_behind_questions(), nice())[1])
        assert work_behind_questions_twice.result() == max(before, NICE)
    assert nice() == before


def test_documents_are_embedded_behind_questions() -> None:
    embedder = SentenceTransformerEmbedder(embedded_model())
    assert embedder._workers.submit(nice).result() >= NICE
    assert embedder.embed_documents(["Soil, seeds and water."]).shape[0] == 1


def test_the_parser_reads_behind_questions(tmp_path) -> None:
    with Parser() as parser:
        parser.warm_up()
        assert os.getpriority(os.PRIO_PROCESS, parser.pid) >= NICE
