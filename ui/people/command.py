"""`python -m ui people`: make, list and remove accounts. A password is asked for, never taken from the arguments."""

from __future__ import annotations

import argparse
import getpass
import sys
from typing import TYPE_CHECKING

from ui.people.passwords import hashed
from ui.people.store import People, PeopleError

if TYPE_CHECKING:
    from pathlib import Path


def main(arguments: list[str], *, folder: Path) -> int:
    """Carry out one command on the accounts of the library in this folder; returns the exit status.

    Raises:
        UserFacingError: it cannot be done.
    """
    options = _parser().parse_args(arguments)
    people = People(folder)
    try:
        match options.do:
            case "add":
                _add(people, options)
            case "list":
                _list(people)
            case "password":
                person = people.named(options.name)
                people.set_password(person, hashed(_asked(options.name)))
                print(f"{person.name} has a new password, and is signed out everywhere.")
            case "admin":
                person = people.named(options.name)
                people.set_admin(person, admin=not options.off)
                print(f"{person.name} {'is no longer' if options.off else 'is now'} an administrator.")
            case _:
                person = people.named(options.name)
                heir = people.named(options.papers_to) if options.papers_to else None
                n = people.remove(person, papers_to=heir)
                print(f"{person.name} has no account any more. Papers passed on: {n}.")
    finally:
        people.close()
    return 0


def check_accounts(folder: Path) -> None:
    """Return if somebody has an account.

    Raises:
        PeopleError: nobody has one, so nobody could sign in.
    """
    people = People(folder)
    try:
        if not people.all():
            raise PeopleError("There is no account yet.", "Make the first one: `python -m ui people add NAME`.")
    finally:
        people.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ui people", description="Accounts of several people.")
    commands = parser.add_subparsers(dest="do", required=True, metavar="COMMAND")
    add = commands.add_parser("add", help="make an account; the first is an administrator's")
    add.add_argument("name", help="to sign in with, and to be shown")
    add.add_argument("--admin", action="store_true", help="may change settings, and what is shared")
    add.add_argument("--login", metavar="PROVIDER:NAME", help="signs in at a provider, instead of with a password")
    commands.add_parser("list", help="show all accounts")
    commands.add_parser("password", help="set a new password").add_argument("name")
    admin = commands.add_parser("admin", help="make somebody an administrator")
    admin.add_argument("name")
    admin.add_argument("--off", action="store_true", help="make them an administrator no longer")
    remove = commands.add_parser("remove", help="remove an account")
    remove.add_argument("name")
    remove.add_argument("--papers-to", metavar="NAME", help="who gets their papers; needed if some are private")
    return parser


def _add(people: People, options: argparse.Namespace) -> None:
    if options.login and not all(options.login.partition(":")[::2]):
        raise PeopleError("The sign-in is not valid.", "Write it like github:ada or google:ada@example.org.")
    password = None if options.login else hashed(_asked(options.name))
    person = people.add(options.name, admin=options.admin, password=password, login=options.login)
    print(f"{person.name} has an account{' and is an administrator' if person.admin else ''}.")


def _list(people: People) -> None:
    for person in people.all():
        told = [person.login or "password", *(["administrator"] if person.admin else [])]
        print(f"{person.name}  ({', '.join(told)})")


def _asked(name: str) -> str:
    """A password, typed twice without being shown, or one line of what is piped in.

    Raises:
        PeopleError: the two differ.
    """
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass.getpass(f"Password for {name}: ")
    if getpass.getpass("Once more: ") != password:
        raise PeopleError("The two passwords differ.", "Try again.")
    return password
