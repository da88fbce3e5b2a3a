"""Record the addresses this process connects to."""

from __future__ import annotations

import sys
from contextlib import contextmanager

ELSEWHERE = "203.0.113.9"
"""Another machine: a documentation address (RFC 5737) that belongs to nobody."""


@contextmanager
def connections():
    """Every address that a socket of this process connects to, and every name that is resolved."""
    made, listening = [], [True]

    def note(event, arguments):
        if listening and event == "socket.connect":
            made.append(arguments[1])
        elif listening and event == "socket.getaddrinfo":
            made.append(arguments[:2])

    sys.addaudithook(note)  # a hook cannot be removed, only silenced
    try:
        yield made
    finally:
        listening.clear()
