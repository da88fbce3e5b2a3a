"""The single gate for everything that leaves the machine: policy, redaction, consent, budget, audit.

It refuses whatever it cannot check.

payload = await gate.payload(messages, expert=model, max_tokens=…, paper_ids=…)   # redacted; shown and sent as is
permit = await gate.permit(payload, consent=ask_the_user, chat=key)               # for exactly these bytes, once
model.stream(payload.messages, max_tokens=…, permit=permit)                       # rag.privacy.transport compares them
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from copy import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self, cast

from rag.costs import tokens
from rag.errors import NotAllowedError
from rag.privacy import budget
from rag.privacy.audit import AuditError, AuditLog, read_plain
from rag.privacy.permit import KEPT, Payload, Permit, issue
from rag.privacy.policy import Policy, PolicyError, load_policy
from rag.privacy.redaction import REDACT_FILE, Redaction, parse_redaction
from rag.privacy.runs import KeptRuns

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from ingest import Library
    from rag.message import Message
    from rag.privacy.destination import ModelCall
    from rag.settings import RagSettings

log = logging.getLogger(__name__)

Verdict = Literal["once", "chat", "never"]
Consent = Callable[["Payload"], Awaitable[Verdict | None]]
"""Shows the payload to the user and returns the verdict; None (no answer) means no, this time."""


class Recipient(Protocol):
    """Who a payload would go to; every `ChatModel` is one."""

    async def is_here(self) -> bool:
        """Whether a call is known, without asking a name server, to stay on this machine."""

    async def planned_call(self, *, max_tokens: int, temperature: float = 0.0) -> ModelCall:
        """Where a call would go. Nothing is sent, but a name may be resolved."""


@dataclass(frozen=True, slots=True)
class Decided:
    """What the user decided for whole chats."""

    chats: dict[tuple[str, ...], int] = field(default_factory=dict)
    """Chat, model and destination → the policy's revision under which sending was allowed."""
    refused: set[str] = field(default_factory=set)
    """Chats in which nothing may be sent."""


class Gate:
    """Decides what may leave the machine for one library. Reads policy, redaction list and log anew for each payload.

    Args:
        folder: the library's folder.
        limits: the budget.
        text_of: the text of a paper's pages, to recognise what must stay; without it papers are known by id only.
    """

    def __init__(
        self,
        folder: Path,
        *,
        limits: budget.BudgetLimits | None = None,
        text_of: Callable[[str], Iterable[str]] | None = None,
    ) -> None:
        self.folder = folder
        self.audit = AuditLog(folder)
        self._limits = limits or budget.BudgetLimits()
        self._runs = KeptRuns(text_of or (lambda _: ()))
        self.decided = Decided()
        self._sees: Callable[[set[str]], set[str]] | None = None

    @classmethod
    def of(cls, library: Library, settings: RagSettings, *, like: Gate | None = None) -> Self:
        """The gate of a library, with the budget from the settings.

        `like` is an earlier gate of this library: what the user decided for a chat holds for both.
        """
        made = cls(
            library.folder,
            limits=budget.BudgetLimits.of(settings),
            text_of=lambda paper_id: (page.text for page in library.pages(paper_id)),
        )
        if like:
            made.decided = like.decided
        return made

    def over(self, sees: Callable[[set[str]], set[str]]) -> Self:
        """This gate for somebody who sees a part of the library: only papers of that part are recognised and named.

        Args:
            sees: those of the ids that are of papers in that part.
        """
        made = copy(self)
        made._sees = sees  # noqa: SLF001 - one of us
        return made

    def policy(self) -> Policy:
        """The user's policy for this library.

        Raises:
            NotAllowedError: it cannot be read, or was changed by something other than the command.
        """
        return load_policy(self.folder, self.audit)

    def allowed(self, paper_ids: Iterable[str]) -> set[str]:
        """The papers whose passages may leave; none if the library is `local only`.

        Raises:
            NotAllowedError: the policy cannot be read, or was changed by something other than the command.
        """
        policy = self.policy()
        return set() if policy.library == "local only" else set(paper_ids) - policy.local_only

    def local_words(self, text: str) -> set[str]:
        """The `local only` papers that `text` quotes for `RUN_WORDS` words in a row, as a draft or history may.

        Raises:
            NotAllowedError: the policy cannot be read, or was changed by something other than the command.
        """
        return self._quoted(text, self.policy())

    def _quoted(self, text: str, policy: Policy) -> set[str]:
        found = self._runs.quoted_in(text, of=policy.local_only)
        return self._sees(found) if found and self._sees else found

    async def payload(
        self,
        messages: Sequence[Message],
        *,
        expert: Recipient,
        max_tokens: int,
        temperature: float = 0.0,
        paper_ids: Iterable[str] = (),
    ) -> Payload:
        """The request to a larger model; if it would leave this machine, the user's redaction list is applied.

        Nothing is sent. Its `price` is unknown; use `dataclasses.replace(payload, price=…)` to set it.

        Raises:
            NotAllowedError: the library is `local only` and the model is not known to be on this machine (no name is
                resolved to find out), or one of the gate's files is broken.
            ModelError: the model's address is invalid.
        """
        policy = await asyncio.to_thread(self.policy)
        if policy.library == "local only" and not await expert.is_here():
            raise _local_library()
        call = await expert.planned_call(max_tokens=max_tokens, temperature=temperature)
        return await asyncio.to_thread(self._redacted, messages, call, max_tokens, paper_ids)

    def _redacted(
        self, messages: Sequence[Message], call: ModelCall, max_tokens: int, paper_ids: Iterable[str]
    ) -> Payload:
        redaction = self._redaction() if call.leaves else Redaction()
        kept, n = [], 0
        for message in messages:
            content, found = redaction.apply(message["content"])
            kept.append(cast("Message", {"role": message["role"], "content": content}))
            n += found
        return Payload(
            messages=tuple(kept),
            model=call.model,
            destination=call.destination,
            parameters=call.parameters,
            paper_ids=tuple(dict.fromkeys(paper_ids)),
            input_tokens=tokens.count_messages(kept, model=call.model),
            max_output_tokens=max_tokens,
            redactions=n,
        )

    async def permit(self, payload: Payload, *, consent: Consent | None, chat: str) -> Permit:
        """Permission to send the payload once. It is written to the audit log before it is returned.

        Args:
            payload: made by `payload`.
            consent: asks the user; None if nobody can be asked.
            chat: identifies the chat: "for this chat" and "never" apply to it, with this destination and model.

        Raises:
            NotAllowedError: refused by policy, consent, budget or address, or something could not be checked.
        """
        if not payload.leaves:
            return issue(payload, audit=None)
        policy = await asyncio.to_thread(self._check, payload)
        if chat in self.decided.refused:
            raise NotAllowedError(f"You chose to keep everything in this chat on this machine. {KEPT}")
        key = (chat, payload.model, *payload.destination.identity)
        verdict: Verdict | None = "chat"
        if self.decided.chats.get(key) != policy.revision:
            if consent is None:
                raise NotAllowedError(
                    "The larger model is not on this machine, and nobody can agree to sending here.",
                    "Ask in the chat or in a terminal.",
                )
            verdict = await consent(payload)
            policy = await asyncio.to_thread(self._check, payload)  # it may have changed while the user decided
        if verdict not in {"once", "chat"}:
            if verdict == "never":
                self.decided.refused.add(chat)
            await asyncio.to_thread(self._note_refusal, payload, "never" if verdict == "never" else "no answer")
            raise NotAllowedError(f"Nothing was sent. {KEPT}")
        if verdict == "chat":
            self.decided.chats[key] = policy.revision
        permit = issue(payload, audit=self.audit)
        facts = {"permit": permit.name, "consent": verdict, **_facts(payload)}
        await asyncio.to_thread(self.audit.append, "permitted", facts, if_=self._within(payload, policy))
        return permit

    def record_cost(self, permit: Permit, cost: float) -> None:
        """Record the actual cost of a call in US dollars; it replaces the maximum price in the budget.

        Raises:
            AuditError: the log cannot be written.
        """
        self.audit.append("cost", {"permit": permit.name, "cost": cost})

    def _check(self, payload: Payload) -> Policy:
        if not payload.destination.addresses:
            raise NotAllowedError(
                f"The address of {payload.destination.host} cannot be resolved, so nothing was sent.",
                "Check the address and your network.",
            )
        policy = self.policy()
        if policy.library == "local only":
            raise _local_library()
        kept = set(payload.paper_ids) & policy.local_only
        if not kept:
            kept = self._quoted(payload.said(), policy)
        if kept:
            raise NotAllowedError(
                f"The text of {'a paper' if len(kept) == 1 else f'{len(kept)} papers'} that you keep on this machine "
                f"({', '.join(sorted(kept))}) is part of the message, so nothing was sent.",
                "Search other papers, or allow it: `python -m rag privacy allow PAPER`.",
            )
        self._within(payload, policy)(self.audit.entries())
        return policy

    def _within(self, payload: Payload, policy: Policy) -> Callable[[list[dict[str, Any]]], None]:
        """What the log must satisfy at the moment the permit is written to it."""

        def check(lines: list[dict[str, Any]]) -> None:
            if sum(line["event"] == "policy" for line in lines) != policy.revision:
                raise PolicyError("The privacy policy was just changed, so nothing was sent.", "Ask again.")
            budget.check(lines, limits=self._limits, price=payload.price, now=datetime.now(UTC))

        return check

    def _note_refusal(self, payload: Payload, why: str) -> None:
        try:
            self.audit.append("refused", {"why": why, **_facts(payload)})
        except AuditError:
            log.warning("A refusal could not be written to the audit log", exc_info=True)

    def _redaction(self) -> Redaction:
        try:
            return parse_redaction(read_plain(self.folder / REDACT_FILE).decode())
        except FileNotFoundError:
            return Redaction()
        except (OSError, UnicodeDecodeError) as error:
            raise NotAllowedError(
                f"The list of words to remove, {REDACT_FILE}, cannot be read, so nothing was sent.",
                "It must be a plain text file in UTF-8 in the library folder.",
            ) from error


def _facts(payload: Payload) -> dict[str, Any]:
    where = payload.destination
    return {
        "url": where.url,
        "host": where.host,
        "addresses": list(where.addresses),
        "locality": where.locality,
        "model": payload.model,
        "input_tokens": payload.input_tokens.n,
        "exact": payload.input_tokens.exact,
        "max_output_tokens": payload.max_output_tokens,
        "price": payload.price,
        "papers": list(payload.paper_ids),
        "redactions": payload.redactions,
        "bytes": len(payload.body),
        "sha256": payload.sha256,
    }


def _local_library() -> NotAllowedError:
    return NotAllowedError(
        "This library is “local only”: nothing in it leaves this machine. Drafts still work.",
        "`python -m rag privacy library ask` changes that.",
    )
