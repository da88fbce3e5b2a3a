"""A report as one self-contained HTML page with its style and plots."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from rag.evaluation.report_page import Block, Heading, Missed, Plot, Table, Text, blocks, case_facts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rag.evaluation.cases import Result
    from rag.evaluation.report import Report

_STYLE = """
:root { color-scheme: light dark; --text: #1c2024; --dim: #60646c; --line: #dfe1e6; --page: #fff; --card: #f7f8fa;
  --one: #2563c9; --two: #b45309; --good: #18794e; --bad: #b4232a; }
@media (prefers-color-scheme: dark) { :root { --text: #e8eaed; --dim: #9ea3ab; --line: #34383f; --page: #15171a;
  --card: #1d2024; --one: #6ea8fe; --two: #f0a04b; --good: #5bcf9a; --bad: #ff8a8a; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2.5rem 1.25rem 4rem; max-width: 60rem; background: var(--page); color: var(--text);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1 { margin: 0 0 1rem; font-size: 1.7rem; line-height: 1.2; }
h2 { margin: 2.6rem 0 .8rem; font-size: 1.2rem; }
p { margin: .5rem 0; max-width: 46rem; }
p.lead { font-size: 1.08rem; }
p.note { color: var(--dim); font-size: .9rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums; }
th { color: var(--dim); font-weight: 600; vertical-align: bottom; }
th, td { padding: .4rem .7rem .4rem 0; text-align: right; border-bottom: 1px solid var(--line); }
th.words, td.words { text-align: left; }
td.words:first-child { font-weight: 600; }
td:not(.words) { white-space: nowrap; }
td.words:not(:first-child) { color: var(--dim); }
svg.plot { display: block; width: 100%; max-width: 44rem; height: auto; margin: .5rem 0 1rem; }
svg.interval { display: block; width: 150px; height: 18px; }
svg text { fill: var(--text); font: 12.5px system-ui, "DejaVu Sans", sans-serif; }
svg .tick, svg .label { fill: var(--dim); font-size: 11.5px; }
svg .over { paint-order: stroke; stroke: var(--page); stroke-width: 4px; }
svg .end { text-anchor: end; } svg .middle { text-anchor: middle; }
.grid { stroke: var(--line); } .axis, .zero { stroke: var(--dim); } .rail { stroke: var(--line); stroke-width: 2; }
.line { fill: none; stroke: var(--one); stroke-width: 2.2; } .line.s1 { stroke: var(--two); }
.band { fill: var(--one); opacity: .14; } .band.s1 { fill: var(--two); }
.dot { fill: var(--one); } .dot.s1 { fill: var(--two); }
.bar { fill: var(--one); opacity: .35; } .column { fill: var(--one); opacity: .75; }
.mark { stroke: var(--two); stroke-width: 1.6; stroke-dasharray: 4 3; }
article { margin: 1rem 0; padding: .9rem 1.1rem; background: var(--card); border: 1px solid var(--line);
  border-radius: .5rem; }
article h3 { margin: 0 0 .5rem; font-size: 1rem; line-height: 1.4; }
dl { display: grid; grid-template-columns: 9rem 1fr; gap: .2rem .8rem; margin: 0 0 .6rem; font-size: .9rem; }
dt { color: var(--dim); } dd { margin: 0; overflow-wrap: anywhere; }
ol { margin: 0; padding-left: 1.3rem; font-size: .86rem; color: var(--dim); }
li { margin: .35rem 0; overflow-wrap: anywhere; } li b { color: var(--text); }
.right { color: var(--good); font-weight: 600; }
@media (max-width: 40rem) { dl { grid-template-columns: 1fr; } }
@media print { article, tr, svg { break-inside: avoid; } }
"""


def to_html(report: Report) -> str:
    """The report as a page to open, send or print. It loads nothing, and its content security policy forbids it."""
    return page(f"Evaluation: {report.run.settings['questions']}", blocks(report))


def page(title: str, parts: Iterable[Block], *, style: str = "") -> str:
    """Blocks as a whole page; `style` is CSS that is added to that of every report."""
    body = "\n".join(_html(block) for block in parts)
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{escape(title)}</title>\n'
        f"<style>{_STYLE}{style}</style>\n</head>\n<body>\n<h1>{escape(title)}</h1>\n{body}\n</body>\n</html>\n"
    )


def _html(block: Block) -> str:
    match block:
        case Heading(text):
            return f"<h2>{escape(text)}</h2>"
        case Text(text, lead):
            return f'<p class="{"lead" if lead else "note"}">{escape(text)}</p>'
        case Plot(svg):
            return svg
        case Table(head, rows, words):
            kinds = ["words" if n in words else "" for n in range(len(head))]
            top = "".join(f'<th class="{kind}">{escape(cell)}</th>' for kind, cell in zip(kinds, head, strict=True))
            lines = ("".join(_cell(c, kind) for c, kind in zip(row, kinds, strict=True)) for row in rows)
            body = "".join(f"<tr>{line}</tr>" for line in lines)
            return f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'
        case Missed(result):
            return _html_case(result)


def _cell(cell: str | Plot, kind: str) -> str:
    return f'<td class="{kind}">{cell.svg if isinstance(cell, Plot) else escape(cell)}</td>'


def _html_case(result: Result) -> str:
    lines = "".join(f"<dt>{escape(label)}</dt><dd>{escape(text)}</dd>" for label, text in case_facts(result))
    found = "".join(
        f"<li>{'<span class=right>right</span> ' if s.right else ''}<b>{escape(s.title)}</b>"
        f"{escape(f', {s.place}') if s.place else ''}<br>{escape(s.text)}</li>"
        for s in result.top[:3]
    )
    return f"<article><h3>{escape(result.question)}</h3><dl>{lines}</dl><ol>{found}</ol></article>"
