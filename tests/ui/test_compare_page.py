"""The page /compare: both answers with facts, blind rounds without, votes that stay, and consent before sending."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient
from filelock import FileLock
from test_server import ALLOWED

from fakes import ScriptedChatModel
from rag.comparison.contenders import Asked, Contender
from rag.comparison.votes import FILE, votes_in
from rag.privacy.destination import Destination
from ui.comparing import rounds as module
from ui.comparing.rounds import BUILT_IN
from ui.comparing.routes import rounds

TAUGHT = "embedded,adapter=yes"
AWAY = Destination("https://models.example/v1", ("203.0.113.7",))


@pytest.fixture
def page(app, shelf_library, monkeypatch):
    """The page of a library, whose two built-in models are scripted; `page.models` has them by setting."""
    from chainlit.server import app as server

    models = {
        "embedded": ScriptedChatModel(*["Light feeds <b>plants</b>."] * 9, name="small"),
        "embedded,adapter=yes": ScriptedChatModel(*["By photosynthesis."] * 9, name="taught"),
    }

    async def opened(asked, kept, *, library):
        setting = asked.setting + (",adapter=yes" if asked.adapter else "")
        return Contender(asked=Asked(setting=setting, name=asked.name), model=models[setting])

    async def nobody():
        return ()

    monkeypatch.setattr(module, "opened", opened)
    monkeypatch.setattr(module, "discover", nobody)
    rounds.cache_clear()
    client = TestClient(server, base_url=ALLOWED)
    assert client.post("/auth/header").status_code == 200
    client.models, client.folder = models, shelf_library.folder
    yield client
    rounds.cache_clear()


def asked(page, **more):
    body = {"models": ["embedded", "embedded,adapter=yes"], "question": "Why do plants need light?", **more}
    return page.post("/compare/ask", json=body)


@pytest.mark.parametrize("path", ["/compare", "/compare/state.json"])
def test_it_is_only_for_who_has_opened_the_page(app, path) -> None:
    from chainlit.server import app as server

    assert TestClient(server, base_url=ALLOWED).get(path).status_code == 401


def test_the_page_is_ours_and_offers_the_built_in_model_twice(page) -> None:
    assert "/public/compare.js" in page.get("/compare").text
    told = page.get("/compare/state.json").json()
    assert [row["setting"] for row in told["models"]] == ["embedded", "embedded,adapter=yes"]
    assert told["rates"] == []


def test_both_answers_come_with_their_facts_and_the_same_input(page) -> None:
    told = asked(page).json()
    assert [side["model"] for side in told["sides"]] == [BUILT_IN["embedded"], BUILT_IN[TAUGHT]]
    assert told["sides"][0]["text"] == "Light feeds <b>plants</b>."
    assert told["sides"][0]["output_tokens"] == 3
    assert told["sides"][0]["cost"] == "unknown cost"
    assert "this machine" in told["sides"][0]["where"]
    one, two = page.models.values()
    assert one.seen == two.seen


def test_a_blind_round_tells_names_speed_and_cost_after_the_vote_which_counts_once(page) -> None:
    told = asked(page, blind=True).json()
    assert [set(side) for side in told["sides"]] == [{"text"}, {"text"}]
    left_is_small = told["sides"][0]["text"].startswith("Light")
    choice = "first" if left_is_small else "second"
    after = page.post("/compare/vote", json={"round": told["round"], "choice": choice}).json()
    names = [BUILT_IN["embedded"], BUILT_IN[TAUGHT]]
    assert [side["model"] for side in after["sides"]] == (names if left_is_small else names[::-1])
    assert [(rate["model"], rate["wins"], rate["n"]) for rate in after["rates"]] == [(names[0], 1, 1)]
    again = page.post("/compare/vote", json={"round": told["round"], "choice": choice})
    assert (again.status_code >= 400, again.json()["detail"]) == (True, "This round is over. Ask again, then vote.")
    rounds.cache_clear()  # as after a restart
    assert page.get("/compare/state.json").json()["rates"][0]["n"] == 1
    (kept,) = votes_in(page.folder)
    assert (kept.blind, kept.choice, "plants" in str(kept)) == (True, choice, False)


def test_a_vote_that_could_not_be_written_can_be_given_again(page) -> None:
    told = asked(page, blind=True).json()
    body = {"round": told["round"], "choice": "tie"}
    with FileLock(page.folder / (FILE + ".lock")):  # another process is writing
        failed = page.post("/compare/vote", json=body)
    assert (failed.status_code >= 400, "Wait until it has finished." in failed.json()["detail"]) == (True, True)
    assert page.post("/compare/vote", json=body).json()["rates"][0]["n"] == 1
    assert page.post("/compare/vote", json=body).status_code >= 400
    assert len(votes_in(page.folder)) == 1


def test_a_vote_on_a_round_that_was_not_blind_is_in_no_win_rate(page) -> None:
    told = asked(page).json()
    assert page.post("/compare/vote", json={"round": told["round"], "choice": "tie"}).json()["rates"] == []
    assert len(votes_in(page.folder)) == 1


def test_nothing_is_sent_elsewhere_before_the_user_agreed_to_exactly_that(page) -> None:
    away = ScriptedChatModel("By photosynthesis.", destination=AWAY)
    page.models["embedded,adapter=yes"] = away
    (row,) = asked(page).json()["consent"]
    assert "Why do plants need light?" in row["text"]
    assert ["To", "models.example, port 443 (203.0.113.7)"] in row["facts"]
    assert away.seen == page.models["embedded"].seen == []
    assert "consent" in asked(page, question="Why do plants need water?", agreed=[row["agree"]]).json()
    told = asked(page, agreed=[row["agree"]]).json()
    assert told["sides"][1]["where"] == "beyond your network, models.example:443"
    assert len(away.seen) == 1


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"models": ["embedded", "embedded"]}, "the same model twice"),
        ({"models": ["embedded", "/etc/passwd"]}, "no such model here"),
        ({"models": ["embedded", "https://models.example/v1#x"]}, "no such model here"),
        ({"question": "  "}, "The question is empty"),
        ({"question": "x" * 9000}, "the limit is"),
        ({"models": ["embedded"]}, "did not understand"),
    ],
)
def test_what_cannot_be_compared_gets_one_sentence(page, more, said) -> None:
    reply = asked(page, **more)
    assert reply.status_code >= 400
    assert said in reply.json()["detail"]
