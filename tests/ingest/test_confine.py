"""What the child that parses a PDF cannot do: tried in the real child, after it has closed itself."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from test_sandbox import BODY, stand_in  # noqa: F401 - a fixture

from ingest import confine, sandbox
from ingest.__main__ import main
from ingest.confine import CAPABILITIES, LANDLOCK, NETWORK, SECCOMP
from ingest.errors import UnreadablePdfError
from ingest.parse import parse_pdf
from ingest.sandbox import Parser
from pdfs import column, write_pdf
from places import SAMPLES

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the layers are Linux's")
PAPER = SAMPLES / "lora-for-terms.pdf"


@pytest.fixture
def tried(stand_in, tmp_path, monkeypatch):  # noqa: F811
    """Run expressions in the child; what each gave, or the name of the error; and the layers that were on."""

    def run(*expressions: str, before: str = "") -> tuple[list[object], list[str]]:
        lines = ["import json, socket, subprocess, signal", "found = []"]
        for expression in expressions:
            lines += ["try:", f"    found.append(repr({expression}))"]
            lines += ["except BaseException as error:", "    found.append(type(error).__name__)"]
        parser = stand_in(*lines, "raise KeyError(json.dumps(found))", before=before)
        shown: list[str] = []
        monkeypatch.setattr(sandbox._log, "error", lambda *arguments: shown.append(arguments[-1]))
        with pytest.raises(UnreadablePdfError):
            parser.parse(write_pdf(tmp_path / "bad.pdf", column(60, 700, BODY)))
        text = shown[0].strip().splitlines()[-1].partition("KeyError: ")[2]
        return json.loads(text[1:-1].encode().decode("unicode_escape")), parser.confinement

    return run


def without(*layers: str) -> str:
    """Code that takes layers away before the child closes itself, as on a system without them."""
    code = {
        LANDLOCK: "confine._landlock = lambda *_: False",
        SECCOMP: "confine._seccomp = lambda *_, **__: False",
        NETWORK: "confine._NEW_USER_AND_NETWORK = -1",
        CAPABILITIES: "confine._no_capabilities = lambda *_: False",
    }
    return "import ingest.confine as confine\n" + "\n".join(code[layer] for layer in layers)


def layers_here() -> list[str]:
    with Parser() as parser:
        parser.warm_up()
        return parser.confinement


def refused(found: list[object]) -> bool:
    return all(str(one) in {"PermissionError", "OSError", "FileNotFoundError", "gaierror"} for one in found)


WRITES = """
open({tmp}/'new', 'w') ; open({tmp}/'old', 'w') ; open({tmp}/'old', 'a') ; open({tmp}/'old', 'r+')
os.open({tmp}/'old', os.O_RDONLY | os.O_TRUNC) ; os.open({tmp}, os.O_RDWR | os.O_TMPFILE)
os.mkdir({tmp}/'folder') ; os.unlink({tmp}/'old') ; os.rename({tmp}/'old', {tmp}/'older')
os.symlink('/etc/passwd', {tmp}/'link') ; os.link({tmp}/'old', {tmp}/'link') ; os.mkfifo({tmp}/'pipe')
os.truncate({tmp}/'old', 0) ; open({home}/'.scholion-was-here', 'w') ; open('/tmp/scholion-was-here', 'w')
"""
ATTRIBUTES = """
os.chmod({tmp}/'old', 0o777) ; os.utime({tmp}/'old', (0, 0)) ; os.setxattr({tmp}/'old', 'user.x', b'1')
os.chown({tmp}/'old', os.getuid(), -1) ; os.utime(os.open('/usr', os.O_RDONLY), (0, 0))
"""


def expressions(text: str, tmp_path: Path) -> list[str]:
    places = {"tmp": f"__import__('pathlib').Path({str(tmp_path)!r})", "home": "__import__('pathlib').Path.home()"}
    return [one.format(**places) for line in text.strip().splitlines() for one in line.split(" ; ")]


@pytest.mark.parametrize("missing", [(), (LANDLOCK,), (SECCOMP,)], ids=lambda m: f"without {m}" if m else "all")
def test_the_child_writes_renames_and_deletes_nothing(tried, tmp_path, missing) -> None:
    (tmp_path / "old").write_text("kept")
    found, on = tried(*expressions(WRITES, tmp_path), before=without(*missing))
    if not {LANDLOCK, SECCOMP} & set(on):
        pytest.skip(f"this system has {on}")
    assert refused(found), found
    assert (tmp_path / "old").read_text() == "kept"
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix != ".pdf") == ["old", "stand_in"]


def test_the_child_changes_no_mode_owner_or_time(tried, tmp_path) -> None:
    (tmp_path / "old").write_text("kept")
    before = (tmp_path / "old").stat()
    found, on = tried(*expressions(ATTRIBUTES, tmp_path))
    if SECCOMP not in on:
        pytest.skip(f"this system has {on}")
    assert refused(found), found
    after = (tmp_path / "old").stat()
    assert (after.st_mode, after.st_mtime_ns, after.st_uid) == (before.st_mode, before.st_mtime_ns, before.st_uid)


def test_the_child_reads_nothing_of_the_users(tried, tmp_path, library) -> None:
    (library.folder / "papers").mkdir(exist_ok=True)
    other = library.folder / "papers" / "other.pdf"
    other.write_bytes(b"%PDF-1.7")
    (tmp_path / "secret").write_text("secret")
    found, on = tried(
        "open('/etc/passwd').read()",
        f"open({str(tmp_path / 'secret')!r}).read()",
        f"open({str(other)!r}, 'rb').read()",
        f"os.listdir({str(library.folder)!r})",
        f"open({str(tmp_path / 'bad.pdf')!r}, 'rb').read(4)",
        f"open('/proc/{os.getpid()}/environ').read()",
        f"open('/proc/{os.getpid()}/cmdline').read()",
        "open('/proc/self/environ').read()",
        "os.listdir('/')",
        "os.listdir(os.path.expanduser('~'))",
    )
    if LANDLOCK not in on:
        pytest.skip(f"this system has {on}")
    assert refused(found), found


@pytest.mark.parametrize("missing", [(), (SECCOMP,), (NETWORK, LANDLOCK)], ids=lambda m: f"without {m}" if m else "all")
def test_the_child_reaches_no_server(tried, missing) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        port = server.getsockname()[1]
        found, on = tried(
            f"socket.create_connection(('127.0.0.1', {port}), timeout=5)",
            f"socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', {port}))"
            if SECCOMP not in missing
            else f"socket.create_connection(('127.0.0.1', {port}), timeout=5)",
            before=without(*missing),
        )
        if not {SECCOMP, NETWORK} & set(on):
            pytest.skip(f"this system has {on}")
        assert refused(found) or set(found) <= {"ConnectionRefusedError", "PermissionError", "OSError"}, found
        with pytest.raises(TimeoutError):
            server.accept()


def test_the_child_opens_no_socket_of_any_kind(tried) -> None:
    kinds = ("AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK", "AF_PACKET")
    found, on = tried(*(f"socket.socket(socket.{kind}, socket.SOCK_DGRAM)" for kind in kinds), "socket.socketpair()")
    if SECCOMP not in on:
        pytest.skip(f"this system has {on}")
    assert set(found) == {"PermissionError"}, found


def test_the_child_starts_no_program_but_tesseract(tried) -> None:
    found, on = tried(
        "subprocess.run(['/bin/sh', '-c', 'true'], capture_output=True, stdin=subprocess.PIPE)",
        "subprocess.run([sys.executable, '-c', ''], capture_output=True, stdin=subprocess.PIPE)",
        "os.execv('/bin/true', ['true'])",
    )
    if LANDLOCK not in on:
        pytest.skip(f"this system has {on}")
    assert refused(found), found


def test_where_tesseract_is_not_installed_the_child_starts_no_process_at_all(tried) -> None:
    nowhere = "import shutil; shutil.which = lambda _: None"
    found, on = tried("os.fork()", "subprocess.run(['/bin/true'])", "os.posix_spawn('/bin/true', ['true'], {})",
                      "__import__('threading').Thread(target=print).start()", before=nowhere)  # fmt: skip
    if SECCOMP not in on:
        pytest.skip(f"this system has {on}")
    assert refused(found[:3]), found
    assert found[3] == "None", "threads may be started"


def test_the_child_cannot_touch_other_processes(tried) -> None:
    with subprocess.Popen(["sleep", "60"]) as other:
        found, on = tried(
            f"os.kill({other.pid}, 9)",
            f"__import__('resource').prlimit({other.pid}, 0, (1, 1))",
            f"1 / (1 + ctypes.CDLL(None).ptrace(16, {other.pid}, 0, 0))",  # PTRACE_ATTACH
        )
        if not {LANDLOCK, SECCOMP} <= set(on):
            other.kill()
            pytest.skip(f"this system has {on}")
        alive = other.poll() is None
        other.kill()
    assert found[1] == "PermissionError"
    assert found[2] == "ZeroDivisionError", "ptrace said -1"
    if landlock_version() >= 6:
        assert found[0] == "PermissionError"
        assert alive


def landlock_version() -> int:
    import ctypes

    return ctypes.CDLL(None).syscall(444, None, ctypes.c_size_t(0), 1)


def test_the_child_has_no_capabilities(tried) -> None:
    ask = "ctypes.CDLL(None).capget(bytes([34, 5, 8, 32, 0, 0, 0, 0]), (b := ctypes.create_string_buffer(24)))"
    found, on = tried(f"{ask} or b.raw.count(0)")
    if CAPABILITIES not in on:
        pytest.skip(f"this system has {on}")
    assert found == ["24"], found


def test_without_an_inbox_papers_are_read_where_they_are(stand_in, monkeypatch) -> None:  # noqa: F811
    """A system without files in memory, or without /proc: Landlock would keep the parser from every paper."""
    monkeypatch.setattr(confine, "inbox", lambda: None)
    parser = stand_in()
    assert parser.parse(PAPER, file_name="good.pdf") == parse_pdf(PAPER, file_name="good.pdf")
    assert LANDLOCK not in parser.confinement


def test_no_paper_stays_in_memory_or_on_the_disk(tmp_path) -> None:
    path = write_pdf(tmp_path / "good.pdf", column(60, 700, BODY))
    with Parser() as parser:
        parser.parse(path)
        inbox = parser._child._inbox
        assert os.fstat(inbox).st_size == 0
        assert os.fstat(inbox).st_nlink == 0, "it has no name"
        other = sorted(SAMPLES.glob("*.pdf"))[1]
        assert parser.parse(other) == parse_pdf(other), "a longer file after a shorter one"
        assert parser.parse(path) == parse_pdf(path), "and a shorter one after it"


@pytest.mark.parametrize(
    "missing", [(), (LANDLOCK,), (SECCOMP,), (NETWORK,), (LANDLOCK, SECCOMP, NETWORK, CAPABILITIES)], ids=str
)
def test_whatever_layers_there_are_a_real_paper_reads_the_same(stand_in, tmp_path, missing) -> None:  # noqa: F811
    parser = stand_in(before=without(*missing))
    assert parser.parse(PAPER, file_name="good.pdf") == parse_pdf(PAPER, file_name="good.pdf")
    assert not set(missing) & set(parser.confinement)


def test_nothing_is_promised_that_no_layer_keeps() -> None:
    assert not any(confine.promises([]).values())
    assert not any(confine.promises([CAPABILITIES]).values())
    assert all(confine.promises([LANDLOCK, SECCOMP]).values())
    assert confine.promises([NETWORK]) == {sentence: "network" in sentence for sentence in confine.promises([NETWORK])}


def test_the_command_says_which_layers_are_on(capsys, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("SCHOLION_LIBRARY", str(tmp_path / "library"))
    assert main(["sandbox"]) == 0
    said = capsys.readouterr().out
    on = layers_here()
    assert all(layer in said for layer in on)
    for sentence, kept in confine.promises(on).items():
        assert f"{'yes' if kept else 'no '}  {sentence}" in said
    assert main(["sandbox", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"layers": on, "promises": confine.promises(on)}
    assert not (tmp_path / "library").exists(), "it opens no library"


HEADERS = {
    "x86_64": (Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"), r"#define __NR_(\w+)\s+(\d+)"),
    "aarch64": (Path("/usr/include/asm-generic/unistd.h"), r"#define __NR(?:3264)?_(\w+)\s+(\d+)"),
}


@pytest.mark.parametrize("machine", confine.MACHINES)
def test_the_numbers_of_system_calls_are_those_of_the_kernels_headers(machine) -> None:
    header, pattern = HEADERS[machine]
    if not header.exists():
        pytest.skip("the kernel's headers are not installed")
    known = {name: int(number) for name, number in re.findall(pattern, header.read_text())}
    _, ours = confine.MACHINES[machine]
    wrong = {name: number for name, number in ours.items() if name in known and known[name] != number}
    assert wrong == {}
    unknown = ours.keys() - known.keys()
    assert unknown <= {"fchmodat2", "mount_setattr", "pidfd_getfd", "open", "umount2"}, unknown


def test_every_call_that_is_denied_has_a_number() -> None:
    _, numbers = confine.MACHINES["x86_64"]
    assert {*confine.DENIED, *confine.PROGRAMS} <= numbers.keys()
    _, numbers = confine.MACHINES["aarch64"]  # which has no calls that take a path without a folder
    old = set("rename mkdir rmdir creat link unlink symlink chmod chown lchown mknod utime utimes futimesat".split())
    assert {*confine.DENIED, *confine.PROGRAMS} - numbers.keys() <= old | {"fork", "vfork"}
