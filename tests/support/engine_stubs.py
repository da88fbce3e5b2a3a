"""Stubs of model servers. Each answers as its engine documents or was observed to; the source is given with it."""

from __future__ import annotations

import json
import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

JSON = "application/json"


@dataclass
class Page:
    """One reply; anything but text is sent as JSON."""

    body: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    """Delay before it is sent."""

    def raw(self) -> tuple[bytes, str]:
        if isinstance(self.body, bytes):
            return self.body, "application/octet-stream"
        if isinstance(self.body, str):
            return self.body.encode(), "text/html" if "<" in self.body else "text/plain"
        return json.dumps(self.body).encode(), JSON


@dataclass
class Stub:
    """A fake engine: pages by path, one page for every other path, and headers for all of them."""

    name: str
    pages: dict[str, Any]
    other: Any = field(default_factory=lambda: Page("404 page not found", 404))
    headers: dict[str, str] = field(default_factory=dict)
    shows: dict[str, Any] = field(default_factory=dict)
    """Ollama's POST /api/show, by model."""
    completes: Callable[[dict[str, Any]], Page] | None = None
    """POST /v1/chat/completions: takes the request's body, returns the reply."""
    prefix: str = ""
    """What stands before /v1 there."""


def openai_list(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"object": "list", "data": [{"object": "model", "created": 1686935002, **row} for row in rows]}


# docs.ollama.com/api (version, tags, ps, show-model-details) and ollama/ollama: docs/api.md, server/routes.go.
OLLAMA = Stub(
    "Ollama",
    {
        "/": "Ollama is running",
        "/api/version": {"version": "0.12.11"},
        "/api/tags": {
            "models": [
                {
                    "name": name,
                    "model": name,
                    "modified_at": "2026-10-03T23:34:03.409490317-07:00",
                    "size": 4683087332,
                    "digest": "845dbda0ea48ed749caafd9e6037047aa19acfcfd82e704d7ca97d631a0b697e",
                    "details": {"format": "gguf", "family": "qwen2", "parameter_size": "7.6B"},
                    **extra,
                }
                for name, extra in (
                    ("qwen2.5:7b", {}),
                    ("llama3.2:3b", {}),
                    ("qwen2.5-8k:latest", {}),
                    ("nomic-embed-text:latest", {}),
                    ("gpt-oss:120b-cloud", {"remote_model": "gpt-oss:120b", "remote_host": "https://ollama.com:443"}),
                )
            ]
        },
        "/api/ps": {
            "models": [{"name": "llama3.2:3b", "model": "llama3.2:3b", "size_vram": 5333539264, "context_length": 4096}]
        },
        "/v1/models": openai_list({"id": "qwen2.5:7b", "owned_by": "library"}),
    },
    shows={
        "qwen2.5:7b": {
            "parameters": 'stop                           "<|im_end|>"',
            "model_info": {"general.architecture": "qwen2", "qwen2.context_length": 32768},
            "capabilities": ["completion", "tools"],
        },
        "llama3.2:3b": {
            "model_info": {"general.architecture": "llama", "llama.context_length": 131072},
            "capabilities": ["completion"],
        },
        "qwen2.5-8k:latest": {
            "parameters": "num_ctx                        8192\ntemperature                    0.7",
            "model_info": {"general.architecture": "qwen2", "qwen2.context_length": 32768},
            "capabilities": ["completion"],
        },
        "nomic-embed-text:latest": {
            "model_info": {"general.architecture": "nomic-bert", "nomic-bert.context_length": 2048},
            "capabilities": ["embedding"],
        },
        "gpt-oss:120b-cloud": {"remote_model": "gpt-oss:120b", "remote_host": "https://ollama.com:443"},
    },
)

_UNEXPECTED = Page({"error": "Unexpected endpoint or method. (GET). Returning 200 anyway"})

# lmstudio.ai/docs/developer/rest/list (version 1, from 0.4.0); unknown paths get 200, as its server log says.
LM_STUDIO = Stub(
    "LM Studio",
    {
        "/api/v1/models": {
            "models": [
                {
                    "type": "llm",
                    "publisher": "google",
                    "key": "google/gemma-3-4b",
                    "display_name": "Gemma 3 4B",
                    "loaded_instances": [{"id": "google/gemma-3-4b", "config": {"context_length": 8192}}],
                    "max_context_length": 131072,
                },
                {
                    "type": "llm",
                    "publisher": "qwen",
                    "key": "qwen/qwen3-4b-2507",
                    "loaded_instances": [],
                    "max_context_length": 262144,
                },
                {
                    "type": "embedding",
                    "key": "text-embedding-nomic-embed-text-v1.5",
                    "loaded_instances": [],
                    "max_context_length": 2048,
                },
            ]
        },
        "/v1/models": openai_list({"id": "google/gemma-3-4b", "owned_by": "organization_owner"}),
    },
    other=_UNEXPECTED,
)

# lmstudio.ai/docs/api/rest-api (version 0, from 0.3.6).
LM_STUDIO_0 = Stub(
    "LM Studio",
    {
        "/api/v0/models": {
            "object": "list",
            "data": [
                {
                    "id": "meta-llama-3.1-8b-instruct",
                    "object": "model",
                    "type": "llm",
                    "publisher": "lmstudio-community",
                    "arch": "llama",
                    "compatibility_type": "gguf",
                    "quantization": "Q4_K_M",
                    "state": "loaded",
                    "max_context_length": 131072,
                    "loaded_context_length": 4096,
                }
            ],
        },
        "/v1/models": openai_list({"id": "meta-llama-3.1-8b-instruct", "owned_by": "organization_owner"}),
    },
    other=_UNEXPECTED,
)

# docs.vllm.ai, OpenAI-Compatible Server; vllm/entrypoints/openai: ModelCard, /version.
VLLM = Stub(
    "vLLM",
    {
        "/health": "",
        "/version": {"version": "0.11.0"},
        "/openapi.json": {"openapi": "3.1.0", "info": {"title": "FastAPI", "version": "0.1.0"}},
        "/v1/models": openai_list(
            {
                "id": "Qwen/Qwen2.5-7B-Instruct",
                "owned_by": "vllm",
                "root": "Qwen/Qwen2.5-7B-Instruct",
                "parent": None,
                "max_model_len": 16384,
            }
        ),
    },
    other=Page({"detail": "Not Found"}, 404),
)

# docs.sglang.io/basic_usage/native_api; sglang/srt/entrypoints/openai/protocol.py: ModelCard. Its Ollama-compatible
# interface answers the root and /api/tags as Ollama does.
SGLANG = Stub(
    "SGLang",
    {
        "/": "Ollama is running",
        "/health": "",
        "/get_model_info": {
            "model_path": "qwen/qwen2.5-0.5b-instruct",
            "tokenizer_path": "qwen/qwen2.5-0.5b-instruct",
            "is_generation": True,
        },
        "/server_info": {"model_path": "qwen/qwen2.5-0.5b-instruct", "version": "0.5.9", "context_length": None},
        "/api/version": {"version": "0.5.9"},
        "/api/tags": {"models": [{"name": "qwen/qwen2.5-0.5b-instruct"}]},
        "/v1/models": openai_list(
            {"id": "qwen/qwen2.5-0.5b-instruct", "owned_by": "sglang", "max_model_len": 32768, "parent": None}
        ),
    },
    other=Page({"detail": "Not Found"}, 404),
)

# As observed with xllamacpp 2026.10 started with a key: only /health is open.
LOCKED_LLAMA_CPP = Stub(
    "llama.cpp",
    {"/health": {"status": "ok"}},
    other=Page({"error": {"message": "Invalid API Key", "type": "authentication_error", "code": 401}}, 401),
    headers={"Server": "llama.cpp"},
)

# janhq/jan: src-tauri/static/openapi.json, src-tauri/src/core/server/proxy.rs.
_JAN = {
    "openapi": "3.0.0",
    "info": {"title": "Jan API Server Endpoints", "version": "1.0"},
    "servers": [{"url": "http://localhost:1337/v1"}],
}
LOCKED_JAN = Stub("Jan", {"/openapi.json": _JAN}, other=Page("Invalid or missing authorization token", 401))
JAN = Stub(
    "Jan",
    {
        "/openapi.json": _JAN,
        "/v1/models": openai_list(
            {"id": "janhq/Jan-v3-4b-base-instruct-Q4_K_XL", "owned_by": "llama.cpp"},
            {"id": "gpt-5-mini", "owned_by": "openai"},
        ),
    },
)

# nomic-ai/gpt4all: gpt4all-chat/src/server.cpp, modelToJson.
GPT4ALL = Stub(
    "GPT4All",
    {
        "/v1/models": openai_list(
            {
                "id": "Llama 3 8B Instruct",
                "owned_by": "humanity",
                "root": "Llama 3 8B Instruct",
                "parent": None,
                "permissions": [{"id": "foobarbaz", "object": "model_permission", "allow_view": True}],
            }
        )
    },
    other=Page("", 404),
)

_OATPP = Page("server=oatpp/1.3.0\ncode=404\ndescription=Not Found\n", 404)

# As observed with foundry-local-sdk 2.2.1 (its list was empty, as the catalogue was unreachable); one model added.
FOUNDRY_LOCAL = Stub(
    "Foundry Local",
    {
        "/status": {
            "endpoints": ["http://127.0.0.1:39377"],
            "modelCachePath": "/home/a/.app/cache/models",
            "pid": 31712,
        },
        "/v1/models": openai_list({"id": "phi-4-mini-instruct-generic-cpu:5", "owned_by": "Microsoft"}),
    },
    other=_OATPP,
    headers={"Server": "oatpp/1.3.0"},
)

# The same with two models that its user registered, one of them loaded; as observed without a network.
FOUNDRY_LOCAL_REGISTERED = Stub(
    "Foundry Local",
    {
        "/status": FOUNDRY_LOCAL.pages["/status"],
        "/v1/models": openai_list(),
        "/catalogs/local/v1/models": openai_list(
            {"id": "smollm2-135m-instruct-int4:1", "owned_by": "local"}, {"id": "not-loaded:1", "owned_by": "local"}
        ),
        "/catalogs/local/models/loaded": ["smollm2-135m-instruct-int4:1"],
    },
    other=_OATPP,
    headers={"Server": "oatpp/1.3.0"},
    prefix="/catalogs/local",
)

# learn.microsoft.com, Foundry Local REST API reference; the 0.x SDK's ListCachedModelsAsync, GetCacheLocationAsync.
FOUNDRY_LOCAL_0 = Stub(
    "Foundry Local",
    {
        "/openai/status": {
            "endpoints": ["http://localhost:5272"],
            "modelDirPath": "C:\\models",
            "pipeName": "inference",
        },
        "/openai/models": ["Phi-4-mini-instruct-generic-cpu", "qwen2.5-0.5b-instruct-generic-cpu"],
    },
)

# LostRuins/koboldcpp imitates Ollama, OpenAI and part of llama.cpp at once.
KOBOLDCPP = Stub(
    "OpenAI-compatible server",
    {
        "/": "<html><title>KoboldAI Lite</title></html>",
        "/api/version": {"version": "0.7.0"},
        "/api/tags": {"models": [{"name": "koboldcpp/Llama-3.2-3B", "model": "koboldcpp/Llama-3.2-3B:latest"}]},
        "/props": {"chat_template": "", "default_generation_settings": {"n_ctx": 8192}},
        "/v1/models": openai_list({"id": "koboldcpp/Llama-3.2-3B", "owned_by": "koboldcpp"}),
    },
)

ENGINES = (OLLAMA, LM_STUDIO, LM_STUDIO_0, VLLM, SGLANG, JAN, GPT4ALL, FOUNDRY_LOCAL_0, KOBOLDCPP)
"""Engines that list their models immediately."""


@contextmanager
def serving(stub: Stub, *, port: int = 0, host: str = "127.0.0.1"):
    """Serve a stub; yields the server, with its port in `server.server_port` and the requests in `server.asked`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.answer(stub.pages.get(self.path, stub.other))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            if self.path == f"{stub.prefix}/v1/chat/completions" and stub.completes:
                self.answer(stub.completes(body))
                return
            known = stub.shows.get(body.get("model")) if self.path == "/api/show" else None
            self.answer(Page(known) if known is not None else Page({"error": "not found"}, 404))

        def answer(self, page: Any) -> None:
            server.asked.append((self.path, dict(self.headers)))
            page = page if isinstance(page, Page) else Page(page)
            raw, kind = page.raw()
            time.sleep(page.seconds)
            self.send_response(page.status)
            for name, value in {"Content-Type": kind, "Content-Length": str(len(raw)), **page.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(raw)

        def version_string(self) -> str:
            return stub.headers.get("Server", "stub")

        def log_message(self, *_: Any) -> None:
            pass

        def handle(self) -> None:
            try:
                super().handle()
            except OSError:  # the client has disconnected
                self.close_connection = True

    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

    server = Server((host, port), Handler)
    server.asked = []
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
