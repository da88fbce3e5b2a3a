"""The embedder in several engines, on one core: speed as ratios, vectors against PyTorch in fp32, and retrieval.

    python bench/embedder_engines.py [--chunks 96] [--rounds 5] [--scifact DOCS]

Engines: PyTorch (fp32, bf16, with the padding of sentence-transformers), ours (`ingest.bert`, fp32, and bf16 where the
processor has it), and, where `pip install onnx onnxscript openvino` was run, ONNX Runtime (fp32, fused graph, dynamic
int8) and OpenVINO (fp32, bf16, int8). Times are processor time, which other work on the machine disturbs little; rounds
alternate between the engines. `--scifact` embeds that many of SciFact's abstracts (0: none) with ours in fp32 and bf16
and compares nDCG@10 over the questions of its training part, with a paired bootstrap; a third column asks in the one
precision what was embedded in the other.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import logging
import os
import statistics
import sys
import tempfile
import time
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ingest.environment import shut_out  # noqa: E402

shut_out()  # before any library is imported
os.environ["OMP_NUM_THREADS"] = "1"
import numpy as np  # noqa: E402
import torch  # noqa: E402
from torch import nn  # noqa: E402

logging.disable(logging.CRITICAL)
warnings.filterwarnings("ignore")

from tokenizers import Tokenizer  # noqa: E402

from ingest.bert import SentenceBert, batches, multiplies_bf16  # noqa: E402
from ingest.embed import embedded_model  # noqa: E402
from ingest.sentences import sentence_spans  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Embed = Callable[[Sequence[Sequence[int]]], np.ndarray]

DATA = ROOT.parent / "shared" / "data"
FOLDER = embedded_model()
TOKENS = 160  # the size of our chunks
BATCH = 8


def tokenizer() -> Any:
    found = Tokenizer.from_file(str(FOLDER / "tokenizer.json"))
    found.no_padding()
    found.enable_truncation(256)
    return found


def abstracts() -> Iterator[tuple[str, str]]:
    with gzip.open(DATA / "scifact" / "corpus.jsonl.gz", "rt") as file:
        for line in file:
            row = json.loads(line)
            yield row["_id"], f"{row['title']} {row['text']}"


def chunks(n: int) -> list[list[int]]:
    """Real text in whole sentences of at most about `TOKENS` tokens."""
    tokens, found = tokenizer(), []
    for _, text in abstracts():
        held: list[str] = []
        for start, end in sentence_spans(text):
            if len(tokens.encode(" ".join([*held, text[start:end]])).ids) > TOKENS and held:
                found.append(tokens.encode(" ".join(held)).ids)
                held = []
            held.append(text[start:end])
        found.append(tokens.encode(" ".join(held)).ids)
        if len(found) >= n:
            return found[:n]
    return found


def padded(ids: Sequence[Sequence[int]], run: Callable[[np.ndarray, np.ndarray], Any]) -> np.ndarray:
    """Batches of texts of similar length, filled up with zeros."""
    order = sorted(range(len(ids)), key=lambda i: -len(ids[i]))
    rows = np.empty((len(ids), 384), np.float32)
    for start in range(0, len(order), BATCH):
        batch = order[start : start + BATCH]
        block = np.zeros((2, len(batch), len(ids[batch[0]])), np.int64)
        for row, i in enumerate(batch):
            block[0, row, : len(ids[i])], block[1, row, : len(ids[i])] = ids[i], 1
        rows[batch] = run(block[0], block[1])
    return rows


class Whole(nn.Module):
    """The encoder with pooling and normalising, as one graph."""

    def __init__(self, attention: str) -> None:
        from transformers import BertModel
        from transformers.utils import logging as told

        super().__init__()
        told.set_verbosity_error()
        told.disable_progress_bar()
        self.bert = BertModel.from_pretrained(
            str(FOLDER), add_pooling_layer=False, attn_implementation=attention, local_files_only=True
        ).eval()

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        states = self.bert(input_ids=ids, attention_mask=mask).last_hidden_state.float()
        weight = mask.unsqueeze(-1).float()
        return nn.functional.normalize((states * weight).sum(1) / weight.sum(1), dim=1)


def eager(model: nn.Module) -> Embed:
    def run(ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return model(torch.from_numpy(ids), torch.from_numpy(mask)).numpy()

    return lambda ids: padded(ids, run)


def ours(*, bf16: bool) -> Embed:
    model = SentenceBert.open(FOLDER, bf16=bf16)
    assert model is not None

    def run(ids: Sequence[Sequence[int]]) -> np.ndarray:
        return np.concatenate([model([ids[i] for i in part]).numpy() for part in batches([len(x) for x in ids])])

    return run


def onnx_runtime(place: Path) -> dict[str, Embed]:
    import onnxruntime
    from onnxruntime.quantization import quantize_dynamic
    from onnxruntime.transformers.optimizer import optimize_model

    plain, fused, small = (str(place / f"{name}.onnx") for name in ("plain", "fused", "int8"))
    ids = torch.randint(5, 1000, (3, 17))
    dynamic = {name: {0: "n", 1: "length"} for name in ("ids", "mask")}
    torch.onnx.export(
        Whole("eager"),
        (ids, torch.ones_like(ids)),
        plain,
        input_names=["ids", "mask"],
        output_names=["vectors"],
        dynamic_axes=dynamic,
        opset_version=17,
        dynamo=False,
    )
    optimize_model(plain, model_type="bert", num_heads=12, hidden_size=384, opt_level=0).save_model_to_file(fused)
    quantize_dynamic(plain, small, per_channel=True)

    def opened(path: str, *, optimised: bool = True) -> Embed:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        if not optimised:
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        return lambda ids: padded(ids, lambda i, m: session.run(None, {"ids": i, "mask": m})[0])

    return {
        "ONNX Runtime fp32, no graph optimisation": opened(plain, optimised=False),
        "ONNX Runtime fp32": opened(plain),
        "ONNX Runtime fp32, fused by its BERT optimiser": opened(fused),
        "ONNX Runtime int8, dynamic": opened(small),
    }


def open_vino(place: Path) -> dict[str, Embed]:
    import openvino

    core = openvino.Core()
    names = [("OpenVINO fp32", "plain", "f32"), ("OpenVINO bf16", "plain", "bf16"), ("OpenVINO int8", "int8", "f32")]

    def opened(path: str, precision: str) -> Embed:
        settings = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": precision}
        request = core.compile_model(core.read_model(path), "CPU", settings).create_infer_request()
        return lambda ids: padded(ids, lambda i, m: request.infer([i, m])[0])

    return {name: opened(str(place / f"{file}.onnx"), precision) for name, file, precision in names}


def compare(n_chunks: int, rounds: int) -> None:
    ids = chunks(n_chunks)
    torch.set_num_threads(1)
    engines = {
        "PyTorch fp32": eager(Whole("sdpa")),
        "PyTorch bf16": eager(Whole("sdpa").bfloat16()),
        "ours fp32": ours(bf16=False),
    }
    if multiplies_bf16():
        engines["ours bf16"] = ours(bf16=True)
    with tempfile.TemporaryDirectory() as folder:
        if find_spec("onnx"):
            engines |= onnx_runtime(Path(folder))
            if find_spec("openvino"):
                engines |= open_vino(Path(folder))
        else:
            print("onnx is not installed: ONNX Runtime and OpenVINO are left out")
        found = {name: engine(ids) for name, engine in engines.items()}  # warms up, too
        seconds: dict[str, list[float]] = {name: [] for name in engines}
        for _ in range(rounds):
            for name, engine in engines.items():
                began = time.process_time()
                engine(ids)
                seconds[name].append(time.process_time() - began)
    plain = seconds["PyTorch fp32"]
    print(f"{len(ids)} chunks, {sum(map(len, ids))} tokens, {rounds} rounds, one thread, processor time\n")
    print("| engine | chunks/s of one core | × PyTorch fp32 (range) | largest change of an element | least cosine |")
    print("|---|---|---|---|---|")
    for name, own in seconds.items():
        ratios = [one / other for one, other in zip(plain, own, strict=True)]
        change = np.abs(found[name] - found["PyTorch fp32"]).max()
        cosine = (found[name] * found["PyTorch fp32"]).sum(1).min()
        print(
            f"| {name} | {len(ids) / statistics.median(own):.1f} "
            f"| {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) "
            f"| {change:.1e} | {cosine:.5f} |"
        )


def gain(ranked: np.ndarray, right: set[int]) -> float:
    """nDCG@10 of one question; every right abstract counts 1."""
    discount = 1 / np.log2(np.arange(2, 12))
    best = discount[: min(10, len(right))].sum()
    return float(sum(discount[place] for place, i in enumerate(ranked[:10]) if i in right) / best)


def retrieval(n_docs: int) -> None:
    with (DATA / "scifact" / "qrels" / "train.tsv").open() as file:
        judged = [
            (row["query-id"], row["corpus-id"]) for row in csv.DictReader(file, delimiter="\t") if int(row["score"])
        ]
    with gzip.open(DATA / "scifact" / "queries.jsonl.gz", "rt") as file:
        questions = {row["_id"]: row["text"] for row in map(json.loads, file)}
    wanted = {doc for _, doc in judged}
    docs = sorted(abstracts(), key=lambda doc: doc[0] not in wanted)[: max(n_docs, len(wanted))]
    place = {name: i for i, (name, _) in enumerate(docs)}
    asked = sorted({question for question, _ in judged})
    right = [{place[doc] for question, doc in judged if question == name} for name in asked]
    tokens = tokenizer()
    ids = [
        [tokens.encode(text).ids for text in texts] for texts in ([t for _, t in docs], [questions[q] for q in asked])
    ]
    vectors = {bf16: [ours(bf16=bf16)(part) for part in ids] for bf16 in (False, True)}
    pairs = {"fp32": (False, False), "bf16": (True, True), "bf16 questions, fp32 abstracts": (False, True)}
    print(f"\nSciFact, {len(docs)} abstracts, {len(asked)} questions of its training part\n")
    gains, tops = {}, {}
    for name, (of_docs, of_questions) in pairs.items():
        scores = vectors[of_questions][1] @ vectors[of_docs][0].T
        tops[name] = np.argsort(-scores, axis=1)[:, :10]
        gains[name] = np.array([gain(row, of) for row, of in zip(tops[name], right, strict=True)])
    draws = np.random.default_rng(20261130).integers(0, len(asked), (10_000, len(asked)))
    print("| | nDCG@10 | difference to fp32 (95 %) | the same ten abstracts | the same first one |")
    print("|---|---|---|---|---|")
    for name, values in gains.items():
        difference = (values - gains["fp32"])[draws].mean(1)
        same = np.mean([set(a) == set(b) for a, b in zip(tops[name], tops["fp32"], strict=True)])
        first = (tops[name][:, 0] == tops["fp32"][:, 0]).mean()
        low, high = np.quantile(difference, [0.025, 0.975])
        print(f"| {name} | {values.mean():.4f} | {low:+.4f} to {high:+.4f} | {same:.3f} | {first:.3f} |")
    for part, name in enumerate(("abstracts", "questions")):
        one, other = vectors[False][part], vectors[True][part]
        change = np.abs(one - other)
        print(
            f"{name}: largest change of an element {change.max():.1e}, "
            f"elements above 1e-3 {(change > 1e-3).mean():.2e}, least cosine {(one * other).sum(1).min():.5f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--chunks", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scifact", type=int, default=0, metavar="DOCS")
    options = parser.parse_args()
    if not (DATA / "scifact").is_dir():
        print("no SciFact: nothing measured")
        return
    if options.chunks:
        compare(options.chunks, options.rounds)
    if options.scifact:
        retrieval(options.scifact)


if __name__ == "__main__":
    main()
