"""Each fake takes the arguments of what it stands for: else it goes on agreeing with a caller that is wrong."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import pytest

import fake_embedder
import fakes
from ingest import Embedder
from rag import Assistant
from rag.keys import Keyring
from rag.models.chat import ChatModel
from rag.models.local import LocalServer

TESTS = Path(__file__).parent
WHOLE = [  # a seam, and a fake that has all of it
    (ChatModel, fakes.ScriptedChatModel),
    (ChatModel, fakes.UntouchedChatModel),
    (ChatModel, fakes.HangingChatModel),
    (Embedder, fake_embedder.HashEmbedder),
    (Embedder, fake_embedder.SlowEmbedder),
]
PARTS = [
    (Assistant, fakes.ScriptedAssistant),
    (LocalServer, fakes.FakeServer),
    (Keyring, fakes.FakeKeyring),
]  # a class, and a fake that has some of its methods
CALLS = [  # the words that define a function, where they stand, and the fake of it
    ("async def ask", "ui/consent_question.py", fakes.ScriptedUser.__call__),
    ("def emit_fn", "chainlit/socket.py", fakes.SilentPage.emit),
    ("def emit_call_fn", "chainlit/socket.py", fakes.SilentPage.emit_call),
]
OTHERS = {  # named like a fake, and each is a real server that speaks a protocol
    "stub_server.py": {"Stub"},
    "engine_stubs.py": {"Stub"},
    "fake_zotero.py": {"FakeZotero"},
}
NAMED_SO = re.compile(r"Fake|Stub|Mock|Dummy|Scripted|Silent|Hash|Slow|Untouched|Hanging|Broken|Deaf|Dead|Recorded")


def shape(function) -> list[tuple]:
    """What a caller has to know: names, kinds and defaults of the parameters."""
    return [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values() if p.name != "self"]


def methods(cls: type) -> dict[str, object]:
    """The public methods of a class, those of its bases included."""
    found = inspect.getmembers_static(cls, inspect.isfunction)
    return {name: method for name, method in found if not name.startswith("_")}


@pytest.mark.parametrize(("real", "fake"), [*WHOLE, *PARTS], ids=lambda cls: cls.__name__)
def test_a_fake_takes_the_arguments_of_what_it_stands_for(real: type, fake: type) -> None:
    theirs, ours = methods(real), methods(fake)
    assert set(ours) <= set(theirs), "what is of the fake alone is no method"
    if (real, fake) in WHOLE:
        assert set(ours) == set(theirs)
    for name, method in ours.items():
        assert shape(method) == shape(theirs[name]), name
        # a generator is a plain function to its readers, and a Protocol declares it as one
        assert inspect.iscoroutinefunction(method) == inspect.iscoroutinefunction(theirs[name]), name


@pytest.mark.parametrize(("real", "file", "fake"), CALLS, ids=lambda part: getattr(part, "__qualname__", str(part)))
def test_a_fake_of_one_function_takes_its_arguments(real: str, file: str, fake) -> None:
    import chainlit

    above = Path(chainlit.__file__).parents[1] if file.startswith("chainlit/") else TESTS.parent
    tree = ast.parse((above / file).read_text(encoding="utf-8"))
    (found,) = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and ast.unparse(node).startswith(f"{real}(")
    ]
    assert [p.name for p in inspect.signature(fake).parameters.values() if p.name != "self"] == [
        arg.arg for arg in found.args.args
    ]


def test_every_fake_is_among_those_that_are_checked() -> None:
    checked = {fake.__name__ for _, fake in [*WHOLE, *PARTS]} | {fake.__qualname__.split(".")[0] for *_, fake in CALLS}
    for path in sorted(TESTS.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ClassDef):
                continue
            bases = {ast.unparse(base) for base in node.bases}
            if path.name in {"fakes.py", "fake_embedder.py"}:
                assert node.name in checked, f"{node.name}: say what it stands for, in {Path(__file__).name}"
            elif node.name not in OTHERS.get(path.name, set()):
                where = f"{path.relative_to(TESTS)}: {node.name}"
                assert not NAMED_SO.match(node.name), f"{where}: a fake's place is tests/support/fakes.py"
                assert not bases & checked, f"{where}: a fake's place is tests/support/fakes.py"
