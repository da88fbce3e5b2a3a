"""Each check of the health report, with what may be wrong; and that a failing check ends no other."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from ingest import UserFacingError, environment, ocr, schema
from listener import listening, reply
from rag.__main__ import main
from rag.health import doctor, faults, library_checks, machine_checks, model_checks, pdf_checks, settings_checks
from rag.health.report import Check, Line, in_text, is_well, report
from rag.models.machine import Machine
from rag.privacy.audit import AuditError, AuditLog
from rag.privacy.policy import Policy, save_policy

GOOD = Line(about="Good", state="ok", said="All is well.")
ROOMY = Machine(ram_total=16_000_000_000, ram_available=8_000_000_000, cores=2)


def raising(error: BaseException):
    def look() -> Line:
        raise error

    return look


@pytest.fixture
def folder(tmp_path) -> Path:
    made = tmp_path / "library"
    made.mkdir()
    return made


@pytest.fixture
def catalogue(library):
    """A real, empty library's folder, closed."""
    library.close()
    return library.folder


# -- the runner


def test_a_check_that_fails_or_hangs_ends_no_other() -> None:
    stop = threading.Event()
    lines = report(
        [
            Check("bug", "G", "Bug", raising(KeyError("a private word"))),
            Check("user", "G", "User", raising(UserFacingError("It is gone.", "Get it."))),
            Check("disk", "G", "Disk", raising(sqlite3.DatabaseError("x"))),
            Check("hang", "G", "Hang", lambda: [GOOD] * stop.wait(60)),
            Check("good", "G", "Good", lambda: [GOOD, GOOD]),
        ],
        seconds=0.2,
    )
    stop.set()
    assert [(line.check, line.state) for line in lines] == [
        ("bug", "problem"), ("user", "problem"), ("disk", "problem"), ("hang", "problem"),
        ("good", "ok"), ("good", "ok"),
    ]  # fmt: skip
    assert lines[0].said == "This check failed (KeyError)."
    assert (lines[1].said, lines[1].todo) == ("It is gone.", "Get it.")
    assert "did not finish" in lines[3].said
    assert all(line.todo for line in lines if line.state == "problem")
    assert not is_well(lines)
    assert is_well(lines[4:])


def test_the_text_counts_the_problems_and_says_what_to_do() -> None:
    text = in_text(
        [replace(GOOD, group="A"), Line(about="B", state="problem", said="Gone.", todo="Get it.", group="B")]
    )
    assert "PROBLEM  B: Gone.\n           Get it." in text
    assert text.endswith("\n1 problem.")


# -- this machine


@pytest.mark.parametrize(
    ("free", "running", "state"),
    [(8e9, False, "ok"), (1e9, False, "note"), (5e8, False, "problem"), (5e8, True, "note"), (None, False, "note")],
)
def test_memory_is_a_problem_only_before_the_models_are_loaded(free, running, state) -> None:
    line = machine_checks.memory(replace(ROOMY, ram_available=free and int(free)), running=running)
    assert line.state == state
    assert line.facts["free_mb"] == (None if free is None else round(free / 1e6))


@pytest.mark.parametrize(("free", "state"), [(5e9, "ok"), (1e9, "note"), (1e8, "problem")])
def test_a_full_disk_is_told_also_of_a_folder_that_is_not_there(tmp_path, monkeypatch, free, state) -> None:
    asked = []
    usage = type("Usage", (), {"free": int(free), "total": 10**10})
    monkeypatch.setattr(machine_checks.shutil, "disk_usage", lambda path: asked.append(path) or usage)
    assert machine_checks.disk(tmp_path / "a" / "b").state == state
    assert asked == [tmp_path]


def test_the_processors_features_are_read_or_said_to_be_unknown(tmp_path) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text("processor : 0\nflags : fpu sse2 avx2 amx_bf16\n")
    line = machine_checks.processor(file)
    assert line.state == "ok"
    assert line.facts["AVX2"] is True
    assert line.facts["AVX-512"] is False
    file.write_text("flags : fpu sse2\n")
    assert machine_checks.processor(file).state == "note"
    assert "AVX2" not in machine_checks.processor(tmp_path / "none").facts


def test_a_missing_package_is_named_with_the_way_to_get_it(monkeypatch) -> None:
    assert machine_checks.packages().state == "ok"
    monkeypatch.setattr(machine_checks, "PACKAGES", ("json", "no_such_package"))
    line = machine_checks.packages()
    assert line.state == "problem"
    assert "no_such_package" in line.said
    assert "make chat" in line.todo


async def test_a_port_that_another_program_uses_is_told_from_a_running_scholion(folder, monkeypatch) -> None:
    import asyncio

    body = json.dumps({"name": "scholion", "library": str(folder)}).encode()
    async with listening(reply(body, kind="application/json")) as heard:
        monkeypatch.setattr(machine_checks, "PORT", heard.port)
        owner = {"url": f"http://127.0.0.1:{heard.port}"}
        assert "runs with this library" in (await asyncio.to_thread(machine_checks.port, owner, folder)).said
        line = await asyncio.to_thread(machine_checks.port, {}, folder)
        assert line.state == "note"
        assert line.facts["port_free"] is False
        other = await asyncio.to_thread(machine_checks.port, owner, folder / "other")
        assert other.facts["running"] is False


# -- models


def test_models_are_as_they_were_shipped_and_a_changed_one_is_told(tmp_path, monkeypatch) -> None:
    assert model_checks.embedder_line(None).facts == {"shipped": True, "present": True, "as_shipped": True}
    assert model_checks.drafter_line(None, tmp_path).facts["as_shipped"] is True
    assert model_checks.reader_line(model_checks.WEIGHTS).facts["as_shipped"] is True
    assert model_checks.adapter_line(None, tmp_path).facts == {"own": False, "used": True, "as_shipped": True}
    changed = tmp_path / "model.safetensors"
    changed.write_bytes(b"x")
    monkeypatch.setattr(model_checks, "embedded_model", lambda: tmp_path)
    assert model_checks.embedder_line(None).state == "problem"
    changed.unlink()
    line = model_checks.embedder_line(None)
    assert line.facts["present"] is False
    assert "weights.lock" in line.todo


def test_a_reader_that_is_missing_or_another_is_a_problem(tmp_path) -> None:
    weights = tmp_path / "reader.npz"
    assert model_checks.reader_line(weights).facts == {"present": False}
    weights.write_bytes(b"x")
    assert model_checks.reader_line(weights).facts == {"present": True, "as_shipped": False}


def test_a_drafter_that_is_not_there_is_contained(folder) -> None:
    lines = report([Check("drafter", "M", "Drafter", lambda: model_checks.drafter_line("/none/at/all.gguf", folder))])
    assert lines[0].state == "problem"
    assert lines[0].todo


async def test_a_larger_model_here_is_asked_what_it_serves(folder) -> None:
    import asyncio

    rows = json.dumps({"data": [{"id": "qwen"}]}).encode()
    async with listening(reply(rows, kind="application/json")) as heard:

        def line(model: str) -> Line:
            return model_checks.larger_line(f"{heard.url}#{model}", folder, reach=False)

        assert (await asyncio.to_thread(line, "qwen")).state == "ok"
        other = await asyncio.to_thread(line, "llama")
        assert (other.state, other.facts["listed"]) == ("problem", False)
        url = heard.url
    gone = await asyncio.to_thread(lambda: model_checks.larger_line(f"{url}#qwen", folder, reach=False))
    assert (gone.state, gone.facts["answers"]) == ("problem", False)


def test_no_larger_model_is_no_problem(folder) -> None:
    assert model_checks.larger_line(None, folder, reach=True).state == "note"


async def test_a_larger_model_elsewhere_is_contacted_only_if_asked(folder, monkeypatch) -> None:
    import asyncio

    async with listening(b"") as heard:
        setting = f"http://larger.example:{heard.port}/v1#m"

        async def resolved(host: str, port: int) -> list[str]:
            return ["127.0.0.1"]

        monkeypatch.setattr("rag.privacy.destination.resolve", resolved)
        look = lambda reach: model_checks.larger_line(setting, folder, reach=reach)  # noqa: E731
        line = await asyncio.to_thread(look, False)
        assert line.facts == {"here": False, "contacted": False}
        assert heard.connections == 0
        assert AuditLog(folder).entries() == []
        assert (await asyncio.to_thread(look, True)).facts["answers"] is True
        assert [(entry["event"], entry["bytes"]) for entry in AuditLog(folder).entries()] == [("reached", 0)]
        save_policy(Policy("local only"), folder, log := AuditLog(folder))
        n = len(log.entries())
        lines = await asyncio.to_thread(report, [Check("l", "M", "Larger", lambda: look(True))])
        assert "local only" in lines[0].said
        assert len(log.entries()) == n
    assert heard.bodies == [], "nothing was sent"


# -- reading PDFs


def test_recognition_is_optional_but_a_language_that_is_wanted_is_not(monkeypatch) -> None:
    monkeypatch.setattr(ocr, "available", lambda: False)
    assert pdf_checks.recognition("eng").state == "note"
    monkeypatch.setattr(ocr, "available", lambda: True)
    monkeypatch.setattr(ocr, "languages", lambda: ["eng", "fra"])
    assert pdf_checks.recognition("eng+fra").state == "ok"
    line = pdf_checks.recognition("eng+deu")
    assert line.state == "problem"
    assert "tesseract-ocr-deu" in line.todo


def test_the_sandbox_says_what_it_cannot_keep(monkeypatch) -> None:
    full = pdf_checks.sandbox()
    assert full.facts["kept"] <= full.facts["promises"]
    monkeypatch.setattr(pdf_checks, "promises", lambda layers: {"It cannot write.": True, "It cannot read.": False})
    line = pdf_checks.sandbox()
    assert line.state == "note"
    assert "1 protection of 2" in line.said


# -- the library


def test_a_folder_that_is_not_there_or_read_only_is_told(folder, monkeypatch) -> None:
    assert library_checks.folder_line(folder).state == "ok"
    assert library_checks.folder_line(folder / "none").state == "note"
    monkeypatch.setattr(library_checks.os, "access", lambda path, mode: mode != os.W_OK)
    assert library_checks.folder_line(folder).state == "problem"
    monkeypatch.setattr(library_checks.os, "access", lambda path, mode: False)
    assert "cannot be read" in library_checks.folder_line(folder).said


def test_a_whole_catalogue_passes_and_is_not_changed(catalogue) -> None:
    before = sorted((path.name, path.stat().st_mtime_ns) for path in catalogue.rglob("*") if path.is_file())
    assert [line.state for line in library_checks.catalogue_lines(catalogue)] == ["ok", "ok"]
    assert library_checks.paper_lines(catalogue, embedder=None)[0].facts["papers"] == 0
    after = {(path.name, path.stat().st_mtime_ns) for path in catalogue.rglob("*") if path.is_file()}
    assert set(before) <= after, "nothing was written"


def test_a_damaged_a_lost_and_a_newer_catalogue_are_problems(catalogue) -> None:
    file = catalogue / "library.db"
    whole = file.read_bytes()
    with closing(sqlite3.connect(file)) as db:
        db.execute(f"PRAGMA user_version={schema.VERSION + 1}")
    assert library_checks.catalogue_lines(catalogue)[1].state == "problem"
    with closing(sqlite3.connect(file)) as db:
        db.execute(f"PRAGMA user_version={schema.VERSION - 1}")
    assert "Copy the library folder first" in library_checks.catalogue_lines(catalogue)[1].todo
    file.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    lines = report(library_checks.checks(catalogue, embedder=None))
    states = {line.check: line.state for line in lines}
    assert states["catalogue"] == states["papers"] == "problem"
    assert states["folder"] == states["chats"] == states["privacy log"] == "ok"
    file.unlink()
    (catalogue / "papers" / "0123456789abcdef.pdf").write_bytes(b"x")
    assert "gone" in library_checks.catalogue_lines(catalogue)[0].said


def test_a_catalogue_that_was_moved_is_not_to_be_rebuilt(folder) -> None:
    (folder / "papers").mkdir(exist_ok=True)
    (folder / "papers" / "0123456789abcdef.pdf").touch()
    (folder / "library.moved-20261130-120000.db").write_bytes(b"as it was")
    (line,) = library_checks.catalogue_lines(folder)
    assert (line.state, "moved to Postgres" in line.said) == ("problem", True)
    assert line.todo.startswith("Set SCHOLION_CATALOGUE")


def test_what_is_missing_pending_or_failed_is_counted(library, embedder, tmp_path) -> None:
    from ingest import ingest_pdf
    from pdfs import column, write_pdf

    lines = [f"Sentence {n} tells how the jars were opened, weighed and closed again." for n in range(20)]
    paper = ingest_pdf(write_pdf(tmp_path / "a.pdf", column(72, 720, lines)), library=library, embedder=embedder)
    library.ledger.set("a" * 16, "queued", file="waiting.pdf")
    library.ledger.set("b" * 16, "failed", file="broken.pdf", reason="It is broken.")
    library.pdf_path(paper.paper_id).unlink()
    with library._db as db:
        db.execute("UPDATE facts SET value = 'another@12345678' WHERE name = 'embedder'")
    found = library_checks.paper_lines(library.folder, embedder=None)
    facts = found[0].facts
    assert (facts["papers"], facts["pending"], facts["failed"], facts["missing_pdfs"]) == (1, 1, 1, 1)
    assert [(line.about, line.state) for line in found[1:]] == [
        ("PDFs", "problem"), ("Pending", "note"), ("Failed", "note"), ("Embedder", "problem")
    ]  # fmt: skip


def test_a_quick_check_that_takes_too_long_is_neither_good_nor_bad(tmp_path) -> None:
    with closing(sqlite3.connect(tmp_path / "a.db")) as db:
        db.execute("CREATE TABLE t (a)")
        db.executemany("INSERT INTO t VALUES (?)", [(str(n) * 200,) for n in range(3000)])
        assert library_checks.quick_check(db) is True
        assert library_checks.quick_check(db, seconds=-1) is None


def test_damaged_chats_and_a_changed_log_are_problems(folder) -> None:
    (folder / "chats.db").write_bytes(b"SQLite format 3\0" + b"\xff" * 8000)
    log = AuditLog(folder)
    log.append("policy", {"library": "ask", "papers": [], "sha256": ""})
    file = folder / "audit.jsonl"
    file.write_bytes(file.read_bytes().replace(b'"ask"', b'"no!"'))
    with pytest.raises(AuditError):
        library_checks.privacy_line(folder)
    lines = report(library_checks.checks(folder, embedder=None))
    states = {line.check: line.state for line in lines}
    assert (states["chats"], states["privacy log"]) == ("problem", "problem")
    assert "chats.db is damaged." in [line.said for line in lines]
    assert states["folder"] == "ok"


def test_the_last_errors_have_numbers_types_and_places_but_no_message(folder) -> None:
    def fail() -> None:
        try:
            {}["a private title"]
        except KeyError as error:
            raise RuntimeError("private too") from error

    for number in range(faults.KEPT + 3):
        with pytest.raises(RuntimeError) as caught:
            fail()
        faults.note(folder, caught.value, number=f"{number:06x}")
    rows = faults.last(folder)
    assert len(rows) == faults.KEPT
    assert rows[-1]["number"] == f"{faults.KEPT + 2:06x}"
    assert rows[-1]["types"] == ["RuntimeError", "KeyError"]
    assert "in fail" in rows[-1]["places"][-1]
    assert "private" not in (folder / faults.FILE).read_text()
    assert rows[-1]["number"] in library_checks.errors_lines(folder)[1].said
    (folder / faults.FILE).write_text("not JSON\n{}\n")
    assert faults.last(folder) == []


def test_an_error_that_cannot_be_written_down_is_still_shown(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    faults.note(tmp_path / "file", ValueError("x"), number="abcdef")


# -- settings


def test_a_misspelt_setting_is_named_with_the_one_that_was_meant() -> None:
    (line,) = settings_checks.misspelt_lines({"SCHOLION_DRAFTR": "x", "SCHOLION_LIBRARY": "y"})
    assert (line.state, line.facts["near"]) == ("problem", "SCHOLION_DRAFTER")
    assert settings_checks.misspelt_lines({"scholion_library": "y"})[0].state == "ok"


def test_a_value_that_is_not_valid_is_named_and_the_rest_is_still_checked(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("SCHOLION_LIBRARY", str(tmp_path / "library"))
    monkeypatch.setenv("SCHOLION_TOP_K", "many")
    monkeypatch.setenv("SCHOLION_MAX_FILE_MB", "0")
    lines = settings_checks.values_lines(settings_checks.ALL)
    assert [line.facts["setting"] for line in lines] == ["SCHOLION_MAX_FILE_MB", "SCHOLION_TOP_K"]
    assert doctor.library_folder() == tmp_path / "library"
    assert {"folder", "drafter", "sandbox"} <= {check.name for check in doctor.all_checks(reach=False, running=False)}


def test_the_settings_of_the_app_are_checked_too(monkeypatch) -> None:
    for name, value in {"LOG": "xml", "ADDRESS": "papers.example.org"}.items():
        monkeypatch.setenv(f"SCHOLION_{name}", value)
    lines = settings_checks.values_lines(settings_checks.ALL)
    assert [line.facts["setting"] for line in lines] == ["SCHOLION_ADDRESS", "SCHOLION_LOG"]
    assert {line.state for line in lines} == {"problem"}
    monkeypatch.setenv("SCHOLION_LOG", "json")
    monkeypatch.setenv("SCHOLION_ADDRESS", "https://papers.example.org")
    (line,) = settings_checks.values_lines(settings_checks.ALL)
    assert line.said.startswith("The settings are not valid: other machines reach Scholion only where SCHOLION_PEOPLE")


def test_variables_of_other_programs_are_named_although_they_were_dropped(monkeypatch) -> None:
    monkeypatch.setattr(environment, "dropped", set())
    assert settings_checks.foreign_line(["PATH", "ANONYMIZED_TELEMETRY", "CHAINLIT_HOST"]).state == "ok"
    assert "HTTP_PROXY" in settings_checks.foreign_line(["HTTP_PROXY"]).said


# -- the command


def test_the_command_says_what_it_found_and_its_status_tells_problems(monkeypatch, tmp_path, capsys) -> None:
    monkeypatch.setenv("SCHOLION_LIBRARY", str(tmp_path / "library"))
    good = [replace(GOOD, group="A", check="a")]
    monkeypatch.setattr("rag.commands.doctor.examine", lambda *, reach: good)
    assert main(["doctor", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["well"] is True
    bad = [*good, Line(about="B", state="problem", said="Gone.", todo="Get it.", check="b", group="B")]
    monkeypatch.setattr("rag.commands.doctor.examine", lambda *, reach: bad)
    assert main(["doctor", "--bundle", str(tmp_path / "b.zip")]) == 1
    assert "PROBLEM  B: Gone." in capsys.readouterr().out
    assert (tmp_path / "b.zip").read_bytes().startswith(b"PK")
    assert not (tmp_path / "library").exists(), "a check makes no library"
