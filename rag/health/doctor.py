"""The whole health report, and the bundle made from it: versions, settings and errors, and nothing of the user's."""

from __future__ import annotations

import io
import json
import platform
import re
import sys
import zipfile
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from ingest import IngestSettings
from ingest.settings import PROJECT
from rag.choices import kept
from rag.health import faults, library_checks, machine_checks, model_checks, pdf_checks, settings_checks
from rag.health.report import is_well, report
from rag.settings import RagSettings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rag.health.report import Check, Line

PACKAGES: Final = (
    *("scholion", "chainlit", "chromadb", "fastapi", "numpy", "openai", "pydantic", "pypdf", "pypdfium2"),
    *("sentence-transformers", "starlette", "torch", "transformers", "xllamacpp"),
)
README: Final = """A bundle from Scholion (docs/health.md). Read it before you send it.

report.json    each check: its name, its state, and numbers
versions.json  Python, system and packages
settings.json  numbers and choices; of texts, paths, addresses and keys only whether they are set
errors.json    the last errors: number, time, types, places in the code

It holds no text of papers, no titles, file names, questions, chats, names of users, folders, addresses or keys.
"""


def examine(*, reach: bool = False, running: bool = False) -> list[Line]:
    """Run all checks.

    Args:
        reach: whether the user asked to contact a larger model that is not on this machine.
        running: whether this process is the app.
    """
    return report(all_checks(reach=reach, running=running))


def all_checks(*, reach: bool, running: bool) -> list[Check]:
    """All checks; settings that are not valid are replaced by the defaults, and a check of their own says so."""
    ingest, rag = _settings()
    folder = ingest.library.expanduser().resolve()
    return [
        *machine_checks.checks(folder, owner=_owner(folder), running=running),
        *model_checks.checks(rag, folder, embedder=ingest.embedder, reach=reach),
        *pdf_checks.checks(ingest.ocr_languages),
        *library_checks.checks(
            folder, embedder=ingest.embedder, database=ingest.chat_database, catalogue=ingest.catalogue_database
        ),
        *settings_checks.checks(folder),
    ]


def bundle(lines: Sequence[Line]) -> bytes:
    """A zip file with the report and what helps to understand it. Sentences, which may name things, are left out."""
    rows = [
        {"check": line.check, "about": line.about, "state": line.state, "facts": dict(line.facts)} for line in lines
    ]
    try:
        errors: Any = faults.last(library_folder())
    except OSError as error:
        errors = f"cannot be read ({faults.type_of(error)})"
    parts = {
        "report.json": {"well": is_well(lines), "checks": rows},
        "versions.json": versions(),
        "settings.json": settings_checks.without_secrets(_settings()),
        "errors.json": errors,
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("README.txt", README)
        for name, content in parts.items():
            file.writestr(name, json.dumps(content, indent=1, ensure_ascii=True) + "\n")
    return out.getvalue()


def versions() -> dict[str, Any]:
    """Python, the system and the packages; of the kernel only its number, because a name may follow."""
    release = re.match(r"[\d.]*", platform.release())
    return {
        "python": ".".join(map(str, sys.version_info[:3])),
        "implementation": platform.python_implementation(),
        "system": platform.system(),
        "release": release[0] if release else "",
        "machine": platform.machine(),
        "packages": {name: _version(name) for name in PACKAGES},
    }


def library_folder() -> Path:
    """The library's folder, also if a setting is not valid."""
    return _settings()[0].library.expanduser().resolve()


def _settings() -> tuple[IngestSettings, RagSettings]:
    """The settings with what was chosen on the settings page; the defaults for those that are not valid."""
    try:
        ingest = IngestSettings()
    except ValidationError:
        library = settings_checks.set_now().get("SCHOLION_LIBRARY")
        ingest = IngestSettings.model_construct()
        ingest = ingest.model_copy(update={"library": PROJECT / library}) if library else ingest
    try:
        return ingest, kept(ingest.library.expanduser().resolve()).settings
    except ValidationError:
        return ingest, RagSettings.model_construct()


def _owner(folder: Path) -> dict[str, Any]:
    try:
        told = json.loads((folder / "owner.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
