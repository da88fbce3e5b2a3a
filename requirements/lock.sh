#!/usr/bin/env bash
# Resolve the dependencies once and write the locks (needs uv). torch and what its CUDA builds pull in stay out:
# the Makefile installs torch first, so that pip can take a CPU build where one is offered.
set -euo pipefail
cd "$(dirname "$0")/.."
skip=(torch triton cuda-bindings cuda-pathfinder cuda-toolkit
      nvidia-{cublas,cuda-cupti,cuda-nvrtc,cuda-runtime,cudnn-cu13,cufft,cufile,curand,cusolver,cusparse,cusparselt-cu13,nccl-cu13,nvjitlink,nvshmem-cu13,nvtx})
options=(--universal --python-version 3.11 --generate-hashes --no-annotate --no-header
         --no-emit-index-url --no-emit-find-links "${skip[@]/#/--no-emit-package=}")
uv pip compile -q pyproject.toml "${options[@]}" -o requirements/run.lock
uv pip compile -q requirements/foundry.in "${options[@]}" -o requirements/foundry.lock
for extra in dev onnx postgres ray; do
  uv pip compile -q pyproject.toml --extra "$extra" "${options[@]}" -c requirements/run.lock -o "requirements/$extra.tmp"
done
# dev.lock is what only the tests need, and each other lock what only that extra does: the blocks that run.lock does not have
python3 - <<'PY'
import pathlib, re
def blocks(path):
    return re.findall(r"^[^\s#].*(?:\n    .*)*", pathlib.Path(path).read_text(), re.M)
run = set(blocks("requirements/run.lock"))
for name in ("dev", "onnx", "postgres", "ray"):
    extra = [b for b in blocks(f"requirements/{name}.tmp") if b not in run]
    pathlib.Path(f"requirements/{name}.lock").write_text("\n".join(extra) + "\n")
    pathlib.Path(f"requirements/{name}.tmp").unlink()
PY
