"""Start Microsoft's Foundry Local with models of one's own, in an environment of its own and without a network."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import tempfile
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ingest.environment import for_child
from rag.errors import ModelFileError, ModelUnreachableError
from rag.servers.engines import REGISTERED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PORT = 5272
"""Where `discover` looks for it unasked."""

START_SECONDS = 120.0
"""Timeout for loading the models."""

_PROJECT = Path(__file__).resolve().parents[2]
_CHILD = Path(__file__).with_name("foundry_child.py")
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


@dataclass(frozen=True, slots=True)
class Foundry:
    """A running Foundry Local."""

    url: str
    """Without a path: `http://127.0.0.1:5272`."""
    models: tuple[str, ...]
    """Ids of the loaded models, as requests name them."""
    _child: subprocess.Popen[bytes] = field(repr=False)

    def is_running(self) -> bool:
        """Whether it has not ended by itself."""
        return self._child.poll() is None

    @property
    def base_url(self) -> str:
        """Base URL of the OpenAI-compatible API for the registered models."""
        return f"{self.url}{REGISTERED}/v1"


def own_python() -> Path:
    """The Python of the environment that `make foundry` makes; it may be missing."""
    return _PROJECT / ".venv-foundry" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def model_id(folder: Path) -> str:
    """The id under which a folder is registered; Foundry Local wants `name:version`."""
    return f"{re.sub(r'[^a-z0-9._-]+', '-', folder.name.lower()).strip('-') or 'model'}:1"


@contextmanager
def foundry_local(folders: Sequence[Path], *, port: int = PORT, python: Path | None = None) -> Iterator[Foundry]:
    """Run Foundry Local with these models until the block ends.

    By itself, it would ask for Microsoft's catalogue and send telemetry, part of which cannot be switched off. So it
    gets a proxy that refuses every connection, and its data go into a temporary folder.

    Args:
        folders: ONNX Runtime GenAI folders, from `python -m rag models convert`.
        port: on 127.0.0.1; 0 for any free one.
        python: the Python that has `foundry-local-sdk`; None for `own_python()`.

    Raises:
        ModelUnreachableError: it is not installed, the port is taken, or it did not start in time.
        ModelFileError: a folder holds no such model, or two folders have one name.
    """
    python = python or own_python()
    if not python.is_file():
        raise ModelUnreachableError("Foundry Local is not installed.", "Run `make foundry` once (about 280 MB).")
    wanted = _models(folders)
    _check_free(port)
    # bound, but not listening: connections are refused, and no other program can take the port
    with socket.socket() as nowhere, tempfile.TemporaryDirectory(prefix="foundry-") as place:
        nowhere.bind(("127.0.0.1", 0))
        proxy = f"http://127.0.0.1:{nowhere.getsockname()[1]}"
        here = dict.fromkeys(("no_proxy", "NO_PROXY"), "127.0.0.1")
        child = subprocess.Popen(
            [str(python), str(_CHILD)],
            cwd=place,
            env=for_child("LD_LIBRARY_PATH", HOME=place, **dict.fromkeys(_PROXIES, proxy), **here),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        try:
            reply = _greet(child, {"models": wanted, "port": port, "place": place})
            if "url" not in reply:
                raise _failure(reply)
            yield Foundry(reply["url"].rstrip("/"), tuple(reply["models"]), child)
        finally:
            _end(child)


def _models(folders: Sequence[Path]) -> dict[str, str]:
    found: dict[str, str] = {}
    for folder in folders:
        if not (folder / "genai_config.json").is_file():
            raise ModelFileError(
                f"{folder} is not a model for ONNX Runtime GenAI: it has no genai_config.json.",
                "Convert one with `python -m rag models convert`.",
            )
        path = folder.expanduser().resolve()
        if (name := model_id(path)) in found:
            raise ModelFileError(f"Two of the folders would both be called {name}.", "Rename one of them.")
        found[name] = str(path)
    return found


def _check_free(port: int) -> None:
    try:
        with socket.socket() as one:
            if os.name != "nt":  # on Windows, it would let a taken port pass
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind(("127.0.0.1", port))
    except OSError as error:
        raise ModelUnreachableError(
            f"Another program uses port {port}.", "Choose another port with `--port`, or 0 for any free one."
        ) from error


def _greet(child: subprocess.Popen[bytes], wanted: dict[str, Any]) -> dict[str, Any]:
    """Say what is wanted; return the child's reply, empty if it ended or was too slow."""
    assert child.stdin
    assert child.stdout
    deadline = threading.Timer(START_SECONDS, child.kill)
    deadline.daemon = True
    deadline.start()
    try:
        child.stdin.write(json.dumps(wanted).encode() + b"\n")
        child.stdin.flush()
        line = child.stdout.readline()
    except OSError:  # it ended before reading
        line = b""
    finally:
        deadline.cancel()
    reply = json.loads(line) if line else {}
    return reply if isinstance(reply, dict) else {}


def _failure(reply: dict[str, Any]) -> ModelUnreachableError | ModelFileError:
    if reply.get("missing"):
        return ModelUnreachableError("This Python has no foundry-local-sdk.", "Run `make foundry` once (about 280 MB).")
    if said := " ".join(str(reply.get("error", "")).split()):
        return ModelFileError(f"Foundry Local refused: {said[:400]}", "Convert the model again, or choose another.")
    return ModelUnreachableError(
        f"Foundry Local did not start, or did not load the models within {START_SECONDS:.0f} seconds.",
        "Try a smaller model.",
    )


def _end(child: subprocess.Popen[bytes]) -> None:
    """Let it unload its models and go; it is given ten seconds."""
    assert child.stdin
    assert child.stdout
    try:
        child.stdin.close()
        child.wait(10)
    except (OSError, subprocess.TimeoutExpired):
        child.kill()
        child.wait()
    child.stdout.close()
