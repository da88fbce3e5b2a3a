"""The shape of the house: who may import what, and that importing is cheap."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
SOURCES = [*sorted(path for room in ("ingest", "rag", "ui") for path in (ROOT / room).rglob("*.py")), ROOT / "app.py"]

ALLOWED = {  # library → the files that may import it
    "chainlit": {"app.py", "ui/"},
    "chromadb": {"ingest/chroma.py", "ingest/vectors.py"},
    "pypdf": {"ingest/parse.py", "ingest/readers.py", "ingest/sandbox_child.py", "ingest/glyph_names.py"},
    "pypdfium2": {
        "ingest/portfolio.py",
        "ingest/page_objects.py",
        "ingest/reread.py",
        "ingest/undrawn.py",
        "ingest/parse.py",
        "ingest/readers.py",
        "ingest/sandbox_child.py",
        "ingest/hidden.py",
        "ingest/ocr.py",
        "ingest/picture.py",
        "ingest/locate.py",
        "ingest/text_layer.py",
        "ingest/document_map.py",
        "ingest/annotations.py",
    },
    "openai": {"rag/models/chat.py", "rag/models/error_translation.py", "rag/models/replies.py"},
    "httpx": {"ingest/chroma.py", "ingest/vectors.py", "ui/api/mcp_server.py"},
    "httpx2": {
        "rag/models/chat.py",
        "rag/models/error_translation.py",
        "rag/models/replies.py",
        "rag/privacy/transport.py",
        "rag/models/download.py",
        "rag/servers/loopback.py",
    },
    "genai_prices": {"rag/costs/prices.py"},
    "xllamacpp": {"rag/models/local.py"},
    "tiktoken": {"rag/costs/tokens.py"},
    "sentence_transformers": {"ingest/embed.py"},
    "onnxruntime_genai": {"rag/models/onnx/writer.py", "rag/models/onnx/child.py", "rag/models/onnx/build.py"},
    "torch": {
        "rag/models/onnx/build.py",
        "rag/models/onnx/check.py",
        "rag/comparison/in_process.py",
        "ingest/bert.py",
        "ingest/embed.py",
        "rag/reading/reader.py",
        "rag/reading/network.py",
        "rag/adapt/lora.py",
        "rag/adapt/prepare.py",
    },
    "transformers": {
        "rag/models/onnx/build.py",
        "rag/models/onnx/check.py",
        "rag/comparison/in_process.py",
        "ingest/embed.py",
        "rag/reading/network.py",
        "rag/adapt/lora.py",
        "rag/adapt/prepare.py",
    },
    "sklearn": {"rag/comparison/ratings.py"},
    "peft": {"rag/adapt/lora.py", "rag/adapt/prepare.py"},
    "gguf": {"rag/adapt/lora.py", "rag/models/onnx/source.py"},
    "babel": {"ui/texts/languages.py"},
    "fastapi": {"ui/"},
    "asyncpg": {"ingest/postgres.py"},
    "ray": {"ingest/on_ray.py"},
    "sqlite3": {
        "ingest/database.py",
        "ingest/library.py",
        "ingest/moving.py",
        "ingest/schema.py",
        "ingest/scope_words.py",
        "ingest/word_index.py",
        "ingest/word_tokens.py",
        "ingest/snapshot.py",
        "ingest/trouble.py",
        "ingest/zotero.py",
        "rag/health/library_checks.py",
        "ui/chats/history.py",
        "ui/chats/insight.py",
        "ui/chats/move.py",
        "ui/chats/salvage.py",
        "ui/people/store.py",
        "ui/web/insight_routes.py",
    },
}
PURE = {
    "ingest/paper.py", "ingest/layout.py", "ingest/metadata.py", "ingest/chunk.py",
    "ingest/blocks.py", "ingest/latex.py", "ingest/lines.py", "ingest/headings.py", "ingest/reference_list.py",
    "ingest/steps.py", "ingest/readable.py", "ingest/notes.py",
    "ingest/verbatim.py", "ingest/sentences.py", "ingest/authors.py", "ingest/injections.py", "ingest/bibliography.py",
    "ingest/identifiers.py", "ingest/names.py", "ingest/page_labels.py", "rag/retrieval/pages.py",
    "rag/answer.py", "rag/message.py", "rag/texts/__init__.py", "rag/weights.py",
    "rag/prompts.py", "rag/verify/citations.py", "rag/words.py", "rag/render.py",
    "rag/verify/claims.py", "rag/verify/numbers.py", "rag/verify/support.py", "rag/verify/conflicts.py",
    "rag/verify/quotations.py", "rag/verify/confidence.py", "rag/quoting/quoted_answer.py",
    "rag/sentence_marks.py", "rag/reading/readings.py", "rag/quoting/extract.py", "rag/quoting/no_answer.py",
    "rag/quoting/roles.py", "rag/verify/ties.py",
    "rag/retrieval/abbreviations.py", "rag/sanitise.py",
    "rag/retrieval/questions.py", "rag/retrieval/followups.py", "rag/retrieval/languages.py",
    "rag/retrieval/spelling.py", "rag/adapt/sentences.py", "rag/retrieval/naming.py", "rag/catalogue/grammar.py",
    "rag/inert.py", "rag/markers.py",
    "rag/privacy/redaction.py", "rag/privacy/budget.py",
    "rag/models/hardware_fit.py",
    "rag/evaluation/metrics.py", "rag/evaluation/cases.py", "rag/evaluation/plots.py",
    "rag/comparison/routing.py", "rag/comparison/plots.py", "rag/costs/ownership.py",
}  # fmt: skip
ORDER = (  # of rag, the ground first: each imports from what stands before it, and from nothing beside it
    ("errors", "settings", "keys", "message", "texts", "words", "weights", "sanitise", "markers"),
    ("costs", "servers", "reading", "inert", "choices"),
    ("answer", "privacy"),
    ("retrieval", "verify", "models", "saved_answer", "sentence_marks", "insight"),
    ("quoting", "prompts", "render"),
    ("expert", "prompter", "catalogue", "health"),
    ("assistant", "evaluation"),
    ("adapt", "comparison", "papers"),
    ("commands",),
    ("__main__",),
)
ROOMS = sorted(path.parent.name for path in (ROOT / "rag").glob("*/__init__.py"))
FLOORS = {"ingest": 11, "rag": 10, "ui": 6}
"""The longest chain of imports inside each package, those for annotations included."""
MOST_FILES = 20
"""Of one folder. In ingest/ all is one walk from a PDF to the library, so it is one room."""
LONG = 450
"""Lines; what is longer is cut, or its docstring says why not."""
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
    "peft",
    "onnxruntime",
    "onnxruntime_genai",
    "aiohttp",
    "ray",
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


def test_every_rule_is_about_a_place_that_is_there() -> None:
    places = PURE.union(*ALLOWED.values())
    assert not [place for place in sorted(places) if not (ROOT / place).exists()]


def graph(package: str) -> dict[str, set[str]]:
    """Each module of a package with those of it that it imports, for annotations or to run.

    A room's `__init__` is a module as every other; that of the package itself stands above them all and is left out.
    """
    files = {name_of(path).removesuffix(".py").removesuffix("/__init__").replace("/", "."): path for path in SOURCES}
    modules = {module: path for module, path in files.items() if module.startswith(f"{package}.")}

    def meant(node: ast.AST) -> Iterator[str]:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            inside = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (name if name in modules else str(node.module) for name in inside)

    trees = {module: ast.parse(path.read_text(encoding="utf-8")) for module, path in modules.items()}
    return {
        module: {name for node in ast.walk(tree) for name in meant(node) if name in modules} - {module}
        for module, tree in trees.items()
    }


@pytest.mark.parametrize("package", FLOORS)
def test_imports_form_no_circle_and_no_tower(package: str) -> None:
    modules, floors = graph(package), {}

    def floor(module: str, trail: tuple[str, ...]) -> int:
        assert module not in trail, " → ".join((*trail, module))
        if module not in floors:
            floors[module] = 1 + max((floor(other, (*trail, module)) for other in modules[module]), default=0)
        return floors[module]

    top = max(modules, key=lambda module: floor(module, ()))
    assert floors[top] <= FLOORS[package], f"{top} stands on floor {floors[top]}"


def test_the_rooms_of_rag_stand_in_order() -> None:
    floors = {name: n for n, names in enumerate(ORDER) for name in names}
    modules = graph("rag")
    assert {module.split(".")[1] for module in modules} == floors.keys(), "each file and each room has its place"
    for module, others in modules.items():
        room = module.split(".")[1]
        for other in others:
            below = other.split(".")[1]
            assert below == room or floors[below] < floors[room], f"{module} imports {other}"


def test_no_folder_is_a_heap() -> None:
    sizes = Counter(path.parent.relative_to(ROOT).as_posix() for path in SOURCES)
    assert not {folder: n for folder, n in sizes.items() if n > MOST_FILES and folder != "ingest"}


def test_no_two_test_files_share_a_name() -> None:
    """A plain `pytest` would stop there: it imports each by its name alone."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))


def test_a_long_file_says_why() -> None:
    for path in (*SOURCES, *(ROOT / "bench").glob("*.py")):
        text = path.read_text(encoding="utf-8")
        docstring = ast.get_docstring(ast.parse(text)) or ""
        assert text.count("\n") <= LONG or " long " in docstring, f"{name_of(path)} has {text.count(chr(10))} lines"


@pytest.mark.parametrize("rooms", ["ingest", "rag", ", ".join(f"rag.{room}" for room in ROOMS)])
def test_importing_a_room_loads_no_heavy_library(rooms: str) -> None:
    code = f"import sys, {rooms}; print([m for m in {HEAVY!r} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_every_file_says_what_it_is_for(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert docstring, f"{name_of(path)} has no docstring"
    assert docstring.splitlines()[0] in (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"), (
        f"docs/architecture.md does not show the first line of {name_of(path)}"
    )


@pytest.mark.parametrize("room", ["ingest", "rag", *(f"rag.{room}" for room in ROOMS)])
def test_public_names_are_sorted_and_there(room: str) -> None:
    module = import_module(room)
    names = getattr(module, "__all__", [])
    assert names == sorted(names)
    for name in names:
        found = getattr(module, name)
        assert not isinstance(found, ModuleType), f"{room}.{name} is a file"


def test_generated_docs_are_up_to_date() -> None:
    sys.path.insert(0, str(ROOT / "docs"))
    import generate

    for page in generate.PARTS:
        assert (ROOT / page).read_text(encoding="utf-8") == generate.generated(page), f"run `make docs`: {page}"


def test_small_files_are_written_by_the_one_function_that_survives_a_power_loss() -> None:
    elsewhere = {
        "rag/models/download.py",  # gigabytes, into a part that `put_in_place` names
        "rag/models/local.py",  # a child's own standard output
        "rag/models/onnx/build.py",  # the same
        "ingest/sandbox_child.py",  # the same
        "ui/backup/archive.py",  # gigabytes, into a part that `put_in_place` names
    }
    for path in SOURCES:
        calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
        for call in calls:
            name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
            mode = {"w", "wb", "w+", "wb+", "x"} & {a.value for a in call.args if isinstance(a, ast.Constant)}
            writes = name in {"write_text", "write_bytes"} or (name in {"open", "fdopen"} and mode)
            assert not writes or name_of(path) in {*elsewhere, "ingest/files.py", "ui/chats/history.py"}, (
                f"{name_of(path)}:{call.lineno} writes a file; use ingest.write_atomically"
            )
