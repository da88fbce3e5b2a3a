"""The figures of answers: stored with them, read back for one user, added up, shown and taken along."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest
from fastapi.testclient import TestClient
from test_render import make_answer

from rag.answer import QUOTED_ANSWER, Confidence
from rag.costs.accounting import Energy, Span
from rag.insight.figures import KEY, figures_of, read_figures
from rag.insight.summary import answer_row, by_month, summed_up
from rag.privacy.audit import AuditLog
from ui.chats.insight import answers_of, as_csv
from ui.chats.salvage import schema

ALLOWED = "http://localhost:8000"
SPANS = (
    *(("prepare", 0.1), ("embed", 0.2), ("retrieve", 0.3), ("read", 0.4), ("prompt", 0.05), ("queue", 0.05)),
    *(("first token", 0.5), ("decode", 1.5), ("check", 0.2), ("refine", 2.0), ("check", 0.1)),
)


def traced(*, spans=SPANS, seconds: float | None = 5.6, **values):
    answer = make_answer(**values)
    answer.trace.spans.extend(Span(*span) for span in spans)
    answer.trace.seconds = seconds
    return answer


def refined():
    """An answer whose draft a larger model refined."""
    draft = replace(make_answer().drafts[0], cost=0.001, energy=Energy(0.02, "estimated"), seconds=2.0)
    draft = replace(draft, first_token_seconds=0.5)
    larger = replace(draft, model="large", refines=draft, locality="remote", cost=0.01, energy=None, seconds=4.5)
    return traced(drafts=(draft, larger), shown=1)


def stored(file, *chats, users=("local",)):
    """A chat history: each chat is (user, name, [(time, metadata)])."""
    with closing(sqlite3.connect(file)) as db, db:
        db.executescript(schema())
        for user in users:
            db.execute("INSERT INTO users VALUES (?, ?, '{}', '')", (f"id of {user}", user))
        for n, (user, name, answers) in enumerate(chats):
            db.execute(
                'INSERT INTO threads ("id", "name", "userId") VALUES (?, ?, ?)', (f"c{n}", name, f"id of {user}")
            )
            for m, (at, metadata) in enumerate(answers):
                db.execute(
                    'INSERT INTO steps ("id", "name", "type", "threadId", "streaming", "metadata", "createdAt") '
                    "VALUES (?, 'x', 'assistant_message', ?, 0, ?, ?)",
                    (f"{n}-{m}", f"c{n}", metadata if isinstance(metadata, str) else json.dumps(metadata), at),
                )
    return file


def metadata(question: str, figures=None, **more):
    return {"question": question, "answer": "A.", **({KEY: figures} if figures else {}), **more}


def figures(**values):
    """As `figures_of` stores them, of an answer that took four seconds."""
    written = {
        "model": "small", "here": True, "larger": False, "seconds": 2.0, "first_seconds": 0.5,
        "usage": {"input_tokens": 100, "output_tokens": 30}, "usd": 0.001, "wh": 0.02, "measured": "counter",
    }  # fmt: skip
    told = {"seconds": 4.0, "stages": {"search": 1.0, "draft": 2.0, "other": 1.0}, "stayed": True, "confidence": 0.7}
    return told | {"written": [written]} | values


# -- one answer


def test_the_stages_of_an_answer_add_up_to_the_whole() -> None:
    told = read_figures(figures_of(refined(), first_word=0.9))
    assert told.stages == {
        "search": 0.6, "reading": 0.4, "first word": 0.6, "draft": 1.5, "check": 0.3, "refinement": 2.0, "other": 0.2,
    }  # fmt: skip
    assert sum(told.stages.values()) == pytest.approx(told.seconds)
    assert (told.first_word, told.larger_shown, told.stayed) == (0.9, True, False)
    assert told.draft.tokens_per_second == pytest.approx(40 / 1.5)
    assert told.larger.tokens_per_second == pytest.approx(10)
    assert told.usd == pytest.approx(0.011)
    assert told.wh is None, "the energy elsewhere is not known, so neither is the sum"


def test_what_was_not_measured_is_none_and_never_zero() -> None:
    answer = traced(spans=(), seconds=None)
    told = read_figures(figures_of(replace(answer, drafts=()), first_word=None))
    assert (told.seconds, told.first_word, told.stages, told.confidence, told.usd, told.wh) == (None,) * 6
    unpriced = read_figures(figures_of(traced(), first_word=None))
    assert (unpriced.usd, unpriced.wh) == (None, None)
    silent = replace(make_answer().drafts[0], usage=None)
    part = read_figures(figures_of(traced(drafts=(silent,)), first_word=None)).draft
    assert (part.output_tokens, part.tokens_per_second) == (None, None)


def test_a_confidence_that_is_not_shown_in_the_chat_is_not_measured() -> None:
    sure = Confidence(score=0.4, reason="Why.", signals={"calibrated": 0.0})
    assert read_figures(figures_of(traced(confidence=sure), first_word=None)).confidence is None
    known = replace(sure, signals={"calibrated": 1.0})
    assert read_figures(figures_of(traced(confidence=known), first_word=None)).confidence == 0.4


def test_quotations_and_drafts_of_an_earlier_answer_are_not_counted_again() -> None:
    quoted = replace(make_answer().drafts[0], model=QUOTED_ANSWER, cost=0.0)
    answer = traced(drafts=(*make_answer().drafts, quoted), shown=1)
    assert [part.model for part in read_figures(figures_of(answer, first_word=None)).written] == ["SmolLM2-135M"]
    later = replace(refined())
    later.trace.spans[:] = [Span("check", 0.1), Span("refine", 2.0)]
    told = read_figures(figures_of(later, first_word=None))
    assert [part.model for part in told.written] == ["large"]
    assert told.usd == 0.01


def test_a_request_without_an_answer_has_no_known_cost() -> None:
    told = read_figures(figures_of(traced(sent_to="large"), first_word=None))
    assert (told.stayed, told.lost, told.usd) == (False, True, None)


@pytest.mark.parametrize(
    "odd",
    [7, [], {"stages": 3, "written": {}}, {"written": [4, {"model": 3}], "seconds": "1"},
     {"seconds": -1, "stayed": "no"}, {"seconds": float("nan"), "stages": {"search": True, "draft": float("inf")}}],
)  # fmt: skip
def test_what_is_stored_is_not_trusted(odd) -> None:
    told = read_figures(odd)
    assert (told.seconds, told.stages, told.stayed, told.written) == (None, None, None, ())


# -- many answers


def test_the_figures_of_a_hand_made_history_add_up(tmp_path) -> None:
    slow = figures(seconds=6.0, stages={"search": 1.0, "draft": 4.0, "other": 1.0}, confidence=0.1)
    larger = figures()["written"][0] | {"model": "large", "larger": True, "here": False, "usd": None, "wh": None}
    sent = figures(written=[*figures()["written"], larger], stayed=False, larger_shown=True)
    record = {"draft": {"text": "x", "model": "small", "seconds": 3.0, "usage": None}}
    file = stored(
        tmp_path / "chats.db",
        ("local", "Seeds", [("2026-10-30T10:00:00Z", metadata("Old?", record=record)),
                            ("2026-11-01T10:00:00Z", metadata("One?", figures()))]),
        ("local", "Jars", [("2026-11-02T10:00:00Z", metadata("Two?", slow)),
                           ("2026-11-03T10:00:00Z", metadata("Three?", sent)),
                           ("2026-11-03T11:00:00Z", "{broken"), ("2026-11-03T12:00:00Z", {}),
                           ("2026-11-03T13:00:00Z", metadata(7))]),
    )  # fmt: skip
    told = summed_up(answers_of(file, "local"))
    whole = told["all"]
    assert (whole["answers"], whole["measured"], told["n_chats"]) == (4, 3, 2)
    assert whole["seconds"] == pytest.approx((4 + 6 + 4) / 3)
    assert whole["stages"] == pytest.approx({"search": 1.0, "draft": 8 / 3, "other": 1.0})
    assert sum(whole["stages"].values()) == pytest.approx(whole["seconds"])
    assert whole["usd"] == {"sum": pytest.approx(0.002), "known": 2, "unknown": 2}
    assert (whole["stayed"], whole["left"], whole["where_unknown"]) == (2, 1, 1)
    assert (whole["larger_asked"], whole["larger_shown"]) == (1, 1)
    assert [row["month"] for row in told["months"]] == ["2026-11", "2026-10"]
    assert told["months"][1]["usd"] == {"sum": None, "known": 0, "unknown": 1}
    assert told["months"][1]["seconds"] is None
    assert sum(row["answers"] for row in told["months"]) == sum(row["answers"] for row in told["chats"]) == 4
    assert [row["name"] for row in told["chats"]] == ["Jars", "Seeds"]
    assert [(row["model"], row["larger"], row["texts"]) for row in told["models"]] == [
        ("small", False, 4), ("large", True, 1)
    ]  # fmt: skip
    assert told["models"][0]["tokens_per_second"] == pytest.approx(20)
    assert [row["answers"] for row in told["confidence"]] == [1, 0, 0, 2, 0]


def test_another_users_chats_are_neither_counted_nor_shown(tmp_path) -> None:
    at = "2026-11-01T10:00:00Z"
    file = stored(
        tmp_path / "chats.db",
        ("local", "Mine", [(at, metadata("Mine?", figures()))]),
        ("other", "Theirs", [(at, metadata("Theirs?", figures())), (at, metadata("More?", figures()))]),
        users=("local", "other"),
    )
    assert [answer.question for answer in answers_of(file, "local")] == ["Mine?"]
    assert summed_up(answers_of(file, "local"))["all"]["answers"] == 1
    assert list(answers_of(file, "local", chat="c1")) == []
    assert [answer.question for answer in answers_of(file, "other", chat="c1")] == ["Theirs?", "More?"]
    assert list(answers_of(file, "nobody")) == []
    assert list(answers_of(tmp_path / "none.db", "local")) == []


def test_the_csv_has_a_row_per_answer_and_no_formula(tmp_path) -> None:
    file = stored(
        tmp_path / "chats.db",
        ("local", '=HYPERLINK("x")', [("2026-10-30T10:00:00Z", metadata(" =old")),
                                      ("2026-11-01T10:00:00Z", metadata("One?", figures()))]),
    )  # fmt: skip
    old, new = csv.DictReader(io.StringIO(as_csv(answers_of(file, "local"))))
    assert (old["chat"], old["question"]) == ('\'=HYPERLINK("x")', "' =old")
    assert (old["seconds"], old["usd"], old["stayed"]) == ("", "", "")
    assert (new["seconds"], new["draft"], new["usd"], new["stayed"]) == ("4.0", "2.0", "0.001", "yes")
    assert new["drafter tokens per second"] == "20.0"
    assert as_csv([]) == ""


def test_what_left_is_told_by_month_from_the_audit_log(tmp_path) -> None:
    log = AuditLog(tmp_path)
    sent = {"host": "a.example", "bytes": 100, "papers": ["p", "q"]}
    log.append("permitted", {"permit": "1", **sent})
    log.append("cost", {"permit": "1", "cost": 0.1})
    log.append("permitted", {"permit": "2", **sent, "papers": ["q"]})
    log.append("permitted", {"permit": "3", **sent})
    log.append("not sent", {"permit": "3"})
    log.append("refused", {"why": "never", **sent})
    log.append("policy", {"library": "ask", "papers": [], "sha256": ""})
    (month,) = by_month(log.entries()).values()
    assert month == {"calls": 2, "bytes": 200, "papers": 2, "hosts": ["a.example"], "refused": 1}
    assert by_month([]) == {}


# -- the routes


@pytest.fixture
def client(app):
    from chainlit.server import app as server

    return TestClient(server, base_url=ALLOWED)


@pytest.fixture
def logged_in(client):
    assert client.post("/auth/header").status_code == 200
    return client


@pytest.mark.parametrize(
    "path", ["/insight", "/insight/figures.json", "/insight/chat.json?id=c0", "/insight/figures.csv"]
)
def test_insight_is_only_for_who_has_opened_the_page(client, path) -> None:
    assert client.get(path).status_code == 401


def test_the_page_its_figures_and_the_file(logged_in, shelf_library) -> None:
    assert "/public/insight.js" in logged_in.get("/insight").text
    assert logged_in.get("/insight/figures.json").json()["all"]["answers"] == 0
    stored(
        shelf_library.folder / "chats.db",
        ("local", "Mine", [("2026-11-01T10:00:00Z", metadata("Mine?", figures()))]),
        ("other", "Theirs", [("2026-11-01T10:00:00Z", metadata("Theirs?", figures()))]),
        users=("local", "other"),
    )
    told = logged_in.get("/insight/figures.json").json()
    assert (told["all"]["answers"], told["left"], told["left_fault"]) == (1, {}, None)
    (row,) = logged_in.get("/insight/chat.json", params={"id": "c0"}).json()
    assert row == json.loads(json.dumps(answer_row(next(answers_of(shelf_library.folder / "chats.db", "local")))))
    assert logged_in.get("/insight/chat.json", params={"id": "c1"}).json() == []
    reply = logged_in.get("/insight/figures.csv")
    assert reply.headers["content-disposition"] == "attachment"
    assert "Mine?" in reply.text
    assert reply.content.startswith(b"\xef\xbb\xbf"), "else Excel takes it for another encoding"
    assert "Theirs?" not in reply.text


def test_a_damaged_history_or_log_is_told_in_words(logged_in, shelf_library) -> None:
    AuditLog(shelf_library.folder).append("policy", {"library": "ask"})
    (shelf_library.folder / "audit.head").unlink()
    told = logged_in.get("/insight/figures.json").json()
    assert told["left"] is None
    assert "audit log was changed" in told["left_fault"]
    (shelf_library.folder / "chats.db").write_bytes(b"SQLite format 3\0" + b"\xff" * 8000)
    reply = logged_in.get("/insight/figures.json")
    assert reply.status_code == 503
    assert "file with your chats is damaged" in reply.json()["detail"]
