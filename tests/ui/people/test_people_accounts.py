"""Accounts: passwords, sign-in and sign-out, guessing, the command, and what becomes of a single user's things."""

from __future__ import annotations

import io
import os
import socket
import sqlite3
import stat
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from urllib.parse import urlencode

import chainlit as cl
import pytest
from fastapi import HTTPException

from ingest import UserFacingError
from ingest.app_settings import PeopleSettings
from places import ROOT
from ui.people import command, passwords, who
from ui.people.guesses import OF_ADDRESS, OF_NAME, Guesses
from ui.people.store import FILE, FIRST, People, PeopleError
from waiting import until

PASSWORD = "several plain words"


@pytest.fixture
def people(tmp_path):
    made = People(tmp_path / "library")
    yield made
    made.close()


def test_a_password_is_kept_as_an_argon2_hash_that_only_it_fits() -> None:
    kept = passwords.hashed(PASSWORD)
    assert kept.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert PASSWORD not in kept
    assert passwords.hashed(PASSWORD) != kept, "each has a salt of its own"
    assert passwords.fits(PASSWORD, kept)
    assert passwords.fits("caf\u00e9 au lait", passwords.hashed("cafe\u0301 au lait")), "the same letter"
    for wrong in (PASSWORD + " ", "", "\ud83d", "x" * 100_000):
        assert not passwords.fits(wrong, kept)
    assert not passwords.fits(PASSWORD, None)
    assert not passwords.fits(PASSWORD, "no hash")


def test_many_may_sign_in_at_once() -> None:
    kept, right = passwords.hashed(PASSWORD), []
    threads = [
        threading.Thread(target=lambda: right.append(passwords.fits(PASSWORD, kept)), daemon=True) for _ in "1234"
    ]
    for one in threads:
        one.start()
    assert until(lambda: right == [True] * 4, within=60)


@pytest.mark.parametrize("password", ["", "short", "x" * 300])
def test_a_password_that_is_too_short_or_too_long_is_not_taken(password) -> None:
    with pytest.raises(passwords.PasswordError, match="10 to 256 characters"):
        passwords.hashed(password)


def test_the_first_account_is_the_single_users_and_an_administrators(people) -> None:
    ada, bob = people.add(" Ada  Lovelace "), people.add("Bob")
    assert (ada.id, ada.name, ada.admin) == (FIRST, "Ada Lovelace", True)
    assert bob.id.startswith("person-")
    assert not bob.admin
    assert people.named("ada lovelace") == ada
    with pytest.raises(PeopleError):
        people.add("BOB")
    with pytest.raises(PeopleError):
        people.add("  ")
    for change in (lambda: people.set_admin(ada, admin=False), lambda: people.remove(ada)):
        with pytest.raises(PeopleError, match="only administrator"):
            change()
    people.remove(bob)
    assert people.add("Bob").id != bob.id, "who has the name next does not have the chats"


@pytest.mark.skipif(os.name != "posix", reason="modes of files")
def test_only_their_owner_reads_the_accounts(people) -> None:
    people.add("Ada")
    for path in people.file.parent.glob(f"{FILE}*"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_sign_in_ends_with_sign_out_a_new_password_and_the_account(people) -> None:
    ada, bob = people.add("Ada"), people.add("Bob", password=passwords.hashed(PASSWORD))
    first, second = people.sign_in(bob.id), people.sign_in(bob.id)
    assert people.signed_in(first) == people.signed_in(second) == bob
    people.sign_out(first)
    assert people.signed_in(first) is None
    people.set_password(bob, passwords.hashed("another " + PASSWORD))
    assert people.signed_in(second) is None
    third = people.sign_in(bob.id)
    people.remove(bob, papers_to=ada)
    assert people.signed_in(third) is None
    raw = people.file.read_bytes() + people.file.with_name(f"{FILE}-wal").read_bytes()
    assert not [key for key in (first, second, third) if key.encode() in raw], "only hashes are kept"


def test_a_removed_accounts_papers_go_to_who_is_named(people) -> None:
    ada, bob = people.add("Ada"), people.add("Bob")
    people.hold(bob, "a" * 16, file="secret.pdf")
    people.hold(bob, "b" * 16, file="known.pdf", shared=True)
    people.hold(ada, "c" * 16, file="hers.pdf")
    people.hold(bob, "c" * 16, file="his.pdf", shared=True)
    people.change(people.held("c" * 16)[bob.id], local=True, tags=("x",))
    with pytest.raises(PeopleError, match="1 private paper"):
        people.remove(bob)
    with pytest.raises(PeopleError, match="cannot go to the account"):
        people.remove(bob, papers_to=bob)
    assert people.remove(bob, papers_to=ada) == 3
    assert [people.held(paper * 16)[ada.id].shared for paper in "abc"] == [False, True, True]
    both = people.held("c" * 16)[ada.id]
    assert (both.file, both.local, both.tags) == ("hers.pdf", True, ("x",)), "she had it, and now she has his too"
    assert list(people.held("a" * 16)) == [ada.id]


def test_what_another_process_writes_is_seen_at_once(people) -> None:
    ada, bob = people.add("Ada"), people.add("Bob")
    people.hold(ada, "a" * 16, file="x.pdf")
    assert not people.sees(bob, "a" * 16)
    with sqlite3.connect(people.file) as other:
        other.execute("UPDATE holds SET shared = 1")
    assert people.sees(bob, "a" * 16)


def test_guessing_is_slowed_down_for_a_name_and_for_an_address_but_not_for_who_knows() -> None:
    now = [0.0]
    guesses = Guesses(lambda: now[0])
    for n in range(OF_NAME[0]):
        assert guesses.take("Ada", f"198.51.100.{n}") == 0
    assert guesses.take(" ADA", "203.0.113.1") == OF_NAME[1], "from wherever it is tried"
    assert guesses.take("bob", "203.0.113.1") == 0
    now[0] += OF_NAME[1]
    assert guesses.take("ada", "203.0.113.1") == 0
    assert guesses.take("ada", "203.0.113.1") == OF_NAME[1]
    for n in range(OF_ADDRESS[0]):
        assert guesses.take(f"name {n}", f"2001:db8::{n}") == 0
    assert guesses.take("yet another", "2001:db8::ffff") == OF_ADDRESS[1], "one network is one address"
    for _ in range(100):
        assert guesses.take("carol", "192.0.2.1") == 0
        guesses.give_back("carol", "192.0.2.1")


@pytest.fixture
def accounts(app, people, monkeypatch):
    from chainlit.config import config

    from ui.people import sign_in

    monkeypatch.setattr(who, "_people", people)
    monkeypatch.setattr(sign_in, "guesses", Guesses())
    monkeypatch.setattr(config.code, "password_auth_callback", sign_in.with_password)
    people.add("Ada", password=passwords.hashed(PASSWORD))
    return sign_in


async def test_only_the_right_password_signs_in_and_guessing_is_refused(accounts) -> None:
    user = await accounts.with_password("ADA", PASSWORD)
    assert (user.identifier, user.display_name) == (FIRST, "Ada")
    wrong = [("Nobody", PASSWORD), *[("Ada", "wrong wrong")] * OF_NAME[0]]
    for name, password in wrong:
        with pytest.raises(HTTPException) as error:
            await accounts.with_password(name, password)
        assert (error.value.status_code, error.value.detail) == (401, accounts.WRONG), "the same of both"
    with pytest.raises(HTTPException) as error:
        await accounts.with_password("Ada", "wrong wrong")
    assert error.value.status_code == 429
    assert "Try again in" in error.value.detail
    assert int(error.value.headers["retry-after"]) > 0
    with pytest.raises(HTTPException):
        await accounts.with_password("Ada", PASSWORD)


async def test_the_old_password_does_not_sign_in_while_it_is_changed(accounts, people, monkeypatch) -> None:
    fits = passwords.fits

    def slowly(password: str, kept: str | None) -> bool:
        people.set_password(people.named("Ada"), "another hash")
        return fits(password, kept)

    monkeypatch.setattr(passwords, "fits", slowly)
    with pytest.raises(HTTPException) as error:
        await accounts.with_password("Ada", PASSWORD)
    assert error.value.status_code == 401


async def test_at_a_provider_only_those_with_an_account_sign_in(accounts, people) -> None:
    people.add("Bob", login="github:bob-h")
    known, stranger = cl.User(identifier="Bob-H"), cl.User(identifier="mallory")
    assert (await accounts.with_provider("github", "token", {}, known)).display_name == "Bob"
    assert await accounts.with_provider("gitlab", "token", {}, known) is None, "the same name elsewhere is another's"
    assert await accounts.with_provider("github", "token", {}, stranger) is None
    with pytest.raises(HTTPException):
        await accounts.with_password("Bob", "")


async def test_the_login_page_gives_a_cookie_that_sign_out_ends(two, monkeypatch) -> None:
    from chainlit.config import config

    from ui.people import sign_in

    monkeypatch.setattr(config.code, "password_auth_callback", sign_in.with_password)
    monkeypatch.setattr(config.code, "on_logout", sign_in.signed_out)
    two.people.set_password(two.bob, passwords.hashed(PASSWORD))
    client = two.client(None)
    form = {"content-type": "application/x-www-form-urlencoded"}
    reply = client.post("/login", content=urlencode({"username": "bob", "password": "x" * 12}), headers=form)
    assert reply.status_code == 401
    reply = client.post("/login", content=urlencode({"username": "bob", "password": PASSWORD}), headers=form)
    assert reply.status_code == 200
    (cookie,) = [one for one in reply.headers.get_list("set-cookie") if one.startswith("access_token=")]
    flags = {part.strip().casefold() for part in cookie.split(";")[1:]}
    assert {"httponly", "samesite=lax"} <= flags
    assert "secure" not in flags, "without https it would not come back"
    monkeypatch.setattr("chainlit.auth.cookie._cookie_secure", True)
    assert (
        "Secure"
        in two.client(None)
        .post("/login", content=urlencode({"username": "bob", "password": PASSWORD}), headers=form)
        .headers["set-cookie"]
    )
    monkeypatch.setattr("chainlit.auth.cookie._cookie_secure", False)
    assert client.get("/user").json()["display_name"] == "Bob"
    first = dict(client.cookies)
    client.post("/login", content=urlencode({"username": "bob", "password": PASSWORD}), headers=form)
    old = two.client(None)
    old.cookies.update(first)
    assert old.get("/user").status_code == 401, "a new sign-in takes the place of the old one"
    copied = dict(client.cookies)
    client.post("/logout")
    thief = two.client(None)
    thief.cookies.update(copied)
    assert thief.get("/user").status_code == 401, "a copy of the cookie ends too"
    assert thief.post("/auth/jwt", headers={"authorization": f"Bearer {copied['access_token']}"}).status_code == 404


async def test_an_invented_cookie_is_no_browser_of_its_own_for_the_limit_on_requests(two, monkeypatch) -> None:
    from ui.people import sign_in
    from ui.web import rate

    monkeypatch.setattr(rate, "session_in", sign_in.session_in)

    def browser(cookie: str) -> str:
        headers = [(b"cookie", f"access_token={cookie}".encode())]
        return rate._browser({"headers": headers, "client": ("192.0.2.1", 5)})

    assert browser("one") == browser("two") == "at 192.0.2.1"
    assert browser(two.token("ada")) != browser(two.token("bob")) != "at 192.0.2.1"


async def test_a_cookie_that_we_did_not_sign_is_nobodys(two) -> None:
    client = two.client(None)
    client.cookies.set("access_token", two.token("ada")[:-4] + "AAAA")
    assert client.get("/user").status_code == 401


def run(monkeypatch, folder, *arguments: str, typed: str = "") -> int:
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    return command.main(list(arguments), folder=folder)


def test_the_command_makes_lists_and_removes_accounts(tmp_path, monkeypatch, capsys) -> None:
    with pytest.raises(PeopleError, match="no account yet"):
        command.check_accounts(tmp_path)
    assert run(monkeypatch, tmp_path, "add", "Ada", typed=f"{PASSWORD}\r\n") == 0
    with closing(People(tmp_path)) as people:
        assert passwords.fits(PASSWORD, people.with_password("Ada")[1]), "as Windows ends a line"
    assert run(monkeypatch, tmp_path, "add", "Bob", "--login", "github:bob") == 0
    command.check_accounts(tmp_path)
    capsys.readouterr()
    run(monkeypatch, tmp_path, "list")
    assert capsys.readouterr().out == "Ada  (password, administrator)\nBob  (github:bob)\n"
    run(monkeypatch, tmp_path, "admin", "Bob")
    run(monkeypatch, tmp_path, "admin", "Ada", "--off")
    run(monkeypatch, tmp_path, "password", "Ada", typed="another good one\n")
    run(monkeypatch, tmp_path, "list")
    assert capsys.readouterr().out.endswith("Ada  (password)\nBob  (github:bob, administrator)\n")
    run(monkeypatch, tmp_path, "remove", "Ada")
    assert PASSWORD.encode() not in b"".join(path.read_bytes() for path in tmp_path.iterdir())
    for bad in (("add", "Eve", "--login", "github:"), ("remove", "Nobody")):
        with pytest.raises(PeopleError):
            run(monkeypatch, tmp_path, *bad)


def test_the_terminal_says_what_is_wrong_in_a_sentence(tmp_path, monkeypatch, capsys) -> None:
    from ui.__main__ import main

    monkeypatch.setenv("SCHOLION_LIBRARY", str(tmp_path))
    monkeypatch.setattr("sys.stdin", io.StringIO("short\n"))
    assert main(["people", "add", "Ada"]) == 1
    assert capsys.readouterr().err == "The password must have 10 to 256 characters. Several words make a good one.\n"


@pytest.mark.parametrize(
    "values",
    [{"listen": "0.0.0.0"}, {"address": "https://papers.example.org"}, {"people": "passwords", "listen": "0.0.0.0"}],
    ids=str,
)
def test_without_accounts_no_other_machine_reaches_it(values) -> None:
    with pytest.raises(ValueError, match="SCHOLION_"):
        PeopleSettings(**values)


def test_where_an_address_is_set_another_port_will_not_do() -> None:
    from ui.__main__ import _choose_port

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserFacingError, match=f"uses port {port}"):
            _choose_port(port, library=Path("none"), most=1)
        assert _choose_port(port, library=Path("none"))[0] != port


def test_the_page_at_which_a_provider_sends_back_is_opened(monkeypatch) -> None:
    from ui import __main__ as start

    opened = []
    monkeypatch.setattr(start.subprocess, "run", lambda command, **_: opened.append(command[-1]))
    for how in ("oauth", "passwords", None):
        made = PeopleSettings(people=how, address="https://papers.example.org" if how else None)
        monkeypatch.setattr(start, "settings", lambda made=made: made)
        start._open_browser("http://127.0.0.1:8421", {})
    assert opened == ["https://papers.example.org", "http://127.0.0.1:8421", "http://127.0.0.1:8421"]


def test_who_has_no_accounts_does_not_load_them() -> None:
    loaded = "import sys, ui.__main__; print([name for name in sys.modules if name.startswith(('rag', 'ui.people.'))])"
    said = subprocess.run([sys.executable, "-c", loaded], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "ui.people.store" not in said.stdout
    assert "ui.people.command" not in said.stdout


def test_with_accounts_the_public_address_is_answered() -> None:
    made = PeopleSettings(people="passwords", listen="0.0.0.0", address="https://Papers.example.org")
    assert (made.public_host, made.is_encrypted) == ("papers.example.org", True)
    hosts = {"https://x:443": "x", "http://x:80": "x", "https://x:8443": "x:8443", "http://x:443": "x:443"}
    for address, host in hosts.items():  # a browser leaves the usual port out
        assert PeopleSettings(people="passwords", address=address).public_host == host
    from ui.web.guard import SecurityHeaders, check_host

    policy = dict(SecurityHeaders(None, frozenset({"localhost:1", "papers.example.org"})).headers)
    assert b"ws://localhost:1 ws://papers.example.org wss://papers.example.org " in policy[b"content-security-policy"]
    check_host("0.0.0.0", allowed="0.0.0.0")
    with pytest.raises(SystemExit):
        check_host("0.0.0.0")
