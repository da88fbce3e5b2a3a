"""Checks of the settings: invalid values, misspelt SCHOLION_ variables, and variables of other programs."""

from __future__ import annotations

import difflib
import os
from typing import TYPE_CHECKING, Any, Final

from dotenv import dotenv_values
from pydantic import SecretStr, ValidationError

from ingest import IngestSettings
from ingest.app_settings import OperateSettings, PeopleSettings
from ingest.environment import FOREIGN, LAUNCHER, OFFLINE, dropped
from ingest.settings import PROJECT, bad_setting
from rag.choices import NOT_SETTINGS, load
from rag.health.report import Check, Line
from rag.settings import RagSettings
from rag.words import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from pydantic_settings import BaseSettings

GROUP: Final = "Settings"
PREFIX: Final = "SCHOLION_"
_BOTH: Final[tuple[type[BaseSettings], ...]] = (IngestSettings, RagSettings)
ALL: Final[tuple[type[BaseSettings], ...]] = (*_BOTH, PeopleSettings, OperateSettings)
FOR_TESTS: Final = {"SCHOLION_DATA", "SCHOLION_TEST_EXPERT"}
"""Read by tests and benchmarks only."""


def known() -> set[str]:
    """The names of all settings, in capitals."""
    return {f"{PREFIX}{name.upper()}" for kind in ALL for name in kind.model_fields} | FOR_TESTS


def set_now() -> dict[str, str]:
    """The SCHOLION_ variables of the environment and of `.env`; the environment comes first."""
    file = {name: value or "" for name, value in dotenv_values(PROJECT / ".env", interpolate=False).items()}
    return {name: value for name, value in (file | dict(os.environ)).items() if name.upper().startswith(PREFIX)}


def checks(folder: Path) -> list[Check]:
    """The checks of the settings of the library in this folder."""
    return [
        Check("settings", GROUP, "Values", lambda: values_lines(ALL)),
        Check("choices", GROUP, "Choices", lambda: choices_line(folder)),
        Check("variables", GROUP, "Names", lambda: misspelt_lines(set_now())),
        Check("other variables", GROUP, "Other programs", lambda: foreign_line({*dropped, *os.environ})),
    ]


def values_lines(kinds: Iterable[type[BaseSettings]]) -> list[Line]:
    """Whether all values are valid, and how many are set."""
    n, lines = 0, []
    for kind in kinds:
        try:
            n += len(kind().model_fields_set)
        except ValidationError as error:
            name = f"{PREFIX}{'_'.join(map(str, error.errors()[0]['loc'])).upper()}"
            facts = {"setting": name if name in known() else "unknown"}
            todo = "Correct or remove it; docs/settings.md lists the settings."
            lines.append(Line(about="Values", state="problem", said=bad_setting(error), todo=todo, facts=facts))
    if lines:
        return lines
    said = f"{counted(n, 'setting')} set; all values are valid." if n else "All settings have their defaults."
    return [Line(about="Values", state="ok", said=said, facts={"set": n})]


def choices_line(folder: Path) -> Line:
    """Whether what was chosen on the settings page can be read."""
    choices, fault = load(folder)
    n = len(choices.model_fields_set - NOT_SETTINGS)
    facts = {"chosen": n, "fault": fault is not None}
    if fault:
        todo = "Open Settings and choose again; what cannot be read is kept beside the new file."
        return Line(about="Choices", state="problem", said=fault, todo=todo, facts=facts)
    said = f"{counted(n, 'setting')} chosen on the settings page." if n else "Nothing was chosen on the settings page."
    return Line(about="Choices", state="ok", said=said, facts=facts)


def misspelt_lines(variables: Mapping[str, str]) -> list[Line]:
    """SCHOLION_ variables that are no setting, each with the setting that was probably meant."""
    names = known()
    wrong = sorted(name for name in variables if name.upper() not in names)
    lines = []
    for name in wrong:
        near = difflib.get_close_matches(name.upper(), sorted(names), n=1)
        todo = (
            f"Did you mean {near[0]}? Rename or remove it."
            if near
            else "Remove it; docs/settings.md lists the settings."
        )
        said = f"{name} is no setting, so it has no effect."
        lines.append(
            Line(about="Names", state="problem", said=said, todo=todo, facts={"near": near[0] if near else None})
        )
    return lines or [Line(about="Names", state="ok", said="All SCHOLION_ variables are settings.", facts={"wrong": 0})]


def foreign_line(variables: Iterable[str]) -> Line:
    """Variables of other programs, which are ignored; people wonder why a proxy or a key for tracing has no effect."""
    ours = LAUNCHER | OFFLINE.keys()  # set by `python -m ui` and by `shut_out`
    found = sorted(name for name in variables if FOREIGN.fullmatch(name.upper()) and name not in ours)
    facts = {"ignored": len(found)}
    if not found:
        return Line(about="Other programs", state="ok", said="No variables of other programs are set.", facts=facts)
    said = f"Ignored, because they are for other programs: {', '.join(found)}."
    todo = "Nothing needs to be done; docs/settings.md says which variables have an effect."
    return Line(about="Other programs", state="note", said=said, todo=todo, facts=facts)


def without_secrets(settings: tuple[BaseSettings, ...]) -> dict[str, Any]:
    """Each setting for a bundle: numbers and choices as they are; of texts, which may name people, only whether set.

    Args:
        settings: those in use, `IngestSettings` and `RagSettings`.
    """
    told: dict[str, Any] = {}
    for kind, used in zip(_BOTH, settings, strict=True):
        try:
            kind()
        except ValidationError:
            told[kind.__name__] = "not valid"
            continue
        for name in kind.model_fields:
            value = getattr(used, name)
            plain = value is None or isinstance(value, bool | int | float) or name in {"answers", "ocr_languages"}
            if isinstance(value, SecretStr):
                value = "set" if value.get_secret_value() else None
            elif not plain:
                value = "set" if name in used.model_fields_set else "default"
            told[f"{PREFIX}{name.upper()}"] = value
    return told
