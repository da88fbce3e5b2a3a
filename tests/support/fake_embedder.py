"""HashEmbedder: a fake embedder that ranks, and a slow one."""

from __future__ import annotations

import hashlib
import re
import threading
import time

import numpy as np


class HashEmbedder:
    """A fake embedder based on hashed words, so texts with common words are close. Deterministic, without a model."""

    max_tokens = 254

    def __init__(self, *, dimension: int = 384) -> None:
        self.dimension = dimension
        self.name = f"fake-hash-{dimension}@0"

    def count_tokens(self, texts):
        return [len(re.findall(r"\w+|[^\w\s]", text)) for text in texts]

    def embed_documents(self, texts):
        vectors = np.full((len(texts), self.dimension), 1e-6, dtype=np.float32)
        for row, text in enumerate(texts):
            for word in re.findall(r"\w+", text.lower()):
                vectors[row, int(hashlib.md5(word[:4].encode()).hexdigest(), 16) % self.dimension] += 1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def embed_query(self, text):
        return self.embed_documents([text])[0]


class SlowEmbedder(HashEmbedder):
    """A fake embedder that sleeps before each call, and after a number of calls blocks until it may continue."""

    def __init__(self, seconds: float = 0.0, *, stops_after: int | None = None) -> None:
        super().__init__()
        self.seconds = seconds
        self.left = stops_after
        self.stopped, self.go_on = threading.Event(), threading.Event()

    def embed_documents(self, texts):
        time.sleep(self.seconds)
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                self.stopped.set()
                self.go_on.wait(3600)
        return super().embed_documents(texts)
