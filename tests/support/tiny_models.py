"""Language models of a few thousand random weights with a real tokenizer, in the formats that a conversion reads."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

TEXT = (
    "Once upon a time there was a ship that sailed around the world for many years with a captain and a cat. "
    "The plants need light and water. The capital of France is a city. Be brief. What is the name of the sea? "
    "Tell a long story about a ship. Why is the sky blue? "
)
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
ARCHITECTURES = {
    "llama": "LlamaForCausalLM",
    "mistral": "MistralForCausalLM",
    "phi3": "Phi3ForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
    "smollm3": "SmolLM3ForCausalLM",
}


def tokenizer() -> Any:
    """A byte-level BPE tokenizer of whole ASCII words, so that random tokens make readable text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    letters = sorted({*map(chr, range(33, 127)), "Ġ", "Ċ"})
    made.train_from_iterator(
        [TEXT] * 5, trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=letters)
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|im_end|>",
        unk_token="<|endoftext|>",
        chat_template=TEMPLATE,
    )


def tiny_folder(path: Path, family: str = "llama", *, licence: str | None = "apache-2.0", layers: int = 2) -> Path:
    """A folder as transformers saves it: model, tokenizer, chat template, and a README that states the licence."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    words = tokenizer()
    config = AutoConfig.for_model(
        family,
        architectures=[ARCHITECTURES[family]],
        vocab_size=len(words),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        initializer_range=0.2,
        bos_token_id=words.bos_token_id,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
        **({"head_dim": 16} if family in {"qwen3", "mistral"} else {}),
    )
    torch.manual_seed(1)
    network: Any = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    network.save_pretrained(path)
    words.save_pretrained(path)
    head = f"---\nlicense: {licence}\n---\n" if licence else ""
    (path / "README.md").write_text(f"{head}# A tiny model\n", encoding="utf-8")
    return path


def changed(path: Path, **values: object) -> None:
    """Change values of a JSON file; None removes one."""
    told = json.loads(path.read_text(encoding="utf-8")) | values
    path.write_text(json.dumps({key: value for key, value in told.items() if value is not None}), encoding="utf-8")


def onnx_folder(path: Path, *, name: str = "Tiny", provider: str | None = None) -> Path:
    """What Scholion reads of an ONNX folder, without a model in it."""
    path.mkdir(parents=True)
    session = {"provider_options": [{provider: {}}] if provider else []}
    config = {
        "model": {
            "type": "llama",
            "context_length": 2048,
            "decoder": {"filename": "model.onnx", "session_options": session},
        }
    }
    (path / "genai_config.json").write_text(json.dumps(config), encoding="utf-8")
    card = {"name": name, "precision": "int4", "licence": "apache-2.0"}
    (path / "card.json").write_text(json.dumps(card), encoding="utf-8")
    for file in ("model.onnx", "model.onnx.data", "tokenizer.json"):
        (path / file).write_bytes(b"none")
    return path
