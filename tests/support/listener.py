"""A real HTTP server on loopback that records every byte it receives, as the receiver of a leak would."""

from __future__ import annotations

import asyncio
import contextlib
import json
from contextlib import asynccontextmanager


def reply(body: bytes = b"", *, status: str = "200 OK", kind: str = "text/event-stream", more: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nConnection: close\r\n{more}\r\n".encode() + body


def piece(text: str | None, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": text} if text else {}, "finish_reason": finish}
    made = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "large", "choices": [choice]}
    return b"data: " + json.dumps(made).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"
GOOD = reply(piece("Paris") + piece(None, "stop") + DONE)


def refusal(message: str) -> bytes:
    body = json.dumps({"error": {"message": message}}).encode()
    return reply(body, status="400 Bad Request", kind="application/json")


class Listener:
    """The n-th request gets the n-th reply; the last one is repeated."""

    def __init__(self, replies) -> None:
        self.replies = replies
        self.connections = 0
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []
        self.port = 0
        self.host = ""

    @property
    def url(self) -> str:
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}/v1"

    def named(self, host: str) -> str:
        return f"http://{host}:{self.port}/v1"

    async def answer(self, reader, writer) -> None:
        self.connections += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            sizes = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            self.heads.append(head)
            self.bodies.append(await reader.readexactly(int(sizes[0].split(b":")[1]) if sizes else 0))
            writer.write(self.replies[min(len(self.bodies), len(self.replies)) - 1])
            await writer.drain()
        writer.close()


@asynccontextmanager
async def listening(*replies, host: str = "127.0.0.1", port: int = 0, ssl=None):
    made = Listener(replies or (GOOD,))
    server = await asyncio.start_server(made.answer, host, port, ssl=ssl)
    made.host, made.port = host, server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
