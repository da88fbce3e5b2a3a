"""Parse each sample paper only once per test run, because the sandbox takes half a second per file. Only
tests/ingest/test_sandbox.py tests the sandbox itself."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from ingest import sandbox
from places import SAMPLES

if TYPE_CHECKING:
    from ingest.paper import ParsedPaper


@cache
def _samples() -> frozenset[str]:
    return frozenset(_digest(path) for path in SAMPLES.glob("*.pdf"))


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


class ParserOfSamples(sandbox.Parser):
    """The real parser with a cache for the sample papers; every other file is parsed each time."""

    _read: ClassVar[dict[tuple[str, ...], ParsedPaper]] = {}

    def parse(self, path, *, file_name=None, limits=None, cancel=None, on_page=None):
        digest = _digest(path)
        if digest not in _samples() or limits is not None:
            return super().parse(path, file_name=file_name, limits=limits, cancel=cancel, on_page=on_page)
        key = (digest, file_name or path.name, json.dumps(self._options))
        if key not in self._read or (cancel is not None and cancel.is_set()):
            self._read[key] = super().parse(path, file_name=file_name, cancel=cancel)
        return self._read[key]  # frozen, so no test can change what another one gets
