"""`python -m rag privacy`: what may leave this machine, and what has left it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rag.choices import kept
from rag.privacy.audit import LOG_FILE, AuditLog, last_hash
from rag.privacy.budget import BudgetLimits, spent
from rag.privacy.policy import Policy, PolicyError, load_policy, recovered_policy, save_policy
from rag.privacy.redaction import REDACT_FILE
from rag.sanitise import printable
from rag.words import counted

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from ingest import Library
    from rag.privacy.budget import Spent

TEXT = "control what may leave this machine, and see what has"


def add_to(commands: Any) -> None:
    """Add the command to an argument parser's commands."""
    parser = commands.add_parser("privacy", help=TEXT, description=TEXT)
    parser.set_defaults(run=_show, json=False)
    verbs = parser.add_subparsers(metavar="WHAT")

    def verb(name: str, run: Any, text: str) -> argparse.ArgumentParser:
        made: argparse.ArgumentParser = verbs.add_parser(name, help=text, description=text)
        made.set_defaults(run=run)
        return made

    show = verb("show", _show, "show the policy, the budget and where the files are")
    keep = verb("local-only", _keep, "keep these papers' text on this machine, whatever anyone agrees to")
    keep.add_argument("papers", nargs="+", metavar="PAPER", help="a paper's id, as `python -m ingest list` shows it")
    allow = verb("allow", _allow, "allow these papers' text to be sent again, with consent")
    allow.add_argument("papers", nargs="+", metavar="PAPER")
    library = verb("library", _library, "ask before anything is sent, or never send anything from this library")
    library.add_argument("choice", choices=("ask", "local-only"))
    verb("revoke", _revoke, "revoke consents given for a chat, also in a running app")
    log = verb("log", _log, "show what was allowed to leave, what became of it, and what was refused")
    log.add_argument("--verify", action="store_true", help="check that the log is complete, and show its last hash")
    for parts in (show, log):
        parts.add_argument("--json", action="store_true", help="print as JSON")


def _show(library: Library, options: argparse.Namespace) -> int:
    log = AuditLog(library.folder)
    policy = load_policy(library.folder, log)
    titles = {paper.id: paper.title for paper in library.papers()}
    limits, entries, now = BudgetLimits.of(kept(library.folder).settings), log.entries(), datetime.now(UTC)
    periods = {
        name: spent(entries, since=f"{now:{since}}") for name, since in (("day", "%Y-%m-%d"), ("month", "%Y-%m"))
    }
    if options.json:
        papers = [{"id": name, "title": titles.get(name)} for name in sorted(policy.local_only)]
        used = {
            name: {"calls": period.calls, "usd": period.known_usd, "calls_without_price": period.unpriced}
            for name, period in periods.items()
        }
        print(json.dumps({"library": policy.library, "local_only": papers, "used": used}, indent=1))
        return 0
    print(
        "This library is local only: nothing in it leaves this machine."
        if policy.library == "local only"
        else "This library asks: nothing leaves this machine without your consent."
    )
    if (database := library.settings.chat_database) is not None:
        print(f"Chats: Postgres at {database.words}{'' if database.here else ', which is not this machine'}")
    if (catalogue := library.settings.catalogue_database) is not None:
        print(f"Catalogue: Postgres at {catalogue.words}")
    for name in sorted(policy.local_only):
        print(f"local only: {printable(titles.get(name) or 'a paper no longer in the library')}  ({name})")
    for words, period, calls, usd in (
        ("Today", periods["day"], limits.day_calls, limits.day_usd),
        ("This month", periods["month"], limits.month_calls, limits.month_usd),
    ):
        print(f"{words} (UTC): {counted(period.calls, 'call')} ({_most(calls)}), {_money(period)} ({_most(usd, '$')})")
    listed = library.folder / REDACT_FILE
    print(f"Words to remove: {listed}{'' if listed.exists() else ' (no such file: nothing is removed)'}")
    print(f"Log: {library.folder / LOG_FILE}, {counted(len(entries), 'line')}")
    return 0


def _keep(library: Library, options: argparse.Namespace) -> int:
    return _change(library, options.papers, local_only=True)


def _allow(library: Library, options: argparse.Namespace) -> int:
    return _change(library, options.papers, local_only=False)


def _change(library: Library, names: Sequence[str], *, local_only: bool) -> int:
    log = AuditLog(library.folder)
    policy = load_policy(library.folder, log)
    # accept the full id of a removed paper, so that it can be taken off the list
    ids = [name if name in policy.local_only else library.paper(name).id for name in names]
    save_policy(policy.with_papers(ids, local_only=local_only), library.folder, log)
    for name in ids:
        print(f"{name}: {'stays on this machine' if local_only else 'may leave with your consent'}")
    return 0


def _library(library: Library, options: argparse.Namespace) -> int:
    log = AuditLog(library.folder)
    try:
        policy = load_policy(library.folder, log)
    except PolicyError as error:  # this command is how the user recovers
        policy = recovered_policy(library.folder, log)
        print(f"{error.message} It is set again, with every paper that it or the log kept local.")
    chosen = "ask" if options.choice == "ask" else "local only"
    save_policy(Policy(chosen, policy.local_only, policy.revision), library.folder, log)  # type: ignore[arg-type]
    return _show(library, options)


def _revoke(library: Library, _options: argparse.Namespace) -> int:
    log = AuditLog(library.folder)
    save_policy(load_policy(library.folder, log), library.folder, log)
    print("Every chat asks again before anything is sent.")
    return 0


def _log(library: Library, options: argparse.Namespace) -> int:
    entries = AuditLog(library.folder).entries()
    if options.verify:
        print(f"The log is complete: {counted(len(entries), 'line')}, last hash {last_hash(entries)}")
        return 0
    if options.json:
        print(json.dumps(entries, indent=1))
        return 0
    for line in entries:
        print(printable(_words(line)))
    if not entries:
        print("Nothing has left this machine, and nothing was refused.")
    return 0


def _words(line: dict[str, Any]) -> str:
    about = f"{line['n']:>4}  {str(line['time'])[:19]}Z  {line['event']:<9}"
    if line["event"] in {"permitted", "refused"}:
        price = "price unknown" if line["price"] is None else f"at most ${line['price']:.4f}"
        said = f"consent: {line['consent']}" if "consent" in line else f"{line['why']}"
        to = f"{line['host']} [{', '.join(line['addresses'])}] {line['model']}"
        tokens = f"{'' if line['exact'] else 'about '}{line['input_tokens']} tokens"
        return (
            f"{about} {to}  {tokens}, {price}, {counted(len(line['papers']), 'paper')}, {said}  {line['sha256'][:16]}"
        )
    if line["event"] == "policy":
        return f"{about} library: {line['library']}, {counted(len(line['papers']), 'paper')} local only"
    rest = {key: value for key, value in line.items() if key not in {"n", "time", "event", "before", "hash"}}
    return f"{about} {'  '.join(f'{key} {value}' for key, value in rest.items())}"


def _money(used: Spent) -> str:
    if used.known_usd is None:
        return "price unknown"
    rest = f" and {counted(used.unpriced, 'call')} of unknown price" if used.unpriced else ""
    return f"${used.usd:.4f}{rest}"


def _most(limit: float | None, sign: str = "") -> str:
    return "no limit" if limit is None else f"at most {sign}{limit:g}"
