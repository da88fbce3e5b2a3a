"""`/models`, `/chat/completions`, `/responses` and `/embeddings`, as OpenAI's API reference describes them.

A text that was sent cannot be taken back, so a stream holds the draft until it is checked; meanwhile comments keep the
connection alive. `scholion.raw_stream` streams the draft as it is written, and ends with what the check says of it.

In a stream the citations are links in the text, and annotations only if a request asks for them: Open WebUI takes them
for web pages, and its page asks Google for an icon of each address, which has the paper's id and the words cited.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import secrets
import time
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, get_args

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from rag.answer import Mode
from rag.costs.tokens import count
from ui import core
from ui.api.access import key_for
from ui.api.asking import Wish, events, whole
from ui.api.errors import ApiError, told
from ui.api.keys import ApiKey
from ui.api.requests import ChatRequest, EmbeddingRequest, ResponseRequest, text_of
from ui.api.text import facts, linked_text, plain_text, usage, was_cut

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterable

    from rag.answer import Answer
    from ui.api.requests import Asked, ChatMessage, InputMessage
    from ui.api.text import UrlCitation

MODEL = "scholion-"
ALIVE_SECONDS = 5.0
"""Between two comments in a stream that has nothing to say yet."""
_PIECE = re.compile(r"\s*\S+|\s+$")

MayAsk = Annotated[ApiKey, Depends(key_for("ask"))]


def router() -> APIRouter:
    """The routes; every one needs a key."""
    routes = APIRouter()
    routes.get("/models")(_models)
    routes.get("/models/{name:path}")(_model)
    routes.post("/chat/completions")(_chat)
    routes.post("/responses")(_responses)
    routes.post("/embeddings")(_embeddings)
    return routes


def _models(key: MayAsk) -> dict[str, Any]:
    return {"object": "list", "data": [_described(name) for name in _names(key)]}


def _model(name: str, key: MayAsk) -> dict[str, Any]:
    if name not in _names(key):
        raise _no_model(name)
    return _described(name)


async def _chat(asked: ChatRequest, request: Request, key: MayAsk) -> Response:
    if asked.n not in {None, 1}:
        raise ApiError(400, "Only one answer is written for a question: leave out n.", param="n")
    wish = _wish(asked, asked.messages, key, most=asked.max_completion_tokens or asked.max_tokens)
    form = _Chat(asked, base=_base(request))
    if asked.stream:
        return _stream(form.stream(wish, key))
    return JSONResponse(form.whole(await whole(wish, key, request)))


async def _responses(asked: ResponseRequest, request: Request, key: MayAsk) -> Response:
    said: Iterable[Any] = [] if isinstance(asked.input, str) else asked.input
    messages = [one for one in said if one.type == "message"]
    wish = _wish(asked, asked.input if isinstance(asked.input, str) else messages, key, most=asked.max_output_tokens)
    form = _Response(asked, base=_base(request))
    if asked.stream:
        return _stream(form.stream(wish, key))
    return JSONResponse(form.whole(await whole(wish, key, request)))


def _embeddings(asked: EmbeddingRequest, key: MayAsk) -> dict[str, Any]:  # noqa: ARG001 - a key is needed
    embedder = core.assistant().embedder
    if asked.model not in {embedder.name, "scholion-embedder"}:
        raise _no_model(asked.model)
    texts = [asked.input] if isinstance(asked.input, str) else asked.input
    vectors = embedder.embed_documents(texts)
    if asked.dimensions not in {None, vectors.shape[1]}:
        raise ApiError(400, f"The embedder has {vectors.shape[1]} dimensions: leave it out.", param="dimensions")
    rows = [
        base64.b64encode(row.astype("<f4").tobytes()).decode() if asked.encoding_format == "base64" else row.tolist()
        for row in vectors
    ]
    n = sum(embedder.count_tokens(texts))
    return {
        "object": "list",
        "model": embedder.name,
        "data": [{"object": "embedding", "index": i, "embedding": row} for i, row in enumerate(rows)],
        "usage": {"prompt_tokens": n, "total_tokens": n},
    }


# -- models ------------------------------------------------------------------------------------------------------------


def _names(key: ApiKey) -> list[str]:
    modes = [f"{MODEL}{mode}" for mode in get_args(Mode)]
    tags = sorted(core.library().tags()) if key.tag is None else []
    return [*modes, *(f"{MODEL}draft:{tag}" for tag in tags)]


def _described(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "scholion"}


def _no_model(name: str) -> ApiError:
    known = ", ".join(f"{MODEL}{mode}" for mode in get_args(Mode))
    said = f"There is no model {name[:100]}. Use {known}, or one of these with a colon and a tag."
    return ApiError(404, said, code="model_not_found", param="model")


def _wish(
    asked: Asked, messages: str | list[ChatMessage] | list[InputMessage], key: ApiKey, *, most: int | None
) -> Wish:
    """The question is the last message of the user; earlier pairs are the history.

    System messages are not read: how an answer is made is what makes it checkable.
    """
    name, _, tag = asked.model.partition(":")
    mode = name.removeprefix(MODEL)
    if not name.startswith(MODEL) or mode not in get_args(Mode) or (tag and tag not in core.library().tags()):
        raise _no_model(asked.model)
    if key.tag is not None and tag not in {"", key.tag}:
        raise _no_model(asked.model)
    turns: list[list[str]] = []
    for message in [] if isinstance(messages, str) else messages:
        said = text_of(message.content)
        if said is None:
            raise ApiError(400, "Only text can be asked about; leave out images, sound and files.", param="messages")
        if message.role == "user":
            turns.append([said, ""])
        elif message.role == "assistant" and turns:
            turns[-1][1] = said
    if isinstance(messages, str):
        turns = [[messages, ""]]
    if not turns or turns[-1][1]:
        raise ApiError(400, "The last message must be the user's: it is the question.", param="messages")
    papers = tuple(asked.scholion.papers) if asked.scholion.papers is not None else None
    return Wish(
        question=turns[-1][0],
        mode=mode,  # type: ignore[arg-type]  # one of them, as was checked
        history=tuple((question, answer) for question, answer in turns[:-1] if answer),
        papers=papers,
        tag=tag or asked.scholion.tag,
        max_tokens=most,
        temperature=asked.temperature,
    )


def _base(request: Request) -> str:
    return f"{request.url.scheme}://{request.url.netloc}"


# -- forms -------------------------------------------------------------------------------------------------------------


def _stream(pieces: AsyncIterator[str]) -> StreamingResponse:
    return StreamingResponse(pieces, media_type="text/event-stream", headers={"x-accel-buffering": "no"})


def _line(data: Any, event: str | None = None) -> str:
    named = f"event: {event}\n" if event else ""
    return f"{named}data: {json.dumps(data, ensure_ascii=False)}\n\n"


async def _beating(found: AsyncGenerator[str | Answer, None]) -> AsyncIterator[str | Answer | None]:
    """What comes; None whenever nothing came for a while. Leaving it early stops the answer."""
    async with aclosing(found) as pieces:
        following = asyncio.ensure_future(anext(pieces, None))
        try:
            while True:
                done, _ = await asyncio.wait({following}, timeout=ALIVE_SECONDS)
                if not done:
                    yield None
                    continue
                if (piece := following.result()) is None:
                    return
                yield piece
                following = asyncio.ensure_future(anext(pieces, None))
        finally:
            if not following.done():
                following.cancel()
                with suppress(asyncio.CancelledError):
                    await following


def cut(text: str, *, stop: str | list[str] | None, most: int | None) -> tuple[str, str]:
    """The text up to the first stop sequence and at most `most` tokens, and why it ends: "stop" or "length"."""
    for end in [stop] if isinstance(stop, str) else stop or []:
        if end:
            text = text.partition(end)[0]
    if most is None or _tokens(text) <= most:
        return text, "stop"
    kept = ""
    for piece in _PIECE.findall(text):
        if _tokens(kept + piece) > most:
            break
        kept += piece
    return kept, "length"


def _tokens(text: str) -> int:
    return count(text, model="gpt-4o").n


@dataclass
class _Form:
    """One answer in one form."""

    asked: Any
    base: str

    def __post_init__(self) -> None:
        self.id = secrets.token_hex(12)
        self.made = int(time.time())

    def text_of(self, answer: Answer, *, stop: Any, most: int | None) -> tuple[str, list[UrlCitation], str]:
        plain, why = cut(plain_text(answer), stop=stop, most=most)
        return *linked_text(plain, answer, base=self.base), "length" if was_cut(answer) else why


class _Chat(_Form):
    """A chat completion."""

    asked: ChatRequest

    def whole(self, answer: Answer) -> dict[str, Any]:
        text, places, why = self._cut(answer)
        message = {
            "role": "assistant",
            "content": text,
            "refusal": None,
            "annotations": [place.in_chat() for place in places],
        }
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": why}
        return self._frame("chat.completion", [choice]) | {
            "usage": usage(answer),
            "scholion": facts(answer, base=self.base),
        }

    async def stream(self, wish: Wish, key: ApiKey) -> AsyncIterator[str]:
        """Chunks: the role, the text, the reason to end with facts, and [DONE].

        If the request asks for them, annotations are with the reason, and the usage is after it.
        """
        raw = self.asked.scholion.raw_stream
        yield self._chunk({"role": "assistant", "content": ""})
        try:
            async for piece in _beating(events(wish, key)):
                if piece is None:
                    yield ": checking\n\n"
                elif isinstance(piece, str):
                    if raw:
                        yield self._chunk({"content": piece})
                else:
                    text, places, why = self._cut(piece)
                    for part in [] if raw else _PIECE.findall(text):
                        if part:
                            yield self._chunk({"content": part})
                    wanted = self.asked.scholion.annotations and not raw
                    marks = {"annotations": [place.in_chat() for place in places]} if wanted else {}
                    yield self._chunk(marks, why=why, more={"scholion": facts(piece, base=self.base)})
                    if self.asked.stream_options and self.asked.stream_options.include_usage:
                        yield _line(self._frame("chat.completion.chunk", []) | {"usage": usage(piece)})
            yield "data: [DONE]\n\n"
        except Exception as error:  # noqa: BLE001 - the status has been sent
            yield _line(told(error)[1])

    def _cut(self, answer: Answer) -> tuple[str, list[UrlCitation], str]:
        most = self.asked.max_completion_tokens or self.asked.max_tokens
        return self.text_of(answer, stop=self.asked.stop, most=most)

    def _chunk(self, delta: dict[str, Any], *, why: str | None = None, more: dict[str, Any] | None = None) -> str:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": why}
        return _line(self._frame("chat.completion.chunk", [choice]) | (more or {}))

    def _frame(self, kind: str, choices: list[Any]) -> dict[str, Any]:
        return {
            "id": f"chatcmpl-{self.id}",
            "object": kind,
            "created": self.made,
            "model": self.asked.model,
            "choices": choices,
        }


class _Response(_Form):
    """A response, as its events end with it."""

    asked: ResponseRequest

    def whole(self, answer: Answer, *, annotated: bool = True) -> dict[str, Any]:
        text, places, why = self.text_of(answer, stop=None, most=self.asked.max_output_tokens)
        used: Any = usage(answer)
        cut_off = {"reason": "max_output_tokens"} if why == "length" else None
        return self._frame("incomplete" if cut_off else "completed") | {
            "incomplete_details": cut_off,
            "output": [self._message("completed", [self._part(text, places if annotated else [])])],
            "usage": used
            and {
                "input_tokens": used["prompt_tokens"],
                "input_tokens_details": {"cached_tokens": 0},
                "output_tokens": used["completion_tokens"],
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": used["total_tokens"],
            },
            "scholion": facts(answer, base=self.base),
        }

    async def stream(self, wish: Wish, key: ApiKey) -> AsyncIterator[str]:
        """The events of a response with one message."""
        number = -1

        def line(kind: str, **values: Any) -> str:
            nonlocal number
            number += 1
            return _line({"type": kind, "sequence_number": number, **values}, kind)

        place = {"item_id": f"msg_{self.id}", "output_index": 0, "content_index": 0}
        yield line("response.created", response=self._frame("in_progress"))
        yield line("response.in_progress", response=self._frame("in_progress"))
        try:
            async for piece in _beating(events(wish, key)):
                if piece is None:
                    yield ": checking\n\n"
                elif not isinstance(piece, str):
                    done = self.whole(piece, annotated=self.asked.scholion.annotations)
                    message = done["output"][0]
                    part = message["content"][0]
                    yield line("response.output_item.added", output_index=0, item=self._message("in_progress", []))
                    yield line("response.content_part.added", **place, part=self._part("", []))
                    for delta in filter(None, _PIECE.findall(part["text"])):
                        yield line("response.output_text.delta", **place, delta=delta, logprobs=[])
                    for index, mark in enumerate(part["annotations"]):
                        yield line(
                            "response.output_text.annotation.added", **place, annotation_index=index, annotation=mark
                        )
                    yield line("response.output_text.done", **place, text=part["text"], logprobs=[])
                    yield line("response.content_part.done", **place, part=part)
                    yield line("response.output_item.done", output_index=0, item=message)
                    yield line(f"response.{done['status']}", response=done)
        except Exception as error:  # noqa: BLE001 - the status has been sent
            fault = told(error)[1]["error"]
            yield line("error", message=fault["message"], code=fault["code"], param=fault["param"])

    def _frame(self, status: str) -> dict[str, Any]:
        return {
            "id": f"resp_{self.id}",
            "object": "response",
            "created_at": self.made,
            "status": status,
            "error": None,
            "incomplete_details": None,
            "instructions": None,
            "metadata": {},
            "model": self.asked.model,
            "output": [],
            "parallel_tool_calls": False,
            "temperature": self.asked.temperature,
            "tool_choice": "none",
            "tools": [],
            "top_p": None,
            "usage": None,
        }

    def _message(self, status: str, content: list[Any]) -> dict[str, Any]:
        return {
            "id": f"msg_{self.id}",
            "type": "message",
            "role": "assistant",
            "status": status,
            "content": content,
        }

    @staticmethod
    def _part(text: str, places: list[UrlCitation]) -> dict[str, Any]:
        return {
            "type": "output_text",
            "text": text,
            "annotations": [place.in_response() for place in places],
            "logprobs": [],
        }
