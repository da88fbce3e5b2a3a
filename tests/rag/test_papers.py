"""The examples of docs/python.md, run as they stand with the real models."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from places import ROOT
from rag import Papers

EXAMPLES = re.findall(r"```python\n(.*?)```", (ROOT / "docs/python.md").read_text(), re.DOTALL)


def test_the_examples_run_as_they_stand(tmp_path) -> None:
    assert len(EXAMPLES) == 2
    said = []
    for text in EXAMPLES:
        example = text.replace('"docs/papers"', repr(str(ROOT / "docs/papers")))
        done = subprocess.run(
            [sys.executable, "-c", example], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=600
        )
        assert done.returncode == 0, done.stderr[-2000:]
        said.append(done.stdout)
    assert said[0].count("added") == 4
    assert "42.7" in said[0]
    assert "[1] " in said[0]
    assert re.search(r"^embed +\d+\.\d\d s$", said[0], re.MULTILINE)
    assert "passages" in said[1]
    assert "(supported)" in said[1] or "not in your papers" in said[1]


async def test_plain_calls_work_where_a_loop_runs(tmp_path) -> None:
    with Papers(tmp_path / "library") as papers:
        answer = papers.ask("How many papers do I have?")
    assert answer.kind == "library"
    with pytest.raises(RuntimeError):
        papers.ask("And now?")
