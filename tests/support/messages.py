"""Every text that people read, gathered from the code: so `ui/texts/*.po` can be checked and brought up to date.

`python tests/support/messages.py` adds to each catalogue the texts that it lacks, without a translation, and drops
those that the code no longer has. Texts come from four places:

- `_("…")`, `N_("…")`, `ngettext("…", "…", n)` and `counted(n, "…")` in Python;
- `t("…")` and `many("…", "…", n)` in `public/`;
- the text and the titles, labels and placeholders of the constant HTML in `ui/`;
- sentences that are born in `ingest/`, `rag/` or a route, and reach the screen whole: errors, checks,
  notes, the terms of licences.
"""

from __future__ import annotations

import ast
import itertools
import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

from babel.messages import Catalog
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parents[2]
TEXTS = ROOT / "ui" / "texts"
MODELS = ROOT / "models.json"
CODES = ("de", "bg")

TERMINAL = (
    *("ingest/__main__.py", "ingest/terminal.py", "ingest/remote.py", "ingest/environment.py", "ui/__main__.py"),
    *("rag/__main__.py", "rag/commands/", "rag/evaluation/", "rag/adapt/", "rag/models/adapters.py", "ui/start.py"),
    *("rag/models/onnx/convert.py", "rag/models/onnx/source.py"),
    *("rag/comparison/ratings.py", "rag/comparison/report.py", "rag/comparison/run.py", "rag/comparison/sheets.py"),
    *("ui/chats/command.py", "ui/chats/move.py", "ui/people/command.py", "ui/people/settings.py", "ui/api/"),
    *("ui/backup/", "ingest/app_settings.py"),
    *("ingest/snapshot.py", "ingest/on_ray.py", "ingest/elsewhere.py", "ingest/moving.py"),
)
"""Read in a terminal or by a program only: English."""
WHOLE = (
    *("ingest/notes.py", "ingest/trouble.py", "ingest/ocr.py", "ingest/errors.py"),
    "rag/models/onnx/__init__.py",
    *("rag/expert.py", "rag/assistant.py", "rag/health/", "rag/quoting/", "rag/verify/", "rag/answer.py"),
    *("rag/retrieval/languages.py", "rag/models/offers.py", "rag/models/hardware_fit.py", "ui/web/paper_list.py"),
    *("rag/privacy/", "rag/models/error_translation.py", "rag/models/draft.py", "rag/prompter.py", "ui/serving.py"),
    *("rag/retrieval/plans.py", "rag/retrieval/pages.py", "rag/verify/", "rag/models/resolve.py"),
    *("rag/models/pulls.py", "rag/choices.py", "rag/servers/engines.py", "ingest/pipeline.py", "ui/web/names.py"),
    *("ingest/postgres.py", "ui/web/adding.py", "ui/people/view.py"),
)
"""Files in which every sentence may reach the screen."""
REASON = re.compile(r"(?:the (?:passages?|draft)|number \{|name \{)[^.:]* [^.:]*")
"""Why a sentence of an answer is in doubt; joined to others, so without a capital letter and a full stop."""
SAYS = re.compile(r"\w*(?:Error|Exception)|Line|_over|problem|_bad\w*")
"""Called with sentences for people."""
HTML = re.compile(r"</(?:h1|p|div|button|span)>")
WITH_PAGES = ("ui/web/", "ui/comparing/", "ui/lab/", "ui/people/")
"""Rooms with constant HTML."""
PROSE = re.compile(r"[A-Z][a-z]+ [a-z]{2,}|[a-z]{3,} [a-z]{2,} [a-z]{2,}|^[A-Z][a-z]{3,}[.…]?$")
CODE = re.compile(r"[;{}\[\]#=<>$\\|]|\(|^[:.@/,]|^Arrow|^(?:Escape|Enter|Delete|Home|End|Page(?:Up|Down))$")
ATTRIBUTES = ("title", "aria-label", "placeholder")
JS = re.compile(
    r"""\b(?P<call>t|many|inWords)\(\s*(?P<one>'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")"""
    r"""(?:,\s*(?P<other>'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"))?"""
)

Message = str | tuple[str, str]


def sources() -> list[Path]:
    """The Python files whose texts may reach the screen."""
    found = [
        *(path for room in ("ingest", "rag", "ui") for path in sorted((ROOT / room).rglob("*.py"))),
        ROOT / "app.py",
    ]
    return [path for path in found if not name_of(path).startswith(TERMINAL)]


def pages() -> list[Path]:
    """The scripts of our pages."""
    return sorted(path for kind in ("*.js", "*.jsx") for path in (ROOT / "public").rglob(kind))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def messages() -> dict[Message, list[str]]:
    """Every text → the files that it is in."""
    found: dict[Message, list[str]] = {}
    plurals: set[str] = set()
    gathered = [(text, name_of(path)) for path in sources() for text in _in_python(path)]
    gathered += [(text, name_of(path)) for path in pages() for text in in_script(path.read_text(encoding="utf-8"))]
    plurals = {text[0] for text, _ in gathered if isinstance(text, tuple)}
    gathered += [
        (terms, "models.json") for terms in re.findall(r'"terms": "([^"]+)"', MODELS.read_text(encoding="utf-8"))
    ]
    for text, place in gathered:
        if text not in plurals and place not in found.setdefault(text, []):
            found[text].append(place)
    return found


# ---- Python ---------------------------------------------------------------------------------------------------------


def _in_python(path: Path) -> Iterator[Message]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    name = name_of(path)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield from _called(node)
        if (
            isinstance(node, ast.AnnAssign)
            and ast.unparse(node.target) == "GROUP"
            and isinstance(node.value, ast.Constant)
        ):
            yield str(node.value.value)
        constant = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if constant and name.startswith(WITH_PAGES) and name != "ui/web/viewer.py" and HTML.search(node.value):
            yield from in_html(node.value)
    if name == "ui/web/viewer.py":
        yield from in_html("".join(_plain(part) for node in ast.walk(tree) for part in _html_parts(node)))
    if name.startswith(WHOLE):
        yield from whole_sentences(tree)


def _called(call: ast.Call) -> Iterator[Message]:
    name = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
    given = [arg.value for arg in call.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
    if name in {"_", "N_", "frame"} and given:
        yield given[0]
    elif name == "ngettext" and len(given) > 1:
        yield given[0], given[1]
    elif name == "counted" and given:
        yield f"{{n}} {given[0]}", f"{{n}} {given[0]}s"
    elif name == "Check":
        yield from given[1:]
    elif SAYS.fullmatch(name):
        yield from (
            keyword.value.value
            for keyword in call.keywords
            if keyword.arg == "about"
            and isinstance(keyword.value, ast.Constant)
            and isinstance(keyword.value.value, str)
        )
        for argument in (*call.args, *(keyword.value for keyword in call.keywords)):
            yield from (text for text in forms(argument) if is_said(text))


def whole_sentences(tree: ast.AST) -> Iterator[str]:
    """Every sentence of a file that is no docstring."""
    skipped: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            skipped.add(id(node.value))
        elif isinstance(node, ast.JoinedStr):
            skipped.update(id(part) for part in node.values)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant | ast.JoinedStr) and id(node) not in skipped:
            yield from (
                text
                for text in map(str.strip, forms(node))
                if " " in text and (is_said(text) or REASON.fullmatch(text))
            )


def is_said(text: str) -> bool:
    """Whether a string is a sentence, or a template of one, and no pattern, path or key."""
    plain = re.sub(r"\{\w+\}", "X", re.sub(r"(?<=[.?!])\{\w+\}$", "", text))
    return bool(
        re.search(r"[a-z]{2,}[ ;,:]|^[A-Z][a-z]+[ .]", plain)
        and re.match(r"[A-Z(“X]|[a-z]+\.[a-z]{2,5} ", plain)
        and re.search(r"[.?!…”]$", plain)
        and "\\" not in text
        and "\n" not in text
        and "<" not in text
        and "(?" not in text
        and not text.startswith("SELECT ")
    )


def forms(node: ast.AST) -> list[str]:
    """What an expression may say, with its values as {names}; an `if` in it says two things."""
    if isinstance(node, ast.Constant):
        return [node.value.replace("{}", "{name}")] if isinstance(node.value, str) else []
    if isinstance(node, ast.IfExp):
        return [*forms(node.body), *forms(node.orelse)]
    if not isinstance(node, ast.JoinedStr):
        return []
    names: dict[str, str] = {}
    choices: list[list[str]] = []
    for part in node.values:
        if isinstance(part, ast.Constant):
            choices.append([str(part.value).replace("{}", "{name}")])
        elif isinstance(part, ast.FormattedValue):
            told = forms(part.value) if isinstance(part.value, ast.IfExp) else []
            both = isinstance(part.value, ast.IfExp) and len(told) == 2
            choices.append(told if both else [f"{{{_named(part.value, names)}}}"])
    return ["".join(parts) for parts in itertools.islice(itertools.product(*choices), 16)]


def _named(value: ast.AST, names: dict[str, str]) -> str:
    """A name for a value in a template, from what it is called in the code; the same expression has the same name."""
    code = ast.unparse(value)
    if code not in names:
        words = [
            word for word in re.findall(r"[A-Za-z]\w*", code) if word not in {"len", "self", "inert", "str", "counted"}
        ]
        base = (words[-1] if words else "value").lower().strip("_")
        taken = set(names.values())
        names[code] = next(n for n in (base, *(f"{base}{k}" for k in range(2, 99))) if n not in taken)
    return names[code]


# ---- HTML and scripts -----------------------------------------------------------------------------------------------


class _Visible(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden += tag in {"script", "style", "kbd", "code"}
        self.found += [value for name, value in attrs if name in ATTRIBUTES and value]

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in {"script", "style", "kbd", "code"}

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.found.append(data)


def in_html(text: str) -> Iterator[str]:
    """The texts of constant HTML: as `ui.web.pages.translated` looks them up."""
    parser = _Visible()
    parser.feed(text)
    for found in parser.found:
        flat = " ".join(found.split())
        if re.search(r"[A-Za-z]{2}", flat) and "{" not in flat:
            yield flat


def _html_parts(node: ast.AST) -> list[ast.AST]:
    return list(node.values) if isinstance(node, ast.JoinedStr) and "</header>" in ast.unparse(node) else []


def _plain(part: ast.AST) -> str:
    return str(part.value) if isinstance(part, ast.Constant) else "{}"


def in_script(text: str) -> Iterator[Message]:
    """What a script asks for by `t` and `many`."""
    code = re.sub(r"/\*.*?\*/|(?<!:)//[^\n]*", "", text, flags=re.DOTALL)
    for found in JS.finditer(code):
        one = _unquoted(found["one"])
        if found["call"] == "many" and found["other"]:
            yield one, _unquoted(found["other"])
        elif found["call"] in {"t", "inWords"}:
            yield one


def unasked_in_python(tree: ast.AST) -> list[str]:
    """Literals that Chainlit is told to show, but are not asked for in the reader's language."""
    found = []
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call):
            continue
        name = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
        shown = [
            *call.args,
            *(one.value for one in call.keywords if one.arg in {"content", "label", "tooltip", "title"}),
        ]
        shown += [one.value for one in call.keywords if one.arg == "name" and name in {"Step", "Mode", "ModeOption"}]
        if name in {
            "Message",
            "ErrorMessage",
            "AskActionMessage",
            "send_toast",
            "Action",
            "Step",
            "Mode",
            "ModeOption",
        }:
            texts = (re.sub(r"\{\w+\}", "", text) for argument in shown for text in forms(argument))
            found += [text for text in texts if PROSE.search(text)]
    return found


def unasked(text: str) -> set[str]:
    """Literals of a script that read like text for people, but are not asked for in the reader's language."""
    code = re.sub(r"/\*.*?\*/|(?<!:)//[^\n]*", "", text, flags=re.DOTALL)
    asked = {part for found in in_script(text) for part in ((found,) if isinstance(found, str) else found)}
    written = {_unquoted(found[0]) for found in re.finditer(r"'(?:[^'\\\n]|\\.)*'", JS.sub("", code))}
    written |= {" ".join(re.split(r"\$\{[^}]*\}", found[1])) for found in re.finditer(r"`([^`\n]*)`", code)}
    written |= {found[1].strip() for found in re.finditer(r"(?<![=-])>([^<>{}()=;]*)</", code)}
    return {one for one in written if PROSE.search(one) and not CODE.search(one)} - asked


def _unquoted(literal: str) -> str:
    return re.sub(r"\\(.)", r"\1", literal[1:-1])


# ---- catalogues -----------------------------------------------------------------------------------------------------


def catalogue(code: str) -> Catalog:
    with (TEXTS / f"{code}.po").open("rb") as file:
        return read_po(file, locale=code)


def write(code: str, translations: dict[Message, str | tuple[str, ...]]) -> None:
    """The catalogue with exactly the texts of the code, and what is known of each."""
    made = Catalog(locale=code, project="Scholion", version="", fuzzy=False)
    made.header_comment = "# The interface of Scholion. Checked and brought up to date by tests/support/messages.py."
    for text, places in sorted(messages().items(), key=lambda one: (one[1][0], str(one[0]))):
        made.add(text, translations.get(text) or "", locations=[(place, None) for place in places])
    with (TEXTS / f"{code}.po").open("wb") as file:
        write_po(file, made, width=120, omit_header=False, include_lineno=False, ignore_obsolete=True)


def known(code: str) -> dict[Message, str | tuple[str, ...]]:
    """What is translated so far."""
    if not (TEXTS / f"{code}.po").exists():
        return {}
    return {message.id: message.string for message in catalogue(code) if message.id and message.string}


if __name__ == "__main__":
    for code in CODES:
        write(code, known(code))
    print(len(messages()), "texts", file=sys.stderr)
