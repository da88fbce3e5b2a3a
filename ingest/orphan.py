"""Ensure that no child process outlives its parent, however that one died, with what Linux offers."""

from __future__ import annotations

import ctypes
import os

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def send_on_parent_death(signal_number: int, *, parent: int) -> None:
    """Have Linux send this process a signal when its parent is gone; leave at once if it is already. On Linux only.

    For the kernel, "the parent" is the thread that started this process: it also sends the signal when that one ends.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal_number)
    if os.getppid() != parent:  # it ended before we asked
        os._exit(0)
