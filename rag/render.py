"""Answer → Markdown: the text with its markers as links, the sources, one line on what it took; and to take along.

Two kinds of text arrive here and neither is trusted. *Titles, sections and quotes* come out of PDFs: they are made
inert, so that nothing in them is Markdown. *What a model wrote* may use Markdown, and goes through `rag.sanitise`
first; then its markers become links. No other link is made anywhere.
"""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING

from rag.citations import split_sentences
from rag.sanitise import INVISIBLE, JOINER, sanitised
from rag.words import content_words

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from ingest import Chunk, Paper
    from rag.answer import Answer, Citation, Kind, Passage, Scope

TITLE_CHARS = 72
QUOTE_CHARS = 240
GLANCE_CHARS = 160
"""Of a passage that was read and not cited."""
NAMED_TITLES = 3
"""Papers of a scope that are named by their titles; more are counted."""

_TAKEN_AS: dict[Kind, str] = {
    "summary": "a summary was asked for",
    "comparison": "a comparison was asked for",
    "papers": "the papers were asked for",
}

_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
_ADDRESS = re.compile(r":(?=/)|www(?=\.)|@(?!\s)", re.IGNORECASE)
_MARKER = re.compile(r"\[(\d{1,3})\]")
_LITERAL = re.compile(
    r"```.*?(?:```|\Z)|`[^`\n]+`"  # code
    r"|\$\$.+?\$\$|\$(?=\S)[^$\n]*?(?<=\S)\$(?!\d)",  # formulas, by pandoc's rule: "$5 and $6" is none
    re.DOTALL,
)


def inert(text: str, *, limit: int | None = None) -> str:
    """`text` on one line, shortened to `limit` characters, with nothing in it that Markdown would act on."""
    flat = _cut(text, limit=limit)
    broken = _ADDRESS.sub(lambda match: match[0] + JOINER, flat)
    return _PUNCTUATION.sub(r"\\\1", broken)


def _cut(text: str, *, limit: int | None) -> str:
    flat = " ".join(INVISIBLE.sub(" ", text).split())
    if limit is not None and len(flat) > limit:
        flat = flat[:limit].rsplit(" ", 1)[0].rstrip(" ,;:.-") + " …"
    return flat


def short_title(paper: Paper) -> str:
    """The title, inert and at most 72 characters; the file's name where there is no title."""
    return inert(paper.title.strip() or paper.file_name, limit=TITLE_CHARS)


def cite_path(chunk: Chunk, *, page: int) -> str:
    """The path that the page turns into a look at the PDF: `/cite/<paper_id>/<page>/<ordinal>`."""
    return f"/cite/{chunk.paper_id}/{page}/{chunk.ordinal:04d}"


def model_text(text: str, *, links: dict[int, str] | None = None) -> str:
    """What a model wrote, as safe Markdown; each marker in `links` becomes a link."""
    return linked(sanitised(text), links=links or {})


def linked(text: str, *, links: dict[int, str]) -> str:
    """Sanitised text with each marker in `links` as a link; those in code and formulas stay. Works on half a text."""
    parts, at = [], 0
    for literal in _LITERAL.finditer(text):
        parts += [_MARKER.sub(lambda match: _chip(match, links), text[at : literal.start()]), literal[0]]
        at = literal.end()
    return "".join([*parts, _MARKER.sub(lambda match: _chip(match, links), text[at:])])


def links_to(passages: Iterable[Passage]) -> dict[int, str]:
    """Where each marker leads before it is known which page it cites: to the passage's first."""
    return {passage.marker: cite_path(passage.chunk, page=passage.chunk.first_page) for passage in passages}


def reading(passages: Iterable[Passage]) -> str:
    """The passages as a list, in the order of their markers: what is being read before anything is written."""
    return "\n".join(_line(passage, page=passage.chunk.first_page) for passage in passages)


def reading_title(passages: Collection[Passage]) -> str:
    """How much is read, in words: `6 passages from 3 papers`."""
    papers = len({passage.paper.id for passage in passages})
    return f"{counted(len(passages), 'passage')} from {counted(papers, 'paper')}"


def scope_words(scope: Scope) -> str:
    """Which papers were asked, in plain text: `3 papers of “thesis”`, `all 12 papers`, or up to three titles."""
    n = counted(len(scope.papers), "paper")
    if scope.whole:
        return "the only paper" if len(scope.papers) == 1 else f"all {n}"
    if scope.tag is not None:
        return f"{n} of “{scope.tag}”"
    titles = [_cut(paper.title.strip() or paper.file_name, limit=TITLE_CHARS) for paper in scope.papers]
    listed = "; ".join(titles) if 0 < len(titles) <= NAMED_TITLES else f"{n} that you chose"
    return f"{listed} (named in the question)" if scope.named else listed


def taken(answer: Answer) -> str:
    """One line on how the question was taken: the papers that were asked, the kind, the rewritten question."""
    parts = [f"Asked of: {inert(scope_words(answer.scope))}"] if answer.scope else []
    if answer.kind in _TAKEN_AS:
        parts.append(_TAKEN_AS[answer.kind])
    if answer.searched:
        parts.append(f"Searched for: {inert(answer.searched)}")
    return "###### " + " · ".join(parts) if parts else ""


def full_answer(answer: Answer, *, first_token_seconds: float | None = None) -> str:
    """The whole message: text, notice, sources (cited ones first, with their quotes), what was asked, footer.

    Args:
        answer: what to show.
        first_token_seconds: from the question to the first token, as the reader saw it.
    """
    blocks = [_abstention(answer) if answer.abstained else model_text(answer.text, links=_links(answer))]
    blocks.append(doubts(answer))
    blocks.append(disagreements(answer))
    if answer.notice:
        blocks.append(f"*{inert(answer.notice)}*")
    blocks.append(sources(answer))
    blocks.append(taken(answer))
    blocks.append(footer(answer, first_token_seconds=first_token_seconds))
    return "\n\n".join(block for block in blocks if block)


def doubts(answer: Answer) -> str:
    """The sentences of the answer that its passages do not carry, or only in part; empty where there are none."""
    lines = []
    for support, said in (("unsupported", "**Not in the passages:**"), ("weak", "*Only partly in the passages:*")):
        doubted = [sentence for sentence in answer.sentences if sentence.support == support]
        lines += [f"- {said} “{inert(sentence.text, limit=QUOTE_CHARS)}”" for sentence in doubted]
    return "\n".join(lines)


def disagreements(answer: Answer) -> str:
    """Where its passages disagree, each pair with both sentences; empty where they do not."""
    links = _links(answer)
    lines = []
    for conflict in answer.conflicts:
        said = [
            f"[{marker}]({links[marker]}) says “{inert(quote)}”"
            for marker, quote in zip(conflict.markers, conflict.quotes, strict=True)
        ]
        lines.append(f"- **Your papers disagree:** {' · '.join(said)}")
    return "\n".join(lines)


def sources(answer: Answer) -> str:
    """What was cited, with quotes; where nothing was, what was read; for an abstention, what came closest."""
    if answer.abstained:
        return f"##### The closest passages\n\n{_glances(answer.passages, answer)}" if answer.passages else ""
    cited = sorted(answer.citations, key=lambda citation: citation.marker)
    lines = [
        "\n".join(_cited(citation) for citation in _without_repeats(group))
        for _, group in groupby(cited, key=lambda citation: citation.marker)
    ]
    if not lines:
        return f"##### Read, not cited\n\n{reading(answer.passages)}" if answer.passages else ""
    return "##### Sources\n\n" + "\n".join(lines)


def not_cited(answer: Answer) -> tuple[Passage, ...]:
    """The passages that were read beside those that the answer cites; empty where it cites none."""
    used = {citation.marker for citation in answer.citations}
    return tuple(passage for passage in answer.passages if passage.marker not in used) if used else ()


def also_says(answer: Answer) -> str:
    """The passages that were read and not cited, each with its sentence that is nearest to the question's words."""
    return _glances(not_cited(answer), answer)


def with_references(text: str, cited: Iterable[tuple[int, Paper, int]]) -> str:
    """An answer as plain text, its markers numbered anew from 1 in their order, and below it what they stand for.

    Args:
        text: with markers like [3]; a marker that is not among `cited` is left out.
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


def fenced(text: str, *, language: str = "text") -> str:
    """The text as a block of code, which has a button to copy it; nothing in it can end the block."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{INVISIBLE.sub('', text)}\n{fence}"


def footer(answer: Answer, *, first_token_seconds: float | None = None) -> str:
    """One line: model, seconds, tokens, and that nothing left this machine."""
    parts = [" → ".join(inert(draft.model) for draft in answer.drafts) or "no model was asked"]
    if first_token_seconds is None and answer.drafts:
        first_token_seconds = answer.drafts[0].first_token_seconds
    if first_token_seconds is not None:
        parts.append(f"first word in {first_token_seconds:.1f} s")
    if answer.trace.seconds is not None:
        parts.append(f"done in {answer.trace.seconds:.1f} s")
    usages = [draft.usage for draft in answer.drafts]
    if usages and None not in usages:
        read = sum(usage.input_tokens for usage in usages if usage)
        written = sum(usage.output_tokens for usage in usages if usage)
        parts.append(f"{read:,} tokens in, {written:,} out")
    if not answer.cost:
        parts.append("stayed on this machine")
    return "###### " + " · ".join(parts)


def counted(number: int, noun: str) -> str:
    """`1 page`, `2 pages`."""
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _chip(match: re.Match[str], links: dict[int, str]) -> str:
    path = links.get(int(match[1]))
    return f"[{match[1]}]({path})" if path else match[0]


def _links(answer: Answer) -> dict[int, str]:
    cited = {c.marker: cite_path(c.passage.chunk, page=c.page) for c in reversed(answer.citations)}
    return links_to(answer.passages) | cited


def _line(passage: Passage, *, page: int) -> str:
    path = cite_path(passage.chunk, page=page)
    section = f" · {inert(passage.chunk.section, limit=48)}" if passage.chunk.section else ""
    return f"- [{passage.marker}]({path}) [{short_title(passage.paper)}]({path}#source) · page {page}{section}"


def _cited(citation: Citation) -> str:
    line = _line(citation.passage, page=citation.page)
    quote = inert(citation.quote, limit=QUOTE_CHARS)
    if not quote:
        return line
    return f"{line}  \n  *“{quote}”*" + ("" if citation.verified else " (not found word for word on the page)")


def _glances(passages: Iterable[Passage], answer: Answer) -> str:
    asked = content_words(answer.searched or answer.question)
    lines = []
    for passage in passages:
        words = inert(_nearest(passage, asked), limit=GLANCE_CHARS)
        lines.append(f"{_line(passage, page=passage.chunk.first_page)}  \n  *“{words}”*")
    return "\n".join(lines)


def _nearest(passage: Passage, asked: set[str]) -> str:
    sentences = split_sentences(passage.chunk.text) or [passage.chunk.text]
    return max(sentences, key=lambda sentence: len(asked & content_words(sentence)))


def _reference(paper: Paper, page: int) -> str:
    authors = ", ".join(paper.authors[:3]) + (" et al." if len(paper.authors) > 3 else "")
    title = _cut(paper.title.strip() or paper.file_name, limit=None)
    year = f"({paper.year})" if paper.year else ""
    doi = f" doi:{paper.doi}" if paper.doi else f" arXiv:{paper.arxiv_id}" if paper.arxiv_id else ""
    return _cut(
        f"{' '.join(part for part in (authors, year) if part)}. ".lstrip(". ") + f"{title}, p. {page}.{doi}", limit=None
    )


def _without_repeats(citations: Iterable[Citation]) -> list[Citation]:
    return list({(citation.page, citation.quote): citation for citation in citations}.values())


def _abstention(answer: Answer) -> str:
    text = model_text(answer.text).strip()
    said = text.casefold().rstrip(".").endswith("not in your papers")
    return "**Not in your papers.**" + (f" {text}" if text and not said else "")
