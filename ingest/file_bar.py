"""A progress bar in files, for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from tqdm import tqdm

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class FileBar:
    """A progress bar in files, whose remaining time goes by the bytes that are left."""

    def __init__(self, files: Iterable[Path]) -> None:
        self._sizes = {file: file.stat().st_size if file.is_file() else 0 for file in files}
        self._bar = tqdm(
            total=sum(self._sizes.values()) or 1,
            disable=None,
            leave=False,
            bar_format="{desc} {percentage:3.0f}%|{bar}| about {remaining} left {postfix}",
        )
        self._done = 0

    def __enter__(self) -> Self:
        self._label()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def tell(self, file: str, step: str, done: int, total: int) -> None:
        """Show where the file that is being indexed stands."""
        if step != "reading":
            self._bar.set_postfix_str(f"{file[:32]} {step} {done}/{total}")

    def finish(self, file: Path | None) -> None:
        """Count one file as done."""
        self._done += 1
        self._bar.update(self._sizes.get(file, 0) if file else 0)
        self._label()

    def _label(self) -> None:
        self._bar.set_description_str(f"{self._done}/{len(self._sizes)} files")
