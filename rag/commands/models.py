"""`python -m rag models`: list models, find one that fits this machine and use, download one, convert one."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tqdm import tqdm

from ingest import IngestSettings
from rag.commands import convert
from rag.commands.options import positive
from rag.errors import DownloadError, ModelFileError, UnknownModelError
from rag.models.download import PARTIAL, download
from rag.models.hardware_fit import CONTEXT, fits, may_use, memory_needed, seconds_to_read, select
from rag.models.machine import Machine, in_words, this_machine
from rag.models.onnx.folder import converted, read_folder
from rag.models.pulls import hub_url
from rag.models.registry import Folder, Gguf, ModelCard, Registry, Service, Wheel, load
from rag.models.resolve import pulled_path, unknown
from rag.sanitise import printable
from rag.settings import RagSettings

if TYPE_CHECKING:
    from pathlib import Path

_ALLOWED = {"yes": "yes", "no": "no", "conditions": "with conditions"}


def add_to(commands: Any) -> None:
    """Add the command to an argument parser's commands."""
    text = "list the models Scholion knows, choose one for this machine, download one, convert one to ONNX"
    parser = commands.add_parser("models", help=text, description=text)
    parser.set_defaults(run=run, do=_list)
    _common(parser)
    actions = parser.add_subparsers(metavar="ACTION")

    def action(name: str, do: Any, text: str) -> argparse.ArgumentParser:
        sub: argparse.ArgumentParser = actions.add_parser(name, help=text, description=text)
        sub.set_defaults(do=do)
        return sub

    show = action("show", _show, "show everything known about one model")
    show.add_argument("name", metavar="NAME")
    choose = action("select", _select, "recommend a model that runs here, and say why")
    choose.add_argument("--task", choices=("chat", "draft", "refine", "embed"), default="chat")
    pull = action("pull", _pull, "download a model into the library folder, after asking")
    pull.add_argument("name", metavar="NAME")
    pull.add_argument("--yes", action="store_true", help="do not ask for confirmation")
    pull.add_argument("--checksum", metavar="SHA256", type=_sha256, help="expected SHA-256 of the file")
    pull.add_argument("--unchecked", action="store_true", help="accept a file with an unknown checksum")
    convert.add_to(action)
    for sub in (show, choose):
        _common(sub)


def _common(parser: argparse.ArgumentParser) -> None:
    """Options of the list and of every action that prints; their defaults must not override an option given earlier."""
    hidden = argparse.SUPPRESS
    parser.add_argument("--json", action="store_true", default=hidden, help="print results as JSON")
    parser.add_argument(
        "--commercial", action="store_true", default=hidden, help="only models that allow commercial use"
    )
    parser.add_argument(
        "--context",
        type=positive,
        default=hidden,
        metavar="N",
        help=f"context length in tokens for the memory estimate (default: {CONTEXT})",
    )


def _sha256(text: str) -> str:
    if len(text) != 64 or set(text.lower()) - set("0123456789abcdef"):
        raise argparse.ArgumentTypeError("must be 64 hexadecimal digits")
    return text.lower()


def run(options: argparse.Namespace) -> int:
    """Run the command; 0, or 1 if there is no such model here or the user said no. Opens no library."""
    library = IngestSettings().library
    registry = load(library)
    for fault in registry.faults:
        print(printable(fault), file=sys.stderr)
    for name, default in (("json", False), ("commercial", False), ("context", CONTEXT)):
        setattr(options, name, getattr(options, name, default))
    return int(options.do(registry, library, options))


def card_row(card: ModelCard, machine: Machine, library: Path, *, context: int) -> dict[str, Any]:
    """A model card as JSON for the command line; unknown values are null."""
    path = pulled_path(card, library)
    return {
        **asdict(card),
        "context": context,
        "memory_bytes": memory_needed(card, context=context),
        "fits": fits(card, machine, context=context),
        "fits_gpu": fits(card, machine, context=context, on="vram"),
        "seconds_to_read": seconds_to_read(card, machine) if card.architecture else None,
        "file": str(path) if path and path.exists() else None,
    }


def _list(registry: Registry, library: Path, options: argparse.Namespace) -> int:
    machine = this_machine()
    cards = [card for card in registry.cards if may_use(card, commercial=options.commercial)]
    if options.json:
        rows = [card_row(card, machine, library, context=options.context) for card in cards]
        told = {"machine": asdict(machine), "models": rows, "onnx": _onnx_rows(library)}
        print(json.dumps(told, ensure_ascii=False, indent=1))
        return 0
    print(f"{_machine_words(machine)} Memory is estimated for a context of {options.context:,} tokens.\n")
    graphics = machine.gpu is not None
    head = [
        "model",
        "for",
        "size",
        "memory",
        "fits",
        *(["on GPU"] if graphics else []),
        "commercial",
        "licence",
        "where",
    ]
    table = [head]
    for card in cards:
        row = card_row(card, machine, library, context=options.context)
        memory = in_words(row["memory_bytes"]) if row["memory_bytes"] else "–"
        table.append(
            [
                card.name,
                ", ".join(card.roles),
                size_words(card),
                memory,
                row["fits"] or "–",
                *([row["fits_gpu"] or "–"] if graphics else []),
                _ALLOWED[card.licence.commercial] if card.licence else "unknown",
                card.licence.name if card.licence else "unknown",
                _where(card, here=row["file"] is not None),
            ]
        )
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for cells in table:
        print("  ".join(printable(cell).ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip())
    if rows := _onnx_rows(library):
        print("\nIn ONNX, converted here:")
        for row in rows:
            facts = (
                row["label"],
                in_words(row["bytes"]),
                f"for {row['provider']}",
                row["licence"] or "licence unknown",
            )
            print(printable(f"  {row['name']}  {', '.join(facts)}"))
    return 0


def _onnx_rows(library: Path) -> list[dict[str, Any]]:
    """The models converted to ONNX, as JSON for the command line; without those that are incomplete."""
    rows = []
    for folder in converted(library):
        with suppress(ModelFileError):
            header = read_folder(folder)
            told = {"label": header.label, "bytes": header.n_bytes, "provider": header.provider}
            rows.append({"name": folder.name, "folder": str(folder), **told, "licence": header.licence})
    return rows


def size_words(card: ModelCard) -> str:
    """The number of parameters: "7.6 B", or "20.9 B (3.6 B active)" for a mixture of experts; "–" if unknown."""

    def words(parameters: int) -> str:
        return f"{parameters / 1e9:.1f} B" if parameters >= 0.95e9 else f"{parameters / 1e6:.0f} M"

    if card.parameters is None:
        return "–"
    active = f" ({words(card.active_parameters)} active)" if card.active_parameters else ""
    return words(card.parameters) + active


def _machine_words(machine: Machine) -> str:
    words = f"This machine: {in_words(machine.ram_available)} of {in_words(machine.ram_total)} memory free, "
    words += f"{machine.cores} cores"
    if machine.gpu:
        words += f", {machine.gpu} with {in_words(machine.vram_free)} of {in_words(machine.vram_total)} free"
    return f"{words}."


def _where(card: ModelCard, *, here: bool) -> str:
    match card.source:
        case Wheel():
            return "comes with Scholion" if here else "not installed"
        case Gguf():
            return "here" if here else f"to download, {in_words(card.weights_bytes)}"
        case Folder():
            return "a hub"
        case Service(base_url=url):
            return urlsplit(url).hostname or url


def _card(registry: Registry, name: str) -> ModelCard:
    card = registry.card(name)
    if card is None:
        raise unknown(name, registry)
    return card


def _show(registry: Registry, library: Path, options: argparse.Namespace) -> int:
    card, machine = _card(registry, options.name), this_machine()
    row = card_row(card, machine, library, context=options.context)
    if options.json:
        print(json.dumps(row, ensure_ascii=False, indent=1))
        return 0
    licence = card.licence
    window = f"{card.context_window:,} tokens" if card.context_window else "unknown"
    told = {
        "for": ", ".join(card.roles),
        "family": card.family,
        "size": size_words(card),
        "context window": window,
        "quantisation": card.quantisation,
        "memory": row["memory_bytes"] and f"{in_words(row['memory_bytes'])} at {options.context:,} tokens",
        "fits here": row["fits"],
        "thinks first": None if card.thinks is None else ("yes" if card.thinks else "no"),
        "languages": ", ".join(card.languages) or None,
        "licence": licence and licence.name,
        "commercial use": licence and f"{_ALLOWED[licence.commercial]}. {licence.terms}",
        "where": row["file"] or _where(card, here=False),
    }
    match card.source:
        case Gguf(repository=repository, file=file, revision=revision, sha256=checksum):
            told["from"] = f"{repository} at {revision or 'its main branch'}, {file}"
            told["checksum"] = checksum
        case Folder(repository=repository):
            told["from"] = repository
        case Service(base_url=url, key_variable=variable):
            told["address"] = url
            told["key"] = f"in {variable}" if variable else "none"
    print(card.name)
    for key, value in told.items():
        print(f"  {key:15} {printable(str(value or 'unknown'))}")
    return 0


def _select(registry: Registry, library: Path, options: argparse.Namespace) -> int:
    machine = this_machine()
    choice = select(
        registry.cards, task=options.task, machine=machine, commercial=options.commercial, context=options.context
    )
    if options.json:
        row = choice and card_row(choice.card, machine, library, context=options.context)
        print(json.dumps({"model": row, "reason": choice and choice.reason}, ensure_ascii=False, indent=1))
    elif choice is None:
        print("No model that Scholion knows fits this machine and use.", file=sys.stderr)
    else:
        print(printable(choice.reason))
        path = pulled_path(choice.card, library)
        if path is not None and not path.exists():
            print(f"Get it with `python -m rag models pull {choice.card.name}`.")
    return int(choice is None)


def _pull(registry: Registry, library: Path, options: argparse.Namespace) -> int:
    card = _card(registry, options.name)
    source, target = card.source, pulled_path(card, library)
    if not isinstance(source, Gguf) or target is None:
        raise _nothing_to_pull(card)
    if target.exists():
        print(f"{card.name} is here: {target}")
        return 0
    checksum = options.checksum or source.sha256
    url = hub_url(source)
    print(_announce(card, source, target, host=urlsplit(url).hostname or url, checked=checksum is not None))
    if (verdict := fits(card, machine := this_machine())) in ("tight", "no"):
        needed, free = in_words(memory_needed(card, context=CONTEXT)), in_words(machine.ram_available)
        how = "does not fit this machine" if verdict == "no" else "only just fits this machine"
        print(f"It {how} now: it needs {needed} of memory, and {free} is free.")
    if checksum is None and not options.unchecked:
        raise DownloadError(
            f"The file of {card.name} cannot be checked: its checksum is not known.",
            "Give the checksum with --checksum, or accept the file unchecked with --unchecked.",
        )
    if not options.yes and not _agreed():
        return 1
    with tqdm(unit="B", unit_scale=True, disable=None, file=sys.stderr, desc=card.name) as bar:

        def tell(here: int, total: int | None) -> None:
            bar.total = total
            bar.update(here - bar.n)

        download(url, target, sha256=checksum, size=card.weights_bytes, tell=tell, proxy=RagSettings().proxy)
    print(f"{card.name} is here: {target}")
    print(
        f"To use it: SCHOLION_EXPERT={card.name}" if "refine" in card.roles else f"To use it: SCHOLION_DRAFTER={target}"
    )
    return 0


def _announce(card: ModelCard, source: Gguf, target: Path, *, host: str, checked: bool) -> str:
    """What would be downloaded: source, size, licence, and whether it can be verified."""
    part = target.with_name(target.name + PARTIAL)
    here = f", {in_words(part.stat().st_size)} already downloaded" if checked and part.exists() else ""
    licence = f"{card.licence.name}. {card.licence.terms}" if card.licence else "unknown."
    lines = (
        f"Download {source.file} of {source.repository} at {source.revision or 'its main branch'} from {host}",
        f"  {in_words(card.weights_bytes)}{here}, to {target}",
        f"  licence: {licence}",
        "  its SHA-256 is checked after the download" if checked else "  cannot be checked: no checksum is known",
    )
    return "\n".join(map(printable, lines))


def _agreed() -> bool:
    """Ask the user. Without a terminal the answer is no."""
    if not sys.stdin.isatty():
        print("Nothing was downloaded. Add --yes to agree.", file=sys.stderr)
        return False
    try:
        agreed = input("Download it? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        agreed = False
    if not agreed:
        print("Nothing was downloaded.", file=sys.stderr)
    return agreed


def _nothing_to_pull(card: ModelCard) -> UnknownModelError:
    match card.source:
        case Folder(repository=repository):
            hint = f"Download its folder with `hf download {repository}`, then set SCHOLION_EMBEDDER={card.name}."
        case Service(key_variable=variable):
            hint = f"It runs over the network{f', with the key in {variable}' if variable else ''}."
        case _:
            hint = "It comes with Scholion."
    return UnknownModelError(f"{card.name} is not a file you can download.", hint)
