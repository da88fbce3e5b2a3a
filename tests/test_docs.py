"""What the docs point to is there: links, headings, files, and the commands with their options."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest

from ingest.__main__ import _parser as ingest_parser
from rag.__main__ import _parser as rag_parser

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    *(ROOT / name for name in ("README.md", "chainlit.md", "SECURITY.md", "CHANGELOG.md")),
    *sorted(path for path in (ROOT / "docs").rglob("*.md") if path.name != "log.md"),
]
PARSERS = {"ingest": ingest_parser(), "rag": rag_parser()}
COMMAND = re.compile(r"python -m (ingest|rag) ([a-z|-]+)([^`\n#|]*)")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def prose(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    return re.sub(r"```.*?```|`[^`\n]*`", " ", text, flags=re.DOTALL)


def headings(path: Path) -> set[str]:
    """Of a page, as they stand in the addresses that lead to them."""
    lines = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", line).strip().lower().replace(" ", "-") for line in lines}


def subcommands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    found = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return {name: sub for action in found for name, sub in action.choices.items()}


def options(parser: argparse.ArgumentParser) -> set[str]:
    """Of a command and all commands below it."""
    below = (options(sub) for sub in subcommands(parser).values())
    return {*parser._option_string_actions, *(name for names in below for name in names)}


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_every_link_leads_somewhere(path: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(path)):
        if not link.startswith(("http://", "https://")):
            file, _, heading = link.partition("#")
            target = path.parent / file if file else path
            assert target.exists(), link
            assert not heading or heading in headings(target), link


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_every_file_that_is_named_is_there(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for file in re.findall(r"`((?:bench|docs|ingest|public|rag|requirements|tests|ui)/[\w./-]*\w)", text):
        assert (ROOT / file).exists(), file
    for file in re.findall(r"python ((?:bench|docs|tests)/\w+\.py)", text):
        assert (ROOT / file).is_file(), file


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_every_command_and_option_exists(path: Path) -> None:
    for program, commands, rest in COMMAND.findall(path.read_text(encoding="utf-8")):
        known = subcommands(PARSERS[program])
        for command in commands.split("|"):
            assert command in known, f"python -m {program} {command}"
            assert set(re.findall(r"--[a-z][a-z-]*", rest)) <= options(known[command]), f"{command}{rest}"
            below, verb = subcommands(known[command]), re.match(r" ([a-z][a-z-]*)(?:\s|$)", rest)
            if below and verb:
                assert verb[1] in below, f"python -m {program} {command} {verb[1]}"


def test_the_pattern_finds_commands() -> None:
    found = COMMAND.findall("`python -m rag search|ask --tag TAG`\npython -m ingest add PATH…  # files")
    assert found == [("rag", "search|ask", " --tag TAG"), ("ingest", "add", " PATH…  ")]
