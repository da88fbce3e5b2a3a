"""What may leave the machine at all: `privacy.json` in the library's folder, changed by the command alone."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from rag.audit import AuditLog, read_plain, write_atomically
from rag.errors import NotAllowedError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

POLICY_FILE = "privacy.json"
_NONE = ""


class PolicyError(NotAllowedError):
    """The policy cannot be read, or is not the one that the command wrote: nothing is sent."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the user decided for one library."""

    library: Literal["ask", "local only"] = "ask"
    """ask: with a consent for each. local only: nothing, whoever consents."""
    local_only: frozenset[str] = frozenset()
    """Ids of the papers whose text never leaves."""
    revision: int = 0
    """Counts the changes: a consent for a chat holds for the revision under which it was given."""

    def with_papers(self, ids: Iterable[str], *, local_only: bool) -> Policy:
        """The same, with these papers kept here, or not."""
        return replace(self, local_only=self.local_only | set(ids) if local_only else self.local_only - set(ids))


def load_policy(folder: Path, log: AuditLog) -> Policy:
    """The policy of the library in `folder`; where none was ever set, the one that asks.

    Raises:
        PolicyError: it cannot be read, is a link, or was changed, put back or deleted without the command.
        AuditError: the log, which knows its hash, was changed.
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
        raise _broken("was changed without the command" if raw else "is gone")
    return policy


def save_policy(policy: Policy, folder: Path, log: AuditLog) -> Policy:
    """Store the policy and note its hash in the log; returns it as stored, with a new revision.

    Raises:
        PolicyError: it cannot be written; the old one stays.
        AuditError: the log cannot be written; nothing is sent until the policy is set again.
    """
    new = replace(policy, revision=policy.revision + 1)
    text = json.dumps(asdict(new) | {"local_only": sorted(new.local_only)}, indent=1)
    try:
        write_atomically(folder / POLICY_FILE, text)
    except OSError as error:
        raise PolicyError(
            f"The privacy policy {POLICY_FILE} cannot be written ({error.strerror}); it stays as it was.",
            "Free some disk space, or check who may write in the library's folder.",
        ) from error
    papers = sorted(new.local_only)
    log.append("policy", {"library": new.library, "papers": papers, "sha256": _hash(text.encode())})
    return new


def recovered_policy(log: AuditLog) -> Policy:
    """The policy that was set last, as the log remembers it: to begin from where the file is broken."""
    known = [line for line in log.entries() if line["event"] == "policy"]
    return Policy(known[-1]["library"], frozenset(known[-1]["papers"]), len(known)) if known else Policy()


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
        "Set it anew: `python -m rag privacy library local-only` or `python -m rag privacy library ask`.",
    )
