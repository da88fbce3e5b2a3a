"""A server on loopback that counts connections, as a proxy, a mirror or a trace collector would see them."""

from __future__ import annotations

import socket
import threading
from typing import Self


class Trap:
    """Counts connections and records the first bytes; answers nothing."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self._server = socket.create_server((host, port))
        self.port: int = self._server.getsockname()[1]
        self.url = f"http://{host}:{self.port}"
        self.received: list[bytes] = []

    @property
    def connections(self) -> int:
        return len(self.received)

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            with connection:
                self.received.append(b"")
                connection.settimeout(2)
                try:
                    self.received[-1] = connection.recv(4096)
                except OSError:
                    continue
