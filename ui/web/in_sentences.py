"""Routes whose errors are one sentence in "detail", as our pages show it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from ingest.trouble import in_words
from rag.texts import N_, _, said
from ui.errors import sentence

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from fastapi import Request, Response

NOT_UNDERSTOOD = N_("Scholion did not understand this page. Reload it and try again.")


class InSentences(APIRoute):
    """For `APIRouter(route_class=…)`. What was sent is never repeated: it may be a key."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Chainlit's server calls what this returns."""
        handle = super().get_route_handler()

        async def told(request: Request) -> Response:
            try:
                return await handle(request)
            except HTTPException as error:
                raise HTTPException(error.status_code, said(str(error.detail)), error.headers) from error
            except RequestValidationError:
                return JSONResponse({"detail": _(NOT_UNDERSTOOD)}, 422)
            except Exception as error:  # noqa: BLE001 - the page shows it
                known = in_words(error)
                return JSONResponse(
                    {"detail": said(str(known)) if known else sentence(error)}, known.status if known else 500
                )

        return told
