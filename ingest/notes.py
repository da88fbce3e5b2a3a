"""Notes for the reader of an added paper: which pages were not read, and which steps failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest.paper import QualityReport


def notes(report: QualityReport | None) -> tuple[str, ...]:
    """One or two sentences for everything that is missing or was read in another way; empty if all is well."""
    if report is None:
        return ()
    said = []
    if report.unreadable_pages:
        why = report.ocr_error.replace("and add the file again", "remove the paper and add it again")
        what = pages(report.unreadable_pages)
        if len(report.unreadable_pages) == 1:
            told = f"{what} could not be read: it is a picture, or its letters make no words."
        else:
            told = f"{what} could not be read: they are pictures, or their letters make no words."
        said.append(f"{told} {why}".strip())
    if report.ocr_pages:
        said.append(
            f"{pages(report.ocr_pages)} {'was' if len(report.ocr_pages) == 1 else 'were'} read by OCR, "
            "which makes mistakes: compare what you quote."
        )
    said += [
        f"One step failed ({step.step}, {step.n_pages} {'page' if step.n_pages == 1 else 'pages'}): the paper is there "
        f"without it. Please report this: {step.why}."
        for step in report.lost
    ]
    return tuple(said)


def pages(numbers: Sequence[int]) -> str:
    """Page numbers in words: "Page 3", "Pages 2 to 4 and 7"."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    parts = [part for run in runs for part in ([f"{run[0]} to {run[-1]}"] if len(run) > 2 else map(str, run))]
    listed = " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))
    return f"{'Page' if len(numbers) == 1 else 'Pages'} {listed}"
