"""`python -m ui`: start Scholion on this machine and open it in the browser."""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
import socket
import subprocess
import sys
import threading
import time
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING

from pydantic import ValidationError

from ingest import UserFacingError, environment
from ingest.errors import LibraryBusyError
from ingest.settings import PROJECT, IngestSettings, bad_setting
from ingest.terminal import prepare_output
from ingest.trouble import in_words
from ui.backup import command as backup_command
from ui.chats import command as chats_command
from ui.operate.settings import settings as operate_settings
from ui.people.settings import providers, settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HOST = "127.0.0.1"
PORT = 8421
"""Not 8000, the default port of vLLM and Chainlit."""
PEOPLE_HELP = "accounts of several people: add, list, password, admin, remove (docs/people.md)"
API_HELP = "keys of other programs: add, list, remove (docs/api.md)"
STARTING_SECONDS = 60.0
"""How long a second start waits for the first one to answer, which in an empty library adds the samples first."""


def main(arguments: list[str] | None = None) -> int:
    """Run until stopped; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m ui", description="Start Scholion on this machine.")
    parser.add_argument("--port", type=int, default=PORT, help=f"first port to try (default: {PORT})")
    parser.add_argument("--no-browser", action="store_true", help="do not open the browser")
    commands = parser.add_subparsers(metavar="COMMAND")
    chats_command.add_to(commands)
    backup_command.add_to(commands)
    parser.set_defaults(run=None)
    parser.epilog = f"`python -m ui people`: {PEOPLE_HELP}. `python -m ui api`: {API_HELP}."
    prepare_output()
    os.umask(0o077)  # files written here are for the user only
    given = sys.argv[1:] if arguments is None else arguments
    if given[:1] == ["people"]:
        from ui.people import command

        return _said(lambda: command.main(given[1:], folder=IngestSettings().library.expanduser().resolve()))
    if given[:1] in (["api"], ["mcp"]):
        from ui.api import command as api_command

        return _said(lambda: api_command.main(given[1:]) if given[0] == "api" else api_command.mcp())
    options = parser.parse_args(given)
    if options.run:
        return _said(lambda: int(options.run(options)))
    may_open = not options.no_browser and sys.stdout.isatty() and _has_display()
    return _said(lambda: _start(options.port, may_open=may_open))


def _said(work: Callable[[], int]) -> int:
    """The exit status; what goes wrong is said in a sentence."""
    try:
        return work()
    except KeyboardInterrupt:
        return 130
    except ValidationError as error:
        print(bad_setting(error), file=sys.stderr)
        return 1
    except Exception as error:
        if (said := in_words(error)) is None:
            raise
        print(said, file=sys.stderr)
        return 1


def _start(first_port: int, *, may_open: bool) -> int:
    theirs = environment.shut_out(but=providers())
    browser = theirs if may_open else None
    from ui import core, start
    from ui.web import names

    folder = core.settings().library.expanduser().resolve()
    operate_settings()  # a wrong one is said now
    if settings().people:
        from ui.people import command

        command.check_accounts(folder)
    several = core.settings().several
    address = None if several else _running_at(core.library().owner().get("url"), folder)  # at whatever port
    if address:
        return _open_running(address, browser)
    port, running = _choose_port(first_port, library=folder, most=1 if settings().address or several else 50)
    address = f"http://{HOST}:{port}"
    if running:
        return _open_running(address, browser)
    if several:
        core.library().own(url=address, key=core.order_key(), seconds=STARTING_SECONDS, with_others=True)
    elif running_at := _owned_elsewhere(address, folder):
        return _open_running(running_at, browser)
    if core.library().is_alone:
        names.remove_leftovers(folder / names.INCOMING)
    core.library().papers()  # report a damaged catalogue now, not at the first question
    for said in start.mended(folder, core.settings().chat_database):
        print(said, flush=True)
    _add_samples()
    os.environ |= {
        "CHAINLIT_APP_ROOT": str(PROJECT),
        "CHAINLIT_ENV_FILE": "",  # otherwise a .env in the current folder would bring them all back
        "CHAINLIT_HOST": settings().listen,
        "CHAINLIT_PORT": str(port),
        "CHAINLIT_AUTH_SECRET": start.secret(folder),
        # cookies are shared between ports; of several processes, any may answer a request
        "CHAINLIT_AUTH_COOKIE_NAME": "scholion" if several else f"scholion_{port}",
    }
    told = threading.Event()
    threading.Thread(target=_announce, args=(address, folder, told, browser), daemon=True).start()

    from chainlit.cli import run_chainlit
    from chainlit.config import config

    _quiet()
    config.run.headless = True  # we open the browser ourselves, not after a fixed second
    try:
        run_chainlit(str(PROJECT / "app.py"))
    except SystemExit as error:
        if error.code and not told.is_set():
            raise UserFacingError(f"Another program has just taken port {port}.", "Start Scholion again.") from error
        raise
    return 0


def _owned_elsewhere(address: str, folder: Path) -> str | None:
    """None once this process owns the library; else the address of the process that does.

    Raises:
        LibraryBusyError: a command owns it.
        UserFacingError: another start does, and does not answer in time.
    """
    from ui import core

    try:
        core.library().own(url=address, key=core.order_key())
    except LibraryBusyError as error:  # busy with another start at the same moment, or with a command
        url = core.library().owner().get("url")
        if not url:
            raise
        print(f"Scholion is already starting at {url}. Waiting for it …", flush=True)
        if running_at := _awaited(folder):
            return running_at
        raise UserFacingError(
            f"Scholion is already starting at {url}, but does not answer yet.",
            "Open that address in a minute, or stop that Scholion and start again.",
        ) from error
    return None


def _open_running(address: str, browser: dict[str, str] | None) -> int:
    print(f"Scholion is already running: {address}")
    if browser is not None:
        _open_browser(address, browser)
    return 0


def _running_at(url: object, library: Path) -> str | None:
    """The address noted by the library's owner, if the library is served there now; the note may be outdated."""
    found = re.fullmatch(rf"http://{re.escape(HOST)}:(\d+)", str(url))
    return str(url) if found and _serves(int(found[1]), library) else None


def _awaited(library: Path) -> str | None:
    """The address that the library's owner noted, once it serves this library; None if it does not in time."""
    from ui import core

    end = time.monotonic() + STARTING_SECONDS
    while time.monotonic() < end:
        if address := _running_at(core.library().owner().get("url"), library):
            return address
        time.sleep(0.2)
    return None


def _serves(port: int, library: Path) -> bool:
    return _answers(port) == {"name": "scholion", "library": str(library)}


def _choose_port(first: int, *, library: Path, most: int = 50) -> tuple[int, bool]:
    """A free port at or after `first`, or the port where this library is already being served.

    Where browsers come by an address that is set, only `first` will do: that address, or a proxy, names it.
    """
    for port in range(first, first + most):
        if _serves(port, library):
            return port, True
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does, to ignore TIME_WAIT
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port, False
    if most == 1:
        raise UserFacingError(
            f"Another program uses port {first}.",
            "Stop it, or choose another with --port and change SCHOLION_ADDRESS or the proxy too.",
        )
    raise UserFacingError(f"No free port found from {first} upwards.", "Choose another with --port.")


def _answers(port: int) -> object:
    """The reply of `/healthz` at this port; None if there is no valid one."""
    connection = HTTPConnection(HOST, port, timeout=1)  # unlike urllib, ignores proxies from the environment
    try:
        connection.request("GET", "/healthz")
        return json.loads(connection.getresponse().read(10_000))
    except (OSError, ValueError, HTTPException):
        return None
    finally:
        connection.close()


def _add_samples() -> None:
    """Fill a new library with the sample papers; one that the user has emptied stays empty."""
    from ui import core, samples

    paths = samples.paths()
    if not paths or core.library().embedder_name:
        return
    print(f"Your library is empty: adding {len(paths)} sample papers (first start only). Loading models …", flush=True)
    from ingest import Ingest, Source

    work = Ingest(library=core.library(), embedder=core.assistant().embedder)
    for number, report in enumerate(work.run(Source(path, path.name) for path in paths), 1):
        outcome = report.error or f"{report.pages} pages, {report.chunks} passages"
        print(f"  {number}/{len(paths)} {report.title or report.file}: {outcome}", flush=True)


def _announce(address: str, library: Path, told: threading.Event, browser: dict[str, str] | None) -> None:
    """Print the address once the page serves this library; another process may have taken the port first.

    `browser` is the environment for the browser to open it in; None to open none.
    """
    port = int(address.rpartition(":")[2])
    while not _serves(port, library):
        time.sleep(0.1)
    told.set()
    print(f"Scholion is at {settings().address or address}  (Ctrl+C stops it)", flush=True)
    if settings().address and not settings().is_encrypted:
        print("Not encrypted: others on the network can read passwords and papers. Use https (docs/people.md).")
    if browser is not None:
        _open_browser(address, browser)


def _open_browser(address: str, variables: dict[str, str]) -> None:
    """Open the page in the browser, with the user's own environment, including proxies."""
    if settings().people == "oauth":  # a provider sends back to this one only
        address = settings().address or address
    subprocess.run([sys.executable, "-I", "-m", "webbrowser", address], env=variables, check=False, capture_output=True)


def _quiet() -> None:
    """Chainlit logs every page load; show only warnings from other loggers."""
    logging.getLogger().setLevel(logging.WARNING)
    logging.getLogger("chainlit").setLevel(logging.ERROR)
    logging.getLogger("scholion").setLevel(logging.INFO)


def _has_display() -> bool:
    return sys.platform in {"darwin", "win32"} or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


if __name__ == "__main__":
    sys.exit(main())
