"""The page `/health`, its report and its bundle, and the numbers of errors shown in the chat."""

from __future__ import annotations

import io
import zipfile

import pytest
from fastapi.testclient import TestClient

from rag.health import faults
from rag.health.report import Line
from ui import errors

ALLOWED = "http://localhost:8000"
LINES = [Line(about="B", state="problem", said="It is <b>gone</b>.", todo="Get it.", check="b", group="B")]


@pytest.fixture
def client(app):
    from chainlit.server import app as server

    return TestClient(server, base_url=ALLOWED)


@pytest.fixture
def logged_in(client):
    assert client.post("/auth/header").status_code == 200
    return client


@pytest.fixture
def asked(monkeypatch):
    """What the routes wanted to be examined; each gets one line."""
    calls = []
    monkeypatch.setattr("ui.web.health_routes.examine", lambda **how: calls.append(how) or LINES)
    return calls


@pytest.mark.parametrize("path", ["/health", "/health/report.json", "/health/bundle.zip", "/health/reach"])
def test_the_report_and_the_bundle_are_only_for_who_has_opened_the_page(client, asked, path) -> None:
    reply = client.post(path, json={"agreed": True}) if path.endswith("reach") else client.get(path)
    assert reply.status_code == 401
    assert asked == []


def test_the_page_and_its_data(logged_in, asked) -> None:
    page = logged_in.get("/health")
    assert "/public/health.js" in page.text
    assert "http" not in page.text
    told = logged_in.get("/health/report.json").json()
    assert told["well"] is False
    assert told["checks"][0]["said"] == "It is <b>gone</b>."
    with zipfile.ZipFile(io.BytesIO(logged_in.get("/health/bundle.zip").content)) as file:
        assert b"gone" not in file.read("report.json")
    assert asked == [{"reach": False, "running": True}, {"running": True}]


@pytest.mark.parametrize(("order", "reach"), [({"agreed": True}, True), ({"agreed": "yes"}, False), ({}, False)])
def test_a_larger_model_is_reached_only_if_the_user_agreed(logged_in, asked, order, reach) -> None:
    assert logged_in.post("/health/reach", json=order).status_code == 200
    assert asked == [{"reach": reach, "running": True}]


async def test_an_error_that_is_shown_with_a_number_is_found_by_it(app, chat, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(errors.core, "settings", lambda: type("Settings", (), {"library": tmp_path}))

    @errors.visible
    async def handler() -> None:
        raise KeyError("a private word")

    await handler()
    (shown,) = [text for text in chat.texts if "Something went wrong" in text]
    (row,) = faults.last(tmp_path)
    assert f"error {row['number']}" in shown
    assert row["types"] == ["KeyError"]
    assert "private" not in (tmp_path / faults.FILE).read_text()
