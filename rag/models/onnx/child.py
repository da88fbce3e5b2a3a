"""The server of an ONNX model: the child process of `rag.models.onnx.server`, with the OpenAI-compatible face.

It answers as llama.cpp's server does where Scholion asks: `/v1/chat/completions`, `/v1/models`, `/health`, `/props`,
`/slots`, `/apply-template`, `/tokenize`, with `timings` in the last piece. Everything but `/health` needs the key.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.models.local import serve
from rag.models.onnx.writer import TOP_K, TOP_P, End, Piece, TooLongError, Wanted, Writer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from aiohttp import web

    from rag.models.onnx.writer import Slot

_LARGEST = 16 << 20  # bytes of a request
_STARTING_SECONDS = 30.0
_HIGHEST = 2**31 - 1  # of a count; JSON knows Infinity
_AHEAD = 8  # pieces that the model may be ahead of its reader


class _BadRequestError(ValueError):
    """The request is not understood; the message says why."""


class _Server:
    """Answers requests about one model."""

    def __init__(self, writer: Writer, *, name: str, key: str) -> None:
        self._writer = writer
        self._name = name
        self._key = f"Bearer {key}".encode()
        self._pool = ThreadPoolExecutor(max_workers=len(writer.slots), thread_name_prefix="writer")
        self._free = asyncio.Condition()
        self._ending = set[asyncio.Future[None]]()

    def application(self) -> web.Application:
        """All its routes."""
        from aiohttp import web

        app = web.Application(client_max_size=_LARGEST, middlewares=[self._checked()])
        app.router.add_get("/health", self._health)
        for path in ("/v1/models", "/models"):
            app.router.add_get(path, self._models)
        app.router.add_get("/props", self._props)
        app.router.add_get("/slots", self._slots)
        app.router.add_post("/tokenize", self._tokenize)
        app.router.add_post("/apply-template", self._template)
        for path in ("/v1/chat/completions", "/chat/completions"):
            app.router.add_post(path, self._complete)
        return app

    def _checked(self) -> Any:
        """The middleware that asks for the key and reports errors as the OpenAI API does."""
        from aiohttp import web

        @web.middleware
        async def middleware(
            request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
        ) -> web.StreamResponse:
            given = request.headers.get("Authorization", "").encode(errors="replace")
            if request.path != "/health" and not hmac.compare_digest(given, self._key):
                return _error("Invalid API Key", status=401, kind="authentication_error")
            try:
                return await handler(request)
            except TooLongError as error:
                return _error(str(error), status=400, kind="exceed_context_size_error")
            except _BadRequestError as error:
                return _error(str(error), status=400, kind="invalid_request_error")
            except web.HTTPException as error:
                return _error(error.reason, status=error.status, kind="invalid_request_error")

        return middleware

    async def _health(self, _: web.Request) -> web.Response:
        return _json({"status": "ok"})

    async def _models(self, _: web.Request) -> web.Response:
        meta = {"n_ctx": self._writer.window, "execution_provider": self._writer.provider}
        row = {"id": self._name, "object": "model", "created": 0, "owned_by": "scholion", "meta": meta}
        return _json({"object": "list", "data": [row]})

    async def _props(self, _: web.Request) -> web.Response:
        return _json(
            {
                "default_generation_settings": {"n_ctx": self._writer.window},
                "total_slots": len(self._writer.slots),
                "model_alias": self._name,
                "engine": "onnxruntime-genai",
                "execution_provider": self._writer.provider,
            }
        )

    async def _slots(self, _: web.Request) -> web.Response:
        return _json(
            [
                {
                    "id": slot.number,
                    "n_ctx": self._writer.window,
                    "is_processing": slot.busy,
                    "next_token": [{"n_decoded": slot.n_written}],
                }
                for slot in self._writer.slots
            ]
        )

    async def _tokenize(self, request: web.Request) -> web.Response:
        content = (await _body(request)).get("content")
        if not isinstance(content, str):
            raise _BadRequestError('"content" must be a string')
        return _json({"tokens": self._writer.encode(content)})

    async def _template(self, request: web.Request) -> web.Response:
        return _json({"prompt": self._prompt(await _body(request))})

    def _prompt(self, body: dict[str, Any]) -> str:
        try:
            return self._writer.prompt(_messages(body))
        except RuntimeError as error:  # what the template itself raises, for instance about the order of roles
            raise _BadRequestError(f"the chat template refuses these messages: {error}") from error

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        body = await _body(request)
        wanted = _wanted(body, window=self._writer.window)
        ids = self._writer.encode(self._prompt(body))
        if len(ids) >= self._writer.window:
            raise TooLongError(
                f"the request ({len(ids)} tokens) exceeds the available context size ({self._writer.window} tokens)"
            )
        told = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": self._name}
        pieces = self._pieces(ids, wanted)
        if body.get("stream"):
            return await self._streamed(request, pieces, told=told, body=body)
        return await self._whole(pieces, told=told, logprobs=wanted.logprobs is not None)

    async def _pieces(self, ids: Sequence[int], wanted: Wanted) -> AsyncGenerator[Piece | End, None]:
        """What the writer's thread says; closing this, or cancelling who reads it, stops the thread."""
        slot = await self._take(ids)
        loop, said = asyncio.get_running_loop(), asyncio.Queue[Piece | End | Exception | None]()
        stopped, room = threading.Event(), threading.Semaphore(_AHEAD)

        def work() -> None:
            last: Exception | None = None
            try:
                for piece in self._writer.write(slot, ids, wanted, stopped=stopped.is_set):
                    room.acquire()
                    if stopped.is_set():
                        break
                    loop.call_soon_threadsafe(said.put_nowait, piece)
            except Exception as error:  # noqa: BLE001 - whatever it is, the request reports it
                last = error
            loop.call_soon_threadsafe(said.put_nowait, last)

        working = loop.run_in_executor(self._pool, work)
        try:
            while (piece := await said.get()) is not None:
                room.release()
                if isinstance(piece, Exception):
                    raise piece
                yield piece
        finally:
            stopped.set()
            room.release()
            # a task of its own: a request whose writing failed is cancelled as well when its connection is lost
            ending = asyncio.ensure_future(self._give_back(slot, working))
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)
            await asyncio.shield(ending)

    async def _take(self, ids: Sequence[int]) -> Slot:
        """A free slot, the one that has read most of this prompt already."""
        async with self._free:
            await self._free.wait_for(lambda: any(not slot.busy for slot in self._writer.slots))
            slot = max((slot for slot in self._writer.slots if not slot.busy), key=lambda slot: slot.shared(ids))
            slot.busy, slot.n_written = True, 0
            return slot

    async def _give_back(self, slot: Slot, working: asyncio.Future[None]) -> None:
        await working
        async with self._free:
            slot.busy = False
            self._free.notify_all()  # one that was notified may have left before it could take it

    async def _streamed(
        self,
        request: web.Request,
        pieces: AsyncGenerator[Piece | End, None],
        *,
        told: dict[str, Any],
        body: dict[str, Any],
    ) -> web.StreamResponse:
        from aiohttp import web

        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        await response.prepare(request)
        told = told | {"object": "chat.completion.chunk"}

        async def send(row: dict[str, Any]) -> None:
            await response.write(f"data: {json.dumps(told | row)}\n\n".encode())

        def choice(delta: dict[str, Any], *, reason: str | None = None, piece: Piece | None = None) -> dict[str, Any]:
            row: dict[str, Any] = {"index": 0, "delta": delta, "finish_reason": reason}
            if piece and piece.tokens:
                row["logprobs"] = {"content": piece.tokens}
            return {"choices": [row]}

        try:
            await send(choice({"role": "assistant", "content": ""}))
            async for piece in pieces:
                if isinstance(piece, Piece):
                    if piece.text or piece.tokens:
                        await send(choice({"content": piece.text}, piece=piece))
                    continue
                with_usage = (body.get("stream_options") or {}).get("include_usage")
                await send(choice({}, reason=piece.finish_reason) | ({} if with_usage else _timings(piece)))
                if with_usage:
                    await send({"choices": []} | _usage(piece) | _timings(piece))
            await response.write(b"data: [DONE]\n\n")
        except (ConnectionError, asyncio.CancelledError):
            raise  # the reader has left
        except Exception as error:  # noqa: BLE001 - in the middle of a stream this is the only way to say so
            await send({"error": {"code": 500, "message": str(error), "type": "server_error"}})
        finally:
            await pieces.aclose()
        return response

    async def _whole(
        self, pieces: AsyncGenerator[Piece | End, None], *, told: dict[str, Any], logprobs: bool
    ) -> web.Response:
        text, tokens = "", list[dict[str, Any]]()
        try:
            async for piece in pieces:
                if isinstance(piece, Piece):
                    text += piece.text
                    tokens += piece.tokens
                    continue
                choice = {
                    "index": 0,
                    "message": {"role": "assistant", "content": text},
                    "finish_reason": piece.finish_reason,
                    "logprobs": {"content": tokens} if logprobs else None,
                }
                whole = told | {"object": "chat.completion", "choices": [choice]}
                return _json(whole | _usage(piece) | _timings(piece))
        finally:
            await pieces.aclose()
        raise AssertionError("a reply ends with End")


def _usage(end: End) -> dict[str, Any]:
    return {
        "usage": {
            "prompt_tokens": end.n_read,
            "completion_tokens": end.n_written,
            "total_tokens": end.n_read + end.n_written,
            "prompt_tokens_details": {"cached_tokens": end.n_cached},
        }
    }


def _timings(end: End) -> dict[str, Any]:
    """As llama.cpp reports them."""
    return {
        "timings": {
            "cache_n": end.n_cached,
            "prompt_n": end.n_read - end.n_cached,
            "prompt_ms": end.reading_seconds * 1000,
            "predicted_n": end.n_written,
            "predicted_ms": end.writing_seconds * 1000,
        }
    }


async def _body(request: web.Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.read())
    except (ValueError, RecursionError) as error:
        raise _BadRequestError("the request is not JSON") from error
    if not isinstance(body, dict):
        raise _BadRequestError("the request must be a JSON object")
    return body


def _messages(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The messages with their texts.

    Raises:
        _BadRequestError: they are not messages with text.
    """
    given = body.get("messages")
    if not isinstance(given, list) or not given:
        raise _BadRequestError('"messages" must be a list with at least one message')
    found = []
    for message in given:
        role, content = (message.get("role"), message.get("content")) if isinstance(message, dict) else (None, None)
        if isinstance(content, list):
            parts = [part.get("text") if isinstance(part, dict) else None for part in content]
            texts = [part for part in parts if isinstance(part, str)]
            content = "".join(texts) if len(texts) == len(parts) else None
        if not isinstance(role, str) or not isinstance(content, str):
            raise _BadRequestError("each message needs a role and a content of text")
        found.append({"role": role, "content": content})
    return found


def _wanted(body: dict[str, Any], *, window: int) -> Wanted:
    """The request's parameters.

    Raises:
        _BadRequestError: one of them is out of range, or asks for what this server cannot do.
    """

    def number(key: str, default: float, *, low: float, high: float) -> float:
        value = body.get(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise _BadRequestError(f'"{key}" must be between {low:g} and {high:g}')
        return value

    for key in ("tools", "response_format", "grammar", "json_schema"):
        if body.get(key):
            raise _BadRequestError(f'"{key}" is not supported')
    if number("n", 1, low=1, high=_HIGHEST) != 1:
        raise _BadRequestError('"n" must be 1')
    stop = body.get("stop") or []
    stop = [stop] if isinstance(stop, str) else stop
    if not isinstance(stop, list) or not all(isinstance(text, str) for text in stop):
        raise _BadRequestError('"stop" must be a string or a list of strings')
    most = body.get("max_completion_tokens") if body.get("max_tokens") is None else body["max_tokens"]
    body = body | {"max_tokens": None if most == -1 else most}
    seed = body.get("seed")
    top = int(number("top_logprobs", 0, low=0, high=20))
    return Wanted(
        max_tokens=int(number("max_tokens", window, low=1, high=_HIGHEST)),
        temperature=number("temperature", 0.8, low=0, high=10),
        top_k=int(number("top_k", TOP_K, low=0, high=_HIGHEST)),
        top_p=number("top_p", TOP_P, low=0, high=1),
        seed=seed if isinstance(seed, int) and seed >= 0 else None,
        stop=tuple(stop),
        logprobs=top if body.get("logprobs") else None,
        from_cache=body.get("cache_prompt") is not False,
    )


def _json(told: Any) -> web.Response:
    from aiohttp import web

    return web.json_response(told)


def _error(message: str, *, status: int, kind: str) -> web.Response:
    from aiohttp import web

    return web.json_response({"error": {"code": status, "message": message, "type": kind}}, status=status)


def _load(options: dict[str, Any]) -> str:
    """Load the model and serve it from another thread."""
    import onnxruntime_genai

    onnxruntime_genai.disable_telemetry_events()
    slots = int(options["slots"])
    window = max(1, int(options["context"]) // slots)
    writer = Writer(
        Path(options["path"]), window=window, slots=slots, threads=options["threads"], optimised=options["optimised"]
    )
    name = f"{options['label']} (ONNX, {writer.provider})"
    started = threading.Event()
    found: list[str | BaseException] = []

    async def run() -> None:
        from aiohttp import web

        server = _Server(writer, name=name, key=options["key"])
        runner = web.AppRunner(server.application(), handler_cancellation=True, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        found.append(f"http://127.0.0.1:{port}")
        started.set()
        await asyncio.Event().wait()

    def thread() -> None:
        try:
            asyncio.run(run())
        except BaseException as error:
            found.append(error)
            started.set()
            raise

    threading.Thread(target=thread, name="server", daemon=True).start()
    if not started.wait(_STARTING_SECONDS) or not isinstance(found[0], str):
        raise RuntimeError(f"the server did not start ({found[0] if found else 'no answer'})")
    return found[0]


if __name__ == "__main__":
    serve(_load)
