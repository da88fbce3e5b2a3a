"""Energy and money for an answer generated on this machine: energy from counters if there are any, else from settings.

A counter covers the whole machine, or its graphics cards if no other counter can be read, including other programs and
idle power. Each number says so, and the configured idle power is subtracted where the whole machine is counted.
"""

from __future__ import annotations

import ctypes
import functools
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rag.costs.accounting import Energy
from rag.texts import _, number

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rag.settings import RagSettings

POWERCAP = Path("/sys/class/powercap")
"""Linux RAPL counters (kernel documentation: power/powercap). Often readable by root only."""

GRAPHICS: Final = "graphics card"
"""What the counters of graphics cards are called."""


@dataclass(frozen=True, slots=True)
class MachineCosts:
    """What the settings say about the machine; None if not set."""

    watts: float | None = None
    """Power while answering."""
    idle_watts: float | None = None
    """Idle power."""
    kwh_price: float | None = None
    """US dollars per kWh."""
    hardware_price: float | None = None
    """US dollars; 0 if the machine counts as paid for."""
    hardware_hours: float = 26_280.0
    """Lifetime in hours: three years."""
    utilisation: float | None = None
    """The share of its life during which it answers, in (0, 1]."""

    @classmethod
    def from_settings(cls, settings: RagSettings) -> MachineCosts:
        """Read the costs from the settings."""
        return cls(
            watts=settings.watts,
            idle_watts=settings.idle_watts,
            kwh_price=settings.kwh_price,
            hardware_price=settings.hardware_price,
            hardware_hours=settings.hardware_hours,
            utilisation=settings.utilisation,
        )


@dataclass(frozen=True, slots=True)
class LocalCost:
    """The cost of an answer generated on this machine, in US dollars; None if unknown."""

    energy_usd: float | None
    hardware_usd: float | None

    @property
    def usd(self) -> float | None:
        """Energy plus hardware; None if either is unknown."""
        if self.energy_usd is None or self.hardware_usd is None:
            return None
        return self.energy_usd + self.hardware_usd


@dataclass(frozen=True, slots=True)
class Reading:
    """All counters at one moment."""

    seconds: float
    """Monotonic clock."""
    joules: dict[str, float]
    """By counter."""
    ranges: dict[str, float]
    """The value in joules at which a counter wraps to 0; counters that never wrap are missing."""


def read_counters(powercap: Path = POWERCAP) -> Reading:
    """Read this machine's counters; empty if none is readable."""
    joules, ranges = _rapl(powercap)
    return Reading(time.monotonic(), joules | _nvml(), ranges)


def energy_between(before: Reading, after: Reading, *, machine: MachineCosts) -> Energy:
    """Energy used between two readings: counted if there are counters, else estimated, else unknown.

    If only graphics cards are counted, an estimate for the whole machine is preferred, and no idle power is subtracted.
    """
    seconds = after.seconds - before.seconds
    used = {name: _used(before, after, name) for name in before.joules if name in after.joules}
    names = sorted({name.partition(":")[0] for name in used})
    if names == [GRAPHICS] and machine.watts is None:
        return Energy(sum(used.values()) / 3600, "counter", f"{GRAPHICS}, including idle power and other programs")
    if not names or names == [GRAPHICS]:
        return estimated(seconds, machine=machine)
    net = sum(used.values()) - (machine.idle_watts or 0.0) * seconds
    if net < 0:
        return Energy(None, "none")
    source = " and ".join(names)
    source += "" if machine.idle_watts else ", including idle power and other programs"
    return Energy(net / 3600, "counter", source)


def estimated(seconds: float, *, machine: MachineCosts) -> Energy:
    """Energy from the configured watts; unknown if they are not set, or below the idle power."""
    if machine.watts is None or machine.watts < (machine.idle_watts or 0.0):
        return Energy(None, "none")
    watts = machine.watts - (machine.idle_watts or 0.0)
    return Energy(watts * seconds / 3600, "estimated", "SCHOLION_WATTS")


def local_cost(energy: Energy, seconds: float, *, machine: MachineCosts) -> LocalCost:
    """The cost of an answer that kept the machine busy for `seconds`.

    Energy: kWh × price. Hardware: price / (hours of life × utilisation) × busy hours. At 5 % utilisation, an answer
    carries 20 times the share it would carry on a machine that is never idle.
    """
    spent = None
    if energy.wh is not None and machine.kwh_price is not None:
        spent = energy.wh / 1000 * machine.kwh_price
    share = None
    if machine.hardware_price == 0:
        share = 0.0
    elif machine.hardware_price is not None and machine.utilisation is not None:
        share = machine.hardware_price / (machine.hardware_hours * machine.utilisation) * seconds / 3600
    return LocalCost(spent, share)


def energy_words(energies: Iterable[Energy]) -> str:
    """`0.02 Wh`, `about 0.02 Wh (estimate)` or `unknown energy`. The sum is unknown if any part is."""
    parts = list(energies)
    known = [part.wh for part in parts if part.wh is not None]
    if not parts or len(known) < len(parts):
        return _("unknown energy")
    total = sum(known)
    digits = f"{total:.2g}" if total < 10 else f"{total:.0f}"
    amount = f"{digits if 'e' in digits else number(float(digits), len(digits.partition('.')[2]))} Wh"
    if any(part.measured == "estimated" for part in parts):
        return _("about {amount} (estimate)").format(amount=amount)
    if any(part.source.startswith(GRAPHICS) and "processor" not in part.source for part in parts):
        return _("{amount} (measured for the graphics card only)").format(amount=amount)
    return _("{amount} (measured for the whole machine)").format(amount=amount)


def _used(before: Reading, after: Reading, name: str) -> float:
    used = after.joules[name] - before.joules[name]
    return used + after.ranges.get(name, 0.0) if used < 0 else used


def _rapl(powercap: Path) -> tuple[dict[str, float], dict[str, float]]:
    """CPU packages and their memory, in joules; `psys`, cores and graphics are sums or parts of these."""
    joules: dict[str, float] = {}
    ranges: dict[str, float] = {}
    for zone in sorted(powercap.glob("intel-rapl:*")):  # AMD's counters use this name too
        try:
            name = (zone / "name").read_text().strip()
            if not name.startswith(("package", "dram")):
                continue
            key = f"processor:{zone.name}"
            joules[key] = int((zone / "energy_uj").read_text()) / 1e6
            ranges[key] = int((zone / "max_energy_range_uj").read_text()) / 1e6
        except (OSError, ValueError):
            joules.pop(f"processor:{zone.name}", None)
    return joules, ranges


def _nvml() -> dict[str, float]:
    """NVIDIA graphics cards (Volta or newer), in joules since the driver was loaded."""
    library = _nvml_library()
    if library is None:
        return {}
    count = ctypes.c_uint()
    if library.nvmlDeviceGetCount_v2(ctypes.byref(count)) != 0:
        return {}
    joules: dict[str, float] = {}
    for index in range(count.value):
        device, used = ctypes.c_void_p(), ctypes.c_ulonglong()
        if (
            library.nvmlDeviceGetHandleByIndex_v2(index, ctypes.byref(device)) == 0
            and library.nvmlDeviceGetTotalEnergyConsumption(device, ctypes.byref(used)) == 0
        ):
            joules[f"{GRAPHICS}:{index}"] = used.value / 1000  # NVML counts millijoules
    return joules


@functools.cache
def _nvml_library() -> ctypes.CDLL | None:
    """NVIDIA's management library, initialised; None if it is missing."""
    try:
        library = ctypes.CDLL("libnvidia-ml.so.1")
        return library if library.nvmlInit_v2() == 0 else None
    except (OSError, AttributeError):
        return None
