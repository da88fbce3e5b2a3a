"""Convert a model: the child process of `rag.models.onnx.convert`. One JSON object in, one a line out.

A GGUF file is first unpacked into a folder of transformers: the builder reads only unquantised ones itself.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
import threading
import warnings
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict
from importlib.metadata import version
from logging import WARNING, getLogger
from pathlib import Path
from typing import Any

from ingest.orphan import send_on_parent_death
from rag.models.onnx.check import PROMPTS, compare
from rag.models.onnx.writer import Writer

PACKAGES = ("onnxruntime-genai", "onnxruntime", "onnx", "torch", "transformers")
WORK = "unpacked"
"""The folder beside the result for what is removed again."""


def build(options: dict[str, Any], tell: Any) -> dict[str, Any]:
    """Write the ONNX files into `options["to"]`; return what is known of them.

    Args:
        options: `source`, `to`, `precision`, `provider`, `prompts`.
        tell: is given the name of each step.
    """
    source, target = Path(options["source"]), Path(options["to"])
    work = target / WORK
    _quiet()
    if source.is_file():
        tell("unpacking")
        _unpack(source, work)
        folder = work
    else:
        folder = source
    tell("building")
    _run_builder(folder, target, precision=options["precision"], provider=options["provider"])
    told: dict[str, Any] = {"versions": {name: version(name) for name in PACKAGES}, "prompt": _foundry_prompt(folder)}
    if options["prompts"]:
        tell("checking")
        told["check"] = asdict(_checked(folder, target, prompts=PROMPTS[: options["prompts"]]))
    shutil.rmtree(work, ignore_errors=True)
    return told


def _quiet() -> None:
    from transformers import utils

    logging: Any = utils.logging  # untyped
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    warnings.filterwarnings("ignore")
    for name in ("onnxruntime", "onnx_ir"):  # the quantiser tells of each node
        getLogger(name).setLevel(WARNING)


def _unpack(source: Path, folder: Path) -> None:
    """Write a GGUF file's weights as float32, with its tokenizer, for transformers."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    place: dict[str, Any] = {
        "pretrained_model_name_or_path": str(source.parent),
        "gguf_file": source.name,
        "local_files_only": True,
    }
    with redirect_stderr(io.StringIO()):  # a progress bar that no setting turns off
        tokenizer: Any = AutoTokenizer.from_pretrained(**place)
        network: Any = AutoModelForCausalLM.from_pretrained(
            **place, quantization_config=GgufConfig(dequantize=True), dtype=torch.float32
        )
    network.to(torch.float32).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _run_builder(folder: Path, target: Path, *, precision: str, provider: str) -> None:
    """Run onnxruntime-genai's own builder on a folder of transformers."""
    import onnxruntime_genai.models  # noqa: F401 - puts the builder's folder on the path, which it needs
    from onnxruntime_genai.models.builder import create_model, parse_extra_options

    cache = str(target / WORK / "cache")
    with redirect_stdout(sys.stderr), redirect_stderr(io.StringIO()):
        options = parse_extra_options(
            None, str(folder), str(target), precision, provider, cache, ["hf_remote=false", "hf_token=false"]
        )
        create_model(None, str(folder), str(target), precision, provider, cache, **options)


def _foundry_prompt(folder: Path) -> str:
    """The chat template with a placeholder, as Foundry Local wants it."""
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    messages = [{"role": "user", "content": "{Content}"}]
    return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))


def _checked(folder: Path, target: Path, *, prompts: Any) -> Any:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    network: Any = AutoModelForCausalLM.from_pretrained(str(folder), local_files_only=True, dtype=torch.float32)
    window = min(512, network.config.max_position_embeddings)
    return compare(Writer(target, window=window), tokenizer, network.eval(), prompts=prompts)


def _peak() -> int | None:
    """The most memory this process has had, in bytes; None where that is not told."""
    try:
        import resource
    except ImportError:  # Windows
        import psutil

        return int(getattr(psutil.Process().memory_info(), "peak_wset", 0)) or None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(most if sys.platform == "darwin" else most * 1024)


def _leave_with_parent() -> None:
    """The parent keeps our standard input open as long as it lives."""
    while os.read(0, 1024):
        pass
    os._exit(1)


def main() -> int:
    """Convert as standard input says."""
    ours = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print goes to the log
    options = json.loads(sys.stdin.readline())
    if sys.platform == "linux":
        import signal

        send_on_parent_death(signal.SIGKILL, parent=options["parent"])
    threading.Thread(target=_leave_with_parent, name="standard input", daemon=True).start()

    def say(**told: Any) -> None:
        print(json.dumps(told), file=ours, flush=True)

    try:
        say(done=build(options, lambda step: say(step=step)) | {"peak": _peak()})
    except MemoryError:
        say(error="not enough memory", kind="MemoryError")
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent reports it
        say(error=" ".join(str(error).split())[:300], kind=type(error).__name__)
    return 0


if __name__ == "__main__":
    main()
