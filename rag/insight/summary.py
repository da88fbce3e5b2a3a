"""What many answers took and cost: by month, chat, model and stage, in one pass; and what the audit log adds."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from statistics import fmean, median
from typing import TYPE_CHECKING, Any, Final

from rag.insight.figures import OTHER, STAGES, Figures

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

BINS: Final = 5
"""Bars of the confidence histogram."""
ALL_STAGES: Final = (*STAGES, OTHER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """One stored answer."""

    id: str
    chat: str
    """The chat's id."""
    name: str
    """The chat's name."""
    at: str
    """ISO 8601, UTC; empty if unknown."""
    question: str
    figures: Figures


@dataclass(slots=True)
class _Sum:
    """A sum of known parts that remembers how many were unknown."""

    known: list[float] = field(default_factory=list)
    unknown: int = 0

    def add(self, value: float | None) -> None:
        if value is None:
            self.unknown += 1
        else:
            self.known.append(value)

    def row(self) -> dict[str, Any]:
        """`sum` is None if nothing is known; `unknown` says how many parts are missing from it."""
        return {"sum": sum(self.known) if self.known else None, "known": len(self.known), "unknown": self.unknown}


@dataclass(slots=True)
class _Group:
    """The answers of a chat, of a month, or of all."""

    answers: int = 0
    stayed: int = 0
    left: int = 0
    seconds: list[float] = field(default_factory=list)
    first_words: list[float] = field(default_factory=list)
    confidences: list[float] = field(default_factory=list)
    staged: list[Mapping[str, float]] = field(default_factory=list)
    usd: _Sum = field(default_factory=_Sum)
    wh: _Sum = field(default_factory=_Sum)
    larger_asked: int = 0
    larger_shown: int = 0

    def add(self, figures: Figures) -> None:
        self.answers += 1
        self.stayed += figures.stayed is True
        self.left += figures.stayed is False
        if figures.seconds is not None:
            self.seconds.append(figures.seconds)
        if figures.first_word is not None:
            self.first_words.append(figures.first_word)
        if figures.confidence is not None:
            self.confidences.append(figures.confidence)
        if figures.stages is not None:
            self.staged.append(figures.stages)
        if figures.written or figures.lost:
            self.usd.add(figures.usd)
            self.wh.add(figures.wh)
        self.larger_asked += figures.larger is not None or figures.lost
        self.larger_shown += figures.larger_shown is True

    def row(self) -> dict[str, Any]:
        """As JSON; times are means, so that the stages add up to the whole."""
        stages = None
        if self.staged:
            means = {name: sum(row.get(name, 0.0) for row in self.staged) / len(self.staged) for name in ALL_STAGES}
            stages = {name: value for name, value in means.items() if value}
        return {
            "answers": self.answers,
            "measured": len(self.staged),
            "stayed": self.stayed,
            "left": self.left,
            "where_unknown": self.answers - self.stayed - self.left,
            "seconds": fmean(self.seconds) if self.seconds else None,
            "first_word": median(self.first_words) if self.first_words else None,
            "stages": stages,
            "confidence": fmean(self.confidences) if self.confidences else None,
            "usd": self.usd.row(),
            "wh": self.wh.row(),
            "larger_asked": self.larger_asked,
            "larger_shown": self.larger_shown,
        }


@dataclass(slots=True)
class _Model:
    """What one model wrote, as drafter or as larger model."""

    texts: int = 0
    away: bool | None = None
    speeds: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    tokens: _Sum = field(default_factory=_Sum)
    usd: _Sum = field(default_factory=_Sum)
    wh: _Sum = field(default_factory=_Sum)


def summed_up(answers: Iterable[Answered], *, most_chats: int = 40) -> dict[str, Any]:
    """All that the page shows, as JSON.

    Args:
        answers: oldest first.
        most_chats: how many chats are listed, the latest first; all of them count.
    """
    whole, months, chats = _Group(), defaultdict[str, _Group](_Group), defaultdict[str, _Group](_Group)
    models: dict[tuple[str, bool], _Model] = defaultdict(_Model)
    named: dict[str, tuple[str, str]] = {}
    for answer in answers:
        figures = answer.figures
        for group in (whole, months[answer.at[:7] or "unknown"], chats[answer.chat]):
            group.add(figures)
        named.pop(answer.chat, None)  # so that the latest is last
        named[answer.chat] = (answer.name, answer.at)
        for part in figures.written:
            model = models[part.model, part.larger]
            model.texts += 1
            model.away = model.away or (None if part.here is None else not part.here)
            if part.tokens_per_second is not None:
                model.speeds.append(part.tokens_per_second)
            if part.seconds is not None:
                model.seconds.append(part.seconds)
            model.tokens.add(part.output_tokens)
            model.usd.add(part.usd)
            model.wh.add(part.wh)
    latest = list(named)[::-1][:most_chats]
    return {
        "all": whole.row(),
        "n_chats": len(named),
        "months": [{"month": month, **months[month].row()} for month in sorted(months, reverse=True)],
        "chats": [{"id": key, "name": named[key][0], "at": named[key][1], **chats[key].row()} for key in latest],
        "models": [_model_row(name, larger, models[name, larger]) for name, larger in sorted(models, key=_drafters)],
        "confidence": _bins(whole.confidences),
    }


def _drafters(key: tuple[str, bool]) -> tuple[bool, str]:
    return key[1], key[0]


def _model_row(name: str, larger: bool, model: _Model) -> dict[str, Any]:  # noqa: FBT001 - from the key of a table
    return {
        "model": name,
        "larger": larger,
        "elsewhere": model.away,
        "texts": model.texts,
        "tokens_per_second": median(model.speeds) if model.speeds else None,
        "seconds": median(model.seconds) if model.seconds else None,
        "tokens": model.tokens.row(),
        "usd": model.usd.row(),
        "wh": model.wh.row(),
    }


def _bins(scores: list[float]) -> list[dict[str, Any]]:
    counts = [0] * BINS
    for score in scores:
        counts[min(BINS - 1, int(score * BINS))] += 1
    return [{"from": n / BINS, "to": (n + 1) / BINS, "answers": count} for n, count in enumerate(counts)]


def answer_row(answer: Answered) -> dict[str, Any]:
    """One answer as JSON for the page and as a row of the CSV file."""
    figures = answer.figures
    stages = figures.stages or {}
    row: dict[str, Any] = {
        "time": answer.at,
        "chat": answer.name,
        "question": answer.question,
        "kind": figures.kind,
        "seconds": figures.seconds,
        "first word on the page": figures.first_word,
        **{name: stages.get(name) for name in ALL_STAGES},
        "confidence": figures.confidence,
        "stayed": figures.stayed,
        "usd": figures.usd,
        "wh": figures.wh,
        "energy": next((part.measured for part in figures.written if part.measured), None),
    }
    for role, part in (("drafter", figures.draft), ("larger model", figures.larger)):
        row[role] = part.model if part else None
        for name in ("seconds", "input_tokens", "output_tokens", "tokens_per_second", "usd"):
            row[f"{role} {name.replace('_', ' ')}"] = getattr(part, name) if part else None
    return row


def by_month(entries: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """What the audit log says left this machine in each month (UTC), and what was refused.

    Args:
        entries: the log's lines, oldest first. A call that was never sent is not counted.
    """
    calls: dict[str, tuple[str, Mapping[str, Any]]] = {}
    refused: dict[str, int] = defaultdict(int)
    for entry in entries:
        month, permit = str(entry["time"])[:7], str(entry.get("permit", ""))
        if entry["event"] == "permitted":
            calls[permit] = (month, entry)
        elif entry["event"] == "not sent":
            calls.pop(permit, None)
        elif entry["event"] == "refused":
            refused[month] += 1
    months: dict[str, dict[str, Any]] = {}
    for month in sorted({month for month, _ in calls.values()} | refused.keys()):
        sent = [entry for when, entry in calls.values() if when == month]
        months[month] = {
            "calls": len(sent),
            "bytes": sum(int(entry.get("bytes") or 0) for entry in sent),
            "papers": len({paper for entry in sent for paper in entry.get("papers") or ()}),
            "hosts": sorted({str(entry.get("host")) for entry in sent}),
            "refused": refused.get(month, 0),
        }
    return months
