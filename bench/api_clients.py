"""The API with clients that others wrote: OpenAI's for Python and Node, twenty at once, one that leaves, schemathesis.

    python bench/api_clients.py [--node FOLDER] [--schemathesis PROGRAM] [--calls 2000]

FOLDER has the npm package `openai` in its node_modules; PROGRAM is schemathesis' `st`. It is told to make twice CALLS,
because operations without parameters have few that differ. What is not given is left out, and said. Search, reader and
checks are the real ones; the drafter is a fake that writes 20 words a second, so that clients have something to wait
for.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

import openai  # noqa: E402
import psutil  # noqa: E402
from many_users import QUESTIONS  # noqa: E402

from served import WithDraft, app_root  # noqa: E402
from ui.api.keys import ApiKeys  # noqa: E402

AT_ONCE = 20
NODE = """
import OpenAI from 'openai';
const client = new OpenAI({ baseURL: process.env.URL, apiKey: process.env.KEY, maxRetries: 0 });
const names = (await client.models.list()).data.map((one) => one.id);
const messages = [{ role: 'user', content: process.env.QUESTION }];
const whole = await client.chat.completions.create({ model: 'scholion-draft', messages });
let text = '', used = null;
const stream = await client.chat.completions.create({
  model: 'scholion-draft', messages, stream: true, stream_options: { include_usage: true } });
for await (const chunk of stream) { text += chunk.choices[0]?.delta?.content ?? ''; used = chunk.usage ?? used; }
let refused = 0;
try { await client.chat.completions.create({ model: 'no-such', messages }); } catch (error) { refused = error.status; }
const response = await client.responses.create({ model: 'scholion-draft', input: process.env.QUESTION });
const left = await client.chat.completions.create({ model: 'scholion-draft', messages, stream: true });
for await (const chunk of left) { left.controller.abort(); break; }
console.log(JSON.stringify({ models: names.length, same: text === whole.choices[0].message.content,
  usage: [used?.total_tokens ?? null, whole.usage?.total_tokens ?? null], refused,
  response: response.output_text === text,
  citations: whole.choices[0].message.annotations.length, aborted: left.controller.signal.aborted }));
"""


def megabytes(server: WithDraft) -> float:
    assert server.process
    return psutil.Process(server.process.pid).memory_info().rss / 1e6


async def at_once(server: WithDraft, key: str) -> None:
    client = openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key=key, timeout=600, max_retries=0)

    async def one(n: int) -> tuple[float, bool]:
        question, began = f"{QUESTIONS[n % len(QUESTIONS)]} (client-{n:02})", time.monotonic()
        reply = await client.chat.completions.create(
            model="scholion-draft", messages=[{"role": "user", "content": question}]
        )
        return time.monotonic() - began, reply.scholion["question"] == question

    before = megabytes(server)
    times, right = zip(*await asyncio.gather(*(one(n) for n in range(AT_ONCE))), strict=True)
    p50, p95 = np.percentile(times, [50, 95])
    print(
        f"{AT_ONCE} clients at once: {sum(right)} got their own answer; p50 {p50:.1f} s, p95 {p95:.1f} s, "
        f"longest {max(times):.1f} s; memory {before:.0f} → {megabytes(server):.0f} MB"
    )


async def leaving(server: WithDraft, key: str) -> None:
    """Two clients take both places at the drafter and leave; how long does a third one take, and how long alone?"""
    client = openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key=key, timeout=600, max_retries=0)
    asked = {"model": "scholion-draft", "messages": [{"role": "user", "content": QUESTIONS[0]}]}

    async def alone() -> float:
        began = time.monotonic()
        await client.chat.completions.create(**asked)
        return time.monotonic() - began

    async def leaves() -> None:
        own = openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key=key, timeout=600, max_retries=0)
        stream = await own.chat.completions.create(**asked, stream=True, extra_body={"scholion": {"raw_stream": True}})
        async for chunk in stream:
            if chunk.choices and chunk.choices[0].delta.content:
                break
        await stream.close()
        await own.close()

    first = await alone()
    await asyncio.gather(leaves(), leaves())
    print(f"an answer alone {first:.1f} s; after two clients that left in the middle {await alone():.1f} s")


def node(folder: Path, server: WithDraft, key: str) -> None:
    script = folder / "scholion-client.mjs"
    script.write_text(NODE)
    told = {"URL": f"{server.url}/v1", "KEY": key, "QUESTION": QUESTIONS[3]}
    done = subprocess.run(["node", str(script)], capture_output=True, text=True, check=False, env=os.environ | told)
    print(f"Node: {done.stdout.strip() or done.stderr[-500:]}")


def fuzzed(program: str, server: WithDraft, key: str, calls: int) -> None:
    import httpx

    auth = {"authorization": f"Bearer {key}"}
    description = server.library.with_name("openapi.json")
    description.write_text(httpx.get(f"{server.url}/v1/openapi.json", headers=auth, trust_env=False).text)
    routes = len(re.findall(r'"operationId"', description.read_text()))
    done = subprocess.run(
        [program, "run", str(description), "--url", f"{server.url}/v1", "-H", f"Authorization: Bearer {key}",
         "--checks", "not_a_server_error", "--max-examples", str(2 * calls // routes), "--phases", "coverage,fuzzing",
         "--rate-limit", "590/m", "--seed", "1", "--continue-on-failure", "--request-timeout", "120",
         "--suppress-health-check", "all"],
        capture_output=True, text=True, check=False, cwd=description.parent,
    )  # fmt: skip
    print("\n".join(done.stdout.splitlines()[-25:]) or done.stderr[-1000:])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--node", type=Path, metavar="FOLDER")
    parser.add_argument("--schemathesis", metavar="PROGRAM")
    parser.add_argument("--calls", type=int, default=2000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        said = folder / "answer.txt"
        said.write_text("The adapter takes 83.9 MB [1]. " + "It is stored with 16 bits for each weight. " * 6)
        server = WithDraft(said, delay=0.05, library=folder / "library", root=app_root(folder / "root")).start()
        try:
            key = ApiKeys(server.library).make("bench", scopes=("add",))
            asyncio.run(at_once(server, key))
            asyncio.run(leaving(server, key))
            if options.node:
                node(options.node, server, key)
            else:
                print("Node: left out (--node)")
        finally:
            server.stop()
        if options.schemathesis:
            server.settings["SCRIPTED_DELAY"] = "0"  # nobody waits here
            server.start()
            try:
                fuzzed(options.schemathesis, server, key, options.calls)
            finally:
                server.stop()
        else:
            print("schemathesis: left out (--schemathesis)")


if __name__ == "__main__":
    main()
