"""A chat as Markdown, and as one HTML file that prints well; both end with the references in the chosen style."""

from __future__ import annotations

import re
from datetime import datetime
from html import escape
from typing import TYPE_CHECKING

from rag.costs.accounting import total
from rag.costs.words import cost_words
from rag.inert import table
from rag.texts import N_, _, counted, now, number, percent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ingest import Paper
    from ingest.references import References
    from ui.exports.turns import Chat, Turn

_MARKER = re.compile(r" ?\[(\d{1,3})\]")
_RUN = re.compile(r"\] \[(?=\d)")
_MARKDOWN = re.compile(r"[\\`*_\[\]<>|~$#]|&(?=#?\w{1,32};)|^[ \t]*(?:[-+=]|\d{1,9}[.)])(?=\s|$)", re.MULTILINE)
_VERDICTS = {"weak": N_("Partially supported"), "unsupported": N_("Not supported")}

CSS = """
:root { color-scheme: light; }
body { font: 11pt/1.5 Georgia, 'Times New Roman', serif; color: #1a1a1a; background: #fff; margin: 0 auto;
  max-width: 42rem; padding: 2rem 1.25rem; overflow-wrap: break-word; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .25rem; }
h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; padding-top: .75rem; border-top: 1px solid #ccc; white-space: pre-line; }
h3 { font: 600 .85rem/1.4 system-ui, sans-serif; margin: 1rem 0 .25rem; color: #444; }
p { margin: 0 0 .6rem; white-space: pre-line; }
blockquote { margin: .4rem 0 .4rem 1rem; padding-left: .75rem; border-left: 3px solid #ccc; }
.about, .facts { font: .8rem/1.4 system-ui, sans-serif; color: #555; }
.doubt { color: #8a4b00; }
table { border-collapse: collapse; margin: 0 0 .6rem; font-size: .85rem; width: 100%; }
th, td { border: 1px solid #ccc; padding: .25rem .5rem; text-align: left; vertical-align: top; }
ul.quotes, ul.doubts, ol.references { padding-left: 1.25rem; }
.references { list-style: none; padding-left: 0 !important; }
.references li { padding-left: 2em; text-indent: -2em; margin-bottom: .4rem; }
@page { margin: 2cm; }
@media print {
  body { max-width: none; padding: 0; font-size: 10.5pt; }
  h2, h3 { break-after: avoid; }
  blockquote, li, tr { break-inside: avoid; }
}
"""


def as_markdown(chat: Chat, references: References | None) -> str:
    """The chat as Markdown; nothing that a paper or a person wrote is Markdown in it.

    Args:
        chat: what was said.
        references: of `chat.papers`; None where nothing is cited.
    """
    blocks = [f"# {_md(chat.name)}", _about(chat)]
    for turn in chat.turns:
        if turn.role == "question":
            blocks.append("## " + _md(turn.text))
        elif turn.table:
            blocks.append(table(turn.table))
        else:
            blocks += [_lines(_numbered(turn, chat, references))]
        if turn.cited:
            blocks.append(
                "\n".join(
                    f"- {_md(where)}: {_('“{quote}”').format(quote=_md(quote))}" for quote, where in _quotes(turn, chat)
                )
            )
        if doubts := _doubts(turn):
            blocks.append("\n".join(f"- *{why}:* {_md(text)}" for text, why in doubts))
        if said := _facts(turn):
            blocks.append(f"*{_md(said)}*")
    if references:
        blocks.append(f"## {_('References')}\n\n" + "\n\n".join(_md(text) for _, text in references.entries()))
    return "\n\n".join(block for block in blocks if block) + "\n"


def as_html(chat: Chat, references: References | None) -> str:
    """The same as one HTML file that loads nothing else; every text in it is escaped."""
    parts = [f"<h1>{escape(chat.name)}</h1>", f'<p class="about">{escape(_about(chat))}</p>']
    for turn in chat.turns:
        if turn.role == "question":
            parts.append(f"<h2>{escape(turn.text)}</h2>")
        elif turn.table:
            parts.append(_table(turn.table))
        else:
            paragraphs = re.split(r"\n{2,}", _numbered(turn, chat, references))
            parts += [f"<p>{escape(paragraph)}</p>" for paragraph in paragraphs if paragraph.strip()]
        if quotes := _quotes(turn, chat):
            parts.append(f"<h3>{escape(_('Words of the papers'))}</h3>")
            parts += [
                f"<blockquote>{_('“{quote}”').format(quote=escape(quote))} "
                f"<span class='about'>{escape(where)}</span></blockquote>"
                for quote, where in quotes
            ]
        if doubts := _doubts(turn):
            said = "".join(f"<li class='doubt'>{escape(why)}: {escape(text)}</li>" for text, why in doubts)
            parts.append(f"<h3>{escape(_('Sentences in doubt'))}</h3><ul class='doubts'>{said}</ul>")
        if facts := _facts(turn):
            parts.append(f'<p class="facts">{escape(facts)}</p>')
    if references:
        entries = "".join(f"<li>{markup}</li>" for _, markup in references.markup())
        parts.append(f'<h2>{escape(_("References"))}</h2><ol class="references">{entries}</ol>')
    body = "\n".join(parts)
    return (
        f'<!doctype html>\n<html lang="{now().code}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(chat.name)}</title>\n<style>{CSS}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _table(rows: Sequence[Sequence[str]]) -> str:
    """The rows, head first, as HTML."""
    head, *others = rows
    lines = [f"<tr>{''.join(f'<th>{escape(cell)}</th>' for cell in head)}</tr>"]
    lines += [f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in others]
    return "<table>\n" + "\n".join(lines) + "\n</table>"


def _about(chat: Chat) -> str:
    cost = total(cost.usd for cost in chat.costs)
    parts = [
        _date(chat.created_at),
        counted(len(chat.costs), "answer"),
        _("{papers} cited").format(papers=counted(len(chat.papers), "paper")),
        cost_words(cost) if chat.costs else "",
    ]
    return "Scholion · " + " · ".join(part for part in parts if part)


def _date(at: str | None) -> str:
    try:
        return now().day(datetime.fromisoformat(str(at)))
    except ValueError:
        return ""


def _numbered(turn: Turn, chat: Chat, references: References | None) -> str:
    where: dict[int, tuple[Paper, int]] = {}
    for cited in turn.cited:
        if cited.paper_id in chat.papers:
            where.setdefault(cited.marker, (chat.papers[cited.paper_id], cited.page))
    return cited_in_style(turn.text, where, references) if turn.cited else turn.text


def cited_in_style(text: str, where: Mapping[int, tuple[Paper, int]], references: References | None) -> str:
    """The text with each marker as the style cites; a marker that is not in `where` is dropped.

    Args:
        text: with markers like [3].
        where: the paper and the page of each marker.
        references: of those papers.
    """

    def said(found: re.Match[str]) -> str:
        if references is None or (cited := where.get(int(found[1]))) is None:
            return ""
        paper, page = cited
        return f" {references.in_text(paper.id, paper.page_label(page) or str(page))}"

    return _RUN.sub("][", _MARKER.sub(said, text)).strip()


def _quotes(turn: Turn, chat: Chat) -> list[tuple[str, str]]:
    """Each quote with where it stands, as a person names it."""
    found: dict[tuple[str, str], None] = {}
    for cited in turn.cited:
        paper = chat.papers.get(cited.paper_id)
        where = _("a paper no longer in the library")
        if paper:
            page = _("p. {page}").format(page=paper.page_name(cited.page))
            where = f"{paper.short_cite}, {page}"
        if cited.quote:
            unlike = "" if cited.verbatim is not False else _(", not verbatim")
            found[" ".join(cited.quote.split()), where + unlike] = None
    return list(found)


def _doubts(turn: Turn) -> list[tuple[str, str]]:
    rows = (turn.facts or {}).get("sentences") or []
    return [
        (str(row.get("text")), _(_VERDICTS[row["support"]]))
        for row in rows
        if isinstance(row, dict) and row.get("support") in _VERDICTS
    ]


def _facts(turn: Turn) -> str:
    """One line: confidence, model, time, cost, and what the reader thought of it."""
    facts = turn.facts or {}
    sure = facts.get("confidence") or {}
    models = [str(model.get("name")) for model in facts.get("models") or [] if model.get("name") != "quotation"]
    parts = [
        _("Confidence {share}").format(share=percent(sure["score"]))
        if isinstance(sure.get("score"), (int, float))
        else "",
        " → ".join(models),
        _("{n} s").format(n=number(facts["seconds"], 1)) if isinstance(facts.get("seconds"), (int, float)) else "",
        cost_words(facts.get("usd")) if facts else "",
    ]
    if facts:
        parts.append(
            _("stayed on this machine")
            if facts.get("stayed")
            else _("sent to {models}").format(models=facts.get("sent_to") or _("a model"))
        )
    if turn.feedback:
        comment = f" ({turn.feedback['comment']})" if turn.feedback.get("comment") else ""
        marked = _("marked as good") if turn.feedback["value"] == "good" else _("marked as bad")
        parts.append(f"{marked}{comment}")
    return " · ".join(part for part in parts if part)


def _md(text: str) -> str:
    """Text on one line with nothing in it that Markdown acts on; addresses stay whole, for references have some."""
    flat = " ".join(text.split())
    return _MARKDOWN.sub(lambda found: f"{found[0][:-1]}\\{found[0][-1]}", flat)


def _lines(text: str) -> str:
    """Text as Markdown paragraphs with nothing in it that Markdown acts on; lists stay one item a line."""
    paragraphs = re.split(r"\n{2,}", text)
    return "\n\n".join("  \n".join(_md(line) for line in paragraph.split("\n")) for paragraph in paragraphs)
