"""The tests in three processes at once: what waits in one leaves the cores to the others. Arguments go to each.

What the first part says is shown as it comes, and what the others say when all are done. A part in which no test is
chosen is no failure.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from contextlib import ExitStack

NO_TESTS = 5
"""What pytest returns where none was chosen."""

PARTS = {  # and what each leaves to the others: the beginnings of paths
    "the library and the page": ["tests/browser/", "tests/rag/", "tests/test_"],
    "questions, answers and models": ["tests/browser/", "tests/ingest/", "tests/ui/"],
    "in the browser": ["tests/ingest/", "tests/rag/", "tests/ui/", "tests/test_"],
}
"""Of about the same length. Each loads its own models, once."""


def main(arguments: list[str]) -> int:
    running: list[subprocess.Popen[bytes]] = []
    with ExitStack() as files:
        said = {name: files.enter_context(tempfile.TemporaryFile()) for name in list(PARTS)[1:]}
        try:
            for name, left in PARTS.items():
                # what is ignored is not even imported, and what is named in the arguments all the same is deselected
                options = [option for path in left for option in (f"--ignore-glob={path}*", f"--deselect={path}")]
                command = [sys.executable, "-m", "pytest", *options, *arguments]
                running.append(subprocess.Popen(command, stdout=said.get(name), stderr=subprocess.STDOUT))
            codes = [process.wait() for process in running]
        except BaseException:
            for process in running:
                process.terminate()
            for process in running:
                process.wait()
            raise
        finally:
            for name, text in said.items():
                print(f"== {name}", flush=True)
                text.seek(0)
                sys.stdout.buffer.write(text.read())
                sys.stdout.flush()
    failed = [code for code in codes if code not in {0, NO_TESTS}]
    return failed[0] if failed else min(codes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
