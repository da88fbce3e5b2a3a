"""What the user is told before something leaves the machine, and the prompt in a terminal."""

from __future__ import annotations

import asyncio
import sys
from hashlib import sha256
from typing import TYPE_CHECKING

from rag.sanitise import printable
from rag.texts import N_, _, dollars, number

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from rag.message import Locality
    from rag.privacy.gate import Consent, Verdict
    from rag.privacy.permit import Payload

WHERE: dict[Locality, str] = {
    "machine": N_("this machine"),
    "network": N_("your own network, not this machine"),
    "remote": N_("beyond your network"),
}

RELAYED = N_(", but its server passes it on to a cloud")

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
    size = _("{n} tokens, at most {most} in reply") if tokens.exact else _("about {n} tokens, at most {most} in reply")
    rows = [
        (
            _("To"),
            _("{host}, port {port} ({addresses})").format(
                host=where.host, port=where.port, addresses=", ".join(where.addresses) or _("address unknown")
            ),
        ),
        (_("Where"), f"{_(WHERE[where.locality])}{_(RELAYED) if where.locality == 'machine' else ''}"),
        (_("Model"), payload.model),
        (_("Size"), size.format(n=number(tokens.n), most=number(payload.max_output_tokens))),
        (
            _("Price"),
            _("unknown") if payload.price is None else _("at most {usd}").format(usd=dollars(f"{payload.price:.4f}")),
        ),
        (_("Papers"), "; ".join(titles.get(paper) or paper for paper in payload.paper_ids) or _("none")),
    ]
    if payload.redactions:
        rows.append((_("Removed"), _("{n} of your words (redact.txt)").format(n=number(payload.redactions))))
    if not where.secure:
        rows.append((_("Not encrypted"), _("others on the network can read it")))
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
        width = max(len(label) for label, _value in consent_facts(payload, titles=titles))
        # use standard error: standard output may be a file
        print(f"\nThis would be sent:\n\n{printable(payload.text)}\n", file=sys.stderr)
        for label, value in consent_facts(payload, titles=titles):
            print(f"{label:>{width}}  {printable(value)}", file=sys.stderr)
        print("\nSend it? [o]nce, for this [c]hat, [n]ever in this chat; anything else means not now: ",
              end="", file=sys.stderr, flush=True)  # fmt: skip
        answer = await asyncio.to_thread(sys.stdin.readline)
        return _ANSWERS.get(answer.strip().casefold())

    return ask
