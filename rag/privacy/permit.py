"""Payload and permit: a payload's bytes are built once, shown and sent; a permit lets exactly these bytes through."""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
import time
import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast

from rag.errors import NotAllowedError
from rag.privacy.audit import AuditError, AuditLog
from rag.privacy.destination import Destination, is_relayed
from rag.sanitise import INVISIBLE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rag.costs.accounting import Usage
    from rag.costs.tokens import TokenCount
    from rag.message import Message

log = logging.getLogger(__name__)

PERMIT_SECONDS = 60.0
"""A permit not used within this time is void."""

KEPT = "The draft is kept."

_REDUCIBLE = frozenset({"temperature", "max_tokens", "logprobs", "top_logprobs", "stream_options"})
"""Parameters that may be dropped if a server refuses them. Nothing may ever be added."""
_RETRIES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """A request before anyone has agreed to it. Its bytes are built here, once; they are what is shown and sent."""

    messages: tuple[Message, ...]
    model: str
    destination: Destination
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """The other fields of the request: temperature, maximum length, log-probabilities."""
    paper_ids: tuple[str, ...] = ()
    """The papers that have a passage in the messages."""
    input_tokens: TokenCount
    max_output_tokens: int
    price: float | None = None
    """Maximum price in US dollars; None if unknown."""
    redactions: int = 0
    """How many words were redacted."""
    body: bytes = field(init=False)

    def __post_init__(self) -> None:
        if self.parameters.keys() & {"model", "messages", "stream"}:
            raise ValueError("the parameters would take the place of what was checked")
        object.__setattr__(self, "messages", tuple(cast("Message", dict(message)) for message in self.messages))
        request = {"model": self.model, "messages": self.messages, **self.parameters, "stream": True}
        object.__setattr__(self, "body", encoded(request))

    @property
    def leaves(self) -> bool:
        """Whether it would leave this machine, either by its address or because the local server forwards it."""
        return self.destination.locality != "machine" or is_relayed(self.model)

    @property
    def text(self) -> str:
        """The exact request body: indented JSON with invisible characters escaped."""
        return self.body.decode()

    def said(self) -> str:
        """All strings in the body, unescaped: what the recipient gets to read."""
        return "\n".join(_strings(json.loads(self.body)))

    @property
    def sha256(self) -> str:
        """SHA-256 of the body."""
        return hashlib.sha256(self.body).hexdigest()

    @property
    def url(self) -> str:
        """The URL it is posted to."""
        return f"{self.destination.url}/chat/completions"


def encoded(request: Mapping[str, Any]) -> bytes:
    """The request as readable JSON; invisible characters from the papers are escaped."""
    text = json.dumps(request, ensure_ascii=False, indent=1)
    return INVISIBLE.sub(lambda match: json.dumps(match[0])[1:-1], text).encode()


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.items() if isinstance(value, dict) else value:
            yield from _strings(list(part) if isinstance(part, tuple) else part)


class Permit:
    """Permission to send one payload. Only `Gate.permit` can make one: other instances and copies are worthless."""

    def __init__(self, payload: Payload, *, name: str, audit: AuditLog | None) -> None:
        self._payload = payload
        self.name = name
        self.sent = False
        """Whether bytes were handed to a connection."""
        self._audit = audit
        self._until = time.monotonic() + PERMIT_SECONDS
        self._left = 1 + _RETRIES
        self._closed = False
        self._open = True
        self._asked = dict(json.loads(payload.body))

    @property
    def payload(self) -> Payload:
        """The payload it was issued for."""
        return self._payload

    def admit(self, method: str, url: str, content: bytes) -> bytes:
        """The bytes to send for a request: those of the payload.

        After the server refused a parameter (`reopen`), a request without it is also admitted.

        Raises:
            NotAllowedError: the permit is not the gate's, is used up or expired, or was issued for something else.
        """
        if self not in _issued:
            raise NotAllowedError("The privacy gate did not allow this, so it was not sent.", KEPT)
        if not self._open or self._left <= 0:
            raise NotAllowedError("This consent was already used: it is valid for one request.", KEPT)
        if time.monotonic() > self._until:
            raise NotAllowedError("This consent has expired: it was given over a minute ago.", "Ask again.")
        body = self._body(content) if method == "POST" and url == self.payload.url else None
        if body is None:
            raise NotAllowedError("The message differs from what you agreed to, so it was not sent.", KEPT)
        self._open = False
        self._left -= 1
        return body

    def reopen(self) -> None:
        """Allow the request again with fewer parameters, after the server refused one."""
        self._open = True

    def close(self, outcome: Literal["answered", "failed", "stopped"], *, usage: Usage | None = None) -> None:
        """Void the permit and log how the call ended. A call that was never sent does not count against the budget."""
        if self._closed or self not in _issued:
            return
        self._closed, self._left = True, 0
        if self._audit is None:
            return
        facts: dict[str, Any] = {"permit": self.name}
        if usage:
            facts |= {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}
        try:
            self._audit.append(outcome if self.sent else "not sent", facts)
        except AuditError:  # the call itself is in the log; the next one will fail on this
            log.warning("The end of a call could not be written to the audit log", exc_info=True)

    def _body(self, content: bytes) -> bytes | None:
        """The agreed bytes that match the request; None if nothing agreed matches."""
        try:
            asked = json.loads(content)
        except ValueError:
            return None
        if asked == self._asked:
            return self.payload.body
        if not isinstance(asked, dict) or self._left > _RETRIES:  # the first request must be complete
            return None
        agreed = dict(self._asked)
        if "max_tokens" not in asked and "max_tokens" in agreed:
            agreed["max_completion_tokens"] = agreed["max_tokens"]  # for OpenAI's reasoning models
        if not asked.keys() <= agreed.keys() or not self._asked.keys() - asked.keys() <= _REDUCIBLE:
            return None
        kept = {key: agreed[key] for key in asked}
        return encoded(kept) if kept == asked else None


_issued: weakref.WeakSet[Permit] = weakref.WeakSet()


def issue(payload: Payload, *, audit: AuditLog | None) -> Permit:
    """Issue a permit; for the gate only. Its end is logged to `audit`, if given."""
    permit = Permit(payload, name=secrets.token_hex(8), audit=audit)
    _issued.add(permit)
    return permit
