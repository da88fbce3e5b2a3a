"""Watch which addresses this process connects to."""

from __future__ import annotations

import sys
from contextlib import contextmanager

ELSEWHERE = "203.0.113.9"
"""Another machine: an address for documentation (RFC 5737), nobody's."""


@contextmanager
def connections():
    """Every address that a socket of this process connects to, and every name that is looked up."""
    made, listening = [], [True]

    def note(event, arguments):
        if listening and event == "socket.connect":
            made.append(arguments[1])
        elif listening and event == "socket.getaddrinfo":
            made.append(arguments[:2])

    sys.addaudithook(note)  # cannot be taken away again, only silenced
    try:
        yield made
    finally:
        listening.clear()
