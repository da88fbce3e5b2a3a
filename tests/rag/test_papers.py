"""The examples of docs/python.md and the notebook beside it, run as they stand, in one process on one library."""

from __future__ import annotations

import csv
import re

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell

from places import ROOT
from rag import Papers

EXAMPLES = re.findall(r"```python\n(.*?)```", (ROOT / "docs/python.md").read_text(), re.DOTALL)
NOTEBOOK = ROOT / "docs/python.ipynb"
IN_A_THREAD = """
import threading

thread = threading.Thread(target=exec, args=({!r}, {{"__name__": "__main__"}}))
thread.start()
thread.join()
"""
"""Where no event loop runs, as in a script."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder from which the sample papers are reached as from the repository's."""
    made = tmp_path_factory.mktemp("scripts")
    (made / "docs").symlink_to(ROOT / "docs")
    return made


@pytest.fixture(scope="module")
def said(folder) -> list[str]:
    """What each example and each cell with code says, one after the other."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "it is kept without outputs"
    assert len(EXAMPLES) == 2
    notebook.cells[:0] = [new_code_cell(EXAMPLES[0]), new_code_cell(IN_A_THREAD.format(EXAMPLES[1]))]
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("IPYTHONDIR", str(folder / "ipython"))
        patched.setenv("JUPYTER_DATA_DIR", str(folder / "jupyter"))
        NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(folder)}}).execute()
    return [
        "".join(out.get("text", "") or out.get("data", {}).get("text/html", "") for out in cell.outputs)
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


def test_the_examples_run_as_they_stand(said) -> None:
    first, second = said[:2]
    assert first.count("added") == 4
    assert "42.7" in first
    assert "[1] " in first
    assert re.search(r"^embed +\d+\.\d\d s$", first, re.MULTILINE)
    assert "passages" in second
    assert "(supported)" in second or "not in your papers" in second


def test_the_notebook_adds_asks_plots_and_exports(said, folder) -> None:
    added, asked, plotted, _, awaited, _ = said[2:]
    assert added.count("skipped") == 4, "the examples have added them"
    assert "42.7" in asked
    assert "p. " in asked
    assert plotted.count("<rect") >= 3
    with (folder / "answers.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["seconds"]) > 0 for row in rows] == [True] * 2
    assert "42.7" in rows[0]["answer"]
    assert "passages" in awaited
    assert "42.7" in awaited


async def test_plain_calls_work_where_a_loop_runs(tmp_path) -> None:
    with Papers(tmp_path / "library") as papers:
        answer = papers.ask("How many papers do I have?")
    assert answer.kind == "library"
    with pytest.raises(RuntimeError):
        papers.ask("And now?")
