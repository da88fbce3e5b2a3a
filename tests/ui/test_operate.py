"""What whoever runs Scholion for others sees: numbers without names, readiness, numbered requests, an orderly end."""

from __future__ import annotations

import json
import logging
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import aclosing, suppress
from dataclasses import replace

import httpx
import pytest
from fastapi.testclient import TestClient
from test_render import make_answer

from ingest import UserFacingError
from ingest.app_settings import OperateSettings
from places import ROOT
from rag.answer import Answered, Queued, Retrieved, TextDelta
from rag.costs.accounting import Trace
from ui import ending
from ui.operate import exposition, metrics, requests

SAMPLE = re.compile(r'([a-z_:][a-z0-9_:]*)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (\S+)', re.IGNORECASE)
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\\n]|\\["\\n])*)"')


def parsed(text: str) -> tuple[dict[str, str], dict[tuple[str, frozenset[tuple[str, str]]], float]]:
    """The types and the samples of a text in exposition format 0.0.4, by its own grammar."""
    types, samples = {}, {}
    assert text.endswith("\n")
    for line in text.splitlines():
        if line.startswith("# HELP "):
            continue
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in types, "one group for each metric"
            types[name] = kind
            continue
        found = SAMPLE.fullmatch(line)
        assert found, line
        name, labels, value = found.groups()
        base = re.sub(r"_(bucket|sum|count)$", "", name)
        assert types.get(base) == "histogram" or name in types, line
        key = (name, frozenset(LABEL.findall(labels or "")))
        assert key not in samples, "each sample once"
        samples[key] = float(value)
    return types, samples


def of(name: str, **labels: str) -> float | None:
    return parsed(metrics.text())[1].get((name, frozenset(labels.items())))


@pytest.fixture
def measured(app, monkeypatch):
    """The settings are as the test says."""

    def set_to(**values) -> None:
        made = OperateSettings(**values)
        monkeypatch.setattr("ui.operate.routes.settings", lambda: made)
        monkeypatch.setattr("ui.operate.requests.settings", lambda: made)

    return set_to


@pytest.fixture
def client(app):
    from chainlit.server import app as server

    return TestClient(server, base_url="http://localhost:8000", client=("127.0.0.1", 50000))


def test_the_text_is_what_prometheus_reads() -> None:
    counted = exposition.Metric("x_total", "Things.", labels=("kind",))
    counted.add('a "b"\\\n', n=2)
    counted.add("c")
    timed = exposition.Histogram("y_seconds", "Times.", bounds=(0.1, 1.0), label="stage")
    for seconds in (0.05, 0.1, 0.5, 7.0):
        timed.observe(seconds, "read")
    types, samples = parsed(exposition.text_of([counted, timed]))
    assert types == {"x_total": "counter", "y_seconds": "histogram"}
    assert samples["x_total", frozenset({("kind", 'a \\"b\\"\\\\\\n')})] == 2
    buckets = {dict(labels)["le"]: n for (name, labels), n in samples.items() if name == "y_seconds_bucket"}
    assert buckets == {"0.1": 2, "1": 3, "+Inf": 4}
    assert samples["y_seconds_sum", frozenset({("stage", "read")})] == pytest.approx(7.65)
    assert samples["y_seconds_count", frozenset({("stage", "read")})] == 4


async def events(*all_of_them):
    for event in all_of_them:
        if isinstance(event, Exception):
            raise event
        yield event


async def test_answers_are_counted_by_how_they_end_with_their_stages_and_tokens() -> None:
    def numbers() -> dict[str, float]:
        outcomes = ("answered", "abstained", "failed", "stopped")
        return {name: of("scholion_answers_total", outcome=name) or 0 for name in outcomes}

    before, read = numbers(), of("scholion_tokens_total", role="draft", direction="in") or 0
    trace = Trace()
    trace.add("decode", 2.0)
    trace.seconds = 3.0
    decoded = of("scholion_stage_seconds_count", stage="decode") or 0
    answer = make_answer(trace=trace)
    async with aclosing(
        metrics.watched(events(Retrieved(()), Queued(2), TextDelta("It", 0), Answered(answer)))
    ) as all_:
        seen = [
            (type(event).__name__, of("scholion_answers_queued"), of("scholion_answers_running"))
            async for event in all_
        ]
    assert [row[:2] for row in seen] == [("Retrieved", 0), ("Queued", 1), ("TextDelta", 0), ("Answered", 0)]
    assert {row[2] for row in seen} == {1}
    async for _ in metrics.watched(events(Answered(make_answer(abstained=True, drafts=())))):
        pass
    with pytest.raises(UserFacingError):
        async for _ in metrics.watched(events(Queued(1), UserFacingError("No.", "Try."))):
            pass
    async with aclosing(metrics.watched(events(Queued(1), TextDelta("It", 0)))) as all_:
        await anext(all_)
    assert {name: n - before[name] for name, n in numbers().items()} == dict.fromkeys(before, 1)
    assert (of("scholion_answers_queued"), of("scholion_answers_running")) == (0, 0)
    assert of("scholion_tokens_total", role="draft", direction="in") == read + 812
    assert of("scholion_stage_seconds_count", stage="decode") == decoded + 1


async def test_a_draft_of_an_earlier_answer_that_is_refined_is_not_counted_again() -> None:
    def read(role: str) -> float:
        return of("scholion_tokens_total", role=role, direction="in") or 0

    before = read("draft"), read("refinement")
    first = make_answer()
    refined = replace(first.drafts[0], refines=first.drafts[0])
    async for _ in metrics.watched(events(Answered(make_answer(trace=Trace(), drafts=(*first.drafts, refined))))):
        pass
    assert (read("draft"), read("refinement")) == (before[0], before[1] + 812)


def test_metrics_are_off_until_they_are_switched_on_and_only_for_this_machine(client, measured) -> None:
    assert client.get("/metrics").status_code == 404
    measured(metrics=True)
    reply = client.get("/metrics")
    assert reply.headers["content-type"] == exposition.CONTENT_TYPE
    types, samples = parsed(reply.text)
    assert set(types) >= {metric.name for metric in metrics.EVERYTHING}
    assert samples["scholion_requests_total", frozenset({("route", "GET /metrics"), ("status", "404")})] >= 1
    client._transport.client = ("203.0.113.7", 5000)
    assert client.get("/metrics").status_code == 404


def test_a_proxy_on_this_machine_that_names_nobody_gets_no_metrics(measured) -> None:
    from fastapi import FastAPI

    from ui.operate.routes import router

    measured(metrics=True)
    served = FastAPI()
    served.include_router(router())
    for name, status in (("127.0.0.1:8421", 200), ("[::1]:8421", 200), ("papers.example.org", 404)):
        proxy = TestClient(served, base_url=f"http://{name}", client=("127.0.0.1", 50000))
        assert proxy.get("/metrics").status_code == status, name


def test_no_name_and_no_text_gets_into_numbers_and_log(client, measured, paper, caplog) -> None:
    measured(metrics=True, log="json")
    assert client.post("/auth/header").status_code == 200
    caplog.set_level(logging.INFO, logger="scholion.requests")
    for path in (
        f"/papers/{paper.id}.pdf",
        f"/page/{paper.id}/1?words=canary",
        "/thread/8f14e45f-ceea-467f-a8f6-0123456789ab",
        "/canary/canary.txt?canary",
    ):
        client.get(path)
    text = client.get("/metrics").text
    lines = "\n".join(requests.AsJson().format(record) for record in caplog.records if record.name == requests.log.name)
    for said in (text, lines):
        assert "/papers/{paper_id}.pdf" in said
        assert not [word for word in (paper.id, "canary", "8f14e45f", "Dunes", "Burg") if word in said]


def test_a_request_keeps_the_number_that_a_proxy_gave_if_it_is_one(client, measured, caplog) -> None:
    measured(log="json")
    caplog.set_level(logging.INFO, logger="scholion.requests")
    seen = []
    shown = requests.AsJson()

    class Now(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(json.loads(shown.format(record)))

    handler = Now()
    requests.log.addHandler(handler)
    try:
        given = [
            client.get("/healthz", headers={"x-request-id": said}) for said in ("a1b2c3d4-e5", "x\ty", "short", "")
        ]
    finally:
        requests.log.removeHandler(handler)
    numbers = [reply.headers["x-request-id"] for reply in given]
    assert numbers[0] == "a1b2c3d4-e5"
    assert all(re.fullmatch("[0-9a-f]{16}", number) for number in numbers[1:])
    assert len(set(numbers)) == 4
    assert [row["request"] for row in seen] == numbers
    assert {(row["route"], row["status"], row["level"]) for row in seen} == {("GET /healthz", 200, "info")}
    assert all(0 < row["seconds"] < 60 for row in seen)


def test_a_wrong_setting_of_the_log_ends_the_start_with_a_sentence(
    tmp_path, settings_anew, monkeypatch, capsys
) -> None:
    from ui import __main__
    from ui.operate.settings import settings

    settings.cache_clear()
    monkeypatch.setenv("SCHOLION_LOG", "debug")
    monkeypatch.setenv("SCHOLION_LIBRARY", str(tmp_path))
    assert __main__.main(["--no-browser"]) == 1
    assert capsys.readouterr().err.startswith("The setting SCHOLION_LOG is not valid: Input should be 'text' or 'json'")


def test_without_the_setting_no_request_is_logged(client, caplog) -> None:
    caplog.set_level(logging.INFO, logger="scholion.requests")
    client.get("/healthz")
    assert not [record for record in caplog.records if record.name == requests.log.name]


def test_it_is_ready_once_the_models_are_loaded_and_until_it_ends(client, monkeypatch) -> None:
    from ui import core

    for name in ("_loaded", "_stopping"):
        monkeypatch.setattr(core, name, threading.Event())
    monkeypatch.setattr(ending, "_begun", threading.Event())
    assert (client.get("/readyz").status_code, client.get("/readyz").json()["why"]) == (503, "loading")
    core._loaded.set()
    assert (client.get("/readyz").status_code, client.get("/readyz").json()) == (200, {"ready": True, "why": None})
    ending._begun.set()
    assert (client.get("/readyz").status_code, client.get("/readyz").json()["why"]) == (503, "stopping")
    assert client.get("/healthz").status_code == 200, "it still lives"


def until(done, seconds: float = 60.0) -> bool:
    end = time.monotonic() + seconds
    while not done() and time.monotonic() < end:
        time.sleep(0.01)
    return bool(done())


def test_signals_end_answers_as_is_said() -> None:
    """In a process of its own: a signal for one event loop disturbs those of the tests after it."""
    alone = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/ui/signals_alone.py"]
    done = subprocess.run(alone, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


SERVER = """
import asyncio, contextlib, sys
import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route
from ui import ending

ending._stop = set  # Chainlit's pages, of which there are none
ending.install()

async def answer(request):
    async def pieces():
        with ending.underway():
            for n in range(10):
                yield f"{n} "
                await asyncio.sleep(0.1)
    return StreamingResponse(pieces())

async def state(request):
    return PlainTextResponse("stopping" if ending.has_begun() else "well")

@contextlib.asynccontextmanager
async def life(app):
    ending.watch(cut_off=lambda: None, finish_seconds=60)
    yield

routes = [Route("/answer", answer), Route("/state", state)]
uvicorn.run(Starlette(routes=routes, lifespan=life), port=int(sys.argv[1]), log_level="error")
"""


def test_a_server_that_is_told_to_end_writes_its_answer_to_the_end() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([sys.executable, "-c", SERVER, str(port)], cwd=ROOT)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as client:

            def state() -> str:
                with suppress(httpx.TransportError):
                    return client.get("/state").text
                return ""

            assert until(lambda: state() == "well", 120)
            with client.stream("GET", "/answer") as answer:
                pieces = answer.iter_text()
                text = next(pieces)
                server.send_signal(signal.SIGTERM)
                assert until(lambda: state() == "stopping")
                text += "".join(pieces)
        assert text == "0 1 2 3 4 5 6 7 8 9 "
        server.wait(60)
    finally:
        server.kill()
        server.wait()
