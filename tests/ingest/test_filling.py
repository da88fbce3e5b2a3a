"""An index that is filled from the tables: in parts, and written to disk now and then."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from big_library import fill
from fake_embedder import HashEmbedder
from ingest import IngestSettings, open_library
from ingest.chroma import HNSW_HEADER
from ingest.repair import rebuild
from ingest.vectors import ChromaIndex


def on_disk(folder) -> int:
    (header,) = folder.glob("*/header.bin")
    return HNSW_HEADER.unpack(header.read_bytes()[: HNSW_HEADER.size])[3]


def test_a_new_index_is_written_seldom_until_it_is_filled(tmp_path) -> None:
    rows = np.random.default_rng(1).normal(size=(7000, 8)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    names = [f"{n:016x}:0000" for n in range(len(rows))]
    index = ChromaIndex(tmp_path, collection="chunks-here", room_for=30_000)
    try:
        for start, written in ((0, 0), (1000, 0), (2000, 3000), (3000, 3000)):
            index.add(names[start : start + 1000], rows[start : start + 1000])
            assert on_disk(tmp_path) == written
        assert index.search(rows[3500], 1)[0][0] == names[3500]
        index.filled()
    finally:
        index.close()
    index = ChromaIndex(tmp_path, collection="chunks-here", room_for=30_000)
    try:
        assert index.count() == 4000
        index.add(names[4000:5000], rows[4000:5000])
        assert on_disk(tmp_path) == 5000
        assert index.search(rows[3500], 1)[0][0] == names[3500]
    finally:
        index.close()


@pytest.mark.parametrize("at_once", [7, 10])
def test_a_lost_index_and_one_for_another_embedder_are_filled_in_parts(tmp_path, monkeypatch, at_once) -> None:
    monkeypatch.setattr("ingest.library.AT_ONCE", at_once)
    monkeypatch.setattr("ingest.repair.AT_ONCE", at_once)
    added = []
    add = ChromaIndex.add
    monkeypatch.setattr(ChromaIndex, "add", lambda self, ids, rows: (added.append(len(ids)), add(self, ids, rows)))
    settings = IngestSettings(library=tmp_path / "library")
    with open_library(settings) as library:
        ids = fill(library, HashEmbedder(), papers=2)
    shutil.rmtree(library.folder / "chroma")
    added.clear()
    parts = [at_once] * (20 // at_once) + [20 % at_once] * bool(20 % at_once)
    with open_library(settings) as library:
        assert library.vectors.ids() == {f"{name}:{n:04}" for name in ids for n in range(10)}
        assert added == parts
        added.clear()
        rebuild(library, HashEmbedder(dimension=64))
        assert added == parts
        assert len(library.vectors.ids()) == 20
