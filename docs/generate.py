"""Generate the parts of the docs that come from the code: the file tree and the settings. Run by `make docs`."""

from __future__ import annotations

import ast
import re
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def tree() -> str:
    """Every source file with the first line of its docstring."""
    lines = []
    for room in ("app.py", "ui", "ingest", "rag"):
        path = ROOT / room
        lines += [_line(path)] if path.is_file() else _room(path)
    return "```\n" + "\n".join(lines) + "\n```"


def _room(folder: Path, depth: int = 0) -> list[str]:
    """A room with its files and subrooms, each with the first line of its docstring."""
    rooms = sorted(path.parent for path in folder.glob("*/__init__.py"))
    return [
        _line(folder / "__init__.py", depth=depth, name=f"{folder.name}/"),
        *(_line(file, depth=depth + 1) for file in sorted(folder.glob("*.py")) if file.name != "__init__.py"),
        *(line for room in rooms for line in _room(room, depth + 1)),
    ]


def _line(file: Path, *, depth: int = 0, name: str = "") -> str:
    docstring = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return f"{'  ' * depth + (name or file.name):24} {docstring.splitlines()[0]}"


def settings() -> str:
    """A table of all settings with their defaults."""
    from ingest.app_settings import OperateSettings, PeopleSettings
    from ingest.settings import PROJECT, IngestSettings
    from rag.settings import RagSettings

    rows = ["| variable | default | meaning |", "|---|---|---|"]
    for cls in (IngestSettings, RagSettings, PeopleSettings, OperateSettings):
        for name, field in cls.model_fields.items():
            default = field.default
            if isinstance(default, Path):
                default = f"{default.relative_to(PROJECT)}/"
            shown = "" if default is None else f"`{default}`"
            rows.append(f"| `SCHOLION_{name.upper()}` | {shown} | {field.description} |")
    return "\n".join(rows)


def models() -> str:
    """A table of the models in models.json; independent of this machine."""
    from rag.commands.models import size_words
    from rag.models.hardware_fit import CONTEXT, memory_needed
    from rag.models.machine import in_words
    from rag.models.registry import Gguf, Service, load

    rows = [
        "| model | for | size | context | memory | licence | commercial | from |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for card in load().cards:
        match card.source:
            case Gguf(repository=repository, sha256=checksum):
                where = f"{repository}, {in_words(card.weights_bytes)}" + ("" if checksum else ", no checksum")
            case Service(key_variable=variable):
                where = f"service, key in `{variable}`"
            case other:
                where = "comes with Scholion" if other.kind == "wheel" else other.repository
        need = memory_needed(card, context=CONTEXT)
        window = f"{card.context_window:,}" if card.context_window else "unknown"
        licence = (card.licence.name, card.licence.commercial) if card.licence else ("unknown", "unknown")
        memory = in_words(need) if need else ""
        cells = (card.name, ", ".join(card.roles), size_words(card), window, memory, *licence, where)
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


WORDS = {
    "en": ("model", "size", "licence", "commercial use", "memory, one answer", "four at once", "24 GB card",
           {"yes": "yes", "no": "no", "conditions": "conditions", "tight": "only just", "unknown": "unknown"}),
    "de": ("Modell", "Größe", "Lizenz", "kommerziell", "Speicher, eine Antwort", "vier zugleich", "24-GB-Karte",
           {"yes": "ja", "no": "nein", "conditions": "bedingt", "tight": "knapp", "unknown": "unbekannt"}),
    "bg": ("модел", "размер", "лиценз", "търговска употреба", "памет, един отговор", "четири наведнъж", "карта с 24 GB",
           {"yes": "да", "no": "не", "conditions": "с условия", "tight": "едва", "unknown": "неизвестно"}),
}  # fmt: skip
"""Heads of the table of local models, and the words in it."""

CARD_BYTES = 24e9


def local_models(language: str) -> str:
    """The models that answer on your own machine: licence, memory for one and for four answers, 24 GB or not."""
    from rag.commands.models import size_words
    from rag.models.hardware_fit import CONTEXT, memory_needed
    from rag.models.machine import in_words
    from rag.models.registry import Service, load

    *heads, words = WORDS[language]
    rows = [f"| {' | '.join(heads)} |", "|---|---|---|---|--:|--:|---|"]
    for card in load().cards:
        if isinstance(card.source, Service) or not {"draft", "refine"} & set(card.roles):
            continue
        one, four = (memory_needed(card, context=CONTEXT, slots=slots) for slots in (1, 4))
        verdict = "unknown" if four is None else "yes" if four <= 0.8 * CARD_BYTES else "tight"
        verdict = "no" if four is not None and four > CARD_BYTES else verdict
        licence = card.licence.name if card.licence else words["unknown"]
        commercial = words[card.licence.commercial if card.licence else "unknown"]
        cells = (f"`{card.name}`", size_words(card), licence, commercial, in_words(one), in_words(four), words[verdict])
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def size_steps() -> str:
    """What each size of Scholion takes (`docs/plan.py`)."""
    import plan

    return plan.table()


PARTS = {
    "docs/scale.md": ("plan", size_steps),
    "docs/architecture.md": ("tree", tree),
    "docs/settings.md": ("settings", settings),
    "docs/models.md": ("models", models),
    "docs/local-or-cloud.md": ("local models", partial(local_models, "en")),
    "docs/local-or-cloud.de.md": ("local models", partial(local_models, "de")),
    "docs/local-or-cloud.bg.md": ("local models", partial(local_models, "bg")),
}


def generated(page: str) -> str:
    """The page with its generated part updated."""
    name, make = PARTS[page]
    text = (ROOT / page).read_text(encoding="utf-8")
    pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end {name} -->)", re.DOTALL)
    return pattern.sub(lambda match: match[1] + make() + "\n" + match[2], text)


if __name__ == "__main__":
    for page in PARTS:
        (ROOT / page).write_text(generated(page), encoding="utf-8")
