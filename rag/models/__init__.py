"""From a setting to a usable model: found, downloaded and served here, or asked over HTTP."""

from rag.models.chat import ChatModel, Completion, EndpointChatModel
from rag.models.draft import write
from rag.models.local import LocalServer
from rag.models.open import open_model

__all__ = [
    "ChatModel",
    "Completion",
    "EndpointChatModel",
    "LocalServer",
    "open_model",
    "write",
]
