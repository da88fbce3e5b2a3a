"""What answers: the assistant in use, which can be replaced while it answers, and the processes of its models."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ingest import UserFacingError
from rag import Assistant
from rag.choices import Choices, kept, save, settled
from rag.errors import UnknownModelError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Set as AbstractSet

    from ingest import Library
    from rag.choices import Kept
    from rag.models import LocalServer


class Serving:
    """Holds the assistant in use.

    A model's process is closed as soon as neither the assistant in use nor an answer that is still being written needs
    it. All changes are made on the app's event loop.

    Args:
        assistant: the first one.
        kept: the choices, and the settings it was opened with.
        trouble: why it does not use a chosen drafter.
    """

    def __init__(self, assistant: Assistant, kept: Kept, *, trouble: str | None = None) -> None:
        self.current = assistant
        self.kept = kept
        self.trouble = trouble
        self._busy: Counter[Assistant] = Counter()
        self._servers: set[LocalServer] = set(assistant.servers)
        self._lock = threading.Lock()
        self._choosing = asyncio.Lock()
        self._tried: Kept | None = None
        """What another process chose last."""
        self._tasks: set[asyncio.Task[None]] = set()

    @classmethod
    def open(cls, library: Library) -> Serving:
        """What the kept choices describe. If the chosen drafter is gone, the built-in one answers.

        Raises:
            UserFacingError: the drafter named by an environment variable cannot be used.
        """
        now = kept(library.folder)
        try:
            return cls(Assistant.open(now.settings, library=library), now)
        except UserFacingError as error:
            if now.choices.drafter is None or "drafter" in now.fixed:
                raise
            without = settled(now.choices.model_copy(update={"drafter": None}), library.folder)
            said = f"{error.message} The built-in model answers until you choose another."
            answers = replace(now, settings=without.settings)
            return cls(Assistant.open(without.settings, library=library), answers, trouble=said)

    @contextmanager
    def using(self, assistant: Assistant) -> Iterator[None]:
        """While inside, the processes of this assistant's models stay."""
        with self._lock:
            self._busy[assistant] += 1
        try:
            yield
        finally:
            with self._lock:
                self._busy[assistant] -= 1
                if not self._busy[assistant]:
                    del self._busy[assistant]
            self._close_unused()

    async def choose(self, **changes: Any) -> None:
        """Change some choices, keep them, and answer with them from the next question on; a file is loaded first.

        Raises:
            UserFacingError: a chosen model cannot be used; nothing is changed.
            OSError: the choices cannot be written; nothing is changed.
        """
        async with self._choosing:
            before, folder = self.kept.choices, self.current.library.folder
            if not self.current.library.is_alone and (seen := await asyncio.to_thread(kept, folder)).fault is None:
                before = seen.choices  # another process may have changed others
            await self._choose(Choices.model_validate(before.model_dump() | changes), set(changes), store=True)

    async def follow(self) -> None:
        """Answer as another process of the app was told to, if it was; what cannot be used is tried once.

        Raises:
            UserFacingError: what was chosen there cannot be used here.
        """
        async with self._choosing:
            seen = await asyncio.to_thread(kept, self.current.library.folder)
            same = seen.choices == self.kept.choices and (self.trouble or seen.settings == self.kept.settings)
            if seen.fault or same or seen == self._tried:
                return
            self._tried = seen
            ours, theirs = self.kept.choices.model_dump(), seen.choices.model_dump()
            await self._choose(seen.choices, {name for name in theirs if theirs[name] != ours[name]}, store=False)

    async def _choose(self, choices: Choices, changes: AbstractSet[str], *, store: bool) -> None:
        folder = self.current.library.folder
        trouble = None if "drafter" in changes else self.trouble
        used = choices.model_copy(update={"drafter": None}) if trouble else choices
        now = replace(await asyncio.to_thread(settled, used, folder), choices=choices)
        made = await asyncio.to_thread(Assistant.open, now.settings, library=self.current.library, like=self.current)
        if "expert" in changes and now.settings.expert and made.expert is None:
            raise UnknownModelError(made.no_expert)
        try:
            if now.settings.drafter and made.opened is not self.current.opened:
                await self._load(made)
            if store:
                await asyncio.to_thread(save, choices, folder)
        except BaseException:
            for server in made.servers - self.current.servers:
                self._do(server.close())
            raise
        self._replace(made, now, trouble)
        if now.settings.drafter is None:
            self._do(self._warm_up(made))

    async def _warm_up(self, assistant: Assistant) -> None:
        """Load the built-in drafter; if that fails, the next question says why."""
        with self.using(assistant), suppress(UserFacingError):
            await self._load(assistant)

    async def _load(self, made: Assistant) -> None:
        """Load a new drafter that is a file, so that one which cannot be loaded is never put to use."""
        server = made.opened.server if made.opened else None
        if server and server.pid is None:
            await server.connect()

    def _replace(self, made: Assistant, now: Kept, trouble: str | None) -> None:
        self.current, self.kept, self.trouble = made, now, trouble
        with self._lock:
            self._servers |= made.servers
        self._close_unused()

    def _close_unused(self) -> None:
        with self._lock:
            needed = self.current.servers.union(*(assistant.servers for assistant in self._busy))
            unused, self._servers = self._servers - needed, self._servers & needed
        for server in unused:
            self._do(server.close())

    def _do(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Stop all model processes."""
        for server in tuple(self._servers):
            await server.close()

    def kill(self) -> None:
        """Stop all model processes immediately, without waiting."""
        for server in tuple(self._servers):
            server.kill()
