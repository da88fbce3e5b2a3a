"""Orders to the running app: large ones go in parts, and one that is too large is told apart from a busy library."""

from __future__ import annotations

import json
import threading
import time

import pytest
import uvicorn

from ingest import remote
from ingest.annotation import Annotation
from ingest.errors import LibraryBusyError, UserFacingError
from ingest.from_zotero import FromZotero
from ingest.remote import orders, orders_in_parts
from ingest.typed_json import from_json, to_json
from ui.web import routes
from ui.web.guard import BODY_MB, MEGABYTE, BodyLimit


async def answer(scope, receive, send) -> None:
    """What an app does that takes every order: say what came, after a while in which it has nothing to say."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message["body"], message.get("more_body", False)
    papers = from_json(json.loads(body)["said"], dict[str, FromZotero])
    said = {"bytes": len(body), "papers": list(papers)}
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"\n\n" + json.dumps(said).encode() + b"\n\n"})


@pytest.fixture
def owner():
    config = uvicorn.Config(BodyLimit(answer, upload_mb=1), port=0, lifespan="off", log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield {"url": f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}", "key": "k"}
    server.should_exit = True
    thread.join(20)


def test_what_is_more_than_the_app_takes_at_once_goes_in_parts(owner) -> None:
    note = Annotation(page=1, kind="note", note="Ж" * 100_000)
    said = {f"paper {n}": FromZotero(tags=("важно",), notes=(note,)) for n in range(40)}
    assert len(json.dumps(to_json(said))) > (BODY_MB + 1) * MEGABYTE
    rows = list(orders_in_parts(owner, {"do": "follow"}, "said", to_json(said)))
    assert [paper for row in rows for paper in row["papers"]] == list(said)
    assert max(row["bytes"] for row in rows) < 5_000_000
    assert len(rows) == 7


def test_an_order_that_is_too_large_is_not_called_a_busy_library(owner) -> None:
    with pytest.raises(UserFacingError, match=r"more than Scholion at .* takes at once") as told:
        list(orders(owner, {"do": "follow", "said": {"paper": "x" * 30_000_000}}))
    assert not isinstance(told.value, LibraryBusyError)


@pytest.mark.parametrize("end", ["all", "gone"])
async def test_while_a_long_paper_is_read_the_app_says_that_it_is_there(monkeypatch, end) -> None:
    monkeypatch.setattr(remote, "QUIET", 0.01)
    read, cancelled = threading.Event(), threading.Event()

    def rows():
        assert read.wait(20)
        yield {"status": "added"}

    lines = routes._lines(rows(), cancel=cancelled)
    assert [await anext(lines), await anext(lines)] == ["\n", "\n"]
    assert not cancelled.is_set()
    read.set()
    if end == "all":
        assert [json.loads(line) async for line in lines if line.strip()] == [{"status": "added"}]
    else:
        await lines.aclose()
    assert cancelled.is_set()
