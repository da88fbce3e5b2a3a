"""The privacy policy: `privacy.json` in the library's folder. Only the command and the Library page may change it."""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from ingest import write_atomically
from rag.errors import NotAllowedError
from rag.privacy.audit import AuditLog, read_plain

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

POLICY_FILE = "privacy.json"
_NONE = ""


class PolicyError(NotAllowedError):
    """The policy cannot be read, or is not the one the command wrote; nothing is sent."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The user's decisions for one library."""

    library: Literal["ask", "local only"] = "ask"
    """ask: ask for consent each time. local only: send nothing, even with consent."""
    local_only: frozenset[str] = frozenset()
    """Ids of papers whose text never leaves."""
    revision: int = 0
    """Number of changes so far. A consent for a chat is valid only for the revision it was given under."""

    def with_papers(self, ids: Iterable[str], *, local_only: bool) -> Policy:
        """A copy with these papers added to `local_only`, or removed from it."""
        return replace(self, local_only=self.local_only | set(ids) if local_only else self.local_only - set(ids))


def load_policy(folder: Path, log: AuditLog) -> Policy:
    """The policy of the library in `folder`; the default is to ask.

    Raises:
        PolicyError: it cannot be read, is a link, or was changed, rolled back or deleted by something other than
            `save_policy`.
        AuditError: the log, which holds its hash, was changed.
    """
    try:
        raw = read_plain(folder / POLICY_FILE)
    except FileNotFoundError:
        raw = b""
    except OSError as error:
        raise _broken(f"cannot be read ({error.strerror})") from error
    policy = Policy()
    if raw:
        try:
            policy = _policy(json.loads(raw))
        except (ValueError, LookupError, TypeError) as error:
            raise _broken("is damaged") from error
    known = [line["sha256"] for line in log.entries() if line["event"] == "policy"]
    if (known[-1] if known else _NONE) != (_hash(raw) if raw else _NONE):
        raise _broken("was changed outside Scholion" if raw else "is missing")
    return policy


def save_policy(policy: Policy, folder: Path, log: AuditLog) -> Policy:
    """Save the policy, and its hash in the log; returns the saved policy with its new revision.

    Raises:
        PolicyError: it was changed since `policy` was loaded, or it cannot be written; in that case nothing is sent
            until it can.
        AuditError: the log cannot be written; the policy is unchanged.
    """
    new = replace(policy, revision=policy.revision + 1)
    text = json.dumps(asdict(new) | {"local_only": sorted(new.local_only)}, indent=1)

    def unchanged(lines: list[dict[str, Any]]) -> None:
        if sum(line["event"] == "policy" for line in lines) != policy.revision:
            raise PolicyError("The privacy policy was changed by another program at the same time.", "Try again.")

    facts = {"library": new.library, "papers": sorted(new.local_only), "sha256": _hash(text.encode())}
    # Log first: of two concurrent changes only one succeeds, and if writing the file fails, the gate stays closed.
    log.append("policy", facts, if_=unchanged)
    try:
        write_atomically(folder / POLICY_FILE, text)
    except OSError as error:
        raise _broken(f"cannot be written ({error.strerror})") from error
    return new


def recovered_policy(folder: Path, log: AuditLog) -> Policy:
    """A replacement for a broken file: `local only`, with all papers that the log or the file protects."""
    known = [line for line in log.entries() if line["event"] == "policy"]
    papers = frozenset(known[-1]["papers"]) if known else frozenset()
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
        papers |= _policy(json.loads(read_plain(folder / POLICY_FILE))).local_only
    return Policy("local only", papers, len(known))


def _policy(values: Any) -> Policy:
    if set(values) != {"library", "local_only", "revision"} or values["library"] not in {"ask", "local only"}:
        raise ValueError(values)
    if not all(isinstance(name, str) for name in values["local_only"]):
        raise TypeError(values)
    return Policy(values["library"], frozenset(values["local_only"]), int(values["revision"]))


def _hash(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def _broken(how: str) -> PolicyError:
    return PolicyError(
        f"The privacy policy {POLICY_FILE} {how}, so nothing is sent.",
        "Set it again: `python -m rag privacy library local-only` or `python -m rag privacy library ask`.",
    )
