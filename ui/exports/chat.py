"""A stored chat as plain data: questions, answers, their quotes, passages, verdicts and costs, and the papers cited."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ingest.csl import csl_item
from rag.costs.accounting import total
from rag.insight.figures import KEY, read_figures
from rag.sanitise import INVISIBLE, JOINER
from ui.exports.plain import plain
from ui.exports.turns import Chat, Cited, Cost, Turn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ingest import Library, Paper

FORMAT = "scholion-chat/1"
"""What the JSON says of itself."""


def read_chat(thread: Mapping[str, Any], library: Library) -> Chat:
    """The chat that the history has stored; what is damaged or of an older version is read as far as it goes."""
    steps = thread.get("steps") or []
    judged = {step.get("id"): found for step in steps if (found := _feedback(step.get("feedback")))}
    turns = tuple(turn for step in steps if (turn := _turn(step, judged)))
    wanted = list(dict.fromkeys(cited.paper_id for turn in turns for cited in turn.cited))
    there = {paper.id: paper for paper in library.papers(set(wanted))} if wanted else {}
    return Chat(
        id=str(thread.get("id")),
        name=_words(thread.get("name")) or "Chat",
        created_at=thread.get("createdAt"),
        turns=turns,
        papers={paper_id: there[paper_id] for paper_id in wanted if paper_id in there},
    )


def as_json(chat: Chat, library: Library) -> str:
    """The chat as JSON, with the passages' texts as far as their papers are still in the library."""
    rows = [
        row for turn in chat.turns for row in (turn.facts or {}).get("passages") or [] if isinstance(row, list) and row
    ]
    chunks = library.chunks([str(row[-1]) for row in rows]) if rows else {}
    papers = chat.papers | {
        paper.id: paper for paper in library.papers({chunk.paper_id for chunk in chunks.values()})
    }  # fmt: skip
    content = {
        "format": FORMAT,
        "exported_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "chat": {"id": chat.id, "name": chat.name, "created_at": chat.created_at},
        "turns": [_row(turn, papers, chunks) for turn in chat.turns],
        "papers": [csl_item(paper) for paper in papers.values()],
        "costs": {
            "answers": len(chat.costs),
            "usd": total(cost.usd for cost in chat.costs),
            "seconds": total(cost.seconds for cost in chat.costs),
        },
    }
    return json.dumps(content, ensure_ascii=False, indent=1)


def _row(turn: Turn, papers: Mapping[str, Paper], chunks: Mapping[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {"id": turn.id, "role": turn.role, "at": turn.at, "text": turn.text}
    if turn.role != "answer":
        return row | ({"table": [list(cells) for cells in turn.table]} if turn.table else {})
    facts = dict(turn.facts or {})
    passages = [
        {
            "marker": entry[0],
            "id": entry[1],
            "paper": chunk.paper_id if (chunk := chunks.get(str(entry[1]))) else str(entry[1]).partition(":")[0],
            "pages": [chunk.first_page, chunk.last_page] if chunk else None,
            "section": chunk.section if chunk else None,
            "text": chunk.text if chunk else None,
        }
        for entry in facts.pop("passages", None) or []
        if isinstance(entry, list) and len(entry) == 2
    ]
    facts.pop("citations", None)
    return row | {
        "citations": [
            {
                "marker": cited.marker,
                "paper": cited.paper_id,
                "page": cited.page,
                "printed_page": paper.page_label(cited.page) if (paper := papers.get(cited.paper_id)) else None,
                "quote": cited.quote,
                "verbatim": cited.verbatim,
            }
            for cited in turn.cited
        ],
        "passages": passages,
        **facts,
        "feedback": turn.feedback,
    }


def _turn(step: Mapping[str, Any], judged: Mapping[Any, dict[str, Any]]) -> Turn | None:
    """A step as a turn; None for what is only a part of one.

    Args:
        step: as the history has stored it.
        judged: the feedback on each step; the page gives it to the run that an answer belongs to.
    """
    kind, metadata = step.get("type"), step.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    text = str(step.get("output") or "")
    known: dict[str, Any] = {"id": str(step.get("id")), "at": step.get("createdAt")}
    if kind == "user_message":
        words = _words(text, lines=True)  # a command has none
        return Turn(role="question", text=words, **known) if words else None
    if kind != "assistant_message":
        return None
    if "answer" not in metadata:
        return _note(plain(text).strip(), metadata, known)
    facts = metadata.get("facts") if isinstance(metadata.get("facts"), dict) else None
    if facts and isinstance(metadata.get(KEY), dict):  # without what an earlier answer has cost
        facts = facts | {"usd": read_figures(metadata[KEY]).spent}
    said = metadata.get("answer") if facts else metadata.get("doubted") or metadata.get("answer")
    return Turn(
        role="answer",
        text=plain(str(said or "")).strip(),
        cited=tuple(_cited(metadata, facts or {})),
        facts=facts,
        feedback=judged.get(step.get("id")) or judged.get(step.get("parentId")),
        costs=(Cost((facts or {}).get("usd"), (facts or {}).get("seconds")),),
        **known,
    )


def _note(text: str, metadata: Mapping[str, Any], known: Mapping[str, Any]) -> Turn | None:
    """What is no answer to one question: a table of answers, one that was stopped, or anything else that was said."""
    rows, spent = metadata.get("table"), metadata.get("spent")
    table = tuple(tuple(map(str, row)) for row in rows if isinstance(row, list)) if isinstance(rows, list) else ()
    stored = [read_figures(one) for one in spent] if isinstance(spent, list) else []
    costs = [Cost(one.spent if one.stayed is not None else None, one.seconds) for one in stored]
    if "stopped" in metadata:
        costs.append(Cost())
    return Turn(role="note", text=text, table=table, costs=tuple(costs), **known) if text or costs else None


def _cited(metadata: Mapping[str, Any], facts: Mapping[str, Any]) -> list[Cited]:
    rows = facts.get("citations")
    if isinstance(rows, list):
        return [
            Cited(row["marker"], str(row["paper"]), row["page"], row.get("quote") or None, row.get("verbatim"))
            for row in rows
            if isinstance(row, dict) and isinstance(row.get("marker"), int) and isinstance(row.get("page"), int)
        ]
    kept = metadata.get("quotes")
    quotes = kept if isinstance(kept, dict) else {}
    found = []
    for row in metadata.get("cited") or []:
        if isinstance(row, list) and len(row) == 3 and isinstance(row[0], int) and isinstance(row[2], int):
            start = f"/cite/{row[1]}/{row[2]}/"
            words = next((said[0] for path, said in quotes.items() if path.startswith(start) and said), None)
            found.append(Cited(row[0], str(row[1]), row[2], words, None))
    return found


def _feedback(kept: Any) -> dict[str, Any] | None:
    if not isinstance(kept, dict) or kept.get("value") not in {0, 1}:
        return None
    return {"value": "good" if kept["value"] else "bad", "comment": kept.get("comment") or None}


def _words(text: Any, *, lines: bool = False) -> str:
    shown = INVISIBLE.sub("", str(text or "")).replace(JOINER, "")
    return shown.strip() if lines else " ".join(shown.split())
