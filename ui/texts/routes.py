"""Routes for the language of the page: the texts of our scripts and of Chainlit, and the choice in the settings."""

from __future__ import annotations

import json
from typing import Annotated, Any

import chainlit.server
from chainlit.auth import get_current_user
from chainlit.config import config
from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict

from rag.texts import N_, _, now
from ui import core
from ui.people import rules
from ui.texts.languages import COOKIE, KEPT_SECONDS, NAMES, chainlits_texts, texts_for_pages
from ui.web.in_sentences import NOT_UNDERSTOOD, InSentences

_WORDS: dict[str, str] = {
    "chat.input.placeholder": N_("Ask your papers, or drop a PDF here"),
    "chat.messages.status.using": N_("Reading"),
    "chat.messages.status.used": N_("Read"),
    "chat.watermark": N_("Nothing leaves this machine unless you agree. Check answers against their sources."),
    "threadHistory.sidebar.empty": N_("No chats yet"),
    "threadHistory.sidebar.filters.placeholder": N_("Search in questions and answers"),
    "threadHistory.thread.untitled": N_("Untitled chat"),
    "navigation.header.readme": N_("About Scholion"),
    "navigation.newChat.dialog.description": N_("This chat stays in the list on the left."),
    "navigation.user.menu.logout": N_("Sign out"),
    "auth.login.title": N_("Sign in to Scholion"),
    "auth.login.form.email.label": N_("Name"),
    "auth.login.form.email.required": N_("Enter your name."),
    "auth.login.form.password.required": N_("Enter your password."),
    "auth.login.form.actions.signin": N_("Sign in"),
    "auth.login.errors.default": N_("You are not signed in. Check your name and password."),
    "auth.login.errors.credentialsSignin": N_("The name or the password is wrong."),
    "auth.login.errors.oauthSignin": N_("You have no account here for this sign-in. Ask an administrator for one."),
}
"""Texts of Chainlit's that we reword, in every language."""


class _Choice(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    language: str
    """A code, or empty for the browser's."""


def router() -> APIRouter:
    """The routes; they tell nothing of the user's, so they need no login."""
    made = APIRouter(route_class=InSentences)

    @made.get("/texts.json")
    def texts(request: Request) -> dict[str, Any]:
        chosen = request.cookies.get(COOKIE, "")
        code = now().code
        return {
            "language": code,
            "chosen": chosen if chosen in NAMES else "",
            "names": NAMES,
            "texts": texts_for_pages(code),
        }

    @made.post("/settings/language")
    def choose(choice: _Choice, response: Response) -> dict[str, Any]:
        if choice.language and choice.language not in NAMES:
            raise HTTPException(400, _(NOT_UNDERSTOOD))
        if choice.language:
            response.set_cookie(COOKIE, choice.language, max_age=KEPT_SECONDS, httponly=True, samesite="lax")
        else:
            response.delete_cookie(COOKIE, httponly=True, samesite="lax")
        return {"chosen": choice.language}

    @made.get("/project/translations")
    def words() -> JSONResponse:
        code = now().code
        texts = config.load_translation("en-US") if code == "en" else chainlits_texts(code)
        return JSONResponse({"translation": _reworded(json.loads(json.dumps(texts)))})

    @made.get("/project/settings")
    async def settings(
        user: Annotated[Any, Depends(get_current_user)], chat_profile: str | None = None
    ) -> JSONResponse:
        code = now().code  # `chainlit_de.md` is read for "de"
        reply = await chainlit.server.project_settings(user, code if code != "en" else "en-US", chat_profile)
        told = json.loads(reply.body)
        told["ui"]["header_links"] = rules.followed(told["ui"].get("header_links") or [])
        for link in told["ui"]["header_links"]:
            link["display_name"] = _(link["display_name"])
        return JSONResponse(told)

    return made


def _reworded(translation: dict[str, Any]) -> dict[str, Any]:
    words = {key: _(text) for key, text in _WORDS.items()} | {"auth.login.form.email.placeholder": ""}
    database = core.settings().chat_database
    if database and not database.here:
        words["chat.watermark"] = _(
            "Your chats are kept on {host}. Nothing else leaves this machine unless you agree. "
            "Check answers against their sources."
        ).format(host=database.host)
    for key, text in words.items():
        *groups, last = key.split(".")
        at = translation
        for group in groups:
            at = at.setdefault(group, {})
        at[last] = text
    return translation
