"""`python -m rag ownership`: what a month costs on your own machine and with a provider, and the break-even."""

from __future__ import annotations

import argparse
import json
from math import inf, isfinite
from typing import TYPE_CHECKING, Any

from ingest import IngestSettings
from rag.choices import kept
from rag.costs.accounting import Usage
from rag.costs.ownership import Cloud, Local, Use, break_even, mixed_month
from rag.costs.prices import list_version, price
from rag.errors import UnknownModelError
from rag.models.registry import Service, load

if TYPE_CHECKING:
    from rag.costs.ownership import Cheaper
    from rag.settings import RagSettings

MONTHS_OF_HOURS = 730.0


def add_to(commands: Any) -> None:
    """Add the command to an argument parser's commands."""
    text = "what a month costs on your own machine and with a provider, and where the two are equal"
    parser = commands.add_parser("ownership", help=text, description=text, epilog=_EPILOG)
    numbers = (
        ("--questions-per-day", 100.0, "questions on a day"),
        ("--days", 20.0, "days in a month on which they are asked"),
        ("--input-tokens", 3000.0, "tokens of a question with its passages"),
        ("--output-tokens", 250.0, "tokens of an answer"),
        ("--hardware-price", None, "price of the machine (SCHOLION_HARDWARE_PRICE)"),
        ("--months", None, "its lifetime in months (SCHOLION_HARDWARE_HOURS / 730)"),
        ("--watts", None, "power while it answers (SCHOLION_WATTS)"),
        ("--idle-watts", None, "power while idle (SCHOLION_IDLE_WATTS, or 0)"),
        ("--on-hours", MONTHS_OF_HOURS, "hours in a month in which it is on"),
        ("--kwh-price", None, "price of a kWh (SCHOLION_KWH_PRICE)"),
        ("--read-speed", None, "prompt tokens per second, as `compare` measures them"),
        ("--write-speed", None, "completion tokens per second, as `compare` measures them"),
        ("--upkeep", 0.0, "hours of upkeep of the machine in a month"),
        ("--cloud-upkeep", 0.0, "hours of upkeep with the provider in a month"),
        ("--wage", 0.0, "price of an hour of upkeep"),
        ("--input-price", None, "a provider's price of a million input tokens"),
        ("--output-price", None, "a provider's price of a million output tokens"),
        ("--fee", 0.0, "a provider's fee in a month"),
        ("--refined", None, "the share of answers that a provider refines, for `auto`"),
    )
    for name, default, meaning in numbers:
        shown = "" if default is None else f" (default: {default:g})"
        kind = _above_zero if name in {"--on-hours", "--months"} else float
        parser.add_argument(name, type=kind, default=default, metavar="X", help=meaning + shown)
    parser.add_argument("--cloud", metavar="NAME", help="a service of `python -m rag models`, priced by the price list")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.set_defaults(run=run)


def _above_zero(text: str) -> float:
    number = float(text)
    if not 0 < number < inf:
        raise argparse.ArgumentTypeError("must be above 0")
    return number


_EPILOG = "All formulas with their sources are in rag/costs/ownership.py. What is not given is unknown, not 0."


def run(options: argparse.Namespace) -> int:
    """Run the command; 0."""
    folder = IngestSettings().library.expanduser()
    use = Use.daily(
        options.questions_per_day,
        days=options.days,
        input_tokens=options.input_tokens,
        output_tokens=options.output_tokens,
    )
    local = _local(options, kept(folder).settings)
    input_price, output_price, source = options.input_price, options.output_price, "as given"
    if options.cloud:
        input_price, output_price, source = _listed(options.cloud, folder)
    cloud = Cloud(
        input_price=input_price,
        output_price=output_price,
        fee=options.fee,
        upkeep_hours=options.cloud_upkeep,
        wage=options.wage,
    )
    cheaper = break_even(use, local, cloud)
    told: dict[str, Any] = {
        "questions": use.questions,
        "local": local.month(use),
        "local_fixed": local.fixed(),
        "local_question": local.marginal(use),
        "kwh": local.kwh(use),
        "seconds": local.seconds(use),
        "utilisation": local.utilisation(use),
        "wait": local.wait(use),
        "most_questions": local.most_questions(use),
        "cloud": cloud.month(use),
        "cloud_question": cloud.question(use),
        "prices": source,
        "break_even": cheaper and (cheaper.below if isfinite(cheaper.below) else cheaper.above),
        "cheaper": cheaper and _side(cheaper),
        "mixed": None if options.refined is None else mixed_month(use, local, cloud, asked=options.refined),
    }
    if options.json:
        print(json.dumps(told, indent=1))
    else:
        _print(told, options, local, cloud)
    return 0


def _side(cheaper: Cheaper) -> str:
    """On which side of the break-even the machine is cheaper."""
    if isfinite(cheaper.below):
        return "below"
    return "above" if cheaper.above else "always"


def _local(options: argparse.Namespace, settings: RagSettings) -> Local:
    def given(name: str, setting: float | None) -> float | None:
        value = getattr(options, name)
        return setting if value is None else value

    return Local(
        price=given("hardware_price", settings.hardware_price),
        lifetime_months=options.months or settings.hardware_hours / MONTHS_OF_HOURS,
        watts=given("watts", settings.watts),
        idle_watts=given("idle_watts", settings.idle_watts) or 0.0,
        on_hours=options.on_hours,
        tariff=given("kwh_price", settings.kwh_price),
        read_speed=options.read_speed,
        write_speed=options.write_speed,
        upkeep_hours=options.upkeep,
        wage=options.wage,
    )


def _listed(name: str, folder: Any) -> tuple[float | None, float | None, str]:
    """A service's prices of a million tokens, and the list they are from.

    Raises:
        UnknownModelError: it is no service of the registry.
    """
    card = load(folder).card(name)
    if card is None or not isinstance(card.source, Service):
        raise UnknownModelError(f"{name} is no service in the list.", "`python -m rag models` lists the services.")
    million = 1_000_000
    found = []
    for usage in (Usage(million, 0), Usage(0, million)):
        if card.price:
            cost = price(usage, model=card.price.model, provider=card.price.provider)
        else:
            cost = price(usage, model=card.source.model, base_url=card.source.base_url)
        found.append(float(cost.usd) if cost else None)
    return found[0], found[1], list_version()


def _print(told: dict[str, Any], options: argparse.Namespace, local: Local, cloud: Cloud) -> None:
    rows = [
        ("Questions in a month", _count(told["questions"])),
        ("Your machine, a month", _money(told["local"])),
        ("  without a question", _money(told["local_fixed"])),
        ("  one more question", _money(told["local_question"], 5)),
        ("  one answer", "unknown" if told["seconds"] is None else f"{told['seconds']:.1f} s"),
        ("  in use", "unknown" if told["utilisation"] is None else f"{told['utilisation']:.1%}"),
        ("  mean wait", "unknown" if told["wait"] is None else f"{told['wait']:.1f} s"),
        (f"{options.cloud or 'Provider'}, a month", _money(told["cloud"])),
        ("  one question", _money(told["cloud_question"], 5)),
        ("  prices", told["prices"]),
    ]
    if told["mixed"] is not None:
        rows.append((f"Drafts here, {options.refined:.0%} refined there", _money(told["mixed"])))
    for name, value in rows:
        print(f"{name:32} {value}")
    at, most = told["break_even"], told["most_questions"]
    if told["cheaper"] == "always":
        print("\nYour machine is cheaper at every number of questions.")
    elif told["cheaper"] == "below":
        print(f"\nBoth cost the same at {at:,.0f} questions in a month; up to that your machine is cheaper.")
    elif at is not None:
        print(f"\nBoth cost the same at {at:,.0f} questions in a month; above that your machine is cheaper.")
        if most is not None and at > most:
            print(f"One machine answers at most {most:,.0f} questions in a month, so it is never cheaper.")
    elif told["local"] is not None and told["cloud"] is not None:
        print("\nYour machine is cheaper at no number of questions.")
    if most is not None and told["questions"] > most:
        print(f"One machine answers at most {most:,.0f} questions in a month, and you ask {told['questions']:,.0f}.")
    missing = [
        option
        for option, value in (
            ("--hardware-price", local.price),
            ("--watts", local.watts),
            ("--kwh-price", local.tariff),
            ("--read-speed", local.read_speed),
            ("--write-speed", local.write_speed),
            ("--input-price", cloud.input_price),
            ("--output-price", cloud.output_price),
        )
        if value is None
    ]
    if missing:
        print(f"\nMissing, so the sums are unknown: {', '.join(missing)}")


def _money(value: float | None, digits: int = 2) -> str:
    return "unknown" if value is None else f"{value:,.{digits}f}"


def _count(value: float) -> str:
    return f"{value:,.0f}"
