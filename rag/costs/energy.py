"""What an answer of one's own machine takes: energy from counters where there are some, else from settings; and money.

A counter counts the whole machine, other programs and idling included. That is said with each number, and the draw at
rest is taken off where it is set.
"""

from __future__ import annotations

import ctypes
import functools
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rag.costs.accounting import Energy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rag.settings import RagSettings

POWERCAP = Path("/sys/class/powercap")
"""Linux's RAPL counters: documentation/power/powercap of the kernel. Often readable by root alone."""


@dataclass(frozen=True, slots=True)
class MachineCosts:
    """What is known of the machine from the settings; None: not set."""

    watts: float | None = None
    """Drawn while it answers."""
    idle_watts: float | None = None
    """Drawn at rest."""
    kwh_price: float | None = None
    """US dollars."""
    hardware_price: float | None = None
    """US dollars; 0: counts as paid for."""
    hardware_hours: float = 26_280.0
    """Its life: three years."""
    utilisation: float | None = None
    """The part of its life in which it answers, above 0 up to 1."""

    @classmethod
    def from_settings(cls, settings: RagSettings) -> MachineCosts:
        """Return what the settings say."""
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
    """What an answer of one's own machine cost, in US dollars; None: unknown."""

    energy_usd: float | None
    hardware_usd: float | None

    @property
    def usd(self) -> float | None:
        """Both parts together; None where one is unknown."""
        if self.energy_usd is None or self.hardware_usd is None:
            return None
        return self.energy_usd + self.hardware_usd


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading of every counter at one moment."""

    seconds: float
    """Of the monotonic clock."""
    joules: dict[str, float]
    """By counter."""
    ranges: dict[str, float]
    """Where a counter begins again at 0, in joules; those that never do are not there."""


def read_counters(powercap: Path = POWERCAP) -> Reading:
    """Return what the counters of this machine say; with none that can be read, an empty reading."""
    joules, ranges = _rapl(powercap)
    return Reading(time.monotonic(), joules | _nvml(), ranges)


def energy_between(before: Reading, after: Reading, *, machine: MachineCosts) -> Energy:
    """Return the energy used between two readings: counted where there are counters, else estimated, else unknown."""
    seconds = after.seconds - before.seconds
    counted = [_used(before, after, name) for name in before.joules if name in after.joules]
    if not counted:
        return estimated(seconds, machine=machine)
    at_rest = (machine.idle_watts or 0.0) * seconds
    names = " and ".join(sorted({name.partition(":")[0] for name in before.joules}))
    source = names if machine.idle_watts else f"{names}, including idle power and other programs"
    return Energy(max(0.0, sum(counted) - at_rest) / 3600, "counter", source)


def estimated(seconds: float, *, machine: MachineCosts) -> Energy:
    """Return the energy by the settings' watts; unknown where they are not set."""
    if machine.watts is None:
        return Energy(None, "none")
    watts = max(0.0, machine.watts - (machine.idle_watts or 0.0))
    return Energy(watts * seconds / 3600, "estimated", "SCHOLION_WATTS")


def local_cost(energy: Energy, seconds: float, *, machine: MachineCosts) -> LocalCost:
    """Return what an answer cost that kept the machine busy for `seconds`.

    Energy: kWh × price. Hardware: price / (hours of life × utilisation) × hours busy; at a utilisation of 5 % an answer
    carries twenty times the share that it would carry on a machine that is never idle.
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
    """Return `0.02 Wh`, `about 0.02 Wh (estimate)` or `unknown energy`; with one part unknown the sum is unknown."""
    parts = list(energies)
    known = [part.wh for part in parts if part.wh is not None]
    if not parts or len(known) < len(parts):
        return "unknown energy"
    total = sum(known)
    amount = f"{total:.2g} Wh" if total < 10 else f"{total:,.0f} Wh"
    if any(part.measured == "estimated" for part in parts):
        return f"about {amount} (estimate)"
    return f"{amount} (measured for the whole machine)"


def _used(before: Reading, after: Reading, name: str) -> float:
    used = after.joules[name] - before.joules[name]
    return used + after.ranges.get(name, 0.0) if used < 0 else used


def _rapl(powercap: Path) -> tuple[dict[str, float], dict[str, float]]:
    """The processor packages and their memory, in joules; `psys`, cores and graphics are parts or sums of these."""
    joules: dict[str, float] = {}
    ranges: dict[str, float] = {}
    for zone in sorted(powercap.glob("intel-rapl:*")):  # AMD's are under this name too
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
    """The graphics cards of NVIDIA from Volta on, in joules since their driver was loaded."""
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
            joules[f"graphics card:{index}"] = used.value / 1000  # it counts millijoules
    return joules


@functools.cache
def _nvml_library() -> ctypes.CDLL | None:
    """NVIDIA's management library, started; None where there is none."""
    try:
        library = ctypes.CDLL("libnvidia-ml.so.1")
        return library if library.nvmlInit_v2() == 0 else None
    except (OSError, AttributeError):
        return None
