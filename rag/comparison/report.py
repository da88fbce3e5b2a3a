"""The report of a comparison: what was measured, where the text went, and whether the clocks agree."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ingest import write_atomically
from rag.comparison.figures import figures, flat_rows
from rag.comparison.nouns import STAGES
from rag.comparison.plots import STYLE, Bar, bars
from rag.comparison.sheets import as_csv
from rag.costs.words import cost_words
from rag.evaluation.report_html import page
from rag.evaluation.report_page import UNKNOWN, Heading, Plot, Table, Text, markdown
from rag.models.machine import in_words
from rag.words import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from rag.comparison.figures import Figures, Spread
    from rag.comparison.nouns import Comparison
    from rag.evaluation.report_page import Block

TITLE = "Comparison of models"

_ENERGY = {"counter": "counted", "estimated": "estimate", "none": "unknown"}


def write_report(run: Comparison) -> Path:
    """Write JSON, CSV, Markdown and HTML into the run's folder; the path of the HTML."""
    found = figures(run)
    out = run.folder
    told = {
        "settings": dict(run.settings),
        "about": dict(run.about),
        "figures": [one.as_row() for one in found],
    }
    write_atomically(out / "report.json", json.dumps(told, ensure_ascii=False, indent=1) + "\n")
    write_atomically(out / "calls.csv", as_csv(flat_rows(run)))
    parts = list(blocks(run, found))
    write_atomically(out / "report.md", markdown(TITLE, parts))
    write_atomically(out / "report.html", page(TITLE, parts, style=STYLE))
    return out / "report.html"


def blocks(run: Comparison, found: Sequence[Figures]) -> Iterator[Block]:
    """The report, in order."""
    n = len(run.questions)
    yield Text(
        f"{counted(len(run.models), 'model')}, {counted(n, 'question')}, "
        f"{run.settings['repeats']} warm and {run.settings['cold']} cold calls each. All models got the same input, "
        f"at temperature {run.settings['temperature']:g}, with at most {run.settings['max_tokens']} tokens to write. "
        "Their order rotated.",
        lead=True,
    )
    failed = [call for call in run.calls if call.error]
    if failed:
        yield Text(f"{counted(len(failed), 'call')} failed. The first: {failed[0].model}: {failed[0].error}")
    for retrieval in (False, True):
        for state in ("warm", "cold"):
            rows = [one for one in found if (one.retrieval, one.state) == (retrieval, state)]
            if rows:
                yield Heading(f"{state.capitalize()}, {'with passages' if retrieval else 'the question alone'}")
                yield from _times(rows)
    yield from _what(found)
    yield from _where(found)
    yield from _answers(run)
    yield from _trust(found)
    yield from _how(run)


def _times(rows: Sequence[Figures]) -> Iterator[Block]:
    drawn = [
        Bar(one.model, tuple(value or 0.0 for value in one.stages.values()), one.seconds.p95 if one.seconds else None)
        for one in rows
        if all(value is not None for value in one.stages.values())
    ]
    if drawn:
        yield Plot(bars(drawn, parts=STAGES, unit="s"))
    yield Table(
        (
            "Model",
            "Calls",
            *(f"{name.capitalize()} s" for name in STAGES),
            "Total s (95 %)",
            "To first token s (95 %)",
            "Between pieces ms (95 %)",
            "Tokens/s",
        ),
        tuple(
            (
                one.model,
                f"{one.n}" + (f", {one.failed} failed" if one.failed else ""),
                *(_number(value) for value in one.stages.values()),
                _spread(one.seconds),
                _spread(one.to_first_token),
                _spread(one.gap, 1000),
                _number(one.tokens_per_second.p50 if one.tokens_per_second else None),
            )
            for one in rows
        ),
    )


def _what(found: Sequence[Figures]) -> Iterator[Block]:
    yield Heading("Tokens, cost, energy, memory, quality")
    yield Table(
        (
            "Model",
            "Input",
            "Prompt tokens",
            "Completion tokens",
            "Cost of a call",
            "Energy of a call",
            "Memory",
            "Answer F1",
            "Declined the unanswerable",
        ),
        tuple(
            (
                f"{one.model}, {one.state}",
                "with passages" if one.retrieval else "question",
                _number(one.input_tokens),
                _number(one.output_tokens),
                cost_words(one.usd) if one.n else UNKNOWN,
                f"{one.wh:.2g} Wh, {_ENERGY[one.measured]}" if one.wh is not None else "unknown",
                f"{in_words(one.memory)}, {one.memory_of}" if one.memory is not None else "unknown",
                _quality(one),
                UNKNOWN if one.abstained is None else f"{one.abstained:.0%}",
            )
            for one in found
        ),
        (0, 1, 5, 6),
    )
    if any(one.usd is None and one.n for one in found):
        yield Text(
            "A local cost is unknown until SCHOLION_HARDWARE_PRICE and SCHOLION_KWH_PRICE are set (docs/costs.md), and "
            "energy until the machine has counters or SCHOLION_WATTS is set. A service's cost is unknown if the price "
            "list has no price for this model at this address."
        )


def _where(found: Sequence[Figures]) -> Iterator[Block]:
    yield Heading("Where the text went")
    seen: dict[str, tuple[str, int | None]] = {}
    for one in found:
        place, sent = "; ".join(one.went_to) or UNKNOWN, one.sent_bytes
        before = seen.get(one.model, (place, 0))[1]
        seen[one.model] = (place, None if before is None or sent is None else before + sent)
    yield Table(
        ("Model", "Where", "Left this machine"),
        tuple(
            (name, place, "unknown" if sent is None else "nothing" if sent == 0 else f"{sent / 1000:,.1f} kB")
            for name, (place, sent) in seen.items()
        ),
        (0, 1, 2),
    )


def _answers(run: Comparison) -> Iterator[Block]:
    if len(run.questions) > 1:
        return
    yield Heading("What they wrote")
    yield Text(run.questions[0].text)
    said: dict[tuple[str, str], None] = {}
    for call in run.calls:
        if not call.error:
            said[call.model + (", with passages" if call.retrieval else ""), call.text.strip()] = None
    yield Table(("Model", "Text"), tuple((name, text or UNKNOWN) for name, text in said), (0, 1))


def _trust(found: Sequence[Figures]) -> Iterator[Block]:
    yield Heading("Do the clocks agree?")
    yield Table(
        (
            "Model",
            "Stages against total",
            "Tokens equal the server's count",
            "First token against the server's time",
            "Different inputs",
            "Calls with cached input",
        ),
        tuple(
            (
                f"{one.model}, {one.state}{', with passages' if one.retrieval else ''}",
                _off(one.checks.stages_off),
                {True: "yes", False: "no", None: "server says none"}[one.checks.tokens_agree],
                _off(one.checks.first_token_off, signed=True),
                str(one.checks.n_prompts),
                str(one.checks.n_cached),
            )
            for one in found
        ),
    )
    yield Text(
        "“Stages against total” is the largest difference; “first token” is the median. Only llama.cpp and the "
        "transformers model report times of their own."
    )
    if any(one.checks.n_cached for one in found):
        yield Text(
            "Some calls had part of their input in the server's cache from an earlier call, so their first token came "
            "earlier than for a new question."
        )


def _how(run: Comparison) -> Iterator[Block]:
    yield Heading("How it was made")
    about = run.about
    rows = [
        ("Began", str(about["began"])),
        ("Machine", str(about["machine"])),
        ("Python", str(about["python"])),
        ("Questions", str(run.settings["questions"])),
        ("Prices", str(run.settings["prices"])),
        *((f"Model {one['name']}", _asked(one)) for one in run.settings["models"]),
    ]
    yield Table(("What", "Value"), tuple(rows), (0, 1))


def _asked(row: dict[str, Any]) -> str:
    options = [f"{name} {row[name]}" for name in ("threads", "context") if row.get(name)]
    return ", ".join([row["setting"], *options, *(["with its adapter"] if row.get("adapter") else [])])


def _spread(spread: Spread | None, times: float = 1.0) -> str:
    return UNKNOWN if spread is None else f"{_number(spread.p50 * times)} ({_number(spread.p95 * times)})"


def _number(value: float | None) -> str:
    if value is None:
        return UNKNOWN
    return f"{value:,.0f}" if value >= 100 or value == round(value) else f"{value:.3g}"


def _quality(one: Figures) -> str:
    if one.quality is None:
        return UNKNOWN
    found = one.quality
    between = "" if found.low is None or found.high is None else f" ({found.low:.2f} to {found.high:.2f})"
    return f"{found.mean:.3f}{between}, n={found.n}"


def _off(share: float | None, *, signed: bool = False) -> str:
    return UNKNOWN if share is None else f"{share:+.1%}" if signed else f"{share:.1%}"
