"""Workers on Ray: one actor per worker, on this machine or on the machines of a cluster that the user named.

Ray that is started here listens on 127.0.0.1 alone, with a key of its own, without its dashboard and usage statistics,
and ends with the command. Of a cluster, only the machines that were there at the start, and allowed, get any work.
Ray itself is only imported when it is asked for: it is an extra.
"""

from __future__ import annotations

import hashlib
import ipaddress
import logging
import os
import secrets
import tempfile
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import psutil

from ingest.embed import embedder_from
from ingest.errors import UnreadablePdfError, UserFacingError
from ingest.sandbox import Parser
from ingest.spread import WorkerLostError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ingest.embed import Vectors
    from ingest.paper import ParsedPaper

PAPERS = 4
"""Papers in work for each worker: one being parsed, two being embedded, one on its way."""

CORES = 4
"""Cores for a worker by default: embedding takes three quarters of the time, so three embed while one parses."""

THREADS = 16
"""Calls that a worker takes at once; more than PAPERS, since those of a lost worker go to the others."""

STORE_BYTES = 200_000_000
"""Ray's shared memory. A parsed paper has some 200 kB, and PDFs do not pass through it on this machine."""

LOST_IN_A_ROW = 10
"""A worker that is lost this often without an answer in between is not started again."""

START_SECONDS = 180.0
"""Longest wait until all workers have started."""

LONGEST_PATH = 28
"""Bytes of the path of the temporary folder, beside which the names that Ray adds still have room."""

_NOWHERE = "http://127.0.0.1:9"
"""The discard port of this machine, where nothing listens."""

_LOCAL = {
    "worker_niceness": 0,  # a user waits for it, as for `add` without Ray
    "automatic_object_spilling_enabled": False,  # no text of a paper goes to a file of Ray's
}
"""Options of Ray that is started here."""

_OURS = Path(__file__).resolve().parent
_KEPT = ("RAY_AUTH_", "RAY_TLS_", "RAY_USE_TLS")  # what says how to sign in to a cluster, and its encryption

_log = logging.getLogger(__name__)


class RayError(UserFacingError):
    """Ray is not installed, does not start, or is not to be used as it was asked for."""


class Worker:
    """What runs in a worker's process. It parses in the sandbox, as this process does, and writes nothing."""

    def __init__(self, embedder: str | None, cores: int, options: dict[str, Any]) -> None:
        self._embedder = embedder_from(embedder, cores=cores)
        self._parser = Parser(options=options)

    def about(self) -> tuple[str, str]:
        """Its embedder and its code, which must be ours."""
        return self._embedder.name, code_digest()

    def confinement(self) -> list[str]:
        """The layers that its sandbox has applied."""
        self._parser.warm_up()
        return self._parser.confinement

    def pid(self) -> int:
        """Its process."""
        return os.getpid()

    def parse(self, pdf: str | bytes, name: str) -> ParsedPaper | UnreadablePdfError:
        """The paper in a file of this machine, or in bytes; why it cannot be read is an answer too."""
        try:
            if isinstance(pdf, str):
                return self._parser.parse(Path(pdf), file_name=name)
            with tempfile.NamedTemporaryFile(suffix=".pdf") as file:
                file.write(pdf)
                file.flush()
                return self._parser.parse(Path(file.name), file_name=name)
        except UnreadablePdfError as error:
            return error

    def embed(self, texts: Sequence[str]) -> Vectors:
        """The vectors of some texts."""
        return self._embedder.embed_documents(texts)


@dataclass(slots=True, eq=False)
class _Place:
    """Where one worker runs; the worker may be replaced."""

    node: str
    here: bool
    make: Callable[[], Any]
    actor: Any = None
    running: int = 0
    lost: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class RayWorkers:
    """Workers on Ray, as `ingest.spread.Workers` describes them. Use it as a context manager, or call `close`.

    Args:
        address: `auto` to start Ray here, or `HOST:PORT` of a cluster whose head is on this machine.
        embedder: the setting of the library's embedder.
        name: its name; a worker with another one is refused.
        options: for the parser.
        per_machine: workers on each machine; by default one for every four cores.
        allow: is given the addresses of the other machines, if there are any, and raises if they may not have papers.

    Raises:
        RayError: Ray is not installed or does not start, the address is not of this machine, or a worker differs.
    """

    def __init__(
        self,
        address: str,
        *,
        embedder: str | None,
        name: str,
        options: dict[str, Any],
        per_machine: int | None = None,
        allow: Callable[[Sequence[str]], None],
    ) -> None:
        self._settling = ThreadPoolExecutor(1, thread_name_prefix="ray")
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._places: list[_Place] = []
        self._closed = False
        try:
            self._start(address, per_machine)
            nodes = self._nodes()  # once: a machine that joins during the question was not named in it
            machines = sorted({node["NodeManagerAddress"] for node in nodes if not _is_here(node)})
            if machines:
                allow(machines)
            self._fill(nodes, embedder, name, options, per_machine)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def papers(self) -> int:
        """Papers to have in work at once; see `ingest.spread.Workers`."""
        return max(1, PAPERS * len(self._places))

    def parse(self, pdf: Path, file_name: str) -> Future[ParsedPaper]:
        """Parse a file in a worker, which gets its path if it is on this machine, else its bytes."""
        return self._call("parse", lambda place: (str(pdf) if place.here else pdf.read_bytes(), file_name))

    def embed(self, texts: Sequence[str]) -> Future[Vectors]:
        """Embed texts in a worker."""
        return self._call("embed", lambda _: (list(texts),))

    def close(self) -> None:
        """End the workers, and Ray if it was started here."""
        self._closed = True
        with suppress(RayError):
            ray = _ray()
            for place in self._places:
                with suppress(Exception):  # it is gone already
                    ray.kill(place.actor)
            ray.shutdown()
        self._settling.shutdown(wait=True)
        if self._folder:
            self._folder.cleanup()
            self._folder = None

    # -- starting ----------------------------------------------------------------------------------------------------

    def _start(self, address: str, per_machine: int | None) -> None:
        if address == "auto":
            _only_on_this_machine()
        else:
            _is_of_this_machine(address)
            _silence()
        ray = _ray()
        logging.getLogger("ray").setLevel(logging.ERROR)
        common: dict[str, Any] = {"log_to_driver": False, "configure_logging": False, "logging_level": logging.ERROR}
        try:
            if address == "auto":
                self._folder = _short_folder()
                ray.init(
                    address="local",
                    num_cpus=max(_cores(), per_machine or 1),
                    include_dashboard=False,
                    object_store_memory=STORE_BYTES,
                    _node_ip_address="127.0.0.1",
                    _temp_dir=self._folder.name,
                    _system_config=_LOCAL,
                    **common,
                )
            else:
                ray.init(address=address, **common)
        except Exception as error:
            said = str(error).strip().splitlines()
            raise RayError(
                f"Ray could not be {'started' if address == 'auto' else f'reached at {address}'} "
                f"({said[0][:200] if said else type(error).__name__}).",
                "Add the papers without --ray." if address == "auto" else "Check the address (docs/scale.md).",
            ) from error

    def _nodes(self) -> list[dict[str, Any]]:
        return [node for node in _ray().nodes() if node["Alive"]]

    def _fill(
        self,
        nodes: Sequence[dict[str, Any]],
        embedder: str | None,
        name: str,
        options: dict[str, Any],
        per_machine: int | None,
    ) -> None:
        ray = _ray()
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        for node in nodes:
            cores = int(node["Resources"].get("CPU", 0))
            workers = (per_machine or max(1, cores // CORES)) if cores else 0
            of = ray.remote(Worker).options(
                num_cpus=(cores // workers or cores / workers) if workers else 0,  # Ray takes no 1.5
                max_concurrency=THREADS,
                max_restarts=0,  # a lost worker is replaced in `_settle`, which knows what was lost with it
                scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False),
            )
            # Each actor gets the cores it may use, so that two workers of one machine do not both use all of them.
            share = max(1, cores // max(1, workers))
            self._places += [
                _Place(node["NodeID"], _is_here(node), lambda of=of, n=share: of.remote(embedder, n, options))  # type: ignore[misc]
                for _ in range(workers)
            ]
        if not self._places:
            raise RayError("Ray has no machine with a free core.", "Add the papers without --ray.")
        for place in self._places:
            place.actor = place.make()
        try:
            told = ray.get([place.actor.about.remote() for place in self._places], timeout=START_SECONDS)
        except Exception as error:
            raise RayError(
                f"A Ray worker did not start ({type(error).__name__}).",
                "Set up Scholion with the same version on each machine, or add the papers without --ray.",
            ) from error
        if any(about != (name, code_digest()) for about in told):
            raise RayError(
                "A machine of the Ray cluster has another version of Scholion, or another embedding model.",
                "Set up the same version on each machine.",
            )

    # -- calls -------------------------------------------------------------------------------------------------------

    def _call(self, method: str, arguments: Callable[[_Place], tuple[Any, ...]]) -> Future[Any]:
        answer: Future[Any] = Future()
        place = min((one for one in tuple(self._places)), key=lambda one: one.running, default=None)
        if place is None or self._closed:
            answer.set_exception(WorkerLostError("there is no worker"))
            return answer
        with place.lock:
            actor = place.actor
            place.running += 1
        try:
            reply = getattr(actor, method).remote(*arguments(place)).future()
        except Exception as error:  # noqa: BLE001 - whatever it is, another worker is asked
            reply = Future()
            reply.set_exception(error)
        # in a thread of ours: Ray's own would wait for itself
        reply.add_done_callback(lambda done: self._later(place, actor, done, answer))
        return answer

    def _later(self, place: _Place, actor: Any, done: Future[Any], answer: Future[Any]) -> None:
        try:
            self._settling.submit(self._settle, place, actor, done, answer)
        except RuntimeError:  # closed
            answer.set_exception(WorkerLostError("the workers were ended"))

    def _settle(self, place: _Place, actor: Any, done: Future[Any], answer: Future[Any]) -> None:
        with place.lock:
            place.running -= 1
        error = done.exception()
        if error is None:
            place.lost = 0
            told = done.result()
            if isinstance(told, UnreadablePdfError):
                answer.set_exception(told)
            else:
                answer.set_result(told)
            return
        _log.warning("a Ray worker was lost or failed: %s", str(error).strip().splitlines()[-1:])
        try:
            if not self._closed and isinstance(error, _ray().exceptions.RayActorError) and place.actor is actor:
                self._replace(place)
        finally:  # whatever happens here, somebody waits for it
            answer.set_exception(WorkerLostError(str(error)))

    def _replace(self, place: _Place) -> None:
        """Start another worker in the place of a lost one, unless its machine is gone."""
        place.lost += 1
        with suppress(Exception):  # Ray itself is gone
            if place.lost < LOST_IN_A_ROW and any(node["NodeID"] == place.node for node in self._nodes()):
                place.actor = place.make()
                return
        if place in self._places:  # not yet, by an earlier call to the same worker
            self._places.remove(place)


def code_digest() -> str:
    """SHA-256 of our files: workers with others could read a paper differently."""
    whole = hashlib.sha256()
    for path in sorted(_OURS.glob("*.py")):
        whole.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return whole.hexdigest()[:16]


def _ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise RayError("--ray needs the package ray, which is not installed.", "Run `make ray` once.") from error
    return ray


def _silence() -> None:
    """Keep Ray from reading settings that we do not make, such as where a cluster is, and from contacting anyone.

    Even with usage statistics and the dashboard off, Ray 2.60 asks 169.254.169.254 and metadata.google.internal which
    cloud it is in. Its processes are given a proxy that refuses every connection.
    """
    for name in [name for name in os.environ if name.startswith("RAY_") and not name.startswith(_KEPT)]:
        del os.environ[name]
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_USAGE_STATS_REPORT_URL": _NOWHERE}
    os.environ |= dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), _NOWHERE)
    os.environ["no_proxy"] = "127.0.0.1,localhost,::1"


def _only_on_this_machine() -> None:
    """Have Ray listen on the loopback address alone, with a key that only its own processes know."""
    for name in [name for name in os.environ if name.startswith(_KEPT)]:
        del os.environ[name]
    _silence()
    os.environ |= {
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # on Linux too, this is what makes 127.0.0.1 its address
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": _key(),  # or it would write one into the home folder
    }


def _short_folder() -> tempfile.TemporaryDirectory[str]:
    """A temporary folder for Ray's sockets and logs; the path of a socket has at most 107 bytes."""
    usual = tempfile.gettempdir()
    place = "/tmp" if os.name == "posix" and len(os.fsencode(usual)) > LONGEST_PATH else usual  # noqa: S108 - closed to others
    return tempfile.TemporaryDirectory(prefix="ray-", dir=place, ignore_cleanup_errors=True)


@cache
def _key() -> str:
    """One for this process: Ray keeps the first that it has read."""
    return secrets.token_hex(32)


def _is_of_this_machine(address: str) -> None:
    host, _, port = address.rpartition(":")
    host = "127.0.0.1" if host == "localhost" else host.strip("[]")
    try:
        here = port.isdecimal() and ipaddress.ip_address(host).compressed in _own_addresses()
    except ValueError:
        here = False
    if not here:
        raise RayError(
            f"{address} is not `auto`, nor the address of a Ray cluster whose head is on this machine.",
            "Start Ray's head on this machine and let the others join it (docs/scale.md).",
        )


def _own_addresses() -> set[str]:
    return {"127.0.0.1", "::1"} | {
        entry.address.partition("%")[0] for entries in psutil.net_if_addrs().values() for entry in entries
    }


def _is_here(node: dict[str, Any]) -> bool:
    return node["NodeManagerAddress"] in _own_addresses()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
