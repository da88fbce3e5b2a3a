"""Attempts to get round the gate, with real sockets: 127.0.0.2 and 127.0.0.3 are taken for machines elsewhere.

Each ends with nothing at the other side, or, after consent, with exactly what was shown and nothing anywhere else.
"""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import ipaddress
import json
import socket
import ssl
import subprocess

import httpx2
import pytest

from ingest.errors import UserFacingError
from listener import GOOD, listening, refusal, reply
from rag.costs.tokens import TokenCount
from rag.errors import ModelError, NotAllowedError
from rag.models.chat import DEFAULT_CONTEXT_WINDOW, Completion, EndpointChatModel, fixed
from rag.privacy import destination, transport
from rag.privacy.audit import LOG_FILE
from rag.privacy.destination import Destination, Endpoint
from rag.privacy.gate import Gate
from rag.privacy.permit import Payload, Permit
from rag.privacy.policy import POLICY_FILE, Policy, save_policy
from waiting import PATIENCE

ELSEWHERE = {"127.0.0.2", "127.0.0.3", "::ffff:127.0.0.2", "::ffff:7f00:2"}
PAPER = "0123456789abcdef"
TEXT = "The seedlings of the second plot were moved to the northern greenhouse in the first week of March 1987."
QUESTION = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is the capital of France?"}]


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch):
    """The seam: two addresses of loopback count as remote, so that a leak would be seen and go nowhere."""
    real = destination._one
    monkeypatch.setattr(destination, "_one", lambda address: "remote" if address in ELSEWHERE else real(address))


@pytest.fixture
def names(monkeypatch):
    """A name server: for each name a list of answers, given in turn, the last again and again; it counts look-ups."""
    known: dict[str, list[list[str]]] = {}
    asked: list[str] = []

    async def resolve(host, port):
        asked.append(host)
        if host in known:
            return known[host].pop(0) if len(known[host]) > 1 else known[host][0]
        try:
            return [socket.inet_ntoa(socket.inet_aton(host))]  # as getaddrinfo reads 2130706434, 0x7f.2 and 0177.0.0.2
        except OSError:
            raise socket.gaierror(-2, "Name or service not known") from None

    monkeypatch.setattr(destination, "resolve", resolve)
    known_names = known
    resolve.asked = asked
    return type("Names", (), {"known": known_names, "asked": asked})


@pytest.fixture
def gate(tmp_path):
    return Gate(tmp_path / "library", text_of=lambda paper: [f"Of plots. {TEXT} So it was."] if paper == PAPER else [])


@pytest.fixture
async def there():
    async with listening(host="127.0.0.2") as made:
        yield made


@pytest.fixture
async def third(there):
    async with listening(host="127.0.0.3", port=there.port) as made:
        yield made


def model_at(url: str, *, model: str = "large", key: str = "secret-key", **more) -> EndpointChatModel:
    return EndpointChatModel(fixed(Endpoint(url, model, key, **more)), name="The model", timeout=PATIENCE)


async def ask(model, messages=QUESTION, **more):
    pieces = [piece async for piece in model.stream(messages, **({"max_tokens": 12} | more))]
    assert isinstance(pieces[-1], Completion)
    return "".join(pieces[:-1])


def yes(word="once"):
    async def consent(payload):
        consent.shown.append(payload)
        return word

    consent.shown = []
    return consent


async def permit_for(gate, model, messages=QUESTION, *, consent=None, **more):
    payload = await gate.payload(messages, expert=model, max_tokens=12, **more)
    return await gate.permit(payload, consent=consent or yes(), chat="a")


async def nothing_from(there, asked, error=NotAllowedError) -> None:
    with pytest.raises(error):
        await asked
    await asyncio.sleep(0.02)
    assert there.connections == 0


# What must work: the shown payload, to the byte


async def test_after_consent_exactly_the_shown_payload_arrives(gate, there):
    gate.folder.mkdir()
    (gate.folder / "redact.txt").write_text("capital\n")
    messages = [*QUESTION, {"role": "user", "content": 'π ≈ 3 "quoted" \\ \u202e\u200b ﬁ ```\n\ttab 🧪'}]
    model, consent = model_at(there.url), yes()
    permit = await permit_for(gate, model, messages, consent=consent)
    assert there.connections == 0, "nothing before consent"
    assert await ask(model, permit.payload.messages, permit=permit) == "Paris"
    (shown,) = consent.shown
    assert there.bodies == [shown.text.encode()]
    assert b"capital" not in there.bodies[0]
    assert b"[redacted 1]" in there.bodies[0]
    head = there.heads[0].decode().lower().splitlines()
    assert head[0] == "post /v1/chat/completions http/1.1"
    assert {line.partition(":")[0] for line in head[1:] if line} == {
        "host", "accept", "accept-encoding", "connection", "content-type", "content-length", "user-agent",
        "authorization",
    }  # fmt: skip
    assert [line["event"] for line in gate.audit.entries()] == ["permitted", "answered"]
    assert gate.audit.entries()[0]["sha256"] == shown.sha256
    written = (gate.folder / LOG_FILE).read_text()
    assert "secret-key" not in written
    assert "France" not in written


async def test_a_server_that_refuses_a_parameter_gets_the_same_words_without_it(gate):
    async with listening(refusal("logprobs is not supported"), GOOD, host="127.0.0.2") as there:
        model = model_at(there.url)
        permit = await permit_for(gate, model)
        assert await ask(model, permit=permit) == "Paris"
        first, second = map(json.loads, there.bodies)
        assert there.bodies[0] == permit.payload.body
        assert second == {key: value for key, value in first.items() if key != "logprobs"}
        assert "logprobs" not in (await gate.payload(QUESTION, expert=model, max_tokens=12)).parameters


async def test_a_model_on_this_machine_is_asked_without_further_ado():
    async with listening() as here:
        for url in (here.url, here.named("localhost"), f"{here.url}/"):
            assert await ask(model_at(url)) == "Paris"


# Without a permit


async def test_attack_no_permit(there):
    await nothing_from(there, ask(model_at(there.url)))


@pytest.mark.parametrize("form", ["2130706434", "0x7f000002", "0x7f.0.0.2", "0177.0.0.2", "127.2", "017700000002"])
async def test_attack_another_way_to_write_the_number(there, names, form):
    await nothing_from(there, ask(model_at(there.named(form))), UserFacingError)


@pytest.mark.parametrize("form", ["[::ffff:127.0.0.2]", "[::ffff:7f00:2]", "[0:0:0:0:0:ffff:127.0.0.2]"])
async def test_attack_the_number_inside_an_ipv6_number(form):
    async with listening(host="127.0.0.2") as there:
        await nothing_from(there, ask(model_at(there.named(form))))


@pytest.mark.parametrize("form", ["0.0.0.0", "[::]", "[::1%25lo]", "[fe80::1%25lo]"])
async def test_attack_addresses_of_nobody_and_zones(form):
    async with listening() as here:
        await nothing_from(here, ask(model_at(here.named(form))), UserFacingError)


@pytest.mark.parametrize("name", ["localhost.evil.example", "127.0.0.1.evil.example", "evil", "127-0-0-1.evil.example"])
async def test_attack_a_name_that_looks_like_this_machine(there, names, name):
    names.known[name] = [["127.0.0.2"]]
    await nothing_from(there, ask(model_at(there.named(name))))


@pytest.mark.parametrize("name", ["localhost.", "evil.local", "evil.localhost", "printer"])
async def test_attack_a_name_of_the_own_machine_or_network_that_leads_elsewhere(there, names, name):
    names.known[name] = [["127.0.0.2"]]
    model = model_at(there.named(name))
    await nothing_from(there, ask(model))
    assert await model.count_tokens(QUESTION) > 0
    assert there.connections == 0


async def test_attack_one_good_address_and_one_bad(there, names):
    for answers in (["127.0.0.1", "127.0.0.2"], ["127.0.0.2", "127.0.0.1"]):
        names.known["both.example"] = [answers]
        await nothing_from(there, ask(model_at(there.named("both.example"))))


async def test_attack_rebinding_between_the_check_and_the_connection(there, names):
    names.known["turns.example"] = [["127.0.0.1"], ["127.0.0.2"]]
    async with listening(port=there.port) as here:
        assert await ask(model_at(there.named("turns.example"))) == "Paris"  # the address that was checked
        assert (here.connections, there.connections, names.asked) == (1, 0, ["turns.example"])
        await nothing_from(there, ask(model_at(there.named("turns.example"))))


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1@{}", "http://127.0.0.1:80@{}", "http://127.0.0.1\\@{}", "http://{}#@127.0.0.1",
     "http://{}?@127.0.0.1", "http://127.0.0.1%2f@{}", "ftp://{}", "file://{}", "unix://{}", "http+unix://{}", "//{}",
     "http:\\\\{}", "http:///{}", "ws://{}"],
)  # fmt: skip
async def test_attack_an_address_that_readers_take_differently(there, url):
    model = model_at(url.format(f"127.0.0.2:{there.port}/v1"))
    for call in (ask(model), model.count_tokens(QUESTION), model.context_window()):
        with pytest.raises(ModelError):
            await call
    assert there.connections == 0


async def test_attack_a_count_and_a_look_at_the_window_carry_nothing_away():
    props = reply(b'{"default_generation_settings": {"n_ctx": 2048}}', kind="application/json")
    async with listening(props, host="127.0.0.2") as there:
        model = model_at(there.url)
        assert await model.count_tokens(QUESTION) > 0
        assert await model.context_window() == DEFAULT_CONTEXT_WINDOW
        assert there.connections == 0


async def test_attack_a_forged_entry_that_says_machine(there):
    entry = json.loads(f'{{"base_url": "{there.url}", "model": "large", "api_key": "", "locality": "machine"}}')

    class Forged(Endpoint):
        locality = entry.pop("locality")

    async def connect():
        return Forged(**entry)

    await nothing_from(there, ask(EndpointChatModel(connect, name="local model", timeout=PATIENCE)))


@pytest.mark.parametrize("name", ["gpt-oss:120b-cloud", "glm-4.6:cloud", "X:CLOUD"])
async def test_attack_a_server_here_that_passes_it_on(gate, name):
    async with listening() as here:
        model = model_at(here.url, model=name)
        await nothing_from(here, ask(model))
        payload = await gate.payload(QUESTION, expert=model, max_tokens=12)
        assert payload.leaves
        with pytest.raises(NotAllowedError):
            await gate.permit(payload, consent=None, chat="a")
        consent = yes()
        permit = await gate.permit(payload, consent=consent, chat="a")
        assert await ask(model, permit=permit) == "Paris"
        assert here.bodies == [consent.shown[0].body]


# Redirects


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
async def test_attack_a_redirect_from_this_machine(there, status):
    moved = reply(status=status, more=f"Location: {there.url}/chat/completions\r\n")
    props = reply(b'{"default_generation_settings": {"n_ctx": 2048}}', kind="application/json")
    async with listening(moved) as here:
        await nothing_from(there, ask(model_at(here.url)), ModelError)
        await model_at(here.url).count_tokens(QUESTION)
        assert there.connections == 0
    async with listening(props, moved) as here:
        assert await model_at(here.url).count_tokens(QUESTION) > 0, "an estimate; another server is not asked"
        await asyncio.sleep(0.02)
        assert there.connections == 0
        assert here.connections == 2


@pytest.mark.parametrize("status", ["302 Found", "307 Temporary", "308 Permanent"])
async def test_attack_a_redirect_from_where_it_was_agreed_to(gate, third, status):
    moved = reply(status=status, more=f"Location: {third.url}/chat/completions\r\n")
    async with listening(moved, host="127.0.0.2") as there:
        model = model_at(there.url)
        await nothing_from(third, ask(model, permit=await permit_for(gate, model)), ModelError)
        assert there.connections == 1


async def test_attack_a_redirect_in_the_middle_of_the_answer(gate, third):
    half = GOOD.partition(b"data: [DONE]")[0].replace(b'"stop"', b"null")
    moved = half + reply(status="302 Found", more=f"Location: {third.url}/chat/completions\r\n")
    async with listening(moved, host="127.0.0.2") as there:
        model = model_at(there.url)
        await nothing_from(third, ask(model, permit=await permit_for(gate, model)), ModelError)


# The environment


async def test_attack_proxies_and_openai_variables_in_the_environment(gate, there, third, monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        for written in (name, name.lower()):
            monkeypatch.setenv(written, f"http://127.0.0.3:{third.port}")
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("OPENAI_BASE_URL", third.url)
    monkeypatch.setenv("OPENAI_API_KEY", "environment-key")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Mine: environment")
    monkeypatch.setenv("OPENAI_ORG_ID", "environment-org")
    async with listening() as here:
        assert await ask(model_at(here.url)) == "Paris"
    model = model_at(there.url, key="")
    permit = await permit_for(gate, model)
    assert await ask(model, permit=permit) == "Paris"
    assert there.bodies == [permit.payload.body]
    assert b"environment" not in there.heads[0]
    assert b"authorization" not in there.heads[0].lower()
    assert third.connections == 0


# Permits that are not for this


async def test_attack_a_permit_used_twice(gate, there):
    model = model_at(there.url)
    permit = await permit_for(gate, model)
    await ask(model, permit=permit)
    with pytest.raises(NotAllowedError, match="one request"):
        await ask(model, permit=permit)
    assert there.connections == 1


async def test_attack_a_permit_used_twice_at_the_same_time(gate, there):
    model = model_at(there.url)
    permit = await permit_for(gate, model)
    ended = await asyncio.gather(*(ask(model, permit=permit) for _ in range(8)), return_exceptions=True)
    assert ended.count("Paris") == 1
    assert there.connections == 1
    assert [line["event"] for line in gate.audit.entries()] == ["permitted", "answered"]


async def test_attack_an_old_permit(gate, there, monkeypatch):
    model = model_at(there.url)
    permit = await permit_for(gate, model)
    permit._until -= 61
    await nothing_from(there, ask(model, permit=permit))


async def test_attack_a_permit_of_ones_own_making(gate, there):
    model = model_at(there.url)
    payload = await gate.payload(QUESTION, expert=model, max_tokens=12)
    await nothing_from(there, ask(model, permit=Permit(payload, name="mine", audit=None)))


async def test_attack_a_copy_of_a_permit(gate, there):
    model = model_at(there.url)
    permit = await permit_for(gate, model)
    await nothing_from(there, ask(model, permit=copy.copy(permit)))


@pytest.mark.parametrize("shape", ["another question", "one more", "one less", "another role", "none"])
async def test_attack_other_messages_than_agreed(gate, there, shape):
    other = {
        "another question": [QUESTION[0], {"role": "user", "content": TEXT}],
        "one more": [*QUESTION, {"role": "user", "content": TEXT}],
        "one less": QUESTION[1:],
        "another role": [QUESTION[0], {"role": "assistant", "content": QUESTION[1]["content"]}],
        "none": [],
    }[shape]
    model = model_at(there.url)
    permit = await permit_for(gate, model)
    await nothing_from(there, ask(model, other, permit=permit))
    with pytest.raises(AttributeError):
        permit.payload = None


async def test_attack_another_model_than_agreed(gate, there):
    permit = await permit_for(gate, model_at(there.url))
    await nothing_from(there, ask(model_at(there.url, model="larger"), permit=permit))


async def test_attack_another_address_than_agreed(gate, there, third):
    permit = await permit_for(gate, model_at(there.url))
    await nothing_from(third, ask(model_at(third.url), permit=permit))
    assert there.connections == 0


async def test_attack_an_address_that_changes_after_consent(gate, there, third, names):
    names.known["turns.example"] = [["127.0.0.2"], ["127.0.0.3"]]
    model = model_at(there.named("turns.example"))
    permit = await permit_for(gate, model, consent=yes("chat"))
    assert await ask(model, permit=permit) == "Paris"
    assert (there.connections, third.connections) == (1, 0)
    with pytest.raises(NotAllowedError):  # without https, another address is another server
        await gate.permit(await gate.payload(QUESTION, expert=model, max_tokens=12), consent=None, chat="a")


async def test_attack_a_false_destination_leads_only_where_it_says(gate, there):
    """A payload for this machine needs no consent; its permit does not lead anywhere else."""
    forged = Destination(there.url, ("127.0.0.1",))
    payload = Payload(
        messages=tuple(QUESTION),
        model="large",
        destination=forged,
        parameters=(await gate.payload(QUESTION, expert=model_at(there.url), max_tokens=12)).parameters,
        input_tokens=TokenCount(9, exact=False),
        max_output_tokens=12,
    )
    permit = await gate.permit(payload, consent=None, chat="a")
    await nothing_from(there, ask(model_at(there.url), permit=permit), ModelError)


async def test_attack_more_than_agreed_after_a_refusal(gate):
    async with listening(refusal("logprobs is not supported"), GOOD, host="127.0.0.2") as there:
        model = model_at(there.url)
        permit = await permit_for(gate, model)
        async with httpx2.AsyncClient(transport=transport.CheckedTransport(there.url, permit=permit)) as http:
            await http.post(permit.payload.url, content=permit.payload.body)
            agreed = json.loads(permit.payload.body)
            for more in ({"user": TEXT}, {"temperature": 2.0}, {"messages": []}, {"max_completion_tokens": 9999}):
                with pytest.raises(NotAllowedError):
                    await http.post(permit.payload.url, json=agreed | more)
            for less in ("messages", "model", "stream"):
                with pytest.raises(NotAllowedError):
                    await http.post(permit.payload.url, json={k: v for k, v in agreed.items() if k != less})
        assert there.bodies == [permit.payload.body]


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v1/models"), ("POST", "/v1/files"), ("PUT", "/v1/chat/completions"),
                         ("POST", "/v1/chat/completions?q=text"), ("POST", "/v1/chat/completions/../files")],
)  # fmt: skip
async def test_attack_another_request_to_the_same_server(gate, there, method, path):
    permit = await permit_for(gate, model_at(there.url))
    async with httpx2.AsyncClient(transport=transport.CheckedTransport(there.url, permit=permit)) as http:
        url = there.url.removesuffix("/v1") + path
        await nothing_from(there, http.request(method, url, content=permit.payload.body))


async def test_attack_a_client_that_goes_to_another_host_through_the_same_door(there):
    async with listening() as here:
        async with httpx2.AsyncClient(transport=transport.CheckedTransport(here.url, permit=None)) as http:
            for url in (there.url, f"http://x@127.0.0.1:{here.port}/v1", f"https://127.0.0.1:{here.port}/v1"):
                await nothing_from(there, http.get(url))
        assert here.connections == 0


async def test_attack_text_in_the_parameters(gate, there):
    payload = await gate.payload(QUESTION, expert=model_at(there.url), max_tokens=12)
    with pytest.raises(ValueError, match="take the place"):
        dataclasses.replace(payload, parameters={"messages": [{"role": "user", "content": TEXT}]})
    save_policy(Policy(local_only=frozenset({PAPER})), gate.folder, gate.audit)
    hidden = dataclasses.replace(payload, parameters={"user": TEXT})
    await nothing_from(there, gate.permit(hidden, consent=yes(), chat="a"))


# Papers, policy, log


async def test_attack_a_local_only_papers_text_under_any_flag(gate, there):
    save_policy(Policy(local_only=frozenset({PAPER})), gate.folder, gate.audit)
    model, consent = model_at(there.url), yes("chat")
    hidden = [
        TEXT,
        TEXT.upper(),
        TEXT.replace(" ", "\n\n"),
        TEXT.replace(" ", "\u200b \u00a0"),
        " ".join(f"{word} [3]" for word in TEXT.split()),
        f"The draft: {TEXT[:80]}…",
        TEXT.replace("greenhouse", "green\u00adhouse"),
    ]
    for words in hidden:
        messages = [*QUESTION, {"role": "assistant", "content": words}]
        await nothing_from(there, permit_for(gate, model, messages, consent=consent))
    await nothing_from(there, permit_for(gate, model, consent=consent, paper_ids=[PAPER]))
    assert consent.shown == []


async def test_attack_the_policy_edited_by_hand(gate, there, tmp_path):
    save_policy(Policy("local only", frozenset({PAPER})), gate.folder, gate.audit)
    model, file = model_at(there.url), gate.folder / POLICY_FILE
    whole = file.read_text()
    (tmp_path / "mine.json").write_text(whole.replace("local only", "ask").replace(f'"{PAPER}"', ""))
    file.write_text((tmp_path / "mine.json").read_text())
    await nothing_from(there, permit_for(gate, model))
    file.unlink()
    await nothing_from(there, permit_for(gate, model))
    file.symlink_to(tmp_path / "mine.json")
    await nothing_from(there, permit_for(gate, model))


async def test_attack_a_log_that_goes_nowhere(gate, there):
    model = model_at(there.url)
    gate.folder.mkdir(parents=True)
    (gate.folder / LOG_FILE).symlink_to("/dev/null")
    await nothing_from(there, permit_for(gate, model))
    (gate.folder / LOG_FILE).unlink()
    (gate.folder / LOG_FILE).symlink_to("/dev/full")
    await nothing_from(there, permit_for(gate, model))
    (gate.folder / LOG_FILE).unlink()
    (gate.folder / LOG_FILE).mkdir()
    await nothing_from(there, permit_for(gate, model))


# Stop, failure, https


async def test_stop_closes_the_permit_and_is_noted(gate):
    async with listening(GOOD.partition(b"data: [DONE]")[0], host="127.0.0.2") as there:
        model = model_at(there.url)
        permit = await permit_for(gate, model)
        pieces = model.stream(QUESTION, max_tokens=12, permit=permit)
        assert await anext(pieces) == "Paris"
        await pieces.aclose()
        assert [line["event"] for line in gate.audit.entries()] == ["permitted", "stopped"]
        with pytest.raises(NotAllowedError):
            await ask(model, permit=permit)


async def test_a_server_that_is_not_there_costs_no_call(gate):
    async with listening(host="127.0.0.2") as there:
        pass
    model = model_at(there.url)
    with pytest.raises(ModelError):
        await ask(model, permit=await permit_for(gate, model))
    assert [line["event"] for line in gate.audit.entries()] == ["permitted", "not sent"]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=models.example",
         "-addext", "subjectAltName=DNS:models.example", "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=folder, capture_output=True, check=False,
    )  # fmt: skip
    if made.returncode:
        pytest.skip("openssl makes no certificate here")
    return folder


async def test_https_goes_to_the_checked_number_and_proves_the_name(gate, names, certificate, monkeypatch):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    monkeypatch.setattr(transport, "authorities", lambda: ssl.create_default_context(cafile=certificate / "cert.pem"))
    for name in ("models.example", "evil.example"):
        names.known[name] = [["127.0.0.2"], ["127.0.0.1"]]
    async with listening(host="127.0.0.2", ssl=context) as there:
        model = model_at(f"https://models.example:{there.port}/v1")
        permit = await permit_for(gate, model)
        assert await ask(model, permit=permit) == "Paris"
        assert there.bodies == [permit.payload.body]
        assert f"host: models.example:{there.port}" in there.heads[0].decode().lower()
        false = model_at(f"https://evil.example:{there.port}/v1")
        with pytest.raises(ModelError):
            await ask(false, permit=await permit_for(gate, false))
        assert len(there.bodies) == 1, "a certificate for another name: no byte of the request"


async def test_https_with_the_usual_authorities_trusts_no_stranger(gate, names, certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    names.known["models.example"] = [["127.0.0.2"]]
    async with listening(host="127.0.0.2", ssl=context) as there:
        model = model_at(f"https://models.example:{there.port}/v1")
        with pytest.raises(ModelError):
            await ask(model, permit=await permit_for(gate, model))
        assert there.bodies == []


def test_the_seam_changes_two_addresses_and_no_other():
    assert destination.locality_of(["127.0.0.2"]) == "remote"
    assert destination.locality_of(["127.0.0.1"]) == "machine"
    assert ipaddress.ip_address("127.0.0.2").is_loopback
