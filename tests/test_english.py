"""The words that users read: phrases that must not come back, spelling, and British forms."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.embed import embedded_model

ROOT = Path(__file__).resolve().parents[1]
CODE = [
    *sorted(
        path for room in ("ingest", "rag", "ui") for path in (ROOT / room).rglob("*.py") if path.name != "prompts.py"
    ),
    ROOT / "app.py",
]
"""Without the prompts: models read them, and the figures in the docs were measured with their wording."""
PAGE = [path for kind in ("*.js", "*.jsx", "*.css") for path in sorted((ROOT / "public").rglob(kind))]
TRANSLATED = re.compile(r"\.(?:de|bg)\.md$")
CHAINLIT = [ROOT / ".chainlit" / "config.toml", *sorted((ROOT / ".chainlit" / "translations").glob("*.json"))]
DOCS = [
    *(ROOT / name for name in ("README.md", "chainlit.md", "SECURITY.md", "CHANGELOG.md")),
    *sorted(
        path for path in (ROOT / "docs").glob("*.md") if path.name != "log.md" and not TRANSLATED.search(path.name)
    ),
]
READ = [*DOCS, *CODE, *PAGE, *CHAINLIT]
SPELLED = [*DOCS, *sorted((ROOT / "docs" / "decisions").glob("*.md")), *CODE]

INSTEAD = {  # what must not come back → what to write
    r"\bdid not hold\b|\bnothing (?:of it )?holds\b": "was not supported; nothing in it is supported",
    r"\bc[ao]me whole\b": "The download of NAME failed after 4 attempts.",
    r"\bwhom you trust\b": "people you trust",
    r"\bits place back\b": "A call that was never sent does not count.",
    r"\bstands? in (?:its|their) place\b": "is shown instead",
    r"\bthat which\b": "what",
    r"\bits words (?:are|is) not there\b": "the passages do not mention this",
    r"\b(?:name|number) \S+ is not there\b": "the passages do not mention the number 5",
    r"\bmade to do harm\b": "damaged or malicious",
    r"\bmay hear it\b|\bsits on the way\b": "others on the network can read it",
    r"\bAsked of:": "Searched all 4 papers",
    r"\bdone in (?:\{\}|\d[\d.]*) s\b|\btokens in, ": "1.8 s · 158 → 23 tokens",
    r"\bno passage that was read\b": "none of the passages says this",
    r"\bchoose one in the text\b": "select a marked sentence",
    r"\bha(?:s|ve) no support in\b": "is not supported by",
    r"\brightly\b": "right, correctly",
    r"\banew\b": "again",
    r"\bmend(?:s|ed|ing)?\b": "fix, repair",
    r"\bof no use\b": "useless, unusable",
    r"\bwhere (?:un)?set\b": "if unset",
    r"\bonly so many\b": "at most N",
    r"\bgo(?:es|ing)? on (?:with|where|from)\b": "continue",
    r"\bstands? (?:there|behind|beside|below|above|in the passages|in them)\b": "is",
    r"\bnothing is to be\b|\b(?:is|are) to be used\b": "you do not need to; should be used",
    r"\bone's own\b": "your own",
    r"\bwhich were read\b": "that were read",
    r"\bthereof\b|\bwhereby\b|\bwherein\b|\bhereby\b": "plain words",
}
TO_REWRITE: dict[str, set[str]] = {}
"""File → the phrases that it still has. This may only shrink: take a phrase out when the file no longer has it."""

AMERICAN = re.compile(
    r"\b(?:colors?|behaviors?|favorites?|centers?|centered|gray|catalogs?|analyze[sd]?|(?:un)?labeled|modeled|modeling|"
    r"canceled|licenses|fulfill|defense|honor|neighbors?|neighboring|"
    r"(?!seize|prize|resize|size)\w{3,}iz(?:e[sd]?|ers?|ing|ations?))\b",
    re.IGNORECASE,
)
AS_THEY_ARE_CALLED = {"tokenizer", "tokenizers", "analyze"}
"""The name of a thing of the libraries, or of a statement."""

LISTS = {
    "ingest/confine.py",
    "ingest/glyph_names.py",
    "ingest/sentences.py",
    "rag/catalogue/grammar.py",
    "rag/catalogue/words.py",
    "rag/retrieval/naming.py",
    "rag/verify/claims.py",
    "rag/verify/conflicts.py",
    "rag/words.py",
}
"""Their strings are lists of words for the program, not text for people."""

ENDINGS = {
    "s": ("",),
    "es": ("", "e"),
    "ies": ("y",),
    "ed": ("", "e"),
    "ing": ("", "e"),
    "er": ("", "e"),
    "ers": ("", "e"),
    "est": ("", "e"),
    "ly": ("", "le"),
    "ily": ("y",),
    "ness": ("",),
    "able": ("", "e"),
    "ise": ("",),
    "ised": ("",),
}
BEGINNINGS = ("un", "re", "in", "non", "pre", "mis", "dis", "over", "sub")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def strings(tree: ast.AST) -> Iterator[str]:
    """Every string with a space in it that is no docstring; the values in an f-string become {}."""
    parts: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant | ast.JoinedStr):
            parts.update(id(part) for part in ast.walk(node))
        elif isinstance(node, ast.JoinedStr):
            parts.update(id(part) for part in node.values)
    for node in ast.walk(tree):
        if id(node) in parts:
            continue
        if isinstance(node, ast.JoinedStr):
            text = "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
        else:
            continue
        if " " in text.strip():
            yield text


def text_of(path: Path) -> str:
    """What users may read of a file: strings of code, and pages without their generated parts and comments."""
    text = path.read_text(encoding="utf-8")
    match path.suffix:
        case ".py":
            return "\n".join(strings(ast.parse(text)))
        case ".md":
            return re.sub(r"<!-- (\w+) -->\n.*?<!-- end \1 -->", "", text, flags=re.DOTALL)
        case ".toml":
            return re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE)
        case _:
            return re.sub(r"/\*.*?\*/|(?<!:)//[^\n]*", "", text, flags=re.DOTALL)


def phrases(text: str) -> dict[str, str]:
    """Those of `INSTEAD` that are in a text, as they are there in small letters → what to write."""
    plain = re.sub(r"\s+", " ", text)
    return {
        found[0].casefold(): better
        for phrase, better in INSTEAD.items()
        for found in re.finditer(phrase, plain, re.IGNORECASE)
    }


def prose(text: str) -> str:
    """A text without code, addresses, paths, options and the values in it, and without lines in other scripts."""
    text = re.sub(r"^.*[а-яА-Я].*$", " ", text, flags=re.MULTILINE)
    text = re.sub(r"```.*?```|`[^`\n]*(?:\n[^`\n]*)?`", " ", text, flags=re.DOTALL)
    return re.sub(r"https?://\S+|\]\([^)]*\)|[\w./-]*[/_\\][\w./-]*|\{[^}]*\}|<[^>]*>|--?\w[\w-]*", " ", text)


def sentences(path: Path) -> list[str]:
    """A page's prose, or the strings of code that are neither patterns, nor SQL, nor lists of words."""
    if path.suffix != ".py":
        return [prose(text_of(path))]
    texts = strings(ast.parse(path.read_text(encoding="utf-8")))
    return [prose(text) for text in texts if name_of(path) not in LISTS and _is_prose(text)]


def _is_prose(text: str) -> bool:
    if re.search(
        r"\\|\(\?|\||\[\^|xmlns|^\s*(?:SELECT|INSERT|UPDATE|DELETE|CREATE|WITH|DROP|PRAGMA|immutable)\b", text
    ):
        return False
    return len(text.split()) <= 10 or bool(re.search(r"[.,:;?!]", text))


@pytest.fixture(scope="module")
def vocabulary() -> set[str]:
    """Frequent English words, from the embedder's vocabulary of 30,522 entries, and those in tests/words.txt."""
    ours = (ROOT / "tests" / "words.txt").read_text(encoding="utf-8")
    return {*(embedded_model() / "vocab.txt").read_text(encoding="utf-8").split("\n"), *ours.split()}


def is_known(word: str, vocabulary: set[str]) -> bool:
    """Whether a word in small letters is in the vocabulary, as it is or with a usual ending or beginning."""
    if word in vocabulary:
        return True
    for ending, stems in ENDINGS.items():
        if word.endswith(ending) and len(word) > len(ending) + 2:
            stem = word.removesuffix(ending)
            doubled = len(stem) > 3 and stem[-1] == stem[-2] and stem[:-1] in vocabulary
            if doubled or any(stem + letter in vocabulary for letter in stems):
                return True
    rests = (word.removeprefix(begin) for begin in BEGINNINGS if word.startswith(begin))
    return any(len(rest) > 3 and is_known(rest, vocabulary) for rest in rests)


def unknown(text: str, vocabulary: set[str]) -> set[str]:
    """The words of a text that are not known; none if most are not: then it is a pattern or German."""
    words = re.findall(r"(?<![\w.’')\]-])[A-Za-z][a-z]{2,}(?![\w’'(\[])", text)
    wrong = {word for word in words if not is_known(word.lower(), vocabulary)}
    return set() if len(words) > 3 and len(wrong) > len(words) / 2 else wrong


@pytest.mark.parametrize("path", READ, ids=name_of)
def test_no_phrase_comes_back(path: Path) -> None:
    found, expected = phrases(text_of(path)), TO_REWRITE.get(name_of(path), set())
    new = {phrase: better for phrase, better in found.items() if phrase not in expected}
    assert not new, f"phrase → what to write instead: {new}"
    assert found.keys() >= expected, f"take {expected - found.keys()} of {name_of(path)} out of TO_REWRITE"


def test_files_to_rewrite_are_there() -> None:
    assert TO_REWRITE.keys() <= {name_of(path) for path in READ}


@pytest.mark.parametrize("path", SPELLED, ids=name_of)
def test_words_are_spelled_right(path: Path, vocabulary: set[str]) -> None:
    wrong = {word for text in sentences(path) for word in unknown(text, vocabulary)}
    assert not wrong, f"{sorted(wrong)}: correct them, or add words that are right to tests/words.txt"


@pytest.mark.parametrize("path", SPELLED, ids=name_of)
def test_english_is_british(path: Path) -> None:
    text = re.sub(r"“[^”]{,200}”|\"[^\"]{,200}\"", " ", "\n".join(sentences(path)))  # a quotation stays as it is
    american = {found[0].lower() for found in AMERICAN.finditer(text)} - AS_THEY_ARE_CALLED
    assert not american, f"British forms, please, for {sorted(american)}"


def test_the_checks_find_what_they_are_for(vocabulary: set[str]) -> None:
    code = ast.parse('"""Docs that did not hold."""\nx = f"{name} did not " "come whole"\ny = "the color"\n')
    assert list(strings(code)) == ["{} did not come whole", "the color"]
    assert phrases("It did not\nhold.").keys() == {"did not hold"}
    assert unknown("We recieved a seperately writen answr from the server after a while.", vocabulary) == {
        "recieved",
        "seperately",
        "writen",
        "answr",
    }
    assert unknown("welche Zeitschrift zitiert wen", vocabulary) == set()
    assert {found[0] for found in AMERICAN.finditer("Optimized colors; resize the tokens, prizes")} == {
        "Optimized",
        "colors",
    }
