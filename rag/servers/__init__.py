"""Model servers on this machine: which engine runs where, and what it serves. Loopback only."""

from rag.servers.discovery import discover, served
from rag.servers.engines import Engine, ServedModel

__all__ = [
    "Engine",
    "ServedModel",
    "discover",
    "served",
]
