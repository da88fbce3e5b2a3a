"""The library for programs that speak MCP, asked by the official client over both transports."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import asynccontextmanager

import httpx
import pytest
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

from fake_embedder import HashEmbedder
from ingest import ingest_pdf
from ingest.library import open_library
from ingest.settings import IngestSettings
from pdfs import column, write_pdf
from served import Served, app_root
from ui.api.keys import ApiKeys

TOOLS = ["search_papers", "ask_papers", "get_page", "list_papers", "bibtex"]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A server with one paper: (server, paper's id, key)."""
    folder = tmp_path_factory.mktemp("mcp")
    lines = [f"Sentence {n} tells how jars were opened and closed." for n in range(20)]
    path = write_pdf(folder / "jars.pdf", column(72, 720, lines))
    with open_library(IngestSettings(library=folder / "library")) as library:
        paper = ingest_pdf(path, library=library, embedder=HashEmbedder()).paper_id
        library.describe(paper, title="Jars of Peat", authors=("Ann Smith",), year=2019)
    server = Served(library=folder / "library", root=app_root(folder / "root")).start()
    yield server, paper, ApiKeys(folder / "library").make("a program")
    server.stop()


@asynccontextmanager
async def connected(transport, server, key):
    if transport == "http":
        headers = {"authorization": f"Bearer {key}"}
        async with (
            httpx.AsyncClient(headers=headers, timeout=120, trust_env=False) as http,
            streamable_http_client(f"{server.url}/v1/mcp", http_client=http) as (read, write, _),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            yield session
    else:
        started = StdioServerParameters(
            command=sys.executable,
            args=["-m", "ui", "mcp"],
            env=os.environ | {"SCHOLION_LIBRARY": str(server.library), "SCHOLION_API_KEY": key},
        )
        async with stdio_client(started) as (read, write), ClientSession(read, write) as session:
            await session.initialize()
            yield session


@pytest.mark.parametrize("transport", ["http", "stdio"])
async def test_the_official_client_lists_reads_and_searches(served, transport) -> None:
    server, paper, key = served
    async with connected(transport, server, key) as session:
        assert [tool.name for tool in (await session.list_tools()).tools] == TOOLS
        listed = json.loads((await session.call_tool("list_papers", {})).content[0].text)
        assert [(one["id"], one["title"]) for one in listed["papers"]] == [(paper, "Jars of Peat")]
        page = json.loads((await session.call_tool("get_page", {"paper": paper, "page": 1})).content[0].text)
        assert "Sentence 3 tells" in page["text"]
        assert "Jars of Peat" in (await session.call_tool("bibtex", {})).content[0].text
        read = await session.read_resource(f"scholion://papers/{paper}/pages/1")
        assert "Sentence 3 tells" in read.contents[0].text
        for wrong in ({"paper": "0" * 16, "page": 1}, {"paper": "../../x", "page": 1}, {"paper": paper, "page": 9}):
            refused = await session.call_tool("get_page", wrong)
            assert refused.isError
            assert "no such" in refused.content[0].text


async def test_only_a_key_opens_it(served) -> None:
    server, _, key = served
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    accept = {"accept": "application/json, text/event-stream"}
    async with httpx.AsyncClient(base_url=server.url, trust_env=False) as http:
        for headers in ({}, {"authorization": "Bearer no"}):
            assert (await http.post("/v1/mcp", json=call, headers=accept | headers)).status_code == 401
        right = accept | {"authorization": f"Bearer {key}"}
        assert (await http.post("/v1/mcp", json=call, headers=right)).status_code == 200
        foreign = right | {"origin": "http://evil.example"}
        assert (await http.post("/v1/mcp", json=call, headers=foreign)).status_code == 403


async def test_without_a_key_or_a_running_scholion_it_says_what_to_do(tmp_path) -> None:
    for key, said in (("", "python -m ui api add"), ("sch-x", "make chat")):
        environment = os.environ | {"SCHOLION_LIBRARY": str(tmp_path / "library"), "SCHOLION_API_KEY": key}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "ui", "mcp", env=environment, stdin=-3, stdout=-1, stderr=-1
        )
        out, errors = await process.communicate()
        assert process.returncode == 1
        assert out == b""
        assert said in errors.decode()
