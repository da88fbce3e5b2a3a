"""Let a timeout run out when a stub server hangs, and not by the clock: two seconds are too few on a busy machine."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING
from unittest.mock import patch

if TYPE_CHECKING:
    from stub_server import Stub


@asynccontextmanager
async def impatient(stub: Stub, *, seconds: float):
    """Inside, every `asyncio.timeout` of so many seconds is over once the stub hangs; others are left alone."""
    begun: list[asyncio.Timeout] = []
    real = asyncio.timeout

    def noted(delay: float | None) -> asyncio.Timeout:
        made = real(delay)
        if delay == seconds:
            begun.append(made)
        return made

    async def end_them() -> None:
        await stub.hangs.wait()
        while True:  # also those that begin after that
            for timeout in begun:
                with suppress(RuntimeError):  # it is over already
                    timeout.reschedule(0)
            await asyncio.sleep(0.05)

    ending = asyncio.create_task(end_them())
    try:
        with patch("asyncio.timeout", noted):
            yield
    finally:
        ending.cancel()
