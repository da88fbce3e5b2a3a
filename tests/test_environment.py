"""Variables of other programs: which ones are dropped, and what a child process is given."""

from __future__ import annotations

import ast
import asyncio
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ingest import environment
from places import ROOT
from rag.models import open as opening
from rag.models.local import LocalServer, embedded_drafter

HARMLESS = {
    "CI", "DEBUG", "HEADLESS", "NO_CACHE", "WATCH",  # options of `chainlit run` alone, which the launcher does not use
    "AWS_REGION",  # of a data layer that is not ours
    "ENVIRONMENT",  # chromadb stores the word and does nothing with it
    "OPENAI_API_KEY", "AZURE_OPENAI_API_KEY",  # keys that models.json may name
    "AWS_BEARER_TOKEN_BEDROCK", "AWS_BEDROCK_BASE_URL", "AWS_DEFAULT_REGION",  # of openai's client for Bedrock
    "GOOGLE_CLOUD_LOCATION", "GOOGLE_CLOUD_PROJECT", "DEFER_PYDANTIC_BUILD",
}  # fmt: skip


def read_by(package: str) -> set[str]:
    """Every variable that the package's code asks for by a literal name."""
    found = set()
    spec = importlib.util.find_spec(package)
    for path in Path(spec.submodule_search_locations[0]).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=function, args=[ast.Constant(value=str(name)), *_]) if ast.unparse(function) in {
                    "os.environ.get",
                    "os.getenv",
                    "os.environ.pop",
                }:
                    found.add(name)
                case ast.Subscript(value=value, slice=ast.Constant(value=str(name))) if (
                    ast.unparse(value) == "os.environ"
                ):
                    found.add(name)
                case ast.keyword(arg="envvar", value=ast.Constant(value=str(name))):
                    found.add(name)
    return found


@pytest.mark.parametrize("package", ["chainlit", "openai", "literalai", "uvicorn"])
def test_every_variable_that_a_library_reads_is_dropped_or_known_to_do_nothing(package) -> None:
    names = read_by(package)
    assert names
    served = {"REMOTE_ADDR", "SERVER_NAME", "SERVER_PORT"}  # of a WSGI request, in a dictionary of the same name
    assert {n for n in names - HARMLESS - served if not environment.FOREIGN.fullmatch(n)} == set()


def test_every_setting_of_chromadb_is_dropped_or_known_to_do_nothing() -> None:
    from chromadb.config import Settings

    names = {name.upper() for name in Settings.model_fields}
    assert {n for n in names - HARMLESS if not environment.FOREIGN.fullmatch(n)} == set()


def test_settings_keys_and_places_of_the_users_stay(monkeypatch) -> None:
    ours = {
        "SCHOLION_LIBRARY", "SCHOLION_CHROMA", "OPENAI_API_KEY", "ANTHROPIC_API_KEY", "HF_TOKEN", "HF_HOME",
        "HF_ENDPOINT", "OLLAMA_HOST", "PATH", "HOME", "LANG", "TIKTOKEN_CACHE_DIR", "CUDA_VISIBLE_DEVICES", "DISPLAY",
    }  # fmt: skip
    for name in ours:
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("CHAINLIT_AUTH_SECRET", "the launcher's")
    for name in environment.OFFLINE:
        monkeypatch.setenv(name, "")
    before = environment.shut_out()
    assert before["https_proxy"] == "http://127.0.0.1:9"
    assert ours <= os.environ.keys()
    assert "https_proxy" not in os.environ
    assert os.environ["CHAINLIT_AUTH_SECRET"] == "the launcher's"
    assert os.environ["HF_HUB_OFFLINE"] == "1"


def test_the_commands_start_whatever_other_programs_have_set(tmp_path) -> None:
    """chromadb takes every variable that is named like one of its settings: at its import, and for each client."""
    theirs = {
        "MIGRATIONS": "alembic", "IS_PERSISTENT": "perhaps", "CHROMA_API_IMPL": "chromadb.api.fastapi.FastAPI",
        "CHROMA_SERVER_HOST": "127.0.0.1", "CHROMA_SERVER_HTTP_PORT": "9", "ALL_PROXY": "socks5://127.0.0.1:9",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "ingest", "verify"],
        cwd=ROOT,
        env=os.environ | theirs | {"SCHOLION_LIBRARY": str(tmp_path / "library")},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_a_providers_key_may_stand_in_the_env_file(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(opening, "PROJECT", tmp_path)
    monkeypatch.delenv("MISTRAL_API_KEY", raising=False)
    assert opening._key("MISTRAL_API_KEY") == ""
    (tmp_path / ".env").write_text("MISTRAL_API_KEY=from-$the-file\n")
    assert opening._key("MISTRAL_API_KEY") == "from-$the-file"
    monkeypatch.setenv("MISTRAL_API_KEY", "from-the-shell")
    assert opening._key("MISTRAL_API_KEY") == "from-the-shell"


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="only Linux shows a process's environment")
async def test_the_models_process_has_only_the_variables_that_it_needs(monkeypatch) -> None:
    for name in ("OPENAI_API_KEY", "SCHOLION_EXPERT_KEY", "HTTPS_PROXY", "LD_PRELOAD", "DISCORD_BOT_TOKEN", "HF_TOKEN"):
        monkeypatch.setenv(name, "secret")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    server = LocalServer(embedded_drafter(), context=2048, slots=1, threads=None)
    try:
        await server.connect()
        raw = await asyncio.to_thread(Path(f"/proc/{server.pid}/environ").read_bytes)
        names = {line.partition(b"=")[0].decode() for line in raw.split(b"\0") if line}
    finally:
        await server.close()
    allowed = {*environment._EVERY_CHILD, *environment.GRAPHICS, "PYTHONUNBUFFERED", "ORT_DISABLE_TELEMETRY"}
    assert names <= allowed
    assert {"PATH", "CUDA_VISIBLE_DEVICES", "ORT_DISABLE_TELEMETRY"} <= names
    assert b"secret" not in raw
