"""`python -m ui` with a drafter that writes what stands in the file SCRIPTED_ANSWER, so that verdicts are foreseen.

SCRIPTED_DELAY: seconds before each word.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from fakes import ScriptedChatModel
from ui import core
from ui.__main__ import main

if __name__ == "__main__":
    answer = Path(os.environ["SCRIPTED_ANSWER"])
    assistant = core.assistant()
    assistant.drafter = ScriptedChatModel(
        *[answer.read_text(encoding="utf-8")] * 1000, delay=float(os.environ.get("SCRIPTED_DELAY", "0"))
    )
    sys.exit(main())
