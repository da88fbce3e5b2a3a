"""The contents of a report as a list of blocks, and the blocks as Markdown."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rag.evaluation.measures import FOUND, is_measured
from rag.evaluation.metrics import RESAMPLES
from rag.evaluation.plots import Curve, Point, curves, histogram, interval
from rag.evaluation.report import Report, first_right, wrongly_answered, wrongly_refused
from rag.words import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rag.evaluation.cases import Result
    from rag.evaluation.metrics import Abstentions, Difference, Estimate

PAPERS = 15
"""Rows in the table by paper; the other papers are only counted."""

UNKNOWN = "–"
NOT_MEASURED = "not measured"

_WHAT = {"own": "your own questions", "qasper": "QASPER", "beir": "BEIR"}


@dataclass(frozen=True, slots=True)
class Heading:
    """A section's title."""

    text: str


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph."""

    text: str
    lead: bool = False


@dataclass(frozen=True, slots=True)
class Plot:
    """SVG for the page. Markdown leaves it out; the table next to it says the same."""

    svg: str


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text; a `Plot` cell appears on the page only."""

    head: tuple[str, ...]
    rows: tuple[tuple[str | Plot, ...], ...]
    words: tuple[int, ...] = (0,)
    """Columns with words; the others are numbers and are aligned right."""


@dataclass(frozen=True, slots=True)
class Missed:
    """A case that went wrong, with what was found instead."""

    result: Result


Block = Heading | Text | Plot | Table | Missed


def blocks(report: Report) -> Iterator[Block]:
    """The blocks of the report, in order."""
    yield from _lead(report)
    if report.other:
        yield from _comparison(report)
    for part, title in (("search", "Search"), ("answers", "Answers")):
        rows = [(f, e) for f, e in report.measures if f.part == part and f.unit == "share"]
        if rows:
            yield Heading(title)
            cells = (
                (
                    f.name,
                    _dot(e),
                    _share(e.mean) if e else UNKNOWN if is_measured(f, report.run.results) else NOT_MEASURED,
                    _interval(e),
                    str(e.n if e else 0),
                    f.meaning,
                )
                for f, e in rows
            )
            yield Table(("Figure", "", "Value", "95 % interval", "Questions", "Meaning"), tuple(cells), (0, 5))
            if note := _few_papers(report, [e for _, e in rows if e]):
                yield Text(note)
        if part == "search":
            yield from _recall(report)
    yield from _refusals(report)
    yield from _times(report)
    yield from _papers(report)
    yield from _misses(report)
    yield from _made_how(report)


def _lead(report: Report) -> Iterator[Block]:
    run = report.run
    about, k = run.about, run.settings["k"]
    yield Text(
        f"{report.n} questions ({_WHAT[about['kind']]}) asked of {counted(about['n_papers'], 'paper')} with "
        f"{counted(about['n_chunks'], 'passage')}; the {k} best passages were looked at for each.",
        lead=True,
    )
    found = {measure.name: estimate for measure, estimate in report.measures}
    five, first = found.get("Hit@5") or found.get(f"Hit@{k}"), found["Hit@1"]
    if five and first:
        n = min(5, k)
        yield Text(
            f"{round(five.mean * five.n)} of {five.n} questions have {FOUND[about['kind']]} among the first {n} "
            "passages" + (f", {round(first.mean * first.n)} of them as the first." if n > 1 else "."),
            lead=True,
        )
    refused = report.answer_abstentions or report.search_abstentions
    if refused.n_unanswerable:
        yield Text(
            f"“Not in your papers” was correctly said for {refused.right} of {refused.n_unanswerable} questions the "
            f"papers do not answer, and wrongly for {refused.false} of {refused.n_answerable} that they do.",
            lead=True,
        )
    if report.errors:
        first_error = _short(report.errors[0].error or "", 200)
        yield Text(
            f"{counted(len(report.errors), 'question')} could not be asked and count nowhere below. "
            f"The first error: {first_error}"
        )
    asked = len(run.results)
    if asked < about["n_cases"]:
        yield Text(
            f"These are {asked} of the set's {about['n_cases']:,} questions: a sample, or a run that was stopped."
        )


def _comparison(report: Report) -> Iterator[Block]:
    assert report.other
    yield Heading(f"Compared with {report.other.name}")
    yield Text(
        f"The same {report.n_common} questions in both runs. A difference counts as real if its interval excludes "
        "zero; with this many figures, look first at the one you chose beforehand."
    )
    rows = []
    for row in report.compared:
        d, seconds = row.difference, row.measure.unit == "s"
        unit = " s" if seconds else ""
        rows.append(
            (
                row.measure.name,
                _difference_dot(d) if not seconds else Plot(""),
                _share(row.ours) + unit,
                _share(row.theirs) + unit,
                f"{d.mean:+.3f}",
                UNKNOWN if d.low is None or d.high is None else f"{d.low:+.3f} to {d.high:+.3f}",
                UNKNOWN if d.p is None else ("< 0.001" if d.p < 0.001 else f"{d.p:.3f}"),
                f"{d.higher} / {d.lower} / {d.same}",
            )
        )
    head = ("Figure", "", "This", "Other", "Difference", "95 % interval", "p", "Higher / lower / same")
    yield Table(head, tuple(rows))
    if missing := [f.name for f, _ in report.measures if not is_measured(f, report.other.results)]:
        yield Text(f"Not measured in {report.other.name}: {', '.join(missing)}.")


def _recall(report: Report) -> Iterator[Block]:
    if len(report.recall) < 2:
        return
    yield Heading("How many passages are enough")
    alike = all(recall == hit for _, recall, hit in report.recall)  # true if each question has one target
    series = [("Found" if alike else "Anything right (hit)", [(k, hit) for k, _, hit in report.recall])]
    if not alike:
        series.append(("Everything right (recall)", [(k, recall) for k, recall, _ in report.recall]))
    lines = [Curve(name, tuple(Point(k, e.mean, e.low, e.high) for k, e in points)) for name, points in series]
    yield Plot(curves(lines, x_label="passages, best first"))
    ks = [row for row in report.recall if row[0] in (1, 2, 3, 5, 10, 20, 50, 100)]
    yield Table(
        ("Passages", *(str(k) for k, _, _ in ks)),
        (("Hit", *(_share(hit.mean) for _, _, hit in ks)), ("Recall", *(_share(recall.mean) for _, recall, _ in ks))),
    )


def _refusals(report: Report) -> Iterator[Block]:
    rows = []
    for name, refused in (
        ("Search alone: nothing relevant to the question", report.search_abstentions),
        ("Answer: “This is not in your papers.”", report.answer_abstentions),
    ):
        if refused and (refused.n_answerable or refused.n_unanswerable):
            rows.append((name, *_shares(refused)))
    if rows:
        yield Heading("Abstaining")
        yield Table(
            ("Who abstains", "Correctly, on unanswerable questions", "Wrongly, on answerable ones"), tuple(rows)
        )


def _shares(refused: Abstentions) -> tuple[str, str]:
    return (
        f"{refused.right} of {refused.n_unanswerable}" if refused.n_unanswerable else UNKNOWN,
        f"{refused.false} of {refused.n_answerable}" if refused.n_answerable else UNKNOWN,
    )


def _times(report: Report) -> Iterator[Block]:
    if not report.seconds:
        return
    yield Heading("Time")
    half, most, *_ = report.stages["in all"]
    scale, unit, digits = (1000.0, "ms", 1) if most < 2 else (1.0, "s", 2)
    marks = [(f"{name}: {s * scale:.{digits}f} {unit}", s * scale) for name, s in (("half", half), ("95 %", most))]
    yield Plot(histogram([s * scale for s in report.seconds], marks=marks, x_label=f"{unit} per question"))
    rows = [(name, *(f"{s * scale:.{digits}f}" for s in times)) for name, times in report.stages.items()]
    yield Table((f"Stage ({unit})", "half of the questions", "95 %", "99 %", "slowest"), tuple(rows))
    if report.tokens:
        read, written = report.tokens
        yield Text(f"Tokens: {read:,} read and {written:,} written by the model, as its server counted them.")
    elif report.run.settings["answers"] is not None:
        yield Text("Total tokens: unknown, because some answers came without a count.")


def _papers(report: Report) -> Iterator[Block]:
    if not report.papers:
        return
    yield Heading("By paper")
    names = tuple(report.papers[0].values)
    rows = [
        (_short(row.group, 90), str(row.n), *(UNKNOWN if v is None else _share(v) for v in row.values.values()))
        for row in report.papers[:PAPERS]
    ]
    yield Table(("Paper, worst first", "Questions", *names), tuple(rows))
    if len(report.papers) > PAPERS:
        yield Text(f"{len(report.papers) - PAPERS} more papers did better.")


def _misses(report: Report) -> Iterator[Block]:
    yield Heading("Failures")
    if not report.worst:
        yield Text("None on these questions.")
        return
    yield Text(
        "First the questions whose correct passage was missing or not ranked first, then wrong abstentions and wrong "
        "answers to unanswerable questions, then answers that differ from the expected one: the worst of each kind, "
        "with what was found."
    )
    for result in report.worst:
        yield Missed(result)


def _made_how(report: Report) -> Iterator[Block]:
    run = report.run
    settings, about = run.settings, run.about
    yield Heading("Method")
    rows = [
        ("Questions", f"{settings['questions']}, digest {settings['questions_digest']}"),
        ("Papers", f"{about['n_papers']:,}, digest of their passages {settings['papers_digest']}"),
        ("Embedder", settings["embedder"]),
        *((f"Answers: {name.replace('_', ' ')}", str(v)) for name, v in (settings["answers"] or {}).items()),
        ("Code", f"digest {settings['code_digest']}"),
        ("Machine", f"{about['machine']}, Python {about['python']}, started {about['began']}"),
    ]
    if about["n_cut"]:
        rows.append(("Cut off", f"{about['n_cut']:,} passages are longer than the embedder can read."))
    yield Table(("", ""), tuple(rows), (0, 1))
    yield Text(
        f"Intervals: percentile bootstrap over papers, {RESAMPLES:,} draws, always the same seed; where questions "
        "have no paper, over questions; none if all values are equal. nDCG as in trec_eval (gain = grade, "
        "discount log2). Answer F1 and Evidence-F1 by the rules of QASPER (Dasigi et al. 2021). Questions for which "
        "a figure is unknown are left out of it; n says how many are in. docs/evaluation.md explains each."
    )


def _few_papers(report: Report, found: Sequence[Estimate]) -> str | None:
    n = max((e.n_groups for e in found), default=0)
    if n >= 10 or n == 0 or report.run.about["kind"] == "beir":
        return None
    few = counted(n, "paper")
    return f"The intervals come from {few} only and are too narrow: use questions about ten papers or more."


def _share(value: float) -> str:
    return f"{value:.3f}"


def _interval(e: Estimate | None) -> str:
    return UNKNOWN if e is None or e.low is None or e.high is None else f"{e.low:.3f} to {e.high:.3f}"


def _dot(e: Estimate | None) -> Plot:
    return Plot(interval(Point(0, e.mean, e.low, e.high)) if e else "")


def _difference_dot(d: Difference) -> Plot:
    reach = max(0.1, *(abs(v) for v in (d.mean, d.low, d.high) if v is not None))
    return Plot(interval(Point(0, d.mean, d.low, d.high), start=-reach, end=reach))


def _short(text: str, limit: int) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[:limit].rsplit(" ", 1)[0] + " …"


def case_facts(result: Result) -> list[tuple[str, str]]:
    """What is shown of a missed case, as (label, text)."""
    rank = first_right(result)
    lines = [("Expected", "; ".join(result.expected[:4]) + (" …" if len(result.expected) > 4 else ""))]
    if result.golds:
        lines.append(("Expected answer", " / ".join(dict.fromkeys(_short(gold, 160) for gold in result.golds))))
    if result.relevant:
        lines.append(("Right passage", f"at rank {rank}" if rank else f"not among the first {len(result.ranked)}"))
    if result.answer:
        lines.append(("Answered", _short(result.answer.text, 300) or "nothing"))
    if wrongly_refused(result):
        lines.append(("Abstained", "wrongly: the question can be answered"))
    if wrongly_answered(result):
        lines.append(("Not abstained", "wrongly: the papers do not answer the question"))
    return [(label, text) for label, text in lines if text]


# -- Markdown ----------------------------------------------------------------------------------------------------------


def to_markdown(report: Report) -> str:
    """The report as Markdown for a terminal, a repository or a message."""
    return markdown(f"Evaluation: {report.run.settings['questions']}", blocks(report))


def markdown(title: str, parts: Iterable[Block]) -> str:
    """Blocks as Markdown, without their plots."""
    lines = [f"# {_md(title)}", ""]
    for block in parts:
        match block:
            case Heading(text):
                lines += [f"## {_md(text)}", ""]
            case Text(text):
                lines += [_md(text), ""]
            case Table():
                lines += [*_markdown_table(block), ""]
            case Missed(result):
                lines += [*_markdown_case(result), ""]
            case Plot():
                pass
    return "\n".join(lines).rstrip() + "\n"


def _markdown_table(table: Table) -> Iterator[str]:
    plots = {n for row in table.rows for n, cell in enumerate(row) if isinstance(cell, Plot)}
    kept = [n for n in range(len(table.head)) if n not in plots]
    yield "| " + " | ".join(table.head[n] for n in kept) + " |"
    yield "|" + "|".join("---" if n in table.words else "--:" for n in kept) + "|"
    for row in table.rows:
        cells = [row[n] for n in kept]
        yield "| " + " | ".join(_md(cell) for cell in cells if isinstance(cell, str)) + " |"


def _markdown_case(result: Result) -> Iterator[str]:
    yield f"**{_md(result.question)}**"
    yield ""
    for label, text in case_facts(result):
        yield f"- {label}: {_md(text)}"
    for n, shown in enumerate(result.top[:3], start=1):
        place = f", {_md(shown.place)}" if shown.place else ""
        yield f"- Found {n}{' (right)' if shown.right else ''}: *{_md(shown.title)}*{place}: {_md(shown.text)}"


def _md(text: str) -> str:
    """The text with Markdown's special characters escaped."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", text)
