"""A larger model that is not on this machine: what arrives there, what never does. 127.0.0.2 is taken for elsewhere."""

from __future__ import annotations

import json
from contextlib import aclosing
from dataclasses import replace

import pytest

import engine_stubs
from fake_embedder import HashEmbedder
from fakes import ScriptedChatModel, ScriptedUser
from ingest import ingest_pdf
from listener import listening, refusal
from places import SAMPLES
from rag import Assistant, RagSettings
from rag.expert import AskedBy, Expert
from rag.privacy import destination
from rag.privacy.gate import Gate
from rag.privacy.policy import save_policy
from rag.render import footer

QUESTION = "How many bytes does the key-value cache need per token, and how large is a LoRA adapter?"
POOR = "The key-value cache of this model takes 999 KiB for each token and was invented in Paris."


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch):
    real = destination._one
    monkeypatch.setattr(destination, "_one", lambda address: "remote" if address == "127.0.0.2" else real(address))


@pytest.fixture
def papers(library):
    for name in ("before-you-run", "lora-for-terms"):
        ingest_pdf(SAMPLES / f"{name}.pdf", library=library, embedder=HashEmbedder())
    return library


@pytest.fixture
def gate(papers):
    return Gate(papers.folder, text_of=lambda paper: [page.text for page in papers.pages(paper)])


@pytest.fixture
async def there():
    async with listening(host="127.0.0.2") as made:
        yield made


def over(library, url, gate, draft=POOR):
    settings = RagSettings(drafter_sentences=0, expert=f"{url}#large", expert_context=8192)
    return Assistant(
        library=library,
        embedder=HashEmbedder(),
        drafter=ScriptedChatModel(*[draft] * 3, name="small"),
        settings=settings,
        expert=Expert.open(settings, library=library.folder, gate=gate),
    )


async def asked(assistant, user, mode="refine", chat="a"):
    events = assistant.ask(QUESTION, mode=mode, asked_by=AskedBy(user, chat))
    async with aclosing(events):
        return [event async for event in events][-1].answer


async def test_in_draft_mode_nothing_is_even_asked(papers, gate, there):
    user = ScriptedUser()
    answer = await asked(over(papers, there.url, gate), user, mode="draft")
    assert (there.connections, user.shown, answer.stayed) == (0, [], True)


@pytest.mark.parametrize("says", [None, "never"])
async def test_without_consent_nothing_arrives_and_the_draft_stays(papers, gate, there, says):
    user = ScriptedUser(says)
    answer = await asked(over(papers, there.url, gate), user, mode="auto")
    assert there.connections == 0
    assert len(user.shown) == 1
    assert answer.shown == 0
    assert answer.stayed
    assert "The draft is kept" in answer.notice
    assert answer.notice.count("draft is kept") == 1


async def test_where_nobody_can_be_asked_nothing_arrives(papers, gate, there):
    answer = await asked(over(papers, there.url, gate), None)
    assert there.connections == 0
    assert "nobody can agree" in answer.notice


async def test_after_consent_exactly_what_was_shown_arrives(papers, gate, there):
    user = ScriptedUser("once", "once")
    assistant = over(papers, there.url, gate)
    answer = await asked(assistant, user)
    assert there.bodies == [user.shown[0].body]
    assert json.loads(there.bodies[0])["messages"][-1]["content"].rstrip().endswith(QUESTION)
    assert answer.drafts[1].locality == "remote"
    assert not answer.stayed
    assert answer.cost is None, "the list has no price for this address, and unknown is not free"
    await asked(assistant, user)
    assert len(user.shown) == 2, "once is once"


async def test_for_this_chat_asks_no_second_time_and_another_chat_is_asked(papers, gate, there):
    user = ScriptedUser("chat", None)
    assistant = over(papers, there.url, gate)
    for chat in ("a", "a", "b"):
        await asked(assistant, user, chat=chat)
    assert (len(there.bodies), len(user.shown)) == (2, 2)


async def test_a_paper_that_stays_here_is_left_out_and_the_answer_says_so(papers, gate, there):
    first = await asked(over(papers, there.url, gate), ScriptedUser(None))
    here = first.passages[0].paper.id
    save_policy(gate.policy().with_papers([here], local_only=True), papers.folder, gate.audit)
    user = ScriptedUser("once")
    answer = await asked(over(papers, there.url, gate), user)
    (body,) = there.bodies
    words = " ".join(" ".join(page.text.split()) for page in papers.pages(here)).split()
    sent = " ".join(json.loads(body)["messages"][-1]["content"].split())
    assert not any(" ".join(words[at : at + 12]) in sent for at in range(len(words) - 12))
    assert here not in user.shown[0].paper_ids
    assert "because their papers stay on this machine" in answer.notice


async def test_a_library_that_stays_here_looks_up_no_name(papers, gate, there, monkeypatch):
    looked_up = []
    monkeypatch.setattr(destination, "resolve", lambda *asked: looked_up.append(asked))
    save_policy(replace(gate.policy(), library="local only"), papers.folder, gate.audit)
    answer = await asked(over(papers, "http://models.example.com/v1", gate), ScriptedUser())
    assert "stay on this machine" in answer.notice
    assert looked_up == []


async def test_a_draft_that_quotes_such_a_paper_does_not_leave_either(papers, gate, there):
    here = (await asked(over(papers, there.url, gate), ScriptedUser(None))).passages[0].paper.id
    quoted = next(p.text for p in papers.pages(here) if "128 KiB" in p.text or "adapter" in p.text)
    draft = " ".join(quoted.split()[40:70])
    save_policy(gate.policy().with_papers([here], local_only=True), papers.folder, gate.audit)
    user = ScriptedUser("once")
    await asked(over(papers, there.url, gate, draft), user)
    (body,) = there.bodies
    assert draft not in body.decode()
    assert "Unverified draft: (empty)" in json.loads(body)["messages"][-1]["content"]


async def test_a_known_price_is_shown_before_and_noted_after(papers, gate, there, monkeypatch):
    from rag import expert
    from rag.costs import prices
    from rag.models import draft as writing

    provider = "https://api.openai.com/v1"  # as if it were behind this address
    known = {"base_url": provider, "model": "gpt-4o"}
    for module, name in ((writing, "price"), (expert, "estimate")):
        real = getattr(prices, name)
        monkeypatch.setattr(module, name, lambda *args, real=real, **more: real(*args, **more | known))
    user = ScriptedUser("once")
    answer = await asked(over(papers, there.url, gate), user)
    assert user.shown[0].price > 0
    usage = answer.drafts[1].usage
    assert (answer.drafts[1].cost is None) is (usage is None)


async def test_a_model_that_a_server_here_passes_on_is_not_asked(papers, gate):

    with engine_stubs.serving(engine_stubs.OLLAMA) as server:
        settings = RagSettings(
            drafter_sentences=0,
            expert=f"http://127.0.0.1:{server.server_port}/v1#gpt-oss:120b-cloud",
            expert_context=8192,
        )
        assistant = over(papers, "http://127.0.0.1:1", gate)
        assistant.expert = Expert.open(settings, library=papers.folder, gate=gate)
        user = ScriptedUser()
        answer = await asked(assistant, user)
    assert "passes questions on to ollama.com" in answer.notice
    assert (answer.shown, user.shown, len(answer.drafts)) == (0, [], 1)


async def test_what_was_sent_in_vain_was_sent_all_the_same(papers, gate):
    async with listening(refusal("broken"), host="127.0.0.2") as there:
        answer = await asked(over(papers, there.url, gate), ScriptedUser("once"))
        assert len(there.bodies) > 0
    assert "The draft is kept" in answer.notice
    assert not answer.stayed
    assert answer.cost is None, "what it cost is not known"
    assert "sent to large" in footer(answer)
    assert "stayed on this machine" not in footer(answer)
