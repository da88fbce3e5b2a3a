"""What is said to a model, and how far away it runs."""

from __future__ import annotations

from typing import Literal, TypedDict

Locality = Literal["machine", "network", "remote"]
"""Where a model runs, by the address that its name resolves to: this machine (loopback), the own network, or beyond."""


class Message(TypedDict):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str
