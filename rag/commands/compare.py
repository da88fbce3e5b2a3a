"""`python -m rag compare`: ask several models the same, and report time, tokens, cost, energy and quality."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ingest import IngestSettings, embedder_from, open_library
from rag.choices import kept
from rag.commands.options import positive, progress
from rag.comparison.calls import Terms
from rag.comparison.contenders import EMBEDDED, discovered, opened, parsed
from rag.comparison.figures import figures
from rag.comparison.nouns import Prompt, Question
from rag.comparison.prompting import Passages, bare
from rag.comparison.report import write_report
from rag.comparison.run import ABOUT, compare, forget, read_comparison
from rag.costs.energy import MachineCosts
from rag.costs.prices import list_version
from rag.errors import QuestionError, QuestionSetError
from rag.evaluation.cases import Case
from rag.evaluation.corpora import load
from rag.evaluation.corpus_library import corpus_library
from rag.evaluation.run import sampled
from rag.privacy.budget import BudgetLimits
from rag.privacy.consent import in_terminal
from rag.privacy.gate import Gate
from rag.reading.reader import trained_reader

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence

    from ingest import Library
    from rag.choices import Kept
    from rag.commands.options import Tell
    from rag.comparison.nouns import Contender, Prepare

PROMPT = "In one short paragraph: why does a small local model sometimes answer as well as a large one?"
"""What is asked if nothing is given."""

PROMPT_VARIABLE, MODELS_VARIABLE, STREAM_VARIABLE = "COMPARE_PROMPT", "BENCH_MODELS", "BENCH_STREAM"
"""Environment variables of the workshop's comparison. An option on the command line wins."""

READS = {"no": (False,), "yes": (True,), "both": (False, True)}


def add_to(commands: Any) -> None:
    """Add the command to an argument parser's commands."""
    text = "ask several models the same, and report time, tokens, cost, energy and quality"
    parser = commands.add_parser("compare", help=text, description=text, epilog=_EPILOG)
    parser.add_argument(
        "models", nargs="*", metavar="MODEL", help=f"see below (default: ${MODELS_VARIABLE}, or embedded)"
    )
    parser.add_argument(
        "--discovered", action="store_true", help="also every model that a server on this machine offers"
    )
    parser.add_argument("--prompt", metavar="TEXT", help=f"what to ask (default: ${PROMPT_VARIABLE})")
    parser.add_argument(
        "--questions", type=Path, metavar="FILE", help="a question set instead, as for `evaluate`: .csv, BEIR or QASPER"
    )
    parser.add_argument("--limit", type=positive, metavar="N", help="a sample of N questions, the same ones each time")
    parser.add_argument(
        "--retrieval", choices=tuple(READS), default="no", help="whether the prompt has passages of your papers"
    )
    parser.add_argument("--k", type=positive, metavar="N", help="passages in the prompt (SCHOLION_TOP_K)")
    parser.add_argument("--sentences", type=positive, metavar="N", help="the N nearest sentences instead of passages")
    parser.add_argument(
        "--repeats", type=positive, default=5, metavar="N", help="warm calls of each question (default: 5)"
    )
    parser.add_argument(
        "--cold", type=_none_or_more, default=1, metavar="N", help="calls right after a start (default: 1)"
    )
    parser.add_argument("--max-tokens", type=positive, default=128, metavar="N", help="longest answer (default: 128)")
    parser.add_argument("--no-stream", action="store_true", help=f"no times within an answer (${STREAM_VARIABLE}=0)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where to write (evaluations/compare-NAME)")
    parser.add_argument("--fresh", action="store_true", help="start again instead of continuing the run in DIR")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.set_defaults(run=run)


_EPILOG = (
    "MODEL is `embedded`, a name from `python -m rag models`, a GGUF file, a server's address with # and the model, or "
    "`transformers:` and a folder, a GGUF file or a registry name, run in this process. Options follow after commas: "
    "threads=N, context=N, adapter=yes, name=TEXT."
)


def _none_or_more(text: str) -> int:
    return 0 if text == "0" else positive(text)


def run(options: argparse.Namespace) -> int:
    """Run the command; 0, or 1 if a call failed or the run was stopped."""
    asked = [*(options.models or ([os.environ[MODELS_VARIABLE]] if os.environ.get(MODELS_VARIABLE) else []))]
    if options.discovered:
        asked += asyncio.run(discovered())
    models = parsed(asked or [EMBEDDED])
    told = os.environ.get(STREAM_VARIABLE, "1").strip().casefold()
    streamed = not options.no_stream and told not in {"0", "false", "no"}
    stopped = False
    with progress() as tell, _set_up(options, tell) as to_do:
        if options.fresh:
            forget(to_do.out)
        settings = {
            "models": [{"name": one.name, **one.as_row()} for one in models],
            "questions": to_do.name,
            "retrieval": options.retrieval,
            "shown": f"{options.sentences} sentences" if options.sentences else f"{to_do.k} passages",
            "repeats": options.repeats,
            "cold": options.cold,
            "max_tokens": options.max_tokens,
            "temperature": 0.0,
            "streamed": streamed,
            "prices": list_version(),
        }
        try:
            asyncio.run(_compare(options, to_do, models, settings, streamed=streamed, tell=tell))
        except KeyboardInterrupt:
            if not (to_do.out / ABOUT).is_file():
                raise
            stopped = True
        out = to_do.out
    done = read_comparison(out)
    page = write_report(done)
    if options.json:
        print(json.dumps([one.as_row() for one in figures(done)], ensure_ascii=False, indent=1))
    else:
        _print(done, page)
    if stopped:
        print("Stopped. The same command continues from here.", file=sys.stderr)
    return int(stopped or any(call.error for call in done.calls))


@dataclass(frozen=True, slots=True)
class _ToDo:
    """The questions, the library that passages come from, and the run's folder."""

    name: str
    questions: tuple[Question, ...]
    cases: dict[str, Case]
    library: Library
    gate: Gate
    kept: Kept
    titles: dict[str, str]
    k: int
    out: Path


@contextmanager
def _set_up(options: argparse.Namespace, tell: Tell) -> Iterator[_ToDo]:
    """The questions and the library: the user's, or one built from the question set's documents."""
    ingest = IngestSettings()
    chosen = kept(ingest.library.expanduser())
    k = options.k or chosen.settings.top_k
    if options.questions is not None and options.prompt is not None:
        raise QuestionError("Give either --prompt or --questions.")
    if options.questions is None or options.questions.suffix == ".csv":
        with open_library(ingest) as library:
            gate = Gate.of(library, chosen.settings)
            titles = {paper.id: paper.title for paper in library.papers()}
            if options.retrieval != "no" and not titles:
                raise QuestionSetError("Your library is empty.", "Add papers with `python -m ingest add PATH`.")
            if options.questions is None:
                text = options.prompt or os.environ.get(PROMPT_VARIABLE) or PROMPT
                name, cases = text, dict[str, Case]()
                questions: tuple[Question, ...] = (Question(id=sha256(text.encode()).hexdigest()[:12], text=text),)
            else:
                found = load(options.questions, papers=library.papers())
                name, cases = found.name, {case.id: case for case in sampled(found.cases, options.limit)}
                questions = _questions(cases)
            yield _ToDo(name, questions, cases, library, gate, chosen, titles, k, _folder(options, name))
        return
    found = load(options.questions)
    cases = {case.id: case for case in sampled(found.cases, options.limit)}
    used = {paper_id for case in cases.values() for paper_id in case.paper_ids or ()}
    searched = [one for one in found.documents if one.paper_id in used or not used]
    found = replace(found, cases=tuple(cases.values()), documents=tuple(searched) if options.retrieval != "no" else ())
    out = _folder(options, found.name)
    # the budget and the policy are the user's, whatever corpus is asked
    gate = Gate(ingest.library.expanduser(), limits=BudgetLimits.of(chosen.settings))
    with corpus_library(found, out / "corpus", embedder=embedder_from(ingest.embedder), tell=tell) as library:
        titles = {paper.id: paper.title for paper in library.papers()}
        yield _ToDo(found.name, _questions(cases), cases, library, gate, chosen, titles, k, out)


def _questions(cases: dict[str, Case]) -> tuple[Question, ...]:
    return tuple(
        Question(
            id=case.id,
            text=case.question,
            golds=tuple(reference.text for reference in case.references),
            answerable=case.answerable,
        )
        for case in cases.values()
    )


def _folder(options: argparse.Namespace, name: str) -> Path:
    if options.out:
        return Path(options.out)
    short = re.sub(r"[^\w.-]+", "-", name.removesuffix(".csv")).strip("-.")[:40].rstrip("-.") or "questions"
    return Path("evaluations") / f"compare-{short}"


async def _compare(
    options: argparse.Namespace,
    to_do: _ToDo,
    models: Sequence[Any],
    settings: dict[str, Any],
    *,
    streamed: bool,
    tell: Tell,
) -> None:
    folder = IngestSettings().library.expanduser()
    contenders: list[Contender] = []
    try:
        contenders += [await opened(one, to_do.kept, library=folder) for one in models]
        await compare(
            contenders,
            to_do.questions,
            prepare=_prompts(options, to_do),
            terms=Terms(
                max_tokens=options.max_tokens,
                machine=MachineCosts.from_settings(to_do.kept.settings),
                gate=to_do.gate,
                consent=in_terminal(to_do.titles),
                streamed=streamed,
            ),
            retrieval=READS[options.retrieval],
            cold=options.cold,
            repeats=options.repeats,
            settings=settings,
            out=to_do.out,
            tell=tell,
        )
    finally:
        for contender in contenders:
            await contender.close()


def _prompts(options: argparse.Namespace, to_do: _ToDo) -> Callable[[Question, bool], Prepare]:
    """Gives the prompt of a question: the same for every model."""
    passages = None
    if options.retrieval != "no":
        embedder = embedder_from(IngestSettings().embedder)
        passages = Passages(to_do.library, embedder, trained_reader(), to_do.k, options.sentences)
        passages.warm_up()  # keeps loading out of the times

    def prepare(question: Question, read: bool) -> Prepare:  # noqa: FBT001 - as `compare` calls it
        async def ready() -> Prompt:
            if not read or passages is None:
                return bare(question.text)
            case = to_do.cases.get(question.id)
            return await asyncio.to_thread(passages.prompt, question.text, case.paper_ids if case else None)

        return ready

    return prepare


def _print(done: Any, page: Path) -> None:
    for one in figures(done):
        what = f"{one.model}, {one.state}{', with passages' if one.retrieval else ''}"
        if not one.n:
            print(f"{what}: all {one.failed} calls failed")
            continue
        first = f"first token {one.to_first_token.p50:.2f} s, " if one.to_first_token else ""
        speed = f"{one.tokens_per_second.p50:.1f} tokens/s, " if one.tokens_per_second else ""
        whole = f"total {one.seconds.p50:.2f} s" if one.seconds else ""
        quality = f", answer F1 {one.quality.mean:.3f}" if one.quality else ""
        print(f"{what}: {first}{speed}{whole}{quality} (medians of {one.n})")
    failed = [call for call in done.calls if call.error]
    if failed:
        print(f"{len(failed)} calls failed. The first: {failed[0].model}: {failed[0].error}")
    print(f"\nThe report: {page}")
