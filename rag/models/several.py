"""One model on several servers: the least busy is asked, and one that fails is left out for a while.

The models are `rag.models.chat.ChatModel`s, and so is this; it uses nothing of that file, so it is not imported.
"""

from __future__ import annotations

import logging
import time
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from rag.errors import ModelRefusedError, ModelReplyError, ModelTimeoutError, ModelUnreachableError, NotAllowedError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from rag.message import Message
    from rag.privacy.destination import ModelCall
    from rag.privacy.permit import Permit

log = logging.getLogger(__name__)

T = TypeVar("T")

OUT_SECONDS, LONGEST_SECONDS = 5.0, 300.0
"""How long a server is left out after it has failed, doubled with each failure after that, and at most."""

_FAILED: Final = (ModelUnreachableError, ModelTimeoutError, ModelReplyError, ModelRefusedError)
"""Errors that are the server's and not the question's."""

_NEXT: Final = (ModelUnreachableError, ModelRefusedError)
"""Those of them after which the next server is asked, if no text has come; after a timeout the reader has waited long
enough."""


@dataclass(slots=True)
class _Server:
    model: Any
    """Its name says which server it is."""
    busy: int = 0
    """Answers that it is writing for us."""
    failures: int = 0
    """Since it last answered."""
    out_until: float = 0.0
    last: float = 0.0
    """When it was last asked."""


class SeveralServers:
    """A `ChatModel` over the same model on several servers.

    If a server cannot be reached or refuses, the next one is asked. One that dies in the middle of an answer ends it
    with an error that names the server, since the text so far is its own.

    Args:
        models: the model on each server, named after it.
        name: display name of the model.
        now: a clock that never goes back.
    """

    def __init__(self, models: Sequence[Any], *, name: str, now: Callable[[], float] = time.monotonic) -> None:
        self._servers = [_Server(model) for model in models]
        self._name, self._now = name, now

    @property
    def name(self) -> str:
        """Display name of the model."""
        return self._name

    async def context_window(self) -> int:
        """Return the smallest window of the servers that answer, so that a prompt fits whichever is asked."""
        windows: list[int] = []
        last = None
        for server in self._in_order():
            if windows and server.out_until > self._now():
                continue
            try:
                windows.append(await server.model.context_window())
            except NotAllowedError:
                self._leave_out(server)
                raise
            except _FAILED as error:
                self._leave_out(server)
                last = error
        if not windows and last:
            raise last
        return min(windows)

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        """Return the prompt's tokens as the first server that answers counts them."""
        return await self._first(lambda model: model.count_tokens(messages))

    async def is_here(self) -> bool:
        """Return whether all servers are on this machine."""
        return all([await server.model.is_here() for server in self._servers])

    async def planned_call(self, *, max_tokens: int, temperature: float = 0.0) -> ModelCall:
        """Where a call would go that needs a permit: to the first server, which is the only one that then gets it."""
        planned: ModelCall = await self._servers[0].model.planned_call(max_tokens=max_tokens, temperature=temperature)
        return planned

    async def stream(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        temperature: float = 0.0,
        stop: Sequence[str] = (),
        permit: Permit | None = None,
    ) -> AsyncGenerator[Any, None]:
        """Yield the reply's text in pieces, then one `Completion`; see `ChatModel.stream`."""
        rest = self._servers[:1] if permit else self._in_order()
        while rest:
            server = rest.pop(0)
            begun = False
            server.busy += 1
            server.last = self._now()
            pieces = server.model.stream(
                messages, max_tokens=max_tokens, temperature=temperature, stop=stop, permit=permit
            )
            try:
                async with aclosing(pieces) as written:
                    async for piece in written:
                        begun = True
                        yield piece
            except NotAllowedError:  # no question goes on from one that should not have been asked
                self._leave_out(server)
                raise
            except _FAILED as error:
                self._leave_out(server)
                if begun or not rest or not isinstance(error, _NEXT):
                    raise
            else:
                server.failures, server.out_until = 0, 0.0
                return
            finally:
                server.busy -= 1

    async def _first(self, ask: Callable[[Any], Awaitable[T]]) -> T:
        rest = self._in_order()
        while True:
            server = rest.pop(0)
            try:
                return await ask(server.model)
            except NotAllowedError:
                self._leave_out(server)
                raise
            except _FAILED:
                self._leave_out(server)
                if not rest:
                    raise

    def _in_order(self) -> list[_Server]:
        """Those that are well, the least busy first; then those that are left out, the first to come back first."""
        now = self._now()
        well = [server for server in self._servers if server.out_until <= now]
        out = [server for server in self._servers if server.out_until > now]
        by_work = sorted(well, key=lambda server: (server.busy, server.last))
        return [*by_work, *sorted(out, key=lambda server: server.out_until)]

    def _leave_out(self, server: _Server) -> None:
        seconds = min(LONGEST_SECONDS, OUT_SECONDS * 2**server.failures)
        server.failures += 1
        server.out_until = self._now() + seconds
        log.warning("%s failed and is left out for %.0f seconds", server.model.name, seconds)
