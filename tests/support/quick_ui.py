"""`python -m ui` without sample papers and without loading a model: just the server, in seconds."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

if __name__ == "__main__":
    import ui.__main__
    from ui import core

    ui.__main__._add_samples = lambda: None
    core.begin = lambda: None
    sys.exit(ui.__main__.main(sys.argv[1:]))
