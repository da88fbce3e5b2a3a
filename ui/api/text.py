"""An answer as other programs get it: Markdown whose citations are links, their places in it, and the facts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rag.render import is_quoted, short_title
from rag.saved_answer import answer_facts
from rag.sentence_marks import marks_in_words
from ui.web import viewer

if TYPE_CHECKING:
    from rag.answer import Answer, Citation

_MARKER = re.compile(r"\[(\d{1,3})\]")


@dataclass(frozen=True, slots=True)
class UrlCitation:
    """Where the text cites a page: OpenAI's `url_citation`."""

    start: int
    """Index in the text of the link's first character."""
    end: int
    """Index after its last."""
    url: str
    title: str

    def in_chat(self) -> dict[str, Any]:
        """As an annotation of a chat completion's message."""
        return {"type": "url_citation", "url_citation": self._fields()}

    def in_response(self) -> dict[str, Any]:
        """As an annotation of a response's output text."""
        return {"type": "url_citation", **self._fields()}

    def _fields(self) -> dict[str, Any]:
        return {"start_index": self.start, "end_index": self.end, "url": self.url, "title": self.title}


def plain_text(answer: Answer) -> str:
    """The answer's text with bare markers.

    Doubtful sentences are followed by what the check said of them in brackets; a notice about how the answer was made
    stands below.
    """
    return "\n\n".join(filter(None, (_said(answer), f"*{answer.notice}*" if answer.notice else "")))


def linked_text(plain: str, answer: Answer, *, base: str) -> tuple[str, list[UrlCitation]]:
    """The text with its markers as links, and where it cites what.

    Args:
        plain: of `plain_text`, or its beginning.
        answer: the answer.
        base: address of the app, without a slash at its end; links lead to its pages.
    """
    cited: dict[int, Citation] = {c.marker: c for c in reversed(answer.citations)}
    parts, at, length, places = [], 0, 0, []
    for match in _MARKER.finditer(plain):
        citation = cited.get(int(match[1]))
        if citation is None:
            continue
        url = base + _address(citation)
        link = f"[{match[0]}]({url})"
        parts += [plain[at : match.start()], link]
        length += match.start() - at
        title = f"{short_title(citation.passage.paper)}, p. {citation.passage.paper.page_name(citation.page)}"
        places.append(UrlCitation(length, length + len(link), url, title))
        length += len(link)
        at = match.end()
    return "".join((*parts, plain[at:])), places


def was_cut(answer: Answer) -> bool:
    """Whether the model that wrote the text shown had to stop before its end."""
    return bool(answer.drafts) and answer.drafts[answer.shown].finish_reason == "length"


def facts(answer: Answer, *, base: str) -> dict[str, Any]:
    """Our own field: the text with bare markers, sentences with verdicts, citations with pages and quotes, cost."""
    pages = [base + _address(citation) for citation in answer.citations]
    known = answer_facts(answer)
    cited = [{**row, "url": url} for row, url in zip(known["citations"], pages, strict=True)]
    return {"question": answer.question, "text": answer.text, **known, "citations": cited}


def usage(answer: Answer) -> dict[str, int] | None:
    """Tokens of all models that were asked; None if one of them did not say."""
    n_read = n_written = 0
    for draft in answer.drafts:
        if draft.usage is None:
            return None
        n_read += draft.usage.input_tokens
        n_written += draft.usage.output_tokens
    return {"prompt_tokens": n_read, "completion_tokens": n_written, "total_tokens": n_read + n_written}


def _said(answer: Answer) -> str:
    if not (is_quoted(answer) and answer.citations):
        return marks_in_words(answer.text, answer.sentences)
    quotes = []
    for citation in answer.citations:
        where = f"[{citation.marker}] page {citation.passage.paper.page_name(citation.page)}"
        quotes.append(f"> “{' '.join(citation.quote.split())}” {where}")
    shown = all(" ".join(c.quote.split()).rstrip(".") in answer.text for c in answer.citations)
    return "\n\n".join(quotes if shown else [answer.text, *quotes])


def _address(citation: Citation) -> str:
    chunk = citation.passage.chunk
    words = (citation.quote,) if citation.verified else ()
    return viewer.address(
        chunk.paper_id, citation.page, words=words, passage=f"{chunk.ordinal:04d}", cited=citation.page
    )
