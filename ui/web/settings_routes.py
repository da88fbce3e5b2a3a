"""The settings page and what it asks for: choose, test and download models, keep keys, change values."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from fastapi.responses import HTMLResponse
from pydantic import ValidationError

from ingest import UserFacingError
from rag.choices import Choices, Server
from rag.errors import ModelFileError, ModelUnreachableError, NotAllowedError, QuestionError, UnknownModelError
from rag.keys import Keys
from rag.models.local import embedded_drafter
from rag.models.machine import this_machine
from rag.models.onnx import INSTALL, missing
from rag.models.onnx.folder import converted, is_onnx
from rag.models.open import open_model
from rag.models.registry import load
from rag.models.replies import checked_key
from rag.models.resolve import FOLDER, ModelFile, ModelServer, addresses, resolve
from rag.models.trial import QUESTION, payload_for, tried
from rag.privacy import Gate, consent_facts
from rag.privacy.consent import as_agreed, seal
from rag.privacy.destination import checked, is_here
from rag.servers import discover, served
from rag.texts import _
from ui import core
from ui.web import pages
from ui.web import settings_state as shown
from ui.web.in_sentences import InSentences

if TYPE_CHECKING:
    from rag.models.chat import ChatModel

ROLES = ("drafter", "expert")

UNKNOWN_WINDOW = 4096
"""Tokens assumed if a server does not say how many it reads."""

WIDEST = 32_768
"""More than any prompt of a draft needs."""

LOOK_SECONDS = 5.0
"""How long a server here may take to say what it serves."""

TEST_SECONDS = 180.0
"""The longest wait for the answer of a test, loading included."""

_one_list = asyncio.Lock()
"""Held from reading the list of addresses until it is written: two pages may change it at once."""

_BODY = """<p class="alone"><a href="/">← Back to the chat</a></p>
<h1>Settings</h1>
<p class="faint">Models, keys, and how answers are made. Changes apply from your next question on.</p>
<div id="settings"><p class="faint">Loading …</p></div>
<noscript><p>This page needs JavaScript. Every setting is also an environment variable: docs/settings.md.</p></noscript>
"""


def router() -> APIRouter:
    """The routes; whoever includes them requires a login."""
    made = APIRouter(route_class=InSentences)
    made.add_api_route("/settings", _page, methods=["GET"])
    made.add_api_route("/settings/state", shown.state, methods=["GET"])
    made.add_api_route("/settings/servers", _servers, methods=["GET"])
    made.add_api_route("/settings/pulls", _pulls, methods=["GET"])
    for name, act in (
        ("choose", _choose),
        ("test", _test),
        ("server", _add_server),
        ("server/forget", _forget_server),
        ("value", _value),
        ("pull", _pull),
        ("pull/stop", _stop_pull),
        ("offer/decline", _decline),
    ):
        made.add_api_route(f"/settings/{name}", act, methods=["POST"])
    return made


def _page() -> HTMLResponse:
    return HTMLResponse(pages.frame("Settings", _BODY, script="settings.js", styles=("settings.css",)))


async def _servers() -> dict[str, Any]:
    engines, machine = await discover(), await asyncio.to_thread(this_machine)
    return {"servers": [shown.engine_row(engine, machine) for engine in engines]}


async def _choose(body: dict[str, Any]) -> dict[str, Any]:
    """Make a model the drafter or the larger model; without a model, the built-in one or none."""
    role, setting = str(body.get("role")), _text(body, "model")
    if role not in ROLES:
        raise QuestionError("There is no such role.", "Reload the page.")
    _free(role)
    changes: dict[str, Any] = {role: setting or None}
    if setting:
        found = await _known(setting)
        if isinstance(found, ModelFile) and is_onnx(found.path) and missing("onnxruntime_genai", "onnxruntime"):
            raise ModelFileError(f"{found.name} needs onnxruntime-genai, which is not installed.", INSTALL)
        if isinstance(found, ModelServer):
            window = await _checked_server(found, drafter=role == "drafter")
            if role == "drafter":
                changes["drafter_context"] = max(1024, min(window or UNKNOWN_WINDOW, WIDEST))
    if role == "drafter" and "drafter_context" not in changes:
        changes["drafter_context"] = None
    await core.serving().choose(**changes)
    return await asyncio.to_thread(shown.state)


async def _checked_server(found: ModelServer, *, drafter: bool) -> int | None:
    """The context window a server here reports for a model; None if unknown, or if it is elsewhere.

    Raises:
        NotAllowedError: it cannot have this role, because questions would leave the machine.
        UnknownModelError: it does not answer questions.
    """
    if not await is_here(found.base_url):
        if drafter:
            raise NotAllowedError(
                "The drafter reads every question, so it must run on this machine.",
                "Use this model as the larger model: it is asked only when you agree.",
            )
        return found.context_window
    try:
        one = await served(found.base_url, model=found.model or "", seconds=LOOK_SECONDS)
    except TimeoutError as error:
        raise ModelUnreachableError(f"{found.base_url} did not answer in time.", "Try again in a moment.") from error
    if one and one.relayed_to:
        raise NotAllowedError(
            f"{found.model} does not run here: its server passes questions on to {one.relayed_to}.",
            "Choose a model that runs here, or add its provider's own address; then you are asked first.",
        )
    if one and not one.chat:
        raise UnknownModelError(f"{found.model} only makes embeddings.", "Choose a model that writes.")
    return one.context_window if one else found.context_window


async def _known(setting: str) -> Any:
    """What a setting from the page stands for: an address, a name of the registry, or a model in `models/`.

    Raises:
        UserFacingError: it is nothing of these. A path is not taken from a page.
    """
    folder = core.library().folder
    registry = await asyncio.to_thread(load, folder)
    if len(addresses(setting)) > 1:
        raise UnknownModelError(
            "Here, only one server can be chosen.", "Several can be listed in `.env` (docs/scale.md)."
        )
    if "://" not in setting and registry.card(setting) is None and not _is_file_in_models(setting):
        raise UnknownModelError("There is no such model here.", "Reload the page.")
    found = await asyncio.to_thread(resolve, setting, registry=registry, library=folder)
    if isinstance(found, ModelServer):
        checked(found.base_url)
    return found


def _is_file_in_models(name: str) -> bool:
    folder = core.library().folder / FOLDER
    with suppress(OSError, ValueError):
        return any(path.name == name for path in (*folder.glob("*.gguf"), *converted(core.library().folder)))
    return False


async def _test(body: dict[str, Any]) -> dict[str, Any]:
    """Ask a model a short question. If it is elsewhere, first say what would be sent; `agreed` stands for it."""
    setting, agreed = _text(body, "model"), _text(body, "agreed")
    with core.answering() as assistant:
        now = core.serving().kept.settings
        gate = Gate.of(core.library(), now, like=assistant.gate)
        server = None
        if setting == (now.drafter or ""):
            model: ChatModel = assistant.drafter
        elif assistant.expert and setting == now.expert:
            model = assistant.expert.model
        else:
            if setting:
                await _known(setting)
            opened = await asyncio.to_thread(
                open_model,
                setting or str(embedded_drafter()),
                library=core.library().folder,
                context=None,
                file_context=2048,
                slots=1,
                threads=now.drafter_threads,
                timeout=now.timeout_seconds,
                key=await asyncio.to_thread(_key_of, setting),
            )
            model, server = opened.model, opened.server
        try:
            payload = await payload_for(model, gate)
            if payload and seal(payload) != agreed:
                facts = consent_facts(payload, titles={})
                return {"consent": facts, "text": payload.text, "agree": seal(payload)}
            found = await tried(model, seconds=TEST_SECONDS, gate=gate, consent=as_agreed({agreed}))
        finally:
            if server:
                await server.close()
    return {
        "question": QUESTION,
        "text": found.text,
        "seconds": found.seconds,
        "tokens_per_second": found.tokens_per_second,
    }


def _key_of(setting: str) -> str:
    server = core.serving().kept.choices.server(setting)
    return Keys(core.library().folder).of(server.base_url, server.key) if server and server.key else ""


async def _add_server(body: dict[str, Any]) -> dict[str, Any]:
    """Keep an address that was typed in, and its key."""
    address, model = _text(body, "address"), _text(body, "model")
    if address and "#" not in address and model:
        address = f"{address}#{model}"
    folder = core.library().folder
    key = checked_key(_text(body, "key"), name=model or "this server")
    try:
        found = await asyncio.to_thread(resolve, address, registry=load(folder), library=folder)
    except UserFacingError as error:
        raise _bad_address() from error
    if not isinstance(found, ModelServer):
        raise _bad_address()
    checked(found.base_url)
    if not found.model:
        raise UnknownModelError("Which model should be used?", "Enter its name as the server knows it.")
    setting = f"{found.base_url}#{found.model}"
    async with _one_list:
        choices = core.serving().kept.choices
        before = next((server for server in choices.servers if server.base_url == found.base_url), None)
        place = before.key if before else None
        if key:
            place = await asyncio.to_thread(Keys(folder).put, found.base_url, key)
        same = [
            server.model_copy(update={"key": place}) if server.base_url == found.base_url else server
            for server in choices.servers
            if server.setting != setting
        ]
        await core.serving().choose(
            servers=[*(s.model_dump() for s in same), Server(setting=setting, key=place).model_dump()]
        )
    return {**await asyncio.to_thread(shown.state), "added": setting}


def _bad_address() -> UserFacingError:
    return UnknownModelError(
        "The address is not valid.", "Write it like http://localhost:11434/v1 or https://api.openai.com/v1."
    )


async def _forget_server(body: dict[str, Any]) -> dict[str, Any]:
    """Remove an address, and its key if no other model there needs it. A role it had ends."""
    setting = _text(body, "model")
    async with _one_list:
        choices = core.serving().kept.choices
        server = choices.server(setting)
        if server is None:
            raise UnknownModelError("This address is no longer in the list.", "Reload the page.")
        kept = [other for other in choices.servers if other is not server]
        changes: dict[str, Any] = {role: None for role in ROLES if getattr(choices, role) == setting}
        await core.serving().choose(servers=[other.model_dump() for other in kept], **changes)
        if all(other.base_url != server.base_url for other in kept):
            await asyncio.to_thread(Keys(core.library().folder).forget, server.base_url)
    return await asyncio.to_thread(shown.state)


async def _value(body: dict[str, Any]) -> dict[str, Any]:
    """Change one value; null for its default."""
    name, value = _text(body, "name"), body.get("value")
    spec = next((spec for spec in shown.VALUES if spec.name == name), None)
    if spec is None:
        raise QuestionError("There is no such setting.", "Reload the page.")
    _free(name)
    try:
        Choices.model_validate({name: value})
    except ValidationError as error:
        raise QuestionError(_("{label} must be {range}.").format(label=_(spec.label), range=_range(spec))) from error
    await core.serving().choose(**{name: value})
    return await asyncio.to_thread(shown.state)


def _range(spec: shown.Value) -> str:
    if spec.options:
        return _(" or ").join(_(label).lower() for _name, label in spec.options)
    low, high = f"{spec.low:g}", f"{spec.high:g}" if spec.high is not None else None
    if high is None:
        what = _("a whole number of at least {low}") if spec.step >= 1 else _("a number of at least {low}")
        return what.format(low=low)
    what = _("a whole number from {low} to {high}") if spec.step >= 1 else _("a number from {low} to {high}")
    return what.format(low=low, high=high)


async def _pull(body: dict[str, Any]) -> dict[str, Any]:
    """Download a model from the host that the user agreed to."""
    name, host = _text(body, "name"), _text(body, "host")
    card = (await asyncio.to_thread(load, core.library().folder)).card(name)
    if card is None:
        raise UnknownModelError("There is no such model.", "Reload the page.")
    pull = await asyncio.to_thread(shown.pulls().start, card, host=host, proxy=core.serving().kept.settings.proxy)
    return shown.pull_row(pull)


async def _stop_pull(body: dict[str, Any]) -> dict[str, Any]:
    pull = shown.pulls().of(_text(body, "name"))
    if pull is None:
        raise UnknownModelError("This model is not being downloaded.")
    pull.stop()
    return shown.pull_row(pull)


async def _pulls() -> dict[str, Any]:
    return {name: shown.pull_row(pull) for name, pull in shown.pulls().all().items()}


async def _decline() -> dict[str, Any]:
    await core.serving().choose(offer_declined=True)
    return {"declined": True}


def _free(name: str) -> None:
    """Raise if an environment variable decides this."""
    if name in core.serving().kept.fixed:
        raise NotAllowedError(
            f"{shown.variable(name)} is set in the environment or in .env, so it decides.",
            "Remove it there and restart Scholion to choose here.",
        )


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    return value.strip()[:2000] if isinstance(value, str) else ""
