"""The interface in three languages: every text is translated, and each browser gets its own."""

import ast
import json
import re
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from fastapi.testclient import TestClient

import messages
from rag.comparison.calls import THIS_PROCESS
from rag.privacy.consent import RELAYED
from rag.texts import ENGLISH, _, counted, dollars, number, percent, reading_in, said
from ui.texts.languages import NAMES, chainlits_texts, language_of, texts_in
from ui.web.pages import frame, translated

ROOT = Path(__file__).resolve().parents[2]
CODES = messages.CODES
FIELD = re.compile(r"\{\w*\}")


def leaves(told: dict, path: str = "") -> dict[str, str]:
    """Every text of a nested table, by its path."""
    found: dict[str, str] = {}
    for name, value in told.items():
        found |= leaves(value, f"{path}{name}.") if isinstance(value, dict) else {path + name: value}
    return found


@pytest.fixture
def client(app):
    from chainlit.server import app as server

    return TestClient(server, base_url="http://localhost:8000")  # not as a context manager: leaving it ends the process


# ---- completeness ---------------------------------------------------------------------------------------------------


def test_there_is_a_catalogue_for_each_language() -> None:
    assert {"en", *CODES} == set(NAMES)
    assert {path.stem for path in messages.TEXTS.glob("*.po")} == set(CODES)


@pytest.mark.parametrize("code", CODES)
def test_every_text_of_the_code_has_a_translation(code: str) -> None:
    catalogue, texts = messages.catalogue(code), messages.messages()
    known = {message.id: message for message in catalogue if message.id}
    assert not catalogue.obsolete
    assert [id_ for id_, message in known.items() if message.fuzzy] == []
    assert sorted(map(str, texts.keys() - known.keys())) == [], "run `python tests/support/messages.py`, then translate"
    assert sorted(map(str, known.keys() - texts.keys())) == [], "run `python tests/support/messages.py`"
    empty = [m.id for m in known.values() if not m.string or (isinstance(m.string, tuple) and not all(m.string))]
    assert empty == [], "translate these"


@pytest.mark.parametrize("code", CODES)
def test_a_translation_has_the_values_of_its_text_and_its_form(code: str) -> None:
    for message in messages.catalogue(code):
        if not message.id:
            continue
        english = message.id if isinstance(message.id, tuple) else (message.id,)
        texts = message.string if isinstance(message.string, tuple) else (message.string,)
        assert len(english) == len(texts), message.id
        for one, text in zip(english, texts, strict=True):
            assert set(FIELD.findall(one)) == set(FIELD.findall(text)), one
            assert one.count("`") == text.count("`"), one
            assert one.count("**") == text.count("**"), one
            assert [part.isspace() for part in (one[:1], one[-1:])] == [
                part.isspace() for part in (text[:1], text[-1:])
            ], one
            assert '"' in one or '"' not in text, f"{text}: quotation marks are „…“"
            assert "“" not in text or "„" in text, f"{text}: quotation marks are „…“"


@pytest.mark.parametrize("code", CODES)
def test_chainlits_own_texts_are_complete(code: str) -> None:
    import chainlit

    theirs = json.loads((Path(chainlit.__file__).parent / "translations" / "en-US.json").read_text(encoding="utf-8"))
    english, ours = leaves(theirs), leaves(chainlits_texts(code))
    assert english.keys() == ours.keys()
    assert all(ours.values())
    value = re.compile(r"\{\{\w+\}\}")
    assert all(value.findall(english[name]) == value.findall(text) for name, text in ours.items())


@pytest.mark.parametrize("code", CODES)
def test_the_page_about_scholion_is_there(code: str) -> None:
    english = (ROOT / "chainlit.md").read_text(encoding="utf-8")
    text = (ROOT / f"chainlit_{code}.md").read_text(encoding="utf-8")
    assert [line.count("|") for line in english.split("\n") if line[:1] in "#|"] == [
        line.count("|") for line in text.split("\n") if line[:1] in "#|"
    ]


@pytest.mark.parametrize("path", messages.pages(), ids=messages.name_of)
def test_no_text_of_a_script_is_left_out(path: Path) -> None:
    assert messages.unasked(path.read_text(encoding="utf-8")) - NO_TEXTS == set(), "ask for it by t() or many()"


@pytest.mark.parametrize("path", [*(ROOT / "ui").rglob("*.py"), ROOT / "app.py"], ids=messages.name_of)
def test_no_text_of_the_chat_is_left_out(path: Path) -> None:
    assert messages.unasked_in_python(ast.parse(path.read_text(encoding="utf-8"))) == [], "ask for it by _()"


NO_TEXTS = {
    *(
        "Ada Miller; van der Burg, Sven",
        "Files",
        "English",
        "Markdown",
        "faint small wide",
        "Toggle Sidebar",
        "Toggle theme",
    ),
    *("Upload button loading",),
    *("drafter tokens per second", "larger model tokens per second"),
    *("python -m rag privacy library local-only", "python -m rag privacy local-only PAPER"),
}
"""Examples of what is typed, names, commands, classes, and keys of what the server sends."""


def test_the_check_finds_what_it_is_for() -> None:
    assert messages.unasked("make('p', { class: 'faint main' }, 'Loading the list')") == {"Loading the list"}
    assert messages.unasked("button.title = `Remove ${name} now or never`") == {"Remove   now or never"}
    assert messages.unasked_in_python(ast.parse('cl.Message(f"Your paper {x} is here.")')) == ["Your paper  is here."]
    assert messages.unasked_in_python(ast.parse('cl.Message(_("Your paper is here."))')) == []
    assert messages.unasked("<b>Download as CSV</b>") == {"Download as CSV"}
    assert messages.unasked("make('p', { class: 'faint' }, t('Loading the list'))") == set()
    assert list(messages.in_script("t('Add')\nmany('{n} page', '{n} pages', n) // t('not this')")) == [
        "Add",
        ("{n} page", "{n} pages"),
    ]
    assert list(messages.in_html('<p title="Here">Add <b>more</b></p><script>no</script>')) == ["Here", "Add", "more"]


# ---- which language -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accepted", "cookie", "code"),
    [
        ("", "", "en"),
        ("de-DE,de;q=0.9,en;q=0.8", "", "de"),
        ("fr-FR,fr;q=0.9,bg;q=0.8,en;q=0.7", "", "bg"),
        ("en;q=0.5, de;q=0.9", "", "de"),
        ("de;q=0, en", "", "en"),
        ("*", "", "en"),
        ("fr", "", "en"),
        ("de-DE", "scholion_language=bg", "bg"),
        ("de-DE", "other=1; scholion_language=en", "en"),
        ("de-DE", "scholion_language=../../x", "de"),
        ("x" * 10_000, "", "en"),
    ],
)
def test_a_browser_gets_its_language_or_the_one_that_was_chosen(accepted: str, cookie: str, code: str) -> None:
    assert language_of(accepted, cookie) == code


def test_a_choice_is_kept_in_a_cookie_and_no_other_value_is(client: TestClient) -> None:
    assert client.get("/texts.json", headers={"accept-language": "de"}).json()["language"] == "de"
    chosen = client.post("/settings/language", json={"language": "bg"})
    assert chosen.json() == {"chosen": "bg"}
    kept = chosen.headers["set-cookie"]
    assert "scholion_language=bg" in kept
    assert "HttpOnly" in kept
    headers = {"accept-language": "de", "cookie": "scholion_language=bg"}
    told = client.get("/texts.json", headers=headers).json()
    assert (told["language"], told["chosen"]) == ("bg", "bg")
    assert told["texts"]["Save"] == texts_in("bg").text("Save")
    for wrong in ({"language": "../x"}, {"language": 3}, {}):
        refused = client.post("/settings/language", json=wrong)
        assert refused.status_code in {400, 422}
        assert "set-cookie" not in refused.headers
    assert "Max-Age=0" in client.post("/settings/language", json={"language": ""}).headers["set-cookie"]


def test_pages_and_chainlits_texts_follow_the_language(client: TestClient) -> None:
    assert client.post("/auth/header").status_code == 200
    page = client.get("/settings", headers={"accept-language": "de"})
    assert '<html lang="de">' in page.text
    assert "<h1>Einstellungen</h1>" in page.text
    assert page.headers["content-language"] == "de"
    words = client.get("/project/translations?language=en-US", headers={"accept-language": "bg"}).json()["translation"]
    assert words["chat"]["input"]["placeholder"] == texts_in("bg").text("Ask your papers, or drop a PDF here")
    assert words["threadHistory"]["sidebar"]["timeframes"]["today"] == "Днес"
    told = client.get("/project/settings?language=en-US", headers={"accept-language": "de"}).json()
    assert [link["display_name"] for link in told["ui"]["header_links"]] == [
        *("Einstellungen", "Einblick", "Modelle vergleichen", "Browser-Labor", "Zustand")
    ]
    assert told["markdown"].startswith("# Scholion\n\nFragen Sie")
    assert '<html lang="de">' in client.get("/", headers={"accept-language": "de"}).text
    assert '<html lang="en">' in client.get("/").text


def test_an_error_of_a_page_is_told_in_its_language(client: TestClient) -> None:
    assert client.post("/auth/header").status_code == 200
    gone = client.post("/library/remove", json={"ids": ["0" * 16]}, headers={"accept-language": "de"})
    assert gone.json() == {"detail": "Dieser Artikel ist nicht mehr in Ihrer Bibliothek. Laden Sie die Liste neu."}
    missing = client.get("/export/chat/x.pdf", headers={"accept-language": "bg"})
    assert missing.json()["detail"].startswith("Чат се експортира като json, md")


def test_programs_get_english_whatever_they_accept(client: TestClient) -> None:
    found = client.get("/v1/models", headers={"accept-language": "de", "cookie": "scholion_language=bg"})
    assert found.headers["content-language"] == "en"
    assert found.json()["error"]["message"].startswith("The API is off")


def test_the_page_for_comparing_names_our_models_and_places_in_its_language() -> None:
    from ui.comparing.rounds import BUILT_IN, place, shown

    names = [*BUILT_IN.values(), "llama3 (8b) (Ollama, this machine)", "my.gguf"]
    places = [THIS_PROCESS, f"this machine, 127.0.0.1:11434{RELAYED}", "your own network, not this machine, nas:1", "x"]
    assert [*map(shown, names), *map(place, places)] == [*names, *places]
    with reading_in(texts_in("de")):
        assert [*map(shown, names)] == [
            *("Eingebautes Modell", "Eingebautes Modell, wie es im Chat antwortet"),
            *("llama3 (8b) (Ollama, dieser Rechner)", "my.gguf"),
        ]
        assert [*map(place, places)] == [
            *(_(THIS_PROCESS), f"dieser Rechner, 127.0.0.1:11434{_(RELAYED)}"),
            *("Ihr eigenes Netz, nicht dieser Rechner, nas:1", "x"),
        ]


def test_a_command_is_known_by_the_name_that_the_page_shows(app) -> None:
    from ui import composer

    for code in NAMES:
        with reading_in(texts_in(code)):
            shown = {name: composer.command_of(SimpleNamespace(command=_(name))) for name in ("Library", "Export")}
        assert shown == {"Library": composer.LIBRARY, "Export": composer.EXPORT}
    assert composer.command_of(SimpleNamespace(command=None)) is None
    assert composer.command_of(SimpleNamespace(command="Settings")) == "Settings"


# ---- texts in a language ---------------------------------------------------------------------------------------------


def test_english_is_as_it_was() -> None:
    assert texts_in("en") is texts_in("xx") is ENGLISH
    assert (_("Save"), counted(1, "page"), counted(2000, "page")) == ("Save", "1 page", "2,000 pages")
    assert (number(1234.5, 1), percent(0.853), dollars("0.0041")) == ("1,234.5", "85%", "$0.0041")
    assert said("Anything.") == "Anything."


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("de", ("1.234,5", "85\N{NO-BREAK SPACE}%", "0,0041\N{NO-BREAK SPACE}$", "1 Seite", "2.000 Seiten")),
        ("bg", ("1234,5", "85%", "0,0041\N{NO-BREAK SPACE}$", "1 страница", "2000 страници")),
    ],
)
def test_numbers_money_and_counts_have_the_form_of_the_language(code: str, expected: tuple[str, ...]) -> None:
    with reading_in(texts_in(code)):
        found = number(1234.5, 1), percent(0.853), dollars("0.0041"), counted(1, "page"), counted(2000, "page")
    assert found == expected
    assert number(1234.5, 1) == "1,234.5", "outside, it is English"


def test_a_long_text_is_not_tried_for_minutes() -> None:
    began = time.monotonic()
    for text in ("Word. " * 160 + "x", "“a” b: " * 140 + ".", "Word. " * 650):
        texts_in("de").sentence(text)
    assert time.monotonic() - began < 60  # it took minutes


def test_a_name_in_a_sentence_stays_as_it_is() -> None:
    texts = texts_in("de")
    found = [p for p in texts._patterns if "{name}" in p[3]]
    assert found
    _begin, _end, pattern, text = found[0]
    named = {name: "yes" if name == "name" else "x" for name in pattern.groupindex}
    english = next(key for key, value in texts._texts.items() if value == text).format(**named)
    assert "yes" in texts.sentence(english)


def test_a_finished_sentence_is_known_by_its_template() -> None:
    with reading_in(texts_in("de")):
        assert said("The disk is full. Free some space and try again. Nothing stored before is lost.") == " ".join(
            [_("The disk is full."), _("Free some space and try again. Nothing stored before is lost.")]
        )
        told = said("Smith [2].pdf is encrypted and needs a password. Save a copy without the password and add that.")
        assert told.startswith("Smith [2].pdf ist verschlüsselt")
        assert "password" not in told
        assert said("A.pdf has 12,000 pages; the limit is 3,000.") == "A.pdf hat 12.000 Seiten; erlaubt sind 3.000."
        assert said("Your papers support only part of the draft") == _(
            "Your papers support only part of the draft."
        ).rstrip(".")
        postgres = said(
            "The chats are in Postgres at db:5432, database d, which does not answer. Start it and try again."
        )
        assert postgres.startswith("Die Chats sind in Postgres unter db:5432, database d, das nicht antwortet. Starten")
        assert said("Your chats leave this machine: they are kept in Postgres at db:1, database d.").endswith(
            "database d."
        )
        assert said("Postgres at db:1 has 2 chats. That is not this machine, so the chats leave it.") == (
            "Postgres unter db:1 hat 2 Chats. Das ist nicht dieser Rechner, also verlassen die Chats ihn."
        )
        for unknown in ("Nobody has translated this {x}.", "Someone came, with more words.", "A with B. C from D: E"):
            assert said(unknown) == unknown
        assert said("4 papers with 1,116 passages.") == "4 Artikel mit 1.116 Textstellen."
        assert said("Two of three sentences are not supported by your papers.") == (
            "Von Ihren Artikeln nicht gestützt: 2 von 3 Sätzen."
        )


def test_html_is_translated_whole_and_escaped() -> None:
    html = '<h1 translate="no">Settings</h1><p>\n<a title="Settings">Settings</a> <kbd>Settings</kbd></p>'
    assert translated(html) == html
    with reading_in(texts_in("de")):
        assert translated(html) == (
            '<h1 translate="no">Settings</h1><p>\n<a title="Einstellungen">Einstellungen</a> <kbd>Settings</kbd></p>'
        )
        assert '<html lang="de">' in frame("Settings", "", script="x.js")
        assert "<title>Einstellungen ·" in frame("Settings", "", script="x.js")


@pytest.mark.parametrize("code", CODES)
def test_no_template_is_taken_for_another(code: str) -> None:
    texts, wrong = texts_in(code), []
    for message in messages.messages():
        if not isinstance(message, str) or "{" not in message or not message.endswith((".", "?", "!")):
            continue
        values = {name: f"x{n}y" for n, name in enumerate(dict.fromkeys(re.findall(r"\{(\w+)\}", message)))}
        told, expected = texts.sentence(message.format(**values)), texts.text(message).format(**values)
        if told not in {expected, message.format(**values)}:  # too few letters to be recognised: it stays English
            wrong.append((message, told))
    assert wrong == []
