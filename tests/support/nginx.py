"""A real nginx in a folder, with the configurations of docs/team.md and docs/scale.md."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from typing import TYPE_CHECKING

from places import ROOT
from waiting import until

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

NGINX = shutil.which("nginx") or next((path for path in ("/usr/sbin/nginx",) if os.access(path, os.X_OK)), None)
MISSING = "no nginx here: `apt-get install nginx-light` (tests/setup-system.sh)"
NAME = "papers.example.org"
PORTS = (8421, 8422)
"""Where the docs have the processes of one library."""
TO_ONE, TO_SEVERAL = "proxy_pass http://127.0.0.1:8421;", "proxy_pass http://$scholion;"
FIRST_HEADER = 'add_header Strict-Transport-Security "max-age=31536000" always;'
COOKIE_HEADER = "add_header Set-Cookie $keep_served_by always;"

AROUND = """
{user}
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 1024; }}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/scholion.conf;
}}
"""
"""What a distribution's nginx.conf has around it."""


def documented(page: str = "team") -> str:
    """The configuration that a page of the docs tells people to use."""
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    (found,) = re.findall(r"```nginx\n(.*?)```", text, re.DOTALL)
    return found


def for_several() -> str:
    """That of docs/team.md, changed as docs/scale.md says."""
    config, first = documented(), f"{FIRST_HEADER}\n    {COOKIE_HEADER}"
    assert (config.count(TO_ONE), config.count(FIRST_HEADER)) == (2, 1)
    said = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
    assert all(f"`{line}`" in said for line in (TO_SEVERAL, COOKIE_HEADER))
    return documented("scale") + config.replace(TO_ONE, TO_SEVERAL).replace(FIRST_HEADER, first)


def free_port() -> int:
    """A port of loopback that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Nginx:
    """nginx over TLS, as it is documented but for ports, names of files, and the port in the address."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port, self.plain = folder, free_port(), free_port()
        self.url = f"https://{NAME}:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, config: str, *, to: Sequence[int]) -> Nginx:
        """Start it before the servers at these ports, which need not answer yet."""
        certificate, key = self.folder / "certificate.pem", self.folder / "key.pem"
        make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={NAME}"]
        more = ["-addext", f"subjectAltName=DNS:{NAME}", "-out", certificate, "-keyout", key]
        subprocess.run([*make, *more], check=True, capture_output=True)
        for theirs, ours in {
            "listen 80;": f"listen 127.0.0.1:{self.plain};",
            "listen 443 ssl;": f"listen 127.0.0.1:{self.port} ssl;",
            f"https://{NAME}$request_uri": f"{self.url}$request_uri",
            f"/etc/ssl/certs/{NAME}.pem": str(certificate),
            f"/etc/ssl/private/{NAME}.key": str(key),
        }.items():
            assert config.count(theirs) == 1, theirs
            config = config.replace(theirs, ours)
        for theirs, ours in zip(PORTS, to, strict=False):
            assert f":{theirs}" in config
            config = config.replace(f":{theirs}", f":{ours}")
        (self.folder / "scholion.conf").write_text(config)
        user = "user root;" if os.geteuid() == 0 else ""
        (self.folder / "nginx.conf").write_text(AROUND.format(user=user, folder=self.folder))
        command = [NGINX, "-p", self.folder, "-e", self.folder / "error.log", "-c", self.folder / "nginx.conf"]
        self.process = subprocess.Popen([str(part) for part in command])
        assert until(lambda: self._listens() or self.process.poll() is not None)
        assert self.process.poll() is None, (self.folder / "error.log").read_text()
        return self

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        """End it."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)
