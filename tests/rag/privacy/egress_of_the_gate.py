"""Run inside a network namespace of its own: real addresses, the real resolver, no seam; print what arrived where.

203.0.113.7 is an address of this namespace, and by its number one far away; the hosts file has the names. The only way
out is an interface that swallows every packet and counts them.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2] / "support"), str(Path(__file__).parents[3])]

from listener import listening
from rag.errors import ModelError, NotAllowedError
from rag.models.chat import EndpointChatModel, fixed
from rag.privacy.destination import Endpoint, locate
from rag.privacy.gate import Gate

FAR = "203.0.113.7"
QUESTION = [{"role": "user", "content": "What is the capital of France?"}]
FORMS = {  # how the far address may be written, and what looks like this machine
    "number": FAR, "decimal": "3405803783", "hexadecimal": "0xcb007107", "octal": "0313.0.0161.07",
    "short": "203.28935",
    "mapped": f"[::ffff:{FAR}]", "name": "models.example", "dot": "models.example.", "capitals": "MODELS.EXAMPLE",
    "like this machine": "localhost.evil.example", "of this network": "printer.local", "both": "both.example",
}  # fmt: skip


def packets() -> int:
    line = next(line for line in Path("/proc/net/dev").read_text().splitlines() if line.strip().startswith("away0:"))
    return int(line.partition(":")[2].split()[9])


def model_at(url: str) -> EndpointChatModel:
    return EndpointChatModel(fixed(Endpoint(url, "large", "key")), name="The model", timeout=60)


async def ask(url: str, permit=None) -> str:
    try:
        return "".join([str(p) async for p in model_at(url).stream(QUESTION, max_tokens=9, permit=permit)][:-1])
    except (NotAllowedError, ModelError) as error:
        return type(error).__name__


async def once(payload) -> str:
    once.shown = payload.text
    return "once"


async def main() -> None:
    report: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as folder:
        gate = Gate(Path(folder) / "library")
        async with listening(host=FAR) as far, listening(port=far.port) as here:
            begun = packets()
            report["forms"] = {name: await ask(far.named(host)) for name, host in FORMS.items()}
            report["arrived_without_consent"] = far.connections
            report["localities"] = {
                host: (await locate(far.named(host))).locality for host in (*FORMS.values(), "localhost", "2130706433")
            }
            report["this_machine"] = [await ask(far.named(host)) for host in ("127.0.0.1", "localhost")]
            report["arrived_here"] = here.connections
            model = model_at(far.named("models.example"))
            payload = await gate.payload(QUESTION, expert=model, max_tokens=9)
            permit = await gate.permit(payload, consent=once, chat="a")
            report["after_consent"] = await ask(far.named("models.example"), permit)
            report["exact"] = far.bodies == [once.shown.encode()]
            report["addresses"] = gate.audit.entries()[0]["addresses"]
            report["again"] = await ask(far.named("models.example"), permit)
            report["arrived"] = far.connections
            await asyncio.sleep(0.2)
            report["strays"] = packets() - begun
    print(json.dumps(report))


if __name__ == "__main__":
    asyncio.run(main())
