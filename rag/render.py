"""Answer → Markdown: the text with markers as links, sources, a footer with the cost; and text for export.

Two kinds of text arrive here and neither is trusted. *Titles, sections and quotes* come out of PDFs: they are made
inert, so that nothing in them is Markdown. *What a model wrote* may use Markdown, and goes through `rag.sanitise`
first; then its markers become links, and each sentence in doubt gets a mark (`rag.sentence_marks`), a link that leads
nowhere. No other link is made anywhere. A long file: every part of an answer that people see, in the order in which
they see it.
"""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING

from rag.answer import ABSTENTION, QUOTED_ANSWER
from rag.costs.energy import energy_words
from rag.costs.words import cost_words
from rag.inert import cut, inert, table
from rag.sanitise import INVISIBLE, LITERAL, sanitised
from rag.sentence_marks import legend, placed, shown
from rag.texts import N_, _, counted, number, percent, said, value
from rag.verify.attempts import changes
from rag.verify.citations import without_markers
from rag.words import content_words, split_sentences

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from ingest import Chunk, Paper
    from rag.answer import Answer, Change, Citation, Kind, Passage, Scope

TITLE_CHARS = 72
QUOTE_CHARS = 240
GLANCE_CHARS = 160
"""Characters shown of a passage that was read but not cited."""
NAMED_TITLES = 3
"""A scope with more papers is shown as a count instead of titles."""

_TAKEN_AS: dict[Kind, str] = {
    "summary": N_("answered as a summary"),
    "comparison": N_("answered as a comparison"),
    "papers": N_("answered as a list of papers"),
    "library": N_("answered from your library's records"),
}

_MARKER = re.compile(r"\[(\d{1,3})\]")
_ITEM = re.compile(r"(?:- |\d{1,3}\. )")
_NAMED = re.compile(r".*”(?: \(.*?\):)?")
"""Of a line of the library's records, the titles and authors: a `[1]` in them is no marker."""
_ESCAPED = re.compile(r"\\\[(\d{1,3})\\\]")
_MARKER_TEXT = re.compile(r"\[\d{1,3}\]")


def short_title(paper: Paper) -> str:
    """The title, escaped and at most 72 characters; the file name if there is no title."""
    return inert(paper.marked_title.strip() or paper.file_name, limit=TITLE_CHARS)


def page_name(paper: Paper, page: int) -> str:
    """A page's name, escaped: "1123 (1)" if its printed number is known and differs, else its position."""
    label = paper.page_label(page)
    return f"{inert(label)} ({page})" if label else str(page)


def cite_path(chunk: Chunk, *, page: int) -> str:
    """The path for viewing the PDF: `/cite/<paper_id>/<page>/<ordinal>`."""
    return f"/cite/{chunk.paper_id}/{page}/{chunk.ordinal:04d}"


def model_text(text: str, *, links: dict[int, str] | None = None) -> str:
    """Model output as safe Markdown; each marker in `links` becomes a link."""
    return linked(sanitised(text), links=links or {})


def linked(text: str, *, links: dict[int, str]) -> str:
    """Sanitised text with each marker in `links` as a link, except in code and formulas. Works on partial text."""
    parts, at = [], 0
    for literal in LITERAL.finditer(text):
        parts += [_MARKER.sub(lambda match: _chip(match, links), text[at : literal.start()]), literal[0]]
        at = literal.end()
    return "".join([*parts, _MARKER.sub(lambda match: _chip(match, links), text[at:])])


def links_to(passages: Iterable[Passage]) -> dict[int, str]:
    """Provisional link of each marker, to its passage's first page, while the cited page is not known."""
    return {passage.marker: cite_path(passage.chunk, page=passage.chunk.first_page) for passage in passages}


def reading(passages: Iterable[Passage]) -> str:
    """The passages as a list, in marker order: shown before anything is written."""
    return "\n".join(_line(passage, page=passage.chunk.first_page) for passage in passages)


def reading_title(passages: Collection[Passage]) -> str:
    """How much is read, in words: `6 passages from 3 papers`."""
    papers = len({passage.paper.id for passage in passages})
    return _("{passages} from {papers}").format(
        passages=counted(len(passages), "passage"), papers=counted(papers, "paper")
    )


def scope_words(scope: Scope) -> str:
    """Which papers were asked, as plain text: `3 papers tagged “thesis”`, `all 12 papers`, or up to three titles."""
    n = counted(len(scope.papers), "paper")
    if scope.whole:
        return _("the only paper") if len(scope.papers) == 1 else _("all {papers}").format(papers=n)
    if scope.tag is not None:
        return _("{papers} tagged “{tag}”").format(papers=n, tag=scope.tag)
    titles = [cut(paper.title.strip() or paper.file_name, limit=TITLE_CHARS) for paper in scope.papers]
    few = 0 < len(titles) <= NAMED_TITLES
    listed = "; ".join(_("“{title}”").format(title=title) for title in titles) if few else ""
    listed = listed or _("{papers} you chose").format(papers=n)
    return _("{papers} (named in the question)").format(papers=listed) if scope.named else listed


def query_line(answer: Answer) -> str:
    """One line on how the question was understood: the papers asked, the kind, the rewritten question."""
    parts = [_("Searched {papers}").format(papers=inert(scope_words(answer.scope)))] if answer.scope else []
    if answer.kind in _TAKEN_AS:
        parts.append(_(_TAKEN_AS[answer.kind]))
    if answer.searched:
        parts.append(_("Searched for: {words}").format(words=inert(answer.searched)))
    return "###### " + " · ".join(parts) if parts else ""


def full_answer(answer: Answer, *, first_token_seconds: float | None = None) -> str:
    """The whole message: text, legend, notice, sources (cited ones first, with quotes), what was asked, footer.

    Args:
        answer: what to show.
        first_token_seconds: time from the question to the first token, as the consumer saw it.
    """
    blocks = [table(answer.records), _abstention(answer) if answer.abstained else answer_text(answer)]
    blocks.append(retractions(answer))
    blocks.append(legend(answer))
    blocks.append(confidence_words(answer))
    blocks.append(disagreements(answer))
    blocks.append(misquoted(answer))
    if answer.notice:
        blocks.append(f"*{inert(said(answer.notice))}*")
    blocks.append(sources(answer))
    blocks.append(query_line(answer))
    blocks.append(footer(answer, first_token_seconds=first_token_seconds))
    return "\n\n".join(block for block in blocks if block)


def retractions(answer: Answer) -> str:
    """One sentence for each retracted paper that the answer cites or, where it cites none, was read for it."""
    papers = {p.paper.id: p.paper for p in (c.passage for c in answer.citations)}
    papers = papers or {p.paper.id: p.paper for p in answer.passages}
    head = _("A paper read here is retracted:")
    if answer.citations:
        head = _("This answer cites a paper that has been retracted:")
    return "\n\n".join(f"**{head}** {short_title(paper)}." for paper in papers.values() if paper.retracted)


def confidence_words(answer: Answer) -> str:
    """The confidence and its reason; the number is shown only if it was calibrated for the model."""
    sure = answer.confidence
    if sure is None:
        return ""
    if is_quoted(answer):
        return f"###### {inert(said(sure.reason))}"
    known = sure.signals.get("calibrated") != 0.0
    share = percent(sure.score) if sure.score >= 0.01 else _("below {share}").format(share=percent(0.01))
    how_sure = f"{_('Confidence {share}').format(share=share)} · " if known else ""
    return f"###### {how_sure}{inert(said(sure.reason))}"


def figure(answer: Answer) -> str:
    """How often quoted answers with these signals were right; empty for other answers or if unknown."""
    sure = answer.confidence
    if sure is None or not is_quoted(answer) or sure.signals.get("calibrated") == 0.0:
        return ""
    return _("About {n} of 100 quoted answers like this one were right (docs/reader.md).").format(
        n=number(100 * sure.score)
    )


def answer_text(answer: Answer) -> str:
    """The answer's text, with markers as links and a mark after each doubtful sentence.

    A quoted answer shows the short answer first, then the sentences it comes from.
    """
    if answer.kind == "library":
        return records_text(answer)
    if is_quoted(answer) and answer.citations:
        return quoted_text(answer)
    safe = model_text(placed(answer.text, answer.sentences), links=_links(answer))
    return shown(safe, answer.text, answer.sentences)


def records_text(answer: Answer) -> str:
    """What the library's records say: nothing in a line is Markdown but its number or bullet; BibTeX stays a block."""
    lines, block, links = list[str](), None, _links(answer)
    for line in answer.text.split("\n"):
        if block is None and line == "```bibtex":
            block = list[str]()
        elif block is not None and line == "```":
            lines, block = [*lines, f"\n{fenced(chr(10).join(block), language='bibtex')}\n"], None
        elif block is not None:
            block.append(line)
        else:
            item = _ITEM.match(line)
            plain = line[item.end() :] if item else line
            named = _NAMED.match(plain)
            at = named.end() if named else 0
            words = _kept(plain[:at]) + _ESCAPED.sub(lambda match: _chip_if(match, links), _kept(plain[at:]))
            lines.append(f"{item[0]}{words}" if item else words.strip())
    return "\n".join(lines)


def is_quoted(answer: Answer) -> bool:
    """Whether the words shown are the papers' own, not a model's."""
    return bool(answer.drafts) and answer.drafts[answer.shown].model == QUOTED_ANSWER


def quoted_text(answer: Answer) -> str:
    """The short answer, unless it is the sentences themselves, and the sentences as quotes with their pages."""
    links = _links(answer)
    blocks = []
    if any(_flat(citation.quote).rstrip(".") not in answer.text for citation in answer.citations):
        chips = linked("".join(_MARKER_TEXT.findall(answer.text)), links=links)
        blocks.append(f"**{inert(without_markers(answer.text))}** {chips}")
    words = [sentence.text for sentence in answer.sentences if sentence.support]
    for citation in answer.citations:
        path = cite_path(citation.passage.chunk, page=citation.page)
        page = _("page {page}").format(page=page_name(citation.passage.paper, citation.page))
        quote = _("“{quote}”").format(quote=_marked(_flat(citation.quote), words))
        blocks.append(f"> {quote} [{citation.marker}]({path}) {page}")
    return "\n\n".join(blocks)


def _flat(text: str) -> str:
    return " ".join(text.split())


def _marked(quote: str, words: Iterable[str]) -> str:
    """The quote, escaped, with the answering words in bold; plain if they are the whole quote."""
    places: list[tuple[int, int]] = []
    for answer in sorted(set(words), key=len, reverse=True):
        start = quote.find(answer)
        end = start + len(answer)
        if start >= 0 and len(answer) < 0.9 * len(quote) and all(end <= a or b <= start for a, b in places):
            places.append((start, end))
    parts, at = [], 0
    for start, end in sorted(places):
        parts += [_kept(quote[at:start]), f"**{inert(quote[start:end])}**"]
        at = end
    return "".join((*parts, _kept(quote[at:])))


def _kept(text: str) -> str:
    """Escaped text that keeps one space at each end if there was one."""
    if not text.strip():
        return " " if text else ""
    return f"{' ' if text[0].isspace() else ''}{inert(text)}{' ' if text[-1].isspace() else ''}"


def disagreements(answer: Answer) -> str:
    """The conflicts between its passages, each with both sentences; empty if there are none."""
    links = _links(answer)
    lines = []
    for conflict in answer.conflicts:
        sides = [
            _("{source} says “{quote}”").format(source=f"[{marker}]({links[marker]})", quote=inert(quote))
            for marker, quote in zip(conflict.markers, conflict.quotes, strict=True)
        ]
        lines.append(f"- **{_('Your papers disagree:')}** {' · '.join(sides)}")
    return "\n".join(lines)


def misquoted(answer: Answer) -> str:
    """The model's quotations that no passage contains verbatim, with differences; empty if there are none."""
    return "\n".join(
        f"- **{_('Not verbatim:')}** {_('“{quote}”').format(quote=inert(quotation.text, limit=QUOTE_CHARS))}"
        + _compared(quotation.diff, _("Closest text in {source}:").format(source=f"[{quotation.marker}]"))
        for quotation in answer.quotations
        if not quotation.verified
    )


def difference(diff: Iterable[Change]) -> str:
    """A word diff as escaped Markdown: ~~struck~~ words are not in the passage, **added** ones only there."""
    shown = {"same": "{}", "struck": "~~{}~~", "added": "**{}**"}
    return " ".join(shown[kind].format(inert(words)) for kind, words in diff)


def sources(answer: Answer) -> str:
    """The cited passages with quotes; if there are none, those read; for an abstention, the closest ones."""
    if answer.abstained:
        closest = f"##### {_('Closest passages')}\n\n{_glances(answer.passages, answer)}"
        return closest if answer.passages else ""
    cited = sorted(answer.citations, key=lambda citation: citation.marker)
    lines = [
        "\n".join(_cited(citation, bare=is_quoted(answer)) for citation in _without_repeats(group))
        for _, group in groupby(cited, key=lambda citation: citation.marker)
    ]
    if not lines:
        return f"##### {_('Read, not cited')}\n\n{reading(answer.passages)}" if answer.passages else ""
    return f"##### {_('Sources')}\n\n" + "\n".join(lines)


def not_cited(answer: Answer) -> tuple[Passage, ...]:
    """The passages that were read but not cited; empty if the answer cites none."""
    used = {citation.marker for citation in answer.citations}
    return tuple(passage for passage in answer.passages if passage.marker not in used) if used else ()


def also_says(answer: Answer) -> str:
    """The passages that were read but not cited, each with its sentence closest to the question."""
    return _glances(not_cited(answer), answer)


def with_references(text: str, cited: Iterable[tuple[int, Paper, int]]) -> str:
    """An answer as plain text with its references below; markers are renumbered from 1 in order.

    Args:
        text: with markers like [3]; a marker that is not in `cited` is dropped.
        cited: (marker, paper, page) of each citation.
    """
    known = {marker: (paper, page) for marker, paper, page in cited}
    plain = INVISIBLE.sub("", text)
    numbers: dict[int, int] = {}
    for match in _MARKER.finditer(plain):
        if (marker := int(match[1])) in known:
            numbers.setdefault(marker, len(numbers) + 1)
    plain = re.sub(rf" ?{_MARKER.pattern}", lambda m: f" [{numbers[int(m[1])]}]" if int(m[1]) in numbers else "", plain)
    plain = re.sub(r"\] \[(?=\d)", "][", plain)
    lines = [f"[{number}] {_reference(*known[marker])}" for marker, number in numbers.items()]
    return "\n\n".join(part for part in (plain.strip(), "\n".join(lines)) if part)


def changes_title(answer: Answer) -> str:
    """The title for `changed`, in a few words."""
    last_is_quoted = bool(answer.drafts) and answer.drafts[-1].model == QUOTED_ANSWER
    return _("what the model wrote") if last_is_quoted else _("the draft and what changed")


def changed(answer: Answer) -> str:
    """A list of what happened to each sentence of the draft in the refinement; empty without a refinement."""
    if len(answer.drafts) < 2:
        return ""
    refined = answer.drafts[-1]
    draft = refined.refines or answer.drafts[0]
    if refined.model == QUOTED_ANSWER:
        wrote = " ".join(model_text(draft.text).split())
        return "\n\n".join(
            filter(
                None,
                (
                    _("{model} wrote this, which is not part of the answer:").format(model=inert(draft.model)),
                    f"> {wrote}",
                    figure(answer),
                ),
            )
        )
    taken_ = answer.shown == len(answer.drafts) - 1
    links = links_to(answer.passages)
    told = {
        "same": _("kept:") if taken_ else _("in both:"),
        "gone": _("dropped:") if taken_ else _("only in the draft:"),
        "new": (_("new from {model}:") if taken_ else _("only from {model}, not checked:")).format(
            model=inert(refined.model)
        ),
    }
    lines = []
    for change, sentence in changes(draft.text, refined.text):
        shown = " ".join(model_text(sentence, links=links).split())
        lines.append(f"- *{told[change]}* {shown}")
    by = _("Quoted from your papers, sentence by sentence:")
    if draft.model != QUOTED_ANSWER:
        by = _("Draft by {model}, sentence by sentence:").format(model=inert(draft.model))
    return f"{by}\n\n" + "\n".join(lines)


def fenced(text: str, *, language: str = "text") -> str:
    """The text as a code block, which has a copy button; nothing in it can end the block."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{INVISIBLE.sub('', text)}\n{fence}"


def footer(answer: Answer, *, first_token_seconds: float | None = None) -> str:
    """One line: whether words were quoted, models, seconds, tokens, cost, and whether anything left this machine."""
    models = " → ".join(inert(draft.model) for draft in answer.drafts if draft.model != QUOTED_ANSWER)
    parts = [models or _("no language model was used")]
    if is_quoted(answer):
        concluded = any(sentence.support is None for sentence in answer.sentences)  # a yes or no stands in no paper
        quoted = _("a small model's {conclusion}, beside a quoted sentence").format(
            conclusion=value(without_markers(answer.text).casefold())
        )
        parts = [quoted if concluded else _("quoted word for word")]
        parts += [_("draft by {models}").format(models=models)] if models else []
    if first_token_seconds is None and answer.drafts:
        first_token_seconds = answer.drafts[0].first_token_seconds
    if answer.trace.seconds is not None:
        parts.append(_("{n} s").format(n=number(answer.trace.seconds, 1)))
    if first_token_seconds is not None:
        parts.append(_("first word after {n} s").format(n=number(first_token_seconds, 1)))
    usages = [draft.usage for draft in answer.drafts]
    if usages and None not in usages:
        read = sum(usage.input_tokens for usage in usages if usage)
        written = sum(usage.output_tokens for usage in usages if usage)
        parts.append(_("{read} → {written} tokens").format(read=number(read), written=number(written)))
    if answer.stayed:
        parts.append(_("stayed on this machine"))
    else:
        elsewhere = [draft.model for draft in answer.drafts if draft.locality != "machine"]
        away = dict.fromkeys(elsewhere or filter(None, [answer.sent_to]))
        parts.append(_("sent to {models}").format(models=_(" and ").join(map(inert, away))))
        parts.append(cost_words(answer.cost))
    if answer.stayed and answer.cost is not None and answer.drafts:
        parts.append(cost_words(answer.cost))
    energies = [draft.energy for draft in answer.drafts if draft.energy]
    if energies and all(energy.wh is not None for energy in energies):
        parts.append(energy_words(energies))
    return "###### " + " · ".join(parts)


def _chip(match: re.Match[str], links: dict[int, str]) -> str:
    return _chip_to(int(match[1]), links)


def _chip_to(marker: int, links: dict[int, str]) -> str:
    return f"[{marker}]({links[marker]})" if marker in links else f"[{marker}]"


def _chip_if(match: re.Match[str], links: dict[int, str]) -> str:
    """The link of an escaped marker; a number that has none stays as it is."""
    return _chip_to(int(match[1]), links) if int(match[1]) in links else match[0]


def _links(answer: Answer) -> dict[int, str]:
    cited = {c.marker: cite_path(c.passage.chunk, page=c.page) for c in reversed(answer.citations)}
    return links_to(answer.passages) | cited


def _line(passage: Passage, *, page: int) -> str:
    path = cite_path(passage.chunk, page=page)
    parts = [str(passage.paper.year)] if passage.paper.year else []
    parts.append(_("page {page}").format(page=page_name(passage.paper, page)))
    parts += [inert(passage.chunk.section, limit=48)] if passage.chunk.section else []
    # an outline's score is only its rank, the reader's order is not the search's, and a hit of a word has no score
    scored = not {"outline", "reader", "words"} & set(passage.sources)
    parts += (
        [_("relevance {n}").format(n=number(passage.score, 2)).replace(" ", "\N{NO-BREAK SPACE}")] if scored else []
    )
    return f"- [{passage.marker}]({path}) [{short_title(passage.paper)}]({path}#source) · {' · '.join(parts)}"


def _cited(citation: Citation, *, bare: bool = False) -> str:
    line = _line(citation.passage, page=citation.page)
    quote = inert(citation.quote, limit=QUOTE_CHARS)
    if not quote or bare:
        return line
    if citation.verified:
        return f"{line}  \n  *{_('“{quote}”').format(quote=quote)}*"
    compared = _compared(citation.diff, _("Closest text on the page:"))
    return f"{line}  \n  **{_('Not verbatim:')}** *{_('“{quote}”').format(quote=quote)}*{compared}"


def _compared(diff: Collection[Change], title: str) -> str:
    """The closest words and the differences, for the end of a list item."""
    if not diff:
        return f" {_('(no close match)')}"
    return f"  \n  *{title}* {difference(diff)}"


def _glances(passages: Iterable[Passage], answer: Answer) -> str:
    asked = content_words(answer.searched or answer.question)
    lines = []
    for passage in passages:
        words = inert(_nearest(passage, asked), limit=GLANCE_CHARS)
        lines.append(f"{_line(passage, page=passage.chunk.first_page)}  \n  *{_('“{quote}”').format(quote=words)}*")
    return "\n".join(lines)


def _nearest(passage: Passage, asked: set[str]) -> str:
    sentences = split_sentences(passage.chunk.text) or [passage.chunk.text]
    return max(sentences, key=lambda sentence: len(asked & content_words(sentence)))


def _reference(paper: Paper, page: int) -> str:
    authors = ", ".join(paper.authors[:3]) + (" et al." if len(paper.authors) > 3 else "")
    title = cut(paper.marked_title.strip() or paper.file_name, limit=None)
    year = f"({paper.year})" if paper.year else ""
    doi = f" doi:{paper.doi}" if paper.doi else f" arXiv:{paper.arxiv_id}" if paper.arxiv_id else ""
    return cut(
        f"{' '.join(part for part in (authors, year) if part)}. ".lstrip(". ")
        + f"{title}, p. {paper.page_name(page)}.{doi}",
        limit=None,
    )


def _without_repeats(citations: Iterable[Citation]) -> list[Citation]:
    return list({(citation.page, citation.quote): citation for citation in citations}.values())


def _abstention(answer: Answer) -> str:
    text = model_text(said(answer.text)).strip()
    if answer.language:
        return text
    return f"**{_('Not in your papers.')}**" + (f" {text}" if text and answer.text != ABSTENTION else "")
