"""`python -m rag adapt`: train the drafter on your questions, your glossary or your papers; on, off, prepare."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ingest import IngestSettings, UserFacingError, embedder_from, open_library
from ingest.environment import let_hub_in
from rag.adapt.examples import of_abbreviations, of_glossary, of_paper, of_questions, of_texts
from rag.adapt.prepare import default_out, needs, prepare
from rag.adapt.recipe import Recipe
from rag.adapt.teach import FEW, teach
from rag.assistant import Assistant
from rag.choices import kept
from rag.commands.options import positive, progress
from rag.errors import AdapterError
from rag.evaluation.corpora import load
from rag.evaluation.corpus_library import corpus_library
from rag.evaluation.run import sampled
from rag.models.adapters import Adapters, checked
from rag.models.local import embedded_drafter
from rag.models.machine import in_words, this_machine
from rag.models.onnx.folder import is_onnx
from rag.models.registry import load as models
from rag.models.resolve import ModelFile, resolve
from rag.retrieval.terms import Terms
from rag.sanitise import printable
from rag.settings import RagSettings

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from ingest import Library
    from rag.adapt.examples import Taught
    from rag.adapt.teach import Teaching
    from rag.commands.options import Tell
    from rag.models.adapters import Adapter

BITS = 5
"""Bits per weight in a GGUF file, roughly: most are quantised to four, plus scales."""

COMPUTED = 3_300_000_000
"""Bytes besides the weights: training the embedded model on two cores took 3.8 GB of resident memory in total."""

MOST_TEXTS = 400
"""Maximum number of the papers' chunks used as plain training text."""


def add_to(commands: Any) -> None:
    """Add the command to an argument parser's commands."""
    text = "fine-tune the small drafting model on questions, a glossary or papers from your field"
    parser = commands.add_parser("adapt", help=text, description=text)
    parser.set_defaults(run=run, do=_list, json=False)
    actions = parser.add_subparsers(metavar="ACTION")

    def action(name: str, do: Any, text: str) -> argparse.ArgumentParser:
        sub: argparse.ArgumentParser = actions.add_parser(name, help=text, description=text)
        sub.set_defaults(do=do)
        return sub

    train = action("train", _train, "train an adapter; it is kept if it answers the held-out questions better")
    train.add_argument(
        "file", type=Path, nargs="?", metavar="FILE", help="questions with answers, as `rag evaluate` reads them"
    )
    train.add_argument("--glossary", action="store_true", help="learn the terms in the library's glossary")
    train.add_argument("--papers", action="store_true", help="learn from the papers alone: their text and their terms")
    train.add_argument(
        "--model", type=Path, metavar="PATH", help="train this GGUF file or folder instead of the drafter"
    )
    train.add_argument(
        "--merged", type=Path, metavar="DIR", help="also write the whole trained model, for other engines"
    )
    train.add_argument("--name", default="field", help="name of the adapter (default: field)")
    train.add_argument("--config", type=Path, metavar="FILE.toml", help="the recipe; `adapt recipe` prints one")
    train.add_argument("--limit", type=positive, metavar="N", help="use at most N questions, the same ones each time")
    train.add_argument("--off", action="store_true", help="do not turn it on")
    train.add_argument("--json", action="store_true", help="print the card as JSON")
    listed = action("list", _list, "list the adapters in this library")
    listed.add_argument("--json", action="store_true", help="print as JSON")
    action("recipe", _recipe, "print the recipe, to edit and pass with --config")
    for name, do, told in (
        ("on", _on, "use the drafter with this adapter"),
        ("remove", _remove, "delete this adapter"),
    ):
        action(name, do, told).add_argument("name", metavar="NAME")
    action("off", _off, "use the drafter as it came, without an adapter of yours")
    ready = action("prepare", _prepare, "write a model with an untrained adapter, to train elsewhere")
    ready.add_argument("--model", required=True, metavar="NAME", help="a folder, or a name on the Hugging Face hub")
    ready.add_argument("--out", type=Path, metavar="FILE.pt", help="what to write (FAMILY_with_lora.pt)")
    ready.add_argument("--config", type=Path, metavar="FILE.toml", help="the recipe")
    ready.add_argument("--yes", action="store_true", help="do not ask for confirmation")


def run(options: argparse.Namespace) -> int:
    """Run the command; 0, or 1 if an adapter was not kept or the user said no."""
    return int(options.do(options))


def _adapters() -> Adapters:
    return Adapters(IngestSettings().library)


def _train(options: argparse.Namespace) -> int:
    if not (options.file or options.glossary or options.papers):
        raise AdapterError("There is nothing to train on.", "Give a file of questions, --glossary or --papers.")
    recipe = Recipe.read(options.config) if options.config else Recipe()
    settings, rag_settings = IngestSettings(), _chosen()
    adapters = Adapters(settings.library)
    adapters.check_free(checked(options.name))
    base = options.model.expanduser() if options.model else _base(rag_settings, settings.library.expanduser())
    if not base.exists():
        raise AdapterError(f"There is no {base}.", "Name a GGUF file, or a folder with config.json and *.safetensors.")
    if options.merged and options.merged.exists():
        raise AdapterError(f"{options.merged} already exists.", "Give a folder that does not exist yet for --merged.")
    print(_told(base), file=sys.stderr)
    with progress() as tell:
        taught, source = _examples(options, settings, tell)
        if len(taught) < FEW:
            print(
                f"Only {len(taught)} examples: with fewer than {FEW} a model mostly learns their wording. "
                "The adapter is kept only if it answers better.",
                file=sys.stderr,
            )
        taken = asyncio.run(
            teach(
                options.name,
                taught,
                base=base,
                recipe=recipe,
                adapters=adapters,
                source=source,
                merged=options.merged,
                threads=rag_settings.drafter_threads,
                tell=tell,
            )
        )
    on = not options.off and options.model is None
    if taken.adapter and on:
        adapters.switch_on(taken.adapter.name)
    if options.json:
        print(json.dumps({"kept": taken.adapter is not None, **taken.card}, ensure_ascii=False, indent=1))
    else:
        _print(taken, on=on)
    return 0 if taken.adapter else 1


def _chosen() -> RagSettings:
    """The settings, with what was chosen on the settings page."""
    return kept(IngestSettings().library.expanduser()).settings


def _base(settings: RagSettings, folder: Path) -> Path:
    """The drafter's file, also one in the `models` of the library in this folder."""
    if not settings.drafter:
        return embedded_drafter()
    found = None
    with suppress(UserFacingError):
        found = resolve(settings.drafter, registry=models(folder), library=folder)
    if isinstance(found, ModelFile) and is_onnx(found.path):
        raise AdapterError(
            f"{found.name} is an ONNX model, which cannot use an adapter.",
            "Train one for its source, and set SCHOLION_DRAFTER to that; or unset it to use the embedded model.",
        )
    if not isinstance(found, ModelFile):
        raise AdapterError(
            f"The drafter {settings.drafter} is not a file on this machine, so it cannot use an adapter.",
            "Set SCHOLION_DRAFTER to a GGUF file, or unset it to use the embedded model; or choose one in Settings.",
        )
    return found.path


def _told(base: Path) -> str:
    """What training takes, told before it starts: unpacked weights plus the overhead measured with 135M."""
    parameters = needs(str(base)).parameters if base.is_dir() else base.stat().st_size * 8 // BITS
    memory = "an unknown amount" if parameters is None else f"about {in_words(4 * parameters + COMPUTED)}"
    free = in_words(this_machine().ram_available)
    return printable(f"Training {base.stem} takes {memory} of memory; {free} is free. Nothing leaves this machine.")


def _examples(options: argparse.Namespace, settings: IngestSettings, tell: Tell) -> tuple[list[Taught], dict[str, Any]]:
    taught: list[Taught] = []
    source: dict[str, Any] = {}
    if options.file and options.file.suffix != ".csv":
        questions = load(options.file)
        folder = settings.library / "adapters" / ".corpus" / questions.digest
        with corpus_library(questions, folder, embedder=embedder_from(settings.embedder), tell=tell) as library:
            taught, source = _asked(options, library, tell)
    elif options.file:
        with open_library(settings) as library:
            taught, source = _asked(options, library, tell)
    if options.glossary or options.papers:
        with open_library(settings) as library:
            if options.glossary:
                made = of_glossary(Terms(library).glossary.entries())
                taught, source = [*taught, *made], source | {"glossary": len(made)}
            if options.papers:
                made = _of_papers(library)
                taught, source = [*taught, *made], source | {"papers": len(made)}
    return taught, source


def _asked(options: argparse.Namespace, library: Library, tell: Tell) -> tuple[list[Taught], dict[str, Any]]:
    questions = load(options.file, papers=library.papers())
    cases = sampled(questions.cases, options.limit)

    async def prompts() -> tuple[list[Taught], int]:
        assistant = Assistant.open(kept(library.folder).settings, library=library)
        try:
            return await of_questions(cases, assistant.messages_for, tell=tell)
        finally:
            await assistant.close()

    taught, left_out = asyncio.run(prompts())
    return taught, {"questions": questions.name, "digest": questions.digest, "n": len(taught), "not_found": left_out}


def _of_papers(library: Library) -> list[Taught]:
    taught: list[Taught] = []
    texts: dict[str, Sequence[str]] = {}
    for paper in library.papers():
        chunks = library.chunks(library.chunk_ids([paper.id])).values()
        texts[paper.id] = [chunk.text for chunk in chunks]
        taught += of_paper(paper, texts[paper.id])
    meanings = [meaning for found in Terms(library).index().shorts.values() for meaning in found]
    taught += of_abbreviations(meanings, texts)
    return taught + of_texts(texts, most=MOST_TEXTS)


def _print(taken: Teaching, *, on: bool) -> None:
    card = taken.card
    print(f"Learned from {card['learned_from']} examples in {card['training_seconds']:.0f} s; ", end="")
    print(f"{card['held_out']} were held out.")
    if taken.before and taken.after and taken.difference:
        d = taken.difference
        between = "" if d.low is None or d.high is None else f" ({d.low:+.3f} to {d.high:+.3f})"
        print(
            f"Answer-F1 on the held-out questions: {taken.before.mean:.3f} before, {taken.after.mean:.3f} after: ",
            end="",
        )
        print(f"{d.mean:+.3f}{between}, n={d.n}")
    if taken.adapter is None:
        print("It does not answer better, so it was not kept. The drafter is unchanged.")
        return
    print(f"Kept in {printable(str(taken.adapter.folder))}, {in_words(card['bytes'])}.")
    name = taken.adapter.name
    if on:
        print("Restart Scholion to use it. `python -m rag adapt off` turns it off.")
    else:
        print(f"`python -m rag adapt on {name}` turns it on.")


def _list(options: argparse.Namespace) -> int:
    adapters = _adapters()
    on = adapters.on()
    rows = [(adapter, bool(on and on.name == adapter.name)) for adapter in adapters.all()]
    if options.json:
        shown = [{"name": adapter.name, "on": is_on, **adapter.card} for adapter, is_on in rows]
        print(json.dumps(shown, ensure_ascii=False, indent=1))
        return 0
    for adapter, is_on in rows:
        print(f"{'*' if is_on else ' '} {adapter.name}: {_in_short(adapter)}")
    if not rows:
        print("No adapters yet: `python -m rag adapt train FILE` trains one (docs/adapt.md).")
    return 0


def _in_short(adapter: Adapter) -> str:
    card = adapter.card
    figures = card.get("answer_f1") or {}
    before, after = figures.get("before"), figures.get("after")
    told = (
        f", Answer-F1 {before['mean']:.3f} → {after['mean']:.3f} on {after['n']} held out" if before and after else ""
    )
    return printable(f"for {card['base']['name']}, learned from {card['learned_from']} examples{told}")


def _on(options: argparse.Namespace) -> int:
    adapter, base = _adapters().switch_on(options.name), _base(_chosen(), IngestSettings().library.expanduser())
    print(f"{adapter.name} is on. Restart Scholion to use it.")
    if not adapter.is_for(base):
        print(f"It was made for {adapter.card['base']['name']}: it has no effect with {base.name} as the drafter.")
    return 0


def _off(_: argparse.Namespace) -> int:
    _adapters().switch_off()
    print("Your adapter is off. Restart Scholion to use the drafter as it came.")
    return 0


def _remove(options: argparse.Namespace) -> int:
    _adapters().remove(options.name)
    print(f"{options.name} was removed.")
    return 0


def _recipe(_: argparse.Namespace) -> int:
    print(Recipe().as_toml(), end="")
    return 0


def _prepare(options: argparse.Namespace) -> int:
    recipe = Recipe.read(options.config) if options.config else Recipe()
    out, takes = options.out or default_out(options.model), needs(options.model)
    memory = "an unknown amount of memory" if takes.memory is None else f"about {in_words(takes.memory)} of memory"
    free = this_machine().ram_available
    fetched = "" if takes.here else " It is downloaded from the Hugging Face hub first."
    minutes = "" if takes.seconds is None else f" and very roughly {max(1, round(takes.seconds / 60))} min"
    print(
        printable(
            f"Preparing {options.model} takes {memory} ({in_words(free)} are free), as much on the disk for "
            f"{out}{minutes}.{fetched}"
        ),
        file=sys.stderr,
    )
    if takes.memory and free and takes.memory > free:
        print("That is more memory than you have free.", file=sys.stderr)
    if not options.yes and not _agreed():
        return 1
    if not takes.here:
        let_hub_in(RagSettings().proxy)
    told = prepare(options.model, recipe, out)
    print(f"{printable(str(out))}: {told['parameters']:,} numbers, {told['of_the_adapter']:,} of them the adapter's.")
    return 0


def _agreed() -> bool:
    """Ask the user. Without a terminal the answer is no."""
    if not sys.stdin.isatty():
        print("Nothing was loaded. Add --yes to agree.", file=sys.stderr)
        return False
    try:
        return input("Continue? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False
