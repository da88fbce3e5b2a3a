"""May papers go to other machines for reading? Asked each time in the terminal; refused if the library says so."""

from __future__ import annotations

import ipaddress
import json
import sys
from typing import TYPE_CHECKING

from ingest.errors import UserFacingError
from ingest.files import paper_id
from ingest.terminal import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

POLICY_FILE = "privacy.json"
"""The library's privacy policy, which `python -m rag privacy` writes."""


class NotSentError(UserFacingError):
    """The papers may not leave this machine; none was sent."""

    status = 403


def allow(machines: Sequence[str], *, files: Sequence[Path], library: Path, ask: Callable[[str], str] = input) -> None:
    """Return if the user agrees that `files` go to `machines`.

    Raises:
        NotSentError: the library or one of the papers is `local only`, the policy cannot be read, a machine is on the
            public internet, nobody is there to be asked, or the answer is no.
    """
    for machine in machines:
        if ipaddress.ip_address(machine).is_global:
            raise NotSentError(
                f"The machine {machine} of the Ray cluster is on the public internet.",
                "Papers only go to machines of your own network.",
            )
    _check_policy(library / POLICY_FILE, files)
    if not sys.stdin.isatty():
        raise NotSentError(
            f"The Ray cluster has other machines ({', '.join(machines)}), and nobody is here to agree.",
            "Run the command in a terminal, or use --ray auto.",
        )
    print(
        printable(
            f"These machines will get whole papers, both PDF and text: {', '.join(machines)}.\n"
            f"Papers: {len(files)}. Whoever runs those machines can read and keep them. Unless you have set up TLS for "
            "Ray, others on the network can read them too."
        ),
        file=sys.stderr,
    )
    try:
        said = ask("Send them? Type yes: ")
    except EOFError:
        said = ""
    if said.strip().casefold() != "yes":
        raise NotSentError("Nothing was sent.", "Use --ray auto to stay on this machine.")


def _check_policy(policy: Path, files: Sequence[Path]) -> None:
    try:
        said = json.loads(policy.read_bytes())
        library, papers = said["library"], set(said["local_only"])
    except FileNotFoundError:
        return
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise NotSentError(
            f"The privacy policy {POLICY_FILE} cannot be read, so nothing is sent.",
            "Set it again: `python -m rag privacy library local-only` or `python -m rag privacy library ask`.",
        ) from error
    if library != "ask":
        raise NotSentError("This library is local only, so nothing is sent.", "Use --ray auto to stay on this machine.")
    kept = [file.name for file in files if papers and file.is_file() and paper_id(file) in papers]
    if kept:
        raise NotSentError(f"{kept[0]} is local only, so nothing is sent.", "Use --ray auto to stay on this machine.")
