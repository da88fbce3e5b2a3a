"""BERT without padding: the texts of a batch lie end to end, so that only real tokens are multiplied.

Weights are laid out once for the processor's matrix kernels (oneDNN). Where it multiplies bf16 faster than fp32, the
matrices are bf16, and all else (residuals, norms, pooling) stays fp32. Figures: docs/ingest.md, "Speed".
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, Self

import torch
from torch.nn.functional import gelu, layer_norm, linear, normalize, scaled_dot_product_attention

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

BATCH_TOKENS = 1000
"""Tokens computed at once on one core: what a layer hands on then fits the core's cache."""

MODULES = [["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]]
"""The sentence-transformers models that this computes, by the last part of each module's name."""


@cache
def multiplies_bf16() -> bool:
    """Whether the processor multiplies bf16 matrices faster than fp32: it has AMX, or AVX-512 with bf16."""
    has = torch.cpu.get_capabilities()
    return _packs() and bool(has.get("amx_bf16") or has.get("avx512_bf16"))


@cache
def _packs(kind: Any = torch.float32) -> bool:
    """Whether this torch has oneDNN's kernels for such weights laid out in advance, and the processor what they need.

    For bf16 they need more of it (AVX-512) than torch does otherwise.
    """
    names = ("_linear_pointwise", "_reorder_linear_weight", "_is_mkldnn_bf16_supported")
    if not torch.backends.mkldnn.is_available() or not all(hasattr(torch.ops.mkldnn, name) for name in names):
        return False
    return kind != torch.bfloat16 or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())  # noqa: SLF001 torch has no public name for it


@dataclass(frozen=True, slots=True)
class BertConfig:
    """What `config.json` of a BERT says about its shape."""

    layers: int
    heads: int
    epsilon: float

    @classmethod
    def read(cls, config: Mapping[str, Any]) -> Self | None:
        """From `config.json`; None if it describes another kind of model."""
        usual = {"model_type": "bert", "hidden_act": "gelu"}
        if any(config.get(key) != value for key, value in usual.items()) or config.get("is_decoder"):
            return None
        if config.get("position_embedding_type", "absolute") != "absolute":
            return None
        return cls(
            config.get("num_hidden_layers", 12),
            config.get("num_attention_heads", 12),
            config.get("layer_norm_eps", 1e-12),
        )  # the defaults of Transformers


class _Linear:
    """A linear layer whose weights are laid out once; its result is fp32 unless `raw`."""

    def __init__(self, weight: Any, bias: Any, *, kind: Any) -> None:
        self._kind = kind
        self._packed = _packs(kind)
        weight = weight.to(kind).contiguous()
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight, None) if self._packed else weight  # noqa: SLF001 torch has no public name for it
        self._bias, self._bias32 = bias.to(kind), bias

    def raw(self, inputs: Any, *, activation: Literal["none", "gelu"] = "none") -> Any:
        """The product in the matrices' own precision. GELU is part of the multiplication, before the rounding."""
        inputs = inputs.to(self._kind)
        if not self._packed:
            result = linear(inputs, self._weight, self._bias)
            return gelu(result) if activation == "gelu" else result
        algorithm = "none" if activation == "gelu" else ""
        return torch.ops.mkldnn._linear_pointwise(inputs, self._weight, self._bias, activation, [], algorithm)  # noqa: SLF001 as above

    def add_to(self, residual: Any, inputs: Any) -> Any:
        """The product plus `residual` in fp32."""
        inputs = inputs.to(self._kind)
        if not self._packed:
            return linear(inputs, self._weight, None).float().add_(self._bias32).add_(residual)
        product = torch.ops.mkldnn._linear_pointwise(inputs, self._weight, None, "none", [], "")  # noqa: SLF001 as above
        return product.float().add_(self._bias32).add_(residual)


@dataclass(frozen=True, slots=True)
class _Layer:
    attention_in: _Linear
    """Queries, keys and values in one multiplication."""
    attention_out: _Linear
    attention_norm: tuple[Any, Any]
    inner: _Linear
    outer: _Linear
    norm: tuple[Any, Any]


class PackedBert:
    """The encoder of a BERT for inference. Safe to call from several threads."""

    def __init__(self, weights: Mapping[str, Any], config: BertConfig, *, bf16: bool | None = None) -> None:
        """Lay out the weights.

        Args:
            weights: tensors by their names in `BertModel`, without "bert.".
            config: the model's shape.
            bf16: whether matrices are bf16; None where the processor is faster with it.
        """
        self._config = config
        kind = torch.bfloat16 if (multiplies_bf16() if bf16 is None else bf16) else torch.float32

        def of(name: str) -> Any:
            return weights[name].detach().float()

        def norm(name: str) -> tuple[Any, Any]:
            return of(f"{name}.LayerNorm.weight"), of(f"{name}.LayerNorm.bias")

        def multiplier(*names: str) -> _Linear:
            parts = [torch.cat([of(f"{name}.{part}") for name in names]) for part in ("weight", "bias")]
            return _Linear(*parts, kind=kind)

        with torch.inference_mode():
            self._words = of("embeddings.word_embeddings.weight")
            self._positions = of("embeddings.position_embeddings.weight")
            self._types = of("embeddings.token_type_embeddings.weight")
            self._norm = norm("embeddings")
            self._layers = []
            for number in range(config.layers):
                at = f"encoder.layer.{number}"
                mine = f"{at}.attention.self"
                self._layers.append(
                    _Layer(
                        attention_in=multiplier(f"{mine}.query", f"{mine}.key", f"{mine}.value"),
                        attention_out=multiplier(f"{at}.attention.output.dense"),
                        attention_norm=norm(f"{at}.attention.output"),
                        inner=multiplier(f"{at}.intermediate.dense"),
                        outer=multiplier(f"{at}.output.dense"),
                        norm=norm(f"{at}.output"),
                    )
                )

    @property
    def width(self) -> int:
        """Numbers per token."""
        return int(self._words.shape[1])

    def __call__(self, ids: Sequence[Sequence[int]], types: Sequence[Sequence[int]] | None = None) -> Any:
        """The last layer's states of all tokens, end to end: shape (sum of lengths, width), fp32.

        Args:
            ids: the tokens of each text, special ones included.
            types: the token type of each; 0 if None.
        """
        lengths = [len(text) for text in ids]
        with torch.inference_mode():
            positions = torch.cat([torch.arange(n) for n in lengths])
            sort = self._types[0] if types is None else self._types[torch.tensor([t for text in types for t in text])]
            states = self._words[torch.tensor([token for text in ids for token in text])]
            states = self._normed(states.add_(self._positions[positions]).add_(sort), self._norm)
            for layer in self._layers:
                attended = self._attend(layer.attention_in.raw(states), lengths)
                states = self._normed(layer.attention_out.add_to(states, attended), layer.attention_norm)
                inner = layer.inner.raw(states, activation="gelu")
                states = self._normed(layer.outer.add_to(states, inner), layer.norm)
        return states

    def _normed(self, states: Any, norm: tuple[Any, Any]) -> Any:
        return layer_norm(states, (self.width,), *norm, self._config.epsilon)

    def _attend(self, projected: Any, lengths: Sequence[int]) -> Any:
        """Each text attends to itself alone."""
        heads = self._config.heads
        result = torch.empty((len(projected), self.width), dtype=projected.dtype)
        at = 0
        for n in lengths:
            query, key, value = projected[at : at + n].view(n, 3, heads, -1).permute(1, 2, 0, 3).unsqueeze(1)
            found = scaled_dot_product_attention(query, key, value)[0]
            result[at : at + n].view(n, heads, -1).copy_(found.transpose(0, 1))
            at += n
        return result


class SentenceBert:
    """A sentence-transformers model that is a BERT with mean or first-token pooling."""

    def __init__(self, bert: PackedBert, *, pooling: Literal["mean", "first"]) -> None:
        self._bert, self._pooling = bert, pooling

    @classmethod
    def open(cls, folder: Path, *, bf16: bool | None = None) -> Self | None:
        """Load the weights of a sentence-transformers folder; None if it holds another kind of model."""
        from safetensors.torch import load_file

        modules = _json(folder / "modules.json")
        if [module["type"].rpartition(".")[2] for module in modules] not in MODULES or modules[0]["path"]:
            return None
        pooling = _pooling(_json(folder / modules[1]["path"] / "config.json"))
        config = BertConfig.read(_json(folder / "config.json"))
        weights, spelt = folder / "model.safetensors", _json(folder / "sentence_bert_config.json")
        if pooling is None or config is None or not weights.is_file() or spelt.get("do_lower_case"):
            return None
        if not _tokenizes_as_written(folder):
            return None
        tensors = {name.removeprefix("bert."): tensor for name, tensor in load_file(weights).items()}
        try:
            return cls(PackedBert(tensors, config, bf16=bf16), pooling=pooling)
        except KeyError:  # other names, such as the old LayerNorm.gamma
            return None

    @property
    def dimension(self) -> int:
        """Numbers per text."""
        return self._bert.width

    def __call__(self, ids: Sequence[Sequence[int]]) -> Any:
        """One unit vector per text: shape (len(ids), dimension), fp32."""
        with torch.inference_mode():
            texts = self._bert(ids).split([len(text) for text in ids])
            pooled = [text.mean(0) if self._pooling == "mean" else text[0] for text in texts]
            return normalize(torch.stack(pooled), dim=1)


def _tokenizes_as_written(folder: Path) -> bool:
    """Whether Transformers reads text as `tokenizer.json` says.

    Its `BertTokenizer` ignores the normalizer there and makes one from `tokenizer_config.json`.
    """
    config = _json(folder / "tokenizer_config.json")
    if config.get("tokenizer_class", "BertTokenizer") not in {"BertTokenizer", "BertTokenizerFast"}:
        return True
    written = _json(folder / "tokenizer.json").get("normalizer") or {}
    made = {
        "type": "BertNormalizer",
        "clean_text": True,
        "handle_chinese_chars": config.get("tokenize_chinese_chars", True),
        "strip_accents": config.get("strip_accents"),
        "lowercase": config.get("do_lower_case", True),
    }
    return made == written


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _pooling(config: Mapping[str, Any]) -> Literal["mean", "first"] | None:
    """The one way of pooling that is switched on, if it is one of ours."""
    on = {key for key, value in config.items() if key.startswith("pooling_mode_") and value is True}
    named = config.get("pooling_mode")
    if on == {"pooling_mode_mean_tokens"} or named == "mean":
        return "mean"
    return "first" if on == {"pooling_mode_cls_token"} or named == "cls" else None


def batches(lengths: Sequence[int]) -> list[range]:
    """Consecutive texts in batches of about `BATCH_TOKENS`."""
    found, start, tokens = [], 0, 0
    for i, n in enumerate(lengths):
        if i > start and tokens + n > BATCH_TOKENS:
            found.append(range(start, i))
            start, tokens = i, 0
        tokens += n
    return [*found, range(start, len(lengths))] if lengths else []
