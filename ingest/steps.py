"""Optional steps of reading a paper: a bug in one loses that step, is counted, and never costs the paper."""

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
    """The optional steps for one paper, and which of them failed, in the order of first failure (`lost`)."""

    def __init__(self) -> None:
        self._lost: dict[str, LostStep] = {}

    @property
    def lost(self) -> tuple[LostStep, ...]:
        """The steps that failed, with the number of pages affected."""
        return tuple(self._lost.values())

    def attempt(
        self, step: str, otherwise: Callable[[], T], work: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """The result of `work` for one page, or of `otherwise` if it raises.

        MemoryError is passed on to whoever set the file's limits, and UserFacingError, which is not a bug, to the
        caller that reports it.
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
        """The same for a step that covers `n_pages` pages at once."""
        try:
            return work(*args, **kwargs)
        except (MemoryError, UserFacingError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it stays within this step
            before = self._lost.get(step)
            if before:
                self._lost[step] = replace(before, n_pages=before.n_pages + n_pages)
            else:
                self._lost[step] = LostStep(step, n_pages, _where(error))
            return otherwise()


def _where(error: Exception) -> str:
    """The error's type and the line that raised it, for debugging; contains no text of the paper."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f", {PurePath(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{place}"
