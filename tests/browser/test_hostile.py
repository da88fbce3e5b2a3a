"""A stored chat full of images and links of others, opened in a browser: nothing is asked of another host."""

from __future__ import annotations

import json
import sqlite3

import pytest

from conftest import answered_chat
from injected import HOST
from rag.render import fenced, linked
from rag.sanitise import sanitised

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

ANSWER = ".step[data-step-type=assistant_message] .message-content"

PAYLOAD = f"""It keeps for five years [1], see https://{HOST}/a and www.{HOST} and me@{HOST}.

![plot](https://{HOST}/p.png?q=secret) ![film](https://{HOST}/f.mp4) ![x][r] [text][r] [r]

[r]: https://{HOST}/reference

[sign in](https://{HOST}/login) <https://{HOST}/auto> [js](javascript:alert(1)) [data](data:text/html,x)

<img src="https://{HOST}/i.png"> <iframe src="https://{HOST}"></iframe> <script>alert(1)</script>

http\\://{HOST}/escaped http&colon;//{HOST}/entity www&period;{HOST}

- ```
  code
- ![in a list](https://{HOST}/l.png)

| a | b |
|---|---|
| ![cell](//{HOST}/c.png) | $x$ ![y](https://{HOST}/y.png) |

$$
\\href{{https://{HOST}/m}}{{x}} \\includegraphics{{https://{HOST}/m.png}}
$$

END
"""


QUESTION = "How large is a LoRA adapter?"


@pytest.fixture(scope="module")
def chat(chromium, server) -> str:
    """The id of a chat with one answer."""
    return answered_chat(chromium, server, QUESTION)


def seed(server, chat: str, output: str) -> None:
    """Put an answer in the place of the one that is stored, as an older version or another program would have."""
    database = sqlite3.connect(server.library / "chats.db", timeout=30)
    ((step, metadata),) = database.execute(
        "select id, metadata from steps where type = 'assistant_message' and threadId = ?", (chat,)
    ).fetchall()
    assert json.loads(metadata)["question"] == QUESTION
    database.execute("update steps set output = ? where id = ?", (output, step))
    database.commit()
    database.close()


@pytest.mark.parametrize("how", ["as it was written", "sanitised", "to copy"])
def test_a_stored_answer_with_foreign_images_and_links_loads_nothing(open_page, server, chat, shot, how: str) -> None:
    text = {
        "as it was written": PAYLOAD,
        "sanitised": linked(sanitised(PAYLOAD), links={1: "/cite/0123456789abcdef/1/0001"}),
        "to copy": fenced(PAYLOAD) + "\n\nEND",
    }[how]
    seed(server, chat, text)
    page = open_page()
    page.goto(f"{server.url}/thread/{chat}")
    page.wait_for_selector(f"{ANSWER} >> text=END")
    page.wait_for_timeout(1500)
    shot(page, f"hostile-{how.replace(' ', '-')}")
    assert page.outside == []
    assert page.locator(f"{ANSWER} img, {ANSWER} video, {ANSWER} iframe, {ANSWER} script").count() == 0
    hrefs = [link.get_attribute("href") or "" for link in page.locator(f"{ANSWER} a").all()]
    assert [href for href in hrefs if not href.startswith(("/cite/", "#"))] == []
    assert HOST in page.locator(ANSWER).first.inner_text(), "what was written is shown"
