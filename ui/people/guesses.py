"""Slow down guessing: after some wrong passwords for one name, or from one address, each further one has to wait."""

from __future__ import annotations

import ipaddress
import math
import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

OF_NAME, OF_ADDRESS = (8, 30.0), (20, 10.0)
"""Wrong passwords in a row that are free, and then the seconds for each further one: a name is tried at most 2,900
times a day, from however many addresses, and people behind one address are not in each other's way."""

MOST = 20_000
"""Names and addresses remembered; the one that was quiet the longest is forgotten first."""


class Guesses:
    """A bucket of tries for each name and each address; a right password costs nothing."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._used: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """For each the tries used, and when that was."""

    def take(self, name: str, address: str) -> int:
        """Use a try of this name and of this address; returns 0, or the seconds to wait, and then none is used."""
        with self._lock:
            buckets = _buckets(name, address)
            wait = max((self._now(key, seconds) + 1 - free) * seconds for key, free, seconds in buckets)
            if wait > 0:
                return math.ceil(wait)
            for key, _, seconds in buckets:
                self._add(key, seconds, 1)
            return 0

    def give_back(self, name: str, address: str) -> None:
        """The password was right."""
        with self._lock:
            for key, _, seconds in _buckets(name, address):
                self._add(key, seconds, -1)

    def _now(self, key: str, seconds: float) -> float:
        """The tries used, of which one comes back in so many seconds."""
        now = self._clock()
        used, at = self._used.get(key, (0.0, now))
        return max(0.0, used - (now - at) / seconds)

    def _add(self, key: str, seconds: float, tries: int) -> None:
        self._used[key] = (max(0.0, self._now(key, seconds) + tries), self._clock())
        self._used.move_to_end(key)
        if len(self._used) > MOST:
            self._used.popitem(last=False)


def _buckets(name: str, address: str) -> tuple[tuple[str, int, float], ...]:
    """Key, free tries and seconds for each further one."""
    return (f"name {name.strip().casefold()[:200]}", *OF_NAME), (f"address {_net(address)}", *OF_ADDRESS)


def _net(address: str) -> str:
    """The address; of IPv6 the network, of which one customer has 2^64 addresses."""
    try:
        known = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    return str(known) if known.version == 4 else str(ipaddress.ip_network((known, 64), strict=False))
