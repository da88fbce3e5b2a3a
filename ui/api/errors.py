"""Errors in the form of OpenAI's API, so that its clients raise the right exception with our sentence."""

from __future__ import annotations

import logging
import secrets
from typing import TYPE_CHECKING, Any

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from ingest import UserFacingError
from ingest.trouble import in_words

if TYPE_CHECKING:
    from fastapi import FastAPI, Request

log = logging.getLogger(__name__)

_TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}


class ApiError(Exception):
    """A refusal.

    Args:
        status: of HTTP.
        message: one sentence that says what to do next.
        code: short, for programs.
        param: the field of the request that is wrong, if it is one.
    """

    def __init__(self, status: int, message: str, *, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.param = status, message, code, param


def body(status: int, message: str, *, code: str | None = None, param: str | None = None) -> dict[str, Any]:
    """The `error` object, as OpenAI's API reference describes it."""
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def told(error: Exception) -> tuple[int, dict[str, Any]]:
    """Status and body for what went wrong. What is a fault of ours gets a number that is in the log."""
    if isinstance(error, ApiError):
        return error.status, body(error.status, error.message, code=error.code, param=error.param)
    if isinstance(error, UserFacingError):
        status = int(getattr(error, "status", 400))
        return status, body(status, str(error))
    if (said := in_words(error)) is not None:
        return 507, body(507, str(said))
    number = secrets.token_hex(4)
    log.error("Error %s in the API", number, exc_info=error)
    return 500, body(500, f"Something went wrong in Scholion. Its log has the details under number {number}.")


def install(app: FastAPI) -> None:
    """Answer every error of this app in that form."""

    @app.exception_handler(Exception)
    @app.exception_handler(ApiError)
    @app.exception_handler(UserFacingError)
    async def ours(_: Request, error: Exception) -> JSONResponse:
        status, content = told(error)
        return JSONResponse(content, status)

    @app.exception_handler(HTTPException)
    async def of_http(_: Request, error: HTTPException) -> JSONResponse:
        said = "There is nothing at this address." if error.status_code == 404 else str(error.detail)
        return JSONResponse(body(error.status_code, said), error.status_code, headers=error.headers)

    @app.exception_handler(RequestValidationError)
    async def of_form(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if part != "body")
        # pydantic's message may repeat the input, which can be large
        said = f"{where or 'The body'} is not as expected: {str(first['msg'])[:200]}."
        return JSONResponse(body(400, said, param=where or None), 400)
