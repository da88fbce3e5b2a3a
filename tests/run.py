"""The tests in two processes at once: those in a browser wait more than they compute. Arguments go to both.

What the browser's tests say is shown when the others are done. A part in which no test is chosen is no failure.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile

NO_TESTS = 5
"""What pytest returns where none was chosen."""


def main(arguments: list[str]) -> int:
    pytest = [sys.executable, "-m", "pytest"]
    with tempfile.TemporaryFile() as said:
        browser = subprocess.Popen([*pytest, "-m", "browser", *arguments], stdout=said, stderr=subprocess.STDOUT)
        try:
            others = subprocess.run([*pytest, "-m", "not browser", *arguments], check=False).returncode
            in_browser = browser.wait()
        except BaseException:
            browser.terminate()
            browser.wait()
            raise
        finally:
            said.seek(0)
            print("== in the browser", flush=True)
            sys.stdout.buffer.write(said.read())
            sys.stdout.flush()
    failed = [code for code in (others, in_browser) if code not in {0, NO_TESTS}]
    return failed[0] if failed else min(others, in_browser)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
