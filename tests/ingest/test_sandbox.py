"""A file that loops, eats memory or crashes the parser costs one clear sentence, and the next file is read."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from ingest import environment, sandbox
from ingest.errors import (
    CancelledParseError,
    EncryptedPdfError,
    NoTextError,
    TooCostlyPdfError,
    UnreadablePdfError,
    UserFacingError,
)
from ingest.paper import ParsedPaper
from ingest.parse import parse_pdf
from ingest.sandbox import Limits, Parser
from ingest.typed_json import from_json, to_json
from pdfs import column, write_pdf
from places import ROOT, SAMPLES
from waiting import PATIENCE, until

BODY = ["Small language models answer questions about research papers when the passages are good."] * 3
ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture(scope="module")
def parser():
    with Parser() as one:
        yield one


@pytest.fixture
def good(tmp_path) -> Path:
    return write_pdf(tmp_path / "good.pdf", column(60, 700, BODY))


@pytest.fixture
def stand_in(monkeypatch, tmp_path):
    """A parser whose child runs the given lines in the place of `parse_pdf`."""
    made = []

    def make(*lines: str, before: str = "") -> Parser:
        package = tmp_path / "stand_in"
        package.mkdir(exist_ok=True)
        body = "\n".join(f"    {line}" for line in lines)
        (package / "stand_in.py").write_text(
            f"import os, sys, time, signal, ctypes\n{before}\n"
            "import ingest.sandbox_child as sandbox\n"
            "real = sandbox.parse_pdf\n"
            f"def parse_pdf(path, *, file_name=None):\n"
            f"    if 'good' in file_name: return real(path, file_name=file_name)\n{body}\n"
            "sandbox.parse_pdf = parse_pdf\n"
        )
        code = sandbox._CHILD.replace("import _serve;", f"import _serve; sys.path.insert(0, {str(package)!r});")
        monkeypatch.setattr(sandbox, "_CHILD", code.replace("_serve()", "import stand_in; _serve()"))
        made.append(Parser())
        return made[-1]

    yield make
    for parser in made:
        parser.close()


def refusal(parser: Parser, path: Path, **options) -> UserFacingError:
    with pytest.raises(UserFacingError) as caught:
        parser.parse(path, **options)
    error = caught.value
    assert path.name in error.message, "it names the file"
    assert error.message.endswith(".")
    assert error.hint
    assert "\n" not in str(error)
    return error


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.pdf")), ids=lambda p: p.stem)
def test_the_child_returns_what_the_parser_returns(parser, path):
    assert parser.parse(path, file_name="Name given.pdf") == parse_pdf(path, file_name="Name given.pdf")


def test_real_papers_come_back_equal_in_every_field(shared_data, parser):
    for path in sorted((shared_data / "papers").glob("*.pdf"))[::8]:
        assert parser.parse(path) == parse_pdf(path), path.name


def test_one_child_serves_many_files(parser, good, tmp_path):
    parser.parse(good)
    pid = parser.pid
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.7\nnothing")
    assert type(refusal(parser, tmp_path / "broken.pdf")) is UnreadablePdfError
    parser.parse(good)
    assert parser.pid == pid


@pytest.mark.parametrize(
    ("kind", "error"), [("encrypted", EncryptedPdfError), ("no text", NoTextError), ("html", UnreadablePdfError)]
)
def test_the_parser_s_own_refusals_come_through_unchanged(parser, tmp_path, kind, error):
    from test_parse import damaged

    path = damaged(tmp_path, kind)
    with pytest.raises(error) as direct:
        parse_pdf(path)
    caught = refusal(parser, path)
    assert type(caught) is type(direct.value)
    assert (caught.message, caught.hint) == (direct.value.message, direct.value.hint)


@pytest.mark.parametrize(
    "line", ["while True: pass", "import re; re.match('(a+)+$', 'a' * 60 + 'b')", "time.sleep(600)"]
)
def test_a_loop_is_given_up(stand_in, good, tmp_path, line):
    parser, bad = stand_in(line), write_pdf(tmp_path / "loop.pdf", column(60, 700, BODY))
    parser.warm_up()
    error = refusal(parser, bad, limits=Limits(seconds_base=1))
    assert isinstance(error, TooCostlyPdfError)
    assert "seconds" in error.message
    assert "one page" in error.message
    assert parser.parse(good), "the next file is read"


@pytest.mark.parametrize("line", ["x = bytearray(4 << 30)", "x = [bytearray(1 << 20) for _ in range(4_000)]"])
@ON_LINUX
def test_an_allocation_bomb_is_given_up(stand_in, good, tmp_path, line):
    parser, bad = stand_in(line), write_pdf(tmp_path / "bomb.pdf", column(60, 700, BODY))
    error = refusal(parser, bad, limits=Limits(memory_mb=300))
    assert isinstance(error, TooCostlyPdfError)
    assert "300 MB" in error.message
    assert parser.parse(good)


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("ctypes.string_at(0)", "SIGSEGV"),
        ("os.abort()", "SIGABRT"),
        ("os._exit(3)", "exit status 3"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL"),
    ],
)
@ON_LINUX
def test_a_crash_costs_one_sentence(stand_in, good, tmp_path, line, word):
    parser, bad = stand_in(line), write_pdf(tmp_path / "crash.pdf", column(60, 700, BODY))
    error = refusal(parser, bad)
    assert type(error) is UnreadablePdfError
    assert word in error.message
    assert parser.parse(good)


def test_a_bug_of_ours_costs_one_sentence_and_is_logged(stand_in, good, tmp_path, caplog):
    parser, bad = stand_in("return {}['nothing']"), write_pdf(tmp_path / "bug.pdf", column(60, 700, BODY))
    assert "KeyError" in refusal(parser, bad).message
    assert "Traceback" in caplog.text
    assert parser.parse(good)


@pytest.mark.parametrize(
    "lines",
    [
        ["os.write(3, b'no json' + bytes([10])); time.sleep(9)"],
        ["os.write(3, b'[' * 100_000 + bytes([10])); time.sleep(9)"],
        ["os.write(3, b'{\"done\": true}' + bytes([10])); time.sleep(9)"],
        ["os.write(3, b'{\"field\": \"pages\", \"item\": {\"number\": \"1\", \"text\": 2}}\\n'); time.sleep(9)"],
        ["while True: os.write(3, b'x' * 65536)"],
        ["import json; page = {'field': 'pages', 'item': {'number': 1, 'text': 'x' * 10**6}}",
         "while True: os.write(3, json.dumps(page).encode() + bytes([10]))"],
        ["p = real(path); import dataclasses; q = dataclasses.replace(p.paper, id='../../etc');",
         "return dataclasses.replace(p, paper=q)"],
    ],
)  # fmt: skip
@ON_LINUX
def test_a_child_that_lies_is_not_believed(stand_in, good, tmp_path, lines):
    # the child's answers go out on the first descriptor after the standard ones
    parser, bad = stand_in(*lines), write_pdf(tmp_path / "lies.pdf", column(60, 700, BODY))
    assert isinstance(refusal(parser, bad, limits=Limits(max_text_chars=2_000_000)), UnreadablePdfError)
    assert parser.parse(good)


def test_each_page_that_ocr_begins_is_told(stand_in, tmp_path):
    said = ["os.write(3, b'{\"ocr\": true}\\n')"] * 2
    parser, path = stand_in(*said, "raise KeyError"), write_pdf(tmp_path / "scan.pdf", *[column(60, 700, BODY)] * 3)
    begun = []
    refusal(parser, path, on_page=lambda page, of: begun.append((page, of)))
    assert begun == [(1, 3), (2, 3)]


def test_too_many_pages_are_refused_before_they_are_read(parser, tmp_path):
    path = write_pdf(tmp_path / "long.pdf", *[column(60, 700, BODY)] * 12)
    error = refusal(parser, path, limits=Limits(max_pages=10))
    assert isinstance(error, TooCostlyPdfError)
    assert "12 pages" in error.message
    assert len(parser.parse(path).pages) == 12


def test_too_much_text_is_refused(parser, good):
    assert isinstance(refusal(parser, good, limits=Limits(max_text_chars=100)), TooCostlyPdfError)


def test_time_grows_with_pages_that_the_file_can_hold():
    limits = Limits()
    assert limits.seconds(pages=2_000, size=20_000_000) > 4 * 90, "four times what pypdf takes for 2,000 pages"
    assert limits.seconds(pages=500, size=81_000) < 20
    assert limits.seconds(pages=1, size=200_000_000) < 10


def test_cancel_ends_the_work_at_once(stand_in, good, tmp_path):
    parser, bad = stand_in("time.sleep(3600)"), write_pdf(tmp_path / "slow.pdf", column(60, 700, BODY))
    cancel = threading.Event()
    once_it_reads(parser, cancel.set)
    assert isinstance(refusal_of_cancel(parser, bad, cancel), CancelledParseError)
    assert parser.parse(good)


def once_it_reads(parser, act) -> None:
    """Do something in another thread as soon as a file has been handed to the child."""
    parser.warm_up()
    child, handed = parser._child, threading.Event()
    send = child.send
    child.send = lambda job: (send(job), handed.set())

    def wait() -> None:
        if handed.wait(PATIENCE):
            act()

    threading.Thread(target=wait, daemon=True).start()


def refusal_of_cancel(parser, path, cancel):
    with pytest.raises(CancelledParseError) as caught:
        parser.parse(path, cancel=cancel)
    assert path.name in caught.value.message
    return caught.value


def test_close_gives_up_the_file_in_work(stand_in, tmp_path):
    parser, bad = stand_in("time.sleep(3600)"), write_pdf(tmp_path / "slow.pdf", column(60, 700, BODY))
    once_it_reads(parser, parser.close)
    refusal_of_cancel(parser, bad, None)
    assert parser.pid is None


def test_parsers_work_side_by_side(good):
    results = []

    def work() -> None:
        with Parser() as parser:
            results.extend(parser.parse(good) for _ in range(5))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 15
    assert len({result.text for result in results}) == 1


def test_one_parser_is_shared_by_threads(parser, good):
    results = []
    threads = [threading.Thread(target=lambda: results.append(parser.parse(good))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 6


@ON_LINUX
def test_the_child_outlives_the_thread_that_asked_for_it(good):
    with Parser() as parser:
        thread = threading.Thread(target=parser.warm_up)
        thread.start()
        thread.join()
        pid = parser.pid
        time.sleep(0.2)
        assert parser.parse(good)
        assert parser.pid == pid


@ON_LINUX
def test_a_child_that_has_grown_is_replaced(parser, good, monkeypatch):
    parser.parse(good)
    pid = parser.pid
    monkeypatch.setattr(sandbox, "RESTART_MB", 1)
    parser.parse(good)
    monkeypatch.undo()
    parser.parse(good)
    assert parser.pid != pid


@ON_LINUX
@pytest.mark.parametrize("work", ["idle", "busy"])
def test_the_child_dies_with_its_parent(tmp_path, good, work):
    code = (
        "import sys, threading, time; from pathlib import Path; import ingest.sandbox as s\n"
        f"s._CHILD = s._CHILD.replace('_serve()', 's = sys.modules[\"ingest.sandbox_child\"]; "
        f"s.parse_pdf = lambda *a, **k: [i for i in iter(int, 1)]; _serve()')\n"
        "p = s.Parser(); p.warm_up(); print(p.pid, flush=True)\n"
        f"path = Path({str(good)!r})\n"
        + ("threading.Thread(target=lambda: p.parse(path), daemon=True).start()\n" if work == "busy" else "")
        + "time.sleep(3600)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE)
    pid = int(parent.stdout.readline())
    time.sleep(0.3)
    assert Path(f"/proc/{pid}").exists()
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert until(lambda: not _alive(pid))


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@ON_LINUX
def test_the_child_gets_no_secrets_and_no_descriptors(stand_in, good, tmp_path, monkeypatch):
    monkeypatch.setenv("SCHOLION_API_KEY", "secret")
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    with secret.open() as file:
        os.set_inheritable(file.fileno(), True)
        parser = stand_in(
            "import json",
            "places = (f'/proc/self/fd/{n}' for n in range(64))",
            "open_files = [os.readlink(place) for place in places if os.path.islink(place)]",
            "raise KeyError(json.dumps([sorted(os.environ), [f for f in open_files if 'secret' in f], "
            "[m for m in ('torch', 'chromadb', 'sentence_transformers', 'chainlit') if m in sys.modules], os.getsid(0) "
            "== os.getpid()]))",
        )
        bad = write_pdf(tmp_path / "bad.pdf", column(60, 700, BODY))
        shown = []
        monkeypatch.setattr(sandbox._log, "error", lambda *arguments: shown.append(arguments[-1]))
        with pytest.raises(UnreadablePdfError):
            parser.parse(bad)
    names, files, modules, own_session = json.loads(shown[0].strip().splitlines()[-1].partition("KeyError: ")[2][1:-1])
    assert set(names) <= {
        *environment._EVERY_CHILD,
        "TESSDATA_PREFIX",
        "OMP_NUM_THREADS",
        "OMP_THREAD_LIMIT",
        "OPENBLAS_NUM_THREADS",
        "ORT_DISABLE_TELEMETRY",
    }
    assert files == []
    assert modules == []
    assert own_session


@ON_LINUX
def test_the_child_can_write_no_file(stand_in, tmp_path):
    target = tmp_path / "written.txt"
    parser = stand_in(f"with open({str(target)!r}, 'w') as file: file.write('x' * 10)")
    assert "Error" in refusal(parser, write_pdf(tmp_path / "bad.pdf", column(60, 700, BODY))).message
    assert not target.exists() or not target.read_text(), "where nothing but the limit on size holds, an empty file"


def test_missing_files_and_other_files_are_told_apart(parser, tmp_path):
    with pytest.raises(FileNotFoundError):
        parser.parse(tmp_path / "none.pdf")
    (tmp_path / "a.pdf").write_bytes(b"<html>")
    assert "not a PDF" in refusal(parser, tmp_path / "a.pdf").message


@ON_LINUX
def test_kill_from_outside_is_survived(parser, good):
    parser.parse(good)
    os.kill(parser.pid, signal.SIGKILL)
    assert until(lambda: parser.pid is None)
    assert parser.parse(good)


def test_the_shared_parser_reads(good):
    assert sandbox.parse(good, file_name="x.pdf").paper.file_name == "x.pdf"


# ---- JSON


@dataclass(frozen=True, slots=True)
class Leaf:
    name: str
    share: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    leaves: tuple[Leaf, ...] = ()
    best: Leaf | None = None
    pair: tuple[int, str] = (0, "")
    kind: Literal["a", "b"] = "a"
    counts: dict[str, int] | None = None
    flags: frozenset[str] = frozenset()
    names: list[str] | None = None
    either: int | str = 0


@pytest.mark.parametrize(
    "tree",
    [
        Tree(),
        Tree(leaves=(Leaf("ö\udc80\U0001f600\x00"), Leaf("", 1.25)), best=Leaf("x"), pair=(3, "c"), kind="b"),
        Tree(counts={"a": 1}, flags=frozenset("xy"), names=["n"], either="7"),
    ],
)
def test_a_round_trip_through_json_keeps_every_value(tree):
    assert from_json(json.loads(json.dumps(to_json(tree))), Tree) == tree


@pytest.mark.parametrize(
    "value",
    [[], {"leaves": {}}, {"pair": [1]}, {"kind": "c"}, {"leaves": [{"name": 1}]}, {"other": 1}, {"either": 1.5}],
)
def test_values_of_another_type_are_refused(value):
    with pytest.raises((TypeError, ValueError, KeyError)):
        from_json(value, Tree)


def test_a_parsed_paper_with_strange_characters_survives(good):
    parsed = parse_pdf(good)
    assert from_json(json.loads(json.dumps(to_json(parsed))), ParsedPaper) == parsed
