"""The child that parses: it takes jobs from its standard input and answers with the paper, field by field.

`ingest.sandbox` starts it, watches it and believes nothing that it says.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import os
import queue
import signal
import sys
import threading
from typing import IO, TYPE_CHECKING, Any

from ingest import confine
from ingest.errors import UserFacingError, too_large, too_many_pages
from ingest.orphan import send_on_parent_death
from ingest.parse import parse_pdf
from ingest.typed_json import to_json

if TYPE_CHECKING:
    from pathlib import Path

    from ingest.paper import ParsedPaper

_STARTED_MB = 400  # address space if the start size cannot be read


def _serve() -> None:
    """Parse the files named on standard input until it ends: the child's whole life."""
    parent = int(sys.argv[1])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl+C
    if sys.platform == "linux":
        send_on_parent_death(signal.SIGKILL, parent=parent)
    ours = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # discard whatever a library prints
    logging.disable(logging.CRITICAL)
    import pypdf
    import pypdfium2

    del pypdf, pypdfium2  # load now rather than under the first file's limits
    _forbid()
    started_mb = _address_space_mb()
    layers = confine.close(has_inbox=bool(sys.argv[2]))
    jobs: queue.Queue[bytes] = queue.Queue()
    threading.Thread(target=_listen, args=(jobs,), daemon=True).start()
    _put(ours, {"ready": layers})
    while True:
        job = json.loads(jobs.get())
        try:
            _limit_memory(started_mb + job["memory_mb"])
            _answer(job, ours)
        except MemoryError:
            os._exit(confine.OUT_OF_MEMORY)
        except BaseException:  # noqa: BLE001 - the ordinary way out would wait for the thread that reads
            os._exit(1)


def _listen(jobs: queue.Queue[bytes]) -> None:
    """Pass on lines from standard input; exit at once when it ends, whatever the main thread is doing."""
    for line in sys.stdin.buffer:
        jobs.put(line)
    os._exit(0)


def _put(stream: IO[bytes], frame: dict[str, Any]) -> None:
    stream.write(json.dumps(frame).encode("ascii") + b"\n")
    stream.flush()


def _answer(job: dict[str, Any], stream: IO[bytes]) -> None:
    path, name = confine.as_path(job["path"]), job["name"]
    try:
        pages = _count_pages(path)
        _put(stream, {"pages": pages})
        if pages is not None and pages > job["max_pages"]:
            raise too_many_pages(name, pages, job["max_pages"])  # noqa: TRY301
        _announce_ocr(stream)
        _put_paper(parse_pdf(path, file_name=name, **job["options"]), stream)
    except UserFacingError as error:
        _put(stream, {"error": type(error).__name__, "message": error.message, "hint": error.hint})
    except MemoryError:
        costly = too_large(name, job["memory_mb"])
        _put(stream, {"error": type(costly).__name__, "message": costly.message, "hint": costly.hint})
    except Exception:  # noqa: BLE001 - whatever it is, the parent reports it
        import traceback

        _put(stream, {"bug": traceback.format_exc()[-8_000:]})


def _put_paper(parsed: ParsedPaper, stream: IO[bytes]) -> None:
    """Send field by field, and tuples item by item, so that no line is longer than a page needs."""
    for field in dataclasses.fields(parsed):
        value = getattr(parsed, field.name)
        if isinstance(value, tuple) and value:
            for item in value:
                stream.write(json.dumps({"field": field.name, "item": to_json(item)}).encode("ascii") + b"\n")
        else:
            _put(stream, {"field": field.name, "value": to_json(value)})
    _put(stream, {"done": True})


def _announce_ocr(stream: IO[bytes]) -> None:
    """Tell the parent about each page that is about to be recognised: that takes seconds, within its own limit."""
    from ingest import ocr

    ocr.before_page = lambda: _put(stream, {"ocr": True})


def _count_pages(path: Path) -> int | None:
    """The number of pages that the file states; None if pdfium cannot open it, which `parse_pdf` will explain."""
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(path)
    except (pypdfium2.PdfiumError, OSError, ValueError):
        return None
    try:
        return len(document)
    finally:
        document.close()


def _address_space_mb() -> float:
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123
            return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    except OSError:
        return _STARTED_MB


def _forbid() -> None:
    """Forbid writing files and core dumps, and limit descriptors; nothing if the system has no such limits."""
    try:
        import resource
    except ImportError:  # Windows
        return
    for limit, most in ((resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0), (resource.RLIMIT_NOFILE, 256)):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(limit, (most, most))


def _limit_memory(megabytes: float) -> None:
    """Limit the address space; only the soft limit, because the next file's may be higher."""
    try:
        import resource
    except ImportError:  # Windows
        return
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (int(megabytes * 1e6), resource.getrlimit(resource.RLIMIT_AS)[1]))
