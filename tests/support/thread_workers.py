"""Workers for `ingest.spread` that are threads of the test, and that can be lost on demand."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

from ingest.sandbox import Parser
from ingest.spread import WorkerLostError


class ThreadWorkers:
    """Parse in the sandbox and embed with the given embedder; `lose` says of which calls the answer is lost."""

    def __init__(self, embedder, *, papers=4, lose=lambda number: False):
        self.papers = papers
        self._embedder, self._lose = embedder, lose
        self._pool = ThreadPoolExecutor(papers)
        self._parser = Parser()
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self.open = self.most_open = self.calls = self.lost = 0

    def parse(self, pdf, file_name):
        return self._call(lambda: self._parser.parse(pdf, file_name=file_name))

    def embed(self, texts):
        return self._call(lambda: self._embedder.embed_documents(texts))

    def close(self):
        self._parser.close()
        self._pool.shutdown()

    def _call(self, work):
        with self._lock:
            self.calls = number = next(self._numbers)
            self.open += 1
            self.most_open = max(self.most_open, self.open)

        def answer():
            try:
                if self._lose(number):
                    self.lost += 1
                    raise WorkerLostError(f"call {number}")
                return work()
            finally:
                with self._lock:
                    self.open -= 1

        return self._pool.submit(answer)
