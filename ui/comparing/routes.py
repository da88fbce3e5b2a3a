"""The page `/compare` and its requests: choose two models, ask, see both answers, vote."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

from chainlit.auth import get_current_user
from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, ConfigDict, Field

from ui.comparing.rounds import offered, rates, rounds
from ui.web.in_sentences import InSentences
from ui.web.pages import frame

_BODY = """
<header class="row top">
<h1>Compare models</h1>
<a class="button alone" href="/">Chat</a>
<a class="button" href="/insight">Insight</a>
</header>
<p class="faint">Two models get the same question, one after the other. Loading a model does not count. A model that is
not on this machine is asked only after you agree to what would be sent.</p>
<div id="compare"><p class="faint">Looking for models …</p></div>
<noscript><p>This page needs JavaScript. In a terminal: python -m rag compare (docs/compare.md).</p></noscript>
"""


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    models: Annotated[tuple[str, str], Field(max_length=2)]
    question: Annotated[str, Field(max_length=100_000)]
    blind: bool = False
    retrieval: bool = False
    agreed: Annotated[list[str], Field(max_length=2)] = []


class _Voted(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    round: Annotated[str, Field(max_length=100)]
    choice: Literal["first", "second", "tie"]


def router() -> APIRouter:
    """The routes; whoever includes them requires a login."""
    router = APIRouter(route_class=InSentences)

    @router.get("/compare")
    def page() -> HTMLResponse:
        return HTMLResponse(frame("Compare models", _BODY, script="compare.js", styles=("compare.css",)))

    @router.get("/compare/state.json")
    async def state() -> dict[str, Any]:
        return {"models": await offered(), **await asyncio.to_thread(rates)}

    @router.post("/compare/ask")
    async def ask(asked: _Asked, user: Annotated[Any, Depends(get_current_user)]) -> dict[str, Any]:
        return await rounds().ask(
            asked.models,
            asked.question,
            blind=asked.blind,
            retrieval=asked.retrieval,
            agreed=frozenset(asked.agreed),
            user=user.identifier,
        )

    @router.post("/compare/vote")
    async def vote(voted: _Voted, user: Annotated[Any, Depends(get_current_user)]) -> dict[str, Any]:
        return await rounds().vote(voted.round, voted.choice, user=user.identifier)

    return router
