"""Make a backup while Scholion runs, and a library from one."""

from __future__ import annotations

import re
import shutil
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from ingest import snapshot
from ingest.files import sync_folder
from rag.models.machine import in_words
from ui.backup import archive, contents
from ui.backup.archive import BackupError, Manifest

if TYPE_CHECKING:
    from collections.abc import Callable

    from ingest.moving import Elsewhere

CATALOGUE, PEOPLE, CHATS = contents.DATABASES
STAGE: Final = ".restoring"
_OURS = re.compile(rf"{contents.PAPERS}/([0-9a-f]{{16}})\.pdf")


@dataclass(frozen=True, slots=True)
class Made:
    """A backup that was made."""

    file: Path
    manifest: Manifest
    lost: tuple[str, ...]
    """Papers whose PDF was missing in the library already."""
    left_out: tuple[str, ...]
    """Files whose names other systems do not allow."""


def backup(
    folder: Path,
    file: Path,
    *,
    models: bool,
    chats: Callable[[Path], None] | None,
    catalogue: Elsewhere | None = None,
    tell: Callable[[int], object] = lambda _: None,
) -> Made:
    """Copy everything of the library in `folder` into one new file; the library may be in use, and is not changed.

    The databases come first, all as they are at one moment. A PDF is in the library before the databases know it, and
    never changes. So the files that the copies know are there, but for those that are removed meanwhile, and what the
    copies still know of these is removed from them too.

    Args:
        folder: the library's.
        file: the file to make, or a folder for it.
        models: whether to copy downloaded models too.
        chats: writes the chats to a new `chats.db`, if Postgres has them.
        catalogue: the one in Postgres, if it is there; in the backup it is `library.db`.
        tell: called with each number of bytes that was copied.

    Raises:
        UserFacingError, OSError, sqlite3.Error: it cannot be made; nothing of it stays.
    """
    now = datetime.now(UTC)
    file = file / f"scholion-{now:%Y%m%d-%H%M%S}.zip" if file.is_dir() else file
    _check(folder, file, catalogue)
    if chats is not None:
        _check_moved(folder / CHATS)
    with TemporaryDirectory(dir=file.parent, prefix=f".{file.name}.") as name, archive.writing(file) as out:
        aside = Path(name)
        elsewhere = {CHATS: chats, CATALOGUE: catalogue.copy_to if catalogue else None}
        copies = snapshot.take([folder / one for one in contents.DATABASES if not elsewhere.get(one)], aside)
        if catalogue is not None:
            catalogue.copy_to(aside / CATALOGUE)
            copies.append(aside / CATALOGUE)
        if chats is not None:
            chats(aside / CHATS)
            copies.append(aside / CHATS)
        known = set(snapshot.files_of(aside / CATALOGUE))
        left_out = []
        for inside, path in contents.files(folder, models=models):
            paper = _OURS.fullmatch(inside)
            if not contents.is_safe(inside):
                left_out.append(inside)
            elif not paper or paper[1] in known:  # others came after the copies were made
                out.add(inside, path, tell=tell)
        now_there = catalogue.files if catalogue else lambda: snapshot.files_of(folder / CATALOGUE)
        lost = _settle(folder, aside / CATALOGUE, known, out, tell=tell, now_there=now_there)
        for copy in copies:
            out.add(copy.name, copy, tell=tell)
        papers, adding = snapshot.counts(aside / CATALOGUE)
        manifest = out.finish(
            made_at=now.isoformat(timespec="seconds"),
            papers=papers,
            adding=adding,
            chats=snapshot.rows(aside / CHATS, "threads") if (aside / CHATS).exists() else 0,
            from_postgres=chats is not None,
        )
    return Made(file, manifest, tuple(lost), tuple(left_out))


def _check(folder: Path, file: Path, elsewhere: Elsewhere | None) -> None:
    catalogue = folder / CATALOGUE
    there = folder.is_dir() if elsewhere else catalogue.is_file() and catalogue.stat().st_size
    if not there:
        raise BackupError(f"There is no library in {folder}.", "Set SCHOLION_LIBRARY to the folder of yours.")
    if not file.parent.is_dir():
        raise BackupError(f"There is no folder {file.parent}.", "Make it first, or choose another place.")
    if file.exists():
        raise BackupError(f"{file} is there already.", "Choose another name, or a folder to make a new file in.")
    if folder in file.resolve().parents:
        raise BackupError("A backup cannot be in the library that it is of.", "Choose another disk.")


def _check_moved(chats: Path) -> None:
    if chats.is_file() and chats.stat().st_size and snapshot.rows(chats, "threads"):
        raise BackupError(
            f"{CHATS} has chats that are not in Postgres.",
            "Run `python -m ui chats move --to postgres`, or move chats.db away.",
        )


def _settle(
    folder: Path,
    catalogue: Path,
    known: set[str],
    out: archive.Writer,
    *,
    tell: Callable[[int], object],
    now_there: Callable[[], list[str]],
) -> list[str]:
    """See to the papers whose PDFs were not found; returns those that the library still has, but without a PDF."""
    copied = {found[1] for kept in out.files if (found := _OURS.fullmatch(kept.name))}
    missing = known - copied
    if not missing:
        return []
    there = missing & set(now_there())
    snapshot.forget(catalogue, missing - there)
    names = {paper: f"{contents.PAPERS}/{paper}.pdf" for paper in sorted(there)}  # it may have come back
    return [paper for paper, name in names.items() if not out.add(name, folder / name, tell=tell)]


def restore(file: Path, folder: Path, *, tell: Callable[[int], object] = lambda _: None) -> Manifest:
    """Make a library from a backup in a folder that is empty or not there; all of it, or nothing.

    Everything is written beside its place and compared with its SHA-256 first, and only then put in place, the
    catalogue last: without it no Scholion takes the folder for a library.

    Raises:
        UserFacingError, OSError: nothing was restored.
    """
    made = not folder.exists()
    if not made and (not folder.is_dir() or any(folder.iterdir())):
        raise BackupError(f"{folder} is not empty, so nothing was restored.", "Give a new folder with --to.")
    with archive.reading(file) as (opened, manifest):
        _check_space(folder, sum(kept.bytes for kept in manifest.files))
        stage = folder / STAGE
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        stage.mkdir(mode=0o700)
        placed: list[Path] = []
        try:
            archive.unpack(file, opened, manifest, stage, tell=tell)
            _check_alone(folder)
            for path in sorted(stage.iterdir(), key=lambda path: (path.name == CATALOGUE, path.name)):
                path.rename(folder / path.name)
                placed.append(folder / path.name)
            stage.rmdir()
            sync_folder(folder)
        except BaseException:
            for path in (stage, *placed):
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
            if made:
                with suppress(OSError):
                    folder.rmdir()
            raise
    return manifest


def _check_alone(folder: Path) -> None:
    if [path.name for path in folder.iterdir()] != [STAGE]:
        raise BackupError(
            f"Something else wrote to {folder} meanwhile, so nothing was restored.",
            "Stop Scholion and restore again, into a new folder.",
        )


def _check_space(folder: Path, needed: int) -> None:
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    free = shutil.disk_usage(there).free
    if needed > free:
        raise BackupError(
            f"The library needs {in_words(needed)}, but only {in_words(free)} are free, so nothing was restored.",
            "Choose another disk with --to.",
        )
