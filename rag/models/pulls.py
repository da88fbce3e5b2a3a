"""Downloads in the background: each with its progress, which can be stopped and later continued where it ended."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from ingest import UserFacingError
from rag.errors import DownloadError
from rag.models.download import PARTIAL, download
from rag.models.registry import Gguf
from rag.models.resolve import pulled_path

if TYPE_CHECKING:
    from pathlib import Path

    from rag.models.registry import ModelCard

State = Literal["loading", "checking", "stopping", "stopped", "failed", "done"]

RUNNING: frozenset[State] = frozenset({"loading", "checking", "stopping"})


class _StoppedError(DownloadError):
    """The user stopped it."""


def hub_url(source: Gguf) -> str:
    """The file's URL on the hub; HF_ENDPOINT selects a mirror, as in the hub's own tools."""
    from huggingface_hub import hf_hub_url

    mirror = os.environ.get("HF_ENDPOINT") or None
    return str(hf_hub_url(source.repository, source.file, revision=source.revision or "main", endpoint=mirror))


def hub_host(source: Gguf) -> str:
    """The host that the file comes from."""
    return urlsplit(hub_url(source)).hostname or ""


class Pull:
    """One download, in a thread of its own."""

    def __init__(self, card: ModelCard, source: Gguf, target: Path, *, proxy: str | None) -> None:
        self.card = card
        self.target = target
        self.total = card.weights_bytes
        """Bytes; None if unknown."""
        self.here = 0
        """Bytes that have arrived."""
        self.state: State = "loading"
        self.said = ""
        """Why it failed."""
        self._source = source
        self._proxy = proxy
        self._began: tuple[float, int] | None = None
        self._thread = threading.Thread(target=self._run, name=f"download of {card.name}", daemon=True)

    def start(self) -> None:
        """Begin, or continue what an earlier download left."""
        self._thread.start()

    def stop(self) -> None:
        """Stop it with the next bytes that arrive; those that have arrived are kept."""
        if self.state in RUNNING:
            self.state = "stopping"

    @property
    def seconds_left(self) -> float | None:
        """An estimate from the speed so far; None before there is one."""
        if self.state != "loading" or self._began is None or self.total is None:
            return None
        began, first = self._began
        seconds, came = time.monotonic() - began, self.here - first
        return (self.total - self.here) * seconds / came if came > 0 and seconds > 1 else None

    def wait(self, seconds: float) -> None:
        """Wait for its end."""
        self._thread.join(seconds)

    def _run(self) -> None:
        try:
            download(
                hub_url(self._source),
                self.target,
                sha256=self._source.sha256,
                size=self.card.weights_bytes,
                tell=self._tell,
                proxy=self._proxy,
            )
        except _StoppedError:
            self.state = "stopped"
        except UserFacingError as error:
            self.said = error.message if "same command" in error.hint else str(error)
            self.state = "failed"
        except Exception as error:  # noqa: BLE001 - the page shows it; a thread has nobody else to tell
            self.said = f"The download failed unexpectedly ({type(error).__name__})."
            self.state = "failed"
        else:
            self.state = "done"

    def _tell(self, here: int, total: int | None) -> None:
        if self._began is None:
            self._began = (time.monotonic(), here)
        self.here, self.total = here, total if total is not None else self.total
        if self.state == "stopping":
            raise _StoppedError("The download was stopped.")
        if self.here == self.total and self.state == "loading":
            self.state = "checking"


class Pulls:
    """The downloads of this process, by the model's name."""

    def __init__(self, library: Path) -> None:
        self._library = library
        self._pulls: dict[str, Pull] = {}
        self._lock = threading.Lock()

    def of(self, name: str) -> Pull | None:
        """The latest download of a model."""
        return self._pulls.get(name)

    def all(self) -> dict[str, Pull]:
        """The latest download of each model."""
        return dict(self._pulls)

    def start(self, card: ModelCard, *, host: str, proxy: str | None) -> Pull:
        """Begin to download a model; returns the running download if there is one.

        Args:
            card: the model.
            host: where the user agreed to load it from.
            proxy: as in `download`.

        Raises:
            DownloadError: it is no file with a known checksum, or comes from another host.
        """
        source, target = card.source, pulled_path(card, self._library)
        if not isinstance(source, Gguf) or target is None or source.sha256 is None:
            raise DownloadError(
                f"{card.name} cannot be downloaded here.", f"`python -m rag models show {card.name}` says more."
            )
        if host != hub_host(source):
            raise DownloadError(f"{card.name} would come from {hub_host(source)}.", "Reload the page and agree again.")
        with self._lock:  # two clicks at once must not write one file twice
            running = self._pulls.get(card.name)
            if running and running.state == "stopping":
                raise DownloadError(f"The download of {card.name} is still stopping.", "Try again in a moment.")
            if running and running.state in RUNNING:
                return running
            pull = self._pulls[card.name] = Pull(card, source, target, proxy=proxy)
            pull.start()
        return pull


def arrived(card: ModelCard, library: Path) -> int:
    """Bytes of an unfinished download on the disk."""
    target = pulled_path(card, library)
    part = target.with_name(target.name + PARTIAL) if target else None
    return part.stat().st_size if part and part.is_file() else 0
