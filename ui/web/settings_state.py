"""What the settings page shows, as JSON: models, addresses, downloads, values. No key is ever part of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from ingest import UserFacingError
from rag.commands.discover import widening
from rag.commands.models import size_words
from rag.keys import Keys
from rag.models.hardware_fit import served_fits
from rag.models.machine import in_words, this_machine
from rag.models.offers import offers, on_disk
from rag.models.pulls import RUNNING, Pulls, hub_host
from rag.models.registry import Registry, Service, load
from rag.privacy.audit import AuditLog
from rag.privacy.budget import spent
from rag.privacy.policy import load_policy
from rag.reading.reader import trained_reader
from rag.texts import N_, _, counted, dollars, ngettext, number, said, value
from ui import core

if TYPE_CHECKING:
    from pathlib import Path

    from rag.choices import Server
    from rag.models.machine import Machine
    from rag.models.pulls import Pull
    from rag.privacy.budget import Spent
    from rag.servers import Engine, ServedModel

FITS = {
    "yes": N_("fits in memory"),
    "tight": N_("only just fits in memory"),
    "no": N_("too large for the memory that is free now"),
    None: N_("size unknown"),
}


@dataclass(frozen=True, slots=True)
class Value:
    """A value that can be changed on the page."""

    name: str
    label: str
    meaning: str
    kind: Literal["number", "choice"] = "number"
    low: float = 0
    high: float | None = None
    step: float = 1
    options: tuple[tuple[str, str], ...] = ()
    unset: str = N_("no limit")
    """What an empty field means."""


VALUES = (
    Value(
        "top_k", N_("Passages"), N_("How many passages of your papers a model reads for a question."), low=1, high=50
    ),
    Value(
        "answers",
        N_("Answers"),
        N_("In the words of your papers, or in the drafter's own words. Automatic quotes with the built-in drafter."),
        kind="choice",
        options=(("", N_("Automatic")), ("quoted", N_("Quoted")), ("written", N_("Written"))),
    ),
    Value(
        "max_output_tokens",
        N_("Longest answer"),
        N_("In tokens; 100 tokens are about 75 words. Longer answers take longer."),
        low=16,
        high=4096,
        step=16,
    ),
    Value(
        "temperature",
        N_("Temperature"),
        N_("0 always takes the most likely word. Higher values vary the wording and make more mistakes."),
        high=1,
        step=0.1,
    ),
    Value(
        "answer_floor",
        N_("Answer floor"),
        N_(
            "Below this probability, Scholion says that your papers do not answer. "
            "Lower it to see more doubtful answers."
        ),
        high=1,
        step=0.05,
    ),
    Value(
        "budget_day_calls", N_("Calls per day"), N_("The most questions a day to a model that is not on this machine.")
    ),
    Value("budget_month_calls", N_("Calls per month"), N_("The same for a calendar month.")),
    Value(
        "budget_day_usd",
        N_("US dollars per day"),
        N_("If set, models whose price is unknown are not asked."),
        step=0.01,
    ),
    Value("budget_month_usd", N_("US dollars per month"), N_("The same for a calendar month."), step=0.01),
)

ELSEWHERE = (
    ("timeout_seconds", N_("Longest wait for the next word, in seconds")),
    ("expert_seconds", N_("Longest wait for the larger model's answer, in seconds")),
    ("expert_output_tokens", N_("Longest answer from the larger model, in tokens")),
    ("drafter_slots", N_("Answers that Scholion's own drafter writes at once")),
    ("drafter_threads", N_("Processor threads of Scholion's own models")),
)
"""Settings that are read at the start only."""


@cache
def pulls() -> Pulls:
    """The downloads of this process."""
    return Pulls(core.library().folder)


def state() -> dict[str, Any]:
    """Everything but the servers found on this machine."""
    serving, folder, machine = core.serving(), core.library().folder, this_machine()
    registry, now = load(folder), serving.kept
    return {
        "drafter": _role("drafter"),
        "expert": _role("expert"),
        "faults": [said(fault) for fault in (*filter(None, (now.fault, serving.trouble)), *registry.faults)],
        "machine": _machine(machine),
        "files": [
            {
                "setting": file.setting,
                "detail": f"{_size(file.n_bytes)} · {_(FITS[file.fits])}",
                "licence": file.licence,
            }
            for file in on_disk(registry, machine, folder)
        ],
        "servers": [_typed(server) for server in now.choices.servers],
        "providers": _providers(registry),
        "key_place": Keys(folder).place(),
        "downloads": _downloads(registry, machine, folder),
        "values": [_value(value) for value in VALUES],
        "elsewhere": [
            {"label": _(label), "variable": variable(name), "value": getattr(now.settings, name)}
            for name, label in ELSEWHERE
        ],
        "privacy": _privacy(folder),
        "declined": now.choices.offer_declined,
    }


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return f"SCHOLION_{name.upper()}"


def engine_row(engine: Engine, machine: Machine) -> dict[str, Any]:
    """A server found on this machine, with its models."""
    return {
        "name": " ".join(filter(None, (engine.name, engine.version))),
        "address": engine.base_url,
        "locked": engine.locked,
        "note": engine.note and said(engine.note),
        "models": [_served(engine, model, machine) for model in engine.models],
    }


def _served(engine: Engine, model: ServedModel, machine: Machine) -> dict[str, Any]:
    window = _("context window not reported")
    if model.context_window:
        window = _("reads {n} tokens").format(n=number(model.context_window))
    size = [_size(model.weights_bytes)] if model.weights_bytes else []
    fit = _(FITS[served_fits(model.weights_bytes, machine)])
    refused = None
    if model.relayed_to:
        refused = _("Not offered: the server passes questions on to {place}.").format(place=model.relayed_to)
    elif not model.chat:
        refused = _("Not offered: it only makes embeddings.")
    return {
        "setting": f"{engine.base_url}#{model.id}",
        "name": model.id,
        "detail": " · ".join(size if refused else [*size, fit, window]),
        "refused": refused,
        "advice": said(widening(engine, model) or "") or None,
    }


def _role(role: Literal["drafter", "expert"]) -> dict[str, Any]:
    serving = core.serving()
    assistant, now = serving.current, serving.kept
    setting: str | None = getattr(now.settings, role)
    if role == "drafter":
        name: str | None = assistant.drafter.name
        problem = serving.trouble
    else:
        name = assistant.expert.name if assistant.expert else None
        problem = assistant.no_expert if setting and not assistant.expert else None
    address = setting.partition("#")[0] if setting and "://" in setting else setting
    return {
        "name": name,
        "setting": None if problem and role == "drafter" else setting,
        "address": address,
        "fixed": variable(role) if role in now.fixed else None,
        "problem": problem and said(problem),
    }


def _typed(server: Server) -> dict[str, Any]:
    base, _hash, model = server.setting.partition("#")
    return {
        "setting": server.setting,
        "address": base,
        "name": model,
        "key": server.key,
        "plain": base.startswith("http:"),
    }


def _providers(registry: Registry) -> list[dict[str, Any]]:
    """The services of the registry: address and models."""
    rows: dict[str, list[str]] = {}
    for card in registry.cards:
        if isinstance(card.source, Service):
            rows.setdefault(card.source.base_url, []).append(card.source.model)
    return [{"address": url, "name": urlsplit(url).hostname, "models": models} for url, models in rows.items()]


def _downloads(registry: Registry, machine: Machine, folder: Path) -> list[dict[str, Any]]:
    rows = []
    for offer in offers(registry, machine, folder):
        card, licence = offer.card, offer.card.licence
        speed = None
        if offer.seconds:
            speed = _("reads a question's passages in about {n} s").format(n=number(max(1, round(offer.seconds))))
        rows.append(
            {
                "name": card.name,
                "size": _size(card.weights_bytes),
                "detail": " · ".join(
                    filter(
                        None,
                        (
                            _("{n} parameters").format(n=_many(size_words(card))),
                            _(FITS[offer.fits]),
                            _("{size} of memory").format(size=_size(offer.memory)),
                            speed,
                        ),
                    )
                ),
                "good_for": said(offer.good_for),
                "recommended": offer.recommended,
                "licence": licence.name if licence else _("unknown licence"),
                "terms": said(licence.terms) if licence else "",
                "commercial": licence.commercial if licence else "no",
                "roles": list(card.roles),
                "arrived": offer.arrived,
                "host": hub_host(offer.source),
                "repository": offer.source.repository,
                "pull": pull_row(pull) if (pull := pulls().of(card.name)) else None,
            }
        )
    return rows


def pull_row(pull: Pull) -> dict[str, Any]:
    """A download's progress."""
    left = pull.seconds_left
    return {
        "state": pull.state,
        "running": pull.state in RUNNING,
        "here": pull.here,
        "total": pull.total,
        "words": _("{n} of {total}").format(n=_size(pull.here), total=_size(pull.total))
        + (_(", about {time} left").format(time=_duration(left)) if left is not None else ""),
        "said": said(pull.said),
    }


def _size(n_bytes: int | None) -> str:
    return value(in_words(n_bytes))


def _many(words: str) -> str:
    """Millions and billions, which no two languages shorten alike."""
    words = re.sub(r"\d+\.\d+(?= B)", lambda found: value(found[0]), words)
    return words.replace(" M", _(" M")).replace(" B", _(" B")).replace("active", _("active"))


def _duration(seconds: float) -> str:
    return f"{max(1, round(seconds))} s" if seconds < 90 else f"{round(seconds / 60)} min"


def _value(value: Value) -> dict[str, Any]:
    now = core.serving().kept
    unset = _(value.unset)
    if value.name == "answer_floor":
        reader = trained_reader()
        unset = _("as measured")
        if reader:
            unset = _("{n} (measured)").format(n=number(reader.calibration.floor, 2))
    field = type(now.settings).model_fields[value.name]
    return {
        "name": value.name,
        "label": _(value.label),
        "meaning": _(value.meaning),
        "kind": value.kind,
        "low": value.low,
        "high": value.high,
        "step": value.step,
        "options": [(name, _(label)) for name, label in value.options],
        "unset": unset,
        "value": getattr(now.settings, value.name),
        "default": field.default,
        "chosen": getattr(now.choices, value.name) is not None and value.name not in now.fixed,
        "fixed": variable(value.name) if value.name in now.fixed else None,
    }


def _privacy(folder: Path) -> dict[str, Any]:
    try:
        log = AuditLog(folder)
        policy, entries, now = load_policy(folder, log), log.entries(), datetime.now(UTC)
    except UserFacingError as error:
        return {"policy": None, "said": said(str(error))}
    day, month = (spent(entries, since=f"{now:{since}}") for since in ("%Y-%m-%d", "%Y-%m"))
    told = (
        _("This library is local only: nothing in it leaves this machine.")
        if policy.library == "local only"
        else _("Nothing leaves this machine without your consent.")
    )
    if policy.local_only:
        n = len(policy.local_only)
        told += " " + ngettext("{n} paper never leaves.", "{n} papers never leave.", n).format(n=number(n))
    used = _("Sent today (UTC): {calls}, {usd}. This month: {month_calls}, {month_usd}.").format(
        calls=counted(day.calls, "call"),
        usd=_money(day),
        month_calls=counted(month.calls, "call"),
        month_usd=_money(month),
    )
    if database := core.settings().chat_database:
        told += f" {said(database.sentence)}"
    return {"policy": policy.library, "said": told, "used": used}


def _money(used: Spent) -> str:
    if used.known_usd is None:
        return _("price unknown")
    known = dollars(f"{used.usd:.4f}")
    if not used.unpriced:
        return known
    n = used.unpriced
    told = ngettext("{usd} and {n} call of unknown price", "{usd} and {n} calls of unknown price", n)
    return told.format(usd=known, n=number(n))


def _machine(machine: Machine) -> str:
    words = _("{free} of {total} memory free, {n} cores").format(
        free=_size(machine.ram_available), total=_size(machine.ram_total), n=machine.cores
    )
    if machine.gpu:
        words += _(", {gpu} with {free} of {total} free").format(
            gpu=machine.gpu, free=_size(machine.vram_free), total=_size(machine.vram_total)
        )
    return f"{words}."
