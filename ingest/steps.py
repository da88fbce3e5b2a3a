"""Optional steps of reading a paper: a fault of ours in one costs that step and is counted, and never the paper."""

from __future__ import annotations

import traceback
from dataclasses import replace
from pathlib import PurePath
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from ingest.errors import UserFacingError
from ingest.paper import LostStep

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
P = ParamSpec("P")


class Steps:
    """The optional steps of one paper, and which of them failed.

    `lost` has what failed, in the order of the first failures.
    """

    def __init__(self) -> None:
        self._lost: dict[str, LostStep] = {}

    @property
    def lost(self) -> tuple[LostStep, ...]:
        """The steps that failed, with the number of pages that go without them."""
        return tuple(self._lost.values())

    def attempt(
        self, step: str, otherwise: Callable[[], T], work: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """What `work` returns for one page, or what `otherwise` does where it raises.

        MemoryError goes on to whoever gave the file its limits, and UserFacingError, which is no fault of ours, to
        whoever can say it.
        """
        return self.attempt_all(step, 1, otherwise, work, *args, **kwargs)

    def attempt_all(
        self,
        step: str,
        n_pages: int,
        otherwise: Callable[[], T],
        work: Callable[P, T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """The same for a step that looks at `n_pages` pages at once."""
        try:
            return work(*args, **kwargs)
        except (MemoryError, UserFacingError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this step's
            before = self._lost.get(step)
            if before:
                self._lost[step] = replace(before, n_pages=before.n_pages + n_pages)
            else:
                self._lost[step] = LostStep(step, n_pages, _where(error))
            return otherwise()


def _where(error: Exception) -> str:
    """The error's kind and the line that raised it, for whoever mends it: it holds no word of the paper."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f", {PurePath(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{place}"
