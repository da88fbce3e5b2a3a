"""A supervised server for an ONNX folder: as `rag.models.local`, with ONNX Runtime GenAI instead of llama.cpp."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

from ingest.environment import OFFLINE
from rag.errors import ModelFileError
from rag.models.local import LocalServer
from rag.models.onnx import INSTALL, missing
from rag.models.onnx.folder import OnnxHeader, read_folder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_NO_PROVIDER = r"not (?:been built|available|supported)|provider"


class OnnxServer(LocalServer):
    """A server for one ONNX folder. It is started on first use, and again if it has died.

    Args:
        path: the folder.
        context: tokens shared by all slots.
        slots: concurrent answers.
        threads: CPU threads; None for all cores.
        optimised: whether ONNX Runtime may rewrite the graph; False is only for measuring what that gains.
    """

    MODULE: ClassVar = "rag.models.onnx.child"
    ENVIRONMENT: ClassVar[Mapping[str, str]] = OFFLINE
    UNLOADABLE: ClassVar = re.compile(
        rf"load model|deserialize|external|protobuf|pars(?:e|ing)|tokenizer|invalid|{_NO_PROVIDER}", re.IGNORECASE
    )

    def __init__(self, path: Path, *, context: int, slots: int, threads: int | None, optimised: bool = True) -> None:
        super().__init__(path, context=context, slots=slots, threads=threads)
        self._options["optimised"] = optimised
        self._header: OnnxHeader | None = None

    @property
    def name(self) -> str:
        """Display name, with the execution provider the folder was made for: "SmolLM2 int4 (ONNX, CPU)"."""
        header = self._described()
        return f"{header.label} (ONNX, {header.provider})"

    def _described(self, *, again: bool = False) -> OnnxHeader:
        header = self._header
        if header is None or again:
            header = read_folder(self._path)
            self._options["label"] = header.label
            self._header = header
        return header

    def _check_file(self) -> None:
        self._described(again=True)
        if missing("onnxruntime_genai", "onnxruntime"):
            raise ModelFileError(f"{self._path.name} needs onnxruntime-genai, which is not installed.", INSTALL)

    def _unloadable(self, said: str) -> ModelFileError:
        header = self._described()
        if header.provider != "CPU" and re.search(_NO_PROVIDER, said, re.IGNORECASE):
            return ModelFileError(
                f"{header.label} was converted for {header.provider}, which is not available here.",
                "Convert it with `--provider cpu`, or install the onnxruntime-genai package for this provider.",
            )
        return ModelFileError(
            f"{self._path.name} cannot be loaded: a file is damaged or of an unsupported kind.",
            f"Convert the model again ({said.splitlines()[0][:200] if said else 'no message'}).",
        )
