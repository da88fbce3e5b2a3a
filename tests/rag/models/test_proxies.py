"""No client of ours goes through a proxy that the environment names, or takes passwords from a file."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from pydantic import ValidationError

import engine_stubs as stubs
from engine_stubs import Stub
from engine_stubs import serving as engine
from hub_server import Hub, serving
from ingest.errors import LibraryBusyError
from ingest.remote import orders
from listener import GOOD, listening
from rag.errors import DownloadError
from rag.models.chat import EndpointChatModel, fixed
from rag.models.download import download
from rag.privacy.destination import Endpoint
from rag.servers import discovery
from rag.servers.probe import probe_server
from rag.settings import RagSettings
from trap import Trap
from ui import __main__ as launcher

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
CONTENT = b"GGUF" + bytes(1000)


@pytest.fixture
def trap(monkeypatch, tmp_path):
    """A proxy that all the variables name, and a file with a password for every host."""
    (tmp_path / ".netrc").write_text("default login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with Trap() as made:
        for name in PROXIES:
            monkeypatch.setenv(name, made.url)
        yield made
        assert made.connections == 0


def fetch(url: str, target: Path, proxy: str | None = None) -> None:
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    download(f"{url}/a.gguf", target, sha256=sha256, size=len(CONTENT), tell=lambda *_: None, proxy=proxy)


def test_a_download_takes_no_proxy_from_the_environment(trap, tmp_path):
    with serving(Hub(CONTENT)) as hub:
        fetch(hub.url, tmp_path / "a.gguf")
        assert len(hub.asked) == 1


async def test_a_model_takes_no_proxy_from_the_environment(trap):
    async with listening(GOOD) as there:
        model = EndpointChatModel(fixed(Endpoint(there.url, "m", "")), name="M", timeout=20)
        await model.context_window()
        assert [piece async for piece in model.stream([{"role": "user", "content": "?"}], max_tokens=9)]
        assert there.connections
        assert b"authorization" not in b"".join(there.heads).lower()


async def test_looking_for_engines_and_trying_them_takes_no_proxy_from_the_environment(trap):
    with engine(Stub("stub", stubs.VLLM.pages)) as there:
        url = f"http://127.0.0.1:{there.server_port}/v1"
        model = "Qwen/Qwen2.5-7B-Instruct"
        assert await discovery.served(url, model=model, seconds=60)
        await probe_server(url, model=model, seconds=60)


def test_orders_to_the_running_app_and_the_look_for_it_take_no_proxy_from_the_environment(trap):
    with serving(Hub(CONTENT)) as hub:
        port = int(hub.url.rpartition(":")[2])
        with pytest.raises(LibraryBusyError):
            list(orders({"url": hub.url, "key": "k"}, {"do": "add"}))
        launcher._answers(port)
        assert [path for path, _ in hub.asked] == ["/healthz"]


def test_a_download_goes_through_the_proxy_of_the_setting(tmp_path, monkeypatch):
    with Trap() as proxy:
        monkeypatch.setenv("SCHOLION_PROXY", proxy.url)
        with pytest.raises(DownloadError):
            fetch("http://hub.example", tmp_path / "a.gguf", RagSettings().proxy)
        assert proxy.received[0].startswith(b"GET http://hub.example/a.gguf ")


@pytest.mark.parametrize(
    "value", ["proxy.example:3128", "socks5://127.0.0.1:9", "http://proxy.example/path", "file:///"]
)
def test_what_is_no_address_of_a_proxy_is_refused_as_a_setting(value, monkeypatch):
    monkeypatch.setenv("SCHOLION_PROXY", value)
    with pytest.raises(ValidationError, match="proxy"):
        RagSettings()
