"""What clients send. Fields that we do not know are ignored, as OpenAI's own servers and most others do."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

MAX_MESSAGES = 500
MAX_TEXT = 200_000
"""Characters of one message; questions that are too long for the model are refused by it."""
MAX_INPUTS = 256
"""Texts embedded at once."""

Text = Annotated[str, StringConstraints(max_length=MAX_TEXT)]


class Part(BaseModel):
    """A part of a message; only text is understood."""

    model_config = ConfigDict(extra="ignore")

    type: str
    text: Text = ""


class ChatMessage(BaseModel):
    """One message of a chat."""

    model_config = ConfigDict(extra="ignore")

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: Text | list[Part] | None = None


class StreamOptions(BaseModel):
    """Of a stream."""

    model_config = ConfigDict(extra="ignore")

    include_usage: bool = False


class Own(BaseModel):
    """Our own field, `scholion`, for clients that know us."""

    papers: list[str] | None = Field(default=None, max_length=10_000, description="ask only these papers, by id")
    tag: str | None = Field(default=None, max_length=200, description="ask only papers with this tag")
    raw_stream: bool = Field(default=False, description="stream the draft as it is written, before it is checked")
    annotations: bool = Field(default=False, description="in a stream too, citations as annotations beside the links")


class Asked(BaseModel):
    """What chat completions and responses have in common."""

    model_config = ConfigDict(extra="ignore")

    model: Annotated[str, StringConstraints(max_length=300)]
    stream: bool | None = False
    temperature: float | None = Field(default=None, ge=0, le=2)
    scholion: Own = Own()


class ChatRequest(Asked):
    """`POST /v1/chat/completions`."""

    messages: list[ChatMessage] = Field(min_length=1, max_length=MAX_MESSAGES)
    stream_options: StreamOptions | None = None
    max_tokens: int | None = Field(default=None, ge=1, le=1_000_000)
    max_completion_tokens: int | None = Field(default=None, ge=1, le=1_000_000)
    stop: str | list[str] | None = None
    n: int | None = 1


class InputMessage(BaseModel):
    """An item of `input`."""

    model_config = ConfigDict(extra="ignore")

    type: str = "message"
    role: str = "user"
    content: Text | list[Part] | None = None


class ResponseRequest(Asked):
    """`POST /v1/responses`."""

    input: Text | Annotated[list[InputMessage], Field(min_length=1, max_length=MAX_MESSAGES)]
    instructions: Any = None
    max_output_tokens: int | None = Field(default=None, ge=1, le=1_000_000)


class EmbeddingRequest(BaseModel):
    """`POST /v1/embeddings`."""

    model_config = ConfigDict(extra="ignore")

    model: Annotated[str, StringConstraints(max_length=300)]
    input: Text | Annotated[list[Text], Field(min_length=1, max_length=MAX_INPUTS)]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = None


class AskRequest(BaseModel):
    """`POST /v1/ask`."""

    model_config = ConfigDict(extra="forbid")

    question: Annotated[str, StringConstraints(max_length=MAX_TEXT)]
    mode: Literal["draft", "auto", "refine"] = "draft"
    papers: list[str] | None = Field(default=None, max_length=10_000)
    tag: str | None = Field(default=None, max_length=200)
    history: list[tuple[Text, Text]] = Field(default=[], max_length=MAX_MESSAGES)


def text_of(content: str | list[Part] | None) -> str | None:
    """The text of a message; None if it has a part that is no text."""
    if content is None or isinstance(content, str):
        return content or ""
    if any(part.type not in {"text", "input_text", "output_text"} for part in content):
        return None
    return "\n".join(part.text for part in content)
