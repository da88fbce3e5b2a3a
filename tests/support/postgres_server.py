"""A real Postgres server for tests: in a temporary folder, on a Unix socket and loopback, run by `nobody` for root."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from pathlib import Path

MISSING = "no Postgres here: `apt-get install postgresql` (tests/setup-system.sh)"
MISSING_DRIVER = "asyncpg is not installed (requirements/dev.lock)"
PASSWORD = "s3cr3t-of-the-tests"
USER = "scholion"


def programs() -> Path | None:
    """The folder with `initdb` and `postgres`; Debian does not put it into the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    named = shutil.which("postgres")
    path = found[-1] if found else Path(named).resolve() if named else None
    return path.parent if path and (path.parent / "initdb").exists() else None


class PostgresServer:
    """One server; each test gets a database of its own."""

    def __init__(self, *, connections: int = 40) -> None:
        bin_folder = programs()
        assert bin_folder
        self.connections = connections
        self.bin = bin_folder
        self.folder = Path(tempfile.mkdtemp(prefix="scholion-pg-"))  # short: a socket's path has 107 characters
        self.data = self.folder / "data"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.process: subprocess.Popen[bytes] | None = None
        self._as = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
        if self._as:
            shutil.chown(self.folder, "nobody", "nogroup")
        password = self.folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        self._run("initdb", "-D", self.data, "-U", USER, "-A", "scram-sha-256", "--pwfile", password, "-E", "UTF8",
                  "--locale=C.UTF-8", "--no-sync")  # fmt: skip

    def _run(self, name: str, *arguments: object) -> None:
        command = [str(self.bin / name), *map(str, arguments)]
        done = subprocess.run(command, cwd=self.folder, env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8"},
                              capture_output=True, text=True, check=False, **self._as)  # fmt: skip
        assert done.returncode == 0, done.stderr

    def start(self) -> PostgresServer:
        options = {
            "listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": self.folder, "fsync": "off",
            "max_connections": self.connections,
        }  # fmt: skip
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        said = self.folder / "log"
        before = said.stat().st_size if said.exists() else 0
        with said.open("ab") as log:
            self.process = subprocess.Popen(
                [str(self.bin / "postgres"), "-D", str(self.data), *settings],
                cwd=self.folder,
                env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8"},
                stdout=log,
                stderr=subprocess.STDOUT,
                **self._as,
            )
        end = time.monotonic() + 120
        while b"ready to accept connections" not in said.read_bytes()[before:]:
            assert self.process.poll() is None, said.read_text()
            assert time.monotonic() < end
            time.sleep(0.05)
        return self

    def stop(self, how: int = signal.SIGINT) -> None:
        """End it fast, connections or not."""
        if self.process:
            self.process.send_signal(how)
            self.process.wait(60)
            self.process = None

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str, *, password: str = PASSWORD) -> str:
        return f"postgresql://{USER}:{password}@127.0.0.1:{self.port}/{database}"

    def socket_url(self, database: str) -> str:
        return f"postgresql://{USER}:{PASSWORD}@/{database}?host={self.folder}&port={self.port}"

    async def create(self, **options: str) -> str:
        """The address of a new, empty database."""
        import asyncpg

        name = f"chats_{uuid.uuid4().hex[:12]}"
        connection = await asyncpg.connect(self.url("postgres"))
        more = " ".join(f"{key} {value}" for key, value in options.items())
        await connection.execute(f'CREATE DATABASE "{name}" {more}')
        await connection.close()
        return self.url(name)
