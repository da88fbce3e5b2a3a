"""Who works first: what is read and embedded for the library waits for the questions of people who sit there."""

from __future__ import annotations

import contextlib
import os
import sys

NICE = 5
"""Where both want one core, a question gets three quarters of it; alone it costs nothing. More would let a paper
run into the time limit of its parser on a busy machine."""


def work_behind_questions() -> None:
    """Lower the priority of the calling thread and of those that it starts, for good; does nothing but on Linux.

    There a priority belongs to a thread (`man 2 setpriority`), elsewhere to the process, which also answers questions.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # some containers forbid it
            os.setpriority(os.PRIO_PROCESS, 0, max(NICE, os.getpriority(os.PRIO_PROCESS, 0)))
