"""The reader's network: the encoder of all-MiniLM-L6-v2 with small heads. Weights are stored as 8-bit differences."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import nn
from transformers import BertModel
from transformers.utils import logging

from ingest.bert import BertConfig, PackedBert
from rag.reading.readings import KINDS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy.typing as npt

UNTRAINED = "body.embeddings.word_embeddings.weight"
"""Half of all weights. They stay frozen, so the file does not store them."""


class Scores(NamedTuple):
    """The network's output for a batch of pairs."""

    start: torch.Tensor
    """Shape (n, length): logits."""
    end: torch.Tensor
    relevance: torch.Tensor
    """Shape (n,): log odds."""
    kind: torch.Tensor
    """Shape (n, len(KINDS)): logits."""
    sentences: torch.Tensor
    """Shape (n, max sentences): log odds."""


class States(NamedTuple):
    """An encoder's output, named as in Transformers."""

    last_hidden_state: torch.Tensor
    """Shape (n, length, width)."""


class PaddedStates(nn.Module):  # type: ignore[misc]  # torch's types are not followed: that would take a minute
    """A `PackedBert` that is called as `BertModel` is: padded tokens in, padded states out."""

    def __init__(self, bert: PackedBert) -> None:
        super().__init__()
        self._bert = bert

    def forward(self, input_ids: torch.Tensor, token_type_ids: torch.Tensor, attention_mask: torch.Tensor) -> States:
        """The states of the last layer; 0 where there is padding."""
        places = torch.arange(1, attention_mask.shape[1] + 1, device=attention_mask.device)
        lengths = (attention_mask * places).amax(1).tolist()  # not the sum: the mask may have a hole
        ids, types = (
            [row[:n].tolist() for row, n in zip(part, lengths, strict=True)] for part in (input_ids, token_type_ids)
        )
        states = self._bert(ids, types).split(lengths)
        return States(nn.utils.rnn.pad_sequence(states, batch_first=True))


def without_padding(network: ReaderNetwork, *, bf16: bool | None = None) -> ReaderNetwork:
    """The same network with an encoder that computes no padding; see `PackedBert`. It cannot be trained further."""
    config = BertConfig.read(network.body.config.to_dict())
    assert config is not None, "the reader stands on a BERT"
    network.body = PaddedStates(PackedBert(network.body.state_dict(), config, bf16=bf16))
    return network


class ReaderNetwork(nn.Module):  # type: ignore[misc]  # torch's types are not followed: that would take a minute
    """[CLS] question [SEP] passage [SEP] → scores. As in SQuAD 2, the first token stands for "no answer here"."""

    def __init__(self, folder: Path, *, attention: str = "sdpa") -> None:
        """Load the encoder from `folder`; the heads are freshly initialised."""
        super().__init__()
        verbosity = logging.get_verbosity()
        logging.set_verbosity_error()  # otherwise it warns about unused pooler weights
        logging.disable_progress_bar()
        self.body: Any = BertModel.from_pretrained(
            str(folder),
            add_pooling_layer=False,
            attn_implementation=attention,
            attention_probs_dropout_prob=0.0,
            hidden_dropout_prob=0.0,
            local_files_only=True,
        )
        logging.set_verbosity(verbosity)
        width = self.body.config.hidden_size
        self.span = nn.Linear(width, 2)
        self.relevance = nn.Linear(width, 1)
        self.kind = nn.Linear(width, len(KINDS))
        self.sentence = nn.Linear(width, 1)

    def forward(self, ids: torch.Tensor, types: torch.Tensor, sentence_of: torch.Tensor, n_sentences: int) -> Scores:
        """Score a batch.

        Args:
            ids: shape (n, length), padded with 0.
            types: 0 for tokens of the question, 1 for tokens of the passage.
            sentence_of: the sentence number of each token, from 1; 0 if it belongs to no sentence.
            n_sentences: the largest number of sentences in any passage of the batch.
        """
        mask = (ids != 0).long()
        states = self.body(input_ids=ids, token_type_ids=types, attention_mask=mask).last_hidden_state
        spans, first = self.span(states).float(), states[:, 0]
        member = nn.functional.one_hot(sentence_of, n_sentences + 1)[:, :, 1:].to(states.dtype)
        sums = member.transpose(1, 2) @ states / member.sum(1).clamp(min=1)[:, :, None]
        return Scores(
            start=spans[:, :, 0],
            end=spans[:, :, 1],
            relevance=self.relevance(first)[:, 0].float(),
            kind=self.kind(first).float(),
            sentences=self.sentence(sums)[:, :, 0].float(),
        )


def digest(folder: Path) -> str:
    """The first 8 hex digits of the SHA-256 of the encoder's weights. Stored differences fit only this encoder."""
    with (folder / "model.safetensors").open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:8]


def packed(network: ReaderNetwork, folder: Path) -> dict[str, npt.NDArray[Any]]:
    """The weights as arrays for a file. Encoder matrices: 8-bit differences, one scale per row; all else: fp16."""
    body = ReaderNetwork(folder).body.state_dict()
    arrays: dict[str, npt.NDArray[Any]] = {"base": np.array(digest(folder))}
    for name, weight in network.state_dict().items():
        if name == UNTRAINED or not weight.is_floating_point():
            continue
        value = weight.detach().float().cpu()
        if name.startswith("body."):
            value = value - body[name.removeprefix("body.")]
        if name.startswith("body.") and value.ndim == 2:
            scale = value.abs().amax(1, keepdim=True).clamp(min=1e-8) / 127
            arrays[f"{name}|scale"] = scale.numpy().astype(np.float32)
            arrays[name] = (value / scale).round().clamp(-127, 127).to(torch.int8).numpy()
        else:
            arrays[name] = value.numpy().astype(np.float16)
    return arrays


def load_packed(network: ReaderNetwork, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Load stored weights into a new network whose encoder still has the weights they were computed against."""
    state = network.state_dict()
    for name, weight in state.items():
        if name not in arrays:
            continue
        value = torch.from_numpy(arrays[name].astype(np.float32))
        if f"{name}|scale" in arrays:
            value = value * torch.from_numpy(arrays[f"{name}|scale"])
        weight.copy_(weight + value if name.startswith("body.") else value)
