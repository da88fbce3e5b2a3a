"""`python -m rag privacy`, and the question in a terminal."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from test_privacy import payload_of

from fakes import ScriptedUser
from places import ROOT, SAMPLES
from rag.__main__ import main
from rag.errors import NotAllowedError
from rag.privacy.audit import LOG_FILE
from rag.privacy.budget import BudgetLimits
from rag.privacy.gate import Gate
from rag.privacy.policy import POLICY_FILE
from waiting import PATIENCE


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    from ingest.__main__ import main as ingest

    path = tmp_path_factory.mktemp("privacy") / "library"
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("SCHOLION_LIBRARY", str(path))
        assert ingest(["add", str(SAMPLES / "before-you-run.pdf")]) == 0
        yield path


@pytest.fixture
def run(folder, capsys):
    for name in (POLICY_FILE, LOG_FILE, "audit.head"):
        (folder / name).unlink(missing_ok=True)

    def call(*arguments):
        capsys.readouterr()
        code = main(["privacy", *arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def paper(folder):
    from ingest import IngestSettings, open_library

    with open_library(IngestSettings()) as library:
        return library.papers()[0].id


def test_a_new_library_asks(run):
    code, out, _ = run()
    assert code == 0
    assert "nothing leaves this machine without your consent" in out
    assert "0 calls (no limit)" in out
    assert "no such file: nothing is removed" in out


@pytest.mark.parametrize(
    ("prices", "said", "usd", "unknown"),
    [
        ((), "0 calls (no limit), $0.0000 (", 0, 0),
        ((None, None), "2 calls (no limit), price unknown (", None, 2),
        ((0.5, None), "2 calls (no limit), $0.5000 and 1 call of unknown price (", 0.5, 1),
        ((0.0,), "1 call (no limit), $0.0000 (", 0, 0),
    ],
)
def test_calls_of_unknown_price_do_not_count_as_free(run, monkeypatch, prices, said, usd, unknown):  # noqa: PLR0917 - a table
    now = datetime.now(UTC).isoformat()
    entries = [{"event": "permitted", "time": now, "permit": str(n), "price": price} for n, price in enumerate(prices)]
    monkeypatch.setattr("rag.commands.privacy.AuditLog.entries", lambda _: entries)
    assert run()[1].count(said) == 2, "today and this month"
    used = json.loads(run("show", "--json")[1])["used"]["day"]
    assert used == {"calls": len(prices), "usd": usd, "calls_without_price": unknown}


def test_papers_and_the_library_are_kept_here_and_freed_again(run, paper, folder):
    assert run("local-only", paper[:6])[0] == 0
    assert json.loads(run("show", "--json")[1])["local_only"][0]["id"] == paper
    assert Gate(folder).allowed([paper, "other"]) == {"other"}
    assert run("library", "local-only")[0] == 0
    assert "nothing in it leaves" in run("show")[1]
    assert run("library", "ask")[0] == run("allow", paper)[0] == 0
    assert Gate(folder).allowed([paper]) == {paper}
    code, out, _ = run("log")
    assert code == 0
    assert out.count("policy") == 4


def test_an_unknown_paper_is_named_and_changes_nothing(run, folder):
    code, out, err = run("local-only", "nonsense")
    assert (code, out) == (1, "")
    assert "nonsense" in err
    assert not (folder / POLICY_FILE).exists()


def test_the_log_is_shown_and_verified_and_a_cut_is_said(run, folder, paper):
    gate = Gate(folder, limits=BudgetLimits(day_calls=9))
    asyncio.run(_permit(gate))
    code, out, _ = run("log")
    assert code == 0
    assert "models.example.com [203.0.113.7] large" in out
    assert "at most $0.0020" in out
    assert "1 call (no limit), $0.0020" in run("show")[1]
    assert "complete: 1 line, last hash" in run("log", "--verify")[1]
    assert json.loads(run("log", "--json")[1])[0]["event"] == "permitted"
    (folder / LOG_FILE).write_text("")
    code, _, err = run("log", "--verify")
    assert code == 1
    assert "1 lines are missing at the end" in err


async def _permit(gate):
    await gate.permit(await payload_of(gate, price=0.002), consent=ScriptedUser("once"), chat="a")


async def test_revoke_ends_the_consents_of_a_running_app(run, folder):
    gate = Gate(folder)
    await gate.permit(await payload_of(gate), consent=ScriptedUser("chat"), chat="a")
    await gate.permit(await payload_of(gate), consent=None, chat="a")
    assert run("revoke")[0] == 0
    user = ScriptedUser(None)
    with pytest.raises(NotAllowedError, match="Nothing was sent"):
        await gate.permit(await payload_of(gate), consent=user, chat="a")
    assert len(user.shown) == 1


def test_a_broken_policy_is_said_and_can_be_set_anew_without_freeing_a_paper(run, folder, paper):
    run("local-only", paper)
    (folder / POLICY_FILE).write_text("{}")
    assert "is damaged" in run("show")[2]
    assert "is damaged" in run("allow", paper)[2]
    code, out, _ = run("library", "ask")
    assert code == 0
    assert paper in out
    assert Gate(folder).allowed([paper]) == set()


async def test_a_papers_own_pages_are_known_to_the_gate_of_its_library(run, folder, paper):
    from ingest import IngestSettings, open_library
    from rag.settings import RagSettings

    run("local-only", paper)
    with open_library(IngestSettings()) as library:
        gate = Gate.of(library, RagSettings())
        for page in library.pages(paper):
            middle = page.text[len(page.text) // 2 :][:300]
            payload = await payload_of(gate, [{"role": "user", "content": f"Is this so? {middle}"}])
            with pytest.raises(NotAllowedError, match=paper):
                await gate.permit(payload, consent=ScriptedUser("once"), chat="a")


# The question in a terminal

SCRIPT = """
import asyncio, sys
sys.path[:0] = ["tests/support", "tests/rag/privacy"]
from test_privacy import expert, QUESTION
from rag.privacy.consent import in_terminal
from rag.privacy.gate import Gate
from pathlib import Path
async def go():
    gate = Gate(Path(sys.argv[1]))
    payload = await gate.payload(QUESTION, expert=expert(), max_tokens=9, paper_ids=["aa"])
    print("VERDICT", await in_terminal({"aa": "A\\x1b[31m title"})(payload))
asyncio.run(go())
"""


def answered(tmp_path, typed: bytes | None) -> str:
    """What a program says that asks in a terminal in which `typed` is typed; None: no terminal at all."""
    command = [sys.executable, "-c", SCRIPT, str(tmp_path)]
    if typed is None:
        return subprocess.run(
            command, cwd=ROOT, input=b"once\n", capture_output=True, check=True, timeout=PATIENCE
        ).stdout.decode()
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        os.write(ours, typed)
        said = b""
        try:
            while piece := os.read(ours, 4096):
                said += piece
        except OSError:  # the end of a terminal
            pass
        assert process.wait(PATIENCE) == 0
    os.close(ours)
    return said.decode()


@pytest.mark.parametrize(
    ("typed", "verdict"),
    [(b"once\n", "once"), (b" C \n", "chat"), (b"never\n", "never"), (b"\n", "None"), (b"yes\n", "None")],
)
def test_the_terminal_shows_all_and_asks(tmp_path, typed, verdict):
    said = answered(tmp_path, typed)
    assert f"VERDICT {verdict}" in said
    assert '"content": "When were they moved?"' in said
    assert "models.example.com, port 443 (203.0.113.7)" in said
    assert "\x1b[31m" not in said


def test_where_nobody_sits_nobody_is_asked(tmp_path):
    assert "VERDICT None" in answered(tmp_path, None)
