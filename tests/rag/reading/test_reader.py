"""The seam of the reader, its contract for the real one and for the fake, and what the network's numbers mean."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from fake_reader import WordReader
from ingest import UserFacingError
from ingest.embed import embedded_model
from ingest.sentences import sentence_spans
from rag.reading.reader import LONGEST_PAIR, WEIGHTS, Encoder, MiniLMReader, trained_reader
from rag.reading.readings import KINDS, LONGEST, Pieces, kind_of, spans_of

QUESTION = "How many examples were used for training?"
ANSWERS = "Earlier work had rules. We trained the tagger on 512 examples from the news. It took two hours."
PASSAGES = [
    "The weather in Lisbon was mild.",
    ANSWERS,
    "Attention lets a network weigh its inputs. " * 3,
    "Für α-Pinen (0.5 µg/mL) 没有 results…  \n\nwere found.\n",
]


@pytest.fixture(scope="session")
def untrained(tmp_path_factory):
    """A file of weights that nobody trained: the body is moved a little, the heads are drawn."""
    import torch

    from rag.reading.network import ReaderNetwork, packed

    torch.manual_seed(7)
    network = ReaderNetwork(embedded_model())
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if name.startswith("body.encoder"):
                weight.add_(0.01 * torch.randn_like(weight))
    path = tmp_path_factory.mktemp("weights") / "untrained.npz"
    np.savez(path, **packed(network, embedded_model()))
    return path, network.eval()


@pytest.fixture(params=["fake", "untrained", "trained"])
def reader(request, untrained):
    if request.param == "fake":
        return WordReader()
    if request.param == "untrained":
        return MiniLMReader(untrained[0])
    return trained_reader() or pytest.skip("the reader's weights are not installed")


def test_there_is_one_reading_for_each_passage_and_its_places_are_in_that_passage(reader) -> None:
    readings = reader.read(QUESTION, PASSAGES)
    assert len(readings) == len(PASSAGES)
    for text, reading in zip(PASSAGES, readings, strict=True):
        assert np.isfinite(reading.relevance)
        assert 0 <= reading.none <= 1
        assert reading.kind in KINDS
        assert 0 < reading.kind_probability <= 1
        assert [(s.start, s.end) for s in reading.sentences] == sentence_spans(text)
        assert all(0 <= s.probability <= 1 for s in reading.sentences)
        assert [s.score for s in reading.spans] == sorted((s.score for s in reading.spans), reverse=True)
        places = sorted((s.start, s.end) for s in reading.spans)
        assert all(0 <= start < end <= len(text) and text[start:end].strip() for start, end in places)
        assert all(before[1] <= after[0] for before, after in pairwise(places))


def test_a_reading_does_not_depend_on_what_else_is_read(reader) -> None:
    together = reader.read(QUESTION, [*PASSAGES, *reversed(PASSAGES)])
    for i, text in enumerate(PASSAGES):
        alone = reader.read(QUESTION, [text])[0]
        for reading in (together[i], together[-1 - i]):
            assert reading.relevance == pytest.approx(alone.relevance, abs=0.1)
            assert reading.none == pytest.approx(alone.none, abs=0.05)


@pytest.mark.parametrize("passages", [[], [""], ["   \n"], ["word " * 3000], ["x" * 5000]])
def test_nothing_and_too_much_can_be_read(reader, passages) -> None:
    readings = reader.read(QUESTION, passages)
    assert len(readings) == len(passages)
    assert all(0 <= s.start < s.end <= len(text) for text, r in zip(passages, readings, strict=True) for s in r.spans)
    assert len(reader.read("why " * 500, ["Because."])) == 1


def test_a_passage_that_answers_is_read_as_nearer_than_one_about_something_else(reader, untrained) -> None:
    if isinstance(reader, MiniLMReader) and reader.name == MiniLMReader(untrained[0]).name:
        pytest.skip("nobody trained it")
    readings = reader.read(QUESTION, PASSAGES)
    assert max(range(len(PASSAGES)), key=lambda i: readings[i].relevance) == 1
    assert min(range(len(PASSAGES)), key=lambda i: readings[i].none) == 1
    assert max(readings[1].sentences, key=lambda s: s.probability).start == ANSWERS.index("We trained")


@pytest.mark.skipif(not WEIGHTS.is_file(), reason="the reader's weights are not installed")
def test_the_trained_reader_finds_the_words_that_answer() -> None:
    reading = MiniLMReader().read(QUESTION, [ANSWERS])[0]
    assert "512" in ANSWERS[reading.spans[0].start : reading.spans[0].end]
    assert reading.kind != "none"


@pytest.mark.parametrize("word", ["[PAD]", "[SEP]", "[MASK]"])
def test_a_control_token_in_a_text_is_a_word(untrained, word) -> None:
    reader, passages = MiniLMReader(untrained[0]), [f"Short sequences are padded with {word}.", "No answer."]
    assert len(reader.read(f"What does {word} do?", passages)) == 2
    (pair,) = Encoder(embedded_model()).pairs("What?", [f"It is {word} here."])
    assert 0 not in pair.ids
    assert pair.ids.count(pair.ids[0]) == 1
    assert pair.ids.count(pair.ids[-1]) == 2
    assert len(pair.pieces.starts) == len(
        Encoder(embedded_model()).pairs("What?", ["It is ( pad ) here."])[0].pieces.starts
    )


def test_a_hole_in_the_mask_does_not_shorten_a_text() -> None:
    import torch

    from rag.reading.network import PaddedStates

    def whole(ids, types):
        return torch.tensor([[float(token)] for text in ids for token in text])

    ids, mask = torch.tensor([[101, 0, 102], [101, 102, 0]]), torch.tensor([[1, 0, 1], [1, 1, 0]])
    states = PaddedStates(whole)(ids, torch.zeros_like(ids), mask).last_hidden_state
    assert states[:, :, 0].tolist() == [[101, 0, 102], [101, 102, 0]]


def test_damaged_weights_are_told_in_a_sentence(tmp_path) -> None:
    (tmp_path / "reader.npz").write_bytes(b"damaged")
    with pytest.raises(UserFacingError, match="cannot be loaded"):
        MiniLMReader(tmp_path / "reader.npz").read(QUESTION, PASSAGES)


def test_without_its_weights_there_is_no_reader(tmp_path) -> None:
    assert trained_reader(tmp_path / "none.npz") is None


def test_weights_of_another_body_are_refused_with_a_sentence(tmp_path, untrained) -> None:
    with np.load(untrained[0]) as arrays:
        np.savez(tmp_path / "other.npz", **{**arrays, "base": np.array("00000000")})
    with pytest.raises(UserFacingError, match="do not match"):
        MiniLMReader(tmp_path / "other.npz").read(QUESTION, PASSAGES)


def test_packed_weights_say_the_same_as_those_that_were_packed(untrained) -> None:
    import torch

    from rag.reading.network import ReaderNetwork, load_packed

    path, network = untrained
    again = ReaderNetwork(embedded_model())
    with np.load(path) as arrays, torch.no_grad():
        load_packed(again, arrays)
        assert arrays["body.encoder.layer.0.output.dense.weight"].dtype == np.int8
    for name, weight in network.named_parameters():
        assert (again.get_parameter(name) - weight).abs().max() < 1e-3, name


def test_the_encoder_keeps_places_and_leaves_out_what_does_not_fit() -> None:
    encoder = Encoder(embedded_model())
    short, long = encoder.pairs(QUESTION, [ANSWERS, "A rule of thumb. " * 200])
    assert len(short.ids) == len(short.types) == len(short.sentence_of)
    words = [ANSWERS[a:b] for a, b in zip(short.pieces.starts, short.pieces.ends, strict=True)]
    assert "512" in words
    assert set(short.sentence_of) == {0, 1, 2, 3}
    assert len(long.ids) <= LONGEST_PAIR
    assert len(long.sentences) == max(long.sentence_of)


# -- what the numbers mean ---------------------------------------------------------------------------------------------


def pieces(n: int, **parts: list[bool]) -> Pieces:
    every = [True] * n
    return Pieces(list(range(n)), list(range(1, n + 1)), parts.get("begins", every), parts.get("ends", every))


def logits(n: int, **places: float) -> np.ndarray:
    values = np.full(n + 1, -5.0, dtype=np.float32)
    for place, value in places.items():
        values[int(place.removeprefix("at"))] = value
    return values


def test_the_best_span_stands_first_and_its_score_is_its_log_odds_against_none() -> None:
    spans, none = spans_of(logits(6, at0=1.0, at3=4.0), logits(6, at0=0.5, at4=3.0), pieces(6))
    assert (spans[0].start, spans[0].end) == (2, 4)
    assert spans[0].score == pytest.approx(5.5)
    assert none < 0.01


def test_where_no_place_is_likely_none_is() -> None:
    _, none = spans_of(logits(6, at0=5.0), logits(6, at0=5.0), pieces(6))
    assert none > 0.99


def test_spans_do_not_overlap_and_several_are_kept() -> None:
    spans, _ = spans_of(logits(9, at2=5.0, at6=4.0), logits(9, at3=5.0, at7=4.0), pieces(9))
    assert [(s.start, s.end) for s in spans[:2]] == [(1, 3), (5, 7)]
    taken = [set(range(s.start, s.end)) for s in spans]
    assert sum(map(len, taken)) == len(set().union(*taken))


def test_a_span_is_of_whole_words() -> None:
    split = pieces(4, begins=[True, False, True, True], ends=[False, True, True, True])
    spans, _ = spans_of(logits(4, at2=6.0), logits(4, at1=6.0), split)
    assert all(s.start != 1 and s.end != 1 for s in spans)


def test_no_span_is_longer_than_the_longest() -> None:
    spans, _ = spans_of(logits(90, at1=9.0), logits(90, at90=9.0), pieces(90))
    assert max(s.end - s.start for s in spans) <= LONGEST


def test_the_kind_is_the_likeliest_with_its_probability() -> None:
    kind, probability = kind_of(np.array([0, 0, 2, 0, 0, 0], dtype=np.float32))
    assert kind == "yes"
    assert probability == pytest.approx(np.exp(2) / (np.exp(2) + 5))
