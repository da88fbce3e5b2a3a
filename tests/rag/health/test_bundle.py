"""The bundle: words planted wherever the user's own could be are not in it."""

from __future__ import annotations

import io
import json
import shutil
import sqlite3
import zipfile

import pytest

from rag.choices import Choices, Server, save
from rag.health import doctor, faults
from rag.health.doctor import bundle
from rag.health.report import Check, Line, report
from rag.keys import Keys
from rag.privacy.audit import AuditLog

CANARY = "Kanarienvogel"


@pytest.fixture
def planted(tmp_path, monkeypatch, library, embedder):
    """A library below a home folder with the canary in its name, and the canary in everything that is stored."""
    from ingest import ingest_pdf
    from pdfs import column, write_pdf
    from ui.chats.salvage import schema

    home = tmp_path / f"home-{CANARY}"
    folder = home / f"{CANARY}-library"
    home.mkdir()
    lines = [f"{CANARY} {n} tells how the jars were opened, weighed and closed again." for n in range(20)]
    path = write_pdf(tmp_path / f"{CANARY}.pdf", column(72, 720, lines))
    paper_id = ingest_pdf(path, library=library, embedder=embedder).paper_id
    library.describe(paper_id, title=f"{CANARY} of seeds", authors=(f"A. {CANARY}",))
    library.ledger.set("b" * 16, "failed", file=f"{CANARY}2.pdf", reason=f"{CANARY} is broken.")
    library.close()
    shutil.copytree(library.folder, folder)
    with sqlite3.connect(folder / "chats.db") as db:
        db.executescript(schema())
        db.execute("INSERT INTO users VALUES ('u', ?, '{}', '')", (CANARY,))
        db.execute('INSERT INTO threads ("id", "name", "userId") VALUES (?, ?, ?)', ("c", f"{CANARY}?", "u"))
        db.execute(
            'INSERT INTO steps ("id", "name", "type", "threadId", "streaming", "output", "metadata") '
            "VALUES ('s', ?, 'assistant_message', 'c', 0, ?, ?)",
            (CANARY, f"{CANARY}!", json.dumps({"question": CANARY, "answer": CANARY})),
        )
    (folder / "adapters" / CANARY).mkdir(parents=True)
    (folder / "adapters" / CANARY / "card.json").write_text(json.dumps({"name": CANARY}))
    (folder / "adapters" / CANARY / "adapter.gguf").write_bytes(b"GGUF")
    (folder / "adapters" / "on.json").write_text(json.dumps({"name": CANARY}))
    (folder / "models.json").write_text(json.dumps({"models": [{"name": CANARY}]}))
    (folder / "owner.json").write_text(json.dumps({"url": f"http://{CANARY}.example:1", "key": CANARY}))
    (folder / "redact.txt").write_text(CANARY)
    (folder / "glossary.csv").write_text(f"term,definition\n{CANARY},{CANARY}\n")
    AuditLog(folder).append("refused", {"why": CANARY, "host": CANARY, "model": CANARY})
    faults.note(folder, ValueError(f"{CANARY} in {folder}"), number="abc123")
    code = compile("def f():\n    raise KeyError('x')\nf()", str(home / f"{CANARY}.py"), "exec")
    try:
        exec(code, {})
    except KeyError as error:
        faults.note(folder, error, number="def456")
    for name, value in {
        "HOME": str(home),
        "USER": CANARY,
        "SCHOLION_LIBRARY": str(folder),
        "SCHOLION_DRAFTER": str(home / f"{CANARY}.gguf"),
        "SCHOLION_EXPERT": f"http://{CANARY}.example/v1#{CANARY}",
        "SCHOLION_EXPERT_KEY": CANARY,
        "SCHOLION_PROXY": f"http://{CANARY}.example:3128",
        f"SCHOLION_{CANARY.upper()}": CANARY,
        f"CHAINLIT_{CANARY.upper()}": CANARY,
        "SCHOLION_TOP_K": "5",
    }.items():
        monkeypatch.setenv(name, value)
    return folder


def contents(raw: bytes) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(raw)) as file:
        return {name: file.read(name).decode() for name in file.namelist()}


def test_a_bundle_names_nothing_of_the_users(planted) -> None:
    lines = doctor.examine()
    said = json.dumps([line.said for line in lines])
    assert CANARY in said, "the report on this machine may name things, so the test would find them"
    lines += report([Check("own", "G", "Own", lambda: (_ for _ in ()).throw(ValueError(f"{CANARY} fell")))])
    parts = contents(bundle(lines))
    assert set(parts) == {"README.txt", "report.json", "versions.json", "settings.json", "errors.json"}
    for name, text in parts.items():
        assert CANARY.lower() not in text.lower(), name
        assert str(planted.parent).lower() not in text.lower(), name
    assert [row["number"] for row in json.loads(parts["errors.json"])] == ["abc123", "def456"]
    assert json.loads(parts["errors.json"])[1]["places"][-1].startswith("…:")
    settings = json.loads(parts["settings.json"])
    assert settings["SCHOLION_TOP_K"] == 5
    assert settings["SCHOLION_EXPERT_KEY"] == settings["SCHOLION_LIBRARY"] == "set"
    assert settings["SCHOLION_EMBEDDER"] is None
    checks = {row["about"]: row for row in json.loads(parts["report.json"])["checks"]}
    assert checks["Papers"]["facts"]["failed"] == 1


def test_errors_that_cannot_be_read_do_not_prevent_a_bundle(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("SCHOLION_LIBRARY", str(tmp_path))
    (tmp_path / faults.FILE).mkdir()
    parts = contents(bundle([Line(about="A", state="ok", said="x")]))
    assert json.loads(parts["errors.json"]) == "cannot be read (IsADirectoryError)"


def test_what_was_chosen_on_the_settings_page_is_checked_and_is_not_named_in_the_bundle(tmp_path, monkeypatch) -> None:
    place = Keys(tmp_path).put(f"http://{CANARY}.example/v1", CANARY)
    expert = f"http://{CANARY}.example/v1#{CANARY}"
    save(Choices(expert=expert, top_k=9, servers=(Server(setting=expert, key=place),)), tmp_path)
    monkeypatch.setenv("SCHOLION_LIBRARY", str(tmp_path))
    lines = doctor.examine()
    larger = next(line for line in lines if line.check == "larger model")
    assert f"{CANARY}.example" in larger.said
    parts = contents(bundle(lines))
    assert CANARY.lower() not in json.dumps(parts).lower()
    settings = json.loads(parts["settings.json"])
    assert (settings["SCHOLION_TOP_K"], settings["SCHOLION_EXPERT"], settings["SCHOLION_EXPERT_KEY"]) == (
        9,
        "set",
        "set",
    )


def test_a_damaged_file_of_choices_is_a_problem_with_a_way_out(tmp_path, monkeypatch) -> None:
    (tmp_path / "choices.json").write_text("{")
    monkeypatch.setenv("SCHOLION_LIBRARY", str(tmp_path))
    line = next(line for line in doctor.examine() if line.check == "choices")
    assert line.state == "problem"
    assert "damaged" in line.said
    assert line.todo
