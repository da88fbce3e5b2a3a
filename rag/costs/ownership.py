"""What a month costs on your own machine and with a provider, and where the two are equal. Every formula is here.

Symbols, with the source of each formula:

    N       questions in a month
    q       price of one question at a provider   = T_in * p_in + T_out * p_out         the provider's price list
    s       seconds of one local answer           = T_in / v_read + T_out / v_write     measured (`rag compare`)
    busy    hours in a month                      = N * s / 3600
    kWh     in a month                            = (busy * W_busy + max(0, on - busy) * W_idle) / 1000
    m       electricity of one more question      = s / 3600 * (W_busy - W_idle) / 1000 * tariff
    F_local = price / lifetime in months + upkeep * wage + on * W_idle / 1000 * tariff
    F_cloud = fee + upkeep * wage
    local   = F_local + N * m                     cloud = F_cloud + N * q
    N*      = (F_local - F_cloud) / (q - m)       break-even: both cost the same; the machine is cheaper above it if
                                                  q > m, below it if q < m
    rho     = busy / on                           utilisation
    wait    = rho / (1 - rho) * s                 mean wait before an answer, M/M/1 queue

`local` holds while busy <= on. A busier machine is on for as long as it is busy, and `Local.month` counts that.

Straight-line depreciation, energy by power and time, and break-even analysis are textbook accounting. The model with a
worked example is in docs/papers/local-or-cloud.pdf, section 3. The queue is the simplest of queueing theory (Kendall
1953): random arrivals, one answer at a time. What is not known is None, and so is everything that depends on it.
Money is in one currency of your choice; prices of services are in US dollars.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

HOURS = 730.0
"""Hours in a month: 8,760 / 12."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """What is asked."""

    questions: float
    """In a month."""
    input_tokens: float
    """Of one question, passages included."""
    output_tokens: float

    @classmethod
    def daily(cls, questions: float, *, days: float, input_tokens: float, output_tokens: float) -> Use:
        """The use of so many questions on each of so many days in a month."""
        return cls(questions=questions * days, input_tokens=input_tokens, output_tokens=output_tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class Local:
    """A machine of one's own."""

    price: float | None
    """Of the hardware; 0 if it is there anyway."""
    lifetime_months: float = 36.0
    watts: float | None
    """While answering."""
    idle_watts: float | None = 0.0
    on_hours: float = HOURS
    """Hours in a month in which it is switched on."""
    tariff: float | None
    """Of one kWh."""
    read_speed: float | None
    """Prompt tokens in a second."""
    write_speed: float | None
    """Completion tokens in a second."""
    upkeep_hours: float = 0.0
    """In a month."""
    wage: float = 0.0
    """Of one hour of upkeep."""

    def seconds(self, use: Use) -> float | None:
        """s: what one answer takes."""
        if not self.read_speed or not self.write_speed:
            return None
        return use.input_tokens / self.read_speed + use.output_tokens / self.write_speed

    def busy_hours(self, use: Use) -> float | None:
        """Hours in a month in which it answers."""
        seconds = self.seconds(use)
        return None if seconds is None else use.questions * seconds / 3600

    def utilisation(self, use: Use) -> float | None:
        """rho: the share of the time in which it answers; above 1, one machine is not enough."""
        busy = self.busy_hours(use)
        if busy is None or self.on_hours > 0:
            return None if busy is None else busy / self.on_hours
        return inf if busy else 0.0

    def wait(self, use: Use) -> float | None:
        """Seconds that a question waits on average before its answer begins; None if one machine is not enough."""
        busy, seconds = self.utilisation(use), self.seconds(use)
        if busy is None or seconds is None or busy >= 1:
            return None
        return busy / (1 - busy) * seconds

    def most_questions(self, use: Use) -> float | None:
        """How many questions like these one machine can answer in a month, if they come one after another."""
        seconds = self.seconds(use)
        return self.on_hours * 3600 / seconds if seconds else None

    def kwh(self, use: Use) -> float | None:
        """Electricity in a month. If it is busy for longer than `on_hours`, it is on for that long."""
        busy = self.busy_hours(use)
        if busy is None or self.watts is None or self.idle_watts is None:
            return None
        return (busy * self.watts + max(0.0, self.on_hours - busy) * self.idle_watts) / 1000

    def fixed(self) -> float | None:
        """F_local: what a month costs without a question."""
        if self.price is None or self.tariff is None or self.idle_watts is None:
            return None
        idle = self.on_hours * self.idle_watts / 1000 * self.tariff
        return self.price / self.lifetime_months + self.upkeep_hours * self.wage + idle

    def marginal(self, use: Use) -> float | None:
        """m: what one more question costs."""
        seconds = self.seconds(use)
        if seconds is None or self.watts is None or self.idle_watts is None or self.tariff is None:
            return None
        return seconds / 3600 * (self.watts - self.idle_watts) / 1000 * self.tariff

    def month(self, use: Use) -> float | None:
        """What the month costs."""
        kwh = self.kwh(use)
        if kwh is None or self.price is None or self.tariff is None:
            return None
        return self.price / self.lifetime_months + self.upkeep_hours * self.wage + kwh * self.tariff


@dataclass(frozen=True, slots=True)
class Cheaper:
    """The numbers of questions in a month at which the machine is cheaper: all between these two."""

    above: float = 0.0
    below: float = inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    """A model of a provider."""

    input_price: float | None
    """Of a million tokens."""
    output_price: float | None
    fee: float = 0.0
    """In a month."""
    upkeep_hours: float = 0.0
    wage: float = 0.0

    def fixed(self) -> float:
        """F_cloud: what a month costs without a question."""
        return self.fee + self.upkeep_hours * self.wage

    def question(self, use: Use) -> float | None:
        """q: the price of one question."""
        if self.input_price is None or self.output_price is None:
            return None
        return (use.input_tokens * self.input_price + use.output_tokens * self.output_price) / 1e6

    def month(self, use: Use) -> float | None:
        """What the month costs."""
        price = self.question(use)
        return None if price is None else self.fixed() + use.questions * price


def mixed_month(use: Use, local: Local, cloud: Cloud, *, asked: float) -> float | None:
    """A month of drafts on the machine, of which a share is refined by the provider: `auto`."""
    own, price = local.month(use), cloud.question(use)
    return None if own is None or price is None else own + cloud.fixed() + use.questions * asked * price


def break_even(use: Use, local: Local, cloud: Cloud) -> Cheaper | None:
    """N*, and on which side of it the machine is cheaper.

    None if it is unknown, or if the machine is cheaper at no number of questions.
    """
    fixed, more, price = local.fixed(), local.marginal(use), cloud.question(use)
    if fixed is None or more is None or price is None:
        return None
    gap = fixed - cloud.fixed()
    if price > more:
        return Cheaper(above=max(0.0, gap / (price - more)))
    if gap >= 0:
        return None
    return Cheaper() if price == more else Cheaper(below=gap / (price - more))
