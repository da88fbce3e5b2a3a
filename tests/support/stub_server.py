"""A scripted HTTP server on loopback that speaks a model server's protocol, correctly or not."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from contextlib import asynccontextmanager


class Stub:
    """A server on one port: the n-th request gets the n-th reply; the last one is repeated."""

    def __init__(self, *replies) -> None:
        self.replies = replies
        self.requests: list[tuple[str, dict[str, str], dict]] = []
        self.url = ""
        self.hangs = asyncio.Event()

    async def answer(self, reader, writer) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:]) if k}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.requests.append((head[0], headers, json.loads(body or b"{}")))
        reply = self.replies[min(len(self.requests), len(self.replies)) - 1]
        try:
            for part in reply if isinstance(reply, list) else [reply]:
                if isinstance(part, bytes):
                    writer.write(part)
                    await writer.drain()
                elif part == "reset":
                    sock = writer.get_extra_info("socket")
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    writer.transport.abort()
                elif part == "hang":
                    self.hangs.set()
                    await asyncio.sleep(3600)
                elif part == "from now on it hangs":
                    self.hangs.set()
                else:
                    await asyncio.sleep(part)
        except ConnectionError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(*replies):
    stub = Stub(*replies)
    server = await asyncio.start_server(stub.answer, "127.0.0.1", 0)
    stub.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield stub
    finally:
        server.close()


def http(body: bytes = b"", *, status: str = "200 OK", kind: str = "text/event-stream", more: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nConnection: close\r\n{more}\r\n".encode() + body


def data(content) -> bytes:
    return b"data: " + (content if isinstance(content, bytes) else json.dumps(content).encode()) + b"\n\n"


def delta(text: str | None = None, finish: str | None = None, **more) -> bytes:
    choice = {"index": 0, "delta": {} if text is None else {"content": text}, "finish_reason": finish} | more
    return data({"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "stub", "choices": [choice]})


def refusal(status: str, message: str, **more) -> bytes:
    return http(json.dumps({"error": {"message": message, **more}}).encode(), status=status, kind="application/json")


DONE = data(b"[DONE]")
