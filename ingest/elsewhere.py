"""May papers go to other machines for reading? Asked each time in the terminal; refused if the library says so."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import sys
from typing import TYPE_CHECKING, Any

from ingest.errors import UserFacingError
from ingest.terminal import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

POLICY_FILE = "privacy.json"
"""The library's privacy policy, which `python -m rag privacy` writes."""

LOG_FILE, HEAD_FILE = "audit.jsonl", "audit.head"
"""The audit log, which has the hash of each policy, and the file with the number and hash of its last line."""

_FIRST = "0" * 64


class NotSentError(UserFacingError):
    """The papers may not leave this machine; none was sent."""

    status = 403


def allow(
    machines: Sequence[str],
    *,
    papers: Iterable[tuple[str, str]],
    count: int,
    library: Path,
    ask: Callable[[], str] = input,
) -> None:
    """Return if the user agrees that papers go to `machines`.

    Args:
        machines: their addresses.
        papers: the file name and the id of each; not asked for if no paper is `local only`.
        count: how many there are.
        library: its folder.
        ask: reads the answer; the question is on standard error, since the output may be JSON.

    Raises:
        NotSentError: the library or one of the papers is `local only`, the policy cannot be read or is not the one that
            was set, a machine is on the public internet or gives no IP address, nobody is there to be asked, or the
            answer is no.
    """
    for machine in machines:
        _check_machine(machine)
    _check_policy(library, papers)
    if not sys.stdin.isatty():
        raise NotSentError(
            f"The Ray cluster has other machines ({', '.join(machines)}), and nobody is here to agree.",
            "Run the command in a terminal, or use --ray auto.",
        )
    print(
        printable(
            f"These machines will get whole papers, both PDF and text: {', '.join(machines)}.\n"
            f"Papers: {count}. Whoever runs those machines can read and keep them. Unless you have set up TLS for "
            "Ray, others on the network can read them too."
        ),
        file=sys.stderr,
    )
    print("Send them? Type yes: ", end="", file=sys.stderr, flush=True)
    try:
        said = ask()
    except EOFError:
        print(file=sys.stderr)
        said = ""
    if said.strip().casefold() != "yes":
        raise NotSentError("Nothing was sent.", "Use --ray auto to stay on this machine.")


def _check_machine(machine: str) -> None:
    try:
        public = ipaddress.ip_address(machine).is_global
    except ValueError as error:
        raise NotSentError(
            f"A machine of the Ray cluster gives a name instead of an IP address ({printable(machine)}).",
            "Start Ray there with --node-ip-address and its address.",
        ) from error
    if public:
        raise NotSentError(
            f"The machine {machine} of the Ray cluster is on the public internet.",
            "Papers only go to machines of your own network.",
        )


def _check_policy(folder: Path, papers: Iterable[tuple[str, str]]) -> None:
    try:
        raw, known = _plain(folder / POLICY_FILE), _policy_in_log(folder)
        if known != (hashlib.sha256(raw).hexdigest() if raw else None):
            raise _broken("was changed outside Scholion" if raw else "is missing")
        if not raw:
            return
        said = json.loads(raw)
        library, local_only = said["library"], set(said["local_only"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise _broken("or the audit log cannot be read, or was changed outside Scholion") from error
    if library != "ask":
        raise NotSentError("This library is local only, so nothing is sent.", "Use --ray auto to stay on this machine.")
    for name, paper_id in papers if local_only else ():
        if paper_id in local_only:
            raise NotSentError(f"{name} is local only, so nothing is sent.", "Use --ray auto to stay on this machine.")


def _policy_in_log(folder: Path) -> str | None:
    """The SHA-256 of the policy that was last set, None if none was; ValueError if the log was changed or cut.

    It is the check of `rag.privacy.audit`, which knows nothing of this package's command.
    """
    head, raw = _plain(folder / HEAD_FILE), _plain(folder / LOG_FILE) or b""
    if head is None and raw:
        raise ValueError(HEAD_FILE)
    anchor: dict[str, Any] = {"n": 0, "hash": _FIRST} if head is None else json.loads(head)
    hashes, policy = [_FIRST], None
    *rows, torn = raw.split(b"\n")
    for number, row in enumerate(rows, start=1):
        line = {**json.loads(row)}
        own = line.pop("hash")
        told = hashlib.sha256(json.dumps(line, sort_keys=True, ensure_ascii=True).encode()).hexdigest()
        if (line["n"], line["before"], own) != (number, hashes[-1], told):
            raise ValueError(number)
        hashes.append(own)
        policy = line["sha256"] if line["event"] == "policy" else policy
    if hashes[int(anchor["n"])] != anchor["hash"] or (torn and len(rows) > int(anchor["n"])):
        raise ValueError(LOG_FILE)
    return policy


def _plain(path: Path) -> bytes | None:
    """The bytes of a file, None if there is none; OSError for a link or a device."""
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise OSError(path.name)
    return path.read_bytes() if path.exists() else None


def _broken(how: str) -> NotSentError:
    return NotSentError(
        f"The privacy policy {POLICY_FILE} {how}, so nothing is sent.",
        "Set it again: `python -m rag privacy library local-only` or `python -m rag privacy library ask`.",
    )
