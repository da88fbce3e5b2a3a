"""A message to a model, and how far away the model runs."""

from __future__ import annotations

from typing import Literal, TypedDict

Locality = Literal["machine", "network", "remote"]
"""Where a model runs, by its resolved address: this machine (loopback), the local network, or beyond."""


class Message(TypedDict):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str
