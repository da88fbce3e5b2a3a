"""Where Chainlit 2.12 does something else than we need: replaced here, and each replacement has a test."""

from __future__ import annotations

import re

import chainlit.server
from chainlit.chat_context import chat_contexts
from chainlit.config import config
from chainlit.context import init_ws_context
from chainlit.session import WebsocketSession, ws_sessions_id

_OUTSIDE_LINK = re.compile(r"<link[^>]*\bhref=\"https?://[^>]*>")

_template = chainlit.server.get_html_template


def apply() -> None:
    """Put all replacements in place; doing so twice is the same as once."""
    chainlit.server.get_html_template = offline_page
    chainlit.server.sio.on("stop", stop)
    config.ui.default_theme = "system"  # the page knows it, the checked config file does not


def offline_page(root_path: str) -> str:
    """Chainlit's page without its links to Google Fonts and a CDN: behind a firewall they keep the page blank."""
    return _OUTSIDE_LINK.sub("", _template(root_path))


def forget_closed_chats() -> None:
    """Drop the messages of sessions that are gone: Chainlit keeps them for ever."""
    for session_id in chat_contexts.keys() - ws_sessions_id.keys():
        del chat_contexts[session_id]


async def stop(sid: str) -> None:
    """Cancel what is being done, without the extra message "Task manually stopped."."""
    session = WebsocketSession.get(sid)
    if session is None:
        return
    init_ws_context(session)
    if session.current_task:
        session.current_task.cancel()
    if config.code.on_stop:
        await config.code.on_stop()
