"""Translate the client library's exceptions into `ModelError`s with a sentence for the user."""

from __future__ import annotations

import re

from rag.errors import (
    ContextTooLongError,
    ModelError,
    ModelRefusedError,
    ModelReplyError,
    ModelTimeoutError,
    ModelUnreachableError,
)
from rag.models.replies import words_in

_NO_ANSWER = ("The reply from the address of {} is not an answer.", "Check that this is the address of a model server.")
TOO_LONG = re.compile(
    r"context.{0,20}(length|size|window|exceeded)|exceed.{0,20}context|prompt is too long|maximum.{0,20}tokens",
    re.IGNORECASE,
)
"""Server messages for a prompt that exceeds the context window."""

# User messages by class name of the exception or its cause; the first match wins. By name, as openai is imported late.
_FAULTS: tuple[tuple[set[str], type[ModelError], str, str], ...] = (
    (
        {"ConnectError", "ConnectTimeout"},
        ModelUnreachableError,
        "Nothing answers at the address of {}.",
        "Start its server, or choose another model in Settings.",
    ),
    (
        {"APITimeoutError", "TimeoutException", "TimeoutError"},
        ModelTimeoutError,
        "{} did not answer in time.",
        "Try again, or raise SCHOLION_TIMEOUT_SECONDS for a slow model.",
    ),
    (
        {"InvalidURL", "UnsupportedProtocol", "LocalProtocolError", "ExceptionGroup"},
        ModelUnreachableError,
        "The address or the key of {} is not valid.",
        "Check both in the settings.",
    ),
    ({"DecodingError", "TooManyRedirects"}, ModelReplyError, *_NO_ANSWER),
    (
        {"APIConnectionError", "TransportError", "OSError"},
        ModelUnreachableError,
        "The connection to {} broke.",
        "Try again.",
    ),
)
_REFUSALS = {
    401: ("The server of {} does not accept the key.", "Check the API key."),
    403: ("The server of {} does not allow this with this key.", "Check the API key and its permissions."),
    404: ("The server does not have {}.", "Check the model's name and the address."),
    429: ("The server of {} is not accepting more requests right now.", "Wait a moment, or check the quota."),
}


def translate(error: Exception, *, name: str) -> ModelError:
    """The user-facing error for an exception that the client library raised while asking the model `name`."""
    kinds = {kind.__name__ for raised in (error, error.__cause__) for kind in type(raised).__mro__}
    status = getattr(getattr(error, "response", None), "status_code", None)
    words = _words(error)
    if status in {None, 400, 413, 422} and "APIError" in kinds and TOO_LONG.search(f"{error} {words}"):
        return ContextTooLongError(
            f"The question and its passages are longer than {name} can read.",
            "Ask a shorter question, or choose fewer passages or a model with a larger context window.",
        )
    if kinds & {"APIStatusError", "HTTPStatusError"}:
        return _refusal(int(status or 0), name=name, words=words)
    for classes, made, sentence, hint in _FAULTS:
        if kinds & classes:
            return made(sentence.format(name), hint)
    if type(error).__name__ == "APIError":  # an error in the middle of the stream
        return ModelReplyError(f"{name} failed while answering.", words or "Try again.")
    return no_answer(name)


def _refusal(status: int, *, name: str, words: str) -> ModelError:
    if status < 400:
        return ModelReplyError(
            f"The server of {name} redirects to another address. Scholion does not follow redirects.",
            "Use the address it moved to.",
        )
    fault = f"reported an internal error ({status})" if status >= 500 else f"refused the request ({status})"
    sentence, hint = _REFUSALS.get(status, (f"The server of {{}} {fault}.", "Try again in a moment."))
    if status not in {401, 403}:  # these messages may repeat the key
        hint = f"{hint} {words}".strip()
    return ModelRefusedError(sentence.format(name), hint)


def reported(name: str, said: str) -> ModelReplyError:
    """Return the error for a server that answers with the report of an error, in its own words where it has any."""
    hint = f"It says: “{said[:200]}”" if said else "Try again."
    return ModelReplyError(f"{name} gave no answer but reported an error.", hint)


def no_answer(name: str) -> ModelReplyError:
    """The error for a reply from the model `name` that is not an answer."""
    return ModelReplyError(_NO_ANSWER[0].format(name), _NO_ANSWER[1])


def _words(error: Exception) -> str:
    """The server's own message, quoted and shortened; empty if there is none."""
    said = words_in(getattr(error, "body", None))
    return f"It says: “{said[:200]}”" if said else ""


def foreign() -> tuple[type[Exception], ...]:
    """Exceptions of the client library and its dependencies that a server or the network can cause."""
    import httpx2
    import openai

    return (
        openai.OpenAIError,
        httpx2.HTTPError,
        httpx2.InvalidURL,
        httpx2.CookieConflict,
        httpx2.StreamError,
        OSError,
        ValueError,  # broken JSON and bad UTF-8
        ExceptionGroup,  # from anyio, for an address the socket rejects, such as a port above 65535
    )
