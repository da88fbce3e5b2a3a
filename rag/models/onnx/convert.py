"""Convert a Hugging Face folder or a GGUF file to ONNX: what it will take, the conversion, its check, its card.

The work is done in a child process, in a folder beside the target whose name begins with a dot. The folder gets its
name only when everything has been checked. If the conversion fails or is interrupted, nothing is left behind; if this
process is killed, the child ends too, and the next conversion to the same target removes what it left.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import file_digest
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from filelock import FileLock, Timeout

from ingest import write_atomically
from ingest.environment import GRAPHICS, OFFLINE, for_child
from rag.errors import ConversionError, ModelFileError
from rag.models.machine import in_words
from rag.models.onnx import INSTALL, missing
from rag.models.onnx.check import PROMPTS, Checked
from rag.models.onnx.folder import CARD, CONFIG, FOUNDRY, PLACE, PROVIDERS, PUBLISHER

if TYPE_CHECKING:
    from collections.abc import Callable

    from rag.models.onnx.source import Source

PRECISIONS: Final = {"cpu": ("int4", "int8", "fp32"), "cuda": ("int4", "int8", "fp16", "fp32")}
"""What the builder can make for a provider; for the others, see `OTHERS`."""
OTHERS: Final = ("int4", "fp16")
BUILT_FOR: Final = ("cpu", "cuda", "dml", "webgpu")

SMALL: Final = 5e8
"""Parameters below which int4 costs too much: of the embedded model's 20 texts int4 wrote none as the source does, and
was .50 nats from its probabilities; int8 .0065."""

PACKAGES: Final = ("onnxruntime_genai", "onnxruntime", "onnx", "onnx_ir")

_BITS: Final = {"int4": 5.0, "int8": 9.0, "fp16": 16.0, "fp32": 32.0}  # with a 32-bit scale for each 32 weights
_BESIDE: Final = 12_000_000  # bytes: tokenizer, graph, tables of the rotary embedding
# Measured with the embedded model (134.5 M parameters, docs/onnx.md): peak of the child, and its time on two cores.
_PROCESS: Final = 700_000_000
_COPIES: Final = 3.0  # of the weights in float32 that are in memory at the same time
_SECONDS_PER_PARAMETER: Final = 60 / 134.5e6

_ENDING_SECONDS = 5.0
_KILLED: Final = -9  # by the kernel, when memory runs out

_ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a conversion will take: estimates, but for the sizes of what is there."""

    source: Source
    precision: str
    provider: str
    target: Path
    licence: str
    size: int
    """Bytes of the result."""
    disk: int
    """Bytes needed on the disk while it runs."""
    memory: int
    seconds: float
    prompts: int
    """How many prompts will be compared with the source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """A finished conversion."""

    folder: Path
    size: int
    seconds: float
    peak_memory: int | None
    """Of the child process; None where the system does not tell."""
    check: Checked | None
    """None if no check was wanted."""


def plan(
    source: Source,
    *,
    library: Path,
    precision: str | None = None,
    provider: str = "cpu",
    to: Path | None = None,
    licence: str | None = None,
    prompts: int = 5,
) -> Plan:
    """What the conversion would take. Nothing is written.

    Args:
        source: what is converted.
        library: the library's folder; the result goes into its `models/onnx` folder if `to` is not given.
        precision: of the weights; None for int4, or int8 for a model with fewer than `SMALL` parameters.
        provider: the execution provider the result is for.
        to: the new folder.
        licence: as the user states it; needed if the source states none, and it must not contradict the source.
        prompts: how many prompts are compared with the source, at most 20.

    Raises:
        ConversionError: it cannot be done; the message says why.
    """
    able = PRECISIONS.get(provider, OTHERS)
    precision = precision or ("int8" if source.parameters < SMALL and "int8" in able else "int4")
    if precision not in able:
        raise ConversionError(
            f"{precision} is not possible for {PROVIDERS[provider]}.", f"Choose one of {', '.join(able)} there."
        )
    stated = source.licence
    if stated is None and not licence:
        raise ConversionError(
            f"The licence of {source.name} is not stated in its files.",
            "Look it up where the model comes from, and give it with --licence, for instance --licence apache-2.0.",
        )
    if stated and licence and stated.lower() != licence.lower():
        raise ConversionError(
            f"{source.name} states the licence {stated}, not {licence}.", f"Give --licence {stated}, or leave it out."
        )
    if stated is None and not re.fullmatch(r"[\w.+-]{2,64}", licence or ""):
        raise ConversionError(f"“{licence}” is not the name of a licence.", "Write it like apache-2.0 or llama3.2.")
    suffix = precision if provider == "cpu" else f"{precision}-{provider}"
    target = (to.expanduser() if to else library / PLACE / PUBLISHER / f"{_plain(source.name)}-{suffix}").absolute()
    _check_target(target, source)
    size = _size(source, precision)
    unpacked = 4 * source.parameters if source.is_gguf else 0
    made = Plan(
        source=source,
        precision=precision,
        provider=provider,
        target=target,
        licence=stated or licence or "",
        size=size,
        disk=size + unpacked,
        memory=round(_PROCESS + _COPIES * 4 * source.parameters),
        seconds=source.parameters * _SECONDS_PER_PARAMETER,
        prompts=min(max(0, prompts), len(PROMPTS)),
    )
    _check_room(made)
    return made


def convert(made: Plan, tell: Callable[[str], None] = lambda _: None) -> Converted:
    """Convert as planned; `tell` is given the name of each step.

    Raises:
        ConversionError: it failed, or the result did not pass its check. Nothing is left behind.
    """
    if lost := missing(*PACKAGES):
        raise ConversionError(f"Converting needs packages that are not installed: {', '.join(lost)}.", INSTALL)
    began = time.monotonic()
    making = made.target.with_name(f".{made.target.name}.making")
    lock = FileLock(making.with_suffix(".lock"))
    try:
        made.target.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise ConversionError(
            f"{made.target} is being converted already.", "Wait until that is finished, or choose another with --to."
        ) from error
    except OSError as error:
        raise _unwritable(made, error) from error
    try:
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir()
        told = _in_child(made, making, tell)
        check = Checked(**told["check"]) if "check" in told else None
        if check and (fault := check.fault(made.precision)):
            raise ConversionError(f"The converted {made.source.name} was not kept: {fault}.", "Try another precision.")
        tell("writing the card")
        _describe(made, making, told, check)
        if made.target.exists():  # an empty folder, over which Windows renames none
            made.target.rmdir()
        making.rename(made.target)
    except OSError as error:
        raise _unwritable(made, error) from error
    finally:
        shutil.rmtree(making, ignore_errors=True)
        with contextlib.suppress(OSError):  # while it is held: afterwards it could be another's; Windows does it itself
            Path(lock.lock_file).unlink()
        lock.release()
    return Converted(
        folder=made.target,
        size=_total(made.target),
        seconds=time.monotonic() - began,
        peak_memory=told.get("peak"),
        check=check,
    )


def _unwritable(made: Plan, error: OSError) -> ConversionError:
    return ConversionError(
        f"The converted model cannot be written to {made.target} ({error.strerror or type(error).__name__}).",
        "Free some space, or choose another folder with --to.",
    )


def _in_child(made: Plan, making: Path, tell: Callable[[str], None]) -> dict[str, Any]:
    """Run `rag.models.onnx.build`; return what it says in the end."""
    options = {
        "source": str(made.source.path),
        "to": str(making),
        "precision": made.precision,
        "provider": made.provider,
        "prompts": made.prompts,
        "parent": os.getpid(),
    }
    with (making / "log").open("w+b") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "rag.models.onnx.build"],
            cwd=_ROOT,
            env=for_child(*GRAPHICS, PYTHONUNBUFFERED="1", **OFFLINE),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        assert child.stdin
        assert child.stdout
        last: dict[str, Any] = {}
        try:
            with contextlib.suppress(BrokenPipeError):  # it died before reading
                child.stdin.write(json.dumps(options).encode() + b"\n")
                child.stdin.flush()  # and left open: its end tells the child that we are gone
            for line in child.stdout:
                last = json.loads(line)
                if "step" in last:
                    tell(last["step"])
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(_ENDING_SECONDS)
        finally:
            child.kill()
            child.wait()
            child.stdout.close()
            with contextlib.suppress(OSError):
                child.stdin.close()
        log.seek(0)
        tail = deque((line.decode(errors="replace").strip() for line in log), maxlen=5)
    (making / "log").unlink()
    if "done" in last:
        return dict(last["done"])
    raise _failure(made, last, code=child.returncode, said=" ".join(filter(None, tail)))


def _failure(made: Plan, last: dict[str, Any], *, code: int, said: str) -> ConversionError | ModelFileError:
    name, error = made.source.name, str(last.get("error", ""))
    killed = code == _KILLED and not error
    if killed or last.get("kind") == "MemoryError" or re.search("alloc", error or said, re.IGNORECASE):
        return ConversionError(
            f"There was not enough memory to convert {name}.", "Close other programs, or convert a smaller model."
        )
    if re.search(r"No space left|ENOSPC", error + said):
        return ConversionError(f"The disk is full: {name} was not converted.", "Free some space, and try again.")
    if last.get("kind") in {"SafetensorError", "JSONDecodeError"}:
        return ModelFileError(f"{name} is damaged ({error[:120]}).", "Download the model again.")
    return ConversionError(f"{name} could not be converted.", f"The converter said: {error or said or 'nothing'}")


def _check_target(target: Path, source: Source) -> None:
    if source.path in (target, *target.parents) and source.path.is_dir():
        raise ConversionError(f"{target} is inside the model that is converted.", "Choose another folder with --to.")
    try:
        taken = target.exists() and (not target.is_dir() or any(target.iterdir()))
    except OSError:
        taken = True
    if taken:
        raise ConversionError(f"{target} already exists.", "Choose another folder with --to, or remove this one.")
    if not os.access(_above(target), os.W_OK):
        raise ConversionError(f"{target} cannot be created: no permission.", "Choose another folder with --to.")


def _check_room(made: Plan) -> None:
    free = shutil.disk_usage(_above(made.target)).free
    if made.disk > free:
        raise ConversionError(
            f"Converting {made.source.name} needs {in_words(made.disk)} on the disk, and {in_words(free)} is free.",
            "Free some space, or choose a folder on another disk with --to.",
        )


def _above(target: Path) -> Path:
    """The nearest folder above that exists."""
    return next(path for path in target.parents if path.is_dir())


def _size(source: Source, precision: str) -> int:
    """The size of the result. Word vectors stay at full precision in int8, and in int4 if the output has its own."""
    apart = source.embedding if precision == "int8" or (precision == "int4" and not source.tied) else 0
    matrices = source.parameters - (0 if source.tied and precision == "int8" else apart)
    full = 32 if precision in {"int4", "int8"} else 0
    return round((matrices * _BITS[precision] + apart * full) / 8) + _BESIDE


def _plain(name: str) -> str:
    """The name with the characters that any file system takes."""
    return re.sub(r"[^\w.+-]+", "-", name).strip(".-") or "model"


def _describe(made: Plan, folder: Path, told: dict[str, Any], check: Checked | None) -> None:
    """Write the card, the README, the licence, and what Foundry Local reads."""
    foundry = {"Name": made.target.name, "PromptTemplate": {"assistant": "{Content}", "prompt": told["prompt"]}}
    write_atomically(folder / FOUNDRY, json.dumps(foundry, indent=2, ensure_ascii=False) + "\n")
    if made.source.path.is_dir():
        for pattern in ("LICEN[CS]E*", "NOTICE*"):
            for file in made.source.path.glob(pattern):
                if file.is_file():
                    shutil.copyfile(file, folder / file.name)
    card = {
        "name": made.source.name,
        "precision": made.precision,
        "provider": made.provider,
        "licence": made.licence,
        "family": made.source.family,
        "parameters": made.source.parameters,
        "context_window": made.source.context_window,
        "source": [
            {"file": file.name, "bytes": file.stat().st_size, "sha256": _sha256(file)} for file in made.source.files
        ],
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "made_with": told["versions"],
        "check": told.get("check"),
        "files": {
            file.name: {"bytes": file.stat().st_size, "sha256": _sha256(file)}
            for file in sorted(folder.iterdir())
            if file.is_file()
        },
    }
    write_atomically(folder / CARD, json.dumps(card, indent=1, ensure_ascii=False) + "\n")
    write_atomically(folder / "README.md", _readme(made, check))


def _readme(made: Plan, check: Checked | None) -> str:
    compared = "Not compared with its source."
    if check:
        compared = (
            f"Compared with its source on {check.prompts} prompts: the same text on {check.same_texts}, logits within "
            f"{check.logit_difference:.2g}, next-token probabilities {check.divergence:.2g} nats apart."
        )
    return f"""---
license: {made.licence}
library_name: onnxruntime-genai
base_model: {made.source.name}
---
# {made.source.name} in ONNX, {made.precision}, for {PROVIDERS[made.provider]}

Converted by Scholion from {", ".join(file.name for file in made.source.files)}, without further training.
The licence is that of the source: {made.licence}. {compared}
`{CARD}` has the checksums of the source and of each file.

Use it in Scholion with `SCHOLION_DRAFTER=` and its path, or its name if it is in the library; in onnxruntime-genai with
`onnxruntime_genai.Model(folder)`, in Foundry Local by its name. `{CONFIG}` says how it is run.
"""


def checksum_faults(folder: Path) -> list[str]:
    """The files of a converted model that are missing or not as they were written."""
    card = json.loads((folder / CARD).read_text(encoding="utf-8"))
    return [
        name
        for name, told in card["files"].items()
        if not (folder / name).is_file() or _sha256(folder / name) != told["sha256"]
    ]


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return file_digest(opened, "sha256").hexdigest()


def _total(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
