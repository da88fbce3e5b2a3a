"""The header of a GGUF file is read, and a file that lies in it is refused."""

from __future__ import annotations

import struct

import pytest

from gguf_files import QWEN, gguf, text
from rag.errors import ModelFileError
from rag.models.gguf import GgufHeader, read_header
from rag.models.local import embedded_drafter


@pytest.fixture
def header(tmp_path):
    def read(content):
        path = tmp_path / "a.gguf"
        path.write_bytes(content)
        return read_header(path)

    return read


def test_a_real_file_is_read():
    found = read_header(embedded_drafter())
    assert (found.architecture, found.context_window, found.vocabulary) == ("llama", 8192, 49152)
    assert (found.layers, found.kv_heads, found.head_size) == (30, 3, 64)


def test_head_size_follows_from_the_width_where_the_file_does_not_say(header):
    assert header(gguf(QWEN)) == GgufHeader(
        name="A Small Qwen",
        architecture="qwen2",
        context_window=32768,
        layers=28,
        kv_heads=4,
        head_size=128,
        vocabulary=3,
    )
    assert header(gguf(QWEN | {"qwen2.attention.key_length": 64})).head_size == 64


def test_without_own_key_value_heads_every_head_is_one(header):
    values = {key: value for key, value in QWEN.items() if not key.endswith("head_count_kv")}
    assert header(gguf(values)).kv_heads == 28


def test_what_differs_from_layer_to_layer_is_unknown(header):
    found = header(gguf(QWEN | {"qwen2.attention.head_count_kv": [1, 2, 4]}))
    assert (found.kv_heads, found.layers) == (None, 28)


def test_what_a_file_does_not_say_is_unknown(header):
    assert set(header(gguf({})).__getstate__()) == {None}


@pytest.mark.parametrize(
    "content",
    [
        b"GGUF",
        gguf(QWEN)[:-40],
        gguf(QWEN, version=1),
        gguf(QWEN, version=99),
        b"GGUF" + struct.pack("<IQQ", 3, 0, 2**63),
        b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", 2**62),
        b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("key") + struct.pack("<I", 99),
        b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("key") + struct.pack("<IIQ", 9, 8, 2**60),
        b"GGUF" + struct.pack("<IQQ", 3, 0, 2) + text("key") + struct.pack("<IIQQQ", 9, 8, 2, 2**63, 9),
        b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("key") + struct.pack("<IIQ", 9, 9, 4),
    ],
)
def test_a_damaged_header_is_said_to_be_damaged(header, content):
    with pytest.raises(ModelFileError, match="damaged"):
        header(content)


def test_other_files_and_no_file_are_told_apart(header, tmp_path):
    with pytest.raises(ModelFileError, match="not a GGUF"):
        header(b"PK\x03\x04" + bytes(100))
    for path in (tmp_path / "none.gguf", tmp_path):
        with pytest.raises(ModelFileError, match="cannot be read"):
            read_header(path)
