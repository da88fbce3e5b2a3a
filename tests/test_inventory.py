"""The table of all places where a name from outside acts: what it names is there, and no such file is left out."""

from __future__ import annotations

import ast
import re

import pytest

from places import ROOT

PAGE = (ROOT / "docs" / "security" / "inventory.md").read_text(encoding="utf-8")
ROWS = [line.split(" | ") for line in PAGE.splitlines() if line.startswith("| `")]
SOURCES = [ROOT / "app.py", *(path for room in ("ui", "ingest", "rag") for path in sorted((ROOT / room).rglob("*.py")))]
ACTS = {  # what such a place looks like
    "a child process": r"subprocess\.(?:run|Popen)|\b_spawn\(|os\.(?:system|exec|popen)|shell=",
    "removing": r"\brmtree\(|\.unlink\(|\.rmdir\(",
    "moving": r"\.rename\(|(?:part|partial|path|fresh|pdf|\))\.replace\(\w+\)",
    "SQL text": r"S608|executescript\(",
    "HTML": r"(?<!re\.)\bescape\(|HTMLResponse",
    "a regular expression": r"\bre\.escape\b",
    "an address": r"\burlsplit\(|urlencode\(|HTTPConnection\(|hf_hub_url",
    "a variable": r"os\.environ\b(?!\s*\|)|BaseSettings\)",
}
HARMLESS = {
    "ingest/latex.py",  # its escapes are LaTeX's
    "ui/web/settings_state.py",  # hosts of our own list of services, to name them
    "rag/costs/prices.py",  # an address as the key of a price list; nothing is asked
    "rag/servers/discovery.py",  # its variables go through rag/servers/loopback.py
}


def _names(path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {
        node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0].strip("| `"))
def test_every_place_and_every_test_that_the_inventory_names_is_there(row) -> None:
    assert len(row) == 5, "place, what comes in, what it becomes, guard, test"
    for place in re.findall(r"`([^`]+)`", row[0]):
        file, _, name = place.partition(":")
        assert (ROOT / file).is_file(), place
        assert not name or name in _names(ROOT / file), place
    (test,) = re.findall(r"`(tests/[^`]+)`", row[4])
    file, _, name = test.partition("::")
    assert (ROOT / file).is_file(), test
    assert not name or name in _names(ROOT / file), test


@pytest.mark.parametrize("kind", ACTS)
def test_no_file_with_such_a_place_is_left_out(kind) -> None:
    files = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in SOURCES}
    acting = {name for name, text in files.items() if re.search(ACTS[kind], text)}
    assert acting, "the pattern finds what it is made for"
    assert {name for name in acting - HARMLESS if f"`{name}" not in PAGE} == set()


def test_no_place_starts_a_shell() -> None:
    for path in SOURCES:
        assert not re.search(r"shell\s*=\s*True|os\.system\(|os\.popen\(", path.read_text(encoding="utf-8")), path
