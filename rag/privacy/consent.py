"""What the user is told before something leaves the machine, and the prompt in a terminal."""

from __future__ import annotations

import asyncio
import sys
from hashlib import sha256
from typing import TYPE_CHECKING

from rag.sanitise import printable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from rag.message import Locality
    from rag.privacy.gate import Consent, Verdict
    from rag.privacy.permit import Payload

WHERE: dict[Locality, str] = {
    "machine": "this machine",
    "network": "your own network, not this machine",
    "remote": "beyond your network",
}

RELAYED = ", but its server passes it on to a cloud"

_ANSWERS: dict[str, Verdict] = {
    "o": "once",
    "once": "once",
    "c": "chat",
    "chat": "chat",
    "n": "never",
    "never": "never",
}


def consent_facts(payload: Payload, *, titles: Mapping[str, str]) -> list[tuple[str, str]]:
    """Label and value of everything the user needs to decide, as plain text; unknown values are called unknown.

    Args:
        payload: what would be sent.
        titles: titles of the library's papers, by id.
    """
    where = payload.destination
    tokens = payload.input_tokens
    rows = [
        ("To", f"{where.host}, port {where.port} ({', '.join(where.addresses) or 'address unknown'})"),
        ("Where", f"{WHERE[where.locality]}{RELAYED if where.locality == 'machine' else ''}"),
        ("Model", payload.model),
        (
            "Size",
            f"{'' if tokens.exact else 'about '}{tokens.n:,} tokens, at most {payload.max_output_tokens:,} in reply",
        ),
        ("Price", "unknown" if payload.price is None else f"at most ${payload.price:.4f}"),
        ("Papers", "; ".join(titles.get(paper) or paper for paper in payload.paper_ids) or "none"),
    ]
    if payload.redactions:
        rows.append(("Removed", f"{payload.redactions} of your words (redact.txt)"))
    if not where.secure:
        rows.append(("Not encrypted", "others on the network can read it"))
    return rows


def seal(payload: Payload) -> str:
    """Stands for a request and where it goes: the same words to another address are another request."""
    return sha256("\n".join((payload.sha256, *payload.destination.identity)).encode()).hexdigest()


def as_agreed(agreed: AbstractSet[str]) -> Consent:
    """Consent to exactly the requests that a page has shown, by their seals."""

    async def consent(payload: Payload) -> Verdict | None:
        return "once" if seal(payload) in agreed else None

    return consent


def in_terminal(titles: Mapping[str, str]) -> Consent:
    """A consent that shows the payload in the terminal and asks; without a terminal there is no answer."""

    async def ask(payload: Payload) -> Verdict | None:
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            return None
        width = max(len(label) for label, _ in consent_facts(payload, titles=titles))
        # use standard error: standard output may be a file
        print(f"\nThis would be sent:\n\n{printable(payload.text)}\n", file=sys.stderr)
        for label, value in consent_facts(payload, titles=titles):
            print(f"{label:>{width}}  {printable(value)}", file=sys.stderr)
        print("\nSend it? [o]nce, for this [c]hat, [n]ever in this chat; anything else means not now: ",
              end="", file=sys.stderr, flush=True)  # fmt: skip
        answer = await asyncio.to_thread(sys.stdin.readline)
        return _ANSWERS.get(answer.strip().casefold())

    return ask
