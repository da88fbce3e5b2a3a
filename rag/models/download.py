"""Download one model file: resumable, verified by checksum, moved into place only when complete."""

from __future__ import annotations

import hashlib
import re
import shutil
import time
from itertools import chain
from typing import TYPE_CHECKING

from ingest import put_in_place
from rag.errors import DownloadError
from rag.models.gguf import MAGIC
from rag.models.machine import in_words

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import httpx2

    Tell = Callable[[int, int | None], None]
    """Called with the bytes downloaded so far and the file's total size, None if unknown."""

PARTIAL = ".partial"
"""Suffix of an incomplete file."""

ATTEMPTS = 4
"""Attempts before giving up on a broken connection."""

PAUSE = 1.0
"""Seconds between attempts."""

_SPARE_DISK = 200_000_000  # bytes to leave free
_PIECE = 1 << 20
_TIMEOUT = 60.0  # seconds without data
_CONNECT = 10.0
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")


def download(
    url: str, target: Path, *, sha256: str | None, size: int | None, tell: Tell, proxy: str | None = None
) -> None:
    """Download the GGUF at `url` to `target`; the name appears only once the file is complete and verified.

    The partial file (`target` + ".partial") is kept if the connection breaks, and the next call resumes it, provided a
    checksum is known: without one, parts of two different files could be mixed unnoticed.

    Args:
        url: redirects are followed, but never from https to http.
        target: its folder is created.
        sha256: hexadecimal; None to skip verification.
        size: expected size in bytes; None if unknown.
        tell: progress callback.
        proxy: URL of a proxy to use; proxies from the environment are ignored.

    Raises:
        DownloadError: it could not be downloaded, it is not a GGUF or not the expected file, or the disk is full.
    """
    part = target.with_name(target.name + PARTIAL)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if sha256 is None:
            part.unlink(missing_ok=True)
        for attempt in range(1, ATTEMPTS + 1):
            if _fetch(url, part, size=size, tell=tell, proxy=proxy, last=attempt == ATTEMPTS):
                break
            time.sleep(PAUSE)
        else:
            raise DownloadError(
                f"Download of {target.name} failed after {ATTEMPTS} attempts.", "Run the same command again."
            )
        _check(part, sha256=sha256)
        put_in_place(part, target)
    except OSError as error:
        raise DownloadError(f"{target.name} could not be written ({error.strerror or error}).", "") from error


def _fetch(url: str, part: Path, *, size: int | None, tell: Tell, proxy: str | None, last: bool) -> bool:
    """One connection that resumes at the end of `part`; True if the file is complete, False if the connection broke."""
    import httpx2

    def stay_private(request: httpx2.Request) -> None:
        if url.startswith("https:") and request.url.scheme != "https":
            raise DownloadError(
                f"{request.url.host} redirects to an address without https.", "Nothing was downloaded from it."
            )

    here = part.stat().st_size if part.exists() else 0
    if size is not None and here == size:
        return True
    try:
        with (
            httpx2.Client(
                trust_env=False,
                proxy=proxy,
                follow_redirects=True,
                max_redirects=5,
                timeout=httpx2.Timeout(_TIMEOUT, connect=_CONNECT),
                event_hooks={"request": [stay_private]},
            ) as client,
            client.stream(
                "GET", url, headers={"Accept-Encoding": "identity"} | ({"Range": f"bytes={here}-"} if here else {})
            ) as response,
        ):
            if response.status_code == 416:  # the file is shorter than our part, so the part belongs to another file
                part.unlink()
                return False
            _refuse(response)
            begin, total = _extent(response, here)
            if size is not None and total not in (None, size):
                raise _another(f"{total:,}", size)
            whole = size if total is None else total
            _room(part, (whole or begin) - begin)
            return _write(response, part, begin=begin, whole=whole, tell=tell)
    except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
        if not last and isinstance(error, httpx2.TransportError) and not isinstance(error, httpx2.ConnectError):
            return False
        here = part.stat().st_size if part.exists() else 0
        name = type(error).__name__
        raise DownloadError(
            f"The connection broke after {in_words(here)} ({name})."
            if here
            else f"The connection could not be opened ({name}).",
            "Run the same command again to continue from there.",
        ) from error


def _write(response: httpx2.Response, part: Path, *, begin: int, whole: int | None, tell: Tell) -> bool:
    """Write the body to the part, starting at `begin`; True if that completes it."""
    pieces = response.iter_bytes(_PIECE)
    first = next(pieces, b"")
    if begin == 0 and not first.startswith(MAGIC):
        raise DownloadError(
            f"{response.url.host} did not send a model file.", "Check for a sign-in page between you and the network."
        )
    with part.open("r+b" if begin else "wb") as file:
        file.seek(begin)
        for piece in chain((first,), pieces):
            file.write(piece)
            tell(file.tell(), whole)
            if whole is None:
                _room(part, 0)
            elif file.tell() > whole:
                raise _another("more", whole)
        file.truncate()
        return whole in (None, file.tell())


def _another(found: str, wanted: int) -> DownloadError:
    return DownloadError(
        f"The file at that address has {found} bytes, not {wanted:,}: it is a different file.",
        "Look for a newer models.json.",
    )


def _refuse(response: httpx2.Response) -> None:
    """Raise if the response is not a file."""
    status, host = response.status_code, response.url.host
    if status in (401, 403):
        raise DownloadError(
            f"{host} requires you to accept a licence there first ({status}).",
            "Sign in on its website, download the file there, and set its path.",
        )
    if status == 404:
        raise DownloadError(f"{host} no longer has this file (404).", "Look for a newer models.json.")
    if status not in (200, 206):
        raise DownloadError(f"{host} cannot provide the file right now ({status}).", "Try again later.")
    if "html" in response.headers.get("Content-Type", ""):
        raise DownloadError(
            f"{host} sent a web page instead of the file.", "Check for a sign-in page between you and the network."
        )


def _extent(response: httpx2.Response, here: int) -> tuple[int, int | None]:
    """Offset of the body in the file, and the file's total size; a server may ignore the requested range."""
    found = _RANGE.match(response.headers.get("Content-Range", "")) if response.status_code == 206 else None
    if found and int(found[1]) == here:
        return here, int(found[2])
    if response.status_code == 206:
        raise DownloadError(f"{response.url.host} sent a different part of the file than requested.", "Try again.")
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdigit() else None


def _room(part: Path, n_bytes: int) -> None:
    """Raise if the disk has no room for this many more bytes."""
    free = shutil.disk_usage(part.parent).free
    if n_bytes + _SPARE_DISK > free:
        raise DownloadError(
            f"The disk has {in_words(free)} free; {in_words(n_bytes)} are still needed.",
            f"Free some space, or set SCHOLION_LIBRARY to another disk ({part.parent}).",
        )


def _check(part: Path, *, sha256: str | None) -> None:
    """Verify the checksum; delete the file if it is wrong."""
    if sha256 is None:
        return
    with part.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != sha256:
        part.unlink()
        raise DownloadError(
            f"The download is not the expected file (SHA-256 {digest[:12]}…, not {sha256[:12]}…); it was removed.",
            "Try again; if it happens twice, the file on the hub has changed.",
        )
