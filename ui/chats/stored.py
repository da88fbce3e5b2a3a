"""Stored chats as the page takes them: JSON read, older elements left out, everything drawn as Markdown made safe."""

from __future__ import annotations

import json
from typing import Any

from rag.sanitise import broken

_OLD_LIST = "Library"
"""Name of the element with which older versions stored a list of the papers; its page is gone."""


def make_readable(threads: list[Any]) -> None:
    """Turn rows of the database into what the page takes, in place."""
    for thread in threads:
        thread["metadata"] = _object(thread.get("metadata"), {})
        thread["tags"] = _object(thread.get("tags"), [])
        for step in thread["steps"]:
            step["metadata"] = _object(step.get("metadata"), {})
            step["tags"] = _object(step.get("tags"), None)
            step["modes"] = _object(step.get("modes"), None)
            step["generation"] = _object(step.get("generation"), None)
            step["output"] = step.get("output") or ""
            step.update(harmless(step))
        thread["elements"] = [
            one for one in thread["elements"] or [] if (one.get("type"), one.get("name")) != ("custom", _OLD_LIST)
        ]
        for element in thread["elements"]:
            element["props"] = _object(element.get("props"), {})
            element["playerConfig"] = _object(element.get("playerConfig"), None)


def harmless(step: Any) -> Any:
    """The step with everything drawn as Markdown made safe; the user's own messages are shown as typed."""
    if step.get("type") == "user_message":
        return step
    shown = {name: step[name] for name in ("input", "output") if isinstance(step.get(name), str)}
    return {**step, **{name: broken(text, own_links=True) for name, text in shown.items()}}


def _object(value: Any, otherwise: Any) -> Any:
    if not isinstance(value, str):
        return otherwise if value is None else value
    try:
        return json.loads(value)
    except ValueError:
        return otherwise
