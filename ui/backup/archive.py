"""The file of a backup: a ZIP archive with a manifest of all files, their lengths and their SHA-256."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import struct
import tempfile
import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from ingest import UserFacingError
from ingest.files import put_in_place, sync_folder
from ingest.typed_json import from_json, to_json
from ui.backup import contents

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MANIFEST: Final = "manifest.json"
FORMAT: Final = 1
PIECE: Final = 1 << 20
MOST_MANIFEST: Final = 1 << 28
"""Bytes; 100,000 papers take 20 MB."""

_STORED = (".pdf", ".gguf", ".safetensors", ".png", ".jpg", ".gz", ".zip")
"""What does not get smaller."""
_TORN = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, KeyError, NotImplementedError, RuntimeError)


class BackupError(UserFacingError):
    """A backup cannot be made, or is not whole; nothing was changed."""

    status = 409


@dataclass(frozen=True, slots=True)
class Kept:
    """One file of a backup."""

    name: str
    """Relative to the library's folder, with `/`."""
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is in a backup."""

    format: int
    made_at: str
    """ISO 8601, UTC."""
    papers: int
    adding: int
    """Files that were still being added."""
    chats: int
    from_postgres: bool
    """Whether the chats were in Postgres; in the backup they are `chats.db`."""
    files: tuple[Kept, ...]


class Writer:
    """A backup that is being written."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self.files: list[Kept] = []

    def add(self, name: str, source: Path, *, tell: Callable[[int], object]) -> bool:
        """Add a file with what is in it now; False if it is not there any more."""
        try:
            file = source.open("rb")
        except FileNotFoundError:
            return False
        with file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return False
            stored = name.lower().endswith(_STORED)
            self._archive.compression = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
            digest, size = hashlib.sha256(), 0
            with self._archive.open(
                name, "w", force_zip64=True
            ) as target:  # by name, so that the archive's level counts
                while piece := file.read(PIECE):
                    target.write(piece)
                    digest.update(piece)
                    size += len(piece)
                    tell(len(piece))
        self.files.append(Kept(name, size, digest.hexdigest()))
        return True

    def finish(self, **facts: Any) -> Manifest:
        """Add the manifest, which makes the backup whole."""
        manifest = Manifest(format=FORMAT, files=tuple(self.files), **facts)
        text = json.dumps(to_json(manifest), indent=0)
        self._archive.writestr(MANIFEST, text, compress_type=zipfile.ZIP_DEFLATED)
        return manifest


@contextmanager
def writing(file: Path) -> Iterator[Writer]:
    """A new backup, which gets its name once it is whole and on the disk; if the block fails, nothing stays."""
    descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", suffix=".part", dir=file.parent)
    part = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as raw, zipfile.ZipFile(raw, "w", compresslevel=1) as archive:
            yield Writer(archive)
        put_in_place(part, file)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


@contextmanager
def reading(file: Path) -> Iterator[tuple[zipfile.ZipFile, Manifest]]:
    """A backup and its manifest, in which every name was checked; the files themselves are checked by `unpack`.

    Raises:
        BackupError: this is no backup, or not a whole one, or names in it lead elsewhere.
    """
    try:
        archive = zipfile.ZipFile(file)
    except FileNotFoundError as error:
        raise BackupError(f"There is no backup {file}.", "Check the spelling of the path.") from error
    except (*_TORN, ValueError) as error:
        raise _torn(file) from error
    with archive:
        try:
            manifest = _manifest(archive)
        except (*_TORN, ValueError, TypeError) as error:
            raise _torn(file) from error
        if manifest.format != FORMAT:
            raise BackupError(f"{file} was made by a newer version of Scholion.", "Update Scholion and restore again.")
        names = [kept.name for kept in manifest.files]
        for name in names:
            if not (contents.is_safe(name) and contents.belongs(name)):
                raise BackupError(
                    f"{file} names a file that no backup has ({name!r:.200}), so nothing was restored.",
                    "Do not use it: someone has tampered with it.",
                )
        if (
            contents.DATABASES[0] not in names
            or sorted(archive.namelist()) != sorted({*names, MANIFEST})
            or len(set(names)) != len(names)
        ):
            raise BackupError(
                f"{file} does not have the files that its list names, so nothing was restored.", "Use another backup."
            )
        yield archive, manifest


def unpack(
    file: Path, archive: zipfile.ZipFile, manifest: Manifest, folder: Path, *, tell: Callable[[int], object]
) -> None:
    """Write all files of a backup into `folder`, for their owner only, and compare each with its SHA-256.

    Raises:
        BackupError: a file is not as it was written.
    """
    for kept in manifest.files:
        target = folder.joinpath(*kept.name.split("/"))
        for above in reversed(target.relative_to(folder).parents):  # `parents=True` would let others read them
            (folder / above).mkdir(mode=0o700, exist_ok=True)
        try:
            if not _same(archive, kept, target, tell):
                raise _changed(file, kept.name)
        except (*_TORN, ValueError) as error:
            raise _changed(file, kept.name) from error
    for place in {folder.joinpath(*kept.name.split("/")).parent for kept in manifest.files}:
        sync_folder(place)


def _same(archive: zipfile.ZipFile, kept: Kept, target: Path, tell: Callable[[int], object]) -> bool:
    """Write one file; whether it is what the manifest says. No more than that is ever written."""
    about = archive.getinfo(kept.name)
    if about.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return False
    digest, left = hashlib.sha256(), kept.bytes
    descriptor = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0), 0o600)
    with os.fdopen(descriptor, "wb") as written, archive.open(about) as source:
        while piece := source.read(min(PIECE, left + 1)):
            left -= len(piece)
            if left < 0:
                return False
            written.write(piece)
            digest.update(piece)
            tell(len(piece))
        written.flush()
        os.fsync(written.fileno())
    return left == 0 and digest.hexdigest() == kept.sha256


def _manifest(archive: zipfile.ZipFile) -> Manifest:
    about = archive.getinfo(MANIFEST)
    with archive.open(about) as source:
        text = _whole(source)
    found = json.loads(text)
    if isinstance(found, dict) and isinstance(found.get("format"), int) and found["format"] > FORMAT:
        return Manifest(found["format"], "", 0, 0, 0, from_postgres=False, files=())
    manifest = from_json(found, Manifest)
    assert isinstance(manifest, Manifest)
    if any(kept.bytes < 0 for kept in manifest.files):
        raise ValueError("a length below zero")
    return manifest


def _whole(source: IO[bytes]) -> bytes:
    text = source.read(MOST_MANIFEST + 1)
    if len(text) > MOST_MANIFEST:
        raise ValueError("too long for a manifest")
    return text


def _torn(file: Path) -> BackupError:
    return BackupError(
        f"{file} is not a backup of Scholion, or not a whole one, so nothing was restored.", "Use another backup."
    )


def _changed(file: Path, name: str) -> BackupError:
    return BackupError(
        f"{file} is damaged: {name} in it is not as it was written, so nothing was restored.", "Use another backup."
    )
