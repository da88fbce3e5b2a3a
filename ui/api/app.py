"""The API as an app of its own below `/v1`, behind the guards of `ui.web.guard`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, FastAPI
from starlette.routing import Route

from ui.api import chat_routes, errors, paper_routes
from ui.api.access import Pace, key_for
from ui.api.keys import ApiKey, ApiKeys

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.types import Receive, Scope, Send


class _Mcp:
    """An ASGI app, because a Route wraps a function; loads `mcp` at the first request."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        from ui.api.mcp_server import over_http

        await over_http(scope, receive, send)


def api(folder: Path) -> FastAPI:
    """The app; `folder` is the library's, where the keys are."""
    app = FastAPI(
        title="Scholion",
        description="Ask your own papers. Compatible with OpenAI's clients; papers, search and questions beside it.",
        version="1",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    app.state.keys, app.state.pace = ApiKeys(folder), Pace()
    errors.install(app)
    app.include_router(chat_routes.router())
    app.include_router(paper_routes.router())

    app.router.routes.append(Route("/mcp", _Mcp()))

    @app.get("/openapi.json", include_in_schema=False)
    def described(key: Annotated[ApiKey, Depends(key_for("ask"))]) -> dict[str, Any]:  # noqa: ARG001 - a key is needed
        return app.openapi()

    return app
