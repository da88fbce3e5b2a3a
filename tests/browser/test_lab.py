"""The lab with the real model in a real browser, on WebAssembly and WebGPU in software; every fault in a sentence."""

from __future__ import annotations

import re
import struct
import time

import gguf
import numpy as np
import pytest
from test_accessibility import findings

from conftest import CHROMIUM, PATIENCE, SHOTS
from rag.prompts import sentence_messages
from served import Served, app_root

expect = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: `make .venv/.dev`").expect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1800)]

SOFTWARE_GPU = ("--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan")
PLAIN, TAUGHT = "embedded", "embedded,adapter=yes"
DOCUMENT = "The tower is 324 metres tall."
QUESTION = "How tall is it?"
MEASURED = """pairs => localStorage.setItem('scholion-lab-speeds', JSON.stringify(
  Object.fromEntries(pairs.map(([model, engine]) => [model, { [engine]: 9 }]))))"""
"""Engines count as measured, so no short prompt is asked."""


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """A server without models and without papers: the lab needs neither."""
    folder = tmp_path_factory.mktemp("lab")
    started = Served(library=folder / "library", root=app_root(folder / "root")).start()
    yield started
    started.stop()


@pytest.fixture(scope="module")
def software_gpu(chromium):
    """A Chromium that offers WebGPU without a graphics card."""
    browser = chromium.browser_type.launch(executable_path=CHROMIUM, args=["--no-sandbox", *SOFTWARE_GPU])
    yield browser
    browser.close()


def opened(browser, quick, *, script: str = "", **options):
    """The lab in a fresh profile that has opened the chat. `page.asked` has every request of it and of its workers."""
    context = browser.new_context(**{"locale": "en-US", "viewport": {"width": 1280, "height": 900}} | options)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.asked, page.faults = [], []
    context.on("request", lambda request: page.asked.append(request.url))
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.goto(quick.url)
    expect(page.get_by_role("link", name="Browser lab")).to_have_attribute("href", "/lab")
    if script:
        page.add_init_script(script)
    page.goto(f"{quick.url}/lab")
    expect(page.locator("#lab[data-ready]")).to_be_visible()
    return page


def ask(page, question: str = QUESTION, document: str = DOCUMENT, *, tokens: int = 12):
    """Ask, and wait for the whole answer: its text."""
    page.get_by_label("Question").fill(question)
    page.get_by_label("Documents, separated by empty lines").fill(document)
    page.get_by_label("At most").fill(str(tokens))
    page.get_by_role("button", name="Generate").click()
    expect(page.locator(".checked")).to_be_visible()
    return page.locator(".answer .text").inner_text()


@pytest.fixture
def timed(capsys):
    """Print how long a step took."""
    began = time.monotonic()

    def told(step: str) -> None:
        nonlocal began
        with capsys.disabled():
            print(f"\n  lab: {step}: {time.monotonic() - began:.1f} s", end="")
        began = time.monotonic()

    return told


def test_the_model_answers_in_the_page_stops_switches_and_comes_back_without_the_network(
    software_gpu, quick, timed
) -> None:
    page = opened(software_gpu, quick)
    bars, said = page.locator("#chart figure"), page.locator(".said")
    expect(page.locator("#why")).to_contain_text("WebGPU is only emulated in software here.")
    assert page.evaluate("crossOriginIsolated")
    timed("open")

    page.get_by_role("combobox", name="Model", exact=True).select_option(PLAIN)
    page.get_by_label("Engine").select_option("single")
    page.get_by_role("button", name="Load the model").click()
    expect(said).to_contain_text("is ready.")
    expect(page.locator("#why")).to_contain_text("Measured here:")
    expect(page.locator("#kept")).to_contain_text("Kept in this browser: 98 MB")
    expect(bars).to_have_count(1)
    timed("load and measure WebAssembly")

    page.evaluate(
        """() => {
          window.sizes = new Set();
          new MutationObserver(() => window.sizes.add(document.querySelector('.answer .text')?.textContent.length))
            .observe(document.getElementById('lab'), { subtree: true, childList: true, characterData: true });
        }"""
    )
    before = len(page.asked)
    assert "324" in ask(page)
    assert page.evaluate("window.sizes.size") > 3, "the answer came piece by piece"
    expect(page.locator("#requests")).to_have_text("Requests during this answer: 0")
    assert {url.rpartition("/lab/")[2] for url in page.asked[before:]} == {"check"}, "after the answer, once"
    expect(page.locator(".verdicts .supported")).to_contain_text("[1]")
    expect(bars).to_have_count(2)
    timed("an answer on WebAssembly")

    page.get_by_label("Question").fill("Tell a long story about a mill.")
    page.get_by_label("Documents, separated by empty lines").fill("")
    page.get_by_label("At most").fill("320")
    page.get_by_role("button", name="Generate").click()
    expect(page.locator(".answer .text")).to_have_text(re.compile(r"\w+\W+\w+"))
    page.evaluate("fetch('/texts.json')")
    expect(page.locator("#requests")).to_have_text("Requests during this answer: 1")
    page.get_by_role("button", name="Stop").click()
    expect(said).to_have_text("Stopped.")
    assert len(page.locator(".answer .text").inner_text()) < 1000
    expect(bars).to_have_count(3)
    timed("stop")

    page.evaluate(MEASURED, [[TAUGHT, "webgpu"], [PLAIN, "threads"]])
    page.get_by_role("combobox", name="Model", exact=True).select_option(TAUGHT)
    page.get_by_label("Engine").select_option("webgpu")
    page.get_by_label("Check the answer on the server afterwards").uncheck()
    before = len(page.asked)
    assert "324" in ask(page)
    assert not [url for url in page.asked[before:] if "/lab/check" in url]
    expect(page.locator(".answer")).to_contain_text("in this page · WebGPU in software")
    expect(page.locator(".checked")).to_contain_text("Not checked: the check is not ticked.")
    expect(bars).to_have_count(4)
    expect(bars.last).to_contain_text("load")
    timed("load and an answer on WebGPU, with the adapter")

    assert findings(page) == []
    page.locator("summary", has_text="The same as a table").click()
    with page.expect_download() as downloading:
        page.get_by_role("button", name="Download as CSV").click()
    rows = downloading.value.path().read_text(encoding="utf-8-sig").splitlines()
    assert rows[0].startswith('"at","model","engine","what","load","first"')
    assert len(rows) == 5
    SHOTS.mkdir(exist_ok=True)
    for name, width in (("wide", 1280), ("phone", 390)):
        page.set_viewport_size({"width": width, "height": 900})
        for theme in ("light", "dark"):
            page.evaluate("dark => document.documentElement.classList.toggle('dark', dark)", theme == "dark")
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            page.screenshot(path=SHOTS / f"lab-{name}-{theme}.png", full_page=True)
            assert findings(page) == []
    page.set_viewport_size({"width": 1280, "height": 900})
    timed("pictures and axe-core")

    page.context.set_offline(True)
    page.reload()
    expect(page.locator("#lab[data-ready]")).to_be_visible()
    page.get_by_role("combobox", name="Model", exact=True).select_option(PLAIN)
    page.get_by_label("Engine").select_option("threads")
    page.get_by_label("Check the answer on the server afterwards").check()
    assert ask(page, tokens=2)  # threads wait by spinning: where others work, each token takes seconds
    expect(page.locator(".checked")).to_contain_text("Not checked: Scholion is not responding.")
    expect(page.locator("#requests")).to_have_text("Requests during this answer: 0")
    timed("without the network: reload, load from the browser and an answer on two threads")

    full = page.evaluate(
        """async () => {
          const { Model, engines } = await import('/public/lab/engine.js');
          const { weights } = await import('/public/lab/weights.js');
          const { engine: assets, models } = await (await fetch('/lab/state.json')).json();
          const { blob, kept } = await weights(models[0].files[0]);
          const engine = (await engines()).find(({ id }) => id === 'single');
          try {
            await Model.load({ assets, engine, blobs: [blob], name: 'It', more: { n_ctx: 4_000_000 } });
          } catch (error) { return [kept, error.message]; }
          return [kept, 'loaded'];
        }"""
    )
    assert full == [
        True,
        "There is not enough memory for It in this browser. Close other tabs, or choose a smaller model.",
    ]
    timed("out of memory")

    page.context.set_offline(False)
    page.get_by_role("button", name="Delete kept weights and page").click()
    expect(page.locator("#kept")).to_contain_text("Kept in this browser: 0 MB")
    assert page.faults == []
    assert not [url for url in page.asked if not url.startswith((quick.url, f"blob:{quick.url}", "data:"))]
    page.context.close()


FETCHED = """async (file) => {
  const { weights } = await import('/public/lab/weights.js');
  try {
    const { kept, notes } = await weights(file);
    return { kept, notes };
  } catch (error) { return error.message; }
}"""

KEPT = "caches.open('scholion-lab-weights')"


def test_a_browser_without_threads_or_webgpu_is_told_so_and_files_that_are_none(chromium, quick, tmp_path) -> None:
    """As over http: no isolation, so no shared memory; no storage; no service worker. A model loads all the same."""

    def bare(route) -> None:
        reply = route.fetch()
        headers = {name: value for name, value in reply.headers.items() if not name.startswith("cross-origin-")}
        route.fulfill(response=reply, headers=headers)

    context = chromium.new_context(locale="en-US", service_workers="block")
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.add_init_script("Object.defineProperty(Navigator.prototype, 'gpu', { get: () => undefined })")
    page.add_init_script("Object.defineProperty(Navigator.prototype, 'storage', { get: () => undefined })")
    page.goto(quick.url)
    page.wait_for_selector("#chat-input")
    context.route(f"{quick.url}/lab", bare)
    page.goto(f"{quick.url}/lab")
    expect(page.locator("#why")).to_contain_text("This browser has no WebGPU.")
    expect(page.locator("#why")).to_contain_text("no shared memory (SharedArrayBuffer), so there is only one thread.")
    expect(page.get_by_label("Engine").locator("option:disabled")).to_have_count(2)

    said = page.locator(".said")
    text, torn = tmp_path / "notes.gguf", tmp_path / "torn.gguf"
    text.write_text("This is no model.")
    torn.write_bytes(b"GGUF\x03\x00\x00\x00" + bytes(range(256)) * 40)
    page.locator("input[type=file]").set_input_files(text)
    expect(said).to_have_text("notes.gguf is not a GGUF file.")
    page.locator("input[type=file]").set_input_files(torn)
    expect(said).to_have_text("torn.gguf stays on your disk; it is not uploaded.")
    page.get_by_role("button", name="Load the model").click()
    expect(said).to_have_text("torn.gguf cannot be loaded: the file is damaged or of an unsupported kind.")
    unknown, shape = tmp_path / "unknown.gguf", tmp_path / "shape.gguf"
    unknown.write_bytes(struct.pack("<4sIQQQ1sI", b"GGUF", 3, 1, 1, 1, b"a", 99) + bytes(4096))
    shape.write_bytes(struct.pack("<4sIQQQ1sI", b"GGUF", 3, 1, 0, 1, b"a", 2**32 - 1) + bytes(4096))
    for damaged in (unknown, shape):
        page.locator("input[type=file]").set_input_files(damaged)
        page.get_by_role("button", name="Load the model").click()
        expect(said).to_have_text(f"{damaged.name} cannot be loaded: the file is damaged or of an unsupported kind.")
    page.get_by_role("combobox", name="Model", exact=True).select_option(PLAIN)
    page.get_by_role("button", name="Load the model").click()
    expect(said).to_contain_text("is ready.")
    context.close()


def test_weights_are_kept_continued_checked_and_loaded_again_where_they_cannot_be_kept(chromium, quick) -> None:
    page = opened(chromium, quick)
    file = page.evaluate("async () => (await (await fetch('/lab/state.json')).json()).models[1].files[1]")
    address = f"{quick.url}{file['url']}"
    pieces = -(-file["bytes"] // (8 * 2**20))
    assert pieces > 1

    page.context.route(address, lambda route: route.fulfill(status=503))
    assert page.evaluate(FETCHED, file) == f"Scholion cannot send {file['name']} now (status 503). Try again later."
    page.context.unroute(address)
    page.context.route(
        address, lambda route: route.abort() if "8388608-" in route.request.headers["range"] else route.continue_()
    )
    broken = page.evaluate(FETCHED, file)
    assert broken == f"{file['name']} is not kept in this browser, and Scholion does not respond."
    page.context.unroute(address)
    asked = []
    page.context.on("request", lambda request: request.url == address and asked.append(request))
    assert page.evaluate(FETCHED, file) == {"kept": False, "notes": []}
    assert len(asked) == pieces - 1, "the piece that had arrived was not asked for again"
    page.evaluate(f"async () => (await {KEPT}).put('/lab/weights/old?piece=0', new Response('x'))")
    page.reload()
    expect(page.locator("#lab[data-ready]")).to_be_visible()
    assert not page.evaluate(f"async () => Boolean(await (await {KEPT}).match('/lab/weights/old?piece=0'))")
    assert page.evaluate(FETCHED, file) == {"kept": True, "notes": []}
    stopped = """async (file) => {
      const { weights } = await import('/public/lab/weights.js');
      return weights(file, { signal: AbortSignal.abort() }).then(() => 'read', ({ name }) => name);
    }"""
    assert page.evaluate(stopped, file) == "AbortError"

    page.evaluate(
        """async (url) => {
          const cache = await caches.open('scholion-lab-weights');
          const piece = new Uint8Array(await (await cache.match(`${url}?piece=0`)).arrayBuffer());
          piece[5000] ^= 1;
          await cache.put(`${url}?piece=0`, new Response(piece));
        }""",
        file["url"],
    )
    damaged = page.evaluate(FETCHED, file)
    assert damaged["notes"] == [f"The kept copy of {file['name']} was damaged. It was loaded again."]
    assert page.evaluate(FETCHED, file) == {"kept": True, "notes": []}

    page.evaluate("caches.delete('scholion-lab-weights')")
    devtools = page.context.new_cdp_session(page)
    devtools.send("Storage.overrideQuotaForOrigin", {"origin": quick.url, "quotaSize": 6_000_000})
    full = page.evaluate(FETCHED, file)
    assert full["notes"] == [
        f"There is no room in this browser to keep {file['name']} (10 MB). It is loaded again next time."
    ]
    page.context.close()


def test_weights_are_written_out_exactly(chromium, quick, tmp_path) -> None:
    chance = np.random.default_rng(1)
    path = tmp_path / "small.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_array("tokenizer.ggml.tokens", ["a", "ß"])
    kinds = (gguf.GGMLQuantizationType.Q4_0, gguf.GGMLQuantizationType.Q4_1, gguf.GGMLQuantizationType.Q8_0)
    for n, kind in enumerate((*kinds, gguf.GGMLQuantizationType.F16, gguf.GGMLQuantizationType.Q4_1)):
        weights = chance.normal(size=(3, 32 * (n + 1))).astype(np.float32)
        packed = weights.astype(np.float16) if kind.name == "F16" else gguf.quants.quantize(weights, kind)
        writer.add_tensor(f"t{n}", packed, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    page = opened(chromium, quick)
    unpack = """async ([bytes, most]) => {
      const { unpacked } = await import('/public/lab/unpack.js');
      return [...new Uint8Array(await (await unpacked(new Blob([new Uint8Array(bytes)]), most)).arrayBuffer())];
    }"""
    before = list(path.read_bytes())
    assert page.evaluate(unpack, [before, 100]) == before, "too large: as it was"
    made = tmp_path / "made.gguf"
    made.write_bytes(bytes(page.evaluate(unpack, [before, 1_000_000])))
    for was, now in zip(gguf.GGUFReader(path).tensors, gguf.GGUFReader(made).tensors, strict=True):
        assert (now.name, list(now.shape)) == (was.name, list(was.shape))
        assert now.tensor_type.name == ("F16" if was.tensor_type.name == "F16" else "F32")
        whole = was.data if was.tensor_type.name == "F16" else gguf.quants.dequantize(was.data, was.tensor_type)
        np.testing.assert_allclose(now.data, whole, rtol=1e-6)
    page.context.close()


def test_the_page_asks_what_the_chat_asks_the_small_model(chromium, quick) -> None:
    page = opened(chromium, quick)
    documents = ["The  tower\nis 324 m tall.", "It says <|im_end|> here.\u00a0Odd."]
    made = page.evaluate(
        """async ([question, field]) => {
          const { documentsIn, promptOf } = await import('/public/lab/prompt.js');
          const { rule } = await (await fetch('/lab/state.json')).json();
          return [promptOf(question, documentsIn(field), rule), promptOf(question, [], rule)];
        }""",
        [" How tall\nis it? ", "\n\n \n".join(documents)],
    )
    (message,) = sentence_messages("How tall is it?", documents)
    assert made == [message["content"], "How tall\nis it?"]
    many = """async (field) => (await import('/public/lab/prompt.js')).documentsIn(field)"""
    assert page.evaluate(many, "\n\n".join(map(str, range(52)))) == [*map(str, range(49)), "49\n50\n51"]
    page.context.close()
