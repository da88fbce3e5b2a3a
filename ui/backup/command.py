"""`python -m ui backup` and `python -m ui restore`: the whole library in one file, and back."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from ingest import IngestSettings, environment
from rag.models.machine import in_words
from rag.sanitise import printable
from rag.words import counted
from ui.backup.copying import backup, restore

if TYPE_CHECKING:
    import argparse

    from ui.backup.archive import Manifest


def add_to(commands: Any) -> None:
    """Add both commands to an argument parser's commands."""
    text = "copy the whole library into one file, also while Scholion runs"
    made = commands.add_parser("backup", help=text, description=text)
    made.add_argument("file", type=Path, metavar="FILE", help="the file to make, or a folder for it")
    made.add_argument("--models", action="store_true", help="copy downloaded models too")
    made.set_defaults(run=_backup)
    text = "make a library from a backup, in a new folder"
    back = commands.add_parser("restore", help=text, description=text)
    back.add_argument("file", type=Path, metavar="FILE", help="a backup")
    back.add_argument("--to", type=Path, required=True, metavar="FOLDER", help="an empty or new folder")
    back.set_defaults(run=_restore)


def _backup(options: argparse.Namespace) -> int:
    environment.shut_out()
    settings = IngestSettings()
    folder, chats = settings.library.expanduser().resolve(), None
    if settings.chat_database is not None:
        from ui.chats.move import copy_to_file  # its driver need not be installed otherwise

        chats = partial(copy_to_file, settings.chat_database)
    catalogue = None
    if settings.catalogue_database is not None:
        from ingest.moving import Elsewhere  # the same

        catalogue = Elsewhere(settings.catalogue_database, folder)
    with _bar() as bar:
        file, models = options.file.expanduser(), options.models
        made = backup(folder, file, models=models, chats=chats, catalogue=catalogue, tell=bar.update)
    size = made.file.stat().st_size
    told = in_words(size) if size >= 1e6 else "under 1 MB"
    print(printable(f"{made.file} ({told}) has {_counted(made.manifest)}. Keep it as safe as the library itself."))
    for paper in made.lost:
        print(f"The PDF of {paper} is missing in the library; add the file again.", file=sys.stderr)
    for name in made.left_out:
        print(printable(f"{name} was left out: rename it, because not every system allows this name."), file=sys.stderr)
    return int(bool(made.lost or made.left_out))


def _restore(options: argparse.Namespace) -> int:
    environment.shut_out()
    folder = options.to.expanduser()
    with _bar() as bar:
        manifest = restore(options.file.expanduser(), folder, tell=bar.update)
    made = manifest.made_at[:16].replace("T", " ")
    print(printable(f"{folder} has {_counted(manifest)}, as of {made} UTC."))
    if manifest.adding:
        print(f"Still being added: {counted(manifest.adding, 'file')}. The next start completes that.")
    if manifest.from_postgres:
        print("The chats are in chats.db now. To have them in Postgres again: `python -m ui chats move --to postgres`.")
    print(printable(f"Start Scholion with SCHOLION_LIBRARY={folder.resolve()}, or move the folder to its place."))
    return 0


def _bar() -> tqdm[Any]:
    return tqdm(unit="B", unit_scale=True, disable=None, leave=False)


def _counted(manifest: Manifest) -> str:
    return f"{counted(manifest.papers, 'paper')} and {counted(manifest.chats, 'chat')}"
