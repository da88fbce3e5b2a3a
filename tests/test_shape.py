"""The shape of the house: who may import what, and that importing is cheap."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = [*sorted(path for room in ("ingest", "rag", "ui") for path in (ROOT / room).glob("*.py")), ROOT / "app.py"]

ALLOWED = {  # library → the files that may import it
    "chainlit": {"app.py", "ui/"},
    "chromadb": {"ingest/chroma.py", "ingest/vectors.py"},
    "pypdf": {"ingest/parse.py", "ingest/engines.py", "ingest/sandbox.py"},
    "pypdfium2": {
        "ingest/parse.py",
        "ingest/engines.py",
        "ingest/sandbox.py",
        "ingest/hidden.py",
        "ingest/ocr.py",
        "ingest/picture.py",
        "ingest/locate.py",
    },
    "openai": {"rag/chat.py", "rag/faults.py"},
    "httpx": {"ingest/chroma.py", "ingest/vectors.py"},
    "httpx2": {"rag/chat.py", "rag/faults.py", "rag/egress.py", "rag/download.py", "rag/loopback.py"},
    "genai_prices": {"rag/prices.py"},
    "xllamacpp": {"rag/local.py"},
    "tiktoken": {"rag/tokens.py"},
    "sentence_transformers": {"ingest/embed.py"},
    "torch": {"ingest/embed.py", "rag/reader.py", "rag/reader_network.py"},
    "transformers": {"ingest/embed.py", "rag/reader_network.py"},
    "fastapi": {"rag/api.py", "ui/"},
    "sqlite3": {"ingest/library.py", "ingest/trouble.py", "ui/history.py", "ui/salvage.py"},
}
PURE = {
    "ingest/paper.py", "ingest/layout.py", "ingest/metadata.py", "ingest/chunk.py",
    "ingest/blocks.py", "ingest/latex.py", "ingest/lines.py", "ingest/headings.py", "ingest/references.py",
    "ingest/verbatim.py", "ingest/sentences.py",
    "rag/answer.py", "rag/message.py", "rag/weights.py",
    "rag/prompts.py", "rag/citations.py", "rag/words.py", "rag/render.py",
    "rag/statement.py", "rag/support.py", "rag/conflicts.py", "rag/quotations.py",
    "rag/confidence.py", "rag/alternatives.py",
    "rag/doubts.py", "rag/reading.py", "rag/extract.py", "rag/ties.py",
    "rag/abbreviations.py", "rag/sanitise.py",
    "rag/questions.py", "rag/followups.py",
    "rag/redaction.py", "rag/budget.py",
    "rag/fit.py",
    "rag/metrics.py", "rag/cases.py", "rag/plots.py",
}  # fmt: skip
IMPURE_MODULES = {"asyncio", "time", "os", "socket", "subprocess", "sqlite3", "pathlib.Path", "threading"}
HEAVY = (
    "genai_prices",
    "torch",
    "transformers",
    "sentence_transformers",
    "chromadb",
    "chainlit",
    "xllamacpp",
    "pypdf",
    "openai",
)


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports(path: Path) -> set[str]:
    """Dotted names of all imports that run; those under TYPE_CHECKING are left out."""
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            return
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(path.read_text(encoding="utf-8")))
    return found


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_each_file_imports_only_what_its_room_may(path: Path) -> None:
    name, tops = name_of(path), {dotted.partition(".")[0] for dotted in imports(path)}
    if name.startswith("ingest/"):
        assert not tops & {"rag", "ui", "app"}, "ingest knows nothing of questions"
    if name.startswith("rag/"):
        assert not tops & {"ui", "app"}, "rag knows nothing of the browser"
    for library in tops & ALLOWED.keys():
        assert any(name == place or (place.endswith("/") and name.startswith(place)) for place in ALLOWED[library]), (
            f"{name} imports {library}"
        )
    if name in PURE:
        assert not imports(path) & IMPURE_MODULES, f"{name} is to be pure"


def test_inside_the_rooms_imports_form_no_circle() -> None:
    graph = {}
    for path in SOURCES:
        if path.name == "__init__.py":
            continue
        module = name_of(path).removesuffix(".py").replace("/", ".")
        graph[module] = {
            dotted for dotted in imports(path) if (ROOT / (dotted.replace(".", "/") + ".py")).is_file()
        } - {module}
    done: set[str] = set()

    def walk(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " → ".join((*trail, module))
        if module not in done:
            for other in graph.get(module, ()):
                walk(other, (*trail, module))
            done.add(module)

    for module in graph:
        walk(module, ())


@pytest.mark.parametrize("room", ["ingest", "rag"])
def test_importing_a_room_loads_no_heavy_library(room: str) -> None:
    code = f"import sys, {room}; print([m for m in {HEAVY!r} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize("path", [p for p in SOURCES if p.name != "__init__.py"], ids=name_of)
def test_every_file_says_what_it_is_for(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert docstring, f"{name_of(path)} has no docstring"
    assert docstring.splitlines()[0] in (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"), (
        f"docs/architecture.md does not show the first line of {name_of(path)}"
    )


@pytest.mark.parametrize("room", ["ingest", "rag"])
def test_public_names_are_sorted_and_there(room: str) -> None:
    module = __import__(room)
    assert module.__all__ == sorted(module.__all__)
    assert all(hasattr(module, name) for name in module.__all__)


def test_generated_docs_are_up_to_date() -> None:
    sys.path.insert(0, str(ROOT / "docs"))
    import generate

    for page in generate.PARTS:
        assert (ROOT / page).read_text(encoding="utf-8") == generate.generated(page), f"run `make docs`: {page}"


def test_small_files_are_written_by_the_one_function_that_survives_a_power_loss() -> None:
    elsewhere = {
        "rag/download.py",  # gigabytes, into a part that `put_in_place` names
        "rag/local.py",  # a child's own standard output
        "ingest/sandbox.py",  # the same
    }
    for path in SOURCES:
        calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
        for call in calls:
            name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
            mode = {"w", "wb", "w+", "wb+", "x"} & {a.value for a in call.args if isinstance(a, ast.Constant)}
            writes = name in {"write_text", "write_bytes"} or (name in {"open", "fdopen"} and mode)
            assert not writes or name_of(path) in {*elsewhere, "ingest/files.py", "ui/history.py"}, (
                f"{name_of(path)}:{call.lineno} writes a file; use ingest.write_atomically"
            )
