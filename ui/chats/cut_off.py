"""What of a stored chat was cut off when its process ended, by `kill -9` or a power loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chainlit.session import ws_sessions_id

if TYPE_CHECKING:
    from collections.abc import Sequence


def last_cut_off(steps: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The last message of the user, if what it began has no end and goes on nowhere in this process.

    Args:
        steps: of a stored chat, in order.
    """
    at = max((n for n, step in enumerate(steps) if step.get("type") == "user_message"), default=None)
    if at is None or _goes_on(str(steps[at].get("threadId"))):
        return None
    last, later = steps[at], steps[at + 1 :]
    run = next((step for step in later if step.get("type") == "run" and step.get("parentId") == last.get("id")), None)
    if run is not None:
        return None if run.get("end") else last
    return None if any(step.get("type") == "assistant_message" for step in later) else last


def _goes_on(chat: str) -> bool:
    """Whether a page of this chat, perhaps closed by now, has work that is not done."""
    tasks = [session.current_task for session in ws_sessions_id.values() if session.thread_id == chat]
    return any(task is not None and not task.done() for task in tasks)
