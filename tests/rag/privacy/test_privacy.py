"""The gate: what may leave, who agreed, what it may cost, and what is written down."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime

import pytest

from fakes import ScriptedChatModel, ScriptedUser, UntouchedChatModel
from rag.errors import ModelUnreachableError, NotAllowedError
from rag.privacy import budget
from rag.privacy.audit import HEAD_FILE, LOG_FILE, AuditError, AuditLog
from rag.privacy.budget import BudgetLimits
from rag.privacy.destination import Destination, locality_of, locate
from rag.privacy.gate import Gate
from rag.privacy.policy import POLICY_FILE, Policy, load_policy, recovered_policy, save_policy
from rag.privacy.redaction import parse_redaction

AWAY = Destination("https://models.example.com/v1", ("203.0.113.7",))
SECRET = "The seedlings of the second plot were moved to the northern greenhouse in the first week of March 1987."
PAGES = {"0123456789abcdef": [f"Of the plots. {SECRET} They were watered twice.", "A second page."]}
QUESTION = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "When were they moved?"}]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "library"


@pytest.fixture
def gate(folder):
    return Gate(folder, text_of=lambda paper: PAGES.get(paper, []))


def expert(**more) -> ScriptedChatModel:
    return ScriptedChatModel("Yes.", "Yes.", "Yes.", name="large", **({"destination": AWAY} | more))


async def payload_of(gate, messages=QUESTION, *, papers=(), price=None, **more):
    made = await gate.payload(messages, expert=expert(**more), max_tokens=20, paper_ids=papers)
    return dataclasses.replace(made, price=price)


async def refused(gate, payload, *, consent=None, chat="a") -> str:
    with pytest.raises(NotAllowedError) as caught:
        await gate.permit(payload, consent=consent, chat=chat)
    assert caught.value.message.endswith(".")
    return str(caught.value)


def events(gate) -> list[str]:
    return [line["event"] for line in gate.audit.entries()]


# Where an address leads


@pytest.mark.parametrize(
    ("address", "locality"),
    [
        ("127.0.0.1", "machine"), ("127.9.8.7", "machine"), ("::1", "machine"), ("::ffff:127.0.0.1", "machine"),
        ("10.0.0.1", "network"), ("172.16.0.1", "network"), ("172.31.255.255", "network"), ("192.168.1.1", "network"),
        ("169.254.169.254", "network"), ("fe80::1", "network"), ("fe80::1%eth0", "network"), ("fd00::1", "network"),
        ("::ffff:192.168.1.1", "network"),
        ("8.8.8.8", "remote"), ("172.32.0.1", "remote"), ("::ffff:8.8.8.8", "remote"), ("2001:db8::1", "remote"),
        ("0.0.0.0", "remote"), ("::", "remote"), ("::1%eth0", "remote"), ("64:ff9b::7f00:1", "remote"),
        ("2002:7f00:1::", "remote"), ("::127.0.0.1", "remote"), ("100.64.0.1", "remote"), ("nonsense", "remote"),
        ("", "remote"),
    ],
)  # fmt: skip
def test_the_number_decides_the_locality(address, locality):
    assert locality_of([address]) == locality


def test_one_address_elsewhere_or_none_at_all_is_elsewhere():
    assert locality_of(["127.0.0.1", "8.8.8.8"]) == "remote"
    assert locality_of(["127.0.0.1", "10.0.0.1"]) == "remote"
    assert locality_of([]) == "remote"


def test_a_destination_cannot_be_labelled():
    with pytest.raises(TypeError):
        Destination("http://8.8.8.8/v1", ("8.8.8.8",), locality="machine")
    with pytest.raises(AttributeError):
        object.__setattr__(Destination("http://8.8.8.8/v1", ("8.8.8.8",)), "locality", "machine")


@pytest.mark.parametrize(
    "url",
    [
        "", "models", "127.0.0.1:1/v1", "ftp://127.0.0.1/v1", "file:///etc/passwd", "unix:///run/model.sock", "http://",
        "http+unix://%2Frun%2Fmodel.sock/v1", "http://127.0.0.1@evil.example/v1", "http://user:pass@127.0.0.1/v1",
        "http://127.0.0.1\\@evil.example/v1", "http://127.0.0.1#@evil.example", "http://127.0.0.1?@evil.example/v1",
        "http://127.0.0.1\t.evil.example/v1", "http://evil.example\r\nHost: 127.0.0.1/v1", "http://１２７.0.0.1/v1",
        "http://[fe80::1%25lo]/v1", "http://[::1/v1", "http://127.0.0.1:99999/v1", "http://127.0.0.1:0/v1",
    ],
)  # fmt: skip
async def test_an_address_that_two_readers_might_take_differently_is_none(url):
    with pytest.raises(ModelUnreachableError) as caught:
        await locate(url)
    assert "pass" not in str(caught.value)


async def test_localhost_and_numbers_in_any_writing_are_judged_by_what_they_resolve_to():
    for host in ("localhost", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "LOCALHOST"):
        assert (await locate(f"http://{host}:1234/v1/")).locality == "machine", host
    found = await locate("http://[::ffff:8.8.8.8]/v1")
    assert (found.locality, found.port, found.url) == ("remote", 80, "http://[::ffff:8.8.8.8]/v1")


# Consent


async def test_without_anybody_to_ask_nothing_is_sent(gate):
    assert "nobody can agree" in await refused(gate, await payload_of(gate))


async def test_what_runs_on_this_machine_needs_no_consent_and_leaves_no_line(gate):
    here = Destination("http://127.0.0.1:9/v1", ("127.0.0.1",))
    permit = await gate.permit(await payload_of(gate, destination=here), consent=None, chat="a")
    assert permit.payload.destination.locality == "machine"
    assert events(gate) == []


async def test_the_own_network_is_not_this_machine(gate):
    near = Destination("http://192.168.1.5/v1", ("192.168.1.5",))
    assert "nobody can agree" in await refused(gate, await payload_of(gate, destination=near))


async def test_once_is_once(gate):
    user = ScriptedUser("once", None)
    await gate.permit(await payload_of(gate), consent=user, chat="a")
    assert "Nothing was sent" in await refused(gate, await payload_of(gate), consent=user)
    assert len(user.shown) == 2
    assert events(gate) == ["permitted", "refused"]


async def test_for_this_chat_holds_for_this_chat_this_model_and_this_address(gate):
    user = ScriptedUser("chat", None, None, None, None)
    await gate.permit(await payload_of(gate), consent=user, chat="a")
    await gate.permit(await payload_of(gate), consent=None, chat="a")
    other = Destination("https://other.example.com/v1", ("203.0.113.7",))
    plain = Destination("http://models.example.com/v1", ("203.0.113.7",))
    inside = Destination("https://models.example.com/v1", ("10.0.0.7",))
    for destination in (other, plain, inside):
        await refused(gate, await payload_of(gate, destination=destination), consent=user)
    elsewhere = await payload_of(gate)
    await refused(gate, elsewhere, consent=user, chat="b")
    assert len(user.shown) == 5
    renamed = dataclasses.replace(elsewhere, model="larger")
    await refused(gate, renamed, consent=None)


async def test_behind_https_the_addresses_may_change_without_it_they_may_not(gate):
    user = ScriptedUser("chat", "chat")
    for scheme in ("https", "http"):
        url = f"{scheme}://models.example.com/v1"
        await gate.permit(
            await payload_of(gate, destination=Destination(url, ("203.0.113.7",))), consent=user, chat="a"
        )
    moved = [Destination(f"{scheme}://models.example.com/v1", ("203.0.113.8",)) for scheme in ("https", "http")]
    await gate.permit(await payload_of(gate, destination=moved[0]), consent=None, chat="a")
    await refused(gate, await payload_of(gate, destination=moved[1]), consent=None)


async def test_never_holds_for_the_chat_and_asks_no_more(gate):
    user = ScriptedUser("never", "once")
    await refused(gate, await payload_of(gate), consent=user)
    assert "keep everything in this chat on this machine" in await refused(gate, await payload_of(gate), consent=user)
    assert len(user.shown) == 1
    await gate.permit(await payload_of(gate), consent=user, chat="b")


async def test_a_word_that_is_no_answer_is_a_no(gate):
    for word in ("library", "yes", "", True):
        await refused(gate, await payload_of(gate), consent=ScriptedUser(word))


async def test_a_change_of_the_policy_ends_the_consents_for_a_chat(gate):
    await gate.permit(await payload_of(gate), consent=ScriptedUser("chat"), chat="a")
    save_policy(gate.policy(), gate.folder, gate.audit)
    await refused(gate, await payload_of(gate), consent=None)


async def test_a_policy_set_while_the_user_is_thinking_counts(gate):
    async def slowly(_payload):
        save_policy(Policy("local only"), gate.folder, gate.audit)
        return "once"

    assert "local only" in await refused(gate, await payload_of(gate), consent=slowly)


async def test_an_address_that_cannot_be_looked_up_is_refused_before_anybody_is_asked(gate):
    user = ScriptedUser("once")
    nowhere = Destination("https://models.example.com/v1", ())
    assert "cannot be resolved" in await refused(gate, await payload_of(gate, destination=nowhere), consent=user)
    assert user.shown == []


# What is shown is what is sent


async def test_the_payload_says_everything_and_hides_nothing(gate):
    strange = "a\u202eb\u200b\ud800 ```\n``` \U000e0041"
    payload = await payload_of(gate, [{"role": "user", "content": strange}])
    assert json.loads(payload.text)["messages"][0]["content"] == strange
    assert "\\u202e" in payload.text
    assert payload.text.encode() == payload.body
    assert not {"\u202e", "\u200b", "\ud800", "\U000e0041"} & set(payload.text)


async def test_a_message_changed_after_consent_changes_nothing(gate):
    payload = await payload_of(gate)
    before = payload.text
    payload.messages[0]["content"] = "something else"
    assert payload.text == before


# Papers and libraries that stay


async def test_the_text_of_a_local_only_paper_is_never_permitted(gate):
    (paper,) = PAGES
    save_policy(Policy(local_only=frozenset({paper})), gate.folder, gate.audit)
    user = ScriptedUser("once", "once")
    assert gate.allowed([paper, "fedcba9876543210"]) == {"fedcba9876543210"}
    assert paper in await refused(gate, await payload_of(gate, papers=[paper]), consent=user)
    quoted = [{"role": "assistant", "content": f"The draft says [1]: {SECRET[:30]}[2]{SECRET[30:]}"}]
    assert paper in await refused(gate, await payload_of(gate, quoted), consent=user), "whatever it is said to be of"
    assert gate.local_words(quoted[0]["content"]) == {paper}
    assert user.shown == []
    await gate.permit(await payload_of(gate, papers=["fedcba9876543210"]), consent=user, chat="a")
    assert gate.local_words("The seedlings were moved.") == set()


async def test_a_local_only_library_looks_up_no_name(gate):
    save_policy(Policy("local only"), gate.folder, gate.audit)

    with pytest.raises(NotAllowedError, match="local only"):
        await gate.payload(QUESTION, expert=UntouchedChatModel(destination=AWAY), max_tokens=9)
    assert gate.allowed(["a"]) == set()


async def test_a_model_on_this_machine_is_asked_whatever_the_policy_and_with_every_word(gate):
    save_policy(Policy("local only", frozenset(PAGES)), gate.folder, gate.audit)
    (gate.folder / "redact.txt").write_text("moved\n")
    messages = [{"role": "user", "content": f"Moved? {SECRET}"}]
    payload = await gate.payload(messages, expert=ScriptedChatModel(), max_tokens=9, paper_ids=PAGES)
    assert (payload.leaves, payload.redactions, payload.messages[0]) == (False, 0, messages[0])
    await gate.permit(payload, consent=None, chat="a")


async def test_a_policy_set_between_the_check_and_the_line_closes_the_gate(gate, monkeypatch):
    payload, real = await payload_of(gate), gate.audit.append

    def meanwhile(event, facts, **more):
        monkeypatch.undo()
        save_policy(Policy(local_only=frozenset(PAGES)), gate.folder, AuditLog(gate.folder))
        return real(event, facts, **more)

    monkeypatch.setattr(gate.audit, "append", meanwhile)
    assert "just changed" in await refused(gate, payload, consent=ScriptedUser("once"))
    assert events(gate) == ["policy"]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "7", '{"library": "all"}', '{"library": "ask", "local_only": [], "revision": 9, "x": 1}',
             '{"library": "open", "local_only": [], "revision": 1}',
             '{"library": "ask", "local_only": 7, "revision": 1}',
             '{"library": "ask", "local_only": [], "revision": 1}', "\x00\xff"],
)  # fmt: skip
async def test_a_policy_that_the_command_did_not_write_closes_the_gate(gate, text):
    save_policy(Policy(local_only=frozenset(PAGES)), gate.folder, gate.audit)
    (gate.folder / POLICY_FILE).write_text(text)
    with pytest.raises(NotAllowedError, match=POLICY_FILE):
        await payload_of(gate)
    with pytest.raises(NotAllowedError):
        gate.allowed(["a"])


async def test_a_deleted_policy_a_link_or_an_older_one_closes_the_gate(gate, tmp_path):
    file = gate.folder / POLICY_FILE
    save_policy(Policy(), gate.folder, gate.audit)
    older = file.read_bytes()
    save_policy(Policy(local_only=frozenset(PAGES), revision=1), gate.folder, gate.audit)
    newer = file.read_bytes()
    file.unlink()
    with pytest.raises(NotAllowedError, match="is missing"):
        gate.policy()
    file.write_bytes(older)
    with pytest.raises(NotAllowedError, match="outside Scholion"):
        gate.policy()
    (tmp_path / "elsewhere.json").write_bytes(newer)
    file.unlink()
    file.symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(NotAllowedError, match="cannot be read"):
        gate.policy()
    file.unlink()
    recovered = recovered_policy(gate.folder, gate.audit)
    assert (recovered.library, recovered.local_only) == ("local only", set(PAGES))
    save_policy(recovered, gate.folder, gate.audit)
    assert gate.policy().local_only == set(PAGES)


def test_a_new_log_does_not_free_the_papers(gate):
    save_policy(Policy(local_only=frozenset(PAGES)), gate.folder, gate.audit)
    for name in (LOG_FILE, HEAD_FILE):
        (gate.folder / name).unlink()
    with pytest.raises(NotAllowedError, match="outside Scholion"):
        gate.policy()
    assert recovered_policy(gate.folder, gate.audit).local_only == set(PAGES)


def test_two_changes_at_the_same_time_do_not_undo_each_other(gate):
    first = second = gate.policy()
    save_policy(first.with_papers(PAGES, local_only=True), gate.folder, gate.audit)
    with pytest.raises(NotAllowedError, match="at the same time"):
        save_policy(second.with_papers(["b"], local_only=True), gate.folder, gate.audit)
    assert gate.policy().local_only == set(PAGES)


def test_a_new_library_asks_and_stores_nothing(gate, folder):
    assert gate.policy() == Policy("ask", frozenset(), 0)
    assert not folder.exists() or list(folder.iterdir()) == []


# Words that are taken out


@pytest.mark.parametrize(
    ("listed", "text", "expected"),
    [
        ("Alice Miller", "as ALICE  miller\nsaid, Alice Millers", "as [redacted 1]\nsaid, Alice Millers"),
        ("Alice Miller", "Alice\nMiller wrote", "[redacted 1] wrote"),
        ("müller", "Herr MÜLLER und Mu\u0308ller und Muller", "Herr [redacted 1] und [redacted 1] und [redacted 1]"),
        ("project fir", "Project\u00a0Fir and pro\u00adject f\u200bir", "[redacted 1] and [redacted 1]"),
        ("greenhouse", "the green-\nhouse, the greenhouses", "the [redacted 1], the greenhouses"),
        ("fig", "the ﬁg tree", "the [redacted 1] tree"),
        ("/P-\\d{4}/", "patients P-1234 and p-99", "patients [redacted 1] and p-99"),
        ("# comment\n\nA.B.\nx", "A.B., AxBx and X", "[redacted 1], AxBx and [redacted 2]"),
        ("ab\nb c", "ab b c", "[redacted 1] [redacted 2]"),
        ("a b\nb c", "a b c", "[redacted 1]"),
        ("/x*/", "axx", "a[redacted 1]"),
    ],
)
def test_words_are_found_however_they_are_written(listed, text, expected):
    redaction = parse_redaction(listed)
    found, n = redaction.apply(text)
    assert found == expected
    assert n == expected.count("[redacted")


async def test_what_is_listed_is_in_no_byte_of_the_payload(gate, folder):
    folder.mkdir()
    (folder / "redact.txt").write_text("# names\nmoved\n/be \\w+/\n")
    payload = await payload_of(gate)
    assert payload.redactions == 2
    assert b"moved" not in payload.body
    assert [message["content"] for message in payload.messages] == ["[redacted 2].", "When were they [redacted 1]?"]


@pytest.mark.parametrize("content", [b"/(/\n", b"\xff\xfe\x00"])
async def test_a_list_that_cannot_be_read_closes_the_gate(gate, folder, content):
    folder.mkdir()
    (folder / "redact.txt").write_bytes(content)
    with pytest.raises(NotAllowedError, match=r"redact\.txt"):
        await payload_of(gate)


async def test_a_list_that_is_a_device_or_a_link_closes_the_gate(gate, folder):
    folder.mkdir()
    (folder / "redact.txt").symlink_to("/dev/null")
    with pytest.raises(NotAllowedError, match=r"redact\.txt"):
        await payload_of(gate)


# Limits


async def test_calls_are_counted_and_the_last_sentence_says_that_drafts_go_on(folder):
    gate = Gate(folder, limits=BudgetLimits(day_calls=2))
    user = ScriptedUser("once", "once", "once")
    for _ in range(2):
        await gate.permit(await payload_of(gate), consent=user, chat="a")
    said = await refused(gate, await payload_of(gate), consent=user)
    assert "asked 2 times today" in said
    assert "Drafts still work" in said
    assert len(user.shown) == 2, "nobody is asked for what will not be done"
    await refused(Gate(folder, limits=BudgetLimits(month_calls=2)), await payload_of(gate), consent=user)


async def test_dollars_are_counted_at_the_highest_price_until_the_real_one_is_known(folder):
    gate = Gate(folder, limits=BudgetLimits(day_usd=0.10))
    user = ScriptedUser("once", "once")
    first = await gate.permit(await payload_of(gate, price=0.08), consent=user, chat="a")
    assert "$0.0800 of the $0.1 for today" in await refused(gate, await payload_of(gate, price=0.03), consent=user)
    first.sent = True
    first.close("answered")
    gate.record_cost(first, 0.05)
    await gate.permit(await payload_of(gate, price=0.03), consent=user, chat="a")


async def test_an_unknown_price_is_refused_where_dollars_are_limited_and_counts_as_a_call_else(folder):
    assert "price of this call is unknown" in await refused(
        Gate(folder, limits=BudgetLimits(month_usd=5.0)), await payload_of(Gate(folder)), consent=ScriptedUser("once")
    )
    gate = Gate(folder, limits=BudgetLimits(day_calls=1))
    await gate.permit(await payload_of(gate), consent=ScriptedUser("once"), chat="a")
    await refused(gate, await payload_of(gate), consent=ScriptedUser("once"))


async def test_a_call_that_never_left_gives_its_place_back(folder):
    gate = Gate(folder, limits=BudgetLimits(day_calls=1))
    permit = await gate.permit(await payload_of(gate), consent=ScriptedUser("once"), chat="a")
    permit.close("failed")
    await gate.permit(await payload_of(gate), consent=ScriptedUser("once"), chat="a")
    assert events(gate) == ["permitted", "not sent", "permitted"]


def test_a_new_day_and_a_new_month_begin_at_nothing():
    rows = [{"event": "permitted", "permit": "1", "time": "2026-11-22T23:59:59.000+00:00", "price": 1.0}]
    for day, day_calls, month_calls in (("2026-11-22", 1, 1), ("2026-11-23", 0, 1), ("2026-12-01", 0, 0)):
        now = datetime.fromisoformat(f"{day}T12:00:00").replace(tzinfo=UTC)
        for name, used in (("day_calls", day_calls), ("month_calls", month_calls)):
            if used:
                with pytest.raises(NotAllowedError):
                    budget.check(rows, limits=BudgetLimits(**{name: 1}), price=None, now=now)
            else:
                budget.check(rows, limits=BudgetLimits(**{name: 1}), price=None, now=now)


# The audit log


async def test_the_log_says_what_left_and_holds_no_contents(gate):
    user = ScriptedUser("chat")
    payload = await payload_of(gate, papers=["fedcba9876543210"], price=0.002)
    await gate.permit(payload, consent=user, chat="a")
    (line,) = gate.audit.entries()
    assert line["event"] == "permitted"
    assert (line["host"], line["addresses"], line["locality"]) == ("models.example.com", ["203.0.113.7"], "remote")
    assert (line["model"], line["consent"], line["price"]) == ("large", "chat", 0.002)
    assert (line["papers"], line["sha256"]) == (["fedcba9876543210"], payload.sha256)
    assert line["input_tokens"] > 0
    assert line["exact"] is False
    assert datetime.fromisoformat(line["time"]).tzinfo == UTC
    written = (gate.folder / LOG_FILE).read_text()
    assert "moved" not in written
    assert "brief" not in written


async def made_log(gate, n=4):
    for _ in range(n):
        await gate.permit(await payload_of(gate), consent=ScriptedUser("once"), chat="a")
    return gate.folder / LOG_FILE


@pytest.mark.parametrize("line", range(4))
async def test_a_cut_or_an_edit_anywhere_is_found_and_closes_the_gate(gate, line):
    file = await made_log(gate)
    whole = file.read_text().splitlines(keepends=True)
    edited = [*whole[:line], whole[line].replace('"large"', '"small"'), *whole[line + 1 :]]
    for changed in (edited, whole[:line] + whole[line + 1 :], whole[:line], [*whole[:line], whole[line][:40]]):
        file.write_text("".join(changed))
        with pytest.raises(AuditError, match="changed from outside"):
            gate.audit.entries()
        await refused(gate, dataclasses.replace(await_free_payload(), price=None), consent=ScriptedUser("once"))
        assert file.read_text() == "".join(changed), "it is not mended behind the user's back"
    file.write_text("".join(whole))
    assert len(gate.audit.entries()) == 4


def await_free_payload():
    from rag.costs.tokens import TokenCount
    from rag.privacy.permit import Payload

    return Payload(
        messages=tuple(QUESTION), model="large", destination=AWAY, input_tokens=TokenCount(9, exact=False),
        max_output_tokens=9,
    )  # fmt: skip


async def test_a_line_put_in_or_a_log_deleted_is_found(gate):
    file = await made_log(gate, 2)
    whole = file.read_text()
    file.write_text(whole + whole.splitlines(keepends=True)[0])
    with pytest.raises(AuditError):
        gate.audit.entries()
    file.unlink()
    with pytest.raises(AuditError, match="2 lines are missing at the end"):
        gate.audit.entries()
    file.write_text(whole)
    (gate.folder / HEAD_FILE).unlink()
    with pytest.raises(AuditError, match="missing"):
        gate.audit.entries()


async def test_a_crash_in_the_midst_of_a_line_costs_that_line_only(gate):
    file = await made_log(gate, 2)
    with file.open("a") as log:
        log.write('{"n": 3, "time": "2026-')  # nobody was told that it stands
    await gate.permit(await payload_of(gate), consent=ScriptedUser("once"), chat="a")
    assert [line["n"] for line in gate.audit.entries()] == [1, 2, 3]


async def test_a_crash_between_the_line_and_its_anchor_loses_nothing(gate):
    await made_log(gate, 2)
    head = gate.folder / HEAD_FILE
    anchored = head.read_text()
    await made_log(gate, 1)
    head.write_text(anchored)
    assert len(gate.audit.entries()) == 3
    await made_log(gate, 1)
    assert len(gate.audit.entries()) == 4


async def test_no_log_no_sending(gate, folder):
    payload = await payload_of(gate)
    folder.mkdir(exist_ok=True)
    for made in (folder.joinpath(LOG_FILE).mkdir, lambda: folder.joinpath(LOG_FILE).symlink_to("/dev/null")):
        made()
        assert "audit log" in await refused(gate, payload, consent=ScriptedUser("once"))
        path = folder / LOG_FILE
        path.unlink() if path.is_symlink() else path.rmdir()


async def test_a_full_disk_closes_the_gate_and_leaves_the_log_whole(gate, monkeypatch):
    import os

    file = await made_log(gate, 1)
    whole, real = file.read_bytes(), os.write

    def half(descriptor, data):
        if b'"event"' in bytes(data):
            return real(descriptor, bytes(data)[:20])
        return real(descriptor, data)

    monkeypatch.setattr("rag.privacy.audit.os.write", half)
    assert "cannot be written" in await refused(gate, await payload_of(gate), consent=ScriptedUser("once"))
    monkeypatch.undo()
    assert file.read_bytes() == whole
    assert len(gate.audit.entries()) == 1


def test_writers_at_the_same_time_make_one_chain(folder):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: AuditLog(folder).append("refused", {"why": str(n)}), range(40)))
    assert sorted(int(line["why"]) for line in AuditLog(folder).entries()) == list(range(40))


def test_the_policy_is_kept_as_it_was_set(folder):
    log = AuditLog(folder)
    stored = save_policy(Policy("local only", frozenset({"b", "a"})), folder, log)
    assert load_policy(folder, log) == stored == Policy("local only", frozenset({"a", "b"}), 1)
