"""The nouns of a comparison: a model as asked for and as opened, a question, a prompt, a timed call, a run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field, fields
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Literal, Self

from rag.privacy.permit import encoded

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rag.message import Message
    from rag.models.chat import ChatModel

State = Literal["cold", "warm"]
STAGES = ("prepare", "send", "first token", "done")
"""prepare: find passages, build the prompt, start or load the model, open the connection. send: the request's bytes.
first token: from then to the first piece of text, with waiting and reading of the prompt. done: writing the rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A model as the user wrote it: `NAME[,threads=N][,context=N][,adapter=yes][,name=TEXT]`."""

    setting: str
    threads: int | None = None
    context: int | None = None
    adapter: bool = False
    """Whether the embedded model has the adapter that it has in the chat."""
    name: str

    def as_row(self) -> dict[str, Any]:
        """For the run's settings. A key is no part of it."""
        return {"setting": self.setting, "threads": self.threads, "context": self.context, "adapter": self.adapter}


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A model of the comparison."""

    asked: Asked
    model: ChatModel
    end: Callable[[], Awaitable[None]] | None = None
    """Ends its process or drops its weights, so that the next call is a cold one; None if it is not ours to restart."""
    inside: bool = False
    """Whether it runs in this process, without a server."""
    measure: Callable[[], tuple[int | None, str]] = lambda: (None, "")
    """Its memory in bytes, and what they are of; None if unknown."""

    @property
    def name(self) -> str:
        """Unique in the comparison."""
        return self.asked.name

    @property
    def can_be_cold(self) -> bool:
        """Whether it is ours to restart."""
        return self.end is not None

    async def close(self) -> None:
        """End it, if it is ours."""
        if self.end:
            await self.end()


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question with what is known of its answer."""

    id: str
    text: str
    golds: tuple[str, ...] = ()
    answerable: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What a model is asked."""

    messages: tuple[Message, ...]
    paper_ids: tuple[str, ...] = ()
    """The papers with a passage in it."""

    @property
    def digest(self) -> str:
        """Stands for the exact texts."""
        return sha256(encoded({"messages": self.messages})).hexdigest()[:16]


Prepare = Callable[[], Awaitable[Prompt]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What one call took; None for what is not known."""

    model: str
    question: str
    """The id of the question."""
    retrieval: bool
    state: State
    repeat: int
    place: int = 0
    """Which in the order of its round."""
    prompt: str = ""
    """Digest of the exact input: equal for all models."""
    stages: Mapping[str, float | None] = field(default_factory=dict)
    seconds: float | None = None
    """The whole, on a clock of its own around everything."""
    gaps: tuple[float, ...] = ()
    """Seconds between two pieces of text; a piece is one token for llama.cpp, about a word for others."""
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    """Prompt tokens that were not read anew."""
    server: Mapping[str, Any] | None = None
    """The server's own times and counts (`ServerTimes`)."""
    reported_model: str | None = None
    finish_reason: str | None = None
    text: str = ""
    usd: float | None = None
    wh: float | None = None
    measured: str = "none"
    """How the energy is known: "counter", "estimated" or "none"."""
    memory: int | None = None
    memory_of: str = ""
    went_to: str = ""
    """Where the text went, in words."""
    sent_bytes: int | None = None
    """Bytes that left this machine; 0 if nothing did."""
    error: str | None = None

    @property
    def key(self) -> tuple[Any, ...]:
        """Which call of the run it is."""
        return self.model, self.question, self.retrieval, self.state, self.repeat

    @property
    def first_token(self) -> float | None:
        """Seconds from the sent request to the first text: what a server can be compared by."""
        return self.stages.get("first token")

    @property
    def to_first_token(self) -> float | None:
        """Seconds from the beginning to the first text: what a person waits."""
        parts = [self.stages.get(name) for name in STAGES[:3]]
        return None if None in parts else sum(part for part in parts if part is not None)

    @property
    def tokens_per_second(self) -> float | None:
        """While writing, without the first token."""
        done = self.stages.get("done")
        if self.output_tokens is None or self.output_tokens < 2 or not done:
            return None
        return (self.output_tokens - 1) / done

    def as_row(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Read one; what a later version added is left out."""
        known = {item.name for item in fields(cls)} & row.keys()
        values: dict[str, Any] = {name: row[name] for name in known}
        return cls(**{**values, "gaps": tuple(values.get("gaps", ()))})


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A run as it is stored."""

    folder: Path
    settings: Mapping[str, Any]
    about: Mapping[str, Any]
    questions: tuple[Question, ...]
    calls: tuple[Call, ...]

    @property
    def models(self) -> list[str]:
        """The models' names, in the order in which they were given."""
        return [row["name"] for row in self.settings["models"]]
