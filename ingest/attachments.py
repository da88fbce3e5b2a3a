"""The attached files named in a bibliography entry, in the format of each program that writes such entries."""

from __future__ import annotations

import base64
import plistlib
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

from ingest.latex import from_latex

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def attached_files(fields: Mapping[str, str]) -> Iterator[str]:
    r"""The PDFs named in an entry, in the form of each program; some in more than one reading.

    JabRef and Mendeley write `description:path:type`, Zotero the same with a MIME type, Better BibTeX bare paths, each
    list parted by `;` with `\:`, `\;` and `\\` as escapes. BibDesk keeps a property list in Base64.
    """
    found: dict[str, None] = {}
    for name in ("file", "pdf", "localfile", "local-url"):
        value = fields.get(name, "")
        plain = value.replace(r"$\backslash$", "\\").replace(r"{\_}", "_").replace(r"\_", "_")
        for attachment in _attachments(plain):
            found |= dict.fromkeys(_paths(attachment))
    for name, value in fields.items():
        if name.startswith("bdsk-file-"):
            found |= dict.fromkeys(_bibdesk_paths(value))
    yield from found


def _attachments(value: str) -> Iterator[str]:
    """The parts between semicolons; one without a file is joined to the next, because names may contain semicolons."""
    pending = ""
    for part in re.split(r"(?<!\\);", value):
        pending += (";" if pending else "") + part
        if re.search(r"\.\w{2,5}(?::[^:]*)?\s*$", part) or not part.strip():
            yield pending
            pending = ""
    if pending:
        yield pending


def _paths(attachment: str) -> Iterator[str]:
    parts = [re.sub(r"\\([:;\\{}&%#])", r"\1", part) for part in re.split(r"(?<!\\):", attachment)]
    # a drive letter alone before its colon
    parts = [
        f"{a}:{b}" if re.fullmatch(r"\s*[A-Za-z]", a) and b[:1] in ("/", "\\") else b
        for a, b in zip(["", *parts], parts, strict=False)
    ]
    split = [part.strip() for part in parts if part.strip().lower().endswith(".pdf")][-1:]
    whole = re.sub(r"\\([:;\\{}&%#])", r"\1", attachment).strip()
    for path in dict.fromkeys([*split, *([whole] if whole.lower().endswith(".pdf") else [])]):
        yield path
        if "%" in path and (plain := unquote(path)) != path:
            yield plain
        if "{" in path and (printed := from_latex(path.replace("\\\\", "/"))) != path:
            yield printed


def _bibdesk_paths(value: str) -> list[str]:
    try:
        packed = plistlib.loads(base64.b64decode("".join(value.split())), fmt=plistlib.FMT_BINARY)
    except Exception:  # noqa: BLE001 a damaged property list makes plistlib raise nearly anything
        return []
    path = packed.get("relativePath") if isinstance(packed, dict) else None
    if isinstance(path, str):
        return [path]
    objects = packed.get("$objects") if isinstance(packed, dict) else None  # NSKeyedArchiver, BibDesk before 1.7
    return [item for item in objects or [] if isinstance(item, str) and item.lower().endswith(".pdf")]
