"""Rebuild the sample papers: pip install typst, then python build.py"""

from datetime import UTC, datetime
from pathlib import Path

import typst

HERE = Path(__file__).resolve().parent
WHEN = datetime(2026, 11, 22, tzinfo=UTC)


def main() -> None:
    for source in sorted(HERE.glob("*.typ")):
        if source.stem == "template":
            continue
        target = source.with_suffix(".pdf")
        compiler = typst.Compiler(str(source), root=str(HERE), ignore_system_fonts=True)
        compiler.compile(output=str(target), format="pdf", timestamp=WHEN)
        print(f"{target.name}  {target.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
